"""Control totals: what the source's own screens say, compared with what was read.

Every row of the export counts as a record there, also one that loses against a duplicate or has no key;
an amount that is not a number counts as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rehouse.errors import InputError
from rehouse.formats.part import Part
from rehouse.formats.sql import identifier, literal, one
from rehouse.knowledge.load import Layout
from rehouse.model import Kind
from rehouse.staging.manifest import Control, StagedObject
from rehouse.staging.numbers import value_of

_NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.MONEY)


class ControlTotals(BaseModel):
    """The file of control totals: records per object, sums per object, column and currency, as text."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    taken_at: str = ""
    counts: Mapping[str, int] = {}
    sums: Mapping[str, Mapping[str, Mapping[str, str] | str]] = {}


def load_controls(path: Path) -> ControlTotals:
    """Read a file of control totals; `InputError` when it is not one."""
    try:
        data: Any = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
        return ControlTotals.model_validate(data)
    except (ValidationError, YAMLError, UnicodeDecodeError) as fault:
        raise InputError(
            f"not a file of control totals ({fault})",
            hint="expected counts: {object: number} and sums: {object: {column: {currency: '123.45'}}}",
            file=path.name,
        ) from fault


def check_counts(totals: ControlTotals, parts: Mapping[str, Sequence[Part]], source: str) -> list[Control]:
    """Compare records per object. Fewer than the control total is an `InputError`: the export is cut."""
    result = []
    for name, expected in totals.counts.items():
        found = sum(part.rows for part in parts.get(name, ()))
        if found < expected:
            raise _short(name, found, expected, parts.get(name, ()))
        result.append(Control(name, "count", "", "", str(expected), str(found), source))
    return result


def check_sums(
    con: duckdb.DuckDBPyConnection,
    totals: ControlTotals,
    objects: Mapping[str, StagedObject],
    layout: Layout,
    source: str,
) -> list[Control]:
    """Compare sums with exact decimals, by currency where the totals say so."""
    result = []
    for name, columns in totals.sums.items():
        for column, expected in columns.items():
            staged = objects.get(name)
            if staged is None or staged.column(column) is None:
                raise InputError(
                    f"control totals name {name}.{column}, which the export does not have",
                    hint="use the names of objects and columns in the layout",
                    file=source,
                )
            wanted = {"": expected} if isinstance(expected, str) else dict(expected)
            found = _sums(con, staged, column, _currency(name, layout) if "" not in wanted else "", layout)
            for group in sorted({*wanted, *found}):
                figures = (_plain(wanted.get(group, "0"), source), _plain(str(found.get(group, 0)), source))
                result.append(Control(name, "sum", column, group, *figures, source))
    return result


def check_total_rows(
    con: duckdb.DuckDBPyConnection,
    parts: Mapping[str, Sequence[Part]],
    objects: Mapping[str, StagedObject],
    layout: Layout,
) -> list[Control]:
    """Compare the export's own rows of totals with the sum of the records above them."""
    result = []
    for name, read in parts.items():
        for part in read:
            for total in part.totals:
                for column, text in total.values.items():
                    spec = layout.objects[name].columns.get(column)
                    expected = _value(con, text, layout)
                    if spec is None or spec.kind not in _NUMBERS or expected is None:
                        continue
                    found = _sums(con, objects[name], column, "", layout, part.file).get("", Decimal(0))
                    place = f"{part.file} {part.sheet} row {total.row}".replace("  ", " ")
                    figures = (_plain(str(expected), place), _plain(str(found), place))
                    result.append(Control(name, "sum", column, "", *figures, f"total row: {place}"))
    return result


def _sums(
    con: duckdb.DuckDBPyConnection,
    staged: StagedObject,
    column: str,
    currency: str,
    layout: Layout,
    file: str = "",
) -> dict[str, Decimal]:
    spec = layout.objects[staged.name].columns.get(currency)
    group = f"coalesce(trim({identifier(currency)}), '')" if currency else "''"
    for spelling, name in (spec.aliases if spec else {}).items():
        group = f"CASE WHEN {group} = {literal(spelling)} THEN {literal(name)} ELSE {group} END"
    where = f"WHERE _file = {literal(file)}" if file else ""
    rows = con.execute(
        f"SELECT {group} AS g, sum({value_of(identifier(column), layout)}) "
        f"FROM read_parquet({literal(str(staged.path))}) {where} GROUP BY g"
    ).fetchall()
    return {str(g): Decimal(total) for g, total in rows if total is not None}


def _value(con: duckdb.DuckDBPyConnection, text: str, layout: Layout) -> Decimal | None:
    found = one(con, f"SELECT {value_of('t', layout)} FROM (SELECT ?::VARCHAR AS t)", [text])[0]
    return Decimal(found) if found is not None else None


def _currency(name: str, layout: Layout) -> str:
    pipelines = layout.pipelines
    return pipelines.currency if pipelines and pipelines.object == name else ""


def _plain(text: str, source: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation as fault:
        raise InputError(f"{text!r} is not a decimal number", hint="write sums as '1234.56'", file=source) from fault
    rounded = value.normalize()
    return format(rounded if rounded != 0 else Decimal(0), "f")


def _short(name: str, found: int, expected: int, parts: Sequence[Part]) -> InputError:
    if not parts:
        return InputError(
            f"object {name} is not in the export, but the control totals say {expected:,} records",
            hint="export it, or correct the control totals",
        )
    last = parts[-1]
    read = ", ".join(f"{part.sheet or part.file}: {part.rows:,}" for part in parts)
    return InputError(
        f"{found:,} rows found, {expected:,} expected by the control totals ({read}); "
        f"the last row read is {last.last_row:,}: the export is probably cut",
        hint="export the object again in full, or correct the control totals",
        file=last.file,
        sheet=last.sheet,
        row=last.last_row,
    )
