"""Which files of a source are read, as what, and which are left out. Looks at names only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rehouse.errors import InputError
from rehouse.formats.csv import header_score
from rehouse.formats.text import fold
from rehouse.knowledge.load import Layout
from rehouse.staging.manifest import LeftOut, SourceFile

CONTROL_TOTALS = ("control_totals.yaml", "control_totals.yml")
"""Picked up from the export's folder when no other file of control totals is named."""

_WORKBOOKS = (".xlsx", ".xlsm")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CsvInput:
    """One CSV file and the object it is a part of."""

    path: Path
    object: str


@dataclass(frozen=True, slots=True)
class Attached:
    """One file in the attachment folder: path below that folder, size and hashes."""

    path: str
    bytes: int
    md5: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a source consists of. `folder` is None for a single file: it brings no attachments."""

    workbooks: tuple[Path, ...]
    csvs: tuple[CsvInput, ...]
    folder: Path | None
    control_totals: Path | None
    left_out: tuple[LeftOut, ...]


def find_inputs(source: Path, layout: Layout, control_totals: Path | None) -> Inputs:
    """Sort the files of a source. `source` is an export's folder, one workbook, or one CSV file.

    In a folder, CSV files belong to the object whose file pattern or sheet name they bear; a single CSV file
    may bear any name and goes to the object whose header it has. Raises `InputError` when nothing is readable.
    """
    if not source.exists():
        raise InputError("no such file or folder", hint="check the path", file=str(source))
    if control_totals is not None and not control_totals.is_file():
        raise InputError("no such file of control totals", hint="check the path", file=str(control_totals))
    inputs = _from_folder(source, layout) if source.is_dir() else _from_file(source, layout)
    if not inputs.workbooks and not inputs.csvs:
        seen = ", ".join(left.name for left in inputs.left_out[:5]) or "nothing"
        patterns = [pattern for spec in layout.objects.values() for pattern in spec.files]
        raise InputError(
            f"no workbook and no CSV file of a known name; found {seen}",
            hint=f"expected *.xlsx or {', '.join(patterns) or '*.csv'}",
            file=source.name,
        )
    if control_totals is None:
        return inputs
    return Inputs(inputs.workbooks, inputs.csvs, inputs.folder, control_totals, inputs.left_out)


def hash_input(path: Path) -> SourceFile:
    """Name, size and sha256 of a file, streamed."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size += len(chunk)
    return SourceFile(path.name, size, digest.hexdigest())


def hash_attachments(folder: Path) -> Iterator[Attached]:
    """Every file below the attachment folder, in a fixed order, read once."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        _check_name(path)
        md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
        for chunk in _chunks(path):
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
        yield Attached(path.relative_to(folder).as_posix(), size, md5.hexdigest(), sha256.hexdigest())


def _check_name(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as fault:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise InputError("the file's name is not UTF-8", hint="unpack the export again", file=shown) from fault


def _from_folder(source: Path, layout: Layout) -> Inputs:
    workbooks: list[Path] = []
    csvs: list[CsvInput] = []
    left: list[LeftOut] = []
    controls: Path | None = None
    for path in sorted(source.iterdir(), key=lambda p: _natural(p.name)):
        suffix = path.suffix.lower()
        if path.is_dir():
            if path.name != layout.files_folder:
                left.append(LeftOut(f"{path.name}/", "a folder that the layout does not name"))
        elif path.name.startswith(("~$", ".")):
            left.append(LeftOut(path.name, "a lock file or hidden file"))
        elif path.name in CONTROL_TOTALS:
            controls = path
        elif suffix in _WORKBOOKS:
            workbooks.append(path)
        elif suffix == ".csv" and (name := _object_of(path.name, layout)):
            csvs.append(CsvInput(path, name))
        else:
            left.append(LeftOut(path.name, _why_not(suffix)))
    return Inputs(tuple(workbooks), tuple(csvs), source, controls, tuple(left))


def _from_file(source: Path, layout: Layout) -> Inputs:
    if source.suffix.lower() == ".csv":
        name = _object_of(source.name, layout) or _by_header(source, layout)
        return Inputs((), (CsvInput(source, name),), None, None, ())
    return Inputs((source,), (), None, None, ())


def _by_header(source: Path, layout: Layout) -> str:
    scores = {name: header_score(source, source.name, spec, layout) for name, spec in layout.objects.items()}
    best = max(scores, key=lambda name: scores[name])
    if not scores[best]:
        raise InputError(
            "the header fits no object of the layout",
            hint=f"known objects: {', '.join(layout.objects)}; name the headers under `layout:`",
            file=source.name,
        )
    return best


def _object_of(name: str, layout: Layout) -> str:
    wanted = fold(name)
    for object_name, spec in layout.objects.items():
        if any(fnmatchcase(wanted, fold(pattern)) for pattern in spec.files):
            return object_name
    stem = fold(Path(name).stem)
    return next((n for n, spec in layout.objects.items() if stem in {fold(sheet) for sheet in spec.sheets}), "")


def _why_not(suffix: str) -> str:
    if suffix == ".csv":
        return "a CSV file whose name no object of the layout has"
    if suffix in (".xls", ".ods"):
        return "not an XLSX workbook: open it and save as XLSX"
    return "not a workbook or CSV file"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which part 10 follows part 9."""
    pieces = re.split(r"(\d+)", fold(name))
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            yield chunk
