"""Records fetched from the target in bulk into Parquet: binding, read-back, diff and rollback all use this."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rehouse.connectors.base import AnyOf, AuditFields, Condition, In, NotNull, Query, Since, Target
from rehouse.events import Progress, Sink
from rehouse.model.durable import settle_file
from rehouse.plan.engine import parquet, text


def fetch_to(target: Target, query: Query, out: Path, sink: Sink, step: str, *, without: Collection[str] = ()) -> int:
    """Fetch records into one Parquet file (text columns, `Id` first); `without` leaves out records by id.

    Streams, so memory stays flat. Returns the number of records written.
    """
    names = list(dict.fromkeys(["Id", *query.fields]))
    schema = pa.schema([pa.field(n, pa.string()) for n in names])
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".tmp")
    left_out = pa.array(sorted(without), pa.string())
    done = 0
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for batch in target.fetch(query):
            table = pa.Table.from_batches([batch]).select(names).cast(schema)
            if len(left_out):
                table = table.filter(pc.invert(pc.is_in(table["Id"], value_set=left_out)))
            writer.write_table(table)
            done += table.num_rows
            sink(Progress(step, query.object, done))
    settle_file(temporary, out)
    return done


def fetch_strays(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    query: Query,
    ours: str,
    out: Path,
    sink: Sink,
    where: Condition | None = None,
) -> None:
    """Add to `out` those of our records (`ours` selects `id`) that `query` did not bring: their mark may be gone.

    They are asked for by id, or, where an object cannot be asked so, by `where`, of which only ours are kept.
    Without this a record whose external id somebody blanked would count as deleted.
    """
    lost = [
        r[0]
        for r in connection.execute(
            f"SELECT id FROM ({ours}) WHERE id IS NOT NULL AND id NOT IN (SELECT Id FROM {parquet(out)}) ORDER BY id"
        ).fetchall()
    ]
    if not lost:
        return
    found = out.with_suffix(".strays.parquet")
    if fetch_to(target, replace(query, where=where or In("Id", tuple(lost))), found, sink, "read back"):
        connection.register("_lost", pa.table({"id": pa.array(lost, pa.string())}))
        both = out.with_suffix(".both.parquet")
        connection.execute(
            f"COPY (SELECT * FROM {parquet(out)} UNION ALL SELECT * FROM {parquet(found)} "
            f"WHERE Id IN (SELECT id FROM _lost)) TO {text(str(both))} (FORMAT parquet, COMPRESSION zstd)"
        )
        connection.unregister("_lost")
        settle_file(both, out)
    found.unlink(missing_ok=True)


def audit_columns(audit: AuditFields) -> list[str]:
    """The audit fields that exist, in a fixed order."""
    listed = (audit.created, audit.created_by, audit.modified, audit.modified_by, audit.stamp)
    return [name for name in listed if name]


def marked_or_new(key_field: str, audit: AuditFields, since: datetime) -> Condition:
    """Records that carry our external id, and any that appeared since the run began."""
    if audit.created is None:
        return NotNull(key_field)
    return AnyOf((NotNull(key_field), Since(audit.created, since)))
