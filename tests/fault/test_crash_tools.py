"""The tools of the campaign themselves: a campaign that cannot fail proves nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rehouse.apply.points import AFTER, Point
from rehouse.clock import SystemClock
from rehouse.events import Reached
from rehouse.sandbox.salesforce.org import Org
from rehouse.testing.crash import CrashAt, Place, SimulatedCrash, Trace, not_in_table, spread
from rehouse.testing.state import ids_of, org_state
from rehouse.testing.weather import drawn


def test_a_place_is_spelled_and_read_the_same_way() -> None:
    place = Place(Point.COMMITTED, 3)
    assert Place.parse(str(place)) == place
    assert Place.parse("run.opened") == Place(Point.RUN_OPENED, 1)
    with pytest.raises(ValueError, match="start at 1"):
        Place.parse("run.opened:0")


def test_the_crash_comes_at_the_nth_pass_and_stays() -> None:
    sink = CrashAt(Place(Point.JOB_MADE, 2))
    sink(Reached(Point.JOB_MADE.value))
    with pytest.raises(SimulatedCrash):
        sink(Reached(Point.JOB_MADE.value))
    with pytest.raises(SimulatedCrash):
        sink(Reached(Point.RUN_CLOSED.value))
    assert sink.crashed


def test_places_are_counted_and_spread() -> None:
    trace = Trace()
    for _ in range(5):
        trace(Reached(Point.KEYS_WRITTEN.value))
    trace(Reached(Point.RUN_CLOSED.value))
    assert [p.nth for p in spread(trace.places())[Point.KEYS_WRITTEN]] == [1, 3, 5]
    assert spread(trace.places())[Point.RUN_CLOSED] == [Place(Point.RUN_CLOSED, 1)]


def test_a_step_outside_the_table_is_named() -> None:
    assert not_in_table([Point.KEYS_WRITTEN, Point.COMMITTED]) == ["part.keys_written → part.committed"]
    assert not_in_table([Point.KEYS_WRITTEN, Point.INTENT_DURABLE]) == []


def test_every_point_but_the_last_leads_on_and_can_be_reached() -> None:
    assert set(AFTER) == set(Point)
    assert [p for p in Point if not AFTER[p]] == [Point.RUN_CLOSED]
    assert {p for after in AFTER.values() for p in after} == set(Point)


def test_a_seed_draws_the_same_weather_twice() -> None:
    assert drawn(11) == drawn(11)
    assert drawn(11) != drawn(12)


def _org(folder: Path, city: str, links: int = 1) -> Path:
    org = Org.open(folder, SystemClock())
    try:
        (account,) = org.insert("Account", [{"Name": "Akça", "BillingCity": city}])
        (note,) = org.insert("ContentVersion", [{"Title": "t", "PathOnClient": "t.txt", "VersionData": "eA=="}])
        assert account.success
        assert note.success
        assert links == 1
    finally:
        org.close()
    return folder


def test_a_changed_value_shows_and_ids_and_moments_do_not(tmp_path: Path) -> None:
    known: frozenset[str] = frozenset()
    one = org_state(_org(tmp_path / "a", "İzmir"), known, "2000-01-01T00:00:00Z")
    same = org_state(_org(tmp_path / "b", "İzmir"), known, "2000-01-01T00:00:00Z")
    other = org_state(_org(tmp_path / "c", "Urla"), known, "2000-01-01T00:00:00Z")
    assert one.differences(same) == []
    assert any("Urla" in line for line in other.differences(one))


def test_a_second_link_and_a_second_record_of_a_key_are_duplicates(tmp_path: Path) -> None:
    store = _org(tmp_path, "İzmir")
    assert len(ids_of(store)) > 2
    with closing(sqlite3.connect(store / "org.sqlite")) as db, db:
        columns = [c[1] for c in db.execute("PRAGMA table_info(ContentDocumentLink)") if c[1] != "Id"]
        names = ", ".join(f'"{c}"' for c in columns)
        db.execute(
            f"INSERT INTO ContentDocumentLink (Id, {names}) SELECT '06AXH0000000999YAA', {names} "
            "FROM ContentDocumentLink LIMIT 1"
        )
    found = org_state(store, frozenset(), "2000-01-01T00:00:00Z").duplicates
    assert any("ContentDocumentLink" in line for line in found)
    assert any("link" in line for line in found)
