"""Running queries: rows to records, pages, single records. Large results go to a spool file, not to memory."""

from __future__ import annotations

import marshal
import sqlite3
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

from rehouse.sandbox.salesforce import soql
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.queryable import Queryable
from rehouse.sandbox.salesforce.schema_model import NUMBER_TYPES, SField, SObject
from rehouse.sandbox.salesforce.soqlplan import ChildPlan, Compiler, Leaf, Node, Plan, TypeOfPlan
from rehouse.sandbox.salesforce.tables import quoted

DATA_PATH = "/services/data/v66.0"
"""Addresses in records carry this version; the server puts the caller's in its place."""
MEMORY_ROWS = 4000
_FRAME = 200
_IDS_AT_ONCE = 500
Row = tuple[Any, ...]


class _Spool:
    """Rows on disk in frames of a fixed number, readable from any place. The file has no name and dies with us."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._frames = array("Q")
        self.rows = 0

    def add(self, rows: list[Row]) -> None:
        self._frames.append(self._file.tell())
        marshal.dump(rows, self._file)
        self.rows += len(rows)

    def read(self, offset: int, limit: int) -> list[Row]:
        out: list[Row] = []
        frame = offset // _FRAME
        skip = offset - frame * _FRAME
        while len(out) < limit + skip and frame < len(self._frames):
            self._file.seek(self._frames[frame])
            out += marshal.load(self._file)
            frame += 1
        return out[skip : skip + limit]

    def close(self) -> None:
        self._file.close()


class QueryRun:
    """The result of a query. `total_size` is what the answer says, `row_count` how many records follow."""

    def __init__(self, org: Queryable, plan: Plan, user_id: str, *, include_deleted: bool) -> None:
        self._org, self._plan, self._user, self._include_deleted = org, plan, user_id, include_deleted
        self._rows: list[Row] = []
        self._spool: _Spool | None = None
        self.total_size = 0
        self.row_count = 0
        with org.store.reader() as db:
            self._run(db.execute(plan.sql))

    def _run(self, cursor: sqlite3.Cursor) -> None:
        if self._plan.count_only:
            self.total_size = int(cursor.fetchone()[0])
            return
        self._rows = list(islice(cursor, MEMORY_ROWS))
        self.row_count = len(self._rows)
        if self.row_count == MEMORY_ROWS:
            self._spool = _Spool()
            for start in range(0, MEMORY_ROWS, _FRAME):
                self._spool.add(self._rows[start : start + _FRAME])
            while rows := list(islice(cursor, _FRAME)):
                self._spool.add(rows)
            self.row_count = self._spool.rows
            self._rows = []
        self.total_size = self.row_count

    def rows(self, offset: int, limit: int) -> list[Row]:
        """Raw rows of the SQL."""
        if self._spool is not None:
            return self._spool.read(offset, limit)
        return self._rows[offset : offset + limit]

    def records(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Records as JSON, in order, with `attributes`."""
        return _Render(self._org, self._user, include_deleted=self._include_deleted).records(
            self._plan, self.rows(offset, limit)
        )

    def pages(self, batch: int) -> Iterator[list[dict[str, Any]]]:
        """All records, `batch` at a time."""
        for offset in range(0, self.row_count, batch):
            yield self.records(offset, batch)

    def close(self) -> None:
        """Drop the spool file."""
        if self._spool is not None:
            self._spool.close()

    def __del__(self) -> None:
        spool = getattr(self, "_spool", None)
        if spool is not None:
            spool.close()


def run(org: Queryable, text: str, *, include_deleted: bool, user_id: str) -> QueryRun:
    """Parse, compile and run a statement."""
    query = soql.parse(text)
    plan = Compiler(org.schema, org.clock.now().date(), user_id, include_deleted=include_deleted).compile(query)
    return QueryRun(org, plan, user_id, include_deleted=include_deleted or query.all_rows)


def json_value(value: Any, item: SField) -> Any:
    """A stored value as the REST API writes it."""
    if value is None:
        return None
    if item.type == "boolean":
        return bool(value)
    if item.type == "datetime":
        return value[:-1] + "+0000" if isinstance(value, str) and value.endswith("Z") else value
    if item.type in NUMBER_TYPES and item.type not in ("int", "long"):
        return float(value)
    return value


def csv_value(value: Any, item: SField) -> str:
    """A stored value as Bulk query results write it."""
    if value is None:
        return ""
    if item.type == "boolean":
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


