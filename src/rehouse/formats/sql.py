"""Names and texts inside SQL statements, quoted; answers of one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb


def identifier(name: str) -> str:
    """A column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("'", "''") + "'"


def one(con: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    """The only row of an answer, read to its end: a connection with an unfinished answer refuses other work."""
    rows = con.execute(sql, list(values)).fetchall()
    return tuple(rows[0])
