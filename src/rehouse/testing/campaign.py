"""Fault campaigns: one prepared migration, copied per case, disturbed, run again, compared.

A case copies a prepared folder (export, sandbox store, migration with an approved sample), starts a sandbox on
the copied store, lets one command die at a place, opens everything anew, runs the same command again and
compares the end state with that of an uninterrupted run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehouse.clock import SystemClock, iso
from rehouse.events import Sink, silent
from rehouse.ledger.events import Verb
from rehouse.migration import Migration
from rehouse.plan.stages import CreateSchema, Plan
from rehouse.testing.crash import CrashAt, Place, SimulatedCrash, Trace, not_in_table
from rehouse.testing.rehearsal import NAME, rehearse, sandbox
from rehouse.testing.state import EndState, OrgState, end_state, ids_of, org_state
from rehouse.workflow.workspace import Workspace

SIZES = {"bulk_from_rows": 50, "rows_per_part": 70}
"""Connection settings of a campaign: small enough that an export of 100 contacts travels by all three kinds of
part, and that several Bulk jobs of one stage are in flight together."""

SCHEMA_ROWS = (
    "BusinessProcess",
    "FieldPermissions",
    "ObjectPermissions",
    "OpportunityStage",
    "PermissionSet",
    "PermissionSetAssignment",
    "RecordType",
)
"""Records that are schema. A rollback leaves schema in place (it is listed), so these are declared exclusions."""

SAMPLE = 40


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder with `sample/`, `org/` (store) and `migration/`, nothing running. `since`: before anything moved."""

    folder: Path
    org_id: str
    org_name: str
    since: str
    known: frozenset[str]
    created: frozenset[str]
    before: OrgState

    def against_before(self, folder: Path) -> list[str]:
        """How the org in a copy differs from the org before anything moved, less the schema we created."""
        now = org_state(folder / "org", self.known, self.since, SCHEMA_ROWS, self.created)
        return now.differences(self.before, schema=False)


@dataclass(slots=True)
class Scene:
    """A running copy: `info` is the sandbox's ready line."""

    prepared: Prepared
    folder: Path
    info: Mapping[str, Any]

    def migration(self, sink: Sink = silent) -> Migration:
        """The migration, opened anew as a new process would."""
        return Migration.open(self.folder / "migration", sink=sink)

    def run(self, verb: Verb, sink: Sink = silent) -> None:
        """One command, as the command line calls it."""
        do(self.migration(sink), verb, self.prepared.org_name)


def do(migration: Migration, verb: Verb, org_name: str) -> None:
    """Sample, apply or roll back."""
    match verb:
        case Verb.SAMPLE:
            migration.sample(SAMPLE, NAME)
        case Verb.APPLY:
            migration.apply("", NAME)
        case Verb.ROLLBACK:
            migration.rollback(NAME, confirm=org_name)


def prepare(folder: Path, *, contacts: int = 100, sampled: bool = True, sizes: Mapping[str, int] = SIZES) -> Prepared:
    """Compose, map, decide, plan, load and approve a sample; then stop the sandbox and keep everything."""
    since = iso(SystemClock().now())
    with rehearse(folder, contacts=contacts, settings=sizes) as rehearsal:
        with rehearsal.migration.target() as target:
            org = target.org()
        known = ids_of(folder / "org")
        plan, _ = rehearsal.migration.plan()
        made = _created_fields(plan)
        before = org_state(folder / "org", known, since, SCHEMA_ROWS, made)
        if sampled:
            rehearsal.migration.sample(SAMPLE, NAME)
            rehearsal.migration.approve_sample(NAME)
    return Prepared(folder, org.id, org.name, since, known, made, before)


def _created_fields(plan: Plan) -> frozenset[str]:
    """Names of the fields that the plan creates: empty columns that a rollback leaves behind."""
    return frozenset(f.rpartition(".")[2] for s in plan.stages if isinstance(s, CreateSchema) for f in s.fields)


def copy(folder: Path, to: Path) -> None:
    """Copy store and migration; the export is only read and stays where it is."""
    for name in ("org", "migration"):
        shutil.copytree(folder / name, to / name)


@contextmanager
def scene(prepared: Prepared, folder: Path, origin: Path | None = None) -> Iterator[Scene]:
    """A running copy of the prepared folder (or of `origin`, what became of it) in `folder`."""
    copy(origin or prepared.folder, folder)
    with running(prepared, folder) as copied:
        yield copied


@contextmanager
def running(prepared: Prepared, folder: Path) -> Iterator[Scene]:
    """A sandbox on the store in `folder`, with the migration there connected to it."""
    with sandbox(folder / "org") as info:
        connect(folder / "migration", str(info["url"]))
        yield Scene(prepared, folder, info)


def connect(migration: Path, url: str, **more: Any) -> None:
    """Write the address of a started sandbox into the migration's configuration."""
    workspace = Workspace(migration)
    config = workspace.load()
    config.target.settings = {**config.target.settings, "url": url, **more}
    workspace.save(config)


def outcome_of(prepared: Prepared, folder: Path) -> EndState:
    """The end state of a copy whose sandbox has stopped."""
    org = org_state(folder / "org", prepared.known, prepared.since)
    return end_state(Migration.open(folder / "migration"), org, prepared.org_id)


@dataclass(frozen=True, slots=True)
class Reference:
    """What an uninterrupted command passes and leaves behind, and the folder it left."""

    verb: Verb
    origin: Path
    folder: Path
    trace: Trace
    state: EndState


def reference(prepared: Prepared, verb: Verb, folder: Path, origin: Path | None = None) -> Reference:
    """Run one command without any disturbance, starting from `origin` (the prepared folder by default)."""
    start = origin or prepared.folder
    trace = Trace()
    with scene(prepared, folder, start) as copied:
        copied.run(verb, trace)
    return Reference(verb, start, folder, trace, outcome_of(prepared, folder))


def crash_case(prepared: Prepared, wanted: Reference, place: Place, folder: Path) -> list[str]:
    """Crash at the place, run the same command again; what differs from the uninterrupted run (empty: nothing)."""
    with scene(prepared, folder, wanted.origin) as copied:
        sink = CrashAt(place)
        with suppress(SimulatedCrash):
            copied.run(wanted.verb, sink)
        if not sink.crashed:
            return [f"{place} was not reached"]
        second = Trace()
        copied.run(wanted.verb, second)
    steps = [*not_in_table(sink.trace.passed), *not_in_table(second.passed)]
    found = [f"not in the table of states: {s}" for s in steps] + compare(prepared, wanted, folder)
    shutil.rmtree(folder)
    return found


def compare(prepared: Prepared, wanted: Reference, folder: Path) -> list[str]:
    """What differs from the uninterrupted run; after a rollback also from the org before anything moved."""
    found = outcome_of(prepared, folder).differences(wanted.state)
    return found + (prepared.against_before(folder) if wanted.verb is Verb.ROLLBACK else [])


def crash_on_and_on(running: Scene, verb: Verb, places: Sequence[Place]) -> tuple[Trace, list[Trace]]:
    """Let one command die at each place in turn, resumed every time; at last let it end.

    Returns what the last start passed, and what each of those that died had passed.
    """
    died = []
    for place in places:
        sink = CrashAt(place)
        with suppress(SimulatedCrash):
            running.run(verb, sink)
        if not sink.crashed:
            raise AssertionError(f"{verb} ended without passing {place}")
        died.append(sink.trace)
    last = Trace()
    running.run(verb, last)
    return last, died
