"""One SQLite table per object, one column per field, and the indexes that references and keys need.

`_del` is NULL for a live record and the number of the delete that took it otherwise.
"""

from __future__ import annotations

import sqlite3

from rehouse.sandbox.salesforce.schema_model import SField, SObject

_UNINDEXED = frozenset(
    {"OwnerId", "CreatedById", "LastModifiedById", "RecordTypeId", "MasterRecordId", "ContentModifiedById"}
)


def quoted(name: str) -> str:
    """A table or column name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def column_definition(item: SField) -> str:
    """The column of a field. Text compares without (ASCII) case, as SOQL does; ids compare exactly."""
    if item.name == "Id":
        return '"Id" TEXT PRIMARY KEY'
    collate = " COLLATE NOCASE" if item.storage == "TEXT" and not item.binary_order else ""
    return f"{quoted(item.name)} {item.storage}{collate}"


def wants_index(item: SField) -> bool:
    """Whether the platform finds rows by this field: keys, external ids, references that people follow."""
    if item.name == "Id" or item.storage is None:
        return False
    if item.unique or item.external_id or item.id_lookup:
        return True
    return item.is_reference and item.name not in _UNINDEXED and (item.createable or item.updateable)


def create_table(db: sqlite3.Connection, obj: SObject) -> None:
    """Make the object's table and indexes if they are not there."""
    columns = [column_definition(f) for f in obj.fields.values() if f.storage]
    if "Id" not in obj.fields:
        columns.insert(0, '"Id" TEXT PRIMARY KEY')
    db.execute(f"CREATE TABLE IF NOT EXISTS {quoted(obj.name)} ({', '.join(columns)}, _del INTEGER)")
    for item in obj.fields.values():
        if wants_index(item):
            create_index(db, obj.name, item.name)


def create_index(db: sqlite3.Connection, table: str, column: str) -> None:
    """An index over the rows that have a value."""
    name = quoted(f"_ix_{table}_{column}")
    db.execute(
        f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(table)} ({quoted(column)}) WHERE {quoted(column)} IS NOT NULL"
    )


def add_column(db: sqlite3.Connection, table: str, item: SField) -> None:
    """The column of a new field; booleans start with their default."""
    if item.storage is None:
        return
    default = f" DEFAULT {int(bool(item.default_value))}" if item.type == "boolean" else ""
    db.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {column_definition(item)}{default}")
    if wants_index(item):
        create_index(db, table, item.name)


def drop_column(db: sqlite3.Connection, table: str, item: SField) -> None:
    """Remove a field's column, its index and its values."""
    if item.storage is None:
        return
    db.execute(f"DROP INDEX IF EXISTS {quoted(f'_ix_{table}_{item.name}')}")
    db.execute(f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(item.name)}")
