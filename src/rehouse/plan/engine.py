"""The embedded engine: one DuckDB connection with bounded memory and a scratch folder to spill into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

MEMORY_LIMIT = "500MB"
"""What the engine may hold before it spills. `apply` as a whole stays under 1 GB at any size."""


def open_engine(scratch: Path, *, memory: str = MEMORY_LIMIT, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills to `scratch`. Order of rows is not preserved unless asked for."""
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"memory_limit": memory, "threads": threads, "temp_directory": str(scratch)})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB 2.0.0 fails to bind text comparisons on a CASE whose column it has proven to be null by statistics
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    return connection


def arrow(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The whole result of a query as a table."""
    table = connection.sql(sql).to_arrow_table()
    assert isinstance(table, pa.Table)
    return table


def count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The single number that a query answers with (0 for no row)."""
    row = one(connection, sql)
    return int(row[0] or 0) if row else 0


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...] | None:
    """The first row of a query that answers with few, or None. Reads to the end: an open result blocks the next."""
    rows = connection.execute(sql).fetchall()
    return rows[0] if rows else None


def ident(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A quoted SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet(path: Path | str) -> str:
    """A table function over one Parquet file."""
    return f"read_parquet({text(str(path))})"
