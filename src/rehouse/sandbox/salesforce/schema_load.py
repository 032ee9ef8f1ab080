"""The objects of a fresh org, read from `data/objects.json` (compiled from public describes and documentation).

The file states evidence per field; what it marks as unverified stays unverified here. Where the file has no
row for something the platform plainly has, `_SUPPLEMENT` adds it and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import Any

from rehouse.sandbox.salesforce.schema_model import ChildRelationship, PicklistValue, SField, SObject

RECORD_TYPES_FEATURE = "record types exist on the object"

ACTIVITY_WHAT = ("Account", "Asset", "Campaign", "Case", "Contract", "Opportunity", "Order", "Product2", "Quote")

_PERMISSION = {"type": "boolean", "createable": True, "updateable": True, "defaultedOnCreate": True}

# The permission columns of these two objects are documented in the Object Reference but absent from the file.
_SUPPLEMENT: dict[str, list[dict[str, Any]]] = {
    "FieldPermissions": [
        {"name": "PermissionsRead", "label": "Read Access", **_PERMISSION},
        {"name": "PermissionsEdit", "label": "Edit Access", **_PERMISSION},
    ],
    "ObjectPermissions": [
        {"name": f"Permissions{word}", "label": label, **_PERMISSION}
        for word, label in (
            ("Create", "Create Records"),
            ("Read", "Read Records"),
            ("Edit", "Edit Records"),
            ("Delete", "Delete Records"),
            ("ViewAllRecords", "Read All Records"),
            ("ModifyAllRecords", "Edit All Records"),
        )
    ],
}


@lru_cache(maxsize=1)
def reference_data() -> dict[str, Any]:
    """The parsed data file."""
    text = resources.files("rehouse.sandbox.salesforce").joinpath("data/objects.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def key_prefixes() -> dict[str, str]:
    """Key prefixes of objects and of platform ids that are no records (jobs, deploys)."""
    data = reference_data()
    return {**data["keyPrefixes"], **data["otherKeyPrefixes"]}


def seed_rows(obj: str) -> list[dict[str, Any]]:
    """Rows that a stock org holds for one of the small system objects."""
    rows: list[dict[str, Any]] = reference_data()["seedRows"].get(obj, {"rows": []})["rows"]
    return rows


def load_objects(features: frozenset[str]) -> dict[str, SObject]:
    """Fresh objects of an org with these features on."""
    data = reference_data()
    objects = {name: _object(name, raw, features, data) for name, raw in data["objects"].items()}
    if "person accounts" in features:
        for raw in data["personAccount"]["fields"]:
            objects["Account"].put(_field(raw, data))
    return {name: obj for name, obj in objects.items() if not obj.feature or obj.feature in features}


_OBJECT_FEATURES = {
    "Quote": "quotes",
    "QuoteLineItem": "quotes",
    "Order": "orders",
    "OrderItem": "orders",
    "AccountContactRelation": "contacts to multiple accounts",
}


def _object(name: str, raw: Mapping[str, Any], features: frozenset[str], data: Mapping[str, Any]) -> SObject:
    obj = SObject(
        name=name,
        label=raw["label"],
        label_plural=raw["labelPlural"],
        key_prefix=raw.get("keyPrefix"),
        createable=raw.get("createable", False),
        updateable=raw.get("updateable", False),
        deletable=raw.get("deletable", False),
        searchable=raw.get("searchable", False),
        undeletable=raw.get("undeletable", bool(raw.get("deletable"))),
        mergeable=raw.get("mergeable", False),
        replicateable=raw.get("replicateable", False),
        queryable=raw.get("queryable", True),
        triggerable=raw.get("triggerable", bool(raw.get("createable"))),
        layoutable=raw.get("layoutable", bool(raw.get("createable"))),
        feed_enabled=raw.get("feedEnabled", False),
        feature=_OBJECT_FEATURES.get(name, ""),
        required_on_create=tuple(raw.get("requiredOnCreate", ())),
        required_any_of=tuple(tuple(group) for group in raw.get("requiredAnyOf", ())),
        children=tuple(_child(c) for c in raw.get("childRelationships", ()) if c["child"] in data["objects"]),
    )
    for one in [*raw["fields"], *_SUPPLEMENT.get(name, ())]:
        item = _field(one, data)
        if item.feature and item.feature != RECORD_TYPES_FEATURE and item.feature not in features:
            continue
        obj.put(_adjusted(item))
    if name == "OpportunityHistory":
        obj.key_prefix = "008"
    return obj


def _adjusted(item: SField) -> SField:
    if item.name != "RecordTypeId":
        return item
    return replace(
        item,
        type="reference",
        reference_to=("RecordType",),
        relationship_name="RecordType",
        feature=RECORD_TYPES_FEATURE,
    )


def _child(raw: Mapping[str, Any]) -> ChildRelationship:
    return ChildRelationship(
        child=raw["child"],
        field=raw["field"],
        relationship_name=raw.get("relationshipName"),
        cascade_delete=raw.get("cascadeDelete", False),
        restricted_delete=raw.get("restrictedDelete", False),
    )


def _options(raw: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[PicklistValue, ...]:
    values = raw.get("picklistValues", ())
    if isinstance(values, str):
        values = data["valueSets"].get(values.lstrip("@"), ())
    default = raw.get("picklistDefault")
    return tuple(PicklistValue(value=v, label=v, default=v == default) for v in values)


def _field(raw: Mapping[str, Any], data: Mapping[str, Any]) -> SField:
    targets = tuple(raw.get("referenceTo", ()))
    options = _options(raw, data)
    if raw["name"] in ("WhatId",) and "Account" in targets:
        targets = tuple(dict.fromkeys([*targets, *(t for t in ACTIVITY_WHAT if t in data["objects"])]))
    return SField(
        name=raw["name"],
        label=raw["label"],
        type=raw["type"],
        length=raw.get("length", 0),
        precision=raw.get("precision", 0),
        scale=raw.get("scale", 0),
        digits=raw.get("digits", 0),
        nillable=raw.get("nillable", False),
        createable=raw.get("createable", False),
        updateable=raw.get("updateable", False),
        defaulted_on_create=raw.get("defaultedOnCreate", False),
        reference_to=targets,
        relationship_name=raw.get("relationshipName"),
        polymorphic=raw.get("polymorphicForeignKey", False) or len(targets) > 1,
        picklist=options,
        # An org-dependent list that the file does not spell out cannot be enforced.
        restricted=raw.get("restrictedPicklist", False) and bool(options),
        id_lookup=raw.get("idLookup", False),
        name_field=raw.get("nameField", False),
        auto_number=raw.get("autoNumber", False),
        permissionable=raw.get("permissionable", False),
        compound=raw.get("compoundFieldName"),
        extra_type_info=raw.get("extraTypeInfo"),
        default_value=raw.get("defaultValue", False if raw["type"] == "boolean" else None),
        feature=raw.get("feature", ""),
    )
