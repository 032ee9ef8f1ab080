"""What the caller's column names mean: a field, or a parent found by one of its keys.

Forms: `Field`, `Relationship.Key`, and `Type:Relationship.Key` for references with several target objects
(Bulk API guide, "Relationship fields in a header row"). Names compare without case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema import OrgSchema
from rehouse.sandbox.salesforce.schema_model import AUDIT_FIELDS, SField, SObject

AUDIT_OBJECTS = frozenset(
    {
        "Account", "Attachment", "CampaignMember", "Case", "CaseComment", "Contact", "ContentNote", "ContentVersion",
        "Contract", "EmailMessage", "Event", "FeedComment", "FeedItem", "Idea", "Lead", "Opportunity", "Quote", "Task",
        "Vote", "WorkOrder",
    }
)  # fmt: skip
"""Standard objects whose audit fields may be given on insert (help article 000176484); custom objects too."""

_CONVERTED = ("IsConverted", "ConvertedDate", "ConvertedAccountId", "ConvertedContactId", "ConvertedOpportunityId")


class ColumnError(Exception):
    """A column that cannot be used. `text` is Bulk's wording after `InvalidBatch : `; `api` is REST's answer."""

    def __init__(self, text: str, api: ApiError) -> None:
        super().__init__(text)
        self.text, self.api = text, api


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the input. With `parent` and `key` set, cells hold values of the parent's key field."""

    header: str
    field: SField
    parent: SObject | None = None
    key: SField | None = None

    @property
    def by_key(self) -> bool:
        return self.parent is not None


def resolve(schema: OrgSchema, obj: SObject, headers: Sequence[str], user_id: str) -> tuple[Column, ...]:
    """The columns in order. Raises ColumnError for the first name that means nothing to this user."""
    out: list[Column] = []
    seen: set[str] = set()
    for header in headers:
        column = _by_key(schema, obj, header, user_id) if "." in header else _plain(schema, obj, header, user_id)
        if column.field.name in seen:
            raise ColumnError(
                f"Duplicate field name found : {header}",
                ApiError(400, "INVALID_FIELD", f"Duplicate field: {header} on sobject of type {obj.name}"),
            )
        seen.add(column.field.name)
        out.append(column)
    return tuple(out)


def _unknown(obj: SObject, header: str) -> ColumnError:
    message = f"No such column '{header}' on sobject of type {obj.name}"
    return ColumnError(f"Field name not found : {header}", ApiError(400, "INVALID_FIELD", message))


def _plain(schema: OrgSchema, obj: SObject, header: str, user_id: str) -> Column:
    item = obj.field(header.strip())
    if item is None or not schema.visible(obj, item, user_id) or item.type in ("address", "location"):
        raise _unknown(obj, header)
    return Column(header, item)


def _by_key(schema: OrgSchema, obj: SObject, header: str, user_id: str) -> Column:
    path, _, key_name = header.strip().partition(".")
    kind, colon, relation = path.rpartition(":")
    item = obj.by_relationship(relation)
    if item is None or not schema.visible(obj, item, user_id):
        raise ColumnError(
            f"Unable to find relationship: {relation}",
            ApiError(400, "INVALID_FIELD", f"No such column '{relation}' on sobject of type {obj.name}"),
        )
    if colon and not item.polymorphic:
        raise ColumnError(
            f"type is not needed for non polymorphic foreign key references: {relation}",
            ApiError(
                400, "INVALID_FIELD", f"type is not needed for non polymorphic foreign key references: {relation}"
            ),
        )
    name = kind or (item.reference_to[0] if len(item.reference_to) == 1 else "")
    parent = schema.get(name) if name else None
    if parent is None or parent.name not in item.reference_to:
        # What the platform says to an untyped polymorphic reference is not published; unverified wording.
        raise ColumnError(
            f"Unable to find relationship: {path}",
            ApiError(400, "INVALID_FIELD", f"The type of the polymorphic reference {relation} must be given"),
        )
    key = parent.field(key_name)
    if key is None or not schema.visible(parent, key, user_id):
        raise ColumnError(f"Field name not found : {header}", _unknown(parent, key_name).api)
    if not (key.id_lookup or key.external_id):
        text = not_a_key(key_name, parent)
        raise ColumnError(text, ApiError(400, "INVALID_FIELD", text))
    return Column(header, item, parent, key)


def not_a_key(name: str, obj: SObject) -> str:
    """The platform's text for a field that cannot find records."""
    return f"Field name provided, {name} does not match an External ID, Salesforce Id, or indexed field for {obj.name}"


def writable(
    schema: OrgSchema, obj: SObject, item: SField, user_id: str, *, creating: bool, audit_switch: bool
) -> bool:
    """Whether this user may write the field in an insert (`creating`) or an update."""
    if item.name in AUDIT_FIELDS or (obj.name == "Lead" and item.name in _CONVERTED):
        return creating and audit_switch and (obj.custom or obj.name in AUDIT_OBJECTS)
    if not (item.createable if creating else item.updateable):
        return False
    return schema.editable(obj, item, user_id)
