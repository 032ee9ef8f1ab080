"""Scheduled faults that reach the rows of a Bulk job: locked rows, and a value that is not stored."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehouse.sandbox.salesforce import faults
from rehouse.sandbox.salesforce.dml import Engine, Outcome
from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.outcome import SaveOptions
from rehouse.sandbox.salesforce.rules import US
from rehouse.sandbox.salesforce.schema_model import SField, SObject

_LOCKED = Outcome(None, False, US.join((faults.LOCK_CODE, faults.LOCK_MESSAGE)))


@dataclass(slots=True)
class JobFault:
    """What is wrong with one job: rows held (0-based over the whole upload), a field dropped."""

    rows: frozenset[int] = frozenset()
    field: str = ""
    done: int = 0
    """Rows of the job seen so far: the place of the next batch."""


class FaultyEngine(Engine):
    """The engine of an org that has bad days. Without an armed fault it is the plain engine."""

    def __init__(self, org: OrgState) -> None:
        super().__init__(org)
        self._jobs: dict[str, JobFault] = {}
        self._current = threading.local()

    def arm(self, job_id: str, rows: frozenset[int], field: str) -> None:
        """Let a fault act on a job's rows. Faults end with the process."""
        if rows or field:
            self._jobs[job_id] = JobFault(rows, field)

    def enter(self, job_id: str) -> None:
        """The calling thread starts a batch of this job."""
        self._current.fault = self._jobs.get(job_id)

    def write(
        self,
        op: str,
        obj: SObject,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        options: SaveOptions,
        key: SField | None = None,
        blobs: Sequence[Mapping[str, Any]] = (),
    ) -> list[Outcome]:
        fault: JobFault | None = getattr(self._current, "fault", None) if options.bulk else None
        if fault is None:
            return super().write(op, obj, headers, rows, options, key, blobs)
        start, fault.done = fault.done, fault.done + len(rows)
        kept = [row for n, row in enumerate(rows, start) if n not in fault.rows]
        if fault.field:
            kept = _without(headers, kept, fault.field)
        written = iter(super().write(op, obj, headers, kept, options, key, blobs) if kept else ())
        return [_LOCKED if n in fault.rows else next(written) for n in range(start, start + len(rows))]


def _without(headers: Sequence[str], rows: list[Sequence[str]], field: str) -> list[Sequence[str]]:
    """The rows with an empty cell in one column: null on insert, untouched on update."""
    places = [n for n, header in enumerate(headers) if header.lower() == field.lower()]
    return [["" if n in places else cell for n, cell in enumerate(row)] for row in rows]
