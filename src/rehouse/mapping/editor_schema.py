"""A JSON Schema of the mapping files for editors, generated from the catalogue of operators.

It helps while typing; `load_recipe` is the judge, because names and routes are beyond a schema.
"""

from __future__ import annotations

from typing import Any

from rehouse.mapping.expressions import (
    CONDITIONS,
    OPERATORS,
    Argument,
    Condition,
    Expression,
    Shape,
    arguments,
)

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_SCALAR = {"type": ["string", "integer", "boolean"]}
_EXPRESSION = {"$ref": "#/$defs/expression"}
_CONDITION = {"$ref": "#/$defs/condition"}

_PLAIN: dict[Shape, Any] = {
    Shape.EXPRESSION: _EXPRESSION,
    Shape.EXPRESSIONS: {"type": "array", "items": _EXPRESSION, "minItems": 1},
    Shape.OPERAND: {"anyOf": [_SCALAR, _EXPRESSION]},
    Shape.CONDITION: _CONDITION,
    Shape.CONDITIONS: {"type": "array", "items": _CONDITION, "minItems": 1},
    Shape.NAME: _TEXT,
    Shape.TEXT: _TEXT,
    Shape.TEXTS: {"type": "array", "items": _SCALAR},
    Shape.SCALAR: _SCALAR,
    Shape.POSITIVE: {"type": "integer", "minimum": 1},
    Shape.COUNT: {"type": "integer", "minimum": 0},
    Shape.MAP: {"type": "object", "additionalProperties": _SCALAR},
    Shape.TRUTH: {"enum": ["true", "false", True, False]},
    Shape.TARGET: {
        "anyOf": [
            _TEXT,
            {
                "type": "object",
                "properties": {"column": _EXPRESSION, "map": {"type": "object"}},
                "required": ["column", "map"],
                "additionalProperties": False,
            },
        ]
    },
}


def json_schema() -> dict[str, Any]:
    """The schema of `<object>.yaml` (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rehouse mapping of one source object",
        **_mapping(),
        "$defs": {
            "expression": {"anyOf": [_TEXT, *(_operator(name, cls) for name, cls in OPERATORS.items())]},
            "condition": {"anyOf": [_operator(name, cls) for name, cls in CONDITIONS.items()]},
            "route": _route(),
            "output": _output(),
        },
    }


def _operator(name: str, cls: type[Expression] | type[Condition]) -> dict[str, Any]:
    args = arguments(cls)
    mains = [_shape(a) for a in args if a.main]
    main = (
        mains[0]
        if len(mains) == 1
        else {"type": "array", "prefixItems": mains, "minItems": len(mains), "maxItems": len(mains)}
    )
    return {
        "type": "object",
        "description": " ".join((cls.__doc__ or "").split()),
        "properties": {name: main, **{a.key: _shape(a) for a in args if not a.main}},
        "required": [name, *(a.key for a in args if a.required and not a.main)],
        "additionalProperties": False,
    }


def _shape(arg: Argument) -> dict[str, Any]:
    if arg.shape in (Shape.CHOICE, Shape.TAKE):
        numbers = [int(c) for c in arg.choices if c.isdigit()]
        return {"enum": [*arg.choices, *numbers]}
    if arg.shape is Shape.FALLBACK:
        constant = _object({"constant": _SCALAR}, ["constant"])
        return {"anyOf": [{"enum": list(arg.choices)}, constant]}
    found: dict[str, Any] = _PLAIN[arg.shape]
    return found


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _fates() -> dict[str, Any]:
    return {
        "to": _TEXTS,
        "skip": _TEXT,
        "reject": _TEXT,
        "merge_into": _object({"output": _TEXT, "by": _EXPRESSION}, ["output", "by"]),
    }


def _route() -> dict[str, Any]:
    otherwise = {"anyOf": [_TEXTS, _object(_fates(), [])]}
    return {
        "anyOf": [
            _object({"when": _CONDITION, **_fates(), "rule": _TEXT}, ["when"]),
            _object({"otherwise": otherwise, "rule": _TEXT}, ["otherwise"]),
        ]
    }


def _output() -> dict[str, Any]:
    preference = {
        "anyOf": [
            _CONDITION,
            _object({"earliest": _EXPRESSION}, ["earliest"]),
            _object({"latest": _EXPRESSION}, ["latest"]),
        ]
    }
    key = {
        "anyOf": [
            _object({"external_id": _TEXT, "from": _EXPRESSION}, ["external_id", "from"]),
            _object({"natural": _TEXTS}, ["natural"]),
        ]
    }
    found = {"enum": ["fill_empty", "leave"]}
    match = _object({"field": _TEXT, "by": _EXPRESSION, "when_found": found}, ["field", "by"])
    properties = {
        "to": _TEXT,
        "merge": _object({"by": _EXPRESSION, "prefer": {"type": "array", "items": preference}}, ["by"]),
        "key": key,
        "match": match,
        "match_only": _object({"by": _EXPRESSION, "field": _TEXT}, ["by", "field"]),
        "fields": {"type": "object", "additionalProperties": _EXPRESSION},
    }
    return _object(properties, ["to"])


def _mapping() -> dict[str, Any]:
    routes = {"type": "array", "items": {"$ref": "#/$defs/route"}, "minItems": 1}
    properties = {
        "version": {"const": 1},
        "object": _TEXT,
        "values": {"type": "object", "additionalProperties": _EXPRESSION},
        "routes": routes,
        "outputs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/output"}},
        "dropped": {"type": "object", "additionalProperties": _TEXT},
    }
    return _object(properties, ["version", "object", "routes"])
