"""Functions that SQLite lacks, for the rows that miss the fast paths of the compiled rules."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, date, datetime

from rehouse.sandbox.salesforce.ids import id18

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_ZONED = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)\Z", re.IGNORECASE
)
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_DOMAIN = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?\Z")


def number(text: str | None) -> float | None:
    """The number written in `text`, or None when it is not one."""
    return float(text) if text is not None and _NUMBER.match(text) else None


def datetime_text(text: str | None) -> str | None:
    """A date and time with a zone as `YYYY-MM-DDTHH:MM:SS.000Z`, or None. Fractions are cut off."""
    match = _ZONED.match(text) if text is not None else None
    if match is None:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else (zone if ":" in zone else f"{zone[:3]}:{zone[3:]}")
    try:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}")
    except ValueError:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def date_ok(text: str) -> bool:
    """Whether the text is a day of the calendar, `YYYY-MM-DD`."""
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def email_ok(text: str | None) -> int:
    """1 when the text has the form of one e-mail address. The platform's exact pattern is not published."""
    if text is None:
        return 1
    local, at, domain = text.rpartition("@")
    return int(bool(at) and bool(_LOCAL.match(local)) and bool(_DOMAIN.match(domain)))


def bad_options(text: str | None, allowed: str) -> str | None:
    """The first of the `;`-separated options in `text` that is not in `allowed` (one per line), or None."""
    known = {line.lower() for line in allowed.split("\n")}
    for part in (text or "").split(";"):
        if part.strip() and part.strip().lower() not in known:
            return part.strip()
    return None


def options_any(text: str | None, wanted: str) -> int:
    """1 when `text` (`a;b`) holds every option of `wanted` (`a;b`): one alternative of INCLUDES."""
    have = {p.strip().lower() for p in (text or "").split(";")}
    return int(all(p.strip().lower() in have for p in wanted.split(";")))


def like(text: str | None, pattern: str) -> int:
    """LIKE without case for the whole of Unicode: `%` any run, `_` one character, backslash escapes."""
    if text is None:
        return 0
    out, escaped = [], False
    for char in pattern:
        if escaped:
            out.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            out.append({"%": ".*", "_": "."}.get(char) or re.escape(char))
    return int(re.fullmatch("".join(out), text, re.IGNORECASE | re.DOTALL) is not None)


def register(db: sqlite3.Connection) -> None:
    """Make the functions known to a connection under the prefix `sf_`."""
    for name, arity, call in (
        ("sf_id18", 1, lambda v: id18(v) if isinstance(v, str) else v),
        ("sf_number", 1, number),
        ("sf_datetime", 1, datetime_text),
        ("sf_email_ok", 1, email_ok),
        ("sf_bad_options", 2, bad_options),
        ("sf_options_any", 2, options_any),
        ("sf_like", 2, like),
    ):
        db.create_function(name, arity, call, deterministic=True)
