"""From symbolic references to target ids: a consignment joined with the id map, set-wise.

A consignment is frozen before anything is loaded, so its reference cells hold `Output:key`
(`Contact:1001`), `Output.Field:key` (another field of the parent) or `RecordType.Object:name`.
The table `refs(ref, id)` is filled from the ledger's id map and from the target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from rehouse.plan.engine import ident, parquet, text
from rehouse.plan.stages import Consignment


def make_refs(
    connection: duckdb.DuckDBPyConnection,
    parents: Collection[str],
    record_types: Mapping[tuple[str, str], str],
    extra: Iterable[tuple[str, str]] = (),
) -> None:
    """Fill `refs` from the view `id_map(object, key, id, …)`, the record types and `extra` (ref, id) pairs.

    Only outputs that somebody refers to (`parents`) are taken: the many records without children stay outside.
    """
    listed = ", ".join(text(p) for p in sorted(parents)) or "NULL"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE refs AS SELECT object || ':' || key AS ref, id FROM id_map "
        f"WHERE id IS NOT NULL AND object IN ({listed})"
    )
    pairs = [(f"RecordType.{o}:{n}", i) for (o, n), i in record_types.items()] + list(extra)
    if pairs:
        table = pa.table({"ref": [p[0] for p in pairs], "id": [p[1] for p in pairs]})
        connection.register("_more_refs", table)
        connection.execute("INSERT INTO refs SELECT ref, id FROM _more_refs")
        connection.unregister("_more_refs")


def resolved(consignment: Consignment, folder: Path) -> str:
    """A SELECT over the consignment with references replaced by target ids.

    Columns: `_key`, `_rid`, `_row`, every field, and `_unresolved` (the first reference that has no id yet,
    null when all are known).
    """
    source = parquet(folder / consignment.file)
    joins, columns, missing = [], [], []
    for number, field in enumerate(consignment.references):
        alias = f"r{number}"
        joins.append(f"LEFT JOIN refs {alias} ON {alias}.ref = c.{ident(field)}")
        missing.append(f"WHEN c.{ident(field)} IS NOT NULL AND {alias}.id IS NULL THEN c.{ident(field)}")
        columns.append(f"{alias}.id AS {ident(field)}")
    plain = [f"c.{ident(f)}" for f in consignment.fields if f not in consignment.references]
    unresolved = f"CASE {' '.join(missing)} END" if missing else "CAST(NULL AS VARCHAR)"
    listed = ", ".join(["c._key", "c._rid", "c._row", *plain, *columns, f"{unresolved} AS _unresolved"])
    return f"SELECT {listed} FROM {source} c {' '.join(joins)}"


def parent_outputs(consignment: Consignment, folder: Path, connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Outputs that the consignment's references point at."""
    return {p.partition(".")[0] for p in _prefixes(consignment, folder, connection) if not p.startswith("RecordType.")}


def parent_fields(consignment: Consignment, folder: Path, connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Prefixes `Output.Field` used by the consignment's references (not record types)."""
    prefixes = _prefixes(consignment, folder, connection)
    return {p for p in prefixes if "." in p and not p.startswith("RecordType.")}


def _prefixes(consignment: Consignment, folder: Path, connection: duckdb.DuckDBPyConnection) -> set[str]:
    found: set[str] = set()
    for field in consignment.references:
        rows = connection.execute(
            f"SELECT DISTINCT split_part({ident(field)}, ':', 1) FROM {parquet(folder / consignment.file)} "
            f"WHERE {ident(field)} IS NOT NULL"
        ).fetchall()
        found |= {r[0] for r in rows}
    return found


def keys_of(consignment: Consignment, folder: Path, only: Path | None) -> str:
    """A SELECT of the consignment's keys, restricted to a sample's key file (`output`, `key`) where given."""
    base = f"SELECT _key FROM {parquet(folder / consignment.file)}"
    if only is None:
        return base
    return f"{base} WHERE _key IN (SELECT key FROM {parquet(only)} WHERE output = {text(consignment.output)})"
