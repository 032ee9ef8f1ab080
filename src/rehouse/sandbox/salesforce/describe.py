"""Global describe and object describe: the catalog on the wire.

A field carries exactly 57 attributes (recorded traffic of CumulusCI); those that the org does not store are
derived from type and length as `describeDerivation` of `data/objects.json` gives them.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from rehouse.sandbox.salesforce.api import Answer, Call, Table
from rehouse.sandbox.salesforce.ids import MASTER_RECORD_TYPE
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema_model import NUMBER_TYPES, RecordTypeInfo, SField, SObject

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "location": "urn:location",
    "complexvalue": "tns:FieldDefinition",
    "junctionidlist": "urn:JunctionIdListNames",
}
_NOT_GROUPABLE = frozenset(
    {"double", "currency", "percent", "datetime", "multipicklist", "combobox", "base64", "address", "location"}
)
_NOT_SORTABLE = frozenset({"multipicklist", "base64", "address", "location"})
_NOT_AGGREGATABLE = frozenset({"boolean", "multipicklist", "base64", "address", "location"})


def field_body(field: SField) -> dict[str, Any]:
    """One field as describe sends it: 57 attributes in alphabetical order."""
    kind = field.type
    long_text = kind == "textarea" and field.length > 255
    length = 18 if kind in ("id", "reference") else 4099 if kind == "multipicklist" else field.length
    if kind in NUMBER_TYPES or kind in ("address", "location"):
        length = 0
    single = ("id", "reference", "multipicklist")
    filterable = not long_text and kind != "base64"
    groupable = filterable and kind not in _NOT_GROUPABLE and not (kind == "string" and field.length > 255)
    return {
        "aggregatable": not long_text and kind not in _NOT_AGGREGATABLE,
        "aiPredictionField": False,
        "autoNumber": field.auto_number,
        "byteLength": length if kind in single else 3 * length,
        "calculated": field.calculated,
        "calculatedFormula": field.formula,
        "cascadeDelete": field.cascade_delete,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": field.compound,
        "controllerName": None,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": _default(field),
        "defaultValueFormula": None,
        "defaultedOnCreate": field.defaulted_on_create or kind == "boolean",
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": (field.digits or 9) if kind == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": kind == "encryptedstring",
        "externalId": field.external_id,
        "extraTypeInfo": field.extra_type_info or ("plaintextarea" if kind == "textarea" else None),
        "filterable": filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": groupable,
        "highScaleNumber": False,
        "htmlFormatted": field.extra_type_info == "richtextarea",
        "idLookup": field.id_lookup or field.external_id or kind == "id",
        "inlineHelpText": field.inline_help_text,
        "label": field.label,
        "length": length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": field.polymorphic,
        "nillable": field.nillable,
        "permissionable": field.permissionable,
        "picklistValues": [
            {
                "active": option.active,
                "defaultValue": option.default,
                "label": option.label or option.value,
                "validFor": None,
                "value": option.value,
            }
            for option in field.picklist
        ],
        "polymorphicForeignKey": field.polymorphic,
        "precision": field.precision if kind in ("double", "currency", "percent") else 0,
        "queryByDistance": kind in ("address", "location"),
        "referenceTargetField": None,
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship_name,
        "relationshipOrder": field.relationship_order,
        "restrictedDelete": field.restricted_delete,
        "restrictedPicklist": field.restricted,
        "scale": field.scale,
        "searchPrefilterable": kind == "reference",
        "soapType": _SOAP.get(kind, "xsd:string"),
        "sortable": not long_text and kind not in _NOT_SORTABLE,
        "type": kind,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": field.write_requires_master_read,
    }


def _default(field: SField) -> Any:
    if field.type == "boolean":
        return bool(field.default_value)
    return field.default_value


def global_body(obj: SObject, version: str) -> dict[str, Any]:
    """One entry of the global describe."""
    base = f"/services/data/v{version}/sobjects/{obj.name}"
    urls = {"rowTemplate": base + "/{ID}", "describe": f"{base}/describe", "sobject": base}
    if obj.layoutable:
        urls |= {"layouts": f"{base}/describe/layouts", "compactLayouts": f"{base}/describe/compactLayouts"}
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": obj.createable,
        "custom": obj.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": obj.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": obj.feed_enabled,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": obj.key_prefix,
        "label": obj.label,
        "labelPlural": obj.label_plural,
        "layoutable": obj.layoutable,
        "mergeable": obj.mergeable,
        "mruEnabled": obj.layoutable,
        "name": obj.name,
        "queryable": obj.queryable,
        "replicateable": obj.replicateable,
        "retrieveable": obj.queryable,
        "searchable": obj.searchable,
        "triggerable": obj.triggerable,
        "undeletable": obj.undeletable,
        "updateable": obj.updateable,
        "urls": urls,
    }


def object_body(obj: SObject, fields: list[SField], version: str) -> dict[str, Any]:
    """`GET sobjects/X/describe`: the object with the fields that the user may see."""
    body = global_body(obj, version)
    base = f"/services/data/v{version}/sobjects/{obj.name}"
    body.update(
        {
            "actionOverrides": [],
            "childRelationships": [
                {
                    "cascadeDelete": child.cascade_delete,
                    "childSObject": child.child,
                    "deprecatedAndHidden": False,
                    "field": child.field,
                    "junctionIdListNames": [],
                    "junctionReferenceTo": [],
                    "relationshipName": child.relationship_name,
                    "restrictedDelete": child.restricted_delete,
                }
                for child in obj.children
            ],
            "compactLayoutable": obj.layoutable,
            "defaultImplementation": None,
            "extendedBy": None,
            "extendsInterfaces": None,
            "fields": [field_body(field) for field in fields],
            "implementedBy": None,
            "implementsInterfaces": None,
            "listviewable": None,
            "lookupLayoutable": None,
            "namedLayoutInfos": [],
            "networkScopeFieldName": None,
            "recordTypeInfos": _record_types(obj, base),
            "searchLayoutable": obj.layoutable,
            "sobjectDescribeOption": "FULL",
            "supportedScopes": [{"label": f"All {obj.label_plural}", "name": "everything"}],
            "urls": {
                **body["urls"],
                "uiDetailTemplate": "/{ID}",
                "uiEditTemplate": "/{ID}/e",
                "uiNewRecord": f"/{obj.key_prefix}/e",
            },
        }
    )
    return dict(sorted(body.items()))


def _record_types(obj: SObject, base: str) -> list[dict[str, Any]]:
    """The object's own record types, then the master type, which every object has."""
    has_default = any(one.default for one in obj.record_types)
    master = RecordTypeInfo(MASTER_RECORD_TYPE, "Master", "Master", default=not has_default)
    return [
        {
            "active": one.active,
            "available": one.active,
            "defaultRecordTypeMapping": one.default,
            "developerName": one.developer_name,
            "master": one is master,
            "name": one.name,
            "recordTypeId": one.id,
            "urls": {"layout": f"{base}/describe/layouts/{one.id}"},
        }
        for one in (*obj.record_types, master)
    ]


