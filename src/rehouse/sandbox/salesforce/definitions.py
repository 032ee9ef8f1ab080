"""EntityDefinition and FieldDefinition: rows that follow the schema, rewritten when it has changed.

They are ordinary tables of the org, filled here just before a query names them.
"""

from __future__ import annotations

import re
from typing import Any

from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.tables import quoted

_NAMED = re.compile(r"\b(EntityDefinition|FieldDefinition)\b", re.IGNORECASE)
_KEY = "definitions of schema"
_TYPES = {
    "id": "Id",
    "boolean": "Checkbox",
    "reference": "Lookup",
    "email": "Email",
    "phone": "Phone",
    "url": "URL",
    "date": "Date",
    "datetime": "Date/Time",
    "time": "Time",
    "picklist": "Picklist",
    "multipicklist": "Picklist (Multi-Select)",
    "address": "Address",
}


def refresh(org: Org, soql: str) -> None:
    """Bring the definition tables up to date if the query names them."""
    if not _NAMED.search(soql):
        return
    stamp = f"{org.schema.modified.isoformat()} {org.schema.version}"
    with org.transaction():
        if org.store.meta(_KEY) == stamp:
            return
        db = org.store.db
        for name in ("EntityDefinition", "FieldDefinition"):
            db.execute(f"DELETE FROM {name}")
        for obj in org.schema.objects.values():
            _insert(org, "EntityDefinition", _entity(obj))
            for field in obj.fields.values():
                if org.visible(obj, field):
                    _insert(org, "FieldDefinition", _field(obj, field))
        org.store.set_meta(_KEY, stamp)


def _insert(org: Org, table: str, row: dict[str, Any]) -> None:
    known = org.schema.objects[table]
    values = {
        item.name: row.get(item.name, 0 if item.type == "boolean" else None)
        for item in known.fields.values()
        if item.storage
    }
    values["Id"] = next(org.next_ids(table, 1))
    names = ", ".join(quoted(name) for name in values)
    marks = ", ".join("?" * len(values))
    org.store.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def _entity(obj: SObject) -> dict[str, Any]:
    return {
        "DurableId": obj.name,
        "QualifiedApiName": obj.name,
        "DeveloperName": obj.name.removesuffix("__c"),
        "MasterLabel": obj.label,
        "Label": obj.label,
        "PluralLabel": obj.label_plural,
        "IsCustomizable": int(obj.layoutable),
        "DeploymentStatus": "Deployed" if obj.custom else None,
        "KeyPrefix": obj.key_prefix,
        "IsReplicateable": int(obj.replicateable),
        "IsRetrieveable": int(obj.queryable),
        "IsSearchable": int(obj.searchable),
        "IsTriggerable": int(obj.triggerable),
        "IsApexTriggerable": int(obj.triggerable),
        "IsIdEnabled": 1,
        "IsEverCreatable": int(obj.createable),
        "IsEverUpdatable": int(obj.updateable),
        "IsEverDeletable": int(obj.deletable),
        "IsFeedEnabled": int(obj.feed_enabled),
        "IsQueryable": int(obj.queryable),
        "IsLayoutable": int(obj.layoutable),
        "InternalSharingModel": "ReadWrite",
        "ExternalSharingModel": "Private",
    }


def _field(obj: SObject, field: SField) -> dict[str, Any]:
    return {
        "DurableId": f"{obj.name}.{field.name}",
        "QualifiedApiName": field.name,
        "EntityDefinitionId": obj.name,
        "DeveloperName": field.name.removesuffix("__c"),
        "MasterLabel": field.label,
        "Label": field.label,
        "Length": field.length,
        "DataType": _data_type(field),
        "Precision": field.precision,
        "Scale": field.scale,
        "ExtraTypeInfo": field.extra_type_info,
        "IsCalculated": int(field.calculated),
        "IsNameField": int(field.name_field),
        "IsNillable": int(field.nillable),
        "IsIndexed": int(field.external_id or field.unique or field.type == "id"),
        "IsApiFilterable": int(field.length <= 255 or field.type != "textarea"),
        "RelationshipName": field.relationship_name,
        "IsPolymorphicForeignKey": int(field.polymorphic),
        "IsCompound": int(field.type == "address"),
        "Description": field.description,
    }


def _data_type(field: SField) -> str:
    """The type as Setup spells it; lengths in brackets."""
    if field.type == "string":
        return f"Text({field.length})" if not field.auto_number else "Auto Number"
    if field.type == "textarea":
        return f"Long Text Area({field.length})" if field.length > 255 else "Text Area(255)"
    if field.type in ("double", "currency", "percent"):
        label = {"double": "Number", "currency": "Currency", "percent": "Percent"}[field.type]
        return f"{label}({field.precision - field.scale}, {field.scale})"
    if field.type == "int":
        return f"Number({field.digits or 9}, 0)"
    if field.is_reference:
        return f"Lookup({','.join(field.reference_to)})"
    return _TYPES.get(field.type, field.type.capitalize())
