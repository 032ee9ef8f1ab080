"""A real sandbox server on a free loopback port, with a temporary store, in a thread of the test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from surface_client import Client

from rehouse.sandbox.salesforce.launch import Settings, background


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Client]:
    """A fresh org for one test."""
    with background(Settings(store=tmp_path / "org")) as running:
        yield Client(running.info)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One org for the read-only or independent tests of a module."""
    with background(Settings(store=tmp_path_factory.mktemp("org"))) as running:
        yield Client(running.info)