# --- operations -------------------------------------------------------------------------------------------


def operations(table: Table) -> None:
    table.add("GET", "/sobjects", global_describe)
    table.add("GET", "/sobjects/{object}/describe", object_describe)


def global_describe(call: Call) -> Answer:
    """`GET sobjects/`."""
    objects = sorted(call.site.org.schema.objects.values(), key=lambda one: one.name)
    entries = [global_body(obj, f"{call.version}.0") for obj in objects]
    return Answer(200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries})


def object_describe(call: Call) -> Answer:
    """`GET sobjects/{Object}/describe`; 304 when the schema has not changed since `If-Modified-Since`."""
    obj = call.sobject()
    changed = call.site.org.schema.modified.replace(microsecond=0)
    headers = {"Last-Modified": format_datetime(changed, usegmt=True)}
    since = _since(call.headers.get("if-modified-since"))
    if since is not None and changed <= since:
        return Answer(304, None, headers)
    return Answer(
        200, object_body(obj, call.site.org.schema.visible_fields(obj, call.user_id), f"{call.version}.0"), headers
    )


def _since(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        return parsedate_to_datetime(value)
    except ValueError as bad:
        raise ApiError(400, "INVALID_HEADER_VALUE", "If-Modified-Since is no HTTP date") from bad
