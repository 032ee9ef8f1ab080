"""Bad days on the wire: faults that a sandbox is told to play while a command runs, fixed and drawn from a seed.

A fault is armed through the admin port, so it happens where the platform, a proxy or the network would make it
happen. The command may end with an error; then it is run again, as a person would. What counts is the end.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from rehouse.errors import RehouseError
from rehouse.ledger.events import Verb
from rehouse.testing.campaign import Prepared, Reference, Scene, compare, scene

Fault = dict[str, Any]

COMMANDS = 6
"""A command that meets new faults each time must be through after so many starts."""

WRITES: Mapping[str, tuple[str, str]] = {
    "insert rows": ("POST", r"/composite/sobjects$"),
    "update rows": ("PATCH", r"/composite/sobjects$"),
    "delete rows": ("DELETE", r"/composite/sobjects"),
    "send a file": ("POST", r"/sobjects/ContentVersion$"),
    "make a job": ("POST", r"/jobs/ingest$"),
    "upload rows": ("PUT", r"/batches$"),
    "start a job": ("PATCH", r"/jobs/ingest/"),
}
READS: Mapping[str, tuple[str, str]] = {
    "look at a job": ("GET", r"/jobs/ingest/[^/]+$"),
    "read results": ("GET", r"(successful|failed)Results"),
    "query": ("GET", r"/query"),
    "describe": ("GET", r"/describe"),
}
STEPS = {**WRITES, **READS}
LOST = ("reset_after_commit", "500_after_commit", "truncated_body")
"""The work is done and the answer does not arrive whole."""


def fault(kind: str, step: str, *, nth: int = 1, times: int = 1, **options: Any) -> Fault:
    """One fault on the n-th request of a step (see `STEPS`)."""
    method, path = STEPS[step]
    return {"kind": kind, "match": {"method": method, "path": path, "nth": nth}, "times": times, **options}


def arm(scene_: Scene, faults: Sequence[Fault]) -> None:
    """Tell the running sandbox."""
    _admin(scene_, "POST", list(faults))


def armed(scene_: Scene) -> list[Fault]:
    """The faults with what they have seen and how often they fired."""
    found: list[Fault] = _admin(scene_, "GET")
    return found


def _admin(scene_: Scene, method: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{scene_.info['admin_url']}/faults",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = answer.read()
    return json.loads(said) if said else None


def until_through(running: Scene, verb: Verb) -> list[str]:
    """Run a command again and again until it ends well; what it said each time it did not."""
    said: list[str] = []
    for _ in range(COMMANDS):
        try:
            running.run(verb)
        except RehouseError as stopped:
            said.append(f"{type(stopped).__name__}: {stopped.message}")
            continue
        return said
    raise AssertionError(f"{verb} was not through after {COMMANDS} starts: {said}")


def weather_case(
    prepared: Prepared, wanted: Reference, faults: Sequence[Fault], folder: Path
) -> tuple[list[str], list[Fault], list[str]]:
    """Play the faults while the command runs. Returns what differs at the end, the faults as played, what was said."""
    with scene(prepared, folder, wanted.origin) as copied:
        arm(copied, faults)
        said = until_through(copied, wanted.verb)
        played = armed(copied)
    return compare(prepared, wanted, folder), played, said


def drawn(seed: int, count: int = 4) -> list[Fault]:
    """A plan of faults drawn from a seed: the same seed gives the same plan everywhere."""
    random = Random(seed)
    return [_drawn(random) for _ in range(count)]


def _drawn(random: Random) -> Fault:
    nth = random.randint(1, 6)
    match random.choice(("lost", "lost", "lost", "refused", "reset", "broken read", "locks", "slow")):
        case "lost":
            return fault(random.choice(LOST), random.choice(sorted(WRITES)), nth=nth)
        case "refused":
            kind = random.choice(("maintenance", "status"))
            return fault(kind, random.choice(sorted(STEPS)), nth=nth, times=random.randint(1, 2))
        case "reset":
            return fault("reset_before", random.choice(sorted(STEPS)), nth=nth)
        case "broken read":
            return fault(random.choice(LOST), random.choice(sorted(READS)), nth=nth)
        case "locks":
            step = random.choice(("insert rows", "upload rows"))
            return fault("row_locks", step, nth=nth, rows=sorted(random.sample(range(12), 3)))
        case _:
            return fault("slow", random.choice(sorted(STEPS)), nth=nth, seconds=0.2, when="after")
