"""The sandbox as a process of its own, and plain HTTPS questions to it that no code of the connector touches."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehouse.errors import FatalError

API = "v59.0"
PATIENCE_SECONDS = 15
"""How long a server that was asked to end may take to close its store."""


@dataclass(slots=True)
class Server:
    """A running sandbox. `token` is a live session; it is never written to a file."""

    process: subprocess.Popen[str]
    url: str
    token: str
    port: int
    ca: str

    def query(self, soql: str) -> list[dict[str, Any]]:
        """All records that a query returns, page after page, over plain HTTPS."""
        path = f"/services/data/{API}/query?" + urllib.parse.urlencode({"q": soql})
        found: list[dict[str, Any]] = []
        while path:
            page = self._get(path)
            found += page["records"]
            path = page.get("nextRecordsUrl", "")
        return found

    def calls_left(self) -> int:
        """What the org says is left of its daily API requests; asking is a request too."""
        return int(self._get(f"/services/data/{API}/limits")["DailyApiRequests"]["Remaining"])

    def _get(self, path: str) -> dict[str, Any]:
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with _open(asked, self.ca) as answer:
            return dict(json.load(answer))

    def count(self, object_name: str) -> int:
        """Number of records of one object."""
        return int(self.query(f"SELECT COUNT(Id) n FROM {object_name}")[0]["n"])

    def keys(self, object_name: str, field: str) -> list[str]:
        """The values of a key field of every record that has one."""
        return [str(r[field]) for r in self.query(f"SELECT {field} FROM {object_name} WHERE {field} != null")]


def answers(url: str, ca: str) -> bool:
    """Whether a sandbox listens there: it lists its versions to anybody."""
    try:
        with _open(urllib.request.Request(f"{url}/services/data"), ca) as answer:
            return int(answer.status) == 200
    except (OSError, ValueError):
        return False


def _open(asked: urllib.request.Request, ca: str) -> Any:
    """Over TLS with the sandbox's own certificate authority, and never through a proxy: all is on the loopback."""
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), secure).open(asked, timeout=60)


def start(store: Path, log: Path, seed: Path) -> Server:
    """Start a sandbox of its own on a free port of the loopback and wait until it listens."""
    command = [sys.executable, "-m", "rehouse", "sandbox", "salesforce", "--tls", "--json"]
    command += ["--store", str(store), "--seed", str(seed)]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
            start_new_session=True,  # Ctrl-C is for us: we end it when we are through
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
    except BaseException:
        stop(process)
        raise
    process.stdout.close()
    if not line.strip():
        process.wait()
        raise FatalError("the sandbox did not start", hint=f"its own words are in {log}")
    info = json.loads(line)
    port = urllib.parse.urlsplit(info["url"]).port or 0
    return Server(process, info["url"], info["token"], port, info["ca"])


def stop(process: subprocess.Popen[str]) -> None:
    """End a process of ours and wait for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def running(store: Path, log: Path, seed: Path, *, keep: bool) -> Iterator[Server]:
    """A sandbox for the time of the block; with `keep` it stays when the block ends well."""
    server = start(store, log, seed)
    try:
        yield server
    except BaseException:
        stop(server.process)
        raise
    if keep:
        server.process.returncode = 0  # ours no longer: nobody waits for it and nobody warns
    else:
        stop(server.process)
