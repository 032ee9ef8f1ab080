"""JSON rows to cells: names, nested parents, JSON types. A value of the wrong JSON type refuses the request.

Messages follow the platform's parser (fact sheet 7.2, JSON_PARSER_ERROR); line and column are always 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema_model import NUMBER_TYPES, SField, SObject
from rehouse.sandbox.salesforce.sqlfunctions import date_ok, datetime_text, number


@dataclass(slots=True)
class FlatRow:
    """One JSON row as headers and cells (None is never used: null is the empty text); bytes are kept apart."""

    headers: tuple[str, ...]
    cells: list[str]
    blobs: dict[str, Any] = field(default_factory=dict)


def flatten(obj: SObject, row: Mapping[str, Any]) -> FlatRow:
    """Headers as `columns.resolve` reads them, cells as `rules.cell` reads them."""
    headers: list[str] = []
    cells: list[str] = []
    blobs: dict[str, Any] = {}
    for name, value in row.items():
        if name == "attributes":
            continue
        item = obj.field(name)
        if item is not None and item.type == "base64":
            blobs[item.name] = value
            continue
        if isinstance(value, Mapping):
            header, cell = _nested(name, value)
        else:
            header, cell = name, _cell(item, value)
        headers.append(item.name if item is not None else header)
        cells.append(cell)
    return FlatRow(tuple(headers), cells, blobs)


def _nested(relation: str, value: Mapping[str, Any]) -> tuple[str, str]:
    kind = (value.get("attributes") or {}).get("type", "")
    keys = [(k, v) for k, v in value.items() if k != "attributes"]
    if len(keys) != 1:
        raise ApiError(
            400, "INVALID_FIELD", f"The relationship {relation} must be given by exactly one external id field"
        )
    key, cell = keys[0]
    prefix = f"{kind}:" if kind else ""
    return f"{prefix}{relation}.{key}", "" if cell is None else str(cell)


def _refuse(kind: str, token: str, value: Any) -> ApiError:
    return ApiError(
        400,
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a required "
        "field at [line:1, column:1]",
    )


def _cell(item: SField | None, value: Any) -> str:
    if value is None:
        return ""
    kind = _kind(item)
    if isinstance(value, bool):
        if kind != "boolean" and item is not None:
            raise _refuse(kind, "VALUE_TRUE" if value else "VALUE_FALSE", str(value).lower())
        return "true" if value else "false"
    if isinstance(value, int | float):
        if kind != "double" and item is not None:
            raise _refuse(kind, "VALUE_NUMBER_INT" if isinstance(value, int) else "VALUE_NUMBER_FLOAT", value)
        return repr(value)
    if isinstance(value, list):
        if item is not None and item.type not in ("multipicklist", "junctionidlist"):
            raise _refuse(kind, "START_ARRAY", "[")
        return ";".join(str(v) for v in value)
    if isinstance(value, Path | bytes):
        raise _refuse(kind, "VALUE_EMBEDDED_OBJECT", "(bytes)")
    return _text(item, kind, str(value))


def _kind(item: SField | None) -> str:
    if item is None:
        return "string"
    if item.type in NUMBER_TYPES:
        return "double"
    return item.type if item.type in ("boolean", "date", "datetime", "time") else "string"


def _text(item: SField | None, kind: str, value: str) -> str:
    fine = {
        "boolean": lambda: value.lower() in ("true", "false"),
        "double": lambda: number(value) is not None,
        "date": lambda: date_ok(value),
        "datetime": lambda: datetime_text(value) is not None,
    }.get(kind)
    if fine is not None and not fine():
        shown = item.type if item is not None and kind == "double" else kind
        raise _refuse(shown, "VALUE_STRING", value)
    if item is not None and item.storage == "TEXT" and _broken(value):
        raise ApiError(400, "JSON_PARSER_ERROR", "Unpaired surrogate or null character in text at [line:1, column:1]")
    return value


def _broken(value: str) -> bool:
    return "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value) if not value.isascii() else "\x00" in value
