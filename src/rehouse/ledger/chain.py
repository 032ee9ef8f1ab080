"""The chain: each event's hash covers the one before it, so that nothing can be edited, dropped or slipped in.

    hash = sha256(prev + canonical([partition, position, seq, run, at, kind, body]))
    canonical = JSON in ASCII, keys sorted, no spaces: Python's json.dumps(x, sort_keys=True, separators=(",", ":"))
    prev of position 1 = sha256("rehouse ledger:" + partition)

`prev` and `hash` are lower-case hex; `seq` is covered too, because events refer to each other by it.
A chain cannot show that its whole tail was rewritten; that is what heads anchored elsewhere are for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rehouse.errors import FatalError


@dataclass(frozen=True, slots=True)
class Entry:
    """An event before it has a place: `body` is its canonical JSON text."""

    run: str
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it is kept. `body` is its canonical JSON text; `at` UTC; `position` counts from 1 per partition."""

    seq: int
    partition: str
    position: int
    run: str
    at: str
    kind: str
    body: str
    prev: str
    hash: str

    def as_json(self) -> str:
        """One line of the audit export."""
        head = {"seq": self.seq, "partition": self.partition, "position": self.position, "run": self.run}
        start = canonical({**head, "at": self.at, "kind": self.kind, "prev": self.prev, "hash": self.hash})
        return f'{start[:-1]},"body":{self.body}}}'


def canonical(value: object) -> str:
    """The one spelling of a JSON value that is hashed. Raises `FatalError` for what JSON cannot hold."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FatalError(f"the ledger cannot hold this as JSON: {error}") from error


def genesis(partition: str) -> str:
    """What the first event of a partition follows."""
    return hashlib.sha256(f"rehouse ledger:{partition}".encode()).hexdigest()


def hash_of(row: Row) -> str:
    """The hash that a row must have. The body goes in as it is stored, so that even its spelling is covered."""
    frame = canonical([row.partition, row.position, row.seq, row.run, row.at, row.kind])
    return hashlib.sha256(f"{row.prev}{frame[:-1]},{row.body}]".encode()).hexdigest()


def follow(last: Row | None, partition: str, seq: int, at: str, entry: Entry) -> Row:
    """The row that comes after `last` (None: the first of its partition)."""
    position, prev = (last.position + 1, last.hash) if last else (1, genesis(partition))
    unsigned = Row(seq, partition, position, entry.run, at, entry.kind, entry.body, prev, "")
    return replace(unsigned, hash=hash_of(unsigned))


class ChainCheck:
    """Follows one partition and remembers the first place where it breaks."""

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.problem: str | None = None
        self.position, self.seq, self.head = 0, 0, genesis(partition)

    def add(self, row: Row) -> None:
        """Check the next row, in order of position."""
        if self.problem is None:
            self.problem = self._fault(row)
        self.position, self.seq, self.head = row.position, row.seq, row.hash

    def _fault(self, row: Row) -> str | None:
        where = f"partition {self.partition}, seq {row.seq} ({row.kind}, position {row.position})"
        if row.position != self.position + 1:
            return f"{where}: the event at position {self.position + 1} is missing"
        if row.prev != self.head:
            return f"{where}: does not follow from the event before it"
        if row.hash != hash_of(row):
            return f"{where}: was changed after it was written"
        if row.seq <= self.seq:
            return f"{where}: has a seq that is not above the one before it"
        return None


def row_from_export(line: str) -> Row:
    """A line of the audit export as a row. Raises `FatalError` when it is none."""
    try:
        data: Mapping[str, Any] = json.loads(line)
        body = canonical(data["body"])
        text = {name: str(data[name]) for name in ("partition", "run", "at", "kind", "prev", "hash")}
        return Row(seq=int(data["seq"]), position=int(data["position"]), body=body, **text)
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(f"this is no line of an audit export: {error}") from error
