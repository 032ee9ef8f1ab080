"""Faults on the wire while a command runs: answers lost, refused, cut short, late; locks; values not stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_tools import Campaign, Fresh

from rehouse.ledger.events import Verb
from rehouse.testing.campaign import Prepared, compare, connect, outcome_of, scene
from rehouse.testing.weather import LOST, Fault, arm, armed, drawn, fault, weather_case

pytestmark = [pytest.mark.sandbox, pytest.mark.fault]

APPLY: list[Fault] = [
    fault("reset_after_commit", "insert rows", nth=2),
    fault("reset_after_commit", "send a file", nth=3),
    fault("reset_after_commit", "start a job", nth=2),
    fault("reset_after_commit", "upload rows"),
    fault("500_after_commit", "insert rows"),
    fault("500_after_commit", "send a file"),
    fault("500_after_commit", "start a job"),
    fault("truncated_body", "insert rows"),
    fault("truncated_body", "send a file"),
    fault("truncated_body", "read results", nth=2),
    fault("truncated_body", "query", nth=5),
    fault("reset_before", "upload rows", nth=2),
    fault("maintenance", "insert rows"),
    fault("status", "look at a job", times=3),
    fault("row_locks", "insert rows", rows=[0, 2]),
    fault("row_locks", "upload rows", rows=[1, 5, 6]),
    fault("slow", "start a job", seconds=1, when="after"),
]
ROLLBACK: list[Fault] = [
    fault("reset_after_commit", "delete rows", nth=2),
    fault("500_after_commit", "start a job", nth=2),
    fault("truncated_body", "delete rows"),
    fault("reset_after_commit", "update rows"),
    fault("row_locks", "delete rows", nth=3, rows=[0, 3]),
    fault("maintenance", "start a job", nth=5),
]
CASES = [(Verb.APPLY, f) for f in APPLY] + [(Verb.ROLLBACK, f) for f in ROLLBACK]


def _name(value: object) -> str:
    return f"{value['kind']} {value['match']['path']}" if isinstance(value, dict) else str(value)


@pytest.mark.req("COM-RATE-02", "COM-RUN-05", "COM-REL-03")
@pytest.mark.parametrize(("verb", "one"), CASES, ids=_name)
def test_one_fault_changes_nothing_in_the_end(verb: Verb, one: Fault, campaign: Campaign, tmp_path: Path) -> None:
    found, played, said = weather_case(campaign.prepared, campaign.of(verb), [one], tmp_path)
    assert played[0]["fired"] >= 1, "the fault was never met"
    assert found == [], said


@pytest.mark.req("COM-RATE-02")
@pytest.mark.parametrize("verb", [Verb.APPLY, Verb.ROLLBACK], ids=str)
def test_an_upload_that_breaks_does_not_stop_the_command(verb: Verb, campaign: Campaign, tmp_path: Path) -> None:
    """Nothing of it is committed, so it is sent again at once, in another job."""
    one = fault("reset_before", "upload rows", nth=2, times=2)
    found, played, said = weather_case(campaign.prepared, campaign.of(verb), [one], tmp_path)
    assert played[0]["fired"] == 2
    assert said == []
    assert found == []


@pytest.mark.req("COM-REL-03")
@pytest.mark.parametrize("kind", LOST)
def test_an_update_whose_answer_is_lost(kind: str, fresh: Fresh, tmp_path: Path) -> None:
    """The pre-image that counts is the one from before the first of two writes: rollback restores exactly it."""
    one = fault(kind, "update rows")
    found, played, said = weather_case(fresh.prepared, fresh.sample, [one], tmp_path)
    assert played[0]["fired"] == 1
    assert found == [], said
    with scene(fresh.prepared, tmp_path / "back", tmp_path) as copied:
        copied.run(Verb.ROLLBACK)
    assert fresh.prepared.against_before(tmp_path / "back") == []


@pytest.mark.req("COM-RUN-05")
@pytest.mark.parametrize("seed", range(5))
def test_a_bad_day_drawn_from_a_seed(seed: int, campaign: Campaign, tmp_path: Path) -> None:
    verb = (Verb.APPLY, Verb.ROLLBACK)[seed % 3 == 2]
    found, played, said = weather_case(campaign.prepared, campaign.of(verb), drawn(seed), tmp_path)
    assert found == [], (played, said)


@pytest.mark.parametrize("step", ["insert rows", "send a file", "start a job", "query"])
def test_a_session_that_ends_is_renewed(
    step: str, campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(campaign.prepared, tmp_path) as copied:
        monkeypatch.delenv("REHOUSE_TARGET_TOKEN")
        monkeypatch.setenv("REHOUSE_TARGET_CLIENT_SECRET", str(copied.info["client_secret"]))
        connect(tmp_path / "migration", str(copied.info["url"]), client_id=copied.info["client_id"])
        arm(copied, [fault("expired_session", step, nth=2)])
        copied.run(Verb.APPLY)
        assert armed(copied)[0]["fired"] == 1
        monkeypatch.setenv("REHOUSE_TARGET_TOKEN", "put back for the end of the scene")
    assert compare(campaign.prepared, campaign.apply, tmp_path) == []


@pytest.mark.req("COM-RUN-05")
@pytest.mark.parametrize(("step", "name"), [("insert rows", "Legacy_Created__c"), ("upload rows", "Subject")])
def test_a_value_that_is_not_stored_is_a_difference(step: str, name: str, prepared: Prepared, tmp_path: Path) -> None:
    """Apply hears that all is well; only the comparison of everything can find it, and it does."""
    clean = _unexplained(tmp_path / "clean", prepared)
    with scene(prepared, tmp_path / "dirty") as copied:
        arm(copied, [fault("dropped_field", step, field=name, times=100)])
        copied.run(Verb.APPLY)
        assert armed(copied)[0]["fired"] >= 1
        result, _ = copied.migration().reconcile()
    assert result.diff.unexplained > clean
    assert outcome_of(prepared, tmp_path / "dirty").faults == []


def _unexplained(folder: Path, prepared: Prepared) -> int:
    with scene(prepared, folder) as copied:
        copied.run(Verb.APPLY)
        result, _ = copied.migration().reconcile()
    return result.diff.unexplained
