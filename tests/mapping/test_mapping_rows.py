"""Rows to confirm: an edit withdraws the row and its dependants, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehouse.mapping.check import roots
from rehouse.mapping.dump import node_data
from rehouse.mapping.expressions import Expression
from rehouse.mapping.load import load_recipe
from rehouse.mapping.parse import Reader
from rehouse.mapping.rows import rows


def hashes(folder: Path) -> dict[str, str]:
    return {row.id: row.hash for row in rows(load_recipe(folder))}


def changed(folder: Path, file: str, old: str, new: str) -> set[str]:
    """Ids of the rows whose confirmation an edit withdraws (or adds)."""
    before = hashes(folder)
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    after = hashes(folder)
    return {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}


@pytest.mark.req("COM-MAP-07")
def test_a_field_withdraws_itself_only(folder: Path) -> None:
    assert changed(folder, "people.yaml", "max: 128", "max: 127") == {"people.Person.Title"}


@pytest.mark.req("COM-MAP-07")
def test_a_comment_withdraws_nothing(folder: Path) -> None:
    assert changed(folder, "people.yaml", "    to: Person\n", "    to: Person     # people\n") == set()


@pytest.mark.req("COM-MAP-07")
def test_a_value_withdraws_what_uses_it_in_any_object(folder: Path) -> None:
    assert changed(folder, "people.yaml", "else: company}", "else: title}") == {  # inside firm_text
        "people#value.firm_text",
        "people#value.firm_key",
        "people#route2",
        "people#route3",
        "people#route4",
        "people.Firm#key",
        "people.Firm#merge",
        "people.Firm#match",
        "people.Firm.Name",
        "people.Person.FirmId",
        "deals.Deal.FirmId",
    }


def test_a_key_withdraws_the_references_to_its_output(folder: Path) -> None:
    assert changed(folder, "deals.yaml", "from: id}", "from: stage}") == {"deals.Deal#key", "calls.Task.WhatId"}


def test_a_route_withdraws_itself_and_those_after_it(folder: Path) -> None:
    found = changed(folder, "people.yaml", "when: {present: firm_key}", "when: {present: company}")
    assert found == {"people#route2", "people#route3", "people#route4"}


def test_a_limit_withdraws_the_route_that_names_it(folder: Path) -> None:
    found = changed(folder, "blueprint.yaml", "paper_bytes: 1000", "paper_bytes: 1001")
    assert found == {"papers#route2", "papers#route3"}


def test_every_row_has_one_id_one_line_and_a_place(folder: Path) -> None:
    recipe = load_recipe(folder)
    found = rows(recipe)
    assert len({r.id for r in found}) == len(found)
    assert all("\n" not in r.text and r.text for r in found)
    assert {r.id for r in found} <= set(recipe.places)
    by_id = {r.id: r for r in found}
    assert by_id["people.Person.Email"].text == "{email: email}"
    assert by_id["people#route3"].kind == "route"
    assert by_id["people#drop.fax"].text == "nobody sends faxes"
    wanted = {
        "people.Person.FirmId": "reference",
        "people.Firm.OwnerId": "owner",
        "deals.Deal.StageName": "stage",
        "deals.Deal.TypeId": "stage",
        "deals.Deal.Amount": "currency",
        "people.Person.Created": "date",
        "people.Person#key": "key",
        "people.Firm#match": "key",
        "people.Person.Title": "",
    }
    assert {i: by_id[i].sensitive for i in wanted} == wanted
    lines = (folder / "people.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[recipe.places["people.Person.Title"].line - 1].strip().startswith("Title:")


def test_plain_data_reads_back_as_the_same_node(folder: Path) -> None:
    recipe = load_recipe(folder)
    nodes = [n for mapping in recipe.objects.values() for n in roots(mapping)]
    assert len(nodes) > 30
    for node in nodes:
        reader = Reader("back.yaml")
        data = node_data(node)
        back = reader.expression(data, 1) if isinstance(node, Expression) else reader.condition(data, 1)
        assert back == node
        assert not reader.faults
