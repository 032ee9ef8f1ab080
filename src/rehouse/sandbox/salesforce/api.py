"""One call of the data API as a plain value, and the table that maps paths to operations.

Operations are synchronous functions from a `Call` to an `Answer`; the HTTP adapter runs them in a thread.
Composite requests use the same table directly, so that all their parts can share one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web

from rehouse.sandbox.salesforce import faults, wire
from rehouse.sandbox.salesforce.outcome import ApiError, RowError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.schema_model import SObject
from rehouse.sandbox.salesforce.site import Site, blocking, site_of, user_of

PREFIX = "/services/data/{version}"
LOCKED = RowError(faults.LOCK_CODE, faults.LOCK_MESSAGE)
ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body (None: no body) and headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `params`: variable parts of the path; `query`: the query string; header names in lower case."""

    site: Site
    user_id: str
    method: str
    path: str
    version: int
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes = b""
    content_type: str = wire.JSON_TYPE
    parsed: Any = None
    dropped: str = ""
    locked: frozenset[int] = frozenset()

    @property
    def base(self) -> str:
        """`/services/data/vNN.0`."""
        return f"/services/data/v{self.version}.0"

    def json(self) -> Any:
        """The parsed body. Errors: 400 JSON_PARSER_ERROR, 415 for another media type."""
        if self.parsed is None:
            wire.check_json_type(self.content_type)
        body = self.parsed if self.parsed is not None else wire.parse_json(self.raw)
        return faults.drop_field(body, self.dropped) if self.dropped else body

    def object_json(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        body = self.json()
        if not isinstance(body, dict):
            raise ApiError(400, "JSON_PARSER_ERROR", "The request body must be a JSON object at [line:1, column:1]", ())
        return body

    def sobject(self) -> SObject:
        """The object named in the path. Errors: 404 NOT_FOUND."""
        found = self.site.org.schema.get(self.params["object"])
        if found is None:
            raise wire.not_found()
        return found

    def options(self, *, all_or_none: bool = False) -> SaveOptions:
        """How to save, from the request headers."""
        assign = self.headers.get("sforce-auto-assign", "TRUE").strip().upper() != "FALSE"
        duplicates = self.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
        return SaveOptions(
            all_or_none=all_or_none,
            auto_assign=assign,
            duplicate_allow_save="allowsave=true" in duplicates,
            user_id=self.user_id,
            version=self.version,
        )


Operation = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class _Route:
    methods: frozenset[str]
    template: str
    pattern: re.Pattern[str]
    operation: Operation


class Table:
    """Operations by method and path; the first path that matches and knows the method wins."""

    def __init__(self) -> None:
        self._routes: list[_Route] = []

    def add(self, methods: str, template: str, operation: Operation) -> None:
        """`methods`: verbs parted by blanks; `template`: path under the version, with `{name}` parts."""
        parts = re.split(r"(\{\w+\})", PREFIX + template)
        pattern = "".join(f"(?P<{p[1:-1]}>[^/]+)" if p.startswith("{") else re.escape(p) for p in parts)
        self._routes.append(_Route(frozenset(methods.split()), template, re.compile(pattern + "/?"), operation))

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation of a path and its variable parts. Errors: 404 NOT_FOUND, 405 METHOD_NOT_ALLOWED."""
        allowed: set[str] = set()
        for route in self._routes:
            found = route.pattern.fullmatch(path)
            if found is None:
                continue
            if method in route.methods or (method == "HEAD" and "GET" in route.methods):
                return route.operation, {name: unquote(value) for name, value in found.groupdict().items()}
            allowed |= route.methods
        if allowed:
            text = f"HTTP Method '{method}' not allowed. Allowed are {','.join(sorted(allowed))}"
            raise ApiError(405, "METHOD_NOT_ALLOWED", text)
        raise wire.not_found()

    def templates(self) -> Iterator[str]:
        """The registered paths, each once."""
        yield from dict.fromkeys(route.template for route in self._routes)

    def perform(
        self,
        parent: Call,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run a sub-request of a composite call. Errors become answers."""
        split = urlsplit(url)
        try:
            operation, params = self.find(method.upper(), split.path)
            call = replace(
                parent,
                method=method.upper(),
                path=split.path,
                version=wire.version_number(params.pop("version")),
                params=params,
                query=dict(parse_qsl(split.query, keep_blank_values=True)),
                headers={name.lower(): str(value) for name, value in (headers or {}).items()},
                raw=b"",
                parsed=body,
                dropped="",
            )
            return operation(call)
        except ApiError as refused:
            return Answer(refused.status, wire.error_body(refused.code, refused.message, refused.fields or None))


TABLE = web.AppKey("table", Table)


async def adapter(request: web.Request) -> web.StreamResponse:
    """Serve any path under `/services/data/vNN.0` from the table."""
    method = request.method
    # Clients behind firewalls send PATCH and DELETE as a POST with this parameter.
    if method == "POST" and "_HttpMethod" in request.query:
        method = request.query["_HttpMethod"].upper()
    operation, params = request.app[TABLE].find(method, request.url.raw_path)
    call = Call(
        site=site_of(request),
        user_id=user_of(request),
        method=method,
        path=request.url.raw_path,
        version=wire.version_number(params.pop("version")),
        params=params,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        raw=await wire.read_bytes(request) if request.body_exists else b"",
        content_type=request.content_type,
        dropped=request.get(wire.DROPPED_FIELD, ""),
        locked=request.get(wire.LOCKED_ROWS, frozenset()),
    )
    return render(await blocking(operation, call))


def render(result: Answer) -> web.Response:
    if result.body is None:
        return web.Response(status=result.status, headers=result.headers)
    return wire.answer(result.body, result.status, result.headers)


def save(
    call: Call,
    rows: Sequence[Mapping[str, Any]],
    write: Callable[[Sequence[Mapping[str, Any]]], list[RowResult]],
    *,
    all_or_none: bool = False,
) -> list[RowResult]:
    """Write rows through the org, except those that a scheduled lock fault holds."""
    if not call.locked:
        return write(rows)
    locked = [n for n in range(len(rows)) if n in call.locked]
    if locked and all_or_none:
        return [RowResult(None, False, None, (LOCKED if n in call.locked else ROLLED_BACK,)) for n in range(len(rows))]
    written = iter(write([row for n, row in enumerate(rows) if n not in call.locked]))
    return [RowResult(None, False, None, (LOCKED,)) if n in call.locked else next(written) for n in range(len(rows))]
