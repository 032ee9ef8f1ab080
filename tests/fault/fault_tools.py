"""What the tests of this folder share."""

from __future__ import annotations

from dataclasses import dataclass

from rehouse.ledger.events import Verb
from rehouse.testing.campaign import Prepared, Reference


@dataclass(frozen=True, slots=True)
class Campaign:
    prepared: Prepared
    apply: Reference
    rollback: Reference

    def of(self, verb: Verb) -> Reference:
        return self.apply if verb is Verb.APPLY else self.rollback


@dataclass(frozen=True, slots=True)
class Fresh:
    """A plan of which nothing has been loaded, and what an uninterrupted sample leaves."""

    prepared: Prepared
    sample: Reference
