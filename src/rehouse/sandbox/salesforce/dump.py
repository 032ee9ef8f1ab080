"""Every live record of an org, read straight from the store: what a test compares before and after.

Where records live: the SQLite file `<store>/org.sqlite` (`Org.database`). One table per object, named after it
(`Account`, `"Order"`, `Legacy__c`), one column per field, named after it. Text, ids, dates (`2026-01-31`) and
datetimes (`2026-01-31T12:00:00.000Z`) are text; int is an integer, other numbers are reals, booleans 0 or 1.
`_del` is NULL for a live record. Tables whose names start with `_` are the sandbox's own.

To change a value behind the API's back, without SystemModstamp or LastModifiedDate moving:

    with sqlite3.connect(org.database) as db:
        db.execute("UPDATE Account SET Phone = '1' WHERE Id = ?", (record_id,))
    db.close()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.tables import quoted

VOLATILE = ("EntityDefinition", "FieldDefinition")
"""Rows that the sandbox regenerates from the schema; left out of a dump."""


def records(org: Org) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Object, id, values of every live record, ordered by object and id. Fields without a value are None."""
    with org.store.reader() as db:
        for name in sorted(org.schema.objects):
            if name in VOLATILE:
                continue
            fields = [f.name for f in org.schema.objects[name].fields.values() if f.storage]
            names = ", ".join(quoted(f) for f in fields)
            for row in db.execute(f"SELECT {names} FROM {quoted(name)} WHERE _del IS NULL ORDER BY Id"):
                values = dict(zip(fields, row, strict=True))
                yield name, values["Id"], values


def dump(org: Org) -> dict[str, dict[str, dict[str, Any]]]:
    """The same as one mapping: object → id → field → value. Objects without records are left out."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for name, record_id, values in records(org):
        out.setdefault(name, {})[record_id] = values
    return out
