"""One prepared migration and what uninterrupted runs of it leave, shared by all test processes of a session."""

from __future__ import annotations

import fcntl
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from fault_tools import Campaign, Fresh

from rehouse.ledger.events import Verb
from rehouse.testing.campaign import Prepared, prepare, reference

T = TypeVar("T")


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """Made by the first test process that wants it; the others wait and read what it made."""
    base = factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    done = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder = shared / name
            shutil.rmtree(folder, ignore_errors=True)  # what a failed attempt left
            done.write_bytes(pickle.dumps(make(folder)))
        found: T = pickle.loads(done.read_bytes())
    return found


def _campaign(prepared: Prepared, folder: Path) -> Campaign:
    applied = reference(prepared, Verb.APPLY, folder / "applied")
    rolled_back = reference(prepared, Verb.ROLLBACK, folder / "rolled-back", applied.folder)
    return Campaign(prepared, applied, rolled_back)


def _fresh(folder: Path) -> Fresh:
    prepared = prepare(folder / "prepared", sampled=False)
    return Fresh(prepared, reference(prepared, Verb.SAMPLE, folder / "sampled"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A migration with an approved sample, nothing running."""
    return _once(tmp_path_factory, "prepared", prepare)


@pytest.fixture(scope="session")
def campaign(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Apply and rollback run once each without any disturbance."""
    return _once(tmp_path_factory, "campaign", lambda folder: _campaign(prepared, folder))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """A planned migration of which nothing was loaded yet."""
    return _once(tmp_path_factory, "fresh", _fresh)
