"""What one run holds together: plan, target, ledger, engine, and the way to say where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from rehouse.apply.points import Point
from rehouse.connectors.base import CreatesSchema, NotNull, Query, Target
from rehouse.events import Note, Reached, Sink
from rehouse.ledger.events import RunClosed, RunOpened
from rehouse.ledger.ledger import Ledger
from rehouse.plan.resolve import make_refs, parent_fields, parent_outputs
from rehouse.plan.stages import Consignment, Plan

PARTS_IN_FLIGHT = 3
"""Bulk jobs sent before the oldest one's outcome is collected: the platform works while we send."""

FILES_PER_PART = 10
"""Files named by one intent. A lost answer is settled by asking for these."""

RETRY_ROUNDS = 3
"""How often records refused with *retry* (locks) are sent again before they are quarantined."""

UPLOAD_TRIES = 3
"""How often the rows of one part are uploaded before a broken line stops the run. Nothing of it is committed."""


@dataclass(slots=True)
class Run:
    """One execution against one target. `folder` holds the plan's consignments; `only` a sample's keys.

    A stage of which the target refuses more than `stop_percent` stops the run (a gate).
    """

    plan: Plan
    folder: Path
    target: Target
    ledger: Ledger
    sink: Sink
    connection: duckdb.DuckDBPyConnection
    scratch: Path
    files: Path | None = None
    only: Path | None = None
    id: str = ""
    stop_percent: float = 100.0

    def reached(self, point: Point, detail: str = "") -> None:
        """Say that everything durable before this point is durable."""
        self.sink(Reached(point.value, detail))

    def note(self, text: str) -> None:
        self.sink(Note(text, "apply"))

    def path(self, consignment: Consignment) -> Path:
        return self.folder / consignment.file

    def refresh_refs(self, consignment: Consignment) -> None:
        """Table `refs` for one consignment: id map, record types, and other fields of parents."""
        self.ledger.id_map(self.connection)
        types = {}
        if isinstance(self.target, CreatesSchema):
            types = self.target.record_type_ids(sorted({c.object for c in self.plan.consignments}))
        extra: list[tuple[str, str]] = []
        for prefix in sorted(parent_fields(consignment, self.folder, self.connection)):
            extra += self._parents(prefix)
        parents = parent_outputs(consignment, self.folder, self.connection)
        make_refs(self.connection, parents, types, extra)

    def _parents(self, prefix: str) -> list[tuple[str, str]]:
        """(`Output.Field:key`, value) for every loaded record of an output, asked of the target."""
        output, _, wanted = prefix.partition(".")
        parent = next(c for c in self.plan.consignments if c.output == output)
        if parent.key_field is None:
            return []
        rows: list[tuple[str, str]] = []
        query = Query(parent.object, (parent.key_field, wanted), NotNull(parent.key_field))
        for batch in self.target.fetch(query):
            keys = batch.column(parent.key_field).to_pylist()
            values = batch.column(wanted).to_pylist()
            rows += [(f"{prefix}:{k}", v) for k, v in zip(keys, values, strict=True) if k and v]
        return rows


def last_rollback(ledger: Ledger) -> int:
    """Seq of the newest finished rollback: writes before it no longer count as done. 0 without one."""
    verbs: dict[str, str] = {}
    newest = 0
    for seq, recorded in ledger.events((RunOpened, RunClosed)):
        match recorded.event:
            case RunOpened(verb=verb):
                verbs[recorded.run] = verb
            case RunClosed() if verbs.get(recorded.run) == "rollback":
                newest = seq
    return newest
