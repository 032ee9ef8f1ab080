"""Changes made in a sandbox behind its back: straight in its store, so that no time stamp moves.

A verification that covers everything must find exactly these. Kinds:

- *blanked*: a value gone, as NULL or as an empty text; *filled*: a value where there was none;
- *second*: a moment one second off; *cent*: a number off by its smallest unit; *flipped*: true for false;
- *character*: one character changed, added or lost, letter case and blanks at the ends included;
- *swapped*: two records that exchange what one field refers to; *content*: a file's checksum;
- *missing*: a record deleted (a file with its links); *extra*: a record or link that nobody planned.

An empty text where there was NULL is no change: the platform's interfaces show both as nothing. `tamper`
makes a few of these, too, and does not list them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rehouse.sandbox.salesforce.ids import id18

DATABASE = "org.sqlite"
FILE, DOCUMENT, LINK = "ContentVersion", "ContentDocument", "ContentDocumentLink"
COLUMNS = {"VersionData": "Checksum"}
"""Fields that the store keeps under another name: of a file's content it holds the checksum."""
REFERENCES = ("WhoId", "WhatId")
"""Fields that may refer to several objects; every other reference ends in `Id`, too."""
FILLERS = {"date": "2020-02-29", "datetime": "2020-02-29T23:59:59.000Z", "number": 1, "text": "x"}
SHARES = {"missing": 12, "extra": 12, "swapped": 14, "second": 26, "filled": 30, "blanked": 40}
"""Of 200 changes; what is left over is one character (or the smallest unit of a number)."""

Loaded = Mapping[str, Mapping[str, Sequence[str]]]
"""Target object → id of each record that was loaded → the fields that were planned for it."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One change. `what` is a field, `missing` or `extra`: together with object and id it is what a diff names."""

    object: str
    id: str
    what: str
    kind: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.object, self.id, self.what


