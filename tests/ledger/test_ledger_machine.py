"""The ledger against a plain list: whatever is appended, closed and opened again, it answers like the list."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger_tools import open_ledger, outcome_table

from rehouse.ledger import (
    OUTCOMES,
    AutomationOff,
    AutomationOn,
    Decision,
    Intent,
    JobOpened,
    LedgerEvent,
    Outcome,
    RunClosed,
    RunOpened,
    StageClosed,
    StageOpened,
)

STAGES, RULES = st.sampled_from(("schema", "load", "link")), st.sampled_from(("r1", "r2"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = open_ledger(self.folder)
        self.model: list[tuple[int, str, LedgerEvent]] = []
        self.runs: list[str] = []

    def teardown(self) -> None:
        assert self.ledger.verify() == []
        self.ledger.close()
        shutil.rmtree(self.folder)

    def keep(self, event: LedgerEvent, run: str | None = None) -> int:
        seq = self.ledger.append(event)
        self.model.append((seq, (self.runs[-1] if self.runs else "") if run is None else run, event))
        return seq

    @initialize()
    def open_first_run(self) -> None:
        self.open_run("apply")

    @rule(verb=st.sampled_from(("sample", "apply", "rollback")))
    def open_run(self, verb: str) -> None:
        number = 1 + sum(isinstance(event, RunOpened) for _, _, event in self.model)
        self.runs.append(f"{verb}-{number}")
        event = RunOpened("plan-digest", verb, "ada", "00D000000000001")
        self.model.append((self.ledger.append(event), self.runs[-1], event))

    @precondition(lambda self: len(self.runs) > 1)
    @rule()
    def close_run(self) -> None:
        self.keep(RunClosed("done", {"ok": 1}))
        self.runs.pop()

    @rule(what=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
    def decide(self, what: dict[str, Any]) -> None:
        self.keep(Decision(what))

    @rule(stage=STAGES, opened=st.booleans())
    def stage(self, stage: str, opened: bool) -> None:
        self.keep(StageOpened(stage, "Contact", 1) if opened else StageClosed(stage))

    @rule(rule_id=RULES, off=st.booleans())
    def switch(self, rule_id: str, off: bool) -> None:
        self.keep(AutomationOff(rule_id, "Rule", "Contact") if off else AutomationOn(rule_id))

    @rule(part=st.integers(0, 3))
    def intend(self, part: int) -> None:
        self.keep(Intent("load", part, "Contact", "insert", "bulk", 1))

    @precondition(lambda self: self.unsettled())
    @rule(data=st.data(), job=st.text(max_size=3))
    def open_job(self, data: st.DataObject, job: str) -> None:
        self.keep(JobOpened(data.draw(st.sampled_from(self.unsettled())), {"id": job}))

    @precondition(lambda self: self.unsettled())
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        segment = self.ledger.segments.write(outcome_table([("a", "1", True)]), OUTCOMES)
        self.keep(Outcome(data.draw(st.sampled_from(self.unsettled())), segment.digest, 1, 0))

    @rule()
    def close_and_open_again(self) -> None:
        head = self.ledger.head()
        self.ledger.close()
        self.ledger = open_ledger(self.folder)
        assert self.ledger.head() == head

    def unsettled(self) -> list[int]:
        settled = {event.intent for _, _, event in self.model if isinstance(event, Outcome)}
        return [seq for seq, _, event in self.model if isinstance(event, Intent) and seq not in settled]

    @invariant()
    def it_answers_like_the_list(self) -> None:
        assert [(seq, r.run, r.event) for seq, r in self.ledger.events()] == self.model
        assert self.ledger.unclosed_runs() == self.runs

    @invariant()
    def it_knows_what_is_unsettled(self) -> None:
        jobs = {event.intent: event.job for _, _, event in self.model if isinstance(event, JobOpened)}
        assert [(o.seq, o.job) for o in self.ledger.open_intents()] == [(s, jobs.get(s)) for s in self.unsettled()]

    @invariant()
    def it_knows_the_state_of_stages_and_switches(self) -> None:
        run = self.runs[-1] if self.runs else ""
        stages: dict[str, bool] = {}
        rules: dict[str, bool] = {}
        for _, of_run, event in self.model:
            if isinstance(event, StageOpened | StageClosed) and of_run == run:
                stages[event.stage] = isinstance(event, StageClosed)
            if isinstance(event, AutomationOff | AutomationOn):
                rules[event.id] = isinstance(event, AutomationOff)
        assert set(self.ledger.stages_closed(run)) == {stage for stage, closed in stages.items() if closed}
        assert {off.id for off in self.ledger.automations_off()} == {rule for rule, off in rules.items() if off}


LedgerMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLedgerMachine = LedgerMachine.TestCase
