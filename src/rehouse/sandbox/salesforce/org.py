"""One org: its state and, on top, the calls that read and write records as an API user.

Everything here is synchronous and thread-safe: writes take the writer lock of the store, reads run beside it.
A test that wants to change a value behind the API's back, without any timestamp moving, opens the SQLite file
`Org.database` (with the org open or closed) and updates the table named after the object; see `dump`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rehouse.clock import Clock
from rehouse.sandbox.salesforce import bootstrap, deletion, dml, query
from rehouse.sandbox.salesforce.ids import id18
from rehouse.sandbox.salesforce.orgstate import SWITCHES, OrgState, stored_time
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.store import Store
from rehouse.sandbox.salesforce.tables import quoted

__all__ = ["SWITCHES", "Org", "stored_time"]

_DEFAULT = SaveOptions()


class Org(OrgState):
    """An open org. Use `Org.open`; close it when done."""

    def __init__(self, store: Store, directory: Path, clock: Clock, edition: str, name: str) -> None:
        super().__init__(store, directory, clock, edition, name)
        self.engine = dml.Engine(self)

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
