"""Requests to one org: address, version, token, and one new login when a session has ended."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rehouse.clock import Clock, SystemClock
from rehouse.connectors.base import Settings
from rehouse.connectors.salesforce.auth import Login, credentials
from rehouse.connectors.salesforce.errors import SessionEndedError, judge
from rehouse.errors import FatalError, UserError
from rehouse.events import Note, Sink, silent
from rehouse.wire import Answer, Budget, Call, Http, Patience
from rehouse.wire.http import Judge

API_VERSION = 66
"""The version the connector was written for (Spring '26). The org's highest is used where that is lower."""
LOWEST_VERSION = 58
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
NO_ASSIGNMENT = {"Sforce-Auto-Assign": "FALSE"}
"""Sent with every write: assignment rules must not give records other owners (REST guide, "Assignment Rule Header")."""


class Session:
    """One login at one org. Safe across threads.

    Settings besides those of `auth.credentials`: `ca` (PEM file), `version` (such as `66.0`), `reserve` (API calls
    of the day that are left to others), `patience` (a `Patience`), `connections`, `timeout` (seconds without a
    byte after which an answer counts as lost).
    """

    def __init__(self, settings: Settings, sink: Sink = silent, clock: Clock | None = None) -> None:
        self.sink, self.clock = sink, clock or SystemClock()
        self._login, self._renew = credentials(settings, self.clock)
        self.budget = Budget(int(settings.get("reserve") or 0))
        patience = settings.get("patience")
        self.http = Http(
            ca=settings.get("ca"),
            connections=int(settings.get("connections") or 16),
            silence_seconds=float(settings.get("timeout") or 630),
            patience=patience if isinstance(patience, Patience) else None,
            budget=self.budget,
            judge=judge,
            sink=sink,
        )
        self._lock = threading.RLock()
        self._wanted = str(settings.get("version") or f"{API_VERSION}.0").removeprefix("v")
        self._version: str | None = None

    def close(self) -> None:
        self.http.close()

    @property
    def can_renew(self) -> bool:
        return self._renew is not None

    def renew(self, stale: Login | None = None) -> Login:
        """Log in anew, unless another thread has replaced `stale` already. Errors: `UserError` with a bare token."""
        with self._lock:
            if stale is not None and self._login is not stale and self._login is not None:
                return self._login
            if self._renew is None:
                raise UserError(
                    "the session has ended and a bare token cannot be renewed",
                    hint="give a fresh token, or connect with `client_id` and `client_secret` or a key",
                )
            self._login = self._renew(self.http)
            return self._login

    def login(self) -> Login:
        """The live session, made on first use."""
        with self._lock:
            return self._login or self.renew()

    def version(self) -> str:
        """The API version in use, such as `66.0`."""
        with self._lock:
            if self._version is None:
                self._version = self._pick_version()
            return self._version

    def _pick_version(self) -> str:
        url = f"{self.login().url}/services/data"
        listed = self.http.send(Call("GET", url, headers={"Accept": "application/json"})).json()
        known = sorted((float(one["version"]) for one in listed), reverse=True)
        wanted = float(self._wanted)
        if wanted in known:
            return self._wanted
        lower = [version for version in known if LOWEST_VERSION <= version < wanted]
        if not lower:
            raise UserError(
                f"the org does not speak API version {self._wanted}",
                hint=f"it lists {known[-1] if known else 'none'} to {known[0] if known else 'none'}",
            )
        self.sink(Note(f"API version {lower[0]} is used; the org does not list {self._wanted}", step="connect"))
        return str(lower[0])

    def data_url(self, path: str) -> str:
        """The address of a REST resource below `/services/data/vNN.0`."""
        return f"{self.login().url}/services/data/v{self.version()}{path}"

    def send(self, call: Call, *, judge: Judge | None = None) -> Answer:
        """Send with the session's token. `call.url` may be a path of the host (starts with `/services`) or of the
        data API (any other path). After a 401 there is one new login and one more try: a refusal wrote nothing.
        """
        login = self.login()
        try:
            return self._send(call, login, judge)
        except SessionEndedError:
            return self._send(call, self.renew(login), judge)

    def _send(self, call: Call, login: Login, judge: Judge | None) -> Answer:
        url = call.url
        if url.startswith("/services/"):
            url = login.url + url
        elif url.startswith("/"):
            url = f"{login.url}/services/data/v{self.version()}{url}"
        headers = {"Authorization": f"Bearer {login.token}", "Accept": "application/json", **call.headers}
        answer = self.http.send(replace(call, url=url, headers=headers), judge=judge)
        self._note_usage(answer.headers)
        return answer

    def _note_usage(self, headers: Mapping[str, str]) -> None:
        found = _USAGE.search(headers.get("sforce-limit-info", ""))
        if found:
            self.budget.report("calls", used=int(found.group(1)), maximum=int(found.group(2)))

    def get(self, path: str, *, essential: bool = False) -> Any:
        """The JSON of a resource."""
        return _json(self.send(Call("GET", path, essential=essential)))

    def write(
        self, method: str, path: str, body: Any = None, *, repeatable: bool = False, essential: bool = False
    ) -> Any:
        """Send JSON and return the JSON of the answer (None without one)."""
        call = Call(method, path, headers=NO_ASSIGNMENT, json=body, repeatable=repeatable, essential=essential)
        answer = self.send(call)
        return _json(answer) if answer.body else None


def _json(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError as bad:
        raise FatalError(
            f"the server answered {answer.status} with something that is no JSON",
            hint="a proxy or login page between here and the org?",
        ) from bad
