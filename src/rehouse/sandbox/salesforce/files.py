"""Binary fields: multipart creation of ContentVersion, Attachment and Document, and download of the bytes.

Facts: fact sheet section 2.2. The JSON part is known by its content type, for clients disagree about its name
and place; the other part holds the bytes and is named after the field. Bytes go to disk as they arrive.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from rehouse.sandbox.salesforce import api, wire
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.site import Site, blocking, site_of, user_of

MAX_BINARY = 2 * 1024**3
"""Bytes of one binary part (REST guide, "Insert or Update Blob Data")."""


def routes(data: wire.Routes) -> None:
    """Register before the catch-all of the data API."""
    data.add("POST", "/sobjects/{object}", create)
    data.add("GET", "/sobjects/{object}/{id}/{field:VersionData|Body}", download)


async def create(request: web.Request) -> web.StreamResponse:
    """`POST sobjects/X`: multipart here, JSON in the table."""
    if not request.content_type.startswith("multipart/"):
        return await api.adapter(request)
    site, version = site_of(request), wire.version_of(request)
    obj = site.org.schema.get(request.match_info["object"])
    if obj is None:
        raise wire.not_found()
    folder = site.store / "uploads"
    folder.mkdir(exist_ok=True)
    held: list[Path] = []
    try:
        row = await _parts(request, folder, held)
        options = SaveOptions(user_id=user_of(request), version=version)
        result = (await blocking(site.org.insert, obj.name, [row], options))[0]
    finally:
        # A file that the org took over has been moved away already.
        for path in held:
            path.unlink(missing_ok=True)
    return _made(result)


async def _parts(request: web.Request, folder: Path, held: list[Path]) -> dict[str, Any]:
    """The record of the JSON part, with the path of each binary part under the name of its field."""
    record: Any = None
    binaries: dict[str, Path] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(400, "INVALID_MULTIPART_REQUEST", "nested multipart bodies are not allowed")
        kind = part.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind == wire.JSON_TYPE and record is None:
            record = wire.parse_json(bytes(await part.read(decode=True)))
            continue
        path = folder / secrets.token_hex(16)
        held.append(path)
        await _receive(part, path)
        binaries[part.name or ""] = path
    if not isinstance(record, dict):
        raise ApiError(400, "INVALID_MULTIPART_REQUEST", "a part with the record as application/json is needed")
    return {**{k: v for k, v in record.items() if k != "attributes"}, **binaries}


async def _receive(part: BodyPartReader, path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        while chunk := await part.read_chunk(1 << 20):
            size += len(chunk)
            if size > MAX_BINARY:
                raise ApiError(413, "REQUEST_TOO_LARGE", f"A binary part exceeds {MAX_BINARY} bytes")
            file.write(chunk)


def _made(result: RowResult) -> web.Response:
    if result.success:
        return wire.answer({"id": result.id, "success": True, "errors": []}, 201)
    return wire.answer([wire.single_error(error) for error in result.errors], 400)


async def download(request: web.Request) -> web.StreamResponse:
    """`GET sobjects/ContentVersion/{id}/VersionData`: the bytes, streamed from disk."""
    site = site_of(request)
    return wire.FileAnswer(await blocking(_path, site, request), "application/octet-stream")


def _path(site: Site, request: web.Request) -> Path:
    obj = site.org.schema.get(request.match_info["object"])
    record_id, name = request.match_info["id"], request.match_info["field"]
    field = obj.field(name) if obj is not None else None
    if obj is None or field is None or field.type != "base64" or not is_id(record_id):
        raise wire.not_found()
    if site.org.retrieve(obj.name, id18(record_id), ["Id"], user_id=user_of(request)) is None:
        raise wire.not_found()
    return site.org.blob(record_id)
