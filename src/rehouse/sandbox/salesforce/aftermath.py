"""Rows of other objects that a save makes or changes: links, primary roles, permission caches, files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.plan import Program, Side

if TYPE_CHECKING:
    from rehouse.sandbox.salesforce.org import Org

_PERMISSION_OBJECTS = frozenset({"FieldPermissions", "PermissionSetAssignment", "PermissionSet"})


def before(org: Org, program: Program, side: Side, *, creating: bool) -> list[tuple[Any, ...]]:
    """What must be remembered from before an update: the accounts of contacts that move."""
    if creating or program.obj.name != "Contact" or not _relations(org) or "AccountId" not in side.positions:
        return []
    return org.store.db.execute(
        f"SELECT c.Id, c.AccountId FROM temp.{side.stage} s JOIN Contact c ON c.Id=s.id WHERE s.err IS NULL"
    ).fetchall()


def after(
    org: Org,
    program: Program,
    side: Side,
    params: Mapping[str, Any],
    blobs: Sequence[Mapping[str, Any]],
    remembered: Sequence[tuple[Any, ...]],
    *,
    creating: bool,
) -> None:
    """Everything that follows from the rows just written by this side."""
    name = program.obj.name
    if name in _PERMISSION_OBJECTS:
        org.schema.permissions_changed()
    if name == "Contact" and _relations(org):
        _direct_relations(org, side, params, remembered, creating=creating)
    if name == "OpportunityContactRole":
        _one_primary(org, side)
    if name in ("OpportunityLineItem",):
        roll_up_amount(org, f"SELECT OpportunityId FROM OpportunityLineItem WHERE Id IN ({_ids(side)})")
    if not creating:
        return
    after_insert = _AFTER_INSERT.get(name)
    if after_insert is not None:
        after_insert(org, side, params)
    if name in ("ContentVersion", "Attachment"):
        _files(org, program, side, blobs)


def _ids(side: Side) -> str:
    return f"SELECT id FROM temp.{side.stage} WHERE err IS NULL"


def _relations(org: Org) -> bool:
    return "AccountContactRelation" in org.schema.objects


def _add(org: Org, obj: str, columns: Mapping[str, str], source: str, params: Mapping[str, Any]) -> None:
    """Insert platform-made rows set-wise. `columns` are SQL over `source`; stamps and ids are filled in."""
    known = org.schema.objects[obj]
    count = org.store.db.execute(f"SELECT count(*) {source}", params).fetchone()[0]
    if not count:
        return
    rows = org.store.db.execute(f"SELECT {', '.join(columns.values())} {source}", params).fetchall()
    for new_id, row in zip(org.next_ids(obj, count), rows, strict=True):
        values = {"Id": new_id, **dict(zip(columns, row, strict=True))}
        org.system_insert(obj, {k: v for k, v in values.items() if k in known.fields})


def _direct_relations(
    org: Org, side: Side, params: Mapping[str, Any], remembered: Sequence[tuple[Any, ...]], *, creating: bool
) -> None:
    """The direct AccountContactRelation that the platform keeps for each contact with an account."""
    db = org.store.db
    if not creating:
        gone = [
            (contact,)
            for contact, account in remembered
            if account is not None
            and db.execute("SELECT AccountId FROM Contact WHERE Id=?", (contact,)).fetchone()[0] != account
        ]
        db.executemany("DELETE FROM AccountContactRelation WHERE ContactId=? AND IsDirect=1", gone)
    _add(
        org,
        "AccountContactRelation",
        {"AccountId": "c.AccountId", "ContactId": "c.Id", "IsDirect": "1", "IsActive": "1"},
        f"FROM Contact c WHERE c.Id IN ({_ids(side)}) AND c.AccountId IS NOT NULL AND NOT EXISTS ("
        "SELECT 1 FROM AccountContactRelation r WHERE r.ContactId=c.Id AND r.IsDirect=1 AND r._del IS NULL)",
        params,
    )


def _one_primary(org: Org, side: Side) -> None:
    """At most one primary role per opportunity: the last one written wins."""
    org.store.db.execute(
        "UPDATE OpportunityContactRole SET IsPrimary=0 WHERE IsPrimary=1 AND _del IS NULL AND OpportunityId IN ("
        f"SELECT OpportunityId FROM OpportunityContactRole WHERE IsPrimary=1 AND Id IN ({_ids(side)})) "
        "AND Id NOT IN (SELECT max(Id) FROM OpportunityContactRole "
        f"WHERE IsPrimary=1 AND Id IN ({_ids(side)}) GROUP BY OpportunityId)"
    )


def roll_up_amount(org: Org, opportunities: str) -> None:
    """Amount of opportunities with line items is the sum of these. `opportunities` is a subquery of ids."""
    org.store.db.execute(
        "UPDATE Opportunity SET "
        "Amount=(SELECT sum(TotalPrice) FROM OpportunityLineItem l WHERE l.OpportunityId=Opportunity.Id AND l._del IS NULL), "
        "HasOpportunityLineItem=1, "
        "ExpectedRevenue=(SELECT sum(TotalPrice) FROM OpportunityLineItem l WHERE l.OpportunityId=Opportunity.Id "
        "AND l._del IS NULL) * Probability / 100.0, "
        "Pricebook2Id=coalesce(Pricebook2Id, (SELECT e.Pricebook2Id FROM OpportunityLineItem l "
        "JOIN PricebookEntry e ON e.Id=l.PricebookEntryId WHERE l.OpportunityId=Opportunity.Id AND l._del IS NULL LIMIT 1)), "
        "SystemModstamp=? "
        f"WHERE Id IN ({opportunities}) AND EXISTS (SELECT 1 FROM OpportunityLineItem l "
        "WHERE l.OpportunityId=Opportunity.Id AND l._del IS NULL)",
        (org.stamp(),),
    )


def _opportunity_contact(org: Org, side: Side, params: Mapping[str, Any]) -> None:
    """ContactId of a new opportunity makes the primary contact role."""
    if "ContactId" not in side.positions:
        return
    _add(
        org,
        "OpportunityContactRole",
        {"OpportunityId": "o.Id", "ContactId": "o.ContactId", "IsPrimary": "1"},
        f"FROM Opportunity o WHERE o.Id IN ({_ids(side)}) AND o.ContactId IS NOT NULL",
        params,
    )


def _campaign_statuses(org: Org, side: Side, params: Mapping[str, Any]) -> None:
    """A new campaign starts with the member statuses Sent and Responded."""
    for label, default, responded, order in (("Sent", 1, 0, 1), ("Responded", 0, 1, 2)):
        _add(
            org,
            "CampaignMemberStatus",
            {"CampaignId": "c.Id", "Label": f"'{label}'", "IsDefault": str(default), "HasResponded": str(responded),
             "SortOrder": str(order)},
            f"FROM Campaign c WHERE c.Id IN ({_ids(side)})",
            params,
        )  # fmt: skip


def _user_profile(org: Org, side: Side, params: Mapping[str, Any]) -> None:
    """A new user is assigned to the permission set that his profile owns."""
    _add(
        org,
        "PermissionSetAssignment",
        {"PermissionSetId": "p.Id", "AssigneeId": "u.Id", "IsActive": "1"},
        f'FROM "User" u JOIN PermissionSet p ON p.ProfileId=u.ProfileId AND p.IsOwnedByProfile=1 WHERE u.Id IN ({_ids(side)})',
        params,
    )
    org.schema.permissions_changed()


_AFTER_INSERT: Mapping[str, Callable[[Org, Side, Mapping[str, Any]], None]] = {
    "Opportunity": _opportunity_contact,
    "Campaign": _campaign_statuses,
    "User": _user_profile,
}


# files ------------------------------------------------------------------------------------------------------------


def _files(org: Org, program: Program, side: Side, blobs: Sequence[Mapping[str, Any]]) -> None:
    rows = org.store.db.execute(f"SELECT rn, id FROM temp.{side.stage} WHERE err IS NULL ORDER BY rn").fetchall()
    for rn, record_id in rows:
        given = blobs[rn - 1] if rn - 1 < len(blobs) else {}
        data = given.get("VersionData" if program.obj.name == "ContentVersion" else "Body")
        size, digest = _store_blob(org, record_id, data)
        if program.obj.name == "Attachment":
            org.system_update("Attachment", record_id, {"BodyLength": size})
        else:
            _content_version(org, record_id, size, digest)


def _store_blob(org: Org, record_id: str, data: Any) -> tuple[int, str]:
    """Write the bytes beside the store: bytes, a file to take over, or base64 text. Size and MD5."""
    target = org.blobs / record_id
    if isinstance(data, Path):
        os.replace(data, target)
    elif data is not None:
        try:
            raw = data if isinstance(data, bytes) else base64.b64decode(str(data), validate=True)
        except (binascii.Error, ValueError) as broken:
            raise ApiError(
                400, "JSON_PARSER_ERROR", "Cannot deserialize instance of base64 from VALUE_STRING value at [line:1, column:1]"
            ) from broken
        target.write_bytes(raw)
    if not target.exists():
        return 0, ""
    digest = hashlib.md5(usedforsecurity=False)
    with target.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return target.stat().st_size, digest.hexdigest()


def _content_version(org: Org, version_id: str, size: int, digest: str) -> None:
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
        {**facts, "ContentDocumentId": document, "Checksum": digest or None, "IsLatest": 1, "VersionNumber": str(number),
         "ContentModifiedDate": at, "ContentModifiedById": by, "ContentLocation": "E" if url else "S"},
    )  # fmt: skip
    org.system_update("ContentDocument", document, {**facts, "LatestPublishedVersionId": version_id, "ContentModifiedDate": at})
    if fresh and location and location != owner:
        _link(org, document, location, "V")


def _link(org: Org, document: str, linked: str, share: str) -> None:
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


def delete_blobs(org: Org, obj: str, ids: Sequence[str]) -> None:
    """Remove the bytes of records that are gone for good."""
    if obj in ("ContentVersion", "Attachment"):
        for record_id in ids:
            (org.blobs / record_id).unlink(missing_ok=True)

