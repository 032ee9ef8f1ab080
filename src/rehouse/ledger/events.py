"""What the ledger can hold: a closed union of frozen events, each a small JSON body.

An event says what was decided, intended or learned about *many* records; the records themselves are in the
segments it names. Bodies hold no values of records and no secrets: ids of runs, jobs and segments, counts.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from rehouse.errors import FatalError


class Verb(StrEnum):
    """What a run does."""

    SAMPLE = "sample"
    APPLY = "apply"
    ROLLBACK = "rollback"


OPS = ("insert", "update", "delete", "match")
"""What an intent does to its rows. `match` writes nothing: it records which target record a key belongs to."""


@dataclass(frozen=True, slots=True)
class RunOpened:
    """A run starts on a plan (digest), by a person, in a target org (its id)."""

    plan: str
    verb: str
    by: str
    org: str


@dataclass(frozen=True, slots=True)
class StageOpened:
    """A stage of the plan starts; `rows` is what the plan says it will write."""

    stage: str
    object: str
    rows: int


@dataclass(frozen=True, slots=True)
class Intent:
    """Rows are about to be written: durable before the first byte that could commit leaves.

    `op` is one of `OPS`, `kind` how the part travels (the connector's job kind). `rows_segment` holds what is
    sent (or only the keys), `preimages` what the target held before, both None where there is nothing to keep.
    """

    segments: ClassVar[tuple[str, ...]] = ("rows_segment", "preimages")

    stage: str
    part: int
    object: str
    op: str
    kind: str
    rows: int
    rows_segment: str | None = None
    preimages: str | None = None


@dataclass(frozen=True, slots=True)
class JobOpened:
    """The platform gave a job (its reference as a dict) to the intent with that seq. Nothing is committed yet."""

    intent: int
    job: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an intent's rows, in an outcomes segment. `how` says how we know.

    `settled` is true when the answer was lost and the target was asked instead.
    """

    segments: ClassVar[tuple[str, ...]] = ("segment",)

    intent: int
    segment: str
    ok: int
    refused: int
    settled: bool = False
    how: str = ""


@dataclass(frozen=True, slots=True)
class StageClosed:
    """A stage is through. `landed` is the segment of what was fetched back, where it was."""

    segments: ClassVar[tuple[str, ...]] = ("landed",)

    stage: str
    landed: str | None = None
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SchemaCreated:
    """One piece of schema: created, existed, or refused."""

    kind: str
    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class AutomationOff:
    """About to be switched off: durable before the switch, so that every end knows what to put back."""

    id: str
    name: str
    object: str


@dataclass(frozen=True, slots=True)
class AutomationOn:
    """Was put back, and reading it back said so."""

    id: str
    name: str = ""
    object: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """The run waits, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run goes on, after a pause or after a crash."""


@dataclass(frozen=True, slots=True)
class RunClosed:
    """A run has ended in a state, with its figures."""

    state: str
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what: the digest of what was decided, never its content."""

    what: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Anchored:
    """The head with that hash was written down outside the ledger."""

    head: str


LedgerEvent = (
    RunOpened
    | StageOpened
    | Intent
    | JobOpened
    | Outcome
    | StageClosed
    | SchemaCreated
    | AutomationOff
    | AutomationOn
    | Paused
    | Resumed
    | RunClosed
    | Decision
    | Anchored
)

KINDS: dict[str, type[LedgerEvent]] = {cls.__name__: cls for cls in get_args(LedgerEvent)}
"""Name of an event in the table → its class."""


def kind_of(event: LedgerEvent | type[LedgerEvent]) -> str:
    """The name under which an event is kept."""
    return (event if isinstance(event, type) else type(event)).__name__


def to_body(event: LedgerEvent) -> dict[str, Any]:
    """The event's fields as a JSON object. Raises `FatalError` for a value that the event may not hold."""
    body = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    _check(type(event), body)
    return body


def from_body(kind: str, body: Mapping[str, Any]) -> LedgerEvent:
    """The event of a kind from its JSON object; raises `FatalError` when it is not one of ours."""
    cls = KINDS.get(kind)
    if cls is None:
        raise FatalError(
            f"the ledger holds an event of the unknown kind {kind!r}",
            hint="it was written by a newer version of Rehouse: use that version",
        )
    _check(cls, body)
    return cls(**body)


def segments_of(event: LedgerEvent) -> list[tuple[str, str]]:
    """(field, digest) of each segment that an event names."""
    named = ((name, getattr(event, name)) for name in getattr(event, "segments", ()))
    return [(name, digest) for name, digest in named if digest is not None]


def _hints(cls: type[LedgerEvent]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


_HINTS = {kind: _hints(cls) for kind, cls in KINDS.items()}


def _check(cls: type[LedgerEvent], body: Mapping[str, Any]) -> None:
    hints = _HINTS[cls.__name__]
    required = {f.name for f in dataclasses.fields(cls) if _is_required(f)}
    faults = [f"unknown field {name!r}" for name in body if name not in hints]
    faults += [f"missing field {name!r}" for name in sorted(required - set(body))]
    faults += [
        f"{name!r} holds {type(value).__name__}"
        for name, value in body.items()
        if name in hints and not _fits(value, hints[name])
    ]
    if cls is Intent and body.get("op") not in OPS:
        faults.append(f"op is none of {', '.join(OPS)}")
    if cls is RunOpened and body.get("verb") not in tuple(Verb):
        faults.append(f"verb is none of {', '.join(Verb)}")
    if faults:
        raise FatalError(f"this is no {cls.__name__}: {'; '.join(faults)}")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _fits(value: object, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        return any(_fits(value, option) for option in get_args(hint))
    expected = origin or hint
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, expected)
