"""One org: its store, schema, users and the calls that read and write records.

Everything here is synchronous and thread-safe: writes take the writer lock of the store, reads run beside it.
A test that wants to change a value behind the API's back, without any timestamp moving, opens the SQLite file
`Org.database` (with the org open or closed) and updates the table named after the object; see `dump`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehouse.clock import Clock
from rehouse.sandbox.salesforce import bootstrap, deletion, dml, query
from rehouse.sandbox.salesforce.ids import id18, instance_of, make_id, make_ids
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.schema import OrgSchema
from rehouse.sandbox.salesforce.schema_load import key_prefixes
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.store import Store, Transaction
from rehouse.sandbox.salesforce.tables import create_table, quoted

_DEFAULT = SaveOptions()

SWITCHES = ("CreateAuditFields", "UpdateWithInactiveOwner", "RestrictedStageName", "BulkApiHardDelete")
"""Org switches, all off at first: the audit fields may be given on insert; inactive owners are accepted;
Opportunity.StageName refuses unknown stages (describes disagree on that one); Bulk hardDelete is allowed."""


class Org:
    """An open org. Use `Org.open`; close it when done."""

    def __init__(self, store: Store, directory: Path, clock: Clock, edition: str, name: str) -> None:
        self.store, self.directory, self.clock = store, directory, clock
        self.edition, self.name = edition, name
        self.database = store.path
        self.blobs = directory / "blobs"
        self.blobs.mkdir(exist_ok=True)
        self._instance = str(store.meta("instance") or instance_of(name))
        self._prefixes = key_prefixes()
        self.org_id = make_id("00D", self._instance, 1)
        self.schema = OrgSchema(store, self, clock.now, edition)
        self.admin_id = make_id("005", self._instance, 1)
        self.switches: dict[str, bool] = dict.fromkeys(SWITCHES, False) | store.meta("switches", {})
        self.engine = dml.Engine(self)
        self._system = threading.local()

    @classmethod
    def open(cls, store: Path, clock: Clock, *, edition: str = "Enterprise", name: str = "Rehouse Sandbox") -> Org:
        """Open the org kept in the directory `store`, or make a fresh one there.

        An org that exists keeps the edition and name it was made with.
        """
        store.mkdir(parents=True, exist_ok=True)
        opened = Store(store / "org.sqlite")
        try:
            known = opened.meta("org")
            org = cls(opened, store, clock, (known or {}).get("edition", edition), (known or {}).get("name", name))
            if known is None:
                bootstrap.create(org)
        except BaseException:
            opened.close()
            raise
        return org

    def close(self) -> None:
        """Close the store. Bulk jobs must be stopped first (`BulkJobs.stop`)."""
        self.store.close()

    # time, ids, switches -------------------------------------------------------------------------------

    def stamp(self) -> str:
        """Now, as records store a moment: UTC, whole seconds."""
        return stored_time(self.clock.now())

    def next_ids(self, obj: str, count: int) -> Iterator[str]:
        """Fresh ids of an object, or of a platform thing named in `key_prefixes` (`750` for bulk jobs)."""
        known = self.schema.objects.get(obj)
        prefix = (known.key_prefix if known else None) or self._prefixes.get(obj) or "0ZZ"
        first = self.store.take(f"id:{prefix}", count)
        return make_ids(prefix, self._instance, first, count)

    def platform_id(self, prefix: str) -> str:
        """One fresh id with an explicit key prefix, for things that are no records (`750`, `0Af`, `01g`)."""
        return make_id(prefix, self._instance, self.store.take(f"id:{prefix}", 1))

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

    # records ---------------------------------------------------------------------------------------------

    def insert(
        self,
        object: str,  # noqa: A002
        rows: Sequence[Mapping[str, Any]],
        options: SaveOptions = _DEFAULT,
    ) -> list[RowResult]:
        """Create records from JSON values; a result per row, in order.

        A parent may be named by external id: `{"Account": {"Legacy_Id__c": "A-17"}}`. Refusals that concern the
        request (unknown object or field, a JSON value of the wrong kind) raise ApiError.
        """
        return self.engine.save("insert", self.object(object), rows, options)

    def update(
        self,
        object: str,  # noqa: A002
        rows: Sequence[Mapping[str, Any]],
        options: SaveOptions = _DEFAULT,
    ) -> list[RowResult]:
        """Change records; each row holds `Id` (or `id`). A row that is gone is a row error, not an exception."""
        return self.engine.save("update", self.object(object), rows, options)

    def upsert(
        self,
        object: str,  # noqa: A002
        external_id_field: str,
        rows: Sequence[Mapping[str, Any]],
        options: SaveOptions = _DEFAULT,
    ) -> list[RowResult]:
        """Create or change by an idLookup field (or `Id`; null means create). `created` says which it was."""
        return self.engine.save("upsert", self.object(object), rows, options, external_id_field)

    def delete(self, object: str, ids: Sequence[str], options: SaveOptions = _DEFAULT) -> list[RowResult]:  # noqa: A002
        """Move records and what depends on them to the recycle bin. `object` may be empty: ids tell."""
        return deletion.delete(self, object, ids, options)

    def undelete(self, ids: Sequence[str], options: SaveOptions = _DEFAULT) -> list[RowResult]:
        """Bring records back from the recycle bin, with what was deleted along with them."""
        return deletion.undelete(self, ids, options)

    def query(self, soql: str, *, include_deleted: bool = False, user_id: str = "") -> query.QueryRun:
        """Run SOQL. Raises ApiError with the platform's code and caret layout."""
        return query.run(self, soql, include_deleted=include_deleted, user_id=user_id or self.admin_id)

    def retrieve(
        self,
        object: str,  # noqa: A002
        record_id: str,
        fields: Sequence[str] | None = None,
        *,
        user_id: str = "",
    ) -> dict[str, Any] | None:
        """One record as JSON, all visible fields when none are named; None when there is none.

        Raises ApiError 404 ENTITY_IS_DELETED for a row in the recycle bin, 400 INVALID_FIELD for a bad name.
        """
        return query.retrieve(self, self.object(object), record_id, fields, user_id or self.admin_id)

    def count(self, object: str) -> int:  # noqa: A002
        """Live records of an object."""
        with self.store.reader() as db:
            row = db.execute(f"SELECT count(*) FROM {quoted(self.object(object).name)} WHERE _del IS NULL").fetchone()
        return int(row[0])

    def changed_ids(self, object: str, start: datetime, end: datetime) -> list[str]:  # noqa: A002
        """Live records whose SystemModstamp lies in [start, end)."""
        with self.store.reader() as db:
            rows = db.execute(
                f"SELECT Id FROM {quoted(self.object(object).name)} WHERE _del IS NULL "
                "AND SystemModstamp >= ? AND SystemModstamp < ? ORDER BY Id",
                (stored_time(start), stored_time(end)),
            ).fetchall()
        return [row[0] for row in rows]

    def deleted_ids(self, object: str, start: datetime, end: datetime) -> list[tuple[str, str]]:  # noqa: A002
        """Ids in the recycle bin with the moment of their deletion (stored form) in [start, end)."""
        with self.store.reader() as db:
            return db.execute(
                "SELECT id, at FROM _deleted WHERE object=? AND at >= ? AND at < ? ORDER BY at, id",
                (self.object(object).name, stored_time(start), stored_time(end)),
            ).fetchall()

    def blob(self, record_id: str) -> Path:
        """The file that holds the bytes of a ContentVersion (VersionData) or Attachment (Body)."""
        path = self.blobs / id18(record_id)
        if not path.is_file():
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return path

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
