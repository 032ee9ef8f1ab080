"""Whether a rollback gave the org back: two dumps of everything it holds, less the declared exclusions.

Declared, and nothing else:

- schema that the plan created stays (fields, record types with their processes and stages, the permission set
  and its grants): rows of `SCHEMA` may be new, none may be gone or changed; a created field is empty again on
  every record that is left;
- records that were restored carry new stamps of `STAMPS`, and so do schema and automations that were switched
  off and on again: the platform sets them and lets nobody set them back;
- the recycle bin: deleted records are no live records (a dump holds live ones only).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

SCHEMA = (
    "BusinessProcess",
    "FieldPermissions",
    "OpportunityStage",
    "PermissionSet",
    "PermissionSetAssignment",
    "RecordType",
)
STAMPS = ("LastModifiedById", "LastModifiedDate", "SystemModstamp")
AUTOMATIONS = ("DuplicateRule",)
VOLATILE = ("CustomField", "EntityDefinition", "FieldDefinition")
"""Rows that the sandbox derives from its schema, some of them only when they are asked for."""

DERIVED_AT = "of schema"
"""So end the keys under which the sandbox notes for which schema it has derived them."""

Dump = Mapping[str, Mapping[str, Mapping[str, Any]]]


def dump_of(store: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Every live record of the org whose store is the folder `store`: object → id → column → value."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    with closing(sqlite3.connect(f"file:{store / 'org.sqlite'}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        for table in tables:
            if table.startswith("_") or table in VOLATILE:
                continue
            rows = db.execute(f'SELECT * FROM "{table}" WHERE _del IS NULL').fetchall()
            if rows:
                out[table] = {row["Id"]: dict(row) for row in rows}
    return out


def whole(store: Path) -> list[str]:
    """Every row of the store as text, customisation and deleted records included: equal means nothing changed.

    Left out are only rows of `VOLATILE` and when they were derived: the schema they come from is in it.
    """
    lines: list[str] = []
    with closing(sqlite3.connect(f"file:{store / 'org.sqlite'}?mode=ro", uri=True)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
            if table in VOLATILE:
                continue
            cursor = db.execute(f'SELECT * FROM "{table}"')
            names = [d[0] for d in cursor.description]
            rows = (dict(zip(names, row, strict=True)) for row in cursor)
            lines += sorted(f"{table} {row}" for row in rows if not (table == "_meta" and _derived(row["key"])))
    return lines


def _derived(key: str) -> bool:
    return key.endswith(DERIVED_AT)


def leftovers(before: Dump, after: Dump, restored: Collection[str] = ()) -> list[str]:
    """What is not as it was, one line each: `Object id: what`. `restored` are ids whose stamps may have moved."""
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, {}), after.get(name, {})
        lines += [f"{name} {i}: gone" for i in sorted(set(old) - set(new))]
        if name not in SCHEMA:
            lines += [f"{name} {i}: new" for i in sorted(set(new) - set(old))]
        for record_id in sorted(set(old) & set(new)):
            stamped = record_id in restored or name in (*SCHEMA, *AUTOMATIONS)
            lines += [
                f"{name} {record_id}: {line}"
                for line in _changes(old[record_id], new[record_id])
                if not (stamped and line.partition(":")[0] in STAMPS)
            ]
    return lines


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    known = [f"{f}: was {old[f]!r}, is {new.get(f)!r}" for f in old if old[f] != new.get(f)]
    return known + [f"{f}: created field holds {v!r}" for f, v in new.items() if f not in old and v not in (None, 0)]