def tamper(store: Path, loaded: Loaded, seed: int, n: int = 200) -> list[Change]:
    """Make `n` changes in the org whose store is the folder `store`; the server may be running.

    The same seed makes the same changes in the same store. Raises ValueError when too little was loaded.
    """
    with closing(sqlite3.connect(store / DATABASE, timeout=30)) as db:
        hand = _Hand(db, loaded, Random(seed))
        for kind, share in SHARES.items():
            hand.repeat(kind, share * n // 200)
        hand.repeat("character", n - len(hand.changes))
        hand.unseen()
        db.commit()
    return sorted(hand.changes)


class _Hand:
    """Where everything stands while changes are made: no cell and no record is touched twice."""

    def __init__(self, db: sqlite3.Connection, loaded: Loaded, random: Random) -> None:
        self.db, self.random = db, random
        self.changes: list[Change] = []
        self.fields = {(o, i): list(f) for o, records in loaded.items() for i, f in records.items()}
        self.records = sorted(self.fields)
        random.shuffle(self.records)
        self.cells = [(o, i, f) for o, i in self.records for f in self.fields[o, i] if self._has(o, f)]
        random.shuffle(self.cells)
        self.gone: set[tuple[str, str]] = set()
        self.used: set[tuple[str, str, str]] = set()
        self.fresh = 0

    def repeat(self, kind: str, times: int) -> None:
        """Make up to `times` changes of a kind; a swap counts for two, a deleted file for itself and its links."""
        make: Callable[[], list[Change]] = getattr(self, f"_{kind}")
        until = len(self.changes) + times
        while len(self.changes) < until:
            made = make()
            if kind == "swapped" and not made:
                return
            self.changes += made

    # ── cells ─────────────────────────────────────────────────────────────────────────────────────────

    def _blanked(self) -> list[Change]:
        cell, _ = self._cell(lambda f, v: v is not None and not isinstance(v, float | int))
        return [self._put(cell, self.random.choice([None, ""]), "blanked")]

    def _filled(self) -> list[Change]:
        cell, _ = self._cell(lambda f, v: v is None)
        return [self._put(cell, self._filler(cell[0], cell[2]), "filled")]

    def _second(self) -> list[Change]:
        cell, value = self._cell(lambda f, v: isinstance(v, str) and v.endswith("Z") and v[10:11] == "T")
        second = (int(value[17:19]) + 1) % 60
        return [self._put(cell, f"{value[:17]}{second:02d}{value[19:]}", "second")]

    def _character(self) -> list[Change]:
        cell, value = self._cell(lambda f, v: v is not None and (not _moment(v)) and not f.endswith("Id"))
        if isinstance(value, int | float):
            is_flag = self._kind(cell[0], cell[2]) == "flag"
            return [self._put(cell, 1 - value if is_flag else value + 0.01 * isinstance(value, float) or value + 1,
                              "flipped" if is_flag else "cent")]  # fmt: skip
        return [self._put(cell, self._other(value), "content" if cell[2] in COLUMNS else "character")]

    def _swapped(self) -> list[Change]:
        cell, mine = self._cell(lambda f, v: v is not None and (f.endswith("Id") or f in REFERENCES))
        for other in self.cells:
            if other[0] == cell[0] and other[2] == cell[2] and self._free(other):
                theirs = self._value(other)
                if theirs not in (None, mine) and not self._pair_exists(cell, theirs, other, mine):
                    return [self._put(cell, theirs, "swapped"), self._put(other, mine, "swapped")]
        return []

    def _pair_exists(self, cell: tuple[str, str, str], theirs: str, other: tuple[str, str, str], mine: str) -> bool:
        """Whether a swap would make a link that is there already: that would be no change of that record only."""
        if cell[0] != LINK:
            return False
        rows = dict(self.db.execute(f'SELECT Id, ContentDocumentId || LinkedEntityId FROM "{LINK}"').fetchall())
        first, second = rows[cell[1]], rows[other[1]]
        swapped = (first.replace(mine, theirs), second.replace(theirs, mine))
        return any(pair in rows.values() for pair in swapped)

    def _put(self, cell: tuple[str, str, str], value: Any, kind: str) -> Change:
        obj, record, field = cell
        self.used.add(cell)
        column = COLUMNS.get(field, field)
        self.db.execute(f'UPDATE "{obj}" SET "{column}" = ? WHERE Id = ?', (value, record))
        return Change(obj, record, field, kind)

    def _other(self, value: str) -> str:
        """The text with one character changed, added or lost."""
        at = self.random.randrange(len(value))
        letter = value[at]
        ways = [value + " ", " " + value, value[:at] + ("y" if letter != "y" else "z") + value[at + 1 :]]
        if letter.swapcase() != letter and len(letter.swapcase()) == 1:
            ways.append(value[:at] + letter.swapcase() + value[at + 1 :])
        if len(value) > 1:
            ways.append(value[:at] + value[at + 1 :])
        return self.random.choice(ways)

    def _cell(self, wanted: Callable[[str, Any], bool]) -> tuple[tuple[str, str, str], Any]:
        """A random cell nobody has touched whose field and value are wanted; every object gets its turn."""
        objects = sorted({o for o, _, _ in self.cells})
        self.random.shuffle(objects)
        for name in objects:
            for cell in self.cells:
                if cell[0] == name and self._free(cell):
                    value = self._value(cell)
                    if wanted(cell[2], value):
                        return cell, value
        raise ValueError("too little was loaded for so many changes")

    def _free(self, cell: tuple[str, str, str]) -> bool:
        return cell not in self.used and cell[:2] not in self.gone

    def _value(self, cell: tuple[str, str, str]) -> Any:
        obj, record, field = cell
        row = self.db.execute(f'SELECT "{COLUMNS.get(field, field)}" FROM "{obj}" WHERE Id = ?', (record,)).fetchone()
        return row[0] if row else None

    def _has(self, obj: str, field: str) -> bool:
        return COLUMNS.get(field, field) in {r[1] for r in self.db.execute(f'PRAGMA table_info("{obj}")')}

    def _kind(self, obj: str, field: str) -> str:
        """date, datetime, number, flag or text, judged by what the column holds."""
        declared = {r[1]: r[2] for r in self.db.execute(f'PRAGMA table_info("{obj}")')}[COLUMNS.get(field, field)]
        if declared in ("REAL", "INTEGER"):
            distinct = {r[0] for r in self.db.execute(f'SELECT DISTINCT "{field}" FROM "{obj}"')}
            return "flag" if declared == "INTEGER" and distinct <= {0, 1} else "number"
        row = self.db.execute(f'SELECT "{field}" FROM "{obj}" WHERE "{field}" IS NOT NULL LIMIT 1').fetchone()
        value = row[0] if row else ""
        return "datetime" if _moment(value) else "date" if _day(value) else "text"

    def _filler(self, obj: str, field: str) -> Any:
        if field.endswith("Id"):
            known = self.db.execute(f'SELECT "{field}" FROM "{obj}" WHERE "{field}" IS NOT NULL LIMIT 1').fetchone()
            return known[0] if known else self.records[0][1]
        return FILLERS[self._kind(obj, field)]

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────

    def _missing(self) -> list[Change]:
        obj, record = self._record()
        if obj == FILE:
            return self._delete_file(record)
        self._delete(obj, record)
        return [Change(obj, record, "missing", "missing")]

    def _delete_file(self, record: str) -> list[Change]:
        """On the platform a document takes its versions and links with it."""
        document = self._value((FILE, record, "ContentDocumentId"))
        links = [r[0] for r in self.db.execute(f'SELECT Id FROM "{LINK}" WHERE ContentDocumentId = ?', (document,))]
        ours = [i for i in links if (LINK, i) in self.fields and (LINK, i) not in self.gone]
        if any(u[:2] in {(FILE, record), *((LINK, i) for i in ours)} for u in self.used):
            return self._missing()
        for obj, ids in ((LINK, links), (FILE, [record]), (DOCUMENT, [document])):
            for one in ids:
                self._delete(obj, one)
        return [Change(o, i, "missing", "missing") for o, i in [(FILE, record), *((LINK, i) for i in ours)]]

    def _delete(self, obj: str, record: str) -> None:
        self.db.execute(f'DELETE FROM "{obj}" WHERE Id = ?', (record,))
        self.gone.add((obj, record))

    def _record(self) -> tuple[str, str]:
        touched = {u[:2] for u in self.used} | self.gone
        objects = sorted({o for o, _ in self.records})
        name = objects[len(self.changes) % len(objects)]
        for candidates in ([r for r in self.records if r[0] == name], self.records):
            for record in candidates:
                if record not in touched:
                    return record
        raise ValueError("too little was loaded for so many changes")

    def _extra(self) -> list[Change]:
        """A copy of a loaded record under a new id: with a key of its own, or (links) to another record."""
        obj, record = self._record()
        row = dict(zip(self._columns(obj), self._row(obj, record), strict=True))
        self.fresh += 1
        row["Id"] = id18(f"{record[:6]}Z{self.fresh:08d}")
        if obj == LINK:
            other = self._other_end(row)
            if other is None:
                return self._extra()
            row["LinkedEntityId"] = other
        else:
            row["Legacy_Id__c"] = self.random.choice([f"extra-{self.fresh}", row["Legacy_Id__c"]])
        names = ", ".join(f'"{c}"' for c in row)
        marks = ", ".join("?" for _ in row)
        self.db.execute(f'INSERT INTO "{obj}" ({names}) VALUES ({marks})', tuple(row.values()))
        return [Change(obj, row["Id"], "extra", "extra")]

    def _other_end(self, link: Mapping[str, Any]) -> str | None:
        """Another loaded record that this document is not linked to yet."""
        document = link["ContentDocumentId"]
        taken = {r[0] for r in self.db.execute(
            f'SELECT LinkedEntityId FROM "{LINK}" WHERE ContentDocumentId = ?', (document,))}  # fmt: skip
        free = [i for o, i in self.records if o in ("Contact", "Opportunity") and i not in taken]
        return self.random.choice(free) if free else None

    def _columns(self, obj: str) -> list[str]:
        return [r[1] for r in self.db.execute(f'PRAGMA table_info("{obj}")')]

    def _row(self, obj: str, record: str) -> Sequence[Any]:
        row: Sequence[Any] = self.db.execute(f'SELECT * FROM "{obj}" WHERE Id = ?', (record,)).fetchone()
        return row

    def unseen(self, times: int = 5) -> None:
        """Empty texts where there was NULL: nothing that the platform's interfaces would show."""
        for _ in range(times):
            cell, _ = self._cell(lambda f, v: v is None and not f.endswith("Id"))
            if self._kind(cell[0], cell[2]) == "text":
                self._put(cell, "", "unseen")


def _moment(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 20 and value[10] == "T" and value[4] == "-" and value.endswith("Z")


def _day(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10 and value[4] == "-" and value[7] == "-"
