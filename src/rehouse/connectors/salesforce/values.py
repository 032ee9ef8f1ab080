"""Values between the platform's spelling and the canonical one, set-wise on Arrow columns.

Canonical: numbers `1234.56` without exponent or trailing zeros, booleans `true`/`false`, dates `2024-12-31`,
datetimes `2024-12-31T11:05:00.000Z`, empty text is null. The platform answers datetimes as
`2026-01-31T12:00:00.000+0000` (REST) or with `Z` (Bulk), always in UTC, and numbers as `5.0` or `5E+1`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from rehouse.model import Kind

NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.MONEY, Kind.PERCENT})


def canonical(column: pa.Array, kind: Kind) -> pa.Array:
    """A text column of the platform's spelling in canonical spelling."""
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if kind in NUMBERS:
        return _numbers(column)
    if kind is Kind.BOOLEAN:
        return pc.utf8_lower(column)
    if kind is Kind.DATETIME:
        return _datetimes(column)
    return column


def _datetimes(column: pa.Array) -> pa.Array:
    column = pc.replace_substring_regex(column, r"(\+0000|\+00:00|Z)$", "Z")
    whole = pc.match_substring_regex(column, r"T\d{2}:\d{2}:\d{2}Z$")
    return pc.if_else(pc.fill_null(whole, False), pc.replace_substring(column, "Z", ".000Z"), column)


def _numbers(column: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(column, "[eE]")).as_py():
        column = pa.array([_plain(value) for value in column.to_pylist()], pa.string())
    # RE2 knows one-digit groups only: this is group 1, then "0.".
    column = pc.replace_substring_regex(column, r"^(-?)\.", r"\10.")
    column = pc.replace_substring_regex(column, r"(\.\d*?)0+$", r"\1")
    column = pc.replace_substring_regex(column, r"\.$", "")
    return pc.if_else(pc.equal(column, "-0"), "0", column)


def _plain(value: str | None) -> str | None:
    return None if value is None else format(Decimal(value), "f")


def to_json(value: str | None, kind: Kind) -> Any:
    """A canonical value as REST takes it. Numbers keep every digit: they do not pass through a float."""
    if value is None:
        return None
    if kind in NUMBERS:
        return orjson.Fragment(format(Decimal(value), "f"))
    if kind is Kind.BOOLEAN:
        return value == "true"
    return value
