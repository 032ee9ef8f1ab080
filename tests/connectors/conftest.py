"""A sandbox org per module, and a connection per test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from salesforce_tools import CHANGE, World

from rehouse.connectors.salesforce.target import SalesforceTarget
from rehouse.sandbox.salesforce.launch import Settings, background


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("org")
    rules = [{"object": "Contact", "name": "Same_Phone", "fields": ["Phone"], "action": "block", "active": False}]
    seed = folder / "seed.json"
    seed.write_text(json.dumps({"duplicate_rules": rules}))
    with background(Settings(store=folder / "org", seed=str(seed))) as running:
        yield World(running.info)


@pytest.fixture
def world(org: World) -> Iterator[World]:
    org.events.clear()
    yield org
    org.admin("DELETE", "/faults")


@pytest.fixture(scope="module")
def prepared(org: World) -> World:
    """The org with the fields that the tests write to."""
    target = org.connect()
    try:
        assert all(one.outcome != "refused" for one in target.create_schema(CHANGE))
    finally:
        target.close()
    return org


@pytest.fixture
def target(prepared: World, world: World) -> Iterator[SalesforceTarget]:
    connected = world.connect()
    yield connected
    connected.close()
