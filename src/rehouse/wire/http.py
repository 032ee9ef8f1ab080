"""A synchronous face on aiohttp: one event loop in a background thread, callers stay plain Python.

What a failure means is settled here, once: before anything was sent it is a `RetryableError`; afterwards it is
one only for requests that may be repeated without harm, and an `OutcomeUnknownError` for the others. Which
status codes are failures is the connector's business: its `judge` raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson

from rehouse.errors import OutcomeUnknownError, RehouseError, RetryableError, UserError
from rehouse.events import Note, Sink, silent
from rehouse.wire.budget import Budget
from rehouse.wire.retry import Patience, persist

T = TypeVar("T")
CHUNK = 1 << 20
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a multipart form: bytes in memory, or a file that is streamed from disk."""

    name: str
    content: bytes | Path
    content_type: str
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request. At most one of `json`, `data`, `form` is given.

    `data` may be bytes, a file (streamed, with its length), or a function that returns a fresh iterator of bytes
    (sent chunked). `to` streams the answer's body of a 2xx into that file. `repeatable` says that sending twice
    does no harm; reading requests always are. `compress` sends a bytes or JSON body gzipped. `kinds` are the
    units of the budget it spends; `essential` requests may use the reserve.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: bytes | Path | Callable[[], Iterator[bytes]] | None = None
    form: Sequence[FormPart] = ()
    to: Path | None = None
    repeatable: bool = False
    essential: bool = False
    compress: bool = False
    kind: str = "calls"

    @property
    def harmless(self) -> bool:
        return self.repeatable or self.method in _SAFE

    @property
    def shown(self) -> str:
        """Method and path for people: never the query, which may hold values."""
        return f"{self.method} {self.url.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case. `path` is the file that got the body, if one did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: Path | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Errors: `ValueError`."""
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


Judge = Callable[[Call, Answer], None]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header, or None (its date form is not used by the platforms served)."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def plain_judge(call: Call, answer: Answer) -> None:
    """The meaning of status codes for servers that nobody has described: 429 and, where harmless, 5xx wait."""
    if answer.ok:
        return
    message = f"{call.shown} answered {answer.status}"
    if answer.status == 429 or (answer.status >= 500 and call.harmless):
        raise RetryableError(message, wait=retry_after(answer.headers))
    if answer.status >= 500:
        raise OutcomeUnknownError(message)
    raise UserError(message, hint="the server refused the request; check address, credentials and permissions")


