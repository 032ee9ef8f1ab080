"""CSV parts: encoding and delimiter found, recoded to UTF-8 in a stream, read by DuckDB with nothing lost.

DuckDB reports the lines it rejects, but a quote that is never closed makes it drop rows without a word. So
the recoding pass counts the records itself, and the two counts must agree; when they do not, or quotes are
used loosely, Python's own CSV reader decides: it either finds the fault or rewrites the file strictly.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import duckdb

from rehouse.errors import InputError
from rehouse.formats.encoding import Encoding, detect
from rehouse.formats.header import HEADER_ROWS, HeaderColumn, Place, find_header, name_columns
from rehouse.formats.part import ROW, Part, TotalRow
from rehouse.formats.sql import identifier, literal, one
from rehouse.formats.text import fold
from rehouse.knowledge.load import Layout, ObjectLayout

DELIMITERS = (";", ",", "\t", "|")
"""Tried on the header line, in this order of preference between equals."""

MAX_FIELD = 16 * 1024**2
"""Characters of one record: longer ones are rejected with their line."""

_CHUNK = 1 << 20
_BLANK = re.compile(r"\n(?=\n)")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Head:
    """What the first records of a file told."""

    encoding: Encoding
    delimiter: str
    columns: tuple[HeaderColumn, ...]
    lines: int  # physical lines up to and with the header
    names: tuple[str, ...]  # one per position, for the raw file


@dataclass(slots=True)
class _Count:
    """What the recoding pass counted. `sound` is False when the quotes do not pair up."""

    records: int = 0
    sound: bool = True


def read_csv(
    path: Path,
    name: str,
    object_name: str,
    spec: ObjectLayout,
    layout: Layout,
    out: Path,
    *,
    memory: str = "512MB",
) -> Part:
    """Read one CSV file of an object into the Parquet file `out`, in flat memory.

    `name` is the file as people know it. Raises `InputError` for an undecodable byte, a missing required
    column, and any line that is not a record of the header's width, naming file, line, column and reason.
    """
    head = _head(path, name, spec, layout)
    recoded = out.with_suffix(".utf8.csv")
    spill = out.parent / "spill"
    try:
        with duckdb.connect(config={"memory_limit": memory, "threads": 2, "temp_directory": str(spill)}) as con:
            rows = _load(con, path, recoded, head, name, out)
            labels = [fold(label) for label in layout.total_row_labels]
            totals = _split_totals(con, out, head, labels)
            columns = tuple(c for c in head.columns if c.header or _filled(con, out, c.name))
        last = rows + 1 if rows else 0
    finally:
        recoded.unlink(missing_ok=True)
    return Part(
        object=object_name,
        file=name,
        sheet="",
        path=out,
        columns=columns,
        rows=rows - len(totals),
        last_row=last if not totals or totals[-1].row != last else last - 1,
        encoding=head.encoding.name,
        delimiter=head.delimiter,
        totals=totals,
    )


def header_score(path: Path, name: str, spec: ObjectLayout, layout: Layout) -> int:
    """How many columns of an object the file's header names; 0 when it lacks a required one."""
    try:
        return sum(not column.custom for column in _head(path, name, spec, layout).columns)
    except InputError:
        return 0


def _head(path: Path, name: str, spec: ObjectLayout, layout: Layout) -> _Head:
    if path.stat().st_size == 0:
        raise InputError("the file is empty (0 bytes)", hint="export it again", file=name)
    encoding = detect(path, name, layout.encodings)
    place = Place(name)
    best: tuple[int, str, list[tuple[list[str], int]]] | None = None
    for delimiter in DELIMITERS:
        records = _first_records(path, encoding, delimiter)
        width = max((len(cells) for cells, _ in records), default=0)
        known = {fold(spelling) for column in spec.columns.values() for spelling in column.headers}
        matched = max((sum(fold(cell) in known for cell in cells) for cells, _ in records), default=0)
        score = matched * 1000 + width
        if best is None or score > best[0]:
            best = (score, delimiter, records)
    assert best is not None
    _, delimiter, records = best
    index = find_header([cells for cells, _ in records], spec, place)
    cells, lines = records[index]
    columns = name_columns(cells, spec, place, lines)
    return _Head(encoding, delimiter, columns, lines, tuple(column.name for column in columns))


