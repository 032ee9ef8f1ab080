"""What is checked about a workbook file before a spreadsheet reader is allowed to open it.

An XLSX file is a zip of XML parts. Everything is inflated once in a stream, counted against its declared
size and checksum, and the sheets in scope are searched for formulas and error values, which a reader of
values would silently turn into stale numbers or empty cells.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat

from rehouse.errors import InputError

MAX_INFLATED = 4 * 1024**3
"""Bytes that all parts of a workbook may have together. A full sheet of 1,048,576 rows and 40 columns stays
below 3 GB."""

MAX_RATIO = 250
"""Inflated bytes for each stored byte, checked only over `RATIO_FROM`. Real sheets reach 10 to 100, the
format's own maximum is 1,032."""

RATIO_FROM = 64 * 1024**2
"""Parts smaller than this may have any ratio: short repetitive sheets compress extremely well."""

MAX_PARTS = 10_000
"""Entries of the zip directory."""

HEAVY_SHEET = 200 * 1024**2
"""Inflated bytes of one sheet from which the person is warned: the reader holds the sheet in memory."""

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_CHUNK = 1 << 20
_SUSPECT = re.compile(rb"<(?:[A-Za-z0-9]+:)?f[\s/>]|\st=[\"']e[\"']")
_OVERLAP = 64
_KEPT = 1_000


@dataclass(slots=True)
class SheetScan:
    """What the stream of one sheet showed. `formulas` and `faults` map row number to the first cell there."""

    size: int = 0
    formulas: dict[int, str] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)


def check_container(path: Path, name: str) -> None:
    """Refuse what is not a complete, unencrypted, reasonably sized XLSX container."""
    size = path.stat().st_size
    if size == 0:
        raise _refused(name, "the file is empty (0 bytes)", "export it again")
    with path.open("rb") as handle:
        head = handle.read(8)
    if head == _OLE:
        raise _ole(path, name)
    if not head.startswith(b"PK"):
        raise _refused(name, "this is not an XLSX workbook", "export as XLSX, or as CSV with a .csv name")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_directory(archive.infolist(), name)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as fault:
        raise _refused(
            name,
            f"the file is truncated or damaged after {size:,} bytes ({fault})",
            "transfer or export it again and compare the sizes",
        ) from fault


def scan(path: Path, name: str, wanted: set[str]) -> dict[str, SheetScan]:
    """Inflate every part, compare with what the directory declares, and search the `wanted` sheet parts.

    Returns a scan per wanted part. Raises `InputError` for a damaged part, one larger than declared, or one
    with a document type declaration.
    """
    scans: dict[str, SheetScan] = {}
    total = 0
    with zipfile.ZipFile(path) as archive, path.open("rb") as handle:
        for info in archive.infolist():
            searched = info.filename in wanted
            suspect = False
            tail = b""
            for chunk in inflate(handle, info, name):
                total += len(chunk)
                if total > MAX_INFLATED:
                    raise _bomb(name, info.filename, f"more than {MAX_INFLATED:,} bytes when unpacked")
                if searched and not suspect:
                    window = tail + chunk
                    _refuse_doctype(window, name, info.filename)
                    suspect = _SUSPECT.search(window) is not None
                    tail = window[-_OVERLAP:]
            if searched:
                result = SheetScan(size=info.file_size)
                if suspect:
                    _find_cells(inflate(handle, info, name), result, name)
                scans[info.filename] = result
    return scans


