"""From the raw parts of an object to its staged Parquet file: row numbers, keys, duplicates, digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rehouse.errors import FatalError
from rehouse.formats.part import ROW, Part
from rehouse.formats.sql import identifier, literal, one
from rehouse.knowledge.load import Layout, ObjectLayout

BLANKS = " \t\r\n\u00a0\u2007\u202f\ufeff"
"""Characters that count as blank around a key: space, tab, line ends, the no-break spaces, a stray mark."""

ROW_GROUP = 30_720
"""Rows of one Parquet row group: wide texts of a group are held in memory while it is written."""

UPDATED = "updated_at"
"""The column whose later value wins between two rows with the same key."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Counts of one staged object."""

    rows: int
    duplicates: int
    without_key: int


def trimmed(name: str) -> str:
    """SQL: the column without blanks around it, NULL when nothing is left."""
    return f"nullif(trim({identifier(name)}, {_text(BLANKS)}), '')"


def finish(
    con: duckdb.DuckDBPyConnection,
    parts: Sequence[Part],
    columns: Sequence[str],
    spec: ObjectLayout,
    layout: Layout,
    out: Path,
) -> Finished:
    """Write the staged Parquet of one object from its raw parts, in the order of the parts.

    `columns` are the VARCHAR columns to write, in order; those a part lacks are NULL there.
    """
    con.execute(f"CREATE OR REPLACE TEMP VIEW raw AS {_union(parts, columns)}")
    con.execute(f"CREATE OR REPLACE TEMP VIEW keyed AS SELECT *, {_key(spec)} AS _key FROM raw")
    duplicates = _find_duplicates(con, spec, layout)
    several = len(parts) > 1
    _copy(con, _staged(columns, several, bool(duplicates)), out)
    path = literal(str(out))
    if duplicates and one(con, f"SELECT count(*) FROM {_numbered(out)} WHERE _row <> file_row_number + 1")[0]:
        # The join kept no order this time; sorting wide rows is slow, so it is done only then.
        ordered = out.with_suffix(".ordered.parquet")
        _copy(con, f"SELECT * FROM read_parquet({path}) ORDER BY _row", ordered)
        ordered.replace(out)
    made = f"SELECT _rid FROM read_parquet({path}) WHERE _rid IS DISTINCT FROM _key"
    clashes = one(con, f"SELECT count(*) - count(DISTINCT _rid) FROM ({made})")[0]
    clashes += one(con, f"SELECT count(*) FROM read_parquet({path}) WHERE _key = _rid AND _key IN ({made})")[0]
    if clashes:
        raise FatalError(
            f"{clashes} record ids of {out.stem} are not unique",
            hint="a key in the export looks like one of our own (`key#row`): please report it",
        )
    rows, keyed = one(con, f"SELECT count(*), count(_key) FROM read_parquet({path})")
    return Finished(int(rows), duplicates, int(rows - keyed))


def _copy(con: duckdb.DuckDBPyConnection, sql: str, out: Path) -> None:
    con.execute(f"COPY ({sql}) TO {literal(str(out))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})")


def _numbered(path: Path) -> str:
    return f"read_parquet({literal(str(path))}, file_row_number=true)"


def _union(parts: Sequence[Part], columns: Sequence[str]) -> str:
    selects, base = [], 0
    files = [part.file for part in parts]
    for part in parts:
        place = part.file if files.count(part.file) == 1 else f"{part.file}/{part.sheet}"
        present = {column.name for column in part.columns}
        cells = (identifier(c) if c in present else f"NULL::VARCHAR AS {identifier(c)}" for c in columns)
        selects.append(
            f"SELECT {', '.join(cells)}, (file_row_number + {base + 1})::BIGINT AS _row, "
            f"{literal(part.file)} AS _file, {literal(place)} AS _place, {ROW}, "
            f"{str(part.is_csv).lower()} AS _csv "
            f"FROM read_parquet({literal(str(part.path))}, file_row_number=true)"
        )
        base += part.rows
    return " UNION ALL ".join(selects)


def _key(spec: ObjectLayout) -> str:
    if len(spec.key) == 1:
        return trimmed(spec.key[0])
    joined = ", '|', ".join(f"coalesce({trimmed(name)}, '')" for name in spec.key)
    blank = " AND ".join(f"{trimmed(name)} IS NULL" for name in spec.key)
    return f"CASE WHEN {blank} THEN NULL ELSE concat({joined}) END"


def _find_duplicates(con: duckdb.DuckDBPyConnection, spec: ObjectLayout, layout: Layout) -> int:
    """Fill the table `losers` (row number, key): rows that give way to another with the same key."""
    stamp = "NULL::TIMESTAMP"
    if UPDATED in spec.columns:
        formats = ", ".join(literal(f) for f in layout.datetime_formats)
        stamp = f"try_strptime({trimmed(UPDATED)}, [{formats}])"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE losers AS SELECT _row, _key AS _dup_of, "
        f"count(*) OVER (PARTITION BY _key, {ROW}) > 1 AS _again FROM ("
        f"SELECT _row, _key, {ROW}, "
        "row_number() OVER (PARTITION BY _key ORDER BY _stamp DESC NULLS LAST, _row) AS n "
        f"FROM (SELECT _row, _key, {ROW}, {stamp} AS _stamp FROM keyed WHERE _key IN "
        "(SELECT _key FROM keyed WHERE _key IS NOT NULL GROUP BY _key HAVING count(*) > 1))) WHERE n > 1"
    )
    return int(one(con, "SELECT count(*) FROM losers")[0])


def _staged(columns: Sequence[str], several: bool, duplicates: bool) -> str:
    blank = f"'row:' || CASE WHEN _csv OR {str(several).lower()} THEN _place || ':' ELSE '' END || {ROW}"
    names = ", ".join(identifier(name) for name in columns)
    pairs = ", ".join(f"{literal(name + '=')} || {identifier(name)}" for name in sorted(columns))
    digest = f"md5(concat_ws(chr(31), {pairs}))"
    if not duplicates:
        return (
            f"SELECT {names}, _row, _file, {ROW}, _key, coalesce(_key, {blank}) AS _rid, "
            f"NULL::VARCHAR AS _dup_of, {digest} AS _digest FROM keyed"
        )
    loser = f"_key || '#' || CASE WHEN _again THEN _place || ':' ELSE '' END || {ROW}"
    return (
        f"SELECT {names}, _row, _file, {ROW}, _key, CASE WHEN _dup_of IS NOT NULL THEN {loser} "
        f"ELSE coalesce(_key, {blank}) END AS _rid, _dup_of, {digest} AS _digest "
        "FROM keyed LEFT JOIN losers USING (_row)"
    )


def _text(characters: str) -> str:
    return " || ".join(f"chr({ord(character)})" for character in characters)
