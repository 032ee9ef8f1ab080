"""Evidence that does not come from the verifier: the answer key, and the cells of the workbook as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from python_calamine import load_workbook

from rehouse.discover.discovery import FINDINGS
from rehouse.mapping.expressions import columns_used, used_values
from rehouse.mapping.schema import Recipe
from rehouse.plan.build import PLANNED
from rehouse.plan.engine import parquet, text
from rehouse.staging.manifest import StagedObject

Flaw = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Score:
    """Flaws of one kind: planted by us, found among them, and found where none was planted."""

    kind: str
    planted: int
    found: int
    false: int


def scores(answer_key: Path, discovery: Path) -> list[Score]:
    """Each kind of planted flaw beside what discovery found, compared by kind, object, key and field."""
    key = json.loads(answer_key.read_text(encoding="utf-8"))
    planted: set[Flaw] = {(f["kind"], f["object"], f["key"], f["field"]) for f in key["flaws"]}
    with duckdb.connect() as connection:
        listed = connection.execute(
            f"SELECT kind, object, coalesce(key, ''), coalesce(field, '') FROM {parquet(discovery / FINDINGS)}"
        ).fetchall()
    found: set[Flaw] = {(r[0], r[1], r[2], r[3]) for r in listed}
    put = Counter(f[0] for f in planted)
    hit = Counter(f[0] for f in planted & found)
    wrong = Counter(f[0] for f in found - planted)
    return [Score(kind, put[kind], hit[kind], wrong[kind]) for kind in sorted({*put, *wrong})]


def telling_record(folder: Path, staged: StagedObject, output: str, column: str) -> str:
    """The loaded record with most filled cells, the one with the longest `column` among these."""
    filled = " + ".join(f'("{c.name}" IS NOT NULL)::INT' for c in staged.columns)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT s._rid FROM {parquet(staged.path)} s JOIN {parquet(folder / PLANNED)} p ON p.rid = s._rid "
            f"WHERE p.object = {text(staged.name)} AND p.output = {text(output)} AND p.outcome = 'load' "
            f'ORDER BY {filled} DESC, length("{column}") DESC, s._rid LIMIT 1'
        ).fetchall()
    return str(found[0][0])


class Cells:
    """The cells of one staged object's sheet, read straight from the workbook."""

    def __init__(self, workbook: Path, staged: StagedObject) -> None:
        self.sheet = staged.parts[0].sheet
        with load_workbook(str(workbook)) as book:
            self._rows = book.get_sheet_by_name(self.sheet).to_python(skip_empty_area=False)
        headers = {c.header for c in staged.columns if c.present}
        top = max(self._rows[:20], key=lambda row: len(headers & {str(v) for v in row}))
        self._letters = {str(name): position for position, name in enumerate(top)}
        self._headers = {c.name: c.header for c in staged.columns}

    def cell(self, column: str, row: int) -> tuple[str, Any] | None:
        """Address and content of a column's cell in a sheet row, e.g. `("F17", "…")`; None for no such column."""
        place = self._letters.get(self._headers.get(column, ""))
        if place is None:
            return None
        return f"{_letters(place)}{row}", self._rows[row - 1][place]


def _letters(place: int) -> str:
    """Position from 0 → a spreadsheet's column letters."""
    name, rest = "", place + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        name = chr(65 + digit) + name
    return name


def columns_behind(recipe: Recipe, output: str, field: str) -> list[str]:
    """Source columns that a target field is made of, also those behind named values."""
    found = recipe.output(output)
    if found is None:
        return []
    mapping, wanted = found
    expression = wanted.fields.get(field)
    if expression is None:
        return []
    names = set(columns_used(expression))
    for value in used_values(expression, mapping.values):
        names |= columns_used(mapping.values[value])
    return sorted(names - set(mapping.values))


def way_of(story: Mapping[str, Any], recipe: Recipe, cells: Cells) -> list[tuple[str, Any, str, str, Any]]:
    """(cell, what it holds, rule, target field, what the target holds) for each field of a record's story."""
    row = int(story["steps"][0]["text"].rpartition("row ")[2])
    lines = []
    for told in story["fields"]:
        found = [c for n in columns_behind(recipe, told["output"], told["field"]) if (c := cells.cell(n, row))]
        if found:
            places, held = " ".join(c[0] for c in found), " + ".join(str(c[1]) for c in found)
            lines.append((places, held, told["rule"], f"{told['object']}.{told['field']}", told["landed"]))
    return lines
