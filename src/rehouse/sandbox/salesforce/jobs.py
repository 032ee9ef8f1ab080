"""Bulk API 2.0 over HTTP: ingest and query jobs. The work itself is in `bulk`.

Facts: fact sheet sections 3.1 to 3.5. Uploads go to disk as they arrive and results are streamed from disk,
so memory does not grow with the size of a job.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, StreamReader, web

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.bulkfaults import FaultyEngine
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.site import Site, blocking, site_of, user_of

MAX_UPLOAD = 150_000_000 * 3 // 4
"""Bytes of one upload: 150 MB once base64 has made it a third longer."""
MAX_INLINE = 100_000
"""Characters of the CSV part of a multipart job."""
RESULTS = {
    "successfulresults": "successful",
    "failedresults": "failed",
    "unprocessedrecords": "unprocessed",
}
DEFAULT_RESULT_ROWS = 250_000
"""Rows of a page of query results without `maxRecords`; the platform's own default is unverified."""
RESULT_PAGES = 5


def routes(data: wire.Routes) -> None:
    """Register the job resources under the version prefix."""
    data.add("POST", "/jobs/ingest", create_ingest)
    data.add("GET", "/jobs/ingest", list_jobs)
    data.add("GET", "/jobs/ingest/{job}", info)
    data.add("PATCH", "/jobs/ingest/{job}", change)
    data.add("DELETE", "/jobs/ingest/{job}", remove)
    data.add("PUT", "/jobs/ingest/{job}/batches", upload)
    data.add("GET", "/jobs/ingest/{job}/{results}", results)
    data.add("POST", "/jobs/query", create_query)
    data.add("GET", "/jobs/query", list_jobs)
    data.add("GET", "/jobs/query/{job}", info)
    data.add("PATCH", "/jobs/query/{job}", change)
    data.add("DELETE", "/jobs/query/{job}", remove)
    data.add("GET", "/jobs/query/{job}/results", query_results)
    data.add("GET", "/jobs/query/{job}/resultPages", result_pages)


def _kind(request: web.Request) -> str:
    return "query" if "/jobs/query" in request.path else "ingest"


async def _info(site: Site, job_id: str, kind: str) -> dict[str, Any]:
    """Job info. Errors: 404 NOT_FOUND for an unknown job or one of the other kind."""
    found = await blocking(site.jobs.info, job_id)
    if ("V2Query" if kind == "query" else "V2Ingest") != found.get("jobType"):
        raise wire.not_found()
    return found


async def create_ingest(request: web.Request) -> web.StreamResponse:
    """`POST jobs/ingest`: JSON, or multipart with the parts `job` and `content`, which starts the job at once."""
    site, version = site_of(request), wire.version_of(request)
    if request.content_type.startswith("multipart/"):
        return await _create_with_content(request)
    spec = await wire.read_object(request)
    return wire.answer(await blocking(site.jobs.create_ingest, spec, user_of(request), version))


async def _create_with_content(request: web.Request) -> web.StreamResponse:
    site, version = site_of(request), wire.version_of(request)
    spec: Any = None
    target = _upload_path(site)
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            if part.name == "content":
                await _store(part, target, MAX_INLINE)
            elif part.name == "job":
                spec = wire.parse_json(bytes(await part.read(decode=True)))
        if not isinstance(spec, dict) or not target.is_file():
            raise ApiError(400, "INVALIDJOB", "the parts 'job' and 'content' are needed")
        made = await blocking(site.jobs.create_ingest, spec, user_of(request), version)
        await blocking(site.jobs.upload, made["id"], target)
        return wire.answer(await blocking(site.jobs.close, made["id"]))
    finally:
        target.unlink(missing_ok=True)


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """`GET jobs/ingest` and `GET jobs/query`: all jobs, newest last, in one page."""
    found = await blocking(site_of(request).jobs.list, _kind(request))
    wanted = request.query.get("jobType")
    records = [job for job in found if wanted is None or job.get("jobType") == wanted]
    return wire.answer({"done": True, "records": records, "nextRecordsUrl": None})


async def info(request: web.Request) -> web.StreamResponse:
    """`GET jobs/…/{id}`."""
    return wire.answer(await _info(site_of(request), request.match_info["job"], _kind(request)))


async def change(request: web.Request) -> web.StreamResponse:
    """`PATCH jobs/…/{id}` with `state`: `UploadComplete` or `Aborted`."""
    site, job_id = site_of(request), request.match_info["job"]
    await _info(site, job_id, _kind(request))
    state = (await wire.read_object(request)).get("state")
    if state == "Aborted":
        return wire.answer(await blocking(site.jobs.abort, job_id))
    if state == "UploadComplete" and _kind(request) == "ingest":
        return wire.answer(await blocking(site.jobs.close, job_id))
    raise ApiError(400, "INVALIDJOBSTATE", f"Invalid state: {state}")


