"""Shapes on the wire: JSON and XML answers, error bodies, bodies of requests, API versions.

Facts: the REST guide's chapter on status codes and error responses, and the traffic of public clients
(an error is always a JSON array; `fields` is present for record errors; SOAP faults use the prefix `sf`).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import orjson
from aiohttp import web

from rehouse.sandbox.salesforce.outcome import ApiError, RowError, RowResult

FIRST_VERSION, LAST_VERSION = 31, 67
JSON_TYPE = "application/json"
XML_TYPE = "text/xml"
SOAP_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
MAX_TEXT_BODY = 50 * 1024 * 1024
"""Bytes of one REST body in JSON (fact sheet section 5.8)."""

USER = web.RequestKey("user", str)
"""The id of the user whose session the request carries."""
EXPIRE = web.RequestKey("expire", bool)
"""A scheduled fault ends the session of this request."""
LOCKED_ROWS: web.RequestKey[frozenset[int]] = web.RequestKey("locked_rows", frozenset)
"""Rows (0-based) that a scheduled fault holds."""
DROPPED_FIELD = web.RequestKey("dropped_field", str)
"""The field whose value a scheduled fault keeps from being stored."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_VERSION = re.compile(r"^v(\d+)\.0$")
_DATA_PATH = re.compile(r"^/services/data/v[^/]*/")
_SEASONS = ("Winter", "Spring", "Summer")


