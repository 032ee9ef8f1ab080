"""The state of one org: its store, schema, clock, ids and switches, and the rows the platform writes itself.

Everything that reads or writes records depends on this; `org.Org` puts the calls of an API user on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehouse.clock import Clock
from rehouse.sandbox.salesforce.ids import instance_of, make_id, make_ids
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema import OrgSchema
from rehouse.sandbox.salesforce.schema_load import key_prefixes
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.store import Store, Transaction
from rehouse.sandbox.salesforce.tables import create_table, quoted

SWITCHES = ("CreateAuditFields", "UpdateWithInactiveOwner", "RestrictedStageName", "BulkApiHardDelete")
"""Org switches, all off at first: the audit fields may be given on insert; inactive owners are accepted;
Opportunity.StageName refuses unknown stages (describes disagree on that one); Bulk hardDelete is allowed."""


class OrgState:
    """What an org is, without the calls of its users. `clock` rules every stamp; `instance` is part of every id."""

    def __init__(self, store: Store, directory: Path, clock: Clock, edition: str, name: str) -> None:
        self.store, self.directory, self.clock = store, directory, clock
        self.edition, self.name = edition, name
        self.database = store.path
        self.blobs = directory / "blobs"
        self.blobs.mkdir(exist_ok=True)
        self.instance = str(store.meta("instance") or instance_of(name))
        self._prefixes = key_prefixes()
        self.org_id = make_id("00D", self.instance, 1)
        self.schema = OrgSchema(store, self, clock.now, edition)
        self.admin_id = make_id("005", self.instance, 1)
        self.switches: dict[str, bool] = dict.fromkeys(SWITCHES, False) | store.meta("switches", {})

    # time, ids, switches -------------------------------------------------------------------------------

    def stamp(self) -> str:
        """Now, as records store a moment: UTC, whole seconds."""
        return stored_time(self.clock.now())

    def next_ids(self, obj: str, count: int) -> Iterator[str]:
        """Fresh ids of an object, or of a platform thing named in `key_prefixes` (`750` for bulk jobs)."""
        known = self.schema.objects.get(obj)
        prefix = (known.key_prefix if known else None) or self._prefixes.get(obj) or "0ZZ"
        first = self.store.take(f"id:{prefix}", count)
        return make_ids(prefix, self.instance, first, count)

    def platform_id(self, prefix: str) -> str:
        """One fresh id with an explicit key prefix, for things that are no records (`750`, `0Af`, `01g`)."""
        return make_id(prefix, self.instance, self.store.take(f"id:{prefix}", 1))

    def set_switch(self, name: str, on: bool) -> None:
        """Set one of `SWITCHES`; kept."""
        if name not in SWITCHES:
            raise KeyError(name)
        self.switches[name] = on
        self.store.set_meta("switches", self.switches)
        self.schema.version += 1

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Several calls as one transaction; `rollback()` on what it yields undoes them. Nests."""
        with self.store.transaction() as inner:
            yield inner
        if inner.rolled_back:
            self.schema.permissions_changed()

    # schema helpers ----------------------------------------------------------------------------------------

    def object(self, name: str) -> SObject:
        """The object of that name. Raises ApiError 404 NOT_FOUND."""
        found = self.schema.get(name)
        if found is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return found

    def visible(self, obj: SObject, item: SField, user_id: str = "") -> bool:
        """Whether a user sees a field (field-level security)."""
        return self.schema.visible(obj, item, user_id or self.admin_id)

    # rows of system objects, without the rules that bind API users -------------------------------------------

    def system_insert(self, obj: str, row: Mapping[str, Any]) -> str:
        """Write a row as the platform itself would: stamps are filled in, no rule is applied. Its id."""
        known = self.schema.objects[obj]
        with self.store.transaction():
            record_id = str(row.get("Id") or next(self.next_ids(obj, 1)))
            now, by = self.stamp(), self.admin_id
            defaults: dict[str, Any] = {
                "CreatedDate": now,
                "LastModifiedDate": now,
                "SystemModstamp": now,
                "CreatedById": by,
                "LastModifiedById": by,
                "OwnerId": by,
            }
            values: dict[str, Any] = {"Id": record_id}
            for item in known.fields.values():
                if item.storage is None or item.name == "Id":
                    continue
                fallback = defaults.get(item.name, int(bool(item.default_value)) if item.type == "boolean" else None)
                values[item.name] = row.get(item.name, fallback)
            names = ", ".join(quoted(n) for n in values)
            marks = ", ".join("?" * len(values))
            self.store.db.execute(f"INSERT INTO {quoted(obj)} ({names}) VALUES ({marks})", tuple(values.values()))
        return record_id

    def system_update(self, obj: str, record_id: str, row: Mapping[str, Any]) -> None:
        """Change a row as the platform itself would; SystemModstamp moves."""
        known = self.schema.objects[obj]
        values = {k: v for k, v in row.items() if k in known.fields}
        if "SystemModstamp" in known.fields:
            values.setdefault("SystemModstamp", self.stamp())
        with self.store.transaction():
            sets = ", ".join(f"{quoted(n)}=?" for n in values)
            self.store.db.execute(f"UPDATE {quoted(obj)} SET {sets} WHERE Id=?", (*values.values(), record_id))

    def system_find(self, obj: str, **match: Any) -> str | None:
        """The id of the first live row with these values."""
        where = " AND ".join(f"{quoted(n)} = ?" for n in match)
        with self.store.reader() as db:
            row = db.execute(
                f"SELECT Id FROM {quoted(obj)} WHERE {where} AND _del IS NULL ORDER BY Id LIMIT 1",
                tuple(match.values()),
            ).fetchone()
        return row[0] if row else None

    def system_ids(self, obj: str) -> dict[str, str]:
        """MasterLabel → id of a small system object."""
        with self.store.reader() as db:
            return dict(db.execute(f"SELECT MasterLabel, Id FROM {quoted(obj)} WHERE _del IS NULL").fetchall())

    def make_tables(self) -> None:
        """The tables of every object that has none yet."""
        with self.store.transaction():
            for obj in self.schema.objects.values():
                create_table(self.store.db, obj)


def stored_time(moment: datetime) -> str:
    """A moment as records store it: `YYYY-MM-DDTHH:MM:SS.000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