def _first_records(path: Path, encoding: Encoding, delimiter: str) -> list[tuple[list[str], int]]:
    """The first non-empty records with the physical line on which each ends."""
    records: list[tuple[list[str], int]] = []
    with path.open(encoding=encoding.codec, newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        try:
            for cells in reader:
                if cells:
                    records.append((cells, reader.line_num))
                if len(records) == HEADER_ROWS:
                    break
        except csv.Error:
            pass  # the header is searched in what could be read; the full pass names the fault
    return records


def _load(con: duckdb.DuckDBPyConnection, path: Path, recoded: Path, head: _Head, name: str, out: Path) -> int:
    count = _recode(path, recoded, head)
    if count.sound and _copy(con, recoded, head, out) == count.records and not _rejects(con):
        return count.records
    expected = _rewrite(path, recoded, head, name)
    rows = _copy(con, recoded, head, out)
    if rows != expected or _rejects(con):
        raise InputError(
            f"two readers disagree: {rows:,} and {expected:,} records",
            hint="export the file again with every text quoted",
            file=name,
        )
    return rows


def _recode(path: Path, recoded: Path, head: _Head) -> _Count:
    """Write the records after the header as UTF-8 with `\\n` between them, and count them.

    Text between quotes is left as it is. The count assumes that quotes only enclose fields.
    """
    count, inside, last = _Count(), False, "\n"
    with (
        path.open(encoding=head.encoding.codec, newline="") as stream,
        recoded.open("w", encoding="utf-8", newline="") as sink,
    ):
        for chunk in _chunks(stream, head.lines):
            pieces = chunk.split('"')
            for number, piece in enumerate(pieces):
                if number:
                    inside, last = not inside, '"'
                if inside or not piece:
                    continue
                text = piece.replace("\r\n", "\n").replace("\r", "\n")
                if text is not piece:
                    pieces[number] = text
                count.records += text.count("\n") - len(_BLANK.findall(text)) - (last == text[0] == "\n")
                last = text[-1]
            sink.write('"'.join(pieces))
    count.records += last != "\n"
    count.sound = not inside
    return count


def _chunks(stream: TextIO, skip: int) -> Iterator[str]:
    """The stream after `skip` lines, in chunks that never end between `\\r` and `\\n`."""
    for _ in range(skip):
        stream.readline()
    carry = ""
    while chunk := stream.read(_CHUNK):
        chunk = carry + chunk
        carry = "\r" if chunk.endswith("\r") else ""
        yield chunk[: len(chunk) - len(carry)]
    if carry:
        yield carry


def _copy(con: duckdb.DuckDBPyConnection, recoded: Path, head: _Head, out: Path) -> int:
    con.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in head.names)
    try:
        con.execute(
            f"COPY (SELECT *, (row_number() OVER () + 1)::INTEGER AS {ROW} FROM read_csv("
            f"{literal(str(recoded))}, auto_detect=false, header=false, delim={literal(head.delimiter)}, "
            f"quote='\"', escape='\"', new_line='\\n', columns={{{columns}}}, store_rejects=true, "
            f"rejects_limit=0, parallel=false, max_line_size={MAX_FIELD}, buffer_size={2 * MAX_FIELD})) "
            f"TO {literal(str(out))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 30720)"
        )
    except duckdb.InvalidInputException:
        return -1  # the parser gave up; the strict pass finds out where
    return int(one(con, f"SELECT count(*) FROM read_parquet({literal(str(out))})")[0])


def _rejects(con: duckdb.DuckDBPyConnection) -> int:
    return int(one(con, "SELECT count(*) FROM reject_errors")[0])


