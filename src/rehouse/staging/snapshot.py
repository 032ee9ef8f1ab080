"""Staging: read a source as it is into an immutable snapshot. Nothing is interpreted, nothing is corrected."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import orjson

from rehouse.errors import InputError
from rehouse.events import Note, Progress, Sink, silent
from rehouse.formats import Part, plan_sheets, read_csv, read_workbook
from rehouse.formats.sql import literal
from rehouse.formats.text import fold, nearest
from rehouse.knowledge.load import Layout, ObjectLayout
from rehouse.model import Kind
from rehouse.staging.attachments import join_attachments
from rehouse.staging.controls import (
    ControlTotals,
    check_counts,
    check_sums,
    check_total_rows,
    load_controls,
)
from rehouse.staging.finish import Finished, finish, trimmed
from rehouse.staging.inputs import Attached, Inputs, find_inputs, hash_attachments, hash_input
from rehouse.staging.manifest import (
    MANIFEST,
    Attachments,
    Control,
    LeftOut,
    Snapshot,
    SourceFile,
    StagedColumn,
    StagedObject,
    StagedPart,
    Unlisted,
    connect,
)

READER_VERSION = "1"
"""Changes whenever the same files would be staged differently, so that old snapshots are not reused."""

__all__ = ["READER_VERSION", "Snapshot", "connect", "stage"]

STEP = "stage"


def stage(
    source: Path,
    layout: Layout,
    out: Path,
    *,
    control_totals: Path | None = None,
    sink: Sink | None = None,
    memory: str = "512MB",
) -> Snapshot:
    """Stage an export into `out/<snapshot id>/` and return the snapshot.

    `source` is a folder, one workbook or one CSV file. The same files with the same layout give the same
    snapshot, which is reused when it exists. The folder appears at once when complete; a failure leaves
    nothing behind. `control_totals.yaml` in the folder is used unless another file is named. Raises
    `InputError` for everything that cannot be read in full.
    """
    say = sink or silent
    inputs = find_inputs(source, layout, control_totals)
    sources = tuple(hash_input(path) for path in _paths(inputs))
    attached = _attached(inputs, layout, say)
    name = _snapshot_id(sources, attached, layout)
    final = out / name
    if (final / MANIFEST).is_file():
        say(Note(f"snapshot {name} already holds these files", STEP))
        return Snapshot.load(final)
    out.mkdir(parents=True, exist_ok=True)
    work = out / f".{name}-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir()
        snapshot = _Stager(inputs, sources, attached, layout, work, say, memory).run(name)
        (work / MANIFEST).write_bytes(orjson.dumps(snapshot.as_dict(), option=orjson.OPT_INDENT_2))
        shutil.rmtree(work / "raw")
        _publish(work, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return snapshot.moved(final)


def _publish(work: Path, final: Path) -> None:
    try:
        work.rename(final)
    except OSError:
        # Somebody else staged the same files at the same time: theirs is the same snapshot.
        if not (final / MANIFEST).is_file():
            raise


def _paths(inputs: Inputs) -> list[Path]:
    controls = [inputs.control_totals] if inputs.control_totals else []
    return [*inputs.workbooks, *(entry.path for entry in inputs.csvs), *controls]


def _attached(inputs: Inputs, layout: Layout, say: Sink) -> tuple[Attached, ...] | None:
    if inputs.folder is None or layout.attachments is None:
        return None
    folder = inputs.folder / layout.files_folder
    if not folder.is_dir():
        return ()
    say(Note(f"hashing the files below {layout.files_folder}/", STEP))
    return tuple(hash_attachments(folder))


def _snapshot_id(sources: Sequence[SourceFile], attached: Sequence[Attached] | None, layout: Layout) -> str:
    facts = {
        "reader": READER_VERSION,
        "layout": layout.digest(),
        "inputs": [[source.name, source.sha256] for source in sources],
        "files": None if attached is None else [[file.path, file.sha256] for file in attached],
    }
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()[:20]


@dataclass(slots=True)
class _Stager:
    """One staging run: raw parts, then one Parquet file per object, then the comparisons."""

    inputs: Inputs
    sources: tuple[SourceFile, ...]
    attached: tuple[Attached, ...] | None
    layout: Layout
    work: Path
    say: Sink
    memory: str
    parts: dict[str, list[Part]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def run(self, name: str) -> Snapshot:
        """Read everything; the snapshot still lies in the work folder."""
        (self.work / "raw").mkdir()
        self._read_workbooks()
        self._read_csvs()
        self._require_objects()
        controls_file = self.inputs.control_totals
        totals = load_controls(controls_file) if controls_file else ControlTotals()
        source = controls_file.name if controls_file else ""
        controls = check_counts(totals, self.parts, source)
        spill = str(self.work / "raw" / "spill")
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory,
            "threads": 2,
            "temp_directory": spill,
        }
        with duckdb.connect(config=config) as con:
            objects = {n: self._finish(con, n) for n in self.layout.objects if n in self.parts}
            objects = _describe_custom(con, objects, self.layout)
            files = self._attach(con, objects)
            controls += check_sums(con, totals, objects, self.layout, source)
            controls += check_total_rows(con, self.parts, objects, self.layout)
        return Snapshot(
            id=name,
            path=self.work,
            objects=objects,
            files=files,
            inputs=self.sources,
            controls=tuple(controls),
            controls_given=controls_file is not None,
            left_out=(*self.inputs.left_out, *self.left_out),
            warnings=tuple(self._warnings(controls)),
            layout_digest=self.layout.digest(),
            reader_version=READER_VERSION,
        )

    def _read_workbooks(self) -> None:
        for number, path in enumerate(self.inputs.workbooks):
            plans = plan_sheets(path, path.name, self.layout)
            self.left_out += [LeftOut(f"{path.name}: {p.sheet}", p.reason) for p in plans if not p.object]
            raw = self.work / "raw" / f"w{number:03d}"
            raw.mkdir()
            for part in read_workbook(path, path.name, plans, self.layout, raw):
                self._add(part)

    def _read_csvs(self) -> None:
        for number, entry in enumerate(self.inputs.csvs):
            spec = self.layout.objects[entry.object]
            out = self.work / "raw" / f"c{number:03d}-{entry.object}.parquet"
            name = entry.path.name
            self._add(read_csv(entry.path, name, entry.object, spec, self.layout, out, memory=self.memory))

    def _add(self, part: Part) -> None:
        self.parts.setdefault(part.object, []).append(part)
        read = sum(other.rows for other in self.parts[part.object])
        self.say(Progress(STEP, part.object, read))
        for warning in part.warnings:
            self.say(Note(warning, STEP))

    def _require_objects(self) -> None:
        missing = [n for n, spec in self.layout.objects.items() if spec.required and n not in self.parts]
        if self.parts and (not missing or self._single_csv()):
            return
        seen = [left.name.rpartition(": ")[2] for left in self.left_out]
        file = self.inputs.workbooks[0].name if self.inputs.workbooks else ""
        wanted = missing or list(self.layout.objects)
        sheets = [sheet for name in wanted for sheet in self.layout.objects[name].sheets]
        close = nearest(sheets, seen)
        tip = f"; the nearest sheet is {close!r}" if close else ""
        what = f"required sheet missing: {sheets[0]!r}" if missing else "no sheet of a known name"
        raise InputError(
            f"{what}{tip}",
            hint=f"accepted names: {', '.join(sheets[:8])}; name other sheets under `layout:`",
            file=file,
            sheet=sheets[0] if missing else "",
        )

    def _single_csv(self) -> bool:
        return self.inputs.folder is None and not self.inputs.workbooks

    def _finish(self, con: duckdb.DuckDBPyConnection, name: str) -> StagedObject:
        spec, parts = self.layout.objects[name], self.parts[name]
        columns = _columns(spec, parts)
        out = self.work / f"{name}.parquet"
        finished: Finished = finish(con, parts, [c.name for c in columns], spec, self.layout, out)
        self.say(Progress(STEP, name, finished.rows, finished.rows))
        return StagedObject(
            name=name,
            rows=finished.rows,
            path=out,
            columns=columns,
            parts=tuple(StagedPart(p.file, p.sheet, p.rows, p.last_row, p.encoding, p.delimiter) for p in parts),
            duplicates=finished.duplicates,
            without_key=finished.without_key,
        )

    def _attach(self, con: duckdb.DuckDBPyConnection, objects: Mapping[str, StagedObject]) -> Attachments:
        spec = self.layout.attachments
        if spec is None or spec.object not in objects:
            given = self.attached is not None
            unlisted = tuple(Unlisted(a.path, a.bytes) for a in self.attached or ())
            return Attachments(given=given, folder=self.layout.files_folder, unlisted=unlisted)
        return join_attachments(con, objects[spec.object], self.attached, self.layout)

    def _warnings(self, controls: Iterable[Control]) -> Iterable[str]:
        for read in self.parts.values():
            for part in read:
                yield from part.warnings
        for control in controls:
            if not control.matches:
                what = " ".join(w for w in (control.what, control.column, control.group) if w)
                yield (f"{control.object}: {what} is {control.found}, expected {control.expected} ({control.source})")
        if self.inputs.control_totals is None:
            yield "no control totals were given: every figure is complete relative to the files only"


def _columns(spec: ObjectLayout, parts: Sequence[Part]) -> tuple[StagedColumn, ...]:
    headers = {c.name: c for part in reversed(parts) for c in part.columns}
    columns = [
        StagedColumn(
            name=name,
            header=headers[name].header if name in headers else column.headers[0],
            kind=str(column.kind),
            required=column.required,
            present=name in headers,
            options=column.options,
            separator=column.separator,
            cells=_cells(parts, name),
        )
        for name, column in spec.columns.items()
    ]
    custom = {c.name: c for part in parts for c in part.columns if c.name not in spec.columns}
    columns += [
        StagedColumn(name, c.header, str(Kind.TEXT), custom=True, cells=_cells(parts, name))
        for name, c in custom.items()
    ]
    return tuple(columns)


def _cells(parts: Sequence[Part], name: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for kind, count in part.cells.get(name, {}).items():
            total[kind] = total.get(kind, 0) + count
    return total


def _describe_custom(
    con: duckdb.DuckDBPyConnection, objects: dict[str, StagedObject], layout: Layout
) -> dict[str, StagedObject]:
    """Give custom columns the kind and options that the export's own list of custom fields declares."""
    spec = layout.custom_fields
    if spec is None or spec.object not in objects:
        return objects
    names = {fold(word): name for word, name in spec.objects.items()}
    for name, described in layout.objects.items():
        names |= {fold(word): name for word in (name, *described.sheets)}
    listing = layout.objects[spec.object]
    wanted = [spec.of, spec.label, spec.type, spec.options or spec.label, spec.required or spec.label]
    columns = ", ".join(trimmed(column) for column in wanted)
    path = literal(str(objects[spec.object].path))
    rows = con.execute(f"SELECT {columns} FROM read_parquet({path}) ORDER BY _row").fetchall()
    result = dict(objects)
    for of, label, word, options, required in rows:
        name = names.get(fold(of or ""), "")
        if name not in result or label is None:
            continue
        separator = listing.columns[spec.options].separator if spec.options else ""
        kind = spec.kinds.get(word or "", Kind.TEXT)
        choices = options.split(separator) if spec.options and options and separator else []
        changes = {
            "kind": str(kind),
            "options": tuple(choice.strip() for choice in choices if choice.strip()),
            "required": bool(spec.required) and required in layout.true_values,
        }
        result[name] = _with_custom(result[name], label, changes)
    return result


def _with_custom(staged: StagedObject, label: str, changes: Mapping[str, object]) -> StagedObject:
    columns = tuple(
        replace(c, **changes) if c.custom and fold(c.header) == fold(label) else c  # type: ignore[arg-type]
        for c in staged.columns
    )
    return replace(staged, columns=columns)
