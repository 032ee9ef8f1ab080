"""What the steps of the demo share: where they are, whom they tell, what they have learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehouse.demo.folder import Folder
from rehouse.demo.server import Server
from rehouse.demo.tell import Teller
from rehouse.events import Sink
from rehouse.migration import Migration
from rehouse.plan.stages import Plan
from rehouse.samples.planports import Composed
from rehouse.workflow.gates import Gate

BY = "Demo Admin"
"""The name under which the demo confirms and decides."""


@dataclass(slots=True)
class Act:
    """`facts` collects what the document at the end says, by key."""

    tell: Teller
    place: Folder
    composed: Composed
    server: Server
    migration: Migration
    keep: bool
    facts: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    gates: list[Gate] = field(default_factory=list)

    @contextmanager
    def working(self, text: str) -> Iterator[Sink]:
        """Show on one line how far the migration is while the block works."""
        before = self.migration.sink
        with self.tell.working(text) as sink:
            self.migration.sink = sink
            try:
                yield sink
            finally:
                self.migration.sink = before

    def planned(self) -> Plan:
        """The plan in force."""
        if self.plan is None:
            raise LookupError("no plan has been made yet")
        return self.plan
