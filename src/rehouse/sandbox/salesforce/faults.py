"""Faults on a schedule: what a platform, a proxy or a network does on a bad day.

A fault is armed through the admin port and fires on the nth request that matches its method and path,
once or `times` times. Faults happen outside the org: what the handler has committed stays committed.

| kind | effect |
|---|---|
| `expired_session` | 401 INVALID_SESSION_ID; a token from OAuth or SOAP login is dead from then on |
| `status` | answer `status` (default 503) `when` = `before` or `after` the work; `body` = `json`, `html`, `empty` |
| `maintenance` | 503 with an HTML page, nothing done |
| `500_after_commit` | the work is done, the answer is 500 UNKNOWN_EXCEPTION |
| `reset_before`, `reset_after_commit` | the TCP connection is reset without an answer |
| `truncated_body` | the work is done, the answer announces its full length and stops at `fraction` of it (0.5) |
| `slow` | the answer starts `seconds` later; `when` = `before` or `after` the work |
| `row_locks` | rows `rows` (0-based) of the request fail with UNABLE_TO_LOCK_ROW and are not written |
| `dropped_field` | the answer says success, but the value of `field` is not stored |
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from rehouse.errors import UsageError
from rehouse.sandbox.salesforce import wire

KINDS = frozenset(
    {
        "expired_session",
        "status",
        "maintenance",
        "500_after_commit",
        "reset_before",
        "reset_after_commit",
        "truncated_body",
        "slow",
        "row_locks",
        "dropped_field",
    }
)
LOCK_CODE = "UNABLE_TO_LOCK_ROW"
LOCK_MESSAGE = "unable to obtain exclusive access to this record"
MAINTENANCE = (
    "<!DOCTYPE html><html><head><title>We are down for maintenance</title></head>"
    "<body><h1>We are down for maintenance.</h1><p>Sorry for the inconvenience. We'll be back shortly.</p>"
    "</body></html>"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class ScheduledFault:
    """One armed fault."""

    id: str
    kind: str
    method: str
    path: re.Pattern[str]
    nth: int
    times: int
    options: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0
    finished: int = 0
    """How often the fault is over: the work of its request, if it lets any be done, is done."""

    def hits(self, method: str, path: str) -> bool:
        """Count the request and tell whether the fault fires on it."""
        if self.fired >= self.times or (self.method and self.method != method) or not self.path.search(path):
            return False
        self.seen += 1
        if self.seen < self.nth:
            return False
        self.fired += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        match = {"method": self.method, "path": self.path.pattern, "nth": self.nth}
        counts = {"times": self.times, "seen": self.seen, "fired": self.fired, "finished": self.finished}
        return {"id": self.id, "kind": self.kind, "match": match, **counts, **self.options}


class FaultPlan:
    """The armed faults of a server, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[ScheduledFault] = []
        self._next = 1

    def add(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Arm a fault from its JSON form. Errors: UsageError for an unknown kind or a bad pattern."""
        kind = spec.get("kind")
        if kind not in KINDS:
            raise UsageError(f"unknown fault kind {kind!r}", hint=f"one of {', '.join(sorted(KINDS))}")
        match = spec.get("match") or {}
        try:
            pattern = re.compile(match.get("path") or "")
        except re.error as bad:
            raise UsageError(f"the path pattern is no regular expression: {bad}", hint="escape dots") from bad
        known = {"id", "kind", "match", "times"}
        with self._lock:
            fault = ScheduledFault(
                id=str(spec.get("id") or f"fault-{self._next}"),
                kind=kind,
                method=str(match.get("method") or "").upper(),
                path=pattern,
                nth=max(1, int(match.get("nth") or 1)),
                times=max(1, int(spec.get("times") or 1)),
                options={name: value for name, value in spec.items() if name not in known},
            )
            self._next += 1
            self._faults.append(fault)
            return fault.as_dict()

    def armed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_dict() for fault in self._faults]

    def clear(self, fault_id: str | None = None) -> None:
        """Disarm one fault, or all."""
        with self._lock:
            self._faults = [] if fault_id is None else [f for f in self._faults if f.id != fault_id]

    def draw(self, method: str, path: str) -> list[ScheduledFault]:
        """The faults that fire on this request; each matching fault counts it."""
        with self._lock:
            return [fault for fault in self._faults if fault.hits(method, path)]


async def play(fault: ScheduledFault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve the request the way the fault wants it."""
    try:
        return await _play(fault, request, handler)
    finally:
        fault.finished += 1


async def _play(fault: ScheduledFault, request: web.Request, handler: Handler) -> web.StreamResponse:
    late = fault.options.get("when", "before") == "after"
    match fault.kind:
        case "slow":
            return await _slow(request, handler, float(fault.options.get("seconds", 1)), late)
        case "status" if late:
            await handler(request)
            return _refusal(fault)
        case "status":
            return _refusal(fault)
        case "maintenance":
            return web.Response(text=MAINTENANCE, status=503, content_type="text/html")
        case "500_after_commit":
            await handler(request)
            return wire.answer(
                wire.error_body("UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 1-1 (1)"), 500
            )
        case "reset_before":
            return _reset(request)
        case "reset_after_commit":
            await handler(request)
            return _reset(request)
        case "truncated_body":
            return await _truncate(request, await handler(request), float(fault.options.get("fraction", 0.5)))
        case "expired_session":
            request[wire.EXPIRE] = True
        case "row_locks":
            request[wire.LOCKED_ROWS] = frozenset(int(n) for n in fault.options.get("rows", [0]))
        case "dropped_field":
            request[wire.DROPPED_FIELD] = str(fault.options.get("field", ""))
    return await handler(request)


async def _slow(request: web.Request, handler: Handler, seconds: float, late: bool) -> web.StreamResponse:
    if not late:
        await asyncio.sleep(seconds)
        return await handler(request)
    response = await handler(request)
    await asyncio.sleep(seconds)
    return response


def _refusal(fault: ScheduledFault) -> web.Response:
    status = int(fault.options.get("status", 503))
    headers = {str(k): str(v) for k, v in (fault.options.get("headers") or {}).items()}
    form = fault.options.get("body", "json")
    if form == "empty":
        return web.Response(status=status, headers=headers)
    if form == "html":
        return web.Response(text=MAINTENANCE, status=status, content_type="text/html", headers=headers)
    codes = {429: "REQUEST_LIMIT_EXCEEDED", 503: "SERVER_UNAVAILABLE", 500: "UNKNOWN_EXCEPTION"}
    code = str(fault.options.get("code") or codes.get(status, "UNKNOWN_EXCEPTION"))
    message = str(fault.options.get("message") or "Server Too Busy")
    return wire.answer(wire.error_body(code, message), status, headers)


def _reset(request: web.Request) -> web.Response:
    """Close with a TCP reset: linger zero makes the kernel send RST instead of FIN."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


async def _truncate(request: web.Request, response: web.StreamResponse, fraction: float) -> web.StreamResponse:
    """Announce the whole length, send a part, drop the connection."""
    if isinstance(response, wire.FileAnswer):
        body = response.file.read_bytes()
    elif isinstance(response, web.Response) and isinstance(response.body, bytes | bytearray):
        body = bytes(response.body)
    else:
        return response
    cut = web.StreamResponse(status=response.status)
    for name, value in response.headers.items():
        if name.lower() not in ("content-length", "content-encoding", "transfer-encoding"):
            cut.headers[name] = value
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: int(len(body) * fraction)])
    if request.transport is not None:
        request.transport.close()
    return cut


def drop_field(body: Any, name: str) -> Any:
    """The same JSON without any key `name`, at any depth."""
    if isinstance(body, dict):
        return {key: drop_field(value, name) for key, value in body.items() if key.lower() != name.lower()}
    if isinstance(body, list):
        return [drop_field(value, name) for value in body]
    return body
