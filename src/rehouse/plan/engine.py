"""The embedded engine: one DuckDB connection with bounded memory and a scratch folder to spill into."""

from __future__ import annotations

from pathlib import Path

import duckdb

MEMORY_LIMIT = "500MB"
"""What the engine may hold before it spills. `apply` as a whole stays under 1 GB at any size."""


def open_engine(scratch: Path, *, memory: str = MEMORY_LIMIT, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills to `scratch`. Order of rows is not preserved unless asked for."""
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"memory_limit": memory, "threads": threads, "temp_directory": str(scratch)})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def ident(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A quoted SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet(path: Path | str) -> str:
    """A table function over one Parquet file."""
    return f"read_parquet({text(str(path))})"
