"""What a plan will cost on the target, before it runs: calls, bulk batches, storage, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from rehouse.connectors.base import JobKind, Limits
from rehouse.plan.stages import LoadRecords

BULK_CALLS_PER_PART = 9
"""Create, upload, close, about three polls, three result files."""
READ_BACK_CALLS = 6
"""Create a query job, about three polls, two pages of results, per object and reading."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected use of the target's limits. `fits` is false where a limit is known and too small."""

    records: int
    calls: int
    bulk_batches: int
    storage_bytes: int
    file_bytes: int
    calls_left: int | None
    bulk_batches_left: int | None
    storage_bytes_left: int | None
    file_storage_bytes_left: int | None

    def shortfalls(self) -> list[str]:
        """One line per limit that this plan would break."""
        pairs = (
            ("API calls", self.calls, self.calls_left),
            ("bulk batches", self.bulk_batches, self.bulk_batches_left),
            ("data storage in bytes", self.storage_bytes, self.storage_bytes_left),
            ("file storage in bytes", self.file_bytes, self.file_storage_bytes_left),
        )
        return [
            f"{name}: needs {need:,}, {left:,} left" for name, need, left in pairs if left is not None and need > left
        ]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "fits": not self.shortfalls(), "shortfalls": self.shortfalls()}


def forecast(stages: Iterable[LoadRecords], limits: Limits, file_bytes: int, schema_calls: int) -> Forecast:
    """Add up every load stage. Reading back and reconciling count too."""
    calls, batches, inserted, records = schema_calls, 0, 0, 0
    for stage in stages:
        records += stage.rows
        if stage.op == "insert":
            inserted += stage.rows
        if stage.kind == JobKind.BULK:
            calls += stage.parts * BULK_CALLS_PER_PART
            batches += ceil(stage.rows / limits.rows_per_bulk_batch)
        else:
            calls += stage.parts
        calls += 2 * READ_BACK_CALLS
    return Forecast(
        records=records,
        calls=calls,
        bulk_batches=batches,
        storage_bytes=inserted * limits.bytes_per_record,
        file_bytes=file_bytes,
        calls_left=limits.calls_left,
        bulk_batches_left=limits.bulk_batches_left,
        storage_bytes_left=limits.storage_bytes_left,
        file_storage_bytes_left=limits.file_storage_bytes_left,
    )


def parts_of(rows: int, kind: JobKind, limits: Limits) -> int:
    """Number of jobs or requests that a stage of that size takes."""
    if rows == 0:
        return 0
    size = {JobKind.BULK: limits.rows_per_part, JobKind.ROWS: limits.rows_per_request, JobKind.FILES: 1}[kind]
    return ceil(rows / size)
