"""CSV of Bulk jobs: reading rows with their byte offsets, writing result rows.

Rules: Bulk API guide, "Prepare CSV files": UTF-8, quotes doubled inside quotes, one line ending and one
delimiter per job, nothing trimmed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

DELIMITERS = {"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
MAX_HEADER = 32_000
MAX_CELL = 131_072 + 1000
csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))


class CsvError(Exception):
    """The upload cannot be read; the text is Bulk's error message."""


class CsvRows:
    """Rows of one upload. `offset` is the byte after the last row that was handed out."""

    def __init__(self, path: Path, delimiter: str, line_ending: str, start: int = 0) -> None:
        self._file = path.open("rb")
        self._line_ending = line_ending
        self._crlf = LINE_ENDINGS[line_ending] == "\r\n"
        self.offset = start
        self._file.seek(start)
        self._reader = csv.reader(self._lines(), delimiter=DELIMITERS[delimiter], strict=True)

    def _lines(self) -> Iterator[str]:
        for line in self._file:
            self.offset += len(line)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as broken:
                raise CsvError("ClientInputError : CSV content is not valid UTF-8") from broken
            yield text

    def header(self) -> list[str]:
        """The first line. Raises CsvError for an empty upload, a wrong line ending, an over-long header."""
        first = self._file.readline()
        self._file.seek(0)
        if not first.strip():
            raise CsvError("InvalidBatch : Failed to process query: The CSV is empty")
        if len(first) > MAX_HEADER:
            raise CsvError("InvalidBatch : The header line is longer than 32,000 characters")
        if first.endswith(b"\r\n") != self._crlf and first.endswith(b"\n"):
            raise CsvError(
                "ClientInputError : LineEnding is invalid on user data. "
                f"Current LineEnding setting is {self._line_ending}"
            )
        names = next(self)
        names[0] = names[0].removeprefix("\ufeff")
        return names

    def __iter__(self) -> CsvRows:
        return self

    def __next__(self) -> list[str]:
        try:
            row = next(self._reader)
            # A blank line is no row.
            while not row:
                row = next(self._reader)
        except csv.Error as broken:
            raise CsvError(f"ClientInputError : Error while reading CSV: {broken}") from broken
        return row

    def close(self) -> None:
        self._file.close()


class ResultFile:
    """One result file: two quoted headers, the input's headers, every value quoted. Grows by whole batches."""

    def __init__(self, path: Path, delimiter: str, size: int | None) -> None:
        """Continue at `size` bytes (what a killed run wrote after that is cut off), or start with a fresh file."""
        self.path = path
        self._mark = DELIMITERS[delimiter]
        self._file: IO[str] = path.open("a" if size is not None else "w", encoding="utf-8", newline="")
        if size is not None:
            self._file.truncate(size)
            self._file.seek(size)
        self._writer = csv.writer(self._file, delimiter=self._mark, quoting=csv.QUOTE_ALL, lineterminator="\n")

    def header(self, own: Sequence[str], echoed: Sequence[str]) -> None:
        """The header line: our columns quoted, the echoed ones as they came."""
        names = [*(f'"{name}"' for name in own), *(_plain(name, self._mark) for name in echoed)]
        self._file.write(self._mark.join(names) + "\n")

    def rows(self, rows: Iterable[Sequence[str]]) -> None:
        self._writer.writerows(rows)

    def flush(self) -> int:
        """Hand everything to the operating system; the size in bytes."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _plain(name: str, mark: str) -> str:
    return f'"{name}"' if mark in name or '"' in name else name
