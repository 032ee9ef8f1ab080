"""What an org knows about its objects: the describe facts, in Python names. Values only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NUMBER_TYPES = frozenset({"int", "double", "currency", "percent", "long"})
TEXT_TYPES = frozenset(
    {"string", "textarea", "phone", "url", "email", "combobox", "picklist", "multipicklist", "encryptedstring"}
)
UNSTORED_TYPES = frozenset({"address", "location", "base64", "junctionidlist", "complexvalue"})
AUDIT_FIELDS = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById")


class SchemaError(Exception):
    """A metadata change refused, with the Metadata API's status code and text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class PicklistValue:
    """One option of a picklist."""

    value: str
    label: str = ""
    active: bool = True
    default: bool = False


@dataclass(frozen=True, slots=True)
class SField:
    """One field with its describe facts.

    `required` is the universal requirement of a custom field; `feature` names the org feature that must be
    on for the field to exist; `metadata_type` is the Metadata API type of a custom field (`Text`, `Lookup`…).
    """

    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    nillable: bool = False
    createable: bool = False
    updateable: bool = False
    defaulted_on_create: bool = False
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    polymorphic: bool = False
    picklist: tuple[PicklistValue, ...] = ()
    restricted: bool = False
    id_lookup: bool = False
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    custom: bool = False
    name_field: bool = False
    auto_number: bool = False
    calculated: bool = False
    formula: str | None = None
    permissionable: bool = False
    compound: str | None = None
    extra_type_info: str | None = None
    default_value: Any = None
    inline_help_text: str | None = None
    description: str | None = None
    cascade_delete: bool = False
    restricted_delete: bool = False
    relationship_order: int | None = None
    write_requires_master_read: bool = False
    display_format: str | None = None
    visible_lines: int = 0
    metadata_type: str = ""
    required: bool = False
    feature: str = ""

    @property
    def storage(self) -> str | None:
        """The SQLite column type, or None when the field has no column of its own."""
        if self.type in UNSTORED_TYPES:
            return None
        if self.type == "boolean":
            return "INTEGER"
        if self.type in NUMBER_TYPES:
            return "INTEGER" if self.type in ("int", "long") else "REAL"
        return "TEXT"

    @property
    def is_reference(self) -> bool:
        return self.type == "reference"

    @property
    def binary_order(self) -> bool:
        """Whether values compare with case: ids, references and case-sensitive external ids."""
        return self.type in ("id", "reference", "date", "datetime", "time") or self.case_sensitive


@dataclass(frozen=True, slots=True)
class ChildRelationship:
    """Another object's field that points here."""

    child: str
    field: str
    relationship_name: str | None = None
    cascade_delete: bool = False
    restricted_delete: bool = False


@dataclass(frozen=True, slots=True)
class RecordTypeInfo:
    """A record type. `picklists` maps field name to the allowed values; absent fields are not narrowed."""

    id: str
    developer_name: str
    name: str
    active: bool = True
    default: bool = False
    business_process: str | None = None
    description: str | None = None
    picklists: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Exact match of all `fields` with a stored record; `block` refuses, otherwise the save may be insisted on."""

    name: str
    object: str
    fields: tuple[str, ...]
    block: bool
    active: bool = True
    matching_rule: str = ""
    label: str = ""
    alert_text: str = "Use one of these records?"


@dataclass(slots=True)
class SObject:
    """One object with its fields in describe order."""

    name: str
    label: str
    label_plural: str
    key_prefix: str | None
    createable: bool = False
    updateable: bool = False
    deletable: bool = False
    queryable: bool = True
    searchable: bool = False
    undeletable: bool = False
    mergeable: bool = False
    replicateable: bool = False
    triggerable: bool = False
    layoutable: bool = False
    feed_enabled: bool = False
    custom: bool = False
    feature: str = ""
    fields: dict[str, SField] = field(default_factory=dict)
    children: tuple[ChildRelationship, ...] = ()
    record_types: tuple[RecordTypeInfo, ...] = ()
    required_on_create: tuple[str, ...] = ()
    required_any_of: tuple[tuple[str, ...], ...] = ()
    _lower: dict[str, str] = field(default_factory=dict, repr=False)

    def field(self, name: str) -> SField | None:
        """The field of that name, compared without case."""
        found = self.fields.get(name)
        if found is not None:
            return found
        if len(self._lower) != len(self.fields):
            self._lower = {n.lower(): n for n in self.fields}
        known = self._lower.get(name.lower())
        return self.fields.get(known) if known else None

    def put(self, item: SField) -> None:
        """Add or replace a field."""
        self.fields[item.name] = item
        self._lower = {}

    def drop(self, name: str) -> None:
        """Forget a field."""
        self.fields.pop(name, None)
        self._lower = {}

    def by_relationship(self, name: str) -> SField | None:
        """The reference field whose parent is reached under that relationship name."""
        lowered = name.lower()
        for item in self.fields.values():
            if item.relationship_name and item.relationship_name.lower() == lowered:
                return item
        return None

    def child(self, relationship: str) -> ChildRelationship | None:
        """The child relationship of that name, compared without case."""
        lowered = relationship.lower()
        for item in self.children:
            if item.relationship_name and item.relationship_name.lower() == lowered:
                return item
        return None

    @property
    def name_field(self) -> SField | None:
        """The field that names a record, or None."""
        for item in self.fields.values():
            if item.name_field:
                return item
        return self.fields.get("Name")

    @property
    def required_fields(self) -> tuple[str, ...]:
        """Fields without which an insert is refused."""
        own = [f.name for f in self.fields.values() if f.required and f.createable]
        return tuple(dict.fromkeys([n for n in self.required_on_create if n in self.fields] + own))
