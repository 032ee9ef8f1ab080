"""The platform's limits as data, with their sources, and what an org says of its own.

Sources: [BULK] Bulk API 2.0 Developer Guide; [LIM] Salesforce Developer Limits and Allocations Quick Reference;
[REST] REST API Developer Guide; [HELP] article 000193871 (storage per record).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rehouse.connectors.base import Limits, Settings
from rehouse.connectors.salesforce.session import Session
from rehouse.errors import UserError

COLLECTION_ROWS = 200
"""Records of one collections call [REST]."""
BULK_FROM_ROWS = 2_000
"""From here on the documentation recommends Bulk [LIM]."""
BULK_BATCH_ROWS = 10_000
"""Rows of one internal batch; each counts against `DailyBulkApiBatches` [BULK]."""
UPLOAD_BYTES = 100_000_000
"""One upload: 150 MB after base64, so 100 MB as sent [BULK]."""
PART_ROWS = 100_000
"""Ours: ten internal batches. Small enough to settle quickly after a crash, large enough to fill the pipe."""
FILE_BYTES = 2 * 1024**3
"""A file sent as multipart [REST]; JSON bodies end at 37.5 MB and are not used."""
RECORD_BYTES = 2_048
"""Storage of most records [HELP]; person accounts take 4 KB, campaigns 8 KB."""
SOQL_CHARACTERS = 100_000
"""Text of one query [LIM]."""
URI_BYTES = 16_384
"""Address of one request; headers and address together must stay below it as well [REST]."""
QUERY_PAGE_ROWS = 2_000
"""Rows of one page of a REST query, at most [REST]."""
BULK_QUERY_FROM_ROWS = 10_000
"""Ours: above this a bulk query costs fewer calls than pages of 2,000."""
METADATA_PER_CALL = 10
"""Components of one type in one call of the Metadata interface (Metadata API Developer Guide)."""
BULK_QUERY_FROM_VALUES = 4_000
"""Ours: a longer list to filter by goes into the text of bulk queries, which hold ten times as much."""
MEGABYTE = 1024**2


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a load is cut, from the connection's settings `bulk_from_rows` and `rows_per_part`.

    Smaller parts settle sooner after a crash and show progress sooner; a lower threshold spares calls where a
    day's requests are scarce and its Bulk batches are not.
    """

    bulk_from_rows: int = BULK_FROM_ROWS
    rows_per_part: int = PART_ROWS

    @classmethod
    def of(cls, settings: Settings) -> Sizes:
        """Errors: `UserError` for a figure that is no positive whole number, or a part above the shipped size."""
        found = {n: settings[n] for n in ("bulk_from_rows", "rows_per_part") if settings.get(n) is not None}
        for name, value in found.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"the connection's `{name}` is {value!r}", hint="give a whole number from 1 on")
        if found.get("rows_per_part", 0) > PART_ROWS:
            raise UserError(
                f"the connection's `rows_per_part` is above {PART_ROWS:,}", hint="smaller parts only: leave it out"
            )
        return cls(**found)


def ask(session: Session, sizes: Sizes) -> Limits:
    """The limits that bind a load now, from the org's `limits` resource."""
    said = session.get("/limits")
    return Limits(
        rows_per_request=COLLECTION_ROWS,
        bulk_from_rows=sizes.bulk_from_rows,
        rows_per_part=sizes.rows_per_part,
        bytes_per_part=UPLOAD_BYTES,
        rows_per_bulk_batch=BULK_BATCH_ROWS,
        file_bytes=FILE_BYTES,
        calls_max=_figure(said, "DailyApiRequests", "Max"),
        calls_left=_figure(said, "DailyApiRequests", "Remaining"),
        bulk_batches_max=_figure(said, "DailyBulkApiBatches", "Max"),
        bulk_batches_left=_figure(said, "DailyBulkApiBatches", "Remaining"),
        storage_bytes_max=_bytes(said, "DataStorageMB", "Max"),
        storage_bytes_left=_bytes(said, "DataStorageMB", "Remaining"),
        file_storage_bytes_left=_bytes(said, "FileStorageMB", "Remaining"),
        bytes_per_record=RECORD_BYTES,
    )


def _figure(said: Any, name: str, part: str) -> int | None:
    value = (said.get(name) or {}).get(part)
    return None if value is None else int(value)


def _bytes(said: Any, name: str, part: str) -> int | None:
    value = _figure(said, name, part)
    return None if value is None else value * MEGABYTE
