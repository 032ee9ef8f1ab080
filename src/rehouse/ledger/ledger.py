"""The ledger itself: append events, read them back, prove the chain, and show the segments as views."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.engine import Connection

from rehouse.clock import Clock, iso
from rehouse.errors import FatalError, UserError
from rehouse.ledger import views
from rehouse.ledger.chain import ChainCheck, Entry, Row, canonical, genesis, row_from_export
from rehouse.ledger.disk import sync_file, sync_folder
from rehouse.ledger.events import (
    Anchored,
    AutomationOff,
    AutomationOn,
    Decision,
    Intent,
    JobOpened,
    LedgerEvent,
    Outcome,
    Resumed,
    RunClosed,
    RunOpened,
    StageClosed,
    StageOpened,
    Verb,
    from_body,
    kind_of,
    segments_of,
    to_body,
)
from rehouse.ledger.segments import OUTCOMES, PREIMAGES, SegmentStore
from rehouse.ledger.store import Store, kind_at

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KINDS_OF_FIELDS = {"segment": OUTCOMES, "preimages": PREIMAGES}

Kinds = type[LedgerEvent] | str | Sequence[type[LedgerEvent] | str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place: `at` is UTC, `position` counts from 1 within the partition."""

    seq: int
    partition: str
    position: int
    run: str
    at: str
    event: LedgerEvent
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without an outcome: unknown until the target is asked. `job` is None when none was opened."""

    seq: int
    intent: Intent
    job: dict[str, Any] | None
    run: str


class Ledger:
    """One migration's ledger, or one partition of it. Use as a context manager, or `close()` it."""

    def __init__(self, folder: Path, clock: Clock, store: Store, *, write: bool) -> None:
        self.folder = folder
        self.segments = SegmentStore(folder / "segments")
        self.partition = store.partition
        self._clock = clock
        self._store = store
        self._cache = views.Cache(folder / "cache" / (store.partition if write else "_readers"))
        self._open_runs: list[str] = []
        self._runs = 0
        for recorded in self._own((RunOpened, Resumed, RunClosed)):
            self._follow_run(kind_of(recorded.event), recorded.run)

    @classmethod
    def open(
        cls, folder: Path, clock: Clock, url: str | None = None, partition: str = "main", write: bool = True
    ) -> Ledger:
        """Open (and make, if it is new) the ledger in a folder.

        One writer per partition: another one gets a `UserError` that names its process. Readers
        (`write=False`) need no lock and see what is committed. `url` is None for SQLite in the folder, or
        `postgresql+psycopg://…`; segments stay in the folder, which several appliers then share.
        """
        if not _NAME.fullmatch(partition):
            raise UserError(
                f"{partition[:80]!r} cannot name a partition", hint="use lower-case letters, digits, - and _"
            )
        folder = folder.resolve()
        store = Store(folder, url, partition, write=write)
        try:
            ledger = cls(folder, clock, store, write=write)
            if write:
                ledger.segments.sweep()
                ledger._cache.clear()
        except BaseException:
            store.close()
            raise
        return ledger

    def close(self) -> None:
        """Close the database and let the next writer in."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- writing ---------------------------------------------------------------------------------------

    @property
    def run(self) -> str:
        """The run that events belong to unless said otherwise: the newest of this partition not closed, or ""."""
        return self._open_runs[-1] if self._open_runs else ""

    def append(self, event: LedgerEvent, run: str | None = None) -> int:
        """Append an event and return its seq once it is durable.

        `RunOpened` makes a run and names it `<verb>-<number>` (see `run`) unless a name is given; `Resumed`
        with a run makes that run the current one again. Decisions and anchors need no run. Segments that the
        event names must be in the store. Raises `FatalError` when it cannot be written: then stop.
        """
        body = to_body(event)
        run = self._run_for(event) if run is None else run
        if run and not _RUN.fullmatch(run):
            raise FatalError(f"{run[:150]!r} cannot name a run")
        self._check_segments(event)
        refers = event.intent if isinstance(event, JobOpened | Outcome) else None

        def check(connection: Connection) -> None:
            if refers is not None and kind_at(connection, refers, self.partition) != Intent.__name__:
                raise FatalError(f"{kind_of(event)} refers to seq {refers}, which is no intent of this partition")

        row = self._store.append(Entry(run, kind_of(event), canonical(body)), iso(self._clock.now()), check)
        self._follow_run(row.kind, run)
        return row.seq

    def _run_for(self, event: LedgerEvent) -> str:
        if isinstance(event, RunOpened):
            prefix = "" if self.partition == "main" else f"{self.partition}."
            return f"{prefix}{event.verb}-{self._runs + 1}"
        if not self.run and not isinstance(event, Decision | Anchored):
            raise FatalError(f"no run is open for a {kind_of(event)}", hint="append RunOpened first")
        return self.run

    def _check_segments(self, event: LedgerEvent) -> None:
        for field, digest in segments_of(event):
            found, wanted = self.segments.stat(digest).kind, _KINDS_OF_FIELDS.get(field)
            if wanted is not None and found != wanted:
                raise FatalError(f"{kind_of(event)}.{field} names a segment of kind {found!r}, not {wanted!r}")

    def _follow_run(self, kind: str, run: str) -> None:
        self._runs += kind == RunOpened.__name__
        if kind in (RunOpened.__name__, Resumed.__name__, RunClosed.__name__) and run in self._open_runs:
            self._open_runs.remove(run)
        if kind in (RunOpened.__name__, Resumed.__name__):
            self._open_runs.append(run)

    # -- reading ---------------------------------------------------------------------------------------

    def events(self, kind: Kinds | None = None, run: str | None = None) -> Iterator[tuple[int, Recorded]]:
        """(seq, event) in order of seq, of one or several kinds and of one run, or of all; all partitions."""
        for row in self._store.rows(_names(kind), run):
            yield row.seq, _recorded(row)

    def _own(self, kind: Kinds | None = None, run: str | None = None) -> Iterator[Recorded]:
        return (recorded for recorded in self._recorded(kind, run) if recorded.partition == self.partition)

    def _recorded(self, kind: Kinds | None = None, run: str | None = None) -> Iterator[Recorded]:
        return (recorded for _, recorded in self.events(kind, run))

    def head(self) -> str:
        """The hash of this partition's newest event."""
        return self._store.head()

    def unclosed_runs(self) -> list[str]:
        """Runs of this partition that were opened and not closed, oldest first."""
        return list(self._open_runs)

    def open_intents(self, run: str | None = None) -> list[OpenIntent]:
        """Intents of this partition without an outcome, in order, with the newest job of each."""
        intents: dict[int, Recorded] = {}
        jobs: dict[int, dict[str, Any]] = {}
        for recorded in self._own((Intent, JobOpened, Outcome), run):
            match recorded.event:
                case Intent():
                    intents[recorded.seq] = recorded
                case JobOpened(intent=seq, job=job):
                    jobs[seq] = job
                case Outcome(intent=seq):
                    intents.pop(seq, None)
        return [
            OpenIntent(seq, recorded.event, jobs.get(seq), recorded.run)
            for seq, recorded in intents.items()
            if isinstance(recorded.event, Intent)
        ]

    def stages_closed(self, run: str) -> dict[str, StageClosed]:
        """Stages of a run that are through (this partition). A stage that was opened again is not."""
        closed: dict[str, StageClosed] = {}
        for recorded in self._own((StageOpened, StageClosed), run):
            match recorded.event:
                case StageOpened(stage=stage):
                    closed.pop(stage, None)
                case StageClosed(stage=stage) as event:
                    closed[stage] = event
        return closed

    def automations_off(self) -> list[AutomationOff]:
        """What we switched off in the target, in any run and partition, and have not put back."""
        off: dict[str, AutomationOff] = {}
        for recorded in self._recorded((AutomationOff, AutomationOn)):
            match recorded.event:
                case AutomationOff(id=found) as event:
                    off[found] = event
                case AutomationOn(id=found):
                    off.pop(found, None)
        return list(off.values())

    # -- views -----------------------------------------------------------------------------------------

    def id_map(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create the DuckDB views `id_map` and `written`, both `(object, key, id, how, run, seq)`.

        `id_map` has one row per (object, key): the target record it belongs to now. `written` has one row per
        (object, key, id): also older records of a key that are still there, which rollback must not forget.
        Rows come from all accepted outcomes, less what any run has deleted since. `how` is `inserted` (we
        made the record, even if we updated it later), `updated` (it was there, we changed it) or `matched`
        (it was there, we only know it); run and seq are of the outcome that says so first. The views are as of
        now: call again after further outcomes.
        """
        views.id_map(con, self._outcome_sources(), self._cache)

    def outcomes_view(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create the DuckDB views `outcomes` (newest per object and key) and `outcomes_history` (all).

        Both `(object, key, id, ok, code, message, advice, run, stage, part, op, seq)`; rollbacks included.
        The history also has `noted_at`: when the outcome was written down (UTC).
        """
        views.outcomes(con, self._outcome_sources(), self._cache)

    def preimages_view(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create the DuckDB view `preimages (object, id, field, value, run, stage, part, seq)`.

        One row per target record and field that an intent was about to write, with the value before; `seq` is
        the intent's. What a run found is the row with the lowest seq of that run. A null value was fetched and
        was null; a field without a row was not fetched. Columns beginning with `_` are left out.
        """
        verbs = self._verbs()
        found: list[tuple[views.Source, pa.Schema]] = []
        for recorded in self._recorded(Intent):
            match recorded.event:
                case Intent(preimages=str(digest)) as intent:
                    source = self._source(intent, recorded.run, recorded, digest, verbs)
                    found.append((source, self.segments.schema(digest)))
        views.preimages(con, found)

    def _outcome_sources(self) -> list[views.Source]:
        verbs = self._verbs()
        intents: dict[int, tuple[Intent, str]] = {}
        sources: list[views.Source] = []
        for recorded in self._recorded((Intent, Outcome)):
            match recorded.event:
                case Intent() as intent:
                    intents[recorded.seq] = (intent, recorded.run)
                case Outcome(intent=seq, segment=digest):
                    intent, run = intents[seq]
                    sources.append(self._source(intent, run, recorded, digest, verbs))
        return sources

    def _source(self, intent: Intent, run: str, naming: Recorded, digest: str, verbs: dict[str, str]) -> views.Source:
        return views.Source(
            path=self.segments.path(digest),
            object=intent.object,
            run=run,
            stage=intent.stage,
            part=intent.part,
            op=intent.op,
            seq=naming.seq,
            at=naming.at,
            undo=verbs.get(run) == Verb.ROLLBACK,
        )

    def _verbs(self) -> dict[str, str]:
        return {r.run: r.event.verb for r in self._recorded(RunOpened) if isinstance(r.event, RunOpened)}

    # -- proof -----------------------------------------------------------------------------------------

    def verify(self, anchors: Path | None = None) -> list[str]:
        """What is wrong with the ledger, one sentence each; empty when all is well.

        Checks the chain of every partition (naming the first event that does not fit), that each event can be
        read and refers to what exists, that each segment is present and unchanged, and, given a file written
        by `anchor`, that the heads noted there are still part of the chain.
        """
        noted = _read_anchors(anchors) if anchors is not None else []
        checks: dict[str, ChainCheck] = {}
        problems: list[str] = []
        named: dict[str, int] = {}
        intents: set[tuple[str, int]] = set()
        reached: dict[tuple[str, int], str] = {}
        with self._store.snapshot() as (heads, rows):
            for row in rows:
                checks.setdefault(row.partition, ChainCheck(row.partition)).add(row)
                problems += _check_content(row, intents, named)
                if any(a["seq"] == row.seq for a in noted):
                    reached[(row.partition, row.seq)] = row.hash
        problems = [check.problem for check in checks.values() if check.problem] + problems
        problems += _check_heads(heads, checks)
        problems += _check_anchors(noted, reached)
        for digest, seq in named.items():
            fault = self.segments.verify(digest)
            if fault is not None:
                problems.append(f"seq {seq}: {fault}")
        return problems

    def anchor(self, path: Path) -> dict[str, Any]:
        """Note the head in a file outside the ledger's folder, one JSON line per call, and return that line.

        Whoever rewrites the ledger must then rewrite that file too: keep it where the writer has no access
        (another machine, a mail to the auditor). `seq` is 0 for an empty ledger. A writer also records that
        it anchored.
        """
        path = path.resolve()
        if path.is_relative_to(self.folder):
            raise UserError(f"{path} is inside the ledger's folder", hint="anchor the head somewhere else")
        last = self._store.last()
        line = {
            "head": last.hash if last else genesis(self.partition),
            "seq": last.seq if last else 0,
            "at": iso(self._clock.now()),
            "partition": self.partition,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(f"{canonical(line)}\n".encode())
            file.flush()
            sync_file(file.fileno())
        if self._store.writes:
            self.append(Anchored(str(line["head"])))
        return line

    def export_audit(self, out: Path) -> int:
        """Write every event as one JSON line with its chain, by partition and position; return how many.

        How the hashes are made is told in `rehouse.ledger.chain`: a page of Python without this package can
        check the file, and so can `verify_export`.
        """
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
        count = 0
        try:
            with temporary.open("w", encoding="ascii", newline="\n") as file, self._store.snapshot() as (_, rows):
                for row in rows:
                    file.write(row.as_json() + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(out.parent)
        return count


def verify_export(path: Path) -> list[str]:
    """Check the chain of an exported audit on its own, without the ledger. Empty when all is well."""
    checks: dict[str, ChainCheck] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = row_from_export(line)
            checks.setdefault(row.partition, ChainCheck(row.partition)).add(row)
    return [check.problem for check in checks.values() if check.problem]


def _names(kind: Kinds | None) -> list[str] | None:
    if kind is None:
        return None
    several = [kind] if isinstance(kind, str | type) else kind
    return [one if isinstance(one, str) else kind_of(one) for one in several]


def _recorded(row: Row) -> Recorded:
    event = from_body(row.kind, json.loads(row.body))
    return Recorded(row.seq, row.partition, row.position, row.run, row.at, event, row.prev, row.hash)


def _check_content(row: Row, intents: set[tuple[str, int]], named: dict[str, int]) -> list[str]:
    """Whether a row can be read and refers to intents before it; notes its segments."""
    try:
        event = _recorded(row).event
    except (FatalError, ValueError) as error:
        return [f"seq {row.seq}: cannot be read: {error}"]
    for _, digest in segments_of(event):
        named.setdefault(digest, row.seq)
    if isinstance(event, Intent):
        intents.add((row.partition, row.seq))
    if isinstance(event, JobOpened | Outcome) and (row.partition, event.intent) not in intents:
        return [f"seq {row.seq}: refers to seq {event.intent}, which is no intent before it"]
    return []


def _check_heads(heads: dict[str, str], checks: dict[str, ChainCheck]) -> list[str]:
    """The noted heads must be the ends of the chains: an end that was cut off leaves the rest intact."""
    problems = []
    for partition in sorted(heads.keys() | checks.keys()):
        check = checks.get(partition)
        end = f"{check.position} {check.head}" if check else "0"
        if heads.get(partition) != end:
            last = f"seq {check.seq}" if check else "its beginning"
            problems.append(f"partition {partition}: events after {last} are missing or were added by other hands")
    return problems


def _check_anchors(noted: list[dict[str, Any]], reached: dict[tuple[str, int], str]) -> list[str]:
    problems = []
    for anchor in noted:
        place = (anchor["partition"], anchor["seq"])
        found = reached.get(place, genesis(anchor["partition"]) if anchor["seq"] == 0 else None)
        if found != anchor["head"]:
            problems.append(
                f"partition {anchor['partition']}, seq {anchor['seq']}: is not what was anchored at {anchor['at']}"
            )
    return problems


def _read_anchors(path: Path) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [
            {"head": str(a["head"]), "seq": int(a["seq"]), "at": str(a["at"]), "partition": str(a["partition"])}
            for a in lines
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no file of anchors: {error}", hint="give the file that `anchor` wrote") from None
