"""What the upper floors ask of a platform. Connectors deal in tables; facts are data, behaviour is methods.

A *target* connector implements `Target`; each optional ability is a protocol of its own, asked for once with
`isinstance` while the plan is made, so that no stage discovers in mid-run that it cannot.

Values cross this line as text in canonical form: numbers `1234.56`, booleans `true`/`false`, dates
`2024-12-31`, datetimes `2024-12-31T11:05:00.000Z`, several options joined by `;`, null as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from rehouse.model import Catalog, ChildReference, Field


class Op(StrEnum):
    """What a part does to its rows."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class JobKind(StrEnum):
    """How a part travels. `BULK` is the platform's own asynchronous job; the others are plain requests."""

    BULK = "bulk"
    ROWS = "rows"
    FILES = "files"


class JobState(StrEnum):
    """What the platform says of a job. `OPEN` has committed nothing; `GONE` is unknown to the platform."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"
    GONE = "gone"


class Advice(StrEnum):
    """What to do about a refused record: one of four groups, from the connector's table of codes."""

    FIX_DATA = "fix data"
    FIX_TARGET = "fix target"
    RETRY = "retry"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Org:
    """One instance of the target platform, pinned by its id. `now` is the server's own clock (UTC)."""

    platform: str
    id: str
    name: str
    user_id: str
    user_name: str
    is_test: bool
    edition: str
    now: datetime


@dataclass(frozen=True, slots=True)
class User:
    """Somebody (or a queue) who may own records. `owns` names the objects a queue may own; empty: all."""

    id: str
    name: str
    email: str
    active: bool
    is_queue: bool = False
    owns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The platform's limits as they bind a load now. Counts are per rolling day; bytes are bytes; None: unknown."""

    rows_per_request: int
    bulk_from_rows: int
    rows_per_part: int
    bytes_per_part: int
    rows_per_bulk_batch: int
    file_bytes: int
    calls_max: int | None
    calls_left: int | None
    bulk_batches_max: int | None
    bulk_batches_left: int | None
    storage_bytes_max: int | None
    storage_bytes_left: int | None
    file_storage_bytes_left: int | None
    bytes_per_record: int


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one object ready to be written in one job.

    `table` has `_key` (text, unique in the part: joins outcomes to rows) and one text column per target field;
    updates and deletes also have `Id`. `key_field` is the target field that holds `_key`, where there is one.
    `clear` names the fields whose nulls must be written (an update), all other nulls are left out.
    """

    object: str
    op: Op
    kind: JobKind
    table: pa.Table
    key_field: str | None = None
    clear: tuple[str, ...] = ()
    files: Path | None = None

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True, slots=True)
class Job:
    """A reference to a platform job that can be written down and found again after a crash."""

    id: str
    kind: JobKind
    object: str
    op: Op

    def as_dict(self) -> dict[str, str]:
        return {"id": self.id, "kind": self.kind.value, "object": self.object, "op": self.op.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Job:
        return cls(data["id"], JobKind(data["kind"]), data["object"], Op(data["op"]))


OUTCOME_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("id", pa.string()),
        pa.field("ok", pa.bool_()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
        pa.field("advice", pa.string()),
    ]
)
"""Outcomes: one row per row of the part. `advice` is one of `Advice` where `ok` is false, else null."""


@dataclass(frozen=True, slots=True)
class NotNull:
    """Records whose field holds something."""

    field: str


@dataclass(frozen=True, slots=True)
class In:
    """Records whose field equals one of the values (the connector cuts long lists)."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """Records whose datetime field is at or after the moment."""

    field: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Records for which at least one condition holds."""

    conditions: tuple[NotNull | In | Since, ...]


Condition = NotNull | In | Since | AnyOf


