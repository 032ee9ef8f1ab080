"""How a source writes numbers, dates and truth. Data from the platform's layout, never from an engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DIRECTIVES = {
    "%d": "[0-9]{1,2}",
    "%m": "[0-9]{1,2}",
    "%Y": "[12][0-9]{3}",
    "%H": "[0-9]{1,2}",
    "%M": "[0-9]{2}",
    "%S": "[0-9]{2}",
    "%%": "%",
}


@dataclass(frozen=True, slots=True)
class Locale:
    """The conventions of one source. Formats use `%d %m %Y %H %M %S` only: a day, month or hour has one or
    two digits, a year four (1000 to 2999), minutes and seconds two; the first format that fits decides."""

    language: str = "tr"
    zone: str = "Europe/Istanbul"
    decimal: str = ","
    thousands: str = "."
    empty_values: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ("%Y-%m-%d",)
    datetime_formats: tuple[str, ...] = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
    true_values: tuple[str, ...] = ("true",)
    false_values: tuple[str, ...] = ("false",)

    def __post_init__(self) -> None:
        signs = ".,'_ \u00a0\u202f\u2019"
        known = all(len(s) == 1 and s in signs for s in (self.decimal, self.thousands))
        if not known or self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands must be two different characters of {signs!r}")
        for text in (*self.date_formats, *self.datetime_formats):
            format_pattern(text)

    @classmethod
    def of(cls, layout: Mapping[str, Any]) -> Locale:
        """The locale in a layout's own keys (`locale, zone, decimal, thousands, empty_values, …`)."""

        def texts(key: str, default: Sequence[str]) -> tuple[str, ...]:
            return tuple(str(v) for v in layout.get(key, default))

        return cls(
            language=str(layout.get("locale", "tr")).split("_")[0].lower(),
            zone=str(layout.get("zone", "Europe/Istanbul")),
            decimal=str(layout.get("decimal", ",")),
            thousands=str(layout.get("thousands", ".")),
            empty_values=texts("empty_values", ()),
            date_formats=texts("date_formats", ("%Y-%m-%d",)),
            datetime_formats=texts("datetime_formats", ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")),
            true_values=texts("true_values", ("true",)),
            false_values=texts("false_values", ("false",)),
        )


def format_pattern(text: str) -> str:
    """The regular expression (RE2 and Python alike) that a date format stands for, without anchors.

    Raises ValueError for a directive outside the catalogue's set.
    """
    pieces = re.split(r"(%.)", text)
    unknown = [p for p in pieces if p.startswith("%") and p not in _DIRECTIVES]
    if unknown:
        raise ValueError(f"date format {text!r}: {unknown[0]!r} is not supported; use %d %m %Y %H %M %S")
    return "".join(_DIRECTIVES.get(p, re.sub(r"([.+*?()\[\]{}|^$\\])", r"\\\1", p)) for p in pieces)
