"""What surprises about this platform, each with its source, the date it was noted, and what we do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirk:
    """One oddity. `verified` is False while no public document or recorded traffic confirms it."""

    name: str
    what: str
    we: str
    source: str
    noted: str = "2026-11-21"
    verified: bool = True


_BULK = "Bulk API 2.0 Developer Guide"

FILLED_BY_PLATFORM = frozenset(
    ("ContentVersion", name)
    for name in ("ContentDocumentId", "ContentLocation", "Origin", "SharingOption", "SharingPrivacy")
)
"""Fields that are not nillable and yet may be left out of a create, because the platform fills them: a version
without document makes a new one, the others have defaults (Object Reference, "ContentVersion")."""

SIDE_EFFECTS = {
    "Contact": (("AccountContactRelation", "ContactId"),),
    "Opportunity": (("OpportunityContactRole", "OpportunityId"),),
}
"""Rows that appear by themselves beside a new record and go with it: the direct relation of a contact to its
account, the primary contact role of an opportunity created with ContactId (Object Reference)."""

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "null marker",
        "In Bulk files the text #N/A means null, and nothing escapes it.",
        "A record whose value is that very text is not sent by Bulk; it is refused here and said so.",
        f"{_BULK}, 'Valid CSV Record Rows'",
    ),
    Quirk(
        "result order",
        "Rows of Bulk result files come in any order.",
        "Results are joined by the echoed external id, for updates and deletes by the echoed Id.",
        f"{_BULK}, 'Get Job Successful Record Results'",
    ),
    Quirk(
        "empty cell",
        "An empty cell leaves the field alone on update and is null on insert.",
        "Nulls are written as #N/A for the fields that a part names in `clear`, and only there.",
        f"{_BULK}, 'Prepare CSV Files'",
    ),
    Quirk(
        "upload once",
        "A job takes exactly one upload; a broken one cannot be continued.",
        "A broken upload ends in an error that asks for a new job; nothing had been committed.",
        f"{_BULK}, 'Upload Job Data'",
    ),
    Quirk(
        "no compressed uploads",
        "Bulk 2.0 compresses answers only; a gzipped upload is not documented.",
        "Uploads go uncompressed.",
        f"{_BULK}, 'Use Compression for Bulk API 2.0 Responses'",
    ),
    Quirk(
        "archived activities",
        "Events and closed tasks older than 365 days vanish from normal queries after a nightly job.",
        "Tasks and events are read with queryAll and IsDeleted = false.",
        "Object Reference, 'Archived activities'",
    ),
    Quirk(
        "invisible new fields",
        "A field made through the Metadata API is visible to nobody, its creator included.",
        "The permission set Rehouse_Migration grants it and is assigned to the migration user.",
        "Metadata API Developer Guide, 'PermissionSet'",
    ),
    Quirk(
        "stale permissions",
        "A running session may keep its old permissions for a while.",
        "Where granted fields stay invisible, the connector logs in again once.",
        "secondary web material",
        verified=False,
    ),
    Quirk(
        "duplicateResut",
        "The answer of a duplicate rule has a misspelt key, which newer versions may spell correctly.",
        "Only `errorCode` and `message` are read.",
        "answers quoted in public repositories",
    ),
    Quirk(
        "file links need a filter",
        "ContentDocumentLink can only be queried by id, ContentDocumentId or LinkedEntityId.",
        "Fetching it without such an `In` is refused before a call is spent.",
        "Object Reference, 'ContentDocumentLink'",
    ),
    Quirk(
        "files are deleted by document",
        "A ContentVersion cannot be deleted; deleting its ContentDocument deletes every version.",
        "A delete of versions looks their documents up and deletes these.",
        "Object Reference, 'ContentVersion' and 'ContentDocument'",
    ),
    Quirk(
        "encoded full names",
        "Full names in metadata may be URL-encoded (`/` as `%2F`); whether a create needs it is not documented.",
        "Names are sent as they are and decoded when read back.",
        "retrieved metadata in public repositories",
        verified=False,
    ),
    Quirk(
        "503 after the work",
        "An edge may answer 5xx although the request was carried out.",
        "For writes that may not be repeated it counts as unknown and is settled by asking the org.",
        "general caution",
        verified=False,
    ),
)
