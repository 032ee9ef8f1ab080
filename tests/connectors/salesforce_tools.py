"""One sandbox org, a connection to it, and small tables to send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from rehouse.connectors.base import JobKind, JobState, Op, Part, Query, SchemaChange
from rehouse.connectors.salesforce.target import SalesforceTarget, connect
from rehouse.events import Event
from rehouse.model import Field, Kind, Option
from rehouse.wire import Patience

QUICK = Patience(attempts=4, first=0.01, longest=0.05, total=5)


def external_id() -> Field:
    return Field("Legacy_Id__c", "Legacy Id", Kind.TEXT, length=80, external_id=True, unique=True, case_sensitive=True)


CHANGE = SchemaChange(
    {
        "Contact": (
            external_id(),
            Field("Qualified__c", "Qualified", Kind.BOOLEAN),
            Field("Legacy_Created__c", "Legacy Created", Kind.DATETIME),
            Field("Score__c", "Score", Kind.DECIMAL, digits=10, scale=2),
            Field("Channel__c", "Channel", Kind.OPTION, restricted=True, options=(Option("Web"), Option("Fair"))),
        ),
        "Activity": (external_id(),),
        "ContentVersion": (external_id(),),
    }
)


@dataclass
class World:
    """A running sandbox as the tests see it."""

    info: Mapping[str, Any]
    events: list[Event] = field(default_factory=list)

    def connect(self, **more: Any) -> SalesforceTarget:
        known = {name: self.info[name] for name in ("url", "ca", "client_id", "client_secret") if self.info[name]}
        return connect({**known, "patience": QUICK, **more}, self.events.append)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection(urlsplit(self.info["admin_url"]).netloc, timeout=30)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            raw = answer.read()
            assert answer.status < 300, (answer.status, raw)
            return json.loads(raw) if raw else None
        finally:
            connection.close()

    def fault(self, kind: str, path: str, method: str = "", **options: Any) -> None:
        self.admin("POST", "/faults", {"kind": kind, "match": {"path": path, "method": method}, **options})


def part(
    object_name: str,
    op: Op,
    columns: Mapping[str, Sequence[str | None]],
    *,
    kind: JobKind = JobKind.ROWS,
    key: str | None = "Legacy_Id__c",
    **more: Any,
) -> Part:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Part(object_name, op, kind, table, key, **more)


def contacts(keys: Sequence[str], kind: JobKind = JobKind.ROWS, **columns: Sequence[str | None]) -> Part:
    names: Mapping[str, Sequence[str | None]] = {"LastName": [f"Öztürk {key}" for key in keys], **columns}
    return part("Contact", Op.INSERT, {"_key": keys, "Legacy_Id__c": keys, **names}, kind=kind)


def write(target: SalesforceTarget, one: Part) -> list[dict[str, Any]]:
    """A part through the whole protocol; its outcomes in the order of its rows."""
    job = target.open_job(one)
    target.upload(job, one)
    target.start(job, one)
    assert target.wait(job) is JobState.DONE
    outcomes: list[dict[str, Any]] = target.outcomes(job, one).to_pylist()
    assert [row["key"] for row in outcomes] == one.table["_key"].to_pylist()
    return outcomes


def fetched(target: SalesforceTarget, query: Query) -> list[dict[str, Any]]:
    return [row for batch in target.fetch(query) for row in batch.to_pylist()]
