"""Record ids: 15 case-sensitive characters, or 18 with a checksum that survives case-insensitive tools.

Shape: 3 characters of key prefix (the object), 2 of the instance, one reserved `0`, 9 of a base-62 counter.
The alphabet runs `0-9A-Za-z`, so ids of one object sort in the order in which they were made.
Checksum rule: Salesforce Object Reference, "ID field type".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_KNOWN = frozenset(ALPHABET)
MASTER_RECORD_TYPE = "012000000000000AAA"


def checksum(id15: str) -> str:
    """The three check characters of a 15-character id."""
    out = ""
    for start in (0, 5, 10):
        bits = 0
        for place in range(5):
            if "A" <= id15[start + place] <= "Z":
                bits |= 1 << place
        out += _CHECK[bits]
    return out


def id18(value: str) -> str:
    """The 18-character form of an id. A 15-character id gains its checksum; anything else is returned as is."""
    if len(value) == 15 and _KNOWN.issuperset(value):
        return value + checksum(value)
    return value


def is_id(value: object) -> bool:
    """Whether the text has the shape of an id: 15 or 18 letters and digits."""
    return isinstance(value, str) and len(value) in (15, 18) and _KNOWN.issuperset(value)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))


def make_ids(prefix: str, instance: str, first: int, count: int) -> Iterator[str]:
    """`count` ids of 18 characters for the counters `first`, `first + 1`, …"""
    number, end = first, first + count
    while number < end:
        block = number // 62
        head = f"{prefix}{instance}0{_base62(block, 8)}"
        low = checksum(head + "0")
        high = checksum(head + "A")
        stop = min(end, (block + 1) * 62)
        for tail in range(number - block * 62, stop - block * 62):
            yield head + ALPHABET[tail] + (high if 10 <= tail < 36 else low)
        number = stop


def make_id(prefix: str, instance: str, number: int) -> str:
    """One id of 18 characters."""
    return next(make_ids(prefix, instance, number, 1))


def instance_of(name: str) -> str:
    """Two characters that tell this org's ids from another's, derived from the org's name."""
    digest = hashlib.sha256(name.encode()).digest()
    return ALPHABET[10 + digest[0] % 26] + ALPHABET[10 + digest[1] % 26]
