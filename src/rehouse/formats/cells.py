"""Typed spreadsheet cells as text: lossless, and unambiguous in the layout's locale."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

Cell = int | float | str | bool | dt.date | dt.datetime | dt.time | dt.timedelta

EMPTY, TEXT, NUMBER, DATE, BOOLEAN = "empty", "text", "number", "date", "boolean"
COMMA = "comma"
"""Not a kind of its own: text cells that hold a number with the layout's decimal sign."""


def text_of(value: Cell, decimal: str) -> str | None:
    """The text of one cell, None when it is empty.

    Text stays exactly as it is. Dates become `2024-12-31T14:05:00`, without the time part when the cell has
    none (`2024-12-31`); times `14:05:00`; durations hours, minutes, seconds (`36:00:00`). Whole numbers have no
    fraction (`5321234567`), others use `decimal` as their sign and the shortest digits that give the same
    number back. Booleans become TRUE and FALSE.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value, decimal)
    return _moment(value)


def kind_of(value: Cell) -> str:
    """What the spreadsheet says the cell holds: empty, text, number, date or boolean."""
    if isinstance(value, str):
        return TEXT if value else EMPTY
    if isinstance(value, bool):
        return BOOLEAN
    return NUMBER if isinstance(value, int | float) else DATE


def _number(value: float, decimal: str) -> str:
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f").replace(".", decimal)


def _moment(value: dt.date | dt.datetime | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.datetime):
        rounded = _rounded(value)
        return rounded.isoformat(timespec="milliseconds" if rounded.microsecond else "seconds")
    if isinstance(value, dt.timedelta):
        total = round(value.total_seconds())
        sign, total = ("-", -total) if total < 0 else ("", total)
        return f"{sign}{total // 3600:02d}:{total % 3600 // 60:02d}:{total % 60:02d}"
    if isinstance(value, dt.time):
        return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return value.isoformat()


def _rounded(moment: dt.datetime) -> dt.datetime:
    # A spreadsheet counts days as a float: 14:05:00 may come back as 14:04:59.999997.
    milliseconds = round(moment.microsecond / 1000)
    return moment.replace(microsecond=0) + dt.timedelta(milliseconds=milliseconds)


def decimal_pattern(decimal: str) -> re.Pattern[str]:
    """Text that is a number with a fraction after `decimal`: `1.234,56`, `₺12,5`, `12,5 TL`, `%0,25`."""
    return re.compile(rf"\s*[^\w\s]?\s*[-+]?\d[\d.,'\s]*{re.escape(decimal)}\d+\s*(?:[^\W\d]{{1,3}}|[^\w\s])?\s*$")
