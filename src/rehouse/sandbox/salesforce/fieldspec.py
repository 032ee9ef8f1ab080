"""A custom field from its Metadata API elements (`CustomField`) to describe facts.

Limits come from the Metadata API guide; the numbers marked general knowledge in the fact sheet are unverified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.sandbox.salesforce.schema_model import PicklistValue, SchemaError, SField

_TYPES = {
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Html": "textarea",
    "Email": "email",
    "Phone": "phone",
    "Url": "url",
    "Checkbox": "boolean",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Date": "date",
    "DateTime": "datetime",
    "Time": "time",
    "Picklist": "picklist",
    "MultiselectPicklist": "multipicklist",
    "Lookup": "reference",
    "MasterDetail": "reference",
    "Hierarchy": "reference",
    "AutoNumber": "string",
    "EncryptedText": "encryptedstring",
}
_LENGTHS = {"TextArea": 255, "Email": 80, "Phone": 40, "Url": 255, "MultiselectPicklist": 4099, "AutoNumber": 30}
_EXTERNAL = frozenset({"Text", "Number", "Email", "AutoNumber"})
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9]|_(?!_))*(?<!_)__c\Z")


def flag(value: object) -> bool:
    """A boolean element, given as a boolean or as text."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1"))


def _number(spec: Mapping[str, Any], key: str, default: int) -> int:
    raw = spec.get(key)
    if raw in (None, ""):
        return default
    try:
        return int(str(raw))
    except ValueError as error:
        raise SchemaError("FIELD_INTEGRITY_EXCEPTION", f"{key} must be a whole number") from error


def _values(spec: Mapping[str, Any], shared: Mapping[str, tuple[PicklistValue, ...]]) -> tuple[PicklistValue, ...]:
    chosen = spec.get("valueSet") or {}
    name = chosen.get("valueSetName")
    if name:
        if name not in shared:
            raise SchemaError(
                "INVALID_CROSS_REFERENCE_KEY", f"In field: valueSetName - no GlobalValueSet named {name} found"
            )
        return shared[name]
    definition = chosen.get("valueSetDefinition") or {}
    return picklist_values(definition.get("value") or ())


def picklist_values(raw: Sequence[Any] | Mapping[str, Any]) -> tuple[PicklistValue, ...]:
    """Options from `value`/`standardValue`/`customValue` elements, or from plain texts. Order is kept."""
    out: dict[str, PicklistValue] = {}
    for one in [raw] if isinstance(raw, Mapping) else raw:
        if isinstance(one, str):
            out.setdefault(one.lower(), PicklistValue(one, one))
            continue
        value = str(one.get("fullName") or one.get("label") or "")
        if not value:
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [FullName]")
        if value.lower() in out:
            raise SchemaError("DUPLICATE_VALUE", f"Duplicate label: {value}")
        active = one.get("isActive")
        out[value.lower()] = PicklistValue(
            value=value,
            label=str(one.get("label") or value),
            active=True if active in (None, "") else flag(active),
            default=flag(one.get("default")),
        )
    return tuple(out.values())


