"""Small workbooks and layouts for the tests of the readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import xlsxwriter

from rehouse.formats import Part, plan_sheets, read_csv, read_workbook
from rehouse.knowledge import Layout

Sheet = Callable[[Any, Any], None]


def layout_of(columns: dict[str, str], **options: Any) -> Layout:
    """A layout with one object `things` on the sheet `Things`; columns by name with their kind."""
    described = {name: {"headers": [name.capitalize()], "kind": kind} for name, kind in columns.items()}
    first = next(iter(described))
    described[first]["required"] = True  # type: ignore[assignment]
    things = {"sheets": ["Things"], "files": ["things*.csv"], "key": [first], "columns": described}
    settings = {"decimal": ",", "thousands": ".", "encodings": ["utf-8", "utf-16", "cp1254", "iso-8859-9", "cp1252"]}
    return Layout.model_validate({**settings, "objects": {"things": things}, **options})


def workbook(path: Path, write: Sheet, name: str = "Things") -> Path:
    """A workbook with one sheet, written by `write(sheet, book)`."""
    book = xlsxwriter.Workbook(str(path))
    write(book.add_worksheet(name), book)
    book.close()
    return path


def read_one(path: Path, layout: Layout, out: Path) -> tuple[Part, list[dict[str, Any]]]:
    """Read a workbook with one sheet in scope: the part and its rows."""
    out.mkdir(exist_ok=True)
    plans = plan_sheets(path, path.name, layout)
    (part,) = read_workbook(path, path.name, plans, layout, out)
    return part, pq.read_table(part.path).to_pylist()


def read_lines(path: Path, layout: Layout, out: Path) -> tuple[Part, list[list[str | None]]]:
    """Read one CSV file of the object `things`: the part and its cells."""
    part = read_csv(path, path.name, "things", layout.objects["things"], layout, out)
    table = pq.read_table(part.path)
    names = [column.name for column in part.columns]
    return part, [[row[name] for name in names] for row in table.to_pylist()]


def csv_layout(headers: Sequence[str]) -> Layout:
    """A layout whose object has exactly these headers, none required."""
    columns = {f"c{n}": {"headers": [header], "kind": "text"} for n, header in enumerate(headers)}
    things = {"files": ["*.csv"], "key": ["c0"], "columns": columns}
    return Layout.model_validate({"objects": {"things": things}, "encodings": ["utf-8", "utf-16", "cp1254", "cp1252"]})