async def remove(request: web.Request) -> web.StreamResponse:
    """`DELETE jobs/…/{id}`: 204."""
    site, job_id = site_of(request), request.match_info["job"]
    await _info(site, job_id, _kind(request))
    await blocking(site.jobs.delete, job_id)
    return wire.empty()


def _upload_path(site: Site) -> Path:
    folder = site.store / "uploads"
    folder.mkdir(exist_ok=True)
    return folder / f"{secrets.token_hex(16)}.csv"


async def _store(body: StreamReader | BodyPartReader, target: Path, limit: int) -> None:
    """Write a body to disk as it arrives. Errors: 413 beyond `limit` bytes."""
    size = 0
    with target.open("wb") as file:
        while True:
            chunk = await (body.read_chunk(1 << 20) if isinstance(body, BodyPartReader) else body.read(1 << 20))
            if not chunk:
                return
            size += len(chunk)
            if size > limit:
                raise ApiError(413, "REQUEST_TOO_LARGE", f"The upload exceeds {limit} bytes")
            file.write(chunk)


async def upload(request: web.Request) -> web.StreamResponse:
    """`PUT jobs/ingest/{id}/batches`: 201 without a body, exactly once."""
    site, job_id = site_of(request), request.match_info["job"]
    if request.content_type not in ("text/csv", "application/octet-stream"):
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", f"Unsupported media type: {request.content_type}")
    await _info(site, job_id, "ingest")
    target = _upload_path(site)
    try:
        await _store(request.content, target, MAX_UPLOAD)
        await blocking(site.jobs.upload, job_id, target)
        if isinstance(site.org.engine, FaultyEngine):
            locked, dropped = request.get(wire.LOCKED_ROWS, frozenset()), request.get(wire.DROPPED_FIELD, "")
            site.org.engine.arm(job_id, locked, dropped)
    finally:
        target.unlink(missing_ok=True)
    return wire.empty(201)


async def results(request: web.Request) -> web.StreamResponse:
    """`GET jobs/ingest/{id}/successfulResults` and its siblings, in any case."""
    site, job_id = site_of(request), request.match_info["job"]
    which = RESULTS.get(request.match_info["results"].lower())
    if which is None:
        raise wire.not_found()
    await _info(site, job_id, "ingest")
    return wire.FileAnswer(await blocking(site.jobs.results, job_id, which), "text/csv")


async def create_query(request: web.Request) -> web.StreamResponse:
    """`POST jobs/query`."""
    site, version = site_of(request), wire.version_of(request)
    spec = await wire.read_object(request)
    if not site.limits.queries.remaining():
        raise ApiError(400, "LIMIT_EXCEEDED", "The daily number of Bulk API 2.0 query jobs is used up")
    made = await blocking(site.jobs.create_query, spec, user_of(request), version)
    site.limits.queries.take()
    return wire.answer(made)


async def query_results(request: web.Request) -> web.StreamResponse:
    """`GET jobs/query/{id}/results?maxRecords=&locator=`: CSV; the last page's locator is the text `null`."""
    site, job_id = site_of(request), request.match_info["job"]
    job = await _info(site, job_id, "query")
    if job.get("apiVersion") != float(wire.version_of(request)):
        raise ApiError(409, "API_VERSION_MISMATCH", "Results must be read with the API version of the job")
    path, following, count = await blocking(
        site.jobs.query_results, job_id, request.query.get("locator"), _max_records(request)
    )
    headers = {"Sforce-Locator": following, "Sforce-NumberOfRecords": str(count)}
    return wire.FileAnswer(path, "text/csv", headers)


def _max_records(request: web.Request) -> int:
    text = request.query.get("maxRecords")
    if text is None:
        return DEFAULT_RESULT_ROWS
    if not text.isdecimal() or not int(text):
        raise ApiError(400, "INVALIDJOB", "maxRecords must be a number above zero")
    return int(text)


async def result_pages(request: web.Request) -> web.StreamResponse:
    """`GET jobs/query/{id}/resultPages`: up to five locators, for reading in parallel."""
    site, job_id = site_of(request), request.match_info["job"]
    job = await _info(site, job_id, "query")
    total, step = int(job.get("numberRecordsProcessed") or 0), DEFAULT_RESULT_ROWS
    base = f"services/data/v{wire.version_of(request)}.0/jobs/query/{job_id}/results"
    locator = request.query.get("locator")
    pages: list[dict[str, str]] = []
    while len(pages) < RESULT_PAGES:
        _, following, count = await blocking(site.jobs.query_results, job_id, locator, step)
        if locator is not None or total:
            pages.append({"resultUrl": f"{base}?locator={locator}" if locator else base})
        if following == "null" or not count:
            return wire.answer({"resultPages": pages, "nextRecordsUrl": "", "done": True})
        locator = following
    further = f"/{base.removesuffix('/results')}/resultPages?locator={locator}"
    return wire.answer({"resultPages": pages, "nextRecordsUrl": further, "done": False})
