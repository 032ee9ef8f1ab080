"""What every handler needs: the org, its jobs, clock, sessions, limits and scheduled faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from aiohttp import web

from rehouse.clock import Clock
from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.bulk import BulkJobs
from rehouse.sandbox.salesforce.faults import FaultPlan
from rehouse.sandbox.salesforce.limits import Limits
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.state import ServerState

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ServerClock:
    """Real time plus an offset that the admin port moves. The offset survives a restart."""

    def __init__(self, base: Clock, state: ServerState) -> None:
        self._base, self._state = base, state
        self._lock = threading.Lock()
        self._offset = timedelta(seconds=float(state.setting("clock offset", "0") or 0))

    def now(self) -> datetime:
        with self._lock:
            return self._base.now() + self._offset

    def sleep(self, seconds: float) -> None:
        self._base.sleep(seconds)

    def advance(self, by: timedelta) -> None:
        """Move the clock. Later requests see the new time."""
        with self._lock:
            self._offset += by
            self._state.remember("clock offset", str(self._offset.total_seconds()))

    def set(self, moment: datetime) -> None:
        """Put the clock at `moment`; it runs on from there."""
        self.advance(moment - self.now())


@dataclass(slots=True)
class Site:
    """One org as it is served."""

    store: Path
    org: Org
    jobs: BulkJobs
    clock: ServerClock
    state: ServerState
    limits: Limits
    faults: FaultPlan
    url: str = ""
    """Base address, set when the port is known."""
    fixed_token: str | None = None
    cursors: dict[str, Any] = field(default_factory=dict)
    """Open query cursors: locator → run, newest last."""


SITE = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    return request.app[SITE]


def user_of(request: web.Request) -> str:
    """The id of the user whose session the request carries."""
    return request[wire.USER]


async def blocking(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run work on the store in a thread so that other connections are served meanwhile."""
    return await asyncio.to_thread(work, *args, **kwargs)