def build_field(
    obj: str, name: str, spec: Mapping[str, Any], shared: Mapping[str, tuple[PicklistValue, ...]]
) -> SField:
    """The field that these elements describe. Raises SchemaError with the platform's code."""
    kind = str(spec.get("type") or "")
    if kind not in _TYPES:
        raise SchemaError("INVALID_TYPE", f"Custom field type {kind or '(none)'} is not supported by this sandbox")
    if not _NAME.match(name) or len(name) > 43:
        raise SchemaError("INVALID_FIELD_NAME", f"Invalid field name: {name}")
    label = str(spec.get("label") or "")
    if not label:
        raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Label]")
    external, unique = flag(spec.get("externalId")), flag(spec.get("unique"))
    if (external or unique) and kind not in _EXTERNAL:
        raise SchemaError(
            "FIELD_INTEGRITY_EXCEPTION", f"Can not specify 'externalId' or 'unique' for a CustomField of type {kind}"
        )
    precision, scale, digits_error = _numbers(kind, spec)
    if digits_error:
        raise SchemaError("FIELD_INTEGRITY_EXCEPTION", digits_error)
    required = flag(spec.get("required")) or kind == "MasterDetail"
    targets = _targets(kind, obj, spec)
    value_set = spec.get("valueSet") or {}
    boolean_default = flag(spec.get("defaultValue")) if kind == "Checkbox" else None
    writable = kind != "AutoNumber" and not spec.get("formula")
    values = _values(spec, shared) if kind in ("Picklist", "MultiselectPicklist") else ()
    chosen = next((v.value for v in values if v.default), None)
    return SField(
        name=name,
        label=label,
        type=_TYPES[kind],
        length=_length(kind, spec),
        precision=precision,
        scale=scale,
        nillable=not required and kind != "Checkbox",
        createable=writable,
        updateable=writable and (kind != "MasterDetail" or flag(spec.get("reparentableMasterDetail"))),
        defaulted_on_create=kind in ("Checkbox", "AutoNumber"),
        reference_to=targets,
        relationship_name=_relationship(name) if targets else None,
        picklist=values,
        restricted=flag(value_set.get("restricted")) and bool(values),
        id_lookup=external,
        external_id=external,
        unique=unique,
        case_sensitive=flag(spec.get("caseSensitive")),
        custom=True,
        auto_number=kind == "AutoNumber",
        calculated=bool(spec.get("formula")),
        formula=spec.get("formula"),
        permissionable=not required,
        extra_type_info={"TextArea": "plaintextarea", "LongTextArea": "plaintextarea", "Html": "richtextarea"}.get(
            kind
        ),
        default_value=boolean_default if kind == "Checkbox" else chosen,
        inline_help_text=spec.get("inlineHelpText") or None,
        description=spec.get("description") or None,
        cascade_delete=kind == "MasterDetail" or spec.get("deleteConstraint") == "Cascade",
        restricted_delete=spec.get("deleteConstraint") == "Restrict",
        relationship_order=_number(spec, "relationshipOrder", 0) if kind == "MasterDetail" else None,
        write_requires_master_read=flag(spec.get("writeRequiresMasterRead")),
        display_format=spec.get("displayFormat") or None,
        visible_lines=_number(spec, "visibleLines", 0),
        metadata_type=kind,
        required=required and kind != "Checkbox",
    )


def _relationship(name: str) -> str:
    return name[:-3] + "__r"


def _targets(kind: str, obj: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
    if _TYPES[kind] != "reference":
        return ()
    target = spec.get("referenceTo") or (obj if kind == "Hierarchy" else "")
    if not target:
        raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [referenceTo]")
    return (str(target),)


def _length(kind: str, spec: Mapping[str, Any]) -> int:
    if kind in _LENGTHS:
        return _LENGTHS[kind]
    if _TYPES[kind] == "reference":
        return 18
    if kind == "Picklist":
        return 255
    if kind in ("Text", "EncryptedText"):
        length = _number(spec, "length", 0)
        top = 255 if kind == "Text" else 175
        if not 1 <= length <= top:
            raise SchemaError(
                "FIELD_INTEGRITY_EXCEPTION", f"Text fields must have a length between 1 and {top} (length)"
            )
        return length
    if kind in ("LongTextArea", "Html"):
        length = _number(spec, "length", 0)
        if not 256 <= length <= 131072:
            raise SchemaError("INVALID_FIELD_LENGTH", "Long text area length must be between 256 and 131072")
        if _number(spec, "visibleLines", 0) < (2 if kind == "LongTextArea" else 10):
            raise SchemaError(
                "FIELD_INTEGRITY_EXCEPTION", "Must specify 'visibleLines' for a CustomField of type " + kind
            )
        return length
    return 0


def _numbers(kind: str, spec: Mapping[str, Any]) -> tuple[int, int, str]:
    if kind not in ("Number", "Currency", "Percent"):
        return 0, 0, ""
    precision, scale = _number(spec, "precision", 0), _number(spec, "scale", -1)
    if not precision or scale < 0:
        return 0, 0, f"Must specify 'precision' and 'scale' for a CustomField of type {kind}"
    if precision > 18 or scale > precision:
        return 0, 0, "Precision must be at most 18 and the scale at most the precision"
    return precision, scale, ""
