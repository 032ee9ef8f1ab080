"""The ledger's segments as DuckDB sees them: id map, outcomes, pre-images.

History is a plain view over the Parquet files and is streamed. What needs the newest row per key is computed
once per object and set of segments and kept as a Parquet file in the cache; DuckDB does that set-wise and may
spill, so memory does not grow with the rows. The cache is derived and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rehouse.ledger.disk import sync_file
from rehouse.ledger.segments import PREIMAGE_ID

if TYPE_CHECKING:
    import duckdb

_VERSION = "1"
"""Part of the name of every cached file: raise it when the statements below change."""

_HISTORY = (
    "object VARCHAR, key VARCHAR, id VARCHAR, ok BOOLEAN, code VARCHAR, message VARCHAR, advice VARCHAR, "
    "run VARCHAR, stage VARCHAR, part BIGINT, op VARCHAR, seq BIGINT, noted_at VARCHAR, undo BOOLEAN"
)
_WRITTEN = "object VARCHAR, key VARCHAR, id VARCHAR, how VARCHAR, run VARCHAR, seq BIGINT, latest BOOLEAN"
_PREIMAGES = (
    "object VARCHAR, id VARCHAR, field VARCHAR, value VARCHAR, run VARCHAR, stage VARCHAR, part BIGINT, seq BIGINT"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A segment with what its events say about its rows. `undo`: the run rolls back. `seq`: of the naming event."""

    path: Path
    object: str
    run: str
    stage: str
    part: int
    op: str
    seq: int
    at: str
    undo: bool


class Cache:
    """A folder of derived Parquet files, named by what they were computed from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, con: duckdb.DuckDBPyConnection, name: str, select: str) -> Path:
        """The file that holds the rows of `select`, computed now if it is not there."""
        digest = hashlib.sha256(f"{_VERSION}\n{select}".encode()).hexdigest()[:32]
        final = self.folder / f"{name}-{digest}.parquet"
        if final.is_file():
            return final
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".tmp-{os.getpid()}-{uuid.uuid4().hex}.parquet"
        try:
            con.execute(f"COPY ({select}) TO {_text(temporary)} (FORMAT parquet, COMPRESSION zstd)")
            with temporary.open("rb") as file:
                sync_file(file.fileno())  # a name without its bytes after power loss would be a silent gap
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)
        return final


def id_map(con: duckdb.DuckDBPyConnection, sources: Sequence[Source], cache: Cache) -> None:
    """Create the views `id_map` and `written` (see `Ledger.id_map`)."""
    files = _per_object(con, sources, cache, "written", _written)
    _view(con, "written", _union(files, _WRITTEN, "object, key, id, how, run, seq"))
    _view(con, "id_map", _union(files, _WRITTEN, "object, key, id, how, run, seq", "latest"))


def outcomes(con: duckdb.DuckDBPyConnection, sources: Sequence[Source], cache: Cache) -> None:
    """Create the views `outcomes` and `outcomes_history` (see `Ledger.outcomes_view`)."""
    columns = "object, key, id, ok, code, message, advice, run, stage, part, op, seq"
    _view(con, "outcomes_history", f"SELECT {columns}, noted_at FROM ({_history(sources)})")
    files = _per_object(con, sources, cache, "outcomes", _newest)
    _view(con, "outcomes", _union(files, _HISTORY, columns))


def preimages(con: duckdb.DuckDBPyConnection, sources: Sequence[tuple[Source, pa.Schema]]) -> None:
    """Create the view `preimages` (see `Ledger.preimages_view`)."""
    by_fields: dict[tuple[str, ...], list[Source]] = {}
    for source, schema in sources:
        fields = tuple(name for name in schema.names if name != PREIMAGE_ID and not name.startswith("_"))
        by_fields.setdefault(fields, []).append(source)
    selects = [_long(fields, group) for fields, group in by_fields.items() if fields]
    _view(con, "preimages", " UNION ALL ".join(selects) or _empty(_PREIMAGES))


def _per_object(
    con: duckdb.DuckDBPyConnection,
    sources: Sequence[Source],
    cache: Cache,
    name: str,
    select: Callable[[Sequence[Source]], str],
) -> list[Path]:
    """One cached file per object: a new segment makes only its own object's file anew."""
    by_object: dict[str, list[Source]] = {}
    for source in sources:
        by_object.setdefault(source.object, []).append(source)
    return [cache.get(con, name, select(group)) for _, group in sorted(by_object.items())]


