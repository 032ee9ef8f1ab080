"""Fixtures for the transform tests."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from transform_tools import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    connection = duckdb.connect()
    yield Engine(connection)
    connection.close()
