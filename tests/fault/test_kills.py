"""Real deaths by signal 9: of the command at 20 places, of the server, of a command whose request is under way."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from fault_tools import Campaign, Fresh

from rehouse.apply.points import Point
from rehouse.connectors.base import JobKind, NotNull, Op, Part, Query
from rehouse.errors import GateError, RehouseError
from rehouse.events import Event, Note, Reached
from rehouse.ledger.events import Verb
from rehouse.plan.decisions import Decisions
from rehouse.testing.campaign import Prepared, Scene, compare, connect, copy, outcome_of, scene
from rehouse.testing.crash import CrashAt, Place, SimulatedCrash
from rehouse.testing.kill import Server, end_of, run_command, served, start_command
from rehouse.testing.state import KEY_FIELD, org_state
from rehouse.testing.weather import arm, armed, fault

pytestmark = [pytest.mark.sandbox, pytest.mark.fault]

APPLY = [
    Place(Point.RUN_OPENED, 1),
    Place(Point.SCHEMA_CREATED, 1),
    Place(Point.AUTOMATION_INTENDED, 1),
    Place(Point.AUTOMATION_OFF, 1),
    Place(Point.INTENT_DURABLE, 2),
    Place(Point.JOB_MADE, 4),
    Place(Point.ROWS_SENT, 3),
    Place(Point.COMMITTED, 1),
    Place(Point.COMMITTED, 6),
    Place(Point.FINISHED, 5),
    Place(Point.OUTCOMES_WRITTEN, 2),
    Place(Point.STAGE_READ_BACK, 4),
    Place(Point.AUTOMATION_ON, 1),
    Place(Point.RUN_CLOSED, 1),
]
ROLLBACK = [
    Place(Point.RUN_OPENED, 1),
    Place(Point.INTENT_DURABLE, 1),
    Place(Point.COMMITTED, 3),
    Place(Point.COMMITTED, 15),
    Place(Point.OUTCOMES_WRITTEN, 9),
    Place(Point.STAGE_CLOSED, 6),
]
CASES = [(Verb.APPLY, p) for p in APPLY] + [(Verb.ROLLBACK, p) for p in ROLLBACK]


@pytest.mark.req("COM-RUN-05", "COM-REL-03")
@pytest.mark.parametrize(("verb", "place"), CASES, ids=str)
def test_kill_9_and_the_same_command_again(verb: Verb, place: Place, campaign: Campaign, tmp_path: Path) -> None:
    wanted = campaign.of(verb)
    copy(wanted.origin, tmp_path)
    with served(tmp_path / "org") as server:
        connect(tmp_path / "migration", server.info["url"])
        first = run_command(tmp_path / "migration", verb, campaign.prepared.org_name, place)
        assert first.killed, first.said
        second = run_command(tmp_path / "migration", verb, campaign.prepared.org_name)
        assert second.code == 0, second.said
    assert compare(campaign.prepared, wanted, tmp_path) == []


class KillsServer:
    """A sink that kills the server at one place and starts it again at once."""

    def __init__(self, server: Server, place: Place) -> None:
        self._server, self._place, self._left = server, place, place.nth
        self.done = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Reached) and event.point == self._place.point.value:
            self._left -= 1
            if self._left == 0:
                self._server.kill()
                self._server.start()
                self.done = True


@pytest.mark.parametrize(
    ("verb", "place"),
    [
        (Verb.APPLY, Place(Point.JOB_MADE, 1)),
        (Verb.APPLY, Place(Point.COMMITTED, 4)),
        (Verb.APPLY, Place(Point.ROWS_SENT, 7)),
        (Verb.ROLLBACK, Place(Point.COMMITTED, 4)),
    ],
    ids=str,
)
def test_the_server_is_killed_and_comes_back(verb: Verb, place: Place, campaign: Campaign, tmp_path: Path) -> None:
    wanted = campaign.of(verb)
    copy(wanted.origin, tmp_path)
    with served(tmp_path / "org") as server:
        connect(tmp_path / "migration", server.info["url"])
        running = Scene(campaign.prepared, tmp_path, server.info)
        sink = KillsServer(server, place)
        try:
            running.run(verb, sink)
        except RehouseError:
            running.run(verb)
        assert sink.done
    assert compare(campaign.prepared, wanted, tmp_path) == []


def until_fired(copied: Scene, child: subprocess.Popen[str]) -> None:
    while not armed(copied)[0]["fired"]:
        assert child.poll() is None, end_of(child).said
        threading.Event().wait(0.1)


class LetsTheLostOneArrive:
    """A sink: once the target has been asked what became of the lost request, it waits until that has been done."""

    def __init__(self, copied: Scene) -> None:
        self._copied, self.waited = copied, False

    def __call__(self, event: Event) -> None:
        if self.waited or not isinstance(event, Reached) or event.point != Point.OUTCOME_DURABLE.value:
            return
        self.waited = True
        while not armed(self._copied)[0]["finished"]:
            threading.Event().wait(0.1)


@pytest.mark.req("COM-REL-03")
@pytest.mark.parametrize(
    ("verb", "step", "nth"),
    [(Verb.APPLY, "insert rows", 1), (Verb.APPLY, "send a file", 2), (Verb.ROLLBACK, "delete rows", 2)],
)
def test_killed_while_the_request_is_under_way(
    verb: Verb, step: str, nth: int, campaign: Campaign, tmp_path: Path
) -> None:
    """The server does what was asked seconds after the asker died, and after the next start has looked for it."""
    wanted = campaign.of(verb)
    with scene(campaign.prepared, tmp_path, wanted.origin) as copied:
        arm(copied, [fault("slow", step, nth=nth, seconds=8, when="before")])
        child = start_command(tmp_path / "migration", verb, campaign.prepared.org_name)
        until_fired(copied, child)
        child.send_signal(signal.SIGKILL)
        assert end_of(child).killed
        late = LetsTheLostOneArrive(copied)
        copied.run(verb, late)
        assert late.waited
    assert compare(campaign.prepared, wanted, tmp_path) == []


@pytest.mark.req("COM-REL-03")
def test_killed_while_a_job_is_being_started(campaign: Campaign, tmp_path: Path) -> None:
    """The word that starts the job comes after the next start has given the job up: it is refused."""
    with scene(campaign.prepared, tmp_path) as copied:
        arm(copied, [fault("slow", "start a job", seconds=4, when="before")])
        child = start_command(tmp_path / "migration", Verb.APPLY, campaign.prepared.org_name)
        until_fired(copied, child)
        child.send_signal(signal.SIGKILL)
        assert end_of(child).killed
        copied.run(Verb.APPLY)
    assert compare(campaign.prepared, campaign.apply, tmp_path) == []


@pytest.mark.parametrize("place", [Place(Point.AUTOMATION_OFF, 1), Place(Point.COMMITTED, 3)], ids=str)
def test_a_sample_is_killed_and_run_again(place: Place, fresh: Fresh, tmp_path: Path) -> None:
    with scene(fresh.prepared, tmp_path) as copied:
        first = run_command(tmp_path / "migration", Verb.SAMPLE, fresh.prepared.org_name, place)
        assert first.killed, first.said
        copied.run(Verb.SAMPLE)
    assert compare(fresh.prepared, fresh.sample, tmp_path) == []


def _active(copied: Scene) -> bool:
    with copied.migration().target() as target:
        (found,) = [a.active for a in target.automations(["Contact"]) if "Strict_Contact_Email" in a.id]
    return bool(found)


@pytest.mark.parametrize("then", [Verb.APPLY, Verb.SAMPLE, Verb.ROLLBACK], ids=str)
def test_what_a_kill_left_off_is_put_back_by_the_next_start(then: Verb, prepared: Prepared, tmp_path: Path) -> None:
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            said.append(event.text)

    with scene(prepared, tmp_path) as copied:
        assert _active(copied)
        place = Place(Point.AUTOMATION_OFF, 1)
        assert run_command(tmp_path / "migration", Verb.APPLY, prepared.org_name, place).killed
        assert not _active(copied)
        copied.run(then, listen)
        assert "Strict Contact Email is on again" in said
        assert _active(copied)
    assert outcome_of(prepared, tmp_path).faults == []


def test_what_a_kill_left_off_is_put_back_even_if_a_gate_is_shut(prepared: Prepared, tmp_path: Path) -> None:
    with scene(prepared, tmp_path) as copied:
        place = Place(Point.AUTOMATION_OFF, 1)
        assert run_command(tmp_path / "migration", Verb.APPLY, prepared.org_name, place).killed
        assert not _active(copied)
        migration = copied.migration()
        migration.save_decisions(Decisions())
        with pytest.raises(GateError):
            migration.apply()
        assert _active(copied)


def test_the_second_of_two_applies_is_refused_with_the_pid_of_the_first(prepared: Prepared, tmp_path: Path) -> None:
    class Meanwhile:
        said = ""
        code = 0

        def __call__(self, event: Event) -> None:
            if isinstance(event, Reached) and event.point == Point.COMMITTED.value and not self.said:
                second = run_command(tmp_path / "migration", Verb.APPLY, prepared.org_name)
                self.said, self.code = second.said, second.code

    sink = Meanwhile()
    with scene(prepared, tmp_path) as copied:
        copied.run(Verb.APPLY, sink)
    assert sink.code != 0
    assert "UserError" in sink.said
    assert str(os.getpid()) in sink.said
    assert outcome_of(prepared, tmp_path).faults == []


@pytest.mark.req("COM-RB-05")
@pytest.mark.parametrize("place", [Place(Point.COMMITTED, n) for n in (1, 4, 6, 8, 10)], ids=str)
def test_a_rollback_after_a_crashed_apply_leaves_nothing_behind(
    place: Place, prepared: Prepared, tmp_path: Path
) -> None:
    """Also what the platform made beside records whose stage was never read back (the roles of opportunities)."""
    with scene(prepared, tmp_path) as copied:
        with pytest.raises(SimulatedCrash):
            copied.run(Verb.APPLY, CrashAt(place))
        copied.run(Verb.ROLLBACK)
    assert outcome_of(prepared, tmp_path).faults == []
    assert prepared.against_before(tmp_path) == []


@pytest.mark.req("COM-RB-05", "COM-REL-03")
def test_what_somebody_deleted_is_loaded_again_after_a_rollback(prepared: Prepared, tmp_path: Path) -> None:
    """A record that was gone before the rollback came is no longer ours: the next apply sends it."""
    with scene(prepared, tmp_path) as copied:
        migration = copied.migration()
        with migration.target() as target:
            batches = list(target.fetch(Query("Lead", (KEY_FIELD,), NotNull(KEY_FIELD))))
            rows = pa.Table.from_batches(batches).rename_columns({KEY_FIELD: "_key"})
            part = Part("Lead", Op.DELETE, JobKind.ROWS, rows)
            job = target.open_job(part)
            target.start(job, part)
            assert all(target.outcomes(job, part).column("ok").to_pylist())
        undo = migration.rollback("test", confirm=prepared.org_name)
        assert undo.gone == {"Lead": rows.num_rows}
        copied.run(Verb.APPLY)
        plan, _ = copied.migration().load_plan()
    assert outcome_of(prepared, tmp_path).faults == []
    records = org_state(tmp_path / "org", prepared.known, prepared.since).records
    assert sum(name.startswith("Lead:") for name in records) == plan.consignment("Lead").rows
