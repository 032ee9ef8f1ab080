"""The demo from end to end: what is done, in which order, and what the document at the end says."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rehouse.demo import folder as folders
from rehouse.demo import server as servers
from rehouse.demo.act import Act
from rehouse.demo.closing import closing, document
from rehouse.demo.loading import load_and_kill, read_back, try_a_sample
from rehouse.demo.preparing import compose_sample, decide, discover, map_fields, plan_again, refuse_once, show_target
from rehouse.demo.tell import Teller
from rehouse.errors import RehouseError
from rehouse.migration import Migration
from rehouse.workflow.workspace import SECRET_NAMES


def run_demo(folder: Path, *, contacts: int, keep: bool, as_json: bool) -> None:
    """Play the demo in `folder`. Ends the process with 1 when something does not add up.

    With `as_json` one document on standard output, the narration on standard error. Errors: `UserError` for a
    folder that is not a demo's own; any `RehouseError` of the steps.
    """
    teller = Teller(to_stderr=as_json)
    place = folders.make(folder)
    teller.title("Rehouse demo: a company moves from Planports CRM to Salesforce, on this machine")
    teller.say(
        "Everything below really happens, through the same code as the commands named: the sample company is made up, "
        "the target is a local server that speaks Salesforce's own protocol. No account; nothing leaves this computer."
    )
    with _ended_by_signals(), _without_secrets():
        composed = compose_sample(teller, place, contacts)
        with servers.running(place.org, place.log, composed.target_seed, keep=keep) as server:
            os.environ["REHOUSE_TARGET_TOKEN"] = server.token
            act = Act(teller, place, composed, server, Migration.new(place.migration, "planports", "salesforce"), keep)
            clean = _play(act)
            closing(act, clean)
            if keep:
                place.mark(url=server.url, ca=server.ca, pid=server.process.pid)
            written = document(act, clean)
    if as_json:
        sys.stdout.write(json.dumps(written, ensure_ascii=False, indent=1, default=str) + "\n")
        sys.stdout.flush()
    if not clean:
        sys.exit(1)


def _play(act: Act) -> bool:
    """All steps in their order; whether everything added up. An error says at which step it came."""
    try:
        show_target(act)
        discover(act)
        map_fields(act)
        refuse_once(act)
        decide(act)
        plan_again(act)
        try_a_sample(act)
        load_and_kill(act)
        return read_back(act)
    except RehouseError:
        act.tell.bad(f"the demo stops here; the folder {act.place.root} keeps what was done")
        raise


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does: its sandbox and its child end with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Secrets of a real target stay out of the demo, and the demo's token is gone from the environment after it."""
    names = [f"REHOUSE_TARGET_{name.upper()}" for name in SECRET_NAMES]
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
