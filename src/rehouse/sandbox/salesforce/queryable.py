"""What a query needs of an org, and no more: names, rows, the time.

The data API asks the org itself; the Tooling API asks a view of it that knows a few objects more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rehouse.clock import Clock
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.store import Store


class Names(Protocol):
    """The objects that statements may name, and which of their fields a user sees."""

    @property
    def objects(self) -> Mapping[str, SObject]: ...

    def get(self, name: str) -> SObject | None:
        """The object of that name, compared without case."""

    def prefix_of(self, record_id: str) -> SObject | None:
        """The object that an id belongs to, by its key prefix."""

    def visible(self, obj: SObject, item: SField, user_id: str) -> bool:
        """Whether the user sees the field."""

    def visible_fields(self, obj: SObject, user_id: str) -> list[SField]:
        """The fields that the user sees, in order."""


class Queryable(Protocol):
    """Something that statements run against."""

    @property
    def schema(self) -> Names: ...

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> Clock: ...
