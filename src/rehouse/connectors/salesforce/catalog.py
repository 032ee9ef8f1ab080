"""`describe` of the platform as our catalog.

Source: REST API Developer Guide "sObject Describe" and recorded traffic of public clients. Fields that the user
may not see are absent from a describe, as if they did not exist.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.connectors.salesforce.errors import RefusedError
from rehouse.connectors.salesforce.quirks import FILLED_BY_PLATFORM
from rehouse.connectors.salesforce.session import Session
from rehouse.errors import UserError
from rehouse.model import Catalog, ChildReference, Field, Kind, Object, Option, RecordType

PLATFORM = "salesforce"
MASTER_RECORD_TYPE = "012000000000000AAA"

KINDS: dict[str, Kind] = {
    "string": Kind.TEXT,
    "encryptedstring": Kind.TEXT,
    "textarea": Kind.LONG_TEXT,
    "picklist": Kind.OPTION,
    "combobox": Kind.OPTION,
    "multipicklist": Kind.MULTI_OPTION,
    "reference": Kind.REFERENCE,
    "id": Kind.ID,
    "boolean": Kind.BOOLEAN,
    "int": Kind.INTEGER,
    "long": Kind.INTEGER,
    "double": Kind.DECIMAL,
    "currency": Kind.MONEY,
    "percent": Kind.PERCENT,
    "date": Kind.DATE,
    "datetime": Kind.DATETIME,
    "time": Kind.TIME,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "url": Kind.URL,
    "base64": Kind.BINARY,
}
"""Kinds by the platform's type names; all others (address, location, anyType, …) are OTHER."""


class Describes:
    """The catalog of one org, object by object, asked once and kept. Safe across threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, Object | None] = {}
        self._lock = threading.Lock()

    def find(self, name: str, *, fresh: bool = False) -> Object | None:
        """The object of that name, or None where the org has none (or the user may not see it)."""
        with self._lock:
            if not fresh and name in self._known:
                return self._known[name]
        try:
            found = parse(self._session.get(f"/sobjects/{name}/describe"))
        except RefusedError as refused:
            if refused.status != 404 and refused.code != "INVALID_TYPE":
                raise
            found = None
        with self._lock:
            self._known[name] = found
        return found

    def get(self, name: str) -> Object:
        """The object of that name. Errors: `UserError` where the org has none."""
        found = self.find(name)
        if found is None:
            raise UserError(
                f"the org has no object {name}",
                hint="the feature may be off, or the migration user may lack access to it",
            )
        return found

    def catalog(self, names: Sequence[str]) -> Catalog:
        """A fresh catalog of these objects; those the org does not have are absent from it."""
        found = (self.find(name, fresh=True) for name in dict.fromkeys(names))
        return Catalog.of(PLATFORM, (one for one in found if one is not None))

    def forget(self) -> None:
        """Ask again next time: the schema has been changed."""
        with self._lock:
            self._known.clear()


def parse(data: Mapping[str, Any]) -> Object:
    """One object's describe as ours."""
    return Object(
        name=data["name"],
        label=data.get("label") or data["name"],
        fields=tuple(_field(data["name"], one) for one in data["fields"]),
        children=tuple(
            ChildReference(one["childSObject"], one["field"], bool(one.get("cascadeDelete")))
            for one in data.get("childRelationships") or ()
            if one.get("childSObject") and one.get("field")
        ),
        record_types=tuple(
            RecordType(
                name=one["developerName"],
                label=one["name"],
                id=one["recordTypeId"],
                active=bool(one.get("active", True)),
                default=bool(one.get("defaultRecordTypeMapping")),
            )
            for one in data.get("recordTypeInfos") or ()
            if not one.get("master") and one.get("developerName")
        ),
        createable=bool(data.get("createable")),
        updateable=bool(data.get("updateable")),
        deletable=bool(data.get("deletable")),
        custom=bool(data.get("custom")),
    )


def _field(object_name: str, data: Mapping[str, Any]) -> Field:
    kind = KINDS.get(data["type"], Kind.OTHER)
    if kind is Kind.LONG_TEXT and (data.get("htmlFormatted") or data.get("extraTypeInfo") == "richtextarea"):
        kind = Kind.HTML
    createable = bool(data.get("createable"))
    filled = data.get("defaultedOnCreate") or (object_name, data["name"]) in FILLED_BY_PLATFORM
    return Field(
        name=data["name"],
        label=data.get("label") or data["name"],
        kind=kind,
        length=int(data.get("length") or 0),
        digits=int(data.get("precision") or data.get("digits") or 0),
        scale=int(data.get("scale") or 0),
        required=createable and not data.get("nillable") and not filled,
        defaulted=bool(filled),
        createable=createable,
        updateable=bool(data.get("updateable")),
        unique=bool(data.get("unique")),
        external_id=bool(data.get("externalId")),
        case_sensitive=bool(data.get("caseSensitive")),
        custom=bool(data.get("custom")),
        restricted=bool(data.get("restrictedPicklist")),
        options=tuple(
            Option(one["value"], one.get("label") or one["value"], bool(one.get("active", True)))
            for one in data.get("picklistValues") or ()
        ),
        references=tuple(data.get("referenceTo") or ()),
        relationship=data.get("relationshipName") or "",
        native_type=data["type"],
    )
