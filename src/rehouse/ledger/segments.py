"""Segments: content-addressed Parquet files, on disk before the event that names them.

A segment's name is the sha256 of its bytes, so a file that was edited, truncated or swapped no longer
matches its name. Writing the same rows again gives the same file (same pyarrow version) and does no harm.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from rehouse.errors import FatalError
from rehouse.ledger.disk import is_alive, sync_file, sync_folder

OUTCOMES, PREIMAGES, ROWS, LANDED = "outcomes", "preimages", "rows", "landed"
"""The kinds that the ledger knows. `rows` and `landed` may have any columns."""

OUTCOME_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("id", pa.string()),
        pa.field("ok", pa.bool_()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
        pa.field("advice", pa.string()),
    ]
)
"""What connectors answer for a part; an outcomes segment always has exactly these columns."""

PREIMAGE_ID = "Id"
_KIND_KEY = b"rehouse.kind"
_GROUP_ROWS = 131_072
_GROUP_BYTES = 64 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader | Iterator[pa.RecordBatch]"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: `digest` is the sha256 of its bytes (hex), `rows` its row count."""

    digest: str
    kind: str
    rows: int
    path: Path


class _Hashing(io.RawIOBase):
    """A file that hashes what it writes. Parquet is written front to back, so one pass is enough."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self.sha = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.sha.update(data)
        with _disk_faults():
            self._file.write(data)
        return len(data)

    def finish(self) -> str:
        """Bring the bytes to disk and give their digest."""
        with _disk_faults():
            self._file.flush()
            sync_file(self._file.fileno())
        return self.sha.hexdigest()

    def close(self) -> None:
        with suppress(OSError):  # what matters was flushed by `finish`; a file without it is thrown away
            self._file.close()
        super().close()


@contextmanager
def _disk_faults() -> Iterator[None]:
    # Only around our own file: an OSError of the source of the rows is not ours to explain.
    try:
        yield
    except OSError as error:
        raise FatalError(
            f"cannot write a segment: {error.strerror or error}",
            hint="check that the disk has room, then run again: what is open is settled first",
        ) from error


class SegmentStore:
    """A folder of segments. Any number of writers and readers may share it, also over a network share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._host = re.sub(r"[^A-Za-z0-9.]", "", socket.gethostname()) or "host"

    def write(self, rows: Rows, kind: str) -> Segment:
        """Store rows and return when they are durable under their digest.

        Batches are gathered into row groups, so memory stays flat. Outcomes and pre-images are brought to
        their schema (see `conform`). An empty iterator has no schema: pass a reader or an empty table.
        """
        schema, batches = _as_batches(rows, kind)
        temporary = self._temporary()
        try:
            digest, count = self._write_file(temporary, schema, batches, kind)
            final = self.path(digest)
            temporary.replace(final)  # over an older copy too: that heals a damaged one
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)
        return Segment(digest, kind, count, final)

    def _write_file(
        self, path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], kind: str
    ) -> tuple[str, int]:
        named = schema.with_metadata({**(schema.metadata or {}), _KIND_KEY: kind.encode()})
        count = 0
        with _Hashing(path) as file:
            with pq.ParquetWriter(file, named, compression="zstd") as writer:
                for group in _groups(batches, schema):
                    writer.write_table(group.replace_schema_metadata(named.metadata), row_group_size=_GROUP_ROWS)
                    count += group.num_rows
            return file.finish(), count

    def path(self, digest: str) -> Path:
        """Where a segment lives, present or not."""
        if not _DIGEST.fullmatch(digest):
            raise FatalError(f"{digest[:80]!r} is no segment digest", hint="the ledger was edited: verify it")
        return self.folder / f"{digest}.parquet"

    def stat(self, digest: str) -> Segment:
        """Kind and row count from the file's footer, without reading its rows."""
        path = self._present(digest)
        metadata = pq.read_metadata(path)
        kind = (metadata.metadata or {}).get(_KIND_KEY, b"").decode()
        return Segment(digest, kind, metadata.num_rows, path)

    def schema(self, digest: str) -> pa.Schema:
        """The columns of a segment."""
        return pq.read_schema(self._present(digest))

    def read(self, digest: str) -> pa.Table:
        """All rows of a segment. For many segments at once use the ledger's DuckDB views."""
        return pq.read_table(self._present(digest), partitioning=None).replace_schema_metadata(None)

    def verify(self, digest: str) -> str | None:
        """What is wrong with a segment in one sentence, or None."""
        path = self.path(digest)
        if not path.is_file():
            return f"segment {digest} is missing"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return None if found == digest else f"segment {digest} was changed: its bytes now hash to {found}"

    def sweep(self) -> None:
        """Remove half-written files of processes of this machine that are gone."""
        for path in self.folder.glob(f".tmp-{self._host}-*"):
            pid = path.name.rsplit("-", 2)[1]
            if pid.isdigit() and not is_alive(int(pid)):
                path.unlink(missing_ok=True)

    def _present(self, digest: str) -> Path:
        path = self.path(digest)
        if not path.is_file():
            raise FatalError(
                f"segment {digest} is missing from {self.folder}",
                hint="restore the folder from a backup; verifying the ledger lists everything that is missing",
            )
        return path

    def _temporary(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f".tmp-{self._host}-{os.getpid()}-{uuid.uuid4().hex}"


def conform(batch: pa.RecordBatch | pa.Table, kind: str) -> pa.RecordBatch | pa.Table:
    """Bring rows to the schema of their kind.

    Outcomes have exactly the columns of `OUTCOME_SCHEMA`; pre-images have a column `Id` and text columns.
    """
    if kind == OUTCOMES:
        missing = [name for name in OUTCOME_SCHEMA.names if name not in batch.schema.names]
        if missing:
            raise FatalError(f"an outcomes segment lacks the columns {', '.join(missing)}")
        return batch.select(OUTCOME_SCHEMA.names).cast(OUTCOME_SCHEMA)
    if kind == PREIMAGES:
        if PREIMAGE_ID not in batch.schema.names:
            raise FatalError(f"a preimages segment lacks the column {PREIMAGE_ID}")
        return batch.cast(pa.schema([pa.field(name, pa.string()) for name in batch.schema.names]))
    return batch


def _as_batches(rows: Rows, kind: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    if hasattr(rows, "schema"):  # a table or a reader: knows its columns even when it has no rows
        source = rows.to_batches() if isinstance(rows, pa.Table) else rows
        empty = conform(rows.schema.empty_table(), kind)
        return empty.schema, (conform(batch, kind) for batch in source)
    first: pa.RecordBatch | None = next(rows, None)
    if first is None:
        raise FatalError("a segment of no batches has no columns; pass an empty table instead")
    first = conform(first, kind)
    return first.schema, _chain(first, (conform(batch, kind) for batch in rows))


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather small batches, so that a thousand of 200 rows do not become a thousand row groups."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)
