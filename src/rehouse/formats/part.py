"""What a reader hands to staging: one sheet or one CSV file of one object, written as raw Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehouse.formats.header import HeaderColumn

ROW = "_sheet_row"
"""Column of the raw Parquet: the row's number where a person finds it (sheet row, or CSV record number)."""


@dataclass(frozen=True, slots=True)
class TotalRow:
    """A row of totals left out of the records: `values` are its cells as text, by column name."""

    row: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One sheet or CSV file of one object, read.

    `path` is Parquet with one VARCHAR column per header and `ROW`. `rows` counts records, `last_row` is the
    number of the last one (0 without any). `cells` counts, by column, what a spreadsheet says its cells are
    (text, number, date, boolean), and how many text cells look like a number with the layout's decimal sign
    (`comma`); CSV has none.
    """

    object: str
    file: str
    sheet: str
    path: Path
    columns: tuple[HeaderColumn, ...]
    rows: int
    last_row: int
    encoding: str = ""
    delimiter: str = ""
    totals: tuple[TotalRow, ...] = ()
    cells: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_csv(self) -> bool:
        return not self.sheet