class FileAnswer(web.FileResponse):
    """A file streamed from disk. Keeps its path so that a scheduled fault can cut it short."""

    def __init__(self, path: Path, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(path, headers={**(headers or {}), "Content-Type": content_type})
        self.file = path


class Routes:
    """Registers handlers under a prefix, with and without a trailing slash: clients send both."""

    def __init__(self, router: web.UrlDispatcher, prefix: str = "") -> None:
        self._router, self._prefix = router, prefix

    def add(self, methods: str, path: str, handler: Handler) -> None:
        """`methods`: one or several verbs, parted by blanks."""
        for spelt in (self._prefix + path, self._prefix + path + "/"):
            resource = self._router.add_resource(spelt)
            for method in methods.split():
                resource.add_route(method, handler)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer as the platform sends it."""
    return web.Response(
        body=orjson.dumps(body, option=orjson.OPT_PASSTHROUGH_DATETIME),
        status=status,
        headers={"Content-Type": "application/json;charset=UTF-8", **(headers or {})},
    )


def empty(status: int = 204) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status)


def error_body(code: str, message: str, fields: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The array around one error of a request. `fields` appears only for errors of a record."""
    one: dict[str, Any] = {"message": message, "errorCode": code}
    if fields is not None:
        one["fields"] = list(fields)
    return [one]


def api_error(error: ApiError) -> web.Response:
    """A refused request."""
    fields = list(error.fields) or None
    return answer(error_body(error.code, error.message, fields), error.status)


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    return ApiError(404, "NOT_FOUND", message, ())


def version_label(number: int) -> str:
    """The release name of an API version: 67 is Summer '26, three releases a year going back."""
    back = LAST_VERSION - number
    step = 2 - back
    return f"{_SEASONS[step % 3]} '{(26 + step // 3) % 100:02d}"


def versions() -> list[dict[str, str]]:
    """`GET /services/data`: every supported version, oldest first."""
    return [
        {"label": version_label(n), "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
        for n in range(FIRST_VERSION, LAST_VERSION + 1)
    ]


def version_number(word: str) -> int:
    """The API version of a path (`v67.0`). Errors: 404 for a word that is none, 410 for a retired one."""
    found = _VERSION.match(word)
    if found is None:
        raise not_found()
    number = int(found.group(1))
    if 20 < number < FIRST_VERSION:
        raise ApiError(410, "UNSUPPORTED_API_VERSION", f"API version {number}.0 has been retired", ())
    if not FIRST_VERSION <= number <= LAST_VERSION:
        raise not_found()
    return number


def version_of(request: web.Request) -> int:
    """The API version named in the path of a request."""
    return version_number(request.match_info["version"])


async def read_bytes(request: web.Request, limit: int = MAX_TEXT_BODY) -> bytes:
    """The request body, unpacked when it is gzip or deflate. Errors: 413 beyond `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > limit:
            raise ApiError(413, "REQUEST_TOO_LARGE", f"Request body exceeds the limit of {limit} bytes", ())
        parts.append(chunk)
    body = b"".join(parts)
    # aiohttp's server unpacks `Content-Encoding` itself; the magic number tells whether it did.
    if request.headers.get("Content-Encoding", "").lower() == "gzip" and body[:2] == b"\x1f\x8b":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as broken:
            raise ApiError(400, "JSON_PARSER_ERROR", "The request body is not valid gzip", ()) from broken
    return body


def check_json_type(kind: str) -> None:
    """Errors: 415 for a body that is not declared as JSON (no declaration at all is accepted)."""
    if kind in (JSON_TYPE, "application/octet-stream", "") or kind.endswith("+json"):
        return
    text = f"Unsupported media type: {kind}. Supported types are application/json"
    raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", text, ())


def parse_json(body: bytes) -> Any:
    """Parsed JSON; the refusal names the place the way the platform does."""
    if not body:
        text = "The HTTP entity body is required, but this request has no entity body."
        raise ApiError(400, "JSON_PARSER_ERROR", text, ())
    try:
        # `json` and not orjson: it keeps integers of any size and accepts what clients in practice send.
        return json.loads(body)
    except (ValueError, RecursionError) as broken:
        line = getattr(broken, "lineno", 1)
        column = getattr(broken, "colno", 1)
        detail = getattr(broken, "msg", str(broken))
        raise ApiError(400, "JSON_PARSER_ERROR", f"{detail} at [line:{line}, column:{column}]", ()) from broken


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON body, which must be an object."""
    check_json_type(request.content_type)
    body = parse_json(await read_bytes(request))
    if not isinstance(body, dict):
        text = "The request body must be a JSON object at [line:1, column:1]"
        raise ApiError(400, "JSON_PARSER_ERROR", text, ())
    return body


def with_version(value: Any, version: int, key: str = "") -> Any:
    """Records with the caller's API version in every address: `attributes.url`, and binary fields by their name."""
    if isinstance(value, dict):
        return {name: with_version(one, version, name) for name, one in value.items()}
    if isinstance(value, list):
        return [with_version(one, version) for one in value]
    if isinstance(value, str) and value.startswith("/services/data/v") and (key == "url" or value.endswith(f"/{key}")):
        return _DATA_PATH.sub(f"/services/data/v{version}.0/", value, count=1)
    return value


def wire_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000+0000`: UTC, milliseconds, no colon in the offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def single_error(error: RowError) -> dict[str, Any]:
    """An error of a single-record call (`errorCode`, and the body of a duplicate rule where there is one)."""
    one: dict[str, Any] = dict(error.extra or {})
    one.update({"message": error.message, "errorCode": error.code})
    if not error.extra:
        one["fields"] = list(error.fields)
    return one


def row_errors(errors: Sequence[RowError]) -> list[dict[str, Any]]:
    """Errors of one row of a collection (`statusCode`)."""
    return [{"statusCode": e.code, "message": e.message, "fields": list(e.fields), **(e.extra or {})} for e in errors]


def collection_row(result: RowResult, *, created: bool) -> dict[str, Any]:
    """One entry of a collections answer. `created` is shown by upsert only."""
    one: dict[str, Any] = {}
    if result.success or result.id:
        one["id"] = result.id
    one.update({"success": result.success, "errors": row_errors(result.errors)})
    if created and result.success:
        one["created"] = bool(result.created)
    return one


def single_status(error: RowError) -> int:
    """The status of a refused single-record call: 404 for a row that is gone, else 400."""
    return 404 if error.code in ("ENTITY_IS_DELETED", "NOT_FOUND") else 400


def soap(body: str, namespace: str, *, header: str = "", status: int = 200) -> web.Response:
    """A SOAP answer: `soapenv:` envelope, everything else in the default namespace."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{SOAP_ENVELOPE}" xmlns="{namespace}" xmlns:xsi="{XSI}">'
        f"{header}<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": "text/xml; charset=utf-8"})


def soap_fault(code: str, message: str, family: str) -> web.Response:
    """A SOAP fault (status 500). Clients look for the literal prefix `sf:`; login faults carry a detail.

    `family` is the fault namespace: `urn:fault.partner.soap.sforce.com` or the metadata namespace.
    """
    text = escape(message)
    body = (
        f'<soapenv:Envelope xmlns:soapenv="{SOAP_ENVELOPE}" xmlns:sf="{family}" xmlns:xsi="{XSI}">'
        f"<soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode>"
        f"<faultstring>{code}: {text}</faultstring><detail>"
        f'<sf:ApiFault xsi:type="sf:ApiFault"><sf:exceptionCode>{code}</sf:exceptionCode>'
        f"<sf:exceptionMessage>{text}</sf:exceptionMessage></sf:ApiFault>"
        "</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
    return web.Response(
        body=('<?xml version="1.0" encoding="UTF-8"?>' + body).encode(),
        status=500,
        headers={"Content-Type": "text/xml; charset=utf-8"},
    )
