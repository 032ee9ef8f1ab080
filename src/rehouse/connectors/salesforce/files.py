"""Files: one multipart request per ContentVersion, streamed from disk, a few at a time.

Source: REST API Developer Guide "Insert or Update Blob Data": a JSON part and a part with the bytes, up to 2 GB.
Base64 in JSON ends at 37.5 MB and is not used. Bulk 2.0 takes no binary fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from rehouse.connectors.base import OUTCOME_SCHEMA, Part
from rehouse.connectors.salesforce.errors import body_error, lenient
from rehouse.connectors.salesforce.read import md5_of
from rehouse.connectors.salesforce.rows import RowWriter, to_outcomes
from rehouse.connectors.salesforce.session import NO_ASSIGNMENT, Session
from rehouse.errors import FatalError, OutcomeUnknownError, RehouseError, UserError
from rehouse.wire import Call, FormPart

AT_ONCE = 4
"""Ours: long calls at once are limited (25 in production, 5 in developer orgs), and disks and lines are shared."""
BINARY = "VersionData"
DOCUMENT = "ContentDocument"
Row = dict[str, Any]


class FileWriter:
    """Parts of kind FILES at one org. The column `VersionData` holds paths relative to `part.files`."""

    def __init__(self, session: Session, rows: RowWriter) -> None:
        self._session, self._rows = session, rows

    def write(self, part: Part) -> pa.Table:
        """Send all files and return their outcomes. Errors as for rows: see `RowWriter.write`."""
        if part.files is None or BINARY not in part.table.column_names:
            raise UserError(f"{part.object}: a part of files needs a folder and the column {BINARY}", hint="")
        root = part.files.resolve()
        paths = part.table[BINARY].to_pylist()
        records = list(self._rows.records(part, part.table))
        self._session.budget.require("calls", part.rows)
        stop = Event()

        def one(place: int) -> Row | RehouseError | None:
            if stop.is_set():
                return None
            try:
                return self._send(part.object, records[place], root, paths[place])
            except RehouseError as failure:
                stop.set()
                return failure

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rehouse-files") as pool:
            results = list(pool.map(one, range(part.rows)))
        return to_outcomes(part, _all_known(part, results))

    def _send(self, object_name: str, record: Row, root: Path, relative: str | None) -> Row:
        file = _inside(root, relative)
        if file is None:
            return _refused("FILE_UNREADABLE", "the file is not below the folder of files, or cannot be read")
        fields = {name: value for name, value in record.items() if name not in (BINARY, "attributes")}
        call = Call(
            "POST",
            f"/sobjects/{object_name}",
            headers=NO_ASSIGNMENT,
            form=(
                FormPart("entity_content", orjson.dumps(fields), "application/json"),
                FormPart(BINARY, file, "application/octet-stream", _header_name(file)),
            ),
        )
        answer = self._session.send(call, judge=lenient)
        if answer.ok:
            return dict(answer.json())
        code, text = body_error(answer)
        return _refused(code, text)

    def delete(self, part: Part, documents: Mapping[str, str]) -> pa.Table:
        """Delete versions through their documents (`documents`: version id → document id).

        Deleting a document deletes every version of it; outcomes are told by version, as the part names them.
        A version without document is gone already.
        """
        ids = part.table["Id"].to_pylist()
        table = pa.table(
            {"_key": part.table["_key"], "Id": pa.array([documents.get(i) for i in ids], pa.string())}
        ).filter(pc.is_valid(pc.field("Id")))
        found = self._rows.write(replace(part, object=DOCUMENT, table=table))
        versions = dict(zip(part.table["_key"].to_pylist(), ids, strict=True))
        told = {row["key"]: {**row, "id": versions[row["key"]] if row["ok"] else None} for row in found.to_pylist()}
        gone = {"ok": True, "code": None, "message": None, "advice": None}
        rows = [told.get(key, {"key": key, "id": versions[key], **gone}) for key in part.table["_key"].to_pylist()]
        return pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA)

    def download(self, version_id: str, to: Path) -> str:
        """Read a version's bytes into a file and return their MD5, as the platform's `Checksum` spells it."""
        self._session.send(
            Call("GET", f"/sobjects/ContentVersion/{version_id}/{BINARY}", headers={"Accept": "*/*"}, to=to)
        )
        return md5_of(to)


def _all_known(part: Part, results: Sequence[Row | RehouseError | None]) -> list[Row]:
    known = [one for one in results if isinstance(one, dict)]
    if len(known) == len(results):
        return known
    failures = [one for one in results if isinstance(one, RehouseError)]
    written = sum(bool(one.get("success")) for one in known)
    unknown = next((one for one in failures if isinstance(one, OutcomeUnknownError)), None)
    if unknown is None and not written:
        raise failures[0]
    if any(isinstance(one, FatalError) for one in failures) and unknown is None and not written:
        raise next(one for one in failures if isinstance(one, FatalError))
    raise OutcomeUnknownError(
        f"{part.object}: {written} of {part.rows} files were written, then: {(unknown or failures[0]).message}",
        hint="ask the target what it holds before sending again",
    )


def _inside(root: Path, relative: str | None) -> Path | None:
    """The file, if it is a readable one below the folder: paths come from a customer's export."""
    if not relative:
        return None
    file = (root / relative).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return None
    try:
        file.open("rb").close()
    except OSError:
        return None
    return file


def _header_name(file: Path) -> str:
    """A name for the part's header. What people see comes from `Title` and `PathOnClient`."""
    return f"file{file.suffix}" if file.suffix.isascii() else "file"


def _refused(code: str, text: str) -> Row:
    return {"success": False, "errors": [{"statusCode": code, "message": text}]}
