"""One Salesforce org as a `Target` that creates schema and switches automations.

Settings: `url` and one way to log in (see `auth.credentials`), optionally `ca`, `version`, `reserve`, … (see
`session.Session`), and `bulk_from_rows`, `rows_per_part` (see `limits.Sizes`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pyarrow as pa

from rehouse.connectors.base import (
    AuditFields,
    Automation,
    In,
    Job,
    JobKind,
    JobState,
    Limits,
    Op,
    Org,
    Part,
    Query,
    SchemaChange,
    SchemaOutcome,
    Settings,
    User,
)
from rehouse.connectors.salesforce import limits
from rehouse.connectors.salesforce.automations import Automations
from rehouse.connectors.salesforce.catalog import PLATFORM, Describes
from rehouse.connectors.salesforce.files import FileWriter
from rehouse.connectors.salesforce.metadata import SchemaMaker
from rehouse.connectors.salesforce.permissions import Permissions
from rehouse.connectors.salesforce.quirks import SIDE_EFFECTS
from rehouse.connectors.salesforce.read import Reader
from rehouse.connectors.salesforce.rows import RowWriter
from rehouse.connectors.salesforce.session import Session
from rehouse.connectors.salesforce.soap import Metadata
from rehouse.connectors.salesforce.write import BulkWriter
from rehouse.errors import OutcomeUnknownError
from rehouse.events import Sink, silent
from rehouse.model import Catalog, ChildReference
from rehouse.wire import Call

FILE_OBJECTS = frozenset({"ContentVersion"})
"""Objects with a binary field: written one by one as files."""
NO_BULK = frozenset({"ContentVersion", "ContentDocument", "ContentDocumentLink"})
"""Ours, from caution: whether Bulk takes them all is unverified, collections do."""


class SalesforceTarget:
    """Implements `Target`, `CreatesSchema` and `SwitchesAutomations`. Close it when done."""

    platform = PLATFORM

    def __init__(self, session: Session, sizes: limits.Sizes | None = None) -> None:
        self._session = session
        self._sizes = sizes or limits.Sizes()
        self._describes = Describes(session)
        self._reader = Reader(session, self._describes)
        self._bulk = BulkWriter(session)
        self._rows = RowWriter(session, self._describes)
        self._files = FileWriter(session, self._rows)
        metadata = Metadata(session)
        permissions = Permissions(session, metadata, self._reader)
        self._schema = SchemaMaker(metadata, self._describes, permissions, session.sink)
        self._automations = Automations(metadata, self._reader, session.sink)
        self._held: dict[tuple[str, Op, str], pa.Table] = {}

    def org(self) -> Org:
        """The org and the user behind the session.

        Sandboxes, scratch and trial orgs (they expire) and Developer Edition count as test orgs. `now` is the
        `Date` of the answer.
        """
        answer = self._session.send(Call("GET", "/services/oauth2/userinfo"))
        who = answer.json()
        text = "SELECT Id, Name, IsSandbox, TrialExpirationDate, OrganizationType FROM Organization"
        row = next(self._reader.rows(text))
        edition = str(row["OrganizationType"] or "")
        stamp = answer.headers.get("date")
        return Org(
            platform=PLATFORM,
            id=str(row["Id"]),
            name=str(row["Name"]),
            user_id=str(who["user_id"]),
            user_name=str(who["preferred_username"]),
            is_test=bool(row["IsSandbox"] or row["TrialExpirationDate"] or edition == "Developer Edition"),
            edition=edition,
            now=parsedate_to_datetime(stamp).astimezone(UTC) if stamp else datetime.now(UTC),
        )

    def limits(self) -> Limits:
        return limits.ask(self._session, self._sizes)

    def describe(self, objects: Sequence[str]) -> Catalog:
        """A fresh catalog of these objects. Objects that the org does not have are absent from it."""
        return self._describes.catalog(objects)

    def users(self) -> list[User]:
        """People who may own records (standard users), and queues with the objects they may own."""
        people = self._reader.rows("SELECT Id, Name, Email, IsActive FROM User WHERE UserType = 'Standard'")
        found = [User(row["Id"], row["Name"], row["Email"] or "", bool(row["IsActive"])) for row in people]
        owns: dict[str, list[str]] = {}
        for row in self._reader.rows("SELECT QueueId, SobjectType FROM QueueSobject"):
            owns.setdefault(row["QueueId"], []).append(row["SobjectType"])
        for row in self._reader.rows("SELECT Id, Name, Email FROM Group WHERE Type = 'Queue'"):
            # An empty `owns` would mean every object; a queue without any may own none, so it is left out.
            if row["Id"] in owns:
                names = tuple(sorted(owns[row["Id"]]))
                found.append(User(row["Id"], row["Name"], row["Email"] or "", True, True, names))
        return found

    def count(self, objects: Sequence[str]) -> dict[str, int]:
        """Records per object, archived activities included, deleted ones not."""
        return {name: self._reader.count(name) for name in dict.fromkeys(objects)}

    def audit_fields(self, object_name: str) -> AuditFields:
        """Who wrote a record and when. Some objects (relations, history) lack part of these fields."""
        obj = self._describes.get(object_name)
        names = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
        return AuditFields(*(name if obj.field(name) else None for name in names))

    def side_effects(self, object_name: str) -> tuple[ChildReference, ...]:
        """Rows that the platform makes beside a new record; those of objects that the org lacks are left out."""
        known = SIDE_EFFECTS.get(object_name, ())
        return tuple(ChildReference(child, field, True) for child, field in known if self._describes.find(child))

    def job_kind(self, object_name: str, op: Op, rows: int) -> JobKind:
        if object_name in FILE_OBJECTS and op is Op.INSERT:
            return JobKind.FILES
        if object_name in NO_BULK or rows < self._sizes.bulk_from_rows:
            return JobKind.ROWS
        return JobKind.BULK

    def open_job(self, part: Part) -> Job:
        if part.kind is JobKind.BULK:
            return self._bulk.open_job(part)
        return Job("", part.kind, part.object, part.op)

    def upload(self, job: Job, part: Part) -> None:
        """Send the rows of a bulk job. Errors: `RetryableError` when it broke: abort and open another job."""
        if job.kind is JobKind.BULK:
            self._bulk.upload(job, part)

    def start(self, job: Job, part: Part) -> None:
        match job.kind:
            case JobKind.BULK:
                self._bulk.start(job, part)
            case JobKind.ROWS if job.op is Op.DELETE and part.object in FILE_OBJECTS:
                self._held[_mark(job, part)] = self._files.delete(part, self._documents(part))
            case JobKind.ROWS:
                self._held[_mark(job, part)] = self._rows.write(part)
            case JobKind.FILES:
                self._held[_mark(job, part)] = self._files.write(part)

    def _documents(self, part: Part) -> dict[str, str]:
        """Version id → document id, for the versions that are still there."""
        query = Query(part.object, ("ContentDocumentId",), In("Id", tuple(part.table["Id"].to_pylist())))
        return {row["Id"]: row["ContentDocumentId"] for batch in self._reader.fetch(query) for row in batch.to_pylist()}

    def state(self, job: Job) -> JobState:
        """The platform's word for bulk jobs. Others are DONE while their outcomes are held, else GONE."""
        if job.kind is JobKind.BULK:
            return self._bulk.state(job)
        held = any((name, op) == (job.object, job.op) for name, op, _ in self._held)
        return JobState.DONE if held else JobState.GONE

    def wait(self, job: Job) -> JobState:
        return self._bulk.wait(job) if job.kind is JobKind.BULK else self.state(job)

    def outcomes(self, job: Job, part: Part) -> pa.Table:
        """One outcome per row. Those of plain requests are handed out once and then forgotten."""
        if job.kind is JobKind.BULK:
            return self._bulk.outcomes(job, part)
        found = self._held.pop(_mark(job, part), None)
        if found is None:
            raise OutcomeUnknownError(
                f"{part.object}: the outcomes of {part.rows} rows are not held by this connection",
                hint="ask the target for these records by their key",
            )
        return found

    def abort(self, job: Job) -> None:
        if job.kind is JobKind.BULK:
            self._bulk.abort(job)

    def fetch(self, query: Query) -> Iterator[pa.RecordBatch]:
        return self._reader.fetch(query)

    def download(self, version_id: str, to: Path) -> str:
        """Read the bytes of a file version; returns their MD5 in hex, as the field `Checksum` spells it."""
        return self._files.download(version_id, to)

    def calls_used(self) -> Mapping[str, int]:
        used = self._session.budget.used()
        return {"calls": 0, "bulk_batches": 0, "retries": 0, **used}

    def missing_schema(self, change: SchemaChange) -> SchemaChange:
        """What the org lacks, and fields that exist in a form that cannot serve (creating them is refused)."""
        return self._schema.missing(change)

    def create_schema(self, change: SchemaChange) -> list[SchemaOutcome]:
        return self._schema.create(change)

    def record_type_ids(self, objects: Sequence[str]) -> dict[tuple[str, str], str]:
        return self._schema.record_type_ids(objects)

    def automations(self, objects: Sequence[str]) -> list[Automation]:
        return self._automations.every(objects)

    def set_automation(self, automation_id: str, *, active: bool) -> None:
        self._automations.switch(automation_id, active=active)

    def close(self) -> None:
        self._session.close()


def connect(settings: Settings, sink: Sink = silent) -> SalesforceTarget:
    """Open a connection. Nothing is sent before the first question. Errors: `UserError` for the settings."""
    return SalesforceTarget(Session(settings, sink), limits.Sizes.of(settings))


def _mark(job: Job, part: Part) -> tuple[str, Op, str]:
    """What a part's outcomes are kept under until they are asked for."""
    digest = hashlib.sha256()
    for key in part.table["_key"].to_pylist():
        digest.update(f"{key}\0".encode())
    return job.object, job.op, digest.hexdigest()
