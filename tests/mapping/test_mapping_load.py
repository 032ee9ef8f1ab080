"""Mapping files: every fault is named with its line and the nearest name, all of them together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehouse.errors import InputError, MappingError
from rehouse.mapping.dump import recipe_digest
from rehouse.mapping.expressions import Lookup, Polymorphic, Reference, walk
from rehouse.mapping.load import load_recipe, unused_columns
from rehouse.mapping.schema import Earliest, Latest, Recipe
from rehouse.model import Catalog, Field, Kind, Object

Columns = dict[str, list[str]]
Edit = Callable[[str, str, str], MappingError]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def broken(folder: Path, columns: Columns) -> Edit:
    """Replaces text in a file and returns the error of loading."""

    def edit(file: str, old: str, new: str) -> MappingError:
        replace(folder / file, old, new)
        with pytest.raises(MappingError) as caught:
            load_recipe(folder, columns)
        return caught.value

    return edit


def catalog_of(recipe: Recipe) -> Catalog:
    """A target with exactly the objects and fields that the recipe names, less what it creates itself."""
    creates = recipe.blueprint.creates
    made = {(c.object, c.field.name) for c in creates.fields}
    made |= {(o, name) for owner, name in made for o in creates.shared.get(owner, ())}
    objects = []
    for _, output in recipe.outputs():
        names = [*output.fields, *([output.key.external_id] if output.key and output.key.external_id else [])]
        names += [output.match.field] if output.match else []
        names += [output.match_only.field] if output.match_only else []
        kept = [n for n in dict.fromkeys(names) if (output.to, n) not in made]
        objects.append(Object(output.to, output.to, tuple(Field(n, n, Kind.TEXT) for n in kept)))
    return Catalog.of("target", objects)


@pytest.mark.req("COM-MAP-01", "COM-MAP-02", "COM-MAP-03", "COM-MAP-04")
def test_the_example_is_read_as_written(folder: Path, columns: Columns) -> None:
    recipe = load_recipe(folder, columns)
    assert list(recipe.objects) == ["people", "deals", "calls", "papers"]
    assert [r.cardinality for r in recipe.blueprint.rows] == ["1:many"]
    people = recipe.objects["people"]
    assert [(r.fate, r.to, r.skip) for r in people.routes] == [
        ("to", ("Firm",), ""),
        ("to", ("Firm", "Person"), ""),
        ("skip", (), "a test record"),
        ("to", ("Person",), ""),
    ]
    assert people.routes[-1].when is None
    assert recipe.objects["deals"].routes[0].fate == "merge"
    assert recipe.objects["papers"].routes[0].fate == "reject"
    firm = people.outputs["Firm"]
    assert firm.merge is not None
    assert [type(p) for p in firm.merge.prefer[1:]] == [Latest, Earliest]
    link = recipe.objects["papers"].outputs["PaperLink"]
    assert link.key is not None
    assert link.key.natural == ("PaperId", "OwnerRecordId")
    what = recipe.objects["calls"].outputs["Task"].fields["WhatId"]
    assert isinstance(what, Reference)
    assert isinstance(what.to, Polymorphic)
    lookups = [n for n in walk(recipe.objects["deals"].outputs["Deal"].fields["FirmId"]) if isinstance(n, Lookup)]
    assert [(n.column, n.in_) for n in lookups] == [("firm_key", "people")]
    tone = recipe.blueprint.creates.fields[2].field
    assert [(o.value, o.label) for o in tone.options] == [("Warm", ""), ("Cold", "Soğuk")]


@pytest.mark.req("COM-MAP-15")
def test_columns_without_a_fate_are_listed(folder: Path, columns: Columns) -> None:
    recipe = load_recipe(folder, columns)
    assert unused_columns(recipe, columns) == {}
    extended = {**columns, "people": [*columns["people"], "tedavi_paketi", "_row"]}
    assert unused_columns(recipe, extended) == {"people": ["tedavi_paketi"]}


def test_the_digest_follows_the_meaning_only(folder: Path) -> None:
    before = recipe_digest(load_recipe(folder))
    replace(folder / "people.yaml", "Title: {text: title, max: 128}", "Title:  {text: title,   max: 128} #")
    assert recipe_digest(load_recipe(folder)) == before
    replace(folder / "people.yaml", "max: 128", "max: 127")
    assert recipe_digest(load_recipe(folder)) != before


TITLE = "Title: {text: title, max: 128}"
FAULTS: list[tuple[str, str, str, str, str]] = [
    # file, text, replaced by, part of the message, nearest
    ("people.yaml", TITLE, "Title: {text: titel, max: 128}", "no column or value", "title"),
    ("people.yaml", TITLE, "Title: {txt: title}", "unknown operator 'txt'", "text"),
    ("people.yaml", TITLE, "Title: {text: title, mx: 1}", "unknown key 'mx'", "max"),
    ("people.yaml", TITLE, "Title: {text: title, max: many}", "whole number", ""),
    ("people.yaml", TITLE, "Title: {text: title, max: 0}", "at least 1", ""),
    ("people.yaml", TITLE, "Title: 5", "not the number 5", ""),
    ("people.yaml", TITLE, "Title: {constant: 1.5}", "put it in quotes", ""),
    ("people.yaml", TITLE, "Title: {lookup: title}", "needs 'in'", ""),
    ("people.yaml", TITLE, "Title: {join: []}", "at least one part", ""),
    ("people.yaml", TITLE, "Title: {part: title, separator: ''}", "must not be empty", ""),
    ("people.yaml", TITLE, "Title: {if: {equals: kind}, then: title}", "[column, value]", ""),
    ("people.yaml", "part: given", "part: givn", "must be one of", "given"),
    ("people.yaml", "to: Firm, when_missing", "to: Firn, when_missing", "no output 'Firn'", "Firm"),
    ("people.yaml", "    to: [Firm]\n", "    to: [Firmm]\n", "no output 'Firmm'", "Firm"),
    ("people.yaml", "    to: [Firm]\n", "    to: [Deal]\n", "belongs to another object", ""),
    ("people.yaml", "    to: [Firm]\n", "    to: [Firm]\n    skip: twice\n", "exactly one of", ""),
    ("people.yaml", "  - otherwise: [Person]\n    rule: a person alone\n", "", "must be 'otherwise'", ""),
    ("people.yaml", "  - when: {present: f", "  - otherwise: [Firm]\n  - when: {present: f", "never reached", ""),
    ("people.yaml", "when: {present: f", "when: {presnt: f", "unknown condition", "present"),
    ("people.yaml", "    merge: ", "    mrge: ", "unknown key 'mrge'", "merge"),
    ("people.yaml", "when_found: fill_empty", "when_found: fill", "'when_found'", "fill_empty"),
    ("people.yaml", "firm_key: {company_key: firm_text}", "firm_key: {text: firm_key}", "by itself", ""),
    ("people.yaml", "  firm_text: {if", "  title: {if", "hides the column", ""),
    ("people.yaml", "  fax: nobody", "  faks: nobody", "no column or value 'faks'", "fax"),
    ("people.yaml", "  fax: nobody sends faxes", "  fax: ''", "without a reason", ""),
    ("people.yaml", "        otherwise: reject", "        otherwise: rejct", "{constant: …}", "reject"),
    ("people.yaml", "object: people", "object: peple", "blueprint's 'order'", "people"),
    ("people.yaml", "version: 1", "version: 2", "version must be 1", ""),
    ("people.yaml", "version: 1\n", "", "version must be 1", ""),
    ("deals.yaml", "in: people", "in: peopel", "no object 'peopel'", "people"),
    ("deals.yaml", "lookup: firm_key", "lookup: frm_key", "no column or value", "firm_key"),
    ("deals.yaml", "    to: Deal\n", "    to: Deal\n    to: Deal\n", "not valid YAML", ""),
    ("deals.yaml", "outputs:\n  Deal:", "outputs:\n  Person:", "exists already", ""),
    ("deals.yaml", "    key: {external_id: Old_Id__c, from: id}\n", "", "needs either 'key'", ""),
    ("papers.yaml", "{limit: paper_bytes}", "{limit: paper_byts}", "limit 'paper_byts'", "paper_bytes"),
    ("papers.yaml", "[PaperId, OwnerRecordId]", "[PaperId, OwnerRecord]", "natural key", "OwnerRecordId"),
    ("papers.yaml", "[Paper, PaperLink]", "[Paper]", "no route leads to output 'PaperLink'", ""),
    ("papers.yaml", "    reject: not on disk", "    reject: ''", "needs a reason", ""),
    ("blueprint.yaml", '"1:many"', '"1:mny"', "'cardinality'", "1:many"),
    ("blueprint.yaml", "kind: option", "kind: optin", "'kind'", "option"),
    ("blueprint.yaml", "order: [people, ", "order: [", "blueprint's 'order'", ""),
    ("blueprint.yaml", "paper_bytes: 1000", "paper_bytes: -1", "at least 0", ""),
]


@pytest.mark.req("COM-MAP-03")
@pytest.mark.parametrize(
    ("file", "old", "new", "message", "near"), FAULTS, ids=[f"{n} {f[3]}" for n, f in enumerate(FAULTS)]
)
def test_a_fault_is_named(broken: Edit, file: str, old: str, new: str, message: str, near: str) -> None:
    error = broken(file, old, new)
    fitting = [f for f in error.faults if message in f.message]
    assert fitting, str(error)
    assert not near or near in {f.nearest for f in fitting}, str(error)


def test_a_fault_stands_on_its_line(broken: Edit, folder: Path) -> None:
    error = broken("people.yaml", TITLE, "Title: {text: titel, max: 128}")
    lines = (folder / "people.yaml").read_text(encoding="utf-8").splitlines()
    (fault,) = error.faults
    assert fault.file == "people.yaml"
    assert lines[fault.line - 1].strip().startswith("Title: {text: titel")


def test_all_faults_come_together(folder: Path, columns: Columns) -> None:
    replace(folder / "people.yaml", "{text: title, max: 128}", "{text: titel, max: 128}")
    replace(folder / "people.yaml", "part: given", "part: givn")
    replace(folder / "calls.yaml", "{integer:", "{intger:")
    with pytest.raises(MappingError) as caught:
        load_recipe(folder, columns)
    assert [(f.file, f.nearest) for f in caught.value.faults] == [
        ("calls.yaml", "integer"),
        ("people.yaml", "given"),
        ("people.yaml", "title"),
    ]


def test_what_the_target_lacks_is_a_fault(folder: Path, columns: Columns) -> None:
    recipe = load_recipe(folder, columns)
    target = catalog_of(recipe)
    assert load_recipe(folder, columns, target) == recipe

    def without(object_name: str, field: str) -> Catalog:
        found = target.objects[object_name]
        fields = tuple(f for f in found.fields if f.name != field)
        return target.merged(Catalog.of("target", [Object(object_name, object_name, fields)]))

    for object_name, field in (("Person", "Title"), ("Account", "Old_Id__c"), ("Account", "Name")):
        with pytest.raises(MappingError) as caught:
            load_recipe(folder, columns, without(object_name, field))
        assert {f.message for f in caught.value.faults} == {f"{object_name!r} has no field {field!r}"}
    lacking = Catalog.of("target", [o for o in target.objects.values() if o.name != "Deal"])
    with pytest.raises(MappingError) as caught:
        load_recipe(folder, columns, lacking)
    assert [f.message for f in caught.value.faults] == ["the target has no object 'Deal'"]


def test_a_folder_without_blueprint_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no blueprint\.yaml"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("text", ["- a\n", "", "a: [\n", "\t", "a: 1\na: 2\n"])
def test_a_file_that_is_no_mapping(folder: Path, text: str) -> None:
    (folder / "calls.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_recipe(folder)
    assert "calls.yaml" in {f.file for f in caught.value.faults}
