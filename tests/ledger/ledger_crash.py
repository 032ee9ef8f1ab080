"""A process of its own that forks writers and lets them be killed; run by `test_ledger_crash.py`.

    python ledger_crash.py FOLDER SEED TRIALS

Each trial forks a child that opens the ledger, checks it and appends. Even trials: the child kills itself with
SIGKILL on a random line of the ledger's own code. Odd trials: the parent kills it after a random number of
acknowledgements. What a child was told is durable, it says through a pipe; that survives it. Prints
JSON: the acknowledged (seq, text) pairs and how the children ended.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa

import rehouse.ledger
from rehouse.clock import SystemClock
from rehouse.ledger import OUTCOMES, Intent, Ledger, Outcome, Paused, Resumed, RunOpened

HOME = str(Path(rehouse.ledger.__file__).parent)


def kill_on_line(countdown: int) -> None:
    """Die on the n-th line that the ledger's code executes from now on."""
    left = countdown

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(HOME):
            return None
        if what == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def child(folder: Path, trial: int, pipe: int, countdown: int | None) -> None:
    with Ledger.open(folder, SystemClock()) as ledger:
        say(pipe, {"problems": ledger.verify()})
        if countdown is not None:
            kill_on_line(countdown)
        ledger.append(Resumed() if ledger.run else RunOpened("p", "apply", "ada", "00D"))
        for n in range(10_000):
            text = f"trial {trial} event {n}"
            say(pipe, {"seq": ledger.append(Paused(text)), "text": text})
            intent = ledger.append(Intent("load", n, "Contact", "insert", "bulk", 1))
            row = {"key": text, "id": text, "ok": True, "code": None, "message": None, "advice": None}
            segment = ledger.segments.write(pa.Table.from_pylist([row]), OUTCOMES)
            seq = ledger.append(Outcome(intent, segment.digest, 1, 0, how=text))
            say(pipe, {"seq": seq, "text": text})


def say(pipe: int, what: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(what).encode() + b"\n")


def run_trial(folder: Path, trial: int, chance: random.Random) -> tuple[list[dict[str, Any]], int]:
    acknowledgements = chance.randrange(1, 12)
    countdown = chance.randrange(1, 3000) if trial % 2 == 0 else None
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            child(folder, trial, writing, countdown)
        finally:
            os._exit(1)
    os.close(writing)
    said: list[dict[str, Any]] = []
    with os.fdopen(reading) as lines:
        for line in lines:
            said.append(json.loads(line))
            if countdown is None and len(said) == acknowledgements:
                os.kill(pid, signal.SIGKILL)
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    folder, seed, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    found = [run_trial(folder, trial, chance) for trial in range(trials)]
    said = [line for lines, _ in found for line in lines]
    report = {
        "acknowledged": [[s["seq"], s["text"]] for s in said if "seq" in s],
        "problems": [problem for s in said for problem in s.get("problems", [])],
        "exits": [code for _, code in found],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
