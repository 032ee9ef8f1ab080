"""A field of ours as a `CustomField` component, and whether an existing field is the one that is meant.

Source: Metadata API Developer Guide "CustomField" (element names from the WSDL v63). Numbers such as the length
limits are general knowledge and unverified.
"""

from __future__ import annotations

from typing import Any

from rehouse.errors import UserError
from rehouse.model import Field, Kind

TYPES: dict[Kind, str] = {
    Kind.TEXT: "Text",
    Kind.LONG_TEXT: "LongTextArea",
    Kind.HTML: "Html",
    Kind.EMAIL: "Email",
    Kind.PHONE: "Phone",
    Kind.URL: "Url",
    Kind.INTEGER: "Number",
    Kind.DECIMAL: "Number",
    Kind.MONEY: "Currency",
    Kind.PERCENT: "Percent",
    Kind.BOOLEAN: "Checkbox",
    Kind.DATE: "Date",
    Kind.DATETIME: "DateTime",
    Kind.TIME: "Time",
    Kind.OPTION: "Picklist",
    Kind.MULTI_OPTION: "MultiselectPicklist",
    Kind.REFERENCE: "Lookup",
}
_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL})
TEXT_MOST, LONG_LEAST, LONG_MOST, DIGITS_MOST = 255, 256, 131_072, 18
LONG_USUAL = 32_768


def component(object_name: str, field: Field) -> dict[str, Any]:
    """The `CustomField` component. Errors: `UserError` for a kind or size that the platform has not."""
    kind = TYPES.get(field.kind)
    if kind is None:
        raise UserError(
            f"{object_name}.{field.name}: a field of kind {field.kind.value} cannot be created",
            hint="choose another kind in the blueprint's `creates`",
        )
    spec: dict[str, Any] = {"fullName": f"{object_name}.{field.name}", "label": field.label, "type": kind}
    spec |= _size(object_name, field)
    if field.kind is Kind.BOOLEAN:
        spec["defaultValue"] = False
    elif field.required:
        spec["required"] = True
    if field.external_id:
        spec["externalId"] = True
    if field.unique:
        spec["unique"] = True
        if field.kind is Kind.TEXT:
            spec["caseSensitive"] = field.case_sensitive
    return spec


def _size(object_name: str, field: Field) -> dict[str, Any]:
    match field.kind:
        case Kind.TEXT:
            return {"length": _within(object_name, field, field.length or TEXT_MOST, 1, TEXT_MOST)}
        case Kind.LONG_TEXT | Kind.HTML:
            length = _within(object_name, field, field.length or LONG_USUAL, LONG_LEAST, LONG_MOST)
            return {"length": length, "visibleLines": 25 if field.kind is Kind.HTML else 5}
        case Kind.INTEGER | Kind.DECIMAL | Kind.MONEY | Kind.PERCENT:
            digits = _within(object_name, field, field.digits or DIGITS_MOST, 1, DIGITS_MOST)
            return {"precision": digits, "scale": field.scale}
        case Kind.OPTION:
            return {"valueSet": _values(field)}
        case Kind.MULTI_OPTION:
            return {"valueSet": _values(field), "visibleLines": 5}
        case Kind.REFERENCE:
            return _lookup(object_name, field)
        case _:
            return {}


def _within(object_name: str, field: Field, value: int, least: int, most: int) -> int:
    if least <= value <= most:
        return value
    raise UserError(
        f"{object_name}.{field.name}: {field.kind.value} takes {least} to {most}, not {value}",
        hint="change length or digits in the blueprint's `creates`",
    )


def _values(field: Field) -> dict[str, Any]:
    options = [{"fullName": one.value, "default": False, "label": one.label or one.value} for one in field.options]
    return {"restricted": field.restricted, "valueSetDefinition": {"sorted": False, "value": options}}


def _lookup(object_name: str, field: Field) -> dict[str, Any]:
    if len(field.references) != 1:
        raise UserError(
            f"{object_name}.{field.name}: a reference field points at exactly one object",
            hint="name one object in `references`",
        )
    name = field.relationship or f"{object_name}_{field.name.removesuffix('__c')}"
    return {
        "referenceTo": field.references[0],
        "relationshipName": name,
        "relationshipLabel": field.label,
        "deleteConstraint": "SetNull",
    }


def conflict(wanted: Field, existing: Field) -> str:
    """Why the existing field cannot serve as the wanted one; empty where it can."""
    if not _alike(wanted, existing):
        return f"it exists as {existing.kind.value}, {wanted.kind.value} is needed"
    if wanted.length and existing.length and existing.length < wanted.length:
        return f"it exists with {existing.length} characters, {wanted.length} are needed"
    if wanted.external_id and not existing.external_id:
        return "it exists, but is no external id"
    if wanted.unique and not existing.unique:
        return "it exists, but is not unique"
    known = {one.value for one in existing.options if one.active}
    lacking = [one.value for one in wanted.options if one.value not in known]
    if lacking and existing.restricted:
        return f"it exists, but lacks {len(lacking)} option(s) such as {lacking[0]!r}"
    return ""


def _alike(wanted: Field, existing: Field) -> bool:
    if wanted.kind in _NUMBERS:
        return existing.kind in _NUMBERS
    # A text area of at most 255 characters serves where text is wanted.
    if wanted.kind is Kind.TEXT:
        return existing.kind in (Kind.TEXT, Kind.LONG_TEXT)
    return wanted.kind is existing.kind
