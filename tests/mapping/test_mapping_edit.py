"""Edits keep every comment and every other line as it was."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest

from rehouse.errors import MappingError
from rehouse.mapping.edit import add_field, set_creates_record_types, set_option_map
from rehouse.mapping.editor_schema import json_schema
from rehouse.mapping.expressions import CONDITIONS, OPERATORS, Option, RecordType
from rehouse.mapping.load import load_recipe

NASTY = {"Satış / Teklif": "Proposal/Price Quote", "yes": "Evet", "1": "2", "a, b": "it's #1", "é: b": "null", "~": "-"}


def differing(before: str, after: str) -> list[str]:
    """Lines that differ, white space between words aside (a comment may move sideways)."""

    def plain(text: str) -> list[str]:
        return [" ".join(line.split()) for line in text.splitlines()]

    return [d for d in difflib.ndiff(plain(before), plain(after)) if d[0] in "+-"]


def test_an_option_map_is_replaced_and_read_back(folder: Path) -> None:
    file = folder / "deals.yaml"
    before = file.read_text(encoding="utf-8")
    set_option_map(file, "Deal", "StageName", NASTY)
    set_option_map(file, "Deal", "TypeId", {"Satış": "Satis"})
    output = load_recipe(folder).objects["deals"].outputs["Deal"]
    stage, kind = output.fields["StageName"], output.fields["TypeId"]
    assert isinstance(stage, Option)
    assert dict(stage.map) == NASTY
    assert isinstance(kind, RecordType)
    assert dict(kind.map) == {"Satış": "Satis"}
    lines = differing(before, file.read_text(encoding="utf-8"))
    assert len(lines) == 4
    assert ["StageName" in line or "TypeId" in line for line in lines] == [True] * 4
    assert "# filled by a person" in file.read_text(encoding="utf-8")


def test_an_option_map_in_block_style_is_replaced(folder: Path) -> None:
    file = folder / "people.yaml"
    before = file.read_text(encoding="utf-8")
    set_option_map(file, "Person", "Tone__c", {"Ilık": "Warm"})
    assert differing(before, file.read_text(encoding="utf-8")) == [
        "- map: {Sıcak: Warm, Soğuk: Cold}",
        "+ map: {Ilık: Warm}",
    ]


def test_a_field_is_added_after_the_others(folder: Path) -> None:
    file = folder / "people.yaml"
    before = file.read_text(encoding="utf-8")
    add_field(file, "Person", "Tedavi_Paketi__c", {"text": "title", "max": 255})
    recipe = load_recipe(folder)
    assert list(recipe.objects["people"].outputs["Person"].fields)[-1] == "Tedavi_Paketi__c"
    assert differing(before, file.read_text(encoding="utf-8")) == ["+ Tedavi_Paketi__c: {text: title, max: 255}"]


def test_record_types_to_create_are_written_and_read_back(folder: Path) -> None:
    wanted: list[dict[str, Any]] = [
        {
            "object": "Deal",
            "name": "Satis",
            "label": "Satış",
            "stages": [
                {"value": "Yeni", "probability": 10, "won": False, "closed": False, "category": "Pipeline"},
                {"value": "Kazanıldı", "probability": 100, "won": True, "closed": True, "category": "Closed"},
            ],
        }
    ]
    file = folder / "blueprint.yaml"
    before = file.read_text(encoding="utf-8")
    set_creates_record_types(file, wanted)
    set_creates_record_types(file, wanted)  # replaces, never appends
    (made,) = load_recipe(folder).blueprint.creates.record_types
    assert (made.object, made.name, made.label) == ("Deal", "Satis", "Satış")
    assert [(s.value, s.probability, s.won, s.closed, s.category) for s in made.stages] == [
        ("Yeni", 10, False, False, "Pipeline"),
        ("Kazanıldı", 100, True, True, "Closed"),
    ]
    assert all(line.startswith("+ ") for line in differing(before, file.read_text(encoding="utf-8")))


def test_an_edit_that_fits_nothing_is_refused_and_changes_nothing(folder: Path) -> None:
    file = folder / "people.yaml"
    before = file.read_bytes()
    for wrong in (
        lambda: set_option_map(file, "Persons", "Title", {}),
        lambda: set_option_map(file, "Person", "Titel", {}),
        lambda: set_option_map(file, "Person", "Title", {}),
        lambda: add_field(file, "Person", "Title", {"txt": "title"}),
        lambda: add_field(file, "Human", "Title", "title"),
    ):
        with pytest.raises(MappingError):
            wrong()
    assert file.read_bytes() == before


def test_the_editor_schema_knows_every_operator() -> None:
    schema = json_schema()
    operators = schema["$defs"]["expression"]["anyOf"][1:]
    assert {o["required"][0] for o in operators} == set(OPERATORS)
    assert {o["required"][0] for o in schema["$defs"]["condition"]["anyOf"]} == set(CONDITIONS)
    text = next(o for o in operators if o["required"] == ["text"])
    assert text["properties"]["max"] == {"type": "integer", "minimum": 1}
    assert text["additionalProperties"] is False