class _Render:
    def __init__(self, org: Queryable, user_id: str, *, include_deleted: bool) -> None:
        self.org, self.user_id, self.include_deleted = org, user_id, include_deleted

    def records(self, plan: Plan, rows: Sequence[Row]) -> list[dict[str, Any]]:
        if plan.aggregate is not None:
            return [
                {
                    "attributes": {"type": "AggregateResult"},
                    **{name: json_value(v, item) for (name, item), v in zip(plan.aggregate, row, strict=True)},
                }
                for row in rows
            ]
        return self._nodes(plan.shape, rows)

    def _nodes(self, node: Node, rows: Sequence[Row]) -> list[dict[str, Any]]:
        ids = [row[node.id_place] for row in rows]
        children = {
            name: self._children(entry, ids) for name, entry in node.entries.items() if isinstance(entry, ChildPlan)
        }
        typed = {
            name: self._typed(entry, rows) for name, entry in node.entries.items() if isinstance(entry, TypeOfPlan)
        }
        out = []
        for row in rows:
            record = self._record(node, row)
            for name, found in children.items():
                record[name] = found.get(row[node.id_place])
            for name, entry in node.entries.items():
                if isinstance(entry, TypeOfPlan):
                    record[name] = typed[name].get(row[entry.place])
            out.append(record)
        return out

    def _record(self, node: Node, row: Row) -> dict[str, Any]:
        record_id = row[node.id_place]
        obj = node.obj or self.org.schema.prefix_of(record_id)
        name = obj.name if obj else "Name"
        record: dict[str, Any] = {"attributes": {"type": name, "url": f"{DATA_PATH}/sobjects/{name}/{record_id}"}}
        for key, entry in node.entries.items():
            if isinstance(entry, Leaf):
                record[key] = self._leaf(entry, row, name, record_id)
            elif isinstance(entry, Node):
                record[key] = self._record(entry, row) if row[entry.id_place] is not None else None
            else:
                record[key] = None
        return record

    def _leaf(self, leaf: Leaf, row: Row, obj: str, record_id: str) -> Any:
        if leaf.item.type == "base64":
            return f"{DATA_PATH}/sobjects/{obj}/{record_id}/{leaf.item.name}"
        if leaf.item.storage is None:
            parts = {name: json_value(row[place], item) for name, place, item in leaf.parts}
            return parts if any(v is not None for v in parts.values()) else None
        return json_value(row[leaf.place], leaf.item)

    def _children(self, plan: ChildPlan, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        grouped: dict[str, list[Row]] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            listed = ", ".join(f"'{i}'" for i in ids[start : start + _IDS_AT_ONCE])
            with self.org.store.reader() as db:
                for parent, *row in db.execute(plan.sql.replace("{ids}", listed)):
                    grouped.setdefault(parent, []).append(tuple(row))
        return {
            parent: {"totalSize": len(rows), "done": True, "records": self._nodes(plan.shape, rows)}
            for parent, rows in grouped.items()
        }

    def _typed(self, plan: TypeOfPlan, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
        out: dict[str, dict[str, Any]] = {}
        wanted: dict[str, list[str]] = {}
        for row in rows:
            target = self.org.schema.prefix_of(row[plan.place]) if row[plan.place] else None
            if target is not None:
                wanted.setdefault(target.name, []).append(row[plan.place])
        for name, ids in wanted.items():
            fields = plan.branches.get(name, plan.otherwise)
            for start in range(0, len(ids), _IDS_AT_ONCE):
                listed = ", ".join(f"'{i}'" for i in dict.fromkeys(ids[start : start + _IDS_AT_ONCE]))
                columns = ", ".join(dict.fromkeys(["Id", *fields]))
                found = run(
                    self.org, f"SELECT {columns} FROM {name} WHERE Id IN ({listed})",
                    include_deleted=self.include_deleted, user_id=self.user_id,
                )  # fmt: skip
                for record in found.records(0, _IDS_AT_ONCE):
                    key = record["Id"] if "Id" in fields else record.pop("Id")
                    out[key] = record
        return out


def retrieve(
    org: Queryable, obj: SObject, record_id: str, fields: Sequence[str] | None, user_id: str
) -> dict[str, Any] | None:
    """One record by id (see `Org.retrieve`)."""
    wanted = id18(record_id)
    if not is_id(wanted):
        raise ApiError(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + record_id)
    with org.store.reader() as db:
        row = db.execute(f"SELECT _del IS NOT NULL FROM {quoted(obj.name)} WHERE Id=?", (wanted,)).fetchone()
    if row is None:
        return None
    if row[0]:
        raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted")
    names = [f.name for f in org.schema.visible_fields(obj, user_id)] if fields is None else list(fields)
    for name in names:
        item = obj.field(name.split(".")[0])
        if "." not in name and (item is None or not org.schema.visible(obj, item, user_id)):
            raise ApiError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {obj.name}")
    scope_fields = ", ".join(dict.fromkeys(n for n in names if (i := obj.field(n)) is None or _selectable(i)))
    # The object's own filter rules (ContentDocumentLink) are met: the id is given.
    found = run(
        org,
        f"SELECT {scope_fields or 'Id'} FROM {obj.name} WHERE Id = '{wanted}'",
        include_deleted=False,
        user_id=user_id,
    )
    records = found.records(0, 1)
    return records[0] if records else None


def _selectable(item: SField) -> bool:
    return item.type not in ("junctionidlist", "complexvalue", "location")
