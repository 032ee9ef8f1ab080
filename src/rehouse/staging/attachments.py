"""The list of files in an export joined with the files on disk."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from rehouse.formats.sql import literal, one
from rehouse.knowledge.load import Layout
from rehouse.staging.finish import trimmed
from rehouse.staging.inputs import Attached
from rehouse.staging.manifest import Attachments, StagedObject, Unlisted


def join_attachments(
    con: duckdb.DuckDBPyConnection,
    staged: StagedObject,
    attached: Sequence[Attached] | None,
    layout: Layout,
) -> Attachments:
    """Join the list of files with the files on disk: `<folder>/<object or its word>/<record id>/<name>`."""
    spec = layout.attachments
    assert spec is not None
    columns = layout.objects[spec.object].columns
    by = columns[spec.record].reference_by
    con.register("disk", _disk_table(attached or ()))
    con.execute("CREATE OR REPLACE TEMP TABLE on_disk AS SELECT * FROM disk")
    con.unregister("disk")
    objects = columns[by].objects if by else {}
    word = trimmed(by) if by else "NULL"
    translated = "".join(f" WHEN {literal(w)} THEN {literal(o)}" for w, o in objects.items())
    translated = f"CASE {word}{translated} END" if translated else "NULL"
    path = literal(str(staged.path))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE matched AS SELECT s._row, min(d.path) AS path FROM "
        f"(SELECT _row, nfc_normalize({word}) AS word, {translated} AS name, {trimmed(spec.record)} AS record, "
        f"nfc_normalize({trimmed(spec.name)}) AS file FROM read_parquet({path})) s "
        "JOIN on_disk d ON d.record = s.record AND d.file = s.file "
        "AND (d.object = s.word OR d.object = s.name OR s.word IS NULL) GROUP BY s._row"
    )
    joined = staged.path.with_suffix(".joined.parquet")
    folder = literal(f"{layout.files_folder}/")
    con.execute(
        f"COPY (SELECT s.*, {folder} || d.path AS _path, d.bytes AS _bytes, d.md5 AS _md5, d.sha256 AS _sha256 "
        f"FROM read_parquet({path}) s LEFT JOIN matched m USING (_row) LEFT JOIN on_disk d ON d.path = m.path "
        f"ORDER BY s._row) TO {literal(str(joined))} (FORMAT parquet, COMPRESSION zstd)"
    )
    joined.replace(staged.path)
    counts = one(con, f"SELECT count(*), count(_path) FROM read_parquet({path})")
    unlisted = con.execute(
        "SELECT path, bytes FROM on_disk WHERE path NOT IN (SELECT path FROM matched) ORDER BY path"
    ).fetchall()
    return Attachments(
        given=attached is not None,
        folder=layout.files_folder,
        listed=int(counts[0]),
        found=int(counts[1]),
        bytes=sum(file.bytes for file in attached or ()),
        unlisted=tuple(Unlisted(str(p), int(size)) for p, size in unlisted),
    )


def _disk_table(attached: Sequence[Attached]) -> pa.Table:
    split = [file.path.split("/") for file in attached]
    texts = {
        "path": [file.path for file in attached],
        "object": [unicodedata.normalize("NFC", p[0]) if len(p) == 3 else None for p in split],
        "record": [p[1] if len(p) == 3 else None for p in split],
        "file": [unicodedata.normalize("NFC", p[-1]) for p in split],
        "md5": [file.md5 for file in attached],
        "sha256": [file.sha256 for file in attached],
    }
    arrays = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    return pa.table({**arrays, "bytes": pa.array([file.bytes for file in attached], pa.int64())})