class Http:
    """A pool of connections to one server. Use from any thread; close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        ca: str | Path | None = None,
        connections: int = 16,
        connect_seconds: float = 20.0,
        silence_seconds: float = 630.0,
        patience: Patience | None = None,
        budget: Budget | None = None,
        judge: Judge = plain_judge,
        sink: Sink = silent,
    ) -> None:
        """`ca` is a PEM file of a private authority. `silence_seconds`: how long an answer may stay away."""
        self.budget = budget or Budget()
        self._patience = patience or Patience()
        self._judge, self._sink = judge, sink
        self._tls = _tls(ca)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_seconds, sock_read=silence_seconds
        )
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, call: Call, *, judge: Judge | None = None) -> Answer:
        """Send a request, retry it where that is safe, and return the answer the judge accepts.

        Errors: `RetryableError` (nothing written, patience ended), `OutcomeUnknownError`, `BudgetError`,
        `UserError` (bad address or certificate), and whatever the judge raises.
        """
        verdict = judge or self._judge

        async def once() -> Answer:
            self.budget.require(call.kind, essential=call.essential)
            self.budget.count(call.kind)
            answer = await self._once(call)
            verdict(call, answer)
            return answer

        return self._run(persist(once, self._patience, self._announce, lambda: self.budget.count("retries")))

    def close(self) -> None:
        """Close connections, loop and thread. Doing it twice is fine."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _announce(self, text: str) -> None:
        self._sink(Note(text, step="wire"))

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise UserError("this connection is closed", hint="open a new one")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="rehouse-wire", daemon=True)
                self._thread.start()
            return self._loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            loop = self._started()
        except RehouseError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            # An interrupt hits the waiting thread; without this the request would go on behind our back.
            if not future.done():
                future.cancel()
                with contextlib.suppress(CancelledError, Exception):
                    future.result(timeout=5)
            raise

    async def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._tls)
            session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, json_serialize=_dumps, trust_env=True
            )
            # aiohttp sends PUT and DELETE again by itself when a kept connection breaks; what it cannot know
            # is whether the first one was carried out. There is no public switch for it; a test holds this.
            session._retry_connection = False
            self._session = session
        return self._session

    async def _shut(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _once(self, call: Call) -> Answer:
        session = await self._open()
        with contextlib.ExitStack() as files:
            body, headers = _body(call, files)
            try:
                async with session.request(
                    call.method, call.url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    return await _read(response, call)
            except (aiohttp.ClientError, TimeoutError, OSError) as failure:
                raise _failure(call, failure) from failure


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _tls(ca: str | Path | None) -> ssl.SSLContext | bool:
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as bad:
        raise UserError(
            f"the certificate authority file {ca} cannot be used: {bad}", hint="give a PEM file as `ca`"
        ) from bad


def _body(call: Call, files: contextlib.ExitStack) -> tuple[Any, dict[str, str]]:
    """The body in aiohttp's terms, made afresh for each attempt, and the headers that belong to it."""
    headers = dict(call.headers)
    if call.form:
        form = aiohttp.MultipartWriter("form-data")
        for part in call.form:
            content = part.content
            value = files.enter_context(content.open("rb")) if isinstance(content, Path) else content
            # The name of a file on this machine is nobody's business: the payload would otherwise add it.
            payload = form.append(value, {"Content-Type": part.content_type})
            if part.filename:
                payload.set_content_disposition("form-data", name=part.name, filename=part.filename)
            else:
                payload.set_content_disposition("form-data", name=part.name)
        return form, headers
    body: Any = call.data
    if call.json is not None:
        body = orjson.dumps(call.json)
        headers.setdefault("Content-Type", "application/json; charset=UTF-8")
    if isinstance(body, Path):
        body = files.enter_context(body.open("rb"))
    elif callable(body):
        body = _chunks(body())
    elif call.compress and isinstance(body, bytes):
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return body, headers


async def _chunks(source: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A blocking iterator, read in a thread so that other requests go on meanwhile."""
    while (chunk := await asyncio.to_thread(next, source, None)) is not None:
        yield chunk


async def _read(response: aiohttp.ClientResponse, call: Call) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if call.to is None or not 200 <= response.status < 300:
        return Answer(response.status, headers, await response.read())
    with call.to.open("wb") as out:
        async for chunk in response.content.iter_chunked(CHUNK):
            out.write(chunk)
    return Answer(response.status, headers, b"", call.to)


def _failure(call: Call, failure: Exception) -> RehouseError:
    """What a broken request means to the caller. The text names the kind of failure, never the request's body."""
    message = f"{call.shown} failed: {type(failure).__name__}"
    if isinstance(failure, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return UserError(f"{message}: the server's certificate is not trusted", hint="give its authority as `ca`")
    if isinstance(failure, aiohttp.InvalidURL):
        return UserError(f"{message}: not an address", hint="check the `url` of the connection")
    # Only these two are certain to come before the first byte; a file we cannot read is neither.
    if isinstance(failure, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return RetryableError(
            f"{message}: the server cannot be reached",
            hint="check the address, the network and whether the server is up, then run the same command again",
        )
    if isinstance(failure, OSError) and failure.filename is not None:
        return UserError(f"{message}: {failure.strerror} ({failure.filename})", hint="check file and disk")
    if call.harmless:
        return RetryableError(f"{message}: the connection broke", hint="run the same command again")
    return OutcomeUnknownError(
        f"{message}: the connection broke after the request may have arrived",
        hint="ask the target what it holds before sending again",
    )
