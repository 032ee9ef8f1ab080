"""A server and a client for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wire_tools import QUICK, Server

from rehouse.events import Event, Note
from rehouse.wire import Http


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def notes() -> list[Note]:
    return []


@pytest.fixture
def http(notes: list[Note]) -> Iterator[Http]:
    def sink(event: Event) -> None:
        assert isinstance(event, Note)
        notes.append(event)

    with Http(patience=QUICK, sink=sink) as client:
        yield client
