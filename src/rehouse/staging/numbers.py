"""Numbers of an export as SQL: what counts as one in the layout's locale, and its exact value.

Used to compare sums and to report what cannot be parsed; the values themselves are never rewritten here.
"""

from __future__ import annotations

import re

from rehouse.formats.sql import literal
from rehouse.knowledge.load import Layout

DECIMAL = "DECIMAL(38, 9)"
"""The type of exact sums: 29 digits before and 9 after the sign."""

_SIGNS = r"[₺$€£¥%\s\x{00A0}\x{202F}]|TL|TRY|EUR|USD|GBP"


def digits_of(column: str) -> str:
    """SQL: the text without currency signs and codes, percent signs and blanks."""
    return f"regexp_replace({column}, {literal(_SIGNS)}, '', 'g')"


def is_number(column: str, layout: Layout) -> str:
    """SQL: whether the text is a number in the layout's locale (`1.234,56`, `1234,56`, `₺12`, `25%`)."""
    decimal, thousands = re.escape(layout.decimal), re.escape(layout.thousands)
    pattern = rf"[-+]?(\d{{1,3}}({thousands}\d{{3}})+|\d+)({decimal}\d+)?"
    return f"regexp_full_match({digits_of(column)}, {literal(pattern)})"


def value_of(column: str, layout: Layout) -> str:
    """SQL: the exact decimal value of a text that is a number, NULL for any other."""
    plain = f"replace({digits_of(column)}, {literal(layout.thousands)}, '')"
    plain = f"replace({plain}, {literal(layout.decimal)}, '.')"
    return f"CASE WHEN {is_number(column, layout)} THEN try_cast({plain} AS {DECIMAL}) END"
