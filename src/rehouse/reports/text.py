"""Text that is safe to show: data may hold characters that move a cursor, colour a terminal or turn a line round."""

from __future__ import annotations

import re

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def visible(text: str) -> str:
    """The text with control and direction characters replaced by U+FFFD; tab and line feed stay."""
    return _INVISIBLE.sub(REPLACEMENT, text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 160) -> str:
    """The text on one line, cut to `most` characters."""
    joined = " ".join(visible(text).split())
    return joined if len(joined) <= most else joined[: most - 1] + "…"


def number(value: int | float | None) -> str:
    """A figure with thousands separated; an em dash where it is not stated."""
    if value is None:
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def size(count: int | None) -> str:
    """Bytes in the largest binary unit that keeps the figure at 1 or more."""
    if count is None:
        return "—"
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count:,} bytes" if unit == "bytes" else f"{amount:,.1f} {unit}"


def percent(share: float | None) -> str:
    """A share from 0 to 1 in percent. Never rounds up to 100 % or down to 0 %."""
    if share is None:
        return "—"
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.1f}".removesuffix(".0") + " %"
