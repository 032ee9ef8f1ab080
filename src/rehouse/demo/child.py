"""`rehouse apply` as a child process whose JSON events are read as they come, and which can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehouse.demo.server import stop
from rehouse.errors import FatalError
from rehouse.events import Note, Progress, Sink

Event = Mapping[str, Any]
FINISHED_WITH = (0, 4)
"""Exit codes of an apply that went through: all loaded, or some records refused and in quarantine."""


@dataclass(slots=True)
class Applied:
    """How a child ended. `killed_at` is the event that we answered with SIGKILL; `document` its result."""

    exit_code: int = 0
    killed_at: Event | None = None
    document: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    events: int = 0


def apply_in_child(
    folder: Path, plan: str, by: str, sink: Sink, kill_at: Callable[[Event], bool] | None = None
) -> Applied:
    """Run `rehouse apply PLAN --json`. With `kill_at` send SIGKILL at the first event for which it is true.

    Errors: `FatalError` when the child ends in any other way than it should.
    """
    command = [sys.executable, "-m", "rehouse", "apply", plan, "--in", str(folder), "--by", by, "--json"]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    try:
        result, said = _watch(child, sink, kill_at)
    finally:
        stop(child)
        if child.stderr is not None:
            child.stderr.close()
    if kill_at is not None and result.killed_at is None:
        raise FatalError("the load was through before it could be killed", hint="try again with more --contacts")
    if kill_at is None and result.exit_code not in FINISHED_WITH:
        raise FatalError(f"the load ended with exit code {result.exit_code}: {said}", hint="look at rehouse status")
    return result


def _watch(child: subprocess.Popen[str], sink: Sink, kill_at: Callable[[Event], bool] | None) -> tuple[Applied, str]:
    """Read events until the child ends. Returns also the last line that was none: its error."""
    assert child.stdout is not None
    assert child.stderr is not None
    result, said = Applied(), ""
    for line in child.stderr:
        event = _event(line)
        if event is None:
            said = line.strip() or said
            continue
        result.events += 1
        _pass_on(event, sink, result.notes)
        if kill_at is not None and result.killed_at is None and kill_at(event):
            child.kill()
            result.killed_at = event
    printed = child.stdout.read()
    result.exit_code = child.wait()
    if printed.strip() and result.killed_at is None:
        result.document = json.loads(printed)
    return result, said


def _event(line: str) -> Event | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) and "event" in data else None


def _pass_on(event: Event, sink: Sink, notes: list[str]) -> None:
    if event["event"] == "progress":
        sink(Progress(event["step"], event["object"], event["done"], event["total"], event["rejected"]))
    elif event["event"] == "note":
        if event["step"] == "apply":
            notes.append(event["text"])
        sink(Note(event["text"], event["step"]))
