"""Staging: immutable snapshots of a source. `stage` writes one, `Snapshot.load` finds it again."""

from rehouse.staging.manifest import (
    FILE_COLUMNS,
    SYSTEM_COLUMNS,
    Attachments,
    Control,
    Snapshot,
    StagedColumn,
    StagedObject,
    StagedPart,
)
from rehouse.staging.snapshot import connect, stage

__all__ = [
    "FILE_COLUMNS",
    "SYSTEM_COLUMNS",
    "Attachments",
    "Control",
    "Snapshot",
    "StagedColumn",
    "StagedObject",
    "StagedPart",
    "connect",
    "stage",
]
