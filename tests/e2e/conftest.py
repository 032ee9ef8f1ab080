"""Prepared migrations: one that is settled, one that is applied. Every test works on its own copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_tools import Site, copied, made_once, prepare_applied, prepare_approved, prepare_sampled, prepare_settled


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all parallel workers of a test session."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"


@pytest.fixture(scope="session")
def settled_folder(shared_root: Path) -> Path:
    return made_once(shared_root, "settled", prepare_settled)


@pytest.fixture(scope="session")
def sampled_folder(shared_root: Path, settled_folder: Path) -> Path:
    return made_once(shared_root, "sampled", prepare_sampled(settled_folder))


@pytest.fixture(scope="session")
def approved_folder(shared_root: Path, sampled_folder: Path) -> Path:
    return made_once(shared_root, "approved", prepare_approved(sampled_folder))


@pytest.fixture(scope="session")
def applied_folder(shared_root: Path, sampled_folder: Path) -> Path:
    return made_once(shared_root, "applied", prepare_applied(sampled_folder))


@pytest.fixture
def settled(settled_folder: Path, tmp_path: Path) -> Iterator[Site]:
    with copied(settled_folder, tmp_path) as site:
        yield site


@pytest.fixture
def sampled(sampled_folder: Path, tmp_path: Path) -> Iterator[Site]:
    with copied(sampled_folder, tmp_path) as site:
        yield site


@pytest.fixture
def applied(applied_folder: Path, tmp_path: Path) -> Iterator[Site]:
    with copied(applied_folder, tmp_path) as site:
        yield site
