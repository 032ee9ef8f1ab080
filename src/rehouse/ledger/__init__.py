"""The ledger: what was intended, what came of it, and the proof that nobody has changed the story since.

Append-only *events* (small, one per remote commit, hash-chained, in SQLite or PostgreSQL) name *segments*
(bulky, content-addressed Parquet files beside them). Everything else is a view: the id map, the outcomes,
the pre-images, what is switched off, what is unsettled.

Not for progress on the screen (`rehouse.events`) and not for reports: nothing here is formatted for people.
"""

from __future__ import annotations

from rehouse.ledger.events import (
    Anchored,
    AutomationOff,
    AutomationOn,
    Decision,
    Intent,
    JobOpened,
    LedgerEvent,
    Outcome,
    Paused,
    Resumed,
    RunClosed,
    RunOpened,
    SchemaCreated,
    StageClosed,
    StageOpened,
    Verb,
)
from rehouse.ledger.ledger import Ledger, OpenIntent, Recorded
from rehouse.ledger.segments import LANDED, OUTCOMES, PREIMAGES, ROWS, Segment, SegmentStore

__all__ = [
    "LANDED",
    "OUTCOMES",
    "PREIMAGES",
    "ROWS",
    "Anchored",
    "AutomationOff",
    "AutomationOn",
    "Decision",
    "Intent",
    "JobOpened",
    "Ledger",
    "LedgerEvent",
    "OpenIntent",
    "Outcome",
    "Paused",
    "Recorded",
    "Resumed",
    "RunClosed",
    "RunOpened",
    "SchemaCreated",
    "Segment",
    "SegmentStore",
    "StageClosed",
    "StageOpened",
    "Verb",
]
