"""Comparing names of sheets and columns: what counts as the same, and which one was probably meant."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from rapidfuzz import fuzz, process

_CLOSE = 60.0
"""Similarity (0 to 100) from which an existing name is worth showing as the nearest one."""

_PLAIN = str.maketrans({"ı": "i", "İ": "I", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE"})


def fold(text: str) -> str:
    """The text as names are compared: composed, without case (dotted and dotless I alike), single spaces."""
    lowered = unicodedata.normalize("NFC", text).replace("İ", "i").casefold()
    return " ".join(lowered.replace("ı", "i").replace("\u0307", "").split())


def slug(text: str) -> str:
    """An ASCII snake_case name for a header: `Tedavi Paketi` gives `tedavi_paketi`.

    A header without any ASCII letter or digit gets a name made from its digest, the same in every file.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name:
        return f"column_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"c_{name}" if name[0].isdigit() else name


def nearest(wanted: Iterable[str], existing: Iterable[str]) -> str:
    """The existing name closest to any of the wanted ones, or "" when none is close."""
    choices = {name: fold(name) for name in existing if name.strip()}
    best_score, best_name = 0.0, ""
    for name in wanted:
        for _, score, found in process.extract(fold(name), choices, scorer=fuzz.WRatio, limit=1):
            if score > best_score:
                best_score, best_name = score, found
    return best_name if best_score >= _CLOSE else ""


def column_letter(position: int) -> str:
    """The spreadsheet's name of a column counted from 0: 0 is A, 26 is AA."""
    letters = ""
    number = position + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_position(cell: str) -> int | None:
    """The position from 0 of a cell's column: `C7` is 2. None when the text names no cell."""
    letters = re.match(r"[A-Z]+(?=\d)", cell)
    if letters is None:
        return None
    position = 0
    for letter in letters.group():
        position = position * 26 + ord(letter) - 64
    return position - 1
