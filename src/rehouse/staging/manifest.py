"""A snapshot: the source as it was, as Parquet files and a manifest. Immutable once written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import orjson

from rehouse.errors import InputError

MANIFEST = "manifest.json"

SYSTEM_COLUMNS = ("_row", "_file", "_sheet_row", "_key", "_rid", "_dup_of", "_digest")
"""Columns that every staged object has besides its own.

`_row` BIGINT counts records from 1. `_file` VARCHAR and `_sheet_row` INTEGER say where a person finds the row
(sheet row; in CSV the record number, header = 1). `_key` VARCHAR is the key columns, trimmed and joined by
`|`, NULL when all are blank. `_rid` VARCHAR is unique: the key; `row:<row>` or `row:<file>:<row>` for a row
without key; `<key>#<row>` for a row that loses against another with the same key, with `_dup_of` VARCHAR naming
the winner's key. `_digest` VARCHAR is the md5 of the filled columns by name.
"""

FILE_COLUMNS = ("_path", "_bytes", "_md5", "_sha256")
"""What the attachments' object has besides: path below the export, size, hashes; NULL without a file."""


@dataclass(frozen=True, slots=True)
class StagedColumn:
    """One VARCHAR column of a staged object.

    `present` is False for a layout column whose header the export lacks (all NULL). `cells` counts what a
    spreadsheet says its cells are (see `rehouse.formats.part.Part`).
    """

    name: str
    header: str
    kind: str
    custom: bool = False
    required: bool = False
    present: bool = True
    options: tuple[str, ...] = ()
    separator: str = ""
    cells: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagedPart:
    """One sheet or CSV file that an object was read from."""

    file: str
    sheet: str
    rows: int
    last_row: int
    encoding: str = ""
    delimiter: str = ""


@dataclass(frozen=True, slots=True)
class StagedObject:
    """One object: `rows` records (losing duplicates included) in the Parquet file `path`."""

    name: str
    rows: int
    path: Path
    columns: tuple[StagedColumn, ...]
    parts: tuple[StagedPart, ...] = ()
    duplicates: int = 0
    without_key: int = 0

    def column(self, name: str) -> StagedColumn | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Control:
    """One figure compared: the control total (or the export's own total row) against what was read.

    `what` is `count` or `sum`; `group` is a currency or "" for the whole column. Figures are decimals as text.
    """

    object: str
    what: str
    column: str
    group: str
    expected: str
    found: str
    source: str

    @property
    def matches(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A file that lies in the export's attachment folder and that no record lists."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Attachments:
    """The attached files. `given` is False when the source came without a place for them."""

    given: bool = False
    folder: str = ""
    listed: int = 0
    found: int = 0
    bytes: int = 0
    unlisted: tuple[Unlisted, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sheet or file of the export that was not read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that was read, with the hash of its bytes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The staged source. `id` is a digest of the files, the layout and the reader's version."""

    id: str
    path: Path
    objects: Mapping[str, StagedObject]
    files: Attachments = Attachments()
    inputs: tuple[SourceFile, ...] = ()
    controls: tuple[Control, ...] = ()
    controls_given: bool = False
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    layout_digest: str = ""
    reader_version: str = ""

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Read a snapshot from its folder or manifest. `InputError` when there is none or it is damaged."""
        manifest = path / MANIFEST if path.is_dir() else path
        try:
            return _snapshot(orjson.loads(manifest.read_bytes()), manifest.parent)
        except FileNotFoundError as fault:
            raise InputError(
                "no snapshot here", hint="stage the source first: rehouse discover", file=str(manifest)
            ) from fault
        except (ValueError, KeyError, TypeError) as fault:
            raise InputError(
                f"the manifest cannot be read ({fault})", hint="stage the source again", file=str(manifest)
            ) from fault

    def as_dict(self) -> dict[str, Any]:
        """The manifest: plain data, file names relative to the snapshot's folder."""
        plain = asdict(self)
        del plain["path"]
        for staged in plain["objects"].values():
            staged["path"] = Path(staged["path"]).name
            for column in staged["columns"]:
                column["cells"] = dict(column["cells"])
        for control, data in zip(self.controls, plain["controls"], strict=True):
            data["matches"] = control.matches
        return plain

    def moved(self, path: Path) -> Snapshot:
        """The same snapshot in another folder."""
        objects = {name: replace(staged, path=path / staged.path.name) for name, staged in self.objects.items()}
        return replace(self, path=path, objects=objects)


def connect(snapshot: Snapshot, *, memory: str = "512MB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with one view per object, named like it. The caller closes it.

    `memory` bounds what DuckDB holds; larger intermediate results spill to a folder of their own beside the
    snapshot, made when needed and removed on closing: record values stay where the snapshots are.
    """
    spill = snapshot.path.parent / f".spill-{uuid.uuid4().hex[:12]}"
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": str(spill),
    }
    connection = duckdb.connect(config=config)
    for name, staged in snapshot.objects.items():
        quoted = name.replace('"', '""')
        path = str(staged.path).replace("'", "''")
        connection.execute(f"CREATE VIEW \"{quoted}\" AS SELECT * FROM read_parquet('{path}')")
    return connection


def _snapshot(data: Mapping[str, Any], folder: Path) -> Snapshot:
    files = {**data["files"], "unlisted": tuple(Unlisted(**u) for u in data["files"]["unlisted"])}
    controls = ({k: v for k, v in control.items() if k != "matches"} for control in data["controls"])
    return Snapshot(
        id=data["id"],
        path=folder,
        objects={name: _object(staged, folder) for name, staged in data["objects"].items()},
        files=Attachments(**files),
        inputs=tuple(SourceFile(**source) for source in data["inputs"]),
        controls=tuple(Control(**control) for control in controls),
        controls_given=data["controls_given"],
        left_out=tuple(LeftOut(**left) for left in data["left_out"]),
        warnings=tuple(data["warnings"]),
        layout_digest=data["layout_digest"],
        reader_version=data["reader_version"],
    )


def _object(data: Mapping[str, Any], folder: Path) -> StagedObject:
    columns = tuple(StagedColumn(**{**column, "options": tuple(column["options"])}) for column in data["columns"])
    parts = tuple(StagedPart(**part) for part in data["parts"])
    return StagedObject(**{**data, "path": folder / data["path"], "columns": columns, "parts": parts})
