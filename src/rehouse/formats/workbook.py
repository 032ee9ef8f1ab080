"""XLSX workbooks: guarded, read by calamine, written sheet by sheet as raw Parquet of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import python_calamine

from rehouse.errors import InputError
from rehouse.formats.cells import COMMA, EMPTY, TEXT, Cell, decimal_pattern, kind_of, text_of
from rehouse.formats.guards import HEAVY_SHEET, SheetScan, check_container, scan, sheet_parts
from rehouse.formats.header import HEADER_ROWS, HeaderColumn, Place, find_header, name_columns
from rehouse.formats.part import ROW, Part, TotalRow
from rehouse.formats.text import column_letter, column_position, fold, nearest
from rehouse.knowledge.load import Layout, ObjectLayout

LONGEST_CELL = 32_767
"""Characters that a cell of a workbook can hold; a text of exactly this length was probably cut."""

_BATCH = 10_000
_SHEET_NAME = 31
_SIMILAR_SHEET = 2


@dataclass(frozen=True, slots=True)
class SheetPlan:
    """What will happen to one sheet: the object it holds, or why it is left out."""

    sheet: str
    object: str = ""
    reason: str = ""


def plan_sheets(path: Path, name: str, layout: Layout) -> list[SheetPlan]:
    """List the sheets of a guarded workbook and say which object each holds.

    Hidden sheets and those the layout ignores are left out with the reason; unknown ones are not in scope.
    Raises `InputError` for a file that is not a sound workbook.
    """
    check_container(path, name)
    spellings = {
        fold(sheet)[:_SHEET_NAME]: object_name for object_name, spec in layout.objects.items() for sheet in spec.sheets
    }
    ignored = {fold(sheet)[:_SHEET_NAME] for sheet in layout.ignored_sheets}
    return [_planned(meta, spellings, ignored) for meta in _open(path, name).sheets_metadata]


def read_workbook(path: Path, name: str, plans: Sequence[SheetPlan], layout: Layout, folder: Path) -> Iterator[Part]:
    """Read the planned sheets of one workbook, each into a Parquet file in `folder`.

    Raises `InputError` naming file, sheet, row and column for formulas or error values in data rows, cells
    over 32,767 characters, missing required columns, and damaged files.
    """
    wanted = [plan for plan in plans if plan.object]
    entries = sheet_parts(path, name)
    scans = scan(path, name, {entries[plan.sheet] for plan in wanted if plan.sheet in entries})
    book = _open(path, name)
    for number, plan in enumerate(wanted):
        place = Place(name, plan.sheet)
        spec = layout.objects[plan.object]
        scanned = scans.get(entries.get(plan.sheet, ""), SheetScan())
        sheet = _sheet(book, place)
        reader = _SheetReader(sheet, place, spec, layout, scanned)
        yield reader.read(plan.object, folder / f"{number:02d}-{plan.object}.parquet")


def _planned(meta: python_calamine.SheetMetadata, spellings: dict[str, str], ignored: set[str]) -> SheetPlan:
    name = fold(meta.name)[:_SHEET_NAME]
    if meta.typ != python_calamine.SheetTypeEnum.WorkSheet:
        return SheetPlan(meta.name, reason="not a sheet of cells")
    if meta.visible != python_calamine.SheetVisibleEnum.Visible:
        known = f" (its name is that of object {spellings[name]})" if name in spellings else ""
        return SheetPlan(meta.name, reason=f"hidden{known}")
    if name in ignored:
        return SheetPlan(meta.name, reason="ignored by the layout")
    if name in spellings:
        return SheetPlan(meta.name, object=spellings[name])
    close = nearest([meta.name], spellings)
    tip = f"; close to {close!r}" if close and abs(len(close) - len(name)) <= _SIMILAR_SHEET else ""
    return SheetPlan(meta.name, reason=f"not in scope{tip}")


def _open(path: Path, name: str) -> python_calamine.CalamineWorkbook:
    try:
        return python_calamine.load_workbook(str(path))
    except (python_calamine.CalamineError, OSError, ValueError) as fault:
        raise InputError(
            f"the workbook cannot be opened ({fault})",
            hint="open it in a spreadsheet and save as XLSX",
            file=name,
        ) from fault


def _sheet(book: python_calamine.CalamineWorkbook, place: Place) -> python_calamine.CalamineSheet:
    try:
        return book.get_sheet_by_name(place.sheet)
    except (python_calamine.CalamineError, ValueError) as fault:
        raise InputError(
            f"the sheet cannot be read ({fault})",
            hint="open the workbook in a spreadsheet and save it again",
            file=place.file,
            sheet=place.sheet,
        ) from fault


@dataclass(slots=True)
class _Batch:
    """Rows on their way to Parquet, by column."""

    columns: tuple[HeaderColumn, ...]
    cells: list[list[str | None]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.cells = [[] for _ in self.columns]
        self.rows = []

    def table(self, schema: pa.Schema) -> Any:
        return pa.table([*(pa.array(c, pa.string()) for c in self.cells), pa.array(self.rows, pa.int32())], schema)


class _SheetReader:
    """One pass over one sheet. Positions count from 0 inside, from 1 in everything a person sees."""

    def __init__(
        self,
        sheet: python_calamine.CalamineSheet,
        place: Place,
        spec: ObjectLayout,
        layout: Layout,
        scanned: SheetScan,
    ) -> None:
        self._sheet, self._place, self._spec, self._layout = sheet, place, spec, layout
        self._scan = scanned
        self._offset = sheet.start[1] if sheet.start else 0
        self._labels = {fold(label) for label in layout.total_row_labels}
        self._comma = decimal_pattern(layout.decimal)
        self._counts: list[Counter[str]] = []
        self._totals: list[TotalRow] = []
        self._warnings: list[str] = []
        self._cut = 0
        self._last = 0

    def read(self, object_name: str, out: Path) -> Part:
        """Write the sheet's records to `out` and say what was found."""
        if self._scan.size > HEAVY_SHEET:
            self._warnings.append(
                f"sheet {self._place.sheet!r} of {self._place.file} is {self._scan.size // 2**20} MB when "
                "unpacked and is held in memory; CSV parts of the same object need far less"
            )
        rows = enumerate(self._sheet.iter_rows())
        columns, first = self._header(rows)
        count = self._write(rows, columns, first, out)
        kept = tuple(c for c in columns if c.header or self._filled(c))
        self._say(kept)
        cells = {
            column.name: {kind: n for kind, n in self._counts[index].items() if kind != EMPTY}
            for index, column in enumerate(columns)
            if column in kept
        }
        return Part(
            object=object_name,
            file=self._place.file,
            sheet=self._place.sheet,
            path=out,
            columns=kept,
            rows=count,
            last_row=self._last,
            totals=tuple(self._totals),
            cells=cells,
            warnings=tuple(self._warnings),
        )

    def _header(self, rows: Iterator[tuple[int, list[Cell]]]) -> tuple[tuple[HeaderColumn, ...], int]:
        head = [row for _, row in zip(range(HEADER_ROWS), (row for _, row in rows), strict=False)]
        texts = [[text_of(cell, self._layout.decimal) or "" for cell in row] for row in head]
        self._head = head
        index = find_header(texts, self._spec, self._place)
        cells, bottom = self._merged_header(texts, index)
        columns = name_columns(cells, self._spec, self._place, index + 1)
        self._counts = [Counter() for _ in columns]
        return columns, bottom + 1

    def _merged_header(self, texts: list[list[str]], index: int) -> tuple[list[str], int]:
        """A header cell merged downwards holds its text in its first row: fill it in, skip the rest."""
        cells, bottom = list(texts[index]), index
        for (top, left), (low, _right) in self._sheet.merged_cell_ranges or []:
            position = left - self._offset
            if not (top <= index <= low and low > top and 0 <= position < len(cells)):
                continue
            bottom = max(bottom, low)
            if not cells[position] and top < len(texts):
                cells[position] = texts[top][position]
        return cells, bottom

    def _write(
        self, rows: Iterator[tuple[int, list[Cell]]], columns: tuple[HeaderColumn, ...], first: int, out: Path
    ) -> int:
        schema = pa.schema([*((column.name, pa.string()) for column in columns), (ROW, pa.int32())])
        batch, count = _Batch(columns), 0
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for index, row in self._data(rows, first):
                if not self._take(index, row, columns, batch):
                    continue
                count += 1
                if len(batch.rows) == _BATCH:
                    writer.write_table(batch.table(schema))
                    batch.clear()
            writer.write_table(batch.table(schema))
        return count

    def _data(self, rows: Iterator[tuple[int, list[Cell]]], first: int) -> Iterator[tuple[int, list[Cell]]]:
        for index in range(first, len(self._head)):
            yield index, self._head[index]
        yield from ((index, row) for index, row in rows if index >= first)

    def _take(self, index: int, row: list[Cell], columns: tuple[HeaderColumn, ...], batch: _Batch) -> bool:
        """Add one row to the batch; False for an empty row and for a row of totals."""
        number = index + 1
        texts = [text_of(cell, self._layout.decimal) for cell in row]
        first = next((text for text in texts if text and not text.isspace()), None)
        if self._is_total(first):
            values = {c.name: text for c, text in zip(columns, texts, strict=True) if text is not None}
            self._totals.append(TotalRow(number, values))
            return False
        self._refuse(number, columns)
        if first is None:
            return False
        for position, text in enumerate(texts):
            if text is not None:
                kind = kind_of(row[position])
                self._counts[position][kind] += 1
                if kind == TEXT and self._comma.match(text):
                    self._counts[position][COMMA] += 1
                if len(text) >= LONGEST_CELL:
                    self._long(number, columns[position], len(text))
            batch.cells[position].append(text)
        batch.rows.append(number)
        self._last = number
        return True

    def _is_total(self, first: str | None) -> bool:
        return first is not None and fold(first).rstrip(" :") in self._labels

    def _refuse(self, number: int, columns: tuple[HeaderColumn, ...]) -> None:
        if number in self._scan.formulas:
            reason, hint = "a formula; its stored result may be out of date", "copy the sheet and paste it as values"
            cell = self._scan.formulas[number]
        elif number in self._scan.faults:
            reason, hint = "an error value such as #N/A", "correct or clear the cell"
            cell = self._scan.faults[number]
        else:
            return
        position = column_position(cell)
        header = next((c.header for c in columns if c.position + self._offset == position), "")
        raise InputError(
            f"cell {cell} holds {reason}",
            hint=f"{hint}, then save",
            file=self._place.file,
            sheet=self._place.sheet,
            row=number,
            column=header,
        )

    def _long(self, number: int, column: HeaderColumn, size: int) -> None:
        if size == LONGEST_CELL:
            self._cut += 1
            if self._cut == 1:
                self._warnings.append(
                    f"sheet {self._place.sheet!r} row {number} column {column.header!r} has exactly "
                    f"{LONGEST_CELL:,} characters: the source probably cut the text there"
                )
            return
        raise InputError(
            f"a cell holds {size:,} characters, more than the {LONGEST_CELL:,} a workbook allows",
            hint="export this object as CSV",
            file=self._place.file,
            sheet=self._place.sheet,
            row=number,
            column=column.header,
        )

    def _filled(self, column: HeaderColumn) -> bool:
        return any(self._counts[column.position].values())

    def _say(self, kept: tuple[HeaderColumn, ...]) -> None:
        blank = [column_letter(c.position + self._offset) for c in kept if not c.header]
        if blank:
            self._warnings.append(
                f"sheet {self._place.sheet!r}: column {', '.join(blank)} has values but no header; "
                "kept as a custom column"
            )
        if self._cut > 1:
            self._warnings.append(f"sheet {self._place.sheet!r}: {self._cut} cells were probably cut")
