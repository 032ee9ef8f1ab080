"""Records fetched from the target in bulk into Parquet: binding, read-back, diff and rollback all use this."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rehouse.connectors.base import AnyOf, AuditFields, Condition, NotNull, Query, Since, Target
from rehouse.events import Progress, Sink
from rehouse.model.durable import settle_file


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


def audit_columns(audit: AuditFields) -> list[str]:
    """The audit fields that exist, in a fixed order."""
    listed = (audit.created, audit.created_by, audit.modified, audit.modified_by, audit.stamp)
    return [name for name in listed if name]


def marked_or_new(key_field: str, audit: AuditFields, since: datetime) -> Condition:
    """Records that carry our external id, and any that appeared since the run began."""
    if audit.created is None:
        return NotNull(key_field)
    return AnyOf((NotNull(key_field), Since(audit.created, since)))
