"""A whole migration set up for a test: composed export, seeded sandbox, confirmed mapping, decided owners."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehouse.clock import Clock, SystemClock
from rehouse.events import Sink, silent
from rehouse.migration import Migration
from rehouse.samples.planports import compose
from rehouse.sandbox.salesforce.launch import Settings, background

NAME = "Rehearsal"
RULE = "DuplicateRule:Contact.Strict_Contact_Email"


@dataclass(slots=True)
class Rehearsal:
    """`migration` is ready to plan; `info` is the sandbox's ready line; `export` what was composed."""

    migration: Migration
    info: dict[str, Any]
    folder: Path
    answer_key: Path

    def settle(self) -> None:
        """Confirm the mapping and settle every gate but plan and sample."""
        migration = self.migration
        migration.confirm([], NAME, everything=True)
        owners = migration.owners()
        heir = next(o["email"] for o in owners if o["status"] == "matched")
        migration.decide_owner_group(owners, heir, NAME, "rehearsal", departed=False, unknown=False, rest=True)
        migration.decide_risks(["all"], NAME, "rehearsal", accept=True)
        migration.decide_automation(RULE, NAME, "rehearsal", off=True)
        for threshold in ("quarantine_percent", "quarantined_open_deals", "quarantined_accounts"):
            migration.decide_threshold(threshold, 100, NAME, "planted flaws")

    def sampled(self, size: int = 40) -> None:
        """Plan, load a sample, approve it."""
        self.migration.plan()
        self.migration.sample(size, NAME)
        self.migration.approve_sample(NAME)


@contextmanager
def sandbox(folder: Path, seed: Path | None = None, clock: Clock | None = None) -> Iterator[dict[str, Any]]:
    """A sandbox server in this process, on a free port, with its store in `folder`."""
    settings = Settings(
        store=folder, token="rehearsal-token", seed=str(seed) if seed else None, clock=clock or SystemClock()
    )
    with background(settings) as server:
        os.environ["REHOUSE_TARGET_TOKEN"] = "rehearsal-token"
        try:
            yield server.info
        finally:
            os.environ.pop("REHOUSE_TARGET_TOKEN", None)


@contextmanager
def rehearse(
    folder: Path,
    *,
    contacts: int = 100,
    seed: int = 7,
    sink: Sink = silent,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Rehearsal]:
    """Compose, start a seeded sandbox, connect both, discover, map, settle. `settings`: more of the connection's."""
    composed = compose(folder / "sample", contacts=contacts, activities=contacts * 3, files=12, seed=seed)
    with sandbox(folder / "org", composed.target_seed) as info:
        migration = Migration.new(folder / "migration", "planports", "salesforce", sink=sink)
        migration.connect_source(composed.export)
        migration.connect_target({"url": info["url"], **(settings or {})})
        migration.discover()
        migration.map()
        rehearsal = Rehearsal(migration, info, folder, composed.answer_key)
        rehearsal.settle()
        yield rehearsal
