"""Starting and stopping a sandbox: `serve` blocks until a signal, `background` runs one beside the caller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from rehouse.clock import Clock, SystemClock
from rehouse.errors import UserError
from rehouse.sandbox.salesforce import admin, server
from rehouse.sandbox.salesforce.auth import Sessions
from rehouse.sandbox.salesforce.bootstrap import ADMIN_USERNAME
from rehouse.sandbox.salesforce.bulk import BulkJobs
from rehouse.sandbox.salesforce.bulkfaults import FaultyEngine
from rehouse.sandbox.salesforce.faults import FaultPlan
from rehouse.sandbox.salesforce.limits import Limits
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.seed import apply_seed, load_seed
from rehouse.sandbox.salesforce.site import ServerClock, Site
from rehouse.sandbox.salesforce.state import ServerState
from rehouse.sandbox.salesforce.tls import certificates

HOST = "127.0.0.1"
LICENCES = 100
"""Licences of the organization row; the daily API allocation grows with them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to start. `store` None means a temporary one, gone at the end; port 0 means a free port."""

    store: Path | None = None
    port: int = 0
    token: str | None = None
    tls: bool = False
    edition: str = "Enterprise"
    seed: str | None = None
    admin_port: int | None = 0
    clock: Clock | None = None


class Sandbox:
    """One sandbox: its store and its two HTTP ports."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._temporary = settings.store is None
        self.store = Path(tempfile.mkdtemp(prefix="rehouse-sandbox-")) if settings.store is None else settings.store
        self._runners: list[web.AppRunner] = []
        self._site: Site | None = None
        self.info: dict[str, Any] = {}

    async def start(self) -> dict[str, Any]:
        """Open the store and listen. What a client needs to know is the answer.

        Errors: UserError for a port in use, InputError for a bad seed.
        """
        site, sessions = await asyncio.to_thread(self._open)
        self._site = site
        settings = self._settings
        certs = certificates(self.store / "tls") if settings.tls else None
        try:
            port = await self._listen(server.build_app(site, sessions), settings.port, certs and certs.server_context())
            site.url = f"{'https' if settings.tls else 'http'}://{HOST}:{port}"
            admin_url = None
            if settings.admin_port is not None:
                admin_url = f"http://{HOST}:{await self._listen(admin.build_admin(site), settings.admin_port, None)}"
        except OSError as taken:
            await self.stop()
            raise UserError(f"the sandbox cannot listen: {taken}", hint="choose another port with --port") from taken
        known = sessions.credentials
        fixed = settings.token
        token = sessions.open(site.org.admin_id, "fixed", fixed) if fixed else sessions.open(site.org.admin_id)
        self.info = {
            "url": site.url,
            "token": token,
            "refresh_token": sessions.open(site.org.admin_id, "refresh"),
            "username": ADMIN_USERNAME,
            "password": known.password,
            "security_token": known.security_token,
            "org_id": site.org.org_id,
            "ca": str(certs.ca) if certs else None,
            "client_id": known.client_id,
            "client_secret": known.client_secret,
            "admin_url": admin_url,
            "store": str(self.store),
        }
        return self.info

    def _open(self) -> tuple[Site, Sessions]:
        self.store.mkdir(parents=True, exist_ok=True)
        state = ServerState(self.store / "surface.sqlite")
        try:
            clock = ServerClock(self._settings.clock or SystemClock(), state)
            org = Org.open(self.store, clock, edition=self._settings.edition)
        except BaseException:
            state.close()
            raise
        # Before anything is written: two engines on one connection would share the names of their work tables.
        org.engine = engine = FaultyEngine(org)
        try:
            if self._settings.seed:
                apply_seed(org, load_seed(self._settings.seed))
            jobs = BulkJobs(org)
            limits = Limits(org.edition, LICENCES, clock, state, jobs.batches_since)
            jobs.allowance = limits.batches_left
            jobs.pace = engine.enter
            jobs.resume()
        except BaseException:
            org.close()
            state.close()
            raise
        return Site(self.store, org, jobs, clock, state, limits, FaultPlan()), Sessions(org.org_id, clock, state)

    async def _listen(self, app: web.Application, port: int, tls: Any) -> int:
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=2.0,
            max_line_size=server.MAX_URI_BYTES,
            max_field_size=server.MAX_URI_BYTES,
        )
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, HOST, port, ssl_context=tls).start()
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening, finish the work in hand, close the store, remove a temporary one."""
        for runner in self._runners:
            await _end(runner)
        self._runners.clear()
        if self._site is not None:
            await asyncio.to_thread(self._close, self._site)
            self._site = None
        if self._temporary:
            shutil.rmtree(self.store, ignore_errors=True)

    @staticmethod
    def _close(site: Site) -> None:
        site.jobs.stop()
        site.org.close()
        site.state.close()


async def _end(runner: web.AppRunner) -> None:
    """Stop a runner, then cut the connections that its clients keep open: a TLS farewell would wait for them."""
    open_connections = runner.server.connections if runner.server is not None else []
    transports = [one.transport for one in open_connections if one.transport is not None]
    await runner.cleanup()
    for transport in transports:
        transport.abort()
    # A transport is freed by a callback of a later turn of the loop.
    for _ in range(3):
        await asyncio.sleep(0)


def serve(
    store: Path | None,
    port: int,
    token: str | None,
    tls: bool,
    edition: str,
    seed: str | None,
    admin_port: int | None,
    ready: Callable[[dict[str, Any]], None],
) -> None:
    """Run a sandbox until SIGTERM or SIGINT, then end cleanly. `ready` hears urls and credentials once it listens."""
    asyncio.run(_serve(Settings(store, port, token, tls, edition, seed, admin_port), ready))


async def _serve(settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
    sandbox = Sandbox(settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    try:
        ready(await sandbox.start())
        await ended.wait()
    finally:
        await sandbox.stop()


@contextlib.contextmanager
def background(settings: Settings) -> Iterator[Sandbox]:
    """A sandbox in a thread of this process, stopped at the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    sandbox = Sandbox(settings)
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
