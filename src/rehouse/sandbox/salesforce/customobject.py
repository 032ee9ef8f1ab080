"""A custom object from its Metadata API elements (`CustomObject`): the standard fields that each one has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rehouse.sandbox.salesforce.schema_model import SField, SObject

_USER = SField("", "", "reference", length=18, defaulted_on_create=True, reference_to=("User",))
_STAMP = SField("", "", "datetime", defaulted_on_create=True)
_STANDARD = (
    replace(_STAMP, name="CreatedDate", label="Created Date"),
    replace(_USER, name="CreatedById", label="Created By ID", relationship_name="CreatedBy"),
    replace(_STAMP, name="LastModifiedDate", label="Last Modified Date"),
    replace(_USER, name="LastModifiedById", label="Last Modified By ID", relationship_name="LastModifiedBy"),
    replace(_STAMP, name="SystemModstamp", label="System Modstamp"),
)


def custom_object(doc: Mapping[str, Any]) -> SObject:
    """The object of a stored document: CustomObject elements and the key prefix given to it."""
    name = str(doc["fullName"])
    label = str(doc.get("label") or name[:-3].replace("_", " "))
    obj = SObject(
        name=name,
        label=label,
        label_plural=str(doc.get("pluralLabel") or label + "s"),
        key_prefix=doc["keyPrefix"],
        createable=True,
        updateable=True,
        deletable=True,
        searchable=True,
        undeletable=True,
        replicateable=True,
        triggerable=True,
        layoutable=True,
        custom=True,
    )
    obj.put(SField("Id", "Record ID", "id", length=18, id_lookup=True, defaulted_on_create=True))
    obj.put(
        replace(
            _USER,
            name="OwnerId",
            label="Owner ID",
            createable=True,
            updateable=True,
            polymorphic=True,
            reference_to=("Group", "User"),
            relationship_name="Owner",
        )
    )
    obj.put(SField("IsDeleted", "Deleted", "boolean", defaulted_on_create=True, default_value=False))
    obj.put(_name_field(label, doc.get("nameField") or {}))
    for item in _STANDARD:
        obj.put(item)
    return obj


def _name_field(label: str, named: Mapping[str, Any]) -> SField:
    auto = named.get("type") == "AutoNumber"
    return SField(
        "Name",
        str(named.get("label") or f"{label} Name"),
        "string",
        length=80,
        nillable=True,
        createable=not auto,
        updateable=not auto,
        defaulted_on_create=True,
        name_field=True,
        id_lookup=True,
        auto_number=auto,
        display_format=named.get("displayFormat"),
    )
