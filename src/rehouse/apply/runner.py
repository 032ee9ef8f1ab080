"""Run a plan: settle what is unknown, put automations back, then stage after stage. Resumable at any point."""

from __future__ import annotations

from typing import assert_never

from rehouse.apply.load import load_stage
from rehouse.apply.points import Point
from rehouse.apply.run import Run
from rehouse.apply.settle import settle_open
from rehouse.connectors.base import CreatesSchema, SwitchesAutomations
from rehouse.errors import FatalError, RehouseError
from rehouse.ledger.events import (
    AutomationOff,
    AutomationOn,
    Resumed,
    RunClosed,
    RunOpened,
    SchemaCreated,
    Verb,
)
from rehouse.plan.schema import change_of
from rehouse.plan.stages import CreateSchema, LoadRecords, SwitchOff, SwitchOn


def run_plan(run: Run, verb: Verb, by: str) -> str:
    """Execute every stage of the plan that is not through yet. Returns the run's id.

    Called again after a crash it resumes the same run. Raises whatever stopped it, after automations are back.
    """
    open_run(run, verb, by)
    try:
        restore_automations(run)
        settle_open(run)
        closed = run.ledger.stages_closed(run.id)
        for stage in run.plan.stages:
            match stage:
                case CreateSchema():
                    _create_schema(run)
                case SwitchOff(automations=ids):
                    _switch_off(run, ids)
                case LoadRecords(name=name):
                    if name not in closed:
                        load_stage(run, stage)
                case SwitchOn():
                    restore_automations(run)
                case _:
                    assert_never(stage)
    except BaseException:
        _put_back_after_failure(run)
        raise
    run.ledger.append(RunClosed("done", dict(run.target.calls_used())), run.id)
    run.reached(Point.RUN_CLOSED)
    return run.id


def open_run(run: Run, verb: Verb, by: str) -> None:
    """Resume the open run of the same plan and verb, or open a new one; close what another plan left open."""
    for name in run.ledger.unclosed_runs():
        opened = next(r.event for _, r in run.ledger.events(RunOpened, name))
        assert isinstance(opened, RunOpened)
        if opened.plan == run.plan.digest and opened.verb == verb:
            run.id = name
            run.ledger.append(Resumed(), name)
            run.note(f"resuming {name}")
            run.reached(Point.RUN_OPENED, name)
            return
        run.id = name
        settle_open(run)
        run.ledger.append(RunClosed("abandoned"), name)
    run.ledger.append(RunOpened(run.plan.digest, verb.value, by, str(run.plan.org["id"])))
    run.id = run.ledger.run
    run.reached(Point.RUN_OPENED, run.id)


def _create_schema(run: Run) -> None:
    change = change_of(run.folder)
    if not isinstance(run.target, CreatesSchema):
        return
    outcomes = run.target.create_schema(change)
    refused = [o for o in outcomes if o.outcome == "refused"]
    for outcome in outcomes:
        if outcome.outcome != "existed":
            run.ledger.append(SchemaCreated(outcome.kind, outcome.name, outcome.outcome), run.id)
    if refused:
        first = refused[0]
        raise FatalError(
            f"{len(refused)} pieces of schema were refused, e.g. {first.kind} {first.name}: {first.message}",
            hint="create them by hand or correct `creates` in blueprint.yaml, then run the same command again",
        )
    run.reached(Point.SCHEMA_CREATED)


def _switch_off(run: Run, ids: tuple[str, ...]) -> None:
    assert isinstance(run.target, SwitchesAutomations)
    objects = sorted({c.object for c in run.plan.consignments})
    known = {a.id: a for a in run.target.automations(objects)}
    for automation_id in ids:
        found = known.get(automation_id)
        if found is None or not found.active:
            continue
        run.ledger.append(AutomationOff(found.id, found.name, found.object), run.id)
        run.reached(Point.AUTOMATION_INTENDED, found.name)
        run.target.set_automation(automation_id, active=False)
        run.note(f"{found.kind} {found.name} is off while records load")
        run.reached(Point.AUTOMATION_OFF, found.name)


def restore_automations(run: Run) -> None:
    """Switch on again whatever the ledger says is off, reading back that it is."""
    for off in run.ledger.automations_off():
        if not isinstance(run.target, SwitchesAutomations):
            raise FatalError(
                f"{off.name} on {off.object} is off and this connector cannot switch it on",
                hint="switch it on in the target by hand",
            )
        run.target.set_automation(off.id, active=True)
        run.ledger.append(AutomationOn(off.id, off.name, off.object), run.id)
        run.note(f"{off.name} is on again")
        run.reached(Point.AUTOMATION_ON, off.name)


def _put_back_after_failure(run: Run) -> None:
    try:
        restore_automations(run)
    except (RehouseError, OSError) as error:
        names = ", ".join(o.name for o in run.ledger.automations_off())
        run.note(f"could not switch on again: {names} ({error}); the next start does it first")
