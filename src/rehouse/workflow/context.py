"""What the parts of the workflow need to know of the migration they serve."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from rehouse.clock import Clock
from rehouse.connectors.base import Org
from rehouse.ledger.ledger import Ledger
from rehouse.mapping.rows import Row
from rehouse.mapping.schema import Recipe
from rehouse.plan.decisions import Decisions
from rehouse.staging.manifest import Snapshot
from rehouse.workflow.workspace import Workspace


class Context(Protocol):
    """One migration, as its gates, status and reports see it. `rehouse.migration.Migration` is one."""

    workspace: Workspace
    clock: Clock

    def decisions(self) -> Decisions: ...

    def recipe(self) -> Recipe: ...

    def rows(self) -> tuple[Row, ...]: ...

    def snapshot(self) -> Snapshot: ...

    def state(self) -> dict[str, Any]: ...

    def calls(self) -> dict[str, int]: ...

    def ledger(self, org: Org, *, write: bool = True) -> AbstractContextManager[Ledger]: ...
