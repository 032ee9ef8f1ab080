"""Which encoding a text file is in, decided from its bytes; and where they are wrong when none fits."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

from rehouse.errors import InputError

_CHUNK = 1 << 20
_SAMPLE = 1 << 18
_TURKISH = frozenset(b"\xd0\xdd\xde\xf0\xfd\xfe")
"""Ğ İ Ş ğ ı ş in Windows-1254 and ISO-8859-9; Icelandic letters in Windows-1252."""
_C1 = frozenset(range(0x80, 0xA0))
_UNDEFINED = {
    "cp1254": frozenset(b"\x81\x8d\x8e\x8f\x90\x9d\x9e"),
    "cp1252": frozenset(b"\x81\x8d\x8f\x90\x9d"),
    "iso-8859-9": _C1,  # control characters there; no text export writes them
}
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` as people know it, `codec` as Python opens it (with the byte order mark taken off)."""

    name: str
    codec: str


def detect(path: Path, name: str, declared: Sequence[str]) -> Encoding:
    """The encoding of a file among the `declared` ones.

    A byte order mark decides; then strict UTF-8 over the whole file; then the 8-bit encodings whose undefined
    bytes do not occur. Turkish letters decide between those, otherwise charset-normalizer does on a sample.
    A file of mostly valid UTF-8 with some invalid bytes is mixed, not 8-bit: `InputError` with the byte
    position and line of the first wrong one, as for a file that fits no declared encoding.
    """
    with path.open("rb") as handle:
        head = handle.read(4096)
    if head.startswith(codecs.BOM_UTF8) and "utf-8" in declared:
        _strict(path, name, "utf-8")
        return Encoding("utf-8", "utf-8-sig")
    if "utf-16" in declared and (wide := _wide(head)):
        _strict(path, name, wide)
        return Encoding("utf-16", wide)
    wrong = _first_wrong(path)
    if wrong is None:
        return Encoding("utf-8", "utf-8")
    used, valid, invalid, sample = _bytes_used(path)
    if valid > invalid:
        raise _refused(path, name, wrong, "most of the file is UTF-8, but this byte is not: it mixes encodings")
    fits = [e for e in declared if e in _UNDEFINED and not used & _UNDEFINED[e]]
    if not fits:
        raise _refused(path, name, wrong, f"the bytes fit none of {', '.join(declared)}")
    chosen = _choose(fits, used, sample)
    return Encoding(chosen, chosen)


def line_of(path: Path, position: int) -> int:
    """The line (from 1) that holds a byte position (from 0)."""
    with path.open("rb") as handle:
        lines, left = 1, position
        while left > 0 and (chunk := handle.read(min(_CHUNK, left))):
            lines += chunk.count(b"\n")
            left -= len(chunk)
    return lines


def _choose(fits: list[str], used: frozenset[int], sample: bytes) -> str:
    if used & _TURKISH:
        turkish = [e for e in fits if e in ("cp1254", "iso-8859-9")]
        if turkish:
            return turkish[0]
    known = {e.replace("iso-8859-9", "iso8859_9"): e for e in fits}
    guess = charset_normalizer.from_bytes(sample, cp_isolation=list(known)).best()
    return known.get(guess.encoding, fits[0]) if guess else fits[0]


def _wide(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = head[: len(head) // 2 * 2]
    if len(pairs) < 4 or b"\x00" not in pairs:
        return ""
    even, odd = pairs[::2].count(0), pairs[1::2].count(0)
    half = len(pairs) // 2
    if odd > half * 0.6 and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > half * 0.6 and odd == 0 else ""


def _strict(path: Path, name: str, codec: str) -> None:
    wrong = _first_wrong(path, codec)
    if wrong is not None:
        raise _refused(path, name, wrong, f"the file announces {codec}, but this byte is not valid there")


def _first_wrong(path: Path, codec: str = "utf-8") -> int | None:
    decoder = codecs.getincrementaldecoder(codec)()
    start = 0
    with path.open("rb") as handle:
        while True:
            chunk = handle.read(_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as fault:
                return start - pending + fault.start
            if not chunk:
                return None
            start += len(chunk)


def _bytes_used(path: Path) -> tuple[frozenset[int], int, int, bytes]:
    """Bytes over 0x7F that occur, how many of them form valid UTF-8, how many do not, a sample around them."""
    used: set[int] = set()
    valid, high, sample = 0, 0, bytearray()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            found = b"".join(_HIGH.findall(chunk))
            used.update(found)
            high += len(found)
            valid += sum(len(match) for match in _MULTIBYTE.findall(chunk))
            if found and len(sample) < _SAMPLE:
                sample += b"\n".join(line for line in chunk.split(b"\n") if _HIGH.search(line))
    return frozenset(used), valid, high - valid, bytes(sample[:_SAMPLE])


def _refused(path: Path, name: str, position: int, reason: str) -> InputError:
    line = line_of(path, position)
    with path.open("rb") as handle:
        handle.seek(position)
        value = handle.read(1)
    shown = f"0x{value.hex().upper()}" if value else "the end of the file"
    return InputError(
        f"byte {position:,} on line {line:,} is {shown}: {reason}",
        hint="export the file again as UTF-8, or convert the lines that came from another file",
        file=name,
        row=line,
    )
