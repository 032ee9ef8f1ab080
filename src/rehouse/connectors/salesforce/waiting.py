"""Waiting for the platform's own asynchronous work: polls that grow apart, with a word now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rehouse.clock import Clock
from rehouse.errors import OutcomeUnknownError
from rehouse.events import Note, Sink

T = TypeVar("T")
FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
GROWTH = 1.5
SPEAK_SECONDS = 60.0
PATIENCE_SECONDS = 24 * 3600.0
"""A batch may be queued again for hours (Bulk guide: up to 20 tries of 5 minutes); a day is beyond any of it."""


def poll(look: Callable[[], T | None], what: str, clock: Clock, sink: Sink) -> T:
    """Call `look` until it returns something. Errors: `OutcomeUnknownError` after a day."""
    wait, waited, spoken = FIRST_SECONDS, 0.0, 0.0
    while True:
        found = look()
        if found is not None:
            return found
        if waited >= PATIENCE_SECONDS:
            raise OutcomeUnknownError(f"{what} did not end within a day", hint="look at it in the target's setup")
        if waited - spoken >= SPEAK_SECONDS:
            sink(Note(f"waiting for {what} for {waited / 60:.0f} min", step="wire"))
            spoken = waited
        clock.sleep(wait)
        waited += wait
        wait = min(LONGEST_SECONDS, wait * GROWTH)