def sheet_parts(path: Path, name: str) -> dict[str, str]:
    """The zip entry of every sheet, by sheet name, from the workbook part and its relationships."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        workbook = next((n for n in ("xl/workbook.xml", "xl/workbook2.xml") if n in names), "")
        if not workbook:
            raise _refused(name, "the file holds no workbook part", "open it in a spreadsheet and save as XLSX")
        folder, _, leaf = workbook.rpartition("/")
        relations = f"{folder}/_rels/{leaf}.rels"
        try:
            targets = _targets(archive.read(relations)) if relations in names else {}
            root = ElementTree.fromstring(archive.read(workbook))
        except (ElementTree.ParseError, zipfile.BadZipFile, zlib.error) as fault:
            raise _refused(name, f"the workbook part is damaged ({fault})", "export it again") from fault
    parts: dict[str, str] = {}
    for node in root.iter():
        if _local(node.tag) != "sheet":
            continue
        relation = next((value for key, value in node.attrib.items() if _local(key) == "id"), "")
        target = targets.get(relation, "")
        if target:
            parts[node.attrib.get("name", "")] = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}"
    return parts


def inflate(handle: BinaryIO, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """The bytes of one zip entry, inflated from the file itself so that a false declared size cannot hide any.

    Raises `InputError` when size or checksum differ from the directory.
    """
    handle.seek(info.header_offset)
    header = handle.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise _damaged(name, info.filename, "its local header is missing")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    handle.seek(name_length + extra_length, 1)
    counted, checksum = 0, 0
    for chunk in _raw(handle, info, name):
        counted += len(chunk)
        if counted > info.file_size:
            raise _bomb(name, info.filename, f"it is larger than the {info.file_size:,} bytes it declares")
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if counted != info.file_size or checksum != info.CRC:
        raise _damaged(name, info.filename, f"{counted:,} of {info.file_size:,} bytes or a wrong checksum")


def _raw(handle: BinaryIO, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    left = info.compress_size
    unpack = zlib.decompressobj(-15) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left > 0:
        data = handle.read(min(_CHUNK, left))
        if not data:
            raise _damaged(name, info.filename, "the file ends inside it")
        left -= len(data)
        if unpack is None:
            yield data
            continue
        try:
            while data:
                yield unpack.decompress(data, _CHUNK)
                data = unpack.unconsumed_tail
        except zlib.error as fault:
            raise _damaged(name, info.filename, str(fault)) from fault
    while unpack is not None and (rest := unpack.decompress(b"", _CHUNK)):
        yield rest


def _check_directory(infos: list[zipfile.ZipInfo], name: str) -> None:
    if len(infos) > MAX_PARTS:
        raise _bomb(name, "the directory", f"{len(infos):,} entries, more than {MAX_PARTS:,}")
    total = sum(info.file_size for info in infos)
    if total > MAX_INFLATED:
        raise _bomb(name, "all parts together", f"{total:,} bytes when unpacked, more than {MAX_INFLATED:,}")
    for info in infos:
        if info.flag_bits & 1:
            raise _refused(name, f"part {info.filename} is encrypted", "save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(name, f"part {info.filename} uses an unusual compression", "save it again as XLSX")
        if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * max(1, info.compress_size):
            ratio = info.file_size // max(1, info.compress_size)
            raise _bomb(name, info.filename, f"unpacks to {ratio} times its size ({info.file_size:,} bytes)")


def _find_cells(chunks: Iterator[bytes], result: SheetScan, name: str) -> None:
    finder = _CellFinder(result)
    parser = expat.ParserCreate()
    parser.StartElementHandler = finder.start
    parser.EndElementHandler = finder.end
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as fault:
        raise _refused(name, f"a sheet is not valid XML ({fault})", "export it again") from fault


class _CellFinder:
    """Remembers the first formula and the first error value of each row. Positions may be implicit."""

    def __init__(self, result: SheetScan) -> None:
        self._result = result
        self._row = 0
        self._cell = ""
        self._inside = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        local = _local(tag)
        if local == "row":
            self._row = int(attributes.get("r", self._row + 1))
        elif local == "c":
            self._inside = True
            self._cell = attributes.get("r", f"row {self._row}")
            if attributes.get("t") == "e":
                self._keep(self._result.faults)
        elif local == "f" and self._inside:
            self._keep(self._result.formulas)

    def end(self, tag: str) -> None:
        if _local(tag) == "c":
            self._inside = False

    def _keep(self, found: dict[int, str]) -> None:
        if len(found) < _KEPT:
            found.setdefault(self._row, self._cell)


def _targets(data: bytes) -> dict[str, str]:
    root = ElementTree.fromstring(data)
    return {node.attrib.get("Id", ""): node.attrib.get("Target", "") for node in root}


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2]


def _refuse_doctype(window: bytes, name: str, part: str) -> None:
    if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
        raise _refused(name, f"part {part} declares a document type", "save it again with a spreadsheet")


def _ole(path: Path, name: str) -> InputError:
    with path.open("rb") as handle:
        encrypted = "EncryptedPackage".encode("utf-16-le") in handle.read(64 * 1024**2)
    if encrypted:
        return _refused(name, "the workbook is encrypted", "open it with its password and save without one")
    return _refused(name, "this is an old binary workbook (.xls)", "open it and save as XLSX")


def _bomb(name: str, part: str, reason: str) -> InputError:
    return _refused(name, f"refused as a possible zip bomb: {part}: {reason}", "split the export by object")


def _damaged(name: str, part: str, reason: str) -> InputError:
    return _refused(name, f"the file is truncated or damaged: part {part}: {reason}", "transfer it again")


def _refused(name: str, message: str, hint: str) -> InputError:
    return InputError(message, hint=hint, file=name)
