"""A crash at every point of the table of states, then the same command again: the same end, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_tools import Campaign

from rehouse.apply.points import Point
from rehouse.clock import SystemClock
from rehouse.connectors.base import JobKind
from rehouse.ledger.events import Intent, Verb
from rehouse.ledger.ledger import Ledger
from rehouse.testing.campaign import Prepared, crash_case, crash_on_and_on, outcome_of, scene
from rehouse.testing.crash import Place, not_in_table, spread

APPLY = [
    Place(Point.AUTOMATION_OFF, 1),
    Place(Point.COMMITTED, 2),
    Place(Point.ROWS_SENT, 3),
    Place(Point.OUTCOMES_WRITTEN, 2),
]
ROLLBACK = [Place(Point.COMMITTED, 2), Place(Point.INTENT_DURABLE, 3)]


@pytest.mark.sandbox
@pytest.mark.req("COM-RUN-05", "COM-REL-03")
def test_crashes_one_after_another_end_as_if_nothing_had_been(prepared: Prepared, tmp_path: Path) -> None:
    with scene(prepared, tmp_path) as copied:
        last, died = crash_on_and_on(copied, Verb.APPLY, APPLY)
        plan, _ = copied.migration().load_plan()
    applied = outcome_of(prepared, tmp_path)
    assert applied.faults == []
    assert _records(applied.books, "loaded") == sum(c.rows for c in plan.consignments if c.op == "insert")
    with scene(prepared, tmp_path / "back", tmp_path) as copied:
        last_back, died_back = crash_on_and_on(copied, Verb.ROLLBACK, ROLLBACK)
    assert prepared.against_before(tmp_path / "back") == []
    assert outcome_of(prepared, tmp_path / "back").faults == []
    for trace in (last, *died, last_back, *died_back):
        assert not_in_table(trace.passed) == []


def _records(books: object, outcome: str) -> int:
    assert isinstance(books, dict)
    return sum(counts[outcome] for one in books.values() for counts in one["outcomes"].values())


@pytest.mark.fault
@pytest.mark.sandbox
def test_the_campaign_passes_every_point_by_every_kind_of_part(campaign: Campaign) -> None:
    apply, rollback = campaign.apply, campaign.rollback
    assert not_in_table(apply.trace.passed) == []
    assert not_in_table(rollback.trace.passed) == []
    assert set(apply.trace.passed) == set(Point)
    folder = rollback.folder / "migration" / ".rehouse" / "ledger" / campaign.prepared.org_id
    with Ledger.open(folder, SystemClock(), write=False) as ledger:
        found = {(r.event.kind, r.event.op) for _, r in ledger.events(Intent) if isinstance(r.event, Intent)}
    wanted = {
        (JobKind.ROWS.value, "insert"),
        (JobKind.BULK.value, "insert"),
        (JobKind.FILES.value, "insert"),
        (JobKind.ROWS.value, "update"),
        (JobKind.ROWS.value, "delete"),
        (JobKind.BULK.value, "delete"),
    }
    assert wanted <= found


@pytest.mark.fault
@pytest.mark.sandbox
@pytest.mark.req("COM-RB-05")
def test_an_undisturbed_rollback_leaves_what_was_there_before(campaign: Campaign) -> None:
    assert campaign.apply.state.faults == []
    assert campaign.rollback.state.faults == []
    assert campaign.prepared.against_before(campaign.rollback.folder) == []
    assert campaign.prepared.against_before(campaign.apply.folder) != []


@pytest.mark.fault
@pytest.mark.sandbox
@pytest.mark.req("COM-RUN-05", "COM-REL-03")
@pytest.mark.parametrize("point", Point, ids=str)
@pytest.mark.parametrize("verb", [Verb.APPLY, Verb.ROLLBACK], ids=str)
def test_a_crash_anywhere_and_the_same_command_again(
    verb: Verb, point: Point, campaign: Campaign, tmp_path: Path
) -> None:
    """At every point, on the middle one of its passes; `bench/fault_campaign.py --places` takes all of them."""
    wanted = campaign.of(verb)
    found = spread(wanted.trace.places()).get(point, [])
    places = found[len(found) // 2 :][:1]
    if not places:
        # the table says where: what only an apply does (schema, automations, reading back) no rollback passes
        assert verb is Verb.ROLLBACK
        assert point.value.startswith(("schema", "automation", "stage.read_back"))
    for number, place in enumerate(places):
        assert crash_case(campaign.prepared, wanted, place, tmp_path / str(number)) == []
