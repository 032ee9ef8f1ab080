"""The export's workbook: sheets written row by row, memory independent of their length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import xlsxwriter

from rehouse.samples.layout import ExportLayout

Row = dict[str, Any]

CREATED = datetime(2026, 11, 20, 18, 0)


class ExportWorkbook:
    """Writes sheets of an export in the layout's names. A context manager; one sheet at a time."""

    def __init__(self, path: Path, layout: ExportLayout) -> None:
        self._layout = layout
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
        self._book.set_properties({"created": CREATED, "author": "Planports", "title": "Dışa aktarım"})
        self._day = self._book.add_format({"num_format": "dd.mm.yyyy"})
        self._moment = self._book.add_format({"num_format": "dd.mm.yyyy hh:mm"})

    def __enter__(self) -> ExportWorkbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._book.close()

    def write_object(
        self,
        name: str,
        rows: Iterable[Row],
        *,
        custom: Sequence[str] = (),
        title: str = "",
    ) -> int:
        """Write one object: a header row, then the rows (cells by canonical name, custom columns by header).

        With a `title` the header moves to sheet row 3, below the title and an empty row. Returns the number of
        rows written.
        """
        headers = self._layout.headers(name) | {header: header for header in custom}
        sheet = self._book.add_worksheet(self._layout.sheet(name))
        at = first_data_row(title) - 2
        if title:
            sheet.write_string(0, 0, title)
        for column, header in enumerate(headers.values()):
            sheet.write_string(at, column, header)
        columns = list(headers)
        start = at
        for row in rows:
            at += 1
            for column, key in enumerate(columns):
                self._write(sheet, at, column, row.get(key))
        return at - start

    def write_hidden(self, name: str, rows: Iterable[Sequence[str | float]]) -> None:
        """A hidden sheet of another module, header first."""
        sheet = self._book.add_worksheet(name)
        for at, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                self._write(sheet, at, column, cell)
        sheet.hide()

    def _write(self, sheet: Any, row: int, column: int, value: object) -> None:
        """Numbers as numeric cells, dates as real dates, text as text: never as formula or link."""
        if value is None or value == "":
            return
        if isinstance(value, str):
            sheet.write_string(row, column, value)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, value)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value, self._moment)
        elif isinstance(value, date):
            sheet.write_datetime(row, column, value, self._day)
        else:
            raise AssertionError(f"no cell for {type(value).__name__}")


def first_data_row(title: str) -> int:
    """Sheet row (from 1) of the first record."""
    return 4 if title else 2
