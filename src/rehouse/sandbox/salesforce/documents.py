"""Files and notes: the bytes beside the store, the document behind a version, its links.

A ContentVersion without a document makes one, with a link for its owner (share type I) and one for its first
publish location (V). A ContentNote is a document of file type SNOTE with the note's own id. Sources: Object
Reference, ContentVersion, ContentDocumentLink, ContentNote; fact sheet section 5.6.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.outcome import ApiError

_BLOB_FIELD = {"ContentVersion": "VersionData", "ContentNote": "Content", "Attachment": "Body"}


def save(org: OrgState, obj: str, written: Sequence[tuple[int, str]], blobs: Sequence[Mapping[str, Any]]) -> None:
    """Store the bytes of rows just inserted (row number from 1, id) and make what belongs to them."""
    for rn, record_id in written:
        given = blobs[rn - 1] if rn - 1 < len(blobs) else {}
        data = given.get(_BLOB_FIELD[obj])
        if obj == "Attachment":
            size, _ = _store_blob(org, record_id, data)
            org.system_update("Attachment", record_id, {"BodyLength": size})
        elif obj == "ContentNote":
            _content_note(org, record_id, data)
        else:
            size, digest = _store_blob(org, record_id, data)
            _content_version(org, record_id, size, digest)


def _content_note(org: OrgState, note_id: str, data: Any) -> None:
    """The document and the first version of a note."""
    row = org.store.db.execute(
        "SELECT Title, OwnerId, CreatedById, CreatedDate FROM ContentNote WHERE Id=?", (note_id,)
    ).fetchone()
    title, owner, by, at = row
    stamps = {"CreatedById": by, "LastModifiedById": by, "CreatedDate": at, "OwnerId": owner}
    version = next(org.next_ids("ContentVersion", 1))
    size, digest = _store_blob(org, version, data)
    facts = {"Title": title, "ContentSize": size, "FileExtension": "snote", "FileType": "SNOTE", "PublishStatus": "P"}
    org.system_insert(
        "ContentDocument",
        {**facts, **stamps, "Id": note_id, "LatestPublishedVersionId": version, "ContentModifiedDate": at},
    )
    org.system_insert(
        "ContentVersion",
        {**facts, **stamps, "Id": version, "ContentDocumentId": note_id, "Checksum": digest or None, "IsLatest": 1,
         "VersionNumber": "1", "PathOnClient": f"{title}.snote"[:500], "ContentLocation": "S"},
    )  # fmt: skip
    _link(org, note_id, owner, "I")
    org.store.db.execute(
        "UPDATE ContentNote SET ContentSize=?, FileExtension='snote', FileType='SNOTE', LatestPublishedVersionId=?, "
        "ContentModifiedDate=? WHERE Id=?",
        (size, version, at, note_id),
    )


def _store_blob(org: OrgState, record_id: str, data: Any) -> tuple[int, str]:
    """Write the bytes beside the store: bytes, a file to take over, or base64 text. Size and MD5."""
    target = org.blobs / record_id
    if isinstance(data, Path):
        data.replace(target)
    elif data is not None:
        try:
            raw = data if isinstance(data, bytes) else base64.b64decode(str(data), validate=True)
        except (binascii.Error, ValueError) as broken:
            raise ApiError(
                400,
                "JSON_PARSER_ERROR",
                "Cannot deserialize instance of base64 from VALUE_STRING value at [line:1, column:1]",
            ) from broken
        target.write_bytes(raw)
    if not target.exists():
        return 0, ""
    digest = hashlib.md5(usedforsecurity=False)
    with target.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return target.stat().st_size, digest.hexdigest()


def _content_version(org: OrgState, version_id: str, size: int, digest: str) -> None:
    """The document behind a version, the owner's link and the link to the first publish location."""
    db = org.store.db
    row = db.execute(
        "SELECT ContentDocumentId, Title, PathOnClient, ContentUrl, OwnerId, FirstPublishLocationId, Description, "
        "CreatedById, CreatedDate FROM ContentVersion WHERE Id=?",
        (version_id,),
    ).fetchone()
    document, title, path, url, owner, location, description, by, at = row
    name = PurePosixPath(str(path or "").replace("\\", "/"))
    extension = name.suffix.lstrip(".").lower() or None
    title = title or name.stem or url or "Untitled"
    facts = {
        "Title": title, "ContentSize": size, "FileExtension": extension, "FileType": _file_type(extension, url),
        "PublishStatus": "P", "Description": description, "OwnerId": owner,
    }  # fmt: skip
    fresh = document is None
    if fresh:
        document = org.system_insert(
            "ContentDocument", {**facts, "CreatedById": by, "LastModifiedById": by, "CreatedDate": at}
        )
        _link(org, document, owner, "I")
    number = db.execute("SELECT count(*) FROM ContentVersion WHERE ContentDocumentId=?", (document,)).fetchone()[0]
    number += 1 if fresh else 0
    db.execute("UPDATE ContentVersion SET IsLatest=0 WHERE ContentDocumentId=?", (document,))
    org.system_update(
        "ContentVersion",
        version_id,
        {**facts, "ContentDocumentId": document, "Checksum": digest or None, "IsLatest": 1,
         "VersionNumber": str(number), "ContentModifiedDate": at, "ContentModifiedById": by,
         "ContentLocation": "E" if url else "S"},
    )  # fmt: skip
    org.system_update(
        "ContentDocument", document, {**facts, "LatestPublishedVersionId": version_id, "ContentModifiedDate": at}
    )
    if fresh and location and location != owner:
        _link(org, document, location, "V")


def _link(org: OrgState, document: str, linked: str, share: str) -> None:
    org.system_insert(
        "ContentDocumentLink",
        {"ContentDocumentId": document, "LinkedEntityId": linked, "ShareType": share, "Visibility": "AllUsers"},
    )


_FILE_TYPES = {
    "pdf": "PDF", "doc": "WORD", "docx": "WORD_X", "xls": "EXCEL", "xlsx": "EXCEL_X", "ppt": "POWER_POINT",
    "pptx": "POWER_POINT_X", "txt": "TEXT", "csv": "CSV", "png": "PNG", "jpg": "JPG", "jpeg": "JPEG", "gif": "GIF",
    "zip": "ZIP", "html": "HTML", "xml": "XML", "rtf": "RTF", "snote": "SNOTE",
}  # fmt: skip


def _file_type(extension: str | None, url: str | None) -> str:
    if url:
        return "LINK"
    return _FILE_TYPES.get(extension or "", (extension or "UNKNOWN").upper())


def delete_blobs(org: OrgState, obj: str, ids: Sequence[str]) -> None:
    """Remove the bytes of records that are gone for good."""
    if obj in ("ContentVersion", "Attachment"):
        for record_id in ids:
            (org.blobs / record_id).unlink(missing_ok=True)
