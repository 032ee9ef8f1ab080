"""Finding the header row of a sheet or CSV file and naming its columns from the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rehouse.errors import InputError
from rehouse.formats.text import column_letter, fold, nearest, slug
from rehouse.knowledge.load import ObjectLayout

HEADER_ROWS = 10
"""A header is searched in so many rows from the top: exports put titles and empty rows above it."""


@dataclass(frozen=True, slots=True)
class HeaderColumn:
    """One column of a part: its name in staging, its header as written, its position from 0."""

    name: str
    header: str
    position: int
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part lies, for messages: file name and sheet name ("" for CSV)."""

    file: str
    sheet: str = ""


def find_header(rows: Sequence[Sequence[str]], spec: ObjectLayout, place: Place) -> int:
    """The index of the row that matches most headers of the layout, the first of equals.

    Raises `InputError` when no row matches any header.
    """
    known = _known(spec)
    scores = [len({known[fold(cell)] for cell in row if fold(cell) in known}) for row in rows[:HEADER_ROWS]]
    best = max(scores, default=0)
    if best == 0:
        wanted = [spelling for column in spec.columns.values() for spelling in column.headers]
        close = nearest(wanted, (cell for row in rows[:HEADER_ROWS] for cell in row))
        tip = f"; the nearest cell is {close!r}" if close else ""
        raise InputError(
            f"no header row found in the first {HEADER_ROWS} rows{tip}",
            hint=f"expected headers such as {', '.join(wanted[:4])}; name other headers under `layout:`",
            file=place.file,
            sheet=place.sheet,
        )
    return scores.index(best)


def name_columns(cells: Sequence[str], spec: ObjectLayout, place: Place, row: int) -> tuple[HeaderColumn, ...]:
    """Name every cell of a header row. Unknown headers become custom columns, blank ones `column_<letter>`.

    A second column with the same header, or another spelling of one already taken, becomes a custom column
    with a number. Raises `InputError` naming every missing required column and the nearest header present.
    """
    known = _known(spec)
    taken: set[str] = set()
    columns: list[HeaderColumn] = []
    for position, cell in enumerate(cells):
        name = known.get(fold(cell), "")
        custom = not name or name in taken
        if custom:
            name = _free(slug(cell) if cell.strip() else f"column_{column_letter(position).lower()}", taken, spec)
        taken.add(name)
        columns.append(HeaderColumn(name, cell.strip(), position, custom))
    _require(columns, spec, place, row)
    return tuple(columns)


def _known(spec: ObjectLayout) -> dict[str, str]:
    return {fold(spelling): name for name, column in spec.columns.items() for spelling in column.headers}


def _free(name: str, taken: set[str], spec: ObjectLayout) -> str:
    number, result = 1, name
    while result in taken or result in spec.columns:
        number += 1
        result = f"{name}_{number}"
    return result


def _require(columns: Sequence[HeaderColumn], spec: ObjectLayout, place: Place, row: int) -> None:
    present = {column.name for column in columns}
    missing = [name for name, column in spec.columns.items() if column.required and name not in present]
    if not missing:
        return
    unclaimed = [column.header for column in columns if column.custom]
    parts = []
    for name in missing:
        close = nearest(spec.columns[name].headers, unclaimed)
        parts.append(f"{spec.columns[name].headers[0]!r}" + (f" (nearest header: {close!r})" if close else ""))
    spellings = ", ".join(spec.columns[missing[0]].headers)
    raise InputError(
        f"required column{'s' if len(missing) > 1 else ''} missing: {', '.join(parts)}",
        hint=f"rename the column (accepted: {spellings}) or add its header under `layout:`",
        file=place.file,
        sheet=place.sheet,
        row=row,
        column=spec.columns[missing[0]].headers[0],
    )
