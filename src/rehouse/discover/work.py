"""What the steps of one discovery share: snapshot, layout, one DuckDB connection, the table of findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from rehouse.discover.discovery import FINDING_COLUMNS
from rehouse.discover.kinds import KINDS
from rehouse.formats.sql import identifier, literal, one
from rehouse.knowledge.load import ColumnLayout, Layout
from rehouse.staging import Snapshot, StagedColumn

EXCERPT = 200
"""Characters of a value that a finding shows."""


@dataclass(slots=True)
class Work:
    """One discovery in progress."""

    con: duckdb.DuckDBPyConnection
    snapshot: Snapshot
    layout: Layout

    def prepare(self) -> None:
        """Create the empty table of findings."""
        columns = ", ".join(f"{name} VARCHAR" for name in FINDING_COLUMNS)
        self.con.execute(f"CREATE TEMP TABLE findings ({columns}, seq BIGINT)")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()

    def number(self, sql: str) -> int:
        return int(one(self.con, sql)[0] or 0)

    def add(self, kind: str, object_name: str, field: str, source: str, *, note: str = "''", seq: str = "_row") -> None:
        """Add a finding per row of `source`, a SELECT with columns `key`, `value` and (unless `seq` says) `_row`.

        `note` is an SQL text appended to the kind's message.
        """
        known = KINDS[kind]
        self.con.execute(
            f"INSERT INTO findings SELECT {literal(kind)}, {literal(object_name)}, key, {literal(field)}, "
            f"left(value, {EXCERPT}), {literal(known.message)} || {note}, {literal(known.severity)}, {seq} "
            f"FROM ({source})"
        )

    def add_rows(self, kind: str, object_name: str, field: str, rows: Iterable[tuple[str, str, str]]) -> None:
        """Add findings from Python: key, value, and what follows the kind's message."""
        keys, values, notes = zip(*rows, strict=True)
        self.table("found", {"key": keys, "value": values, "note": notes})
        self.add(kind, object_name, field, "SELECT *, rowid AS _row FROM found", note="note")

    def table(self, name: str, columns: dict[str, Sequence[Any]]) -> None:
        """A temporary table of texts."""
        data = pa.table({column: pa.array(values, pa.string()) for column, values in columns.items()})
        self.con.register("incoming", data)
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS SELECT * FROM incoming")
        self.con.unregister("incoming")

    def column_layout(self, object_name: str, column: StagedColumn) -> ColumnLayout | None:
        """What the layout says about a column; None for a custom one."""
        return self.layout.objects[object_name].columns.get(column.name)

    def list_of(self, values: Iterable[str]) -> str:
        """SQL: the values as a parenthesised list, never empty."""
        return f"({', '.join(literal(value) for value in values) or 'NULL'})"


def parts_of(text: str, separator: str) -> str:
    """SQL: the values of a cell as a list, blanks trimmed, empty ones left out."""
    split = f"string_split({text}, {literal(separator)})" if separator else f"[{text}]"
    return f"list_filter(list_transform({split}, lambda x: trim(x)), lambda x: x <> '')"
