"""The schema part of a plan on disk: everything that must exist in the target, written beside the consignments."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rehouse.connectors.base import NewRecordType, SchemaChange, Stage
from rehouse.model import field_from_dict
from rehouse.model.durable import write_text

SCHEMA = "schema.json"


def save_change(folder: Path, change: SchemaChange) -> None:
    """Write the change as JSON."""
    data = {
        "fields": {o: [asdict(f) for f in fields] for o, fields in change.fields.items()},
        "record_types": [asdict(t) for t in change.record_types],
    }
    write_text(folder / SCHEMA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def change_of(folder: Path) -> SchemaChange:
    """Read it back."""
    data = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
    return SchemaChange(
        fields={o: tuple(field_from_dict(f) for f in fields) for o, fields in data["fields"].items()},
        record_types=tuple(
            NewRecordType(t["object"], t["name"], t["label"], tuple(Stage(**s) for s in t["stages"]))
            for t in data["record_types"]
        ),
    )
