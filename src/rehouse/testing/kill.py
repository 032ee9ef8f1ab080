"""Real deaths: commands in child processes that end by signal 9 at a named point, servers that are killed.

    python -m rehouse.testing.kill --at part.committed:2 --in FOLDER apply

runs one command in its own process and sends that process SIGKILL where the place is reached: no handler, no
`finally`, no flush runs after it, exactly as when the machine's owner or the kernel ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehouse.events import Event, Reached, Sink, silent
from rehouse.ledger.events import Verb
from rehouse.testing.crash import Place

TOKEN = "rehearsal-token"
SECONDS = 120
"""After this long a child counts as hanging."""


class KillAt:
    """A sink that ends its own process with SIGKILL at one place."""

    def __init__(self, place: Place) -> None:
        self._place, self._seen = place, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Reached) and event.point == self._place.point.value:
            self._seen += 1
            if self._seen == self._place.nth:
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: the exit code (negative: the signal) and what it said."""

    code: int
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def start_command(migration: Path, verb: Verb, org_name: str, at: Place | None = None) -> subprocess.Popen[str]:
    """Start one command as a process of its own, to die at a place if one is given."""
    call = [sys.executable, "-m", "rehouse.testing.kill", "--in", str(migration), "--confirm", org_name, verb.value]
    if at is not None:
        call += ["--at", str(at)]
    return subprocess.Popen(
        call,
        env={**os.environ, "REHOUSE_TARGET_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command to end."""
    with process:
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ended(process.returncode, said)


def run_command(migration: Path, verb: Verb, org_name: str, at: Place | None = None) -> Ended:
    """One command from start to end in its own process."""
    return end_of(start_command(migration, verb, org_name, at))


class Server:
    """`rehouse sandbox` as a process of its own. A server that is started again listens where it did before."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._process: subprocess.Popen[str] | None = None
        self.info: dict[str, Any] = {}

    def start(self) -> None:
        """Start, or start again on the same store and ports. Returns once it listens."""
        ports = [str(self.info.get(name, "0")).rpartition(":")[2] for name in ("url", "admin_url")]
        words = ["sandbox", "salesforce", "--store", str(self._store), "--token", TOKEN, "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "rehouse", *words, "--port", ports[0], "--admin-port", ports[1]],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            process.stdout.close()
            raise AssertionError(f"the sandbox ended with {process.returncode} before it was ready")
        self._process, self.info = process, json.loads(line)

    def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an administrator would. Nothing happens when it has ended already."""
        if self._process is not None:
            self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        with self._process as process:
            process.send_signal(how)
            process.wait(timeout=SECONDS)
        self._process = None


@contextmanager
def served(store: Path) -> Iterator[Server]:
    """A running server, stopped at the end; its token is in the environment meanwhile."""
    server = Server(store)
    server.start()
    os.environ["REHOUSE_TARGET_TOKEN"] = TOKEN
    try:
        yield server
    finally:
        os.environ.pop("REHOUSE_TARGET_TOKEN", None)
        server.stop()


def main(arguments: Sequence[str]) -> None:
    """The child: run one command, die at the place."""
    from rehouse.migration import Migration
    from rehouse.testing.campaign import do

    parser = argparse.ArgumentParser(prog="rehouse.testing.kill")
    parser.add_argument("verb", type=Verb)
    parser.add_argument("--in", dest="folder", type=Path, required=True)
    parser.add_argument("--at", type=Place.parse)
    parser.add_argument("--confirm", default="")
    given = parser.parse_args(arguments)
    sink: Sink = KillAt(given.at) if given.at else silent
    do(Migration.open(given.folder, sink=sink), given.verb, given.confirm)


if __name__ == "__main__":
    main(sys.argv[1:])