@dataclass(frozen=True, slots=True)
class Query:
    """Which fields of which records to fetch. `Id` is always among the columns of the answer."""

    object: str
    fields: tuple[str, ...]
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class Automation:
    """Something in the target that acts by itself when records are written.

    `effect` says in one sentence what it would do to a load; `can_switch` whether the connector can switch it
    off and on again; `blocks` whether it can refuse records.
    """

    id: str
    kind: str
    object: str
    name: str
    active: bool
    effect: str
    can_switch: bool
    blocks: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a sales process: position in the list is its order. `probability` in percent."""

    value: str
    probability: int
    closed: bool = False
    won: bool = False
    category: str = "Pipeline"


@dataclass(frozen=True, slots=True)
class AuditFields:
    """Names of the fields in which the platform says who wrote a record and when; None where it has none.

    `modified` moves when a person (or an integration) saves, `stamp` also when the platform itself does.
    """

    created: str | None
    created_by: str | None
    modified: str | None
    modified_by: str | None
    stamp: str | None


@dataclass(frozen=True, slots=True)
class NewRecordType:
    """A record type to create, with the stages of its own process where the object has one."""

    object: str
    name: str
    label: str
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """Everything a plan creates before the first record: fields by object, and record types."""

    fields: Mapping[str, tuple[Field, ...]] = field(default_factory=dict)
    record_types: tuple[NewRecordType, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaOutcome:
    """What became of one piece of schema: created, existed, or refused with the platform's words."""

    kind: str
    name: str
    outcome: str
    message: str = ""


@runtime_checkable
class Target(Protocol):
    """The side that records move to."""

    platform: str

    def org(self) -> Org: ...

    def limits(self) -> Limits: ...

    def describe(self, objects: Sequence[str]) -> Catalog: ...

    def users(self) -> list[User]: ...

    def count(self, objects: Sequence[str]) -> dict[str, int]: ...

    def audit_fields(self, object_name: str) -> AuditFields: ...

    def side_effects(self, object_name: str) -> tuple[ChildReference, ...]:
        """Records that the platform makes by itself when a record of this object is created, and that go with it."""
        ...

    def job_kind(self, object_name: str, op: Op, rows: int) -> JobKind:
        """How a part of that size travels: bulk above the platform's threshold, plain requests below."""
        ...

    def open_job(self, part: Part) -> Job:
        """Make the job. Nothing is committed yet; the caller writes the job down before it sends."""
        ...

    def upload(self, job: Job, part: Part) -> None:
        """Send the rows of a bulk job. Nothing is committed before `start`. No-op for other kinds."""
        ...

    def start(self, job: Job, part: Part) -> None:
        """Commit. Raises `OutcomeUnknownError` when the answer was lost."""
        ...

    def state(self, job: Job) -> JobState: ...

    def wait(self, job: Job) -> JobState:
        """Block until the job has left `RUNNING`."""
        ...

    def outcomes(self, job: Job, part: Part) -> pa.Table:
        """One row per row of the part (`OUTCOME_SCHEMA`), joined by key. Raises `OutcomeUnknownError` if lost."""
        ...

    def abort(self, job: Job) -> None: ...

    def fetch(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Read records in bulk: text columns `Id` and the asked fields, canonical values, streamed.

        A binary field answers with `md5:<hex>` of its content, never with the content.
        """
        ...

    def calls_used(self) -> Mapping[str, int]:
        """Requests made by this connection so far: `calls`, `bulk_batches`, `retries`."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class CreatesSchema(Protocol):
    """Ability: create fields and record types, and make them visible to the migration user."""

    def missing_schema(self, change: SchemaChange) -> SchemaChange: ...

    def create_schema(self, change: SchemaChange) -> list[SchemaOutcome]:
        """Create what is missing; doing it twice changes nothing."""
        ...

    def record_type_ids(self, objects: Sequence[str]) -> dict[tuple[str, str], str]:
        """(object, record type name) → id."""
        ...


@runtime_checkable
class SwitchesAutomations(Protocol):
    """Ability: list what acts by itself, switch it off and on, and read back that it did."""

    def automations(self, objects: Sequence[str]) -> list[Automation]: ...

    def set_automation(self, automation_id: str, *, active: bool) -> None: ...


Settings = Mapping[str, Any]
