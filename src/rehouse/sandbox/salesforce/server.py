"""The HTTP application: routes, and what surrounds every handler (faults, sessions, limits, errors).

Order of the wrapping, outside in: scheduled faults, error bodies, session and call count, handler. Trailing
slashes are accepted on every path, as clients send them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from rehouse.sandbox.salesforce import (
    api,
    auth,
    collections,
    composite,
    describe,
    faults,
    files,
    jobs,
    metadata,
    queries,
    rest,
    soap,
    tooling,
    wire,
)
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.site import SITE, Site, site_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger(__name__)

MAX_URI_BYTES = 16_384
OPEN_PATHS = re.compile(r"^/(services/data|services/oauth2/(token|revoke)|services/Soap/.*)/?$")
"""Paths without a session in the `Authorization` header. SOAP carries its own."""
UNCOUNTED = re.compile(r"^/(id/|services/oauth2/)")


@web.middleware
async def scheduled_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Play the faults that fire on this request, the first one outermost."""
    due = site_of(request).faults.draw(request.method, request.path_qs)
    wrapped = handler
    for fault in reversed(due):
        wrapped = _wrap(fault, wrapped)
    return await wrapped(request)


def _wrap(fault: faults.ScheduledFault, inner: Handler) -> Handler:
    async def play(request: web.Request) -> web.StreamResponse:
        return await faults.play(fault, request, inner)

    return play


@web.middleware
async def error_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal in the platform's shape."""
    try:
        return await handler(request)
    except ApiError as refused:
        return wire.api_error(refused)
    except web.HTTPMethodNotAllowed as wrong:
        allowed = ",".join(sorted(wrong.allowed_methods))
        text = f"HTTP Method '{request.method}' not allowed. Allowed are {allowed}"
        return wire.answer(wire.error_body("METHOD_NOT_ALLOWED", text), 405)
    except web.HTTPNotFound:
        return wire.api_error(wire.not_found())
    except web.HTTPException as other:
        return wire.answer(wire.error_body("UNKNOWN_EXCEPTION", other.reason), other.status)
    except Exception:
        # The stack goes to the log and never to the client; record values are not logged.
        log.exception("unexpected error in %s %s", request.method, request.path)
        return wire.answer(wire.error_body("UNKNOWN_EXCEPTION", "An unexpected error occurred."), 500)


@web.middleware
async def sessions(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the session, count the call, add `Sforce-Limit-Info`."""
    if len(request.raw_path) > MAX_URI_BYTES:
        raise ApiError(414, "URI_TOO_LONG", "The URI exceeds 16384 bytes")
    if OPEN_PATHS.match(request.path) or request.match_info.http_exception is not None:
        return await handler(request)
    limits = site_of(request).limits
    token = auth.bearer(request) or request.query.get("oauth_token", "")
    request[wire.USER] = auth.session_user(request, token)
    if not UNCOUNTED.match(request.path):
        limits.count_call()
    response = await handler(request)
    if not response.prepared:
        response.headers["Sforce-Limit-Info"] = limits.header()
    return response


def build_table() -> api.Table:
    """Every operation of the data API. The order counts where a fixed word and a variable part compete."""
    table = api.Table()
    for module in (describe, queries, tooling, collections, composite, rest):
        module.operations(table)
    return table


def build_app(site: Site, tokens: auth.Sessions) -> web.Application:
    """The application that serves one org."""
    app = web.Application(middlewares=[scheduled_faults, error_bodies, sessions], client_max_size=wire.MAX_TEXT_BODY)
    app[SITE] = site
    app[auth.SESSIONS] = tokens
    app[api.TABLE] = build_table()
    routes = wire.Routes(app.router)
    routes.add("GET", "/services/data", rest.list_versions)
    routes.add("POST", "/services/oauth2/token", auth.token)
    routes.add("GET POST", "/services/oauth2/revoke", auth.revoke)
    routes.add("GET POST", "/services/oauth2/userinfo", auth.userinfo)
    routes.add("GET", "/id/{org}/{user}", auth.identity)
    routes.add("POST", "/services/Soap/u/{version}", soap.partner)
    routes.add("POST", "/services/Soap/u/{version}/{org}", soap.partner)
    routes.add("POST", "/services/Soap/m/{version}", metadata.endpoint)
    routes.add("POST", "/services/Soap/m/{version}/{org}", metadata.endpoint)
    data = wire.Routes(app.router, "/services/data/{version}")
    jobs.routes(data)
    files.routes(data)
    # Everything else of the data API is in the table, which composite requests use as well.
    app.router.add_route("*", "/services/data/{rest:.+}", api.adapter)
    return app