def _history(sources: Sequence[Source]) -> str:
    """All outcome rows with what the events say about them."""
    if not sources:
        return _empty(_HISTORY)
    values = ", ".join(
        f"({_text(s.path)}, {_text(s.object)}, {_text(s.run)}, {_text(s.stage)}, {s.part}::BIGINT, {_text(s.op)}, "
        f"{s.seq}::BIGINT, {_text(s.at)}, {str(s.undo).upper()})"
        for s in sources
    )
    return (
        "SELECT s.object, o.key, o.id, o.ok, o.code, o.message, o.advice, "
        "s.run, s.stage, s.part, s.op, s.seq, s.noted_at, s.undo "
        f"FROM {_files(s.path for s in sources)} o "
        f"JOIN (VALUES {values}) s(path, object, run, stage, part, op, seq, noted_at, undo) ON o.filename = s.path"
    )


def _newest(sources: Sequence[Source]) -> str:
    """The newest outcome of each key of one object."""
    rows = _history(sources)
    newest = f"SELECT key, max(seq) AS seq FROM ({rows}) GROUP BY key"
    return f"SELECT r.* FROM ({rows}) r JOIN ({newest}) n ON r.key = n.key AND r.seq = n.seq"


def _written(sources: Sequence[Source]) -> str:
    """Target records of one object that a key belongs to, less what was deleted since.

    A delete with an id removes that id from every key (several keys may share a record); one without an id
    removes its key. Having inserted a record outranks having updated it, whatever came later: it decides
    whether rollback deletes or restores. Restoring is no write of ours, so updates of a rollback do not count.
    """
    return f"""
WITH o AS (SELECT object, key, id, op, run, seq, undo FROM ({_history(sources)}) WHERE ok),
gone_id AS (SELECT id, max(seq) AS seq FROM o WHERE op = 'delete' AND id IS NOT NULL GROUP BY id),
gone_key AS (SELECT key, max(seq) AS seq FROM o WHERE op = 'delete' AND id IS NULL GROUP BY key),
live AS (
  SELECT o.object, o.key, o.id, o.op, o.run, o.seq FROM o
  LEFT JOIN gone_id ON gone_id.id = o.id LEFT JOIN gone_key ON gone_key.key = o.key
  WHERE o.op <> 'delete' AND o.id IS NOT NULL AND NOT (o.undo AND o.op = 'update')
    AND o.seq > coalesce(gone_id.seq, 0) AND o.seq > coalesce(gone_key.seq, 0)),
pairs AS (
  SELECT object, key, id, max(seq) AS newest,
    min(seq) FILTER (op = 'insert') AS inserted, min(seq) FILTER (op = 'update') AS updated,
    arg_min(run, seq) FILTER (op = 'insert') AS insert_run, arg_min(run, seq) FILTER (op = 'update') AS update_run,
    min(seq) AS matched, arg_min(run, seq) AS match_run
  FROM live GROUP BY object, key, id),
tops AS (SELECT key, arg_max(id, newest) AS id FROM pairs GROUP BY key)
SELECT pairs.object, pairs.key, pairs.id,
  CASE WHEN inserted IS NOT NULL THEN 'inserted' WHEN updated IS NOT NULL THEN 'updated' ELSE 'matched' END AS how,
  coalesce(insert_run, update_run, match_run) AS run, coalesce(inserted, updated, matched) AS seq,
  tops.id = pairs.id AS latest
FROM pairs JOIN tops ON tops.key = pairs.key"""


def _long(fields: Sequence[str], sources: Sequence[Source]) -> str:
    """Pre-images of segments with the same columns, one row per record and field."""
    names = ", ".join(_text(name) for name in fields)
    values = ", ".join(f"CAST(p.{_name(name)} AS VARCHAR)" for name in fields)
    about = ", ".join(
        f"({_text(s.path)}, {_text(s.object)}, {_text(s.run)}, {_text(s.stage)}, {s.part}::BIGINT, {s.seq}::BIGINT)"
        for s in sources
    )
    return (
        f"SELECT s.object, p.{_name(PREIMAGE_ID)} AS id, unnest([{names}]) AS field, unnest([{values}]) AS value, "
        f"s.run, s.stage, s.part, s.seq FROM {_files(s.path for s in sources)} p "
        f"JOIN (VALUES {about}) s(path, object, run, stage, part, seq) ON p.filename = s.path"
    )


def _union(files: Sequence[Path], columns: str, select: str, where: str = "TRUE") -> str:
    if not files:
        return f"SELECT {select} FROM ({_empty(columns)})"
    listed = ", ".join(_text(path) for path in files)
    return f"SELECT {select} FROM read_parquet([{listed}]) WHERE {where}"


def _view(con: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    con.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")


def _files(paths: Iterable[Path]) -> str:
    listed = ", ".join(sorted({_text(path) for path in paths}))
    return f"read_parquet([{listed}], filename = true)"


def _empty(columns: str) -> str:
    typed = ", ".join(f"NULL::{kind} AS {name}" for name, kind in (c.split(" ") for c in columns.split(", ")))
    return f"SELECT {typed} WHERE FALSE"


def _text(value: str | Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