def _rewrite(path: Path, recoded: Path, head: _Head, name: str) -> int:
    """Read the file strictly with Python's reader, write it fully quoted, and return the number of records.

    Raises `InputError` listing the lines that are not records. Reached only when the fast way found a fault
    or quotes are used loosely (`5" pipe`).
    """
    width, count, wrong = len(head.names), 0, []
    csv.field_size_limit(MAX_FIELD)
    with (
        path.open(encoding=head.encoding.codec, newline="") as stream,
        recoded.open("w", encoding="utf-8", newline="") as sink,
    ):
        for _ in range(head.lines):
            stream.readline()
        reader = csv.reader(stream, delimiter=head.delimiter, strict=True)
        writer = csv.writer(sink, delimiter=head.delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
        start = head.lines + 1
        try:
            for cells in reader:
                if len(cells) not in (0, width) and not _only_trailing(cells, width):
                    wrong.append((start, len(cells)))
                elif cells:
                    writer.writerow(cells[:width])
                    count += 1
                start = head.lines + reader.line_num + 1
        except csv.Error as fault:
            raise _unreadable(name, start, str(fault), head) from fault
    if wrong:
        raise _wrong_width(name, wrong, head)
    return count


def _only_trailing(cells: list[str], width: int) -> bool:
    return len(cells) == width + 1 and cells[-1] == ""


def _wrong_width(name: str, wrong: list[tuple[int, int]], head: _Head) -> InputError:
    line, found = wrong[0]
    width = len(head.names)
    column = head.columns[found].header if found < width else head.columns[-1].header
    others = ", ".join(f"line {n} has {cells}" for n, cells in wrong[1:_SHOWN])
    more = f"; {others}" if others else ""
    more += f"; {len(wrong)} such lines in all" if len(wrong) > 1 else ""
    reason = "columns are missing from here on" if found < width else "there are more cells than headers"
    return InputError(
        f"the record has {found} columns, the header has {width}: {reason}{more}",
        hint=f"put texts that contain {head.delimiter!r} or line breaks in double quotes, or export again",
        file=name,
        row=line,
        column=column,
    )


def _unreadable(name: str, line: int, fault: str, head: _Head) -> InputError:
    reason = "a double quote is opened and never closed" if "unexpected end" in fault else fault
    return InputError(
        f"the record that starts here cannot be read: {reason}",
        hint="close the quote, or write a quote inside a text twice",
        file=name,
        row=line,
        column=head.columns[0].header,
    )


def _filled(con: duckdb.DuckDBPyConnection, out: Path, name: str) -> bool:
    return bool(one(con, f"SELECT count({identifier(name)}) FROM read_parquet({literal(str(out))})")[0])


def _split_totals(
    con: duckdb.DuckDBPyConnection, out: Path, head: _Head, labels: Sequence[str]
) -> tuple[TotalRow, ...]:
    """Take rows of totals out of the Parquet file. Only the last rows can be totals."""
    if not labels:
        return ()
    cells = ", ".join(f"nullif(trim({identifier(name)}), '')" for name in head.names)
    first = f"coalesce({cells})"
    source = f"read_parquet({literal(str(out))})"
    tail = con.execute(
        f"SELECT {ROW}, {first}, {', '.join(identifier(n) for n in head.names)} FROM {source} "
        f"WHERE {ROW} > (SELECT max({ROW}) FROM {source}) - 5 ORDER BY {ROW}"
    ).fetchall()
    totals = tuple(
        TotalRow(int(row[0]), {n: v for n, v in zip(head.names, row[2:], strict=True) if v is not None})
        for row in tail
        if row[1] is not None and fold(row[1]).rstrip(" :") in labels
    )
    if totals:
        kept = out.with_suffix(".kept.parquet")
        numbers = ", ".join(str(total.row) for total in totals)
        con.execute(
            f"COPY (SELECT * FROM {source} WHERE {ROW} NOT IN ({numbers}) ORDER BY {ROW}) "
            f"TO {literal(str(kept))} (FORMAT parquet, COMPRESSION zstd)"
        )
        kept.replace(out)
    return totals
