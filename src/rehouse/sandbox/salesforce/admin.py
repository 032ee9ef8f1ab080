"""The admin port: clock, faults, limits and switches of a sandbox. Never part of the platform's protocol.

| call | body | effect |
|---|---|---|
| `GET /state` | | org, clock, counters, faults, record counts |
| `POST /clock` | `{"advance_seconds": n}` or `{"set": "2030-01-01T00:00:00Z"}` | move the server's clock |
| `GET`, `POST`, `DELETE /faults` | a fault (see `faults`) or a list of them | show, arm, disarm all |
| `DELETE /faults/{id}` | | disarm one |
| `POST /limits` | `{"DailyApiRequests": 100}` | change allocations |
| `POST /switches` | `{"CreateAuditFields": true}` | org switches |
| `POST /seed` | a seed document (see `seed`) | add its records |
| `POST /certificate` | PEM text | register the connected app's certificate for JWT logins |
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from rehouse.clock import iso
from rehouse.errors import UserError
from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.seed import apply_seed
from rehouse.sandbox.salesforce.server import Handler
from rehouse.sandbox.salesforce.site import SITE, Site, blocking, site_of


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UserError as wrong:
        return wire.answer(wrong.as_dict(), 400)
    except ApiError as wrong:
        return wire.answer({"error": wrong.code, "message": wrong.message, "hint": ""}, 400)
    except (KeyError, TypeError, ValueError) as wrong:
        return wire.answer({"error": type(wrong).__name__, "message": str(wrong), "hint": "see GET /state"}, 400)


async def state(request: web.Request) -> web.StreamResponse:
    """`GET /state`."""
    return wire.answer(await blocking(_state, site_of(request)))


def _state(site: Site) -> dict[str, Any]:
    org = site.org
    counts = {name: org.count(name) for name, obj in org.schema.objects.items() if obj.queryable}
    return {
        "org_id": org.org_id,
        "edition": org.edition,
        "url": site.url,
        "now": iso(site.clock.now()),
        "limits": {name: {"max": m.maximum, "used": m.used()} for name, m in site.limits.meters.items()},
        "switches": org.switches,
        "faults": site.faults.armed(),
        "records": {name: count for name, count in sorted(counts.items()) if count},
    }


async def clock(request: web.Request) -> web.StreamResponse:
    """`POST /clock`."""
    body = await wire.read_object(request)
    site = site_of(request)
    if "set" in body:
        moment = datetime.fromisoformat(str(body["set"]))
        site.clock.set(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    else:
        site.clock.advance(timedelta(seconds=float(body["advance_seconds"])))
    return wire.answer({"now": iso(site.clock.now())})


async def list_faults(request: web.Request) -> web.StreamResponse:
    return wire.answer(site_of(request).faults.armed())


async def add_faults(request: web.Request) -> web.StreamResponse:
    """`POST /faults`: one fault or a list."""
    body = wire.parse_json(await wire.read_bytes(request))
    plan = site_of(request).faults
    added = [plan.add(one) for one in (body if isinstance(body, list) else [body])]
    return wire.answer(added if isinstance(body, list) else added[0], 201)


async def clear_faults(request: web.Request) -> web.StreamResponse:
    site_of(request).faults.clear(request.match_info.get("id"))
    return web.Response(status=204)


async def set_limits(request: web.Request) -> web.StreamResponse:
    site = site_of(request)
    for name, maximum in (await wire.read_object(request)).items():
        site.limits.set_maximum(name, int(maximum))
    return wire.answer({name: meter.maximum for name, meter in site.limits.meters.items()})


async def set_switches(request: web.Request) -> web.StreamResponse:
    site = site_of(request)
    for name, on in (await wire.read_object(request)).items():
        await blocking(site.org.set_switch, name, bool(on))
    return wire.answer(site.org.switches)


async def seed(request: web.Request) -> web.StreamResponse:
    """`POST /seed`: what was added, by kind."""
    return wire.answer(await blocking(apply_seed, site_of(request).org, await wire.read_object(request)))


async def certificate(request: web.Request) -> web.StreamResponse:
    pem = (await wire.read_bytes(request)).decode()
    site_of(request).state.remember("connected app certificate", pem)
    return web.Response(status=204)


def build_admin(site: Site) -> web.Application:
    """The application of the admin port."""
    app = web.Application(middlewares=[_errors], client_max_size=wire.MAX_TEXT_BODY)
    app[SITE] = site
    app.router.add_get("/state", state)
    app.router.add_post("/clock", clock)
    app.router.add_get("/faults", list_faults)
    app.router.add_post("/faults", add_faults)
    app.router.add_delete("/faults", clear_faults)
    app.router.add_delete("/faults/{id}", clear_faults)
    app.router.add_post("/limits", set_limits)
    app.router.add_post("/switches", set_switches)
    app.router.add_post("/seed", seed)
    app.router.add_post("/certificate", certificate)
    return app
