from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_tools import open_ledger, select

from rehouse.ledger import Intent, Outcome, Paused

TRIALS = 16


@pytest.mark.fault
@pytest.mark.req("COM-RUN-05")
@pytest.mark.parametrize("seed", [1, 2])
def test_no_kill_breaks_the_chain_or_loses_what_was_acknowledged(folder: Path, seed: int) -> None:
    script = Path(__file__).with_name("ledger_crash.py")
    command = [sys.executable, str(script), str(folder), str(seed), str(TRIALS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["exits"] == [-9] * TRIALS, done.stderr  # each child was killed, none refused to start
    assert report["problems"] == []
    assert len(report["acknowledged"]) > TRIALS
    with open_ledger(folder) as ledger:
        assert ledger.verify() == []
        kept = {seq: recorded.event for seq, recorded in ledger.events()}
        for seq, text in report["acknowledged"]:
            event = kept[seq]
            assert isinstance(event, Paused | Outcome)
            assert text == (event.reason if isinstance(event, Paused) else event.how)
        settled = {event.intent: event.how for event in kept.values() if isinstance(event, Outcome)}
        assert {o.seq for o in ledger.open_intents()} == {
            seq for seq, event in kept.items() if isinstance(event, Intent) and seq not in settled
        }
        assert sorted(select(ledger, "SELECT key FROM id_map")) == sorted((how,) for how in settled.values())
        assert not list((folder / "segments").glob(".tmp-*"))
