"""Records by REST: versions and resources, create, read, update, delete, upsert, changes, limits, counts.

Facts: REST guide "sObject Rows", "sObject Rows by External ID", "Get Updated", "Get Deleted", "Limits",
"Record Count" (fact sheet sections 2.1, 2.2, 2.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import web

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.api import Answer, Call, Table, save
from rehouse.sandbox.salesforce.describe import global_body
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.limits import ROW_BYTES, ROW_BYTES_OF, UNCOUNTED
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult
from rehouse.sandbox.salesforce.schema_model import SObject
from rehouse.sandbox.salesforce.site import Site

RESOURCES = (
    "composite",
    "jobs",
    "limits",
    "metadata",
    "query",
    "queryAll",
    "recent",
    "search",
    "sobjects",
    "tooling",
)
UPSERT_BODY_SINCE = 46
"""From this API version on, an upsert that updates answers 200 with a body; before, 204 without."""
CHANGE_WINDOW = timedelta(days=30)


def operations(table: Table) -> None:
    table.add("GET", "", resources)
    table.add("GET", "/limits", limits)
    table.add("GET", "/limits/recordCount", record_count)
    table.add("GET", "/recent", recent)
    table.add("GET", "/sobjects/{object}", basic_info)
    table.add("POST", "/sobjects/{object}", create)
    table.add("POST", "/sobjects/{object}/Id", create)
    table.add("GET", "/sobjects/{object}/updated", updated)
    table.add("GET", "/sobjects/{object}/deleted", deleted)
    table.add("GET", "/sobjects/{object}/{id}", retrieve)
    table.add("PATCH", "/sobjects/{object}/{id}", update)
    table.add("DELETE", "/sobjects/{object}/{id}", delete)
    table.add("GET", "/sobjects/{object}/{field}/{value}", retrieve_by_key)
    table.add("PATCH", "/sobjects/{object}/{field}/{value}", upsert)
    table.add("DELETE", "/sobjects/{object}/{field}/{value}", delete_by_key)


async def list_versions(request: web.Request) -> web.StreamResponse:
    """`GET /services/data`: no session needed."""
    return wire.answer(wire.versions())


def resources(call: Call) -> Answer:
    """`GET /services/data/vNN.0`: name → path."""
    site = call.site
    body = {name: f"{call.base}/{name}" for name in RESOURCES}
    return Answer(200, {**body, "identity": f"{site.url}/id/{site.org.org_id}/{call.user_id}"})


# --- one record -------------------------------------------------------------------------------------------


def create(call: Call) -> Answer:
    """`POST sobjects/X`: 201 with the id."""
    obj = call.sobject()
    row = _record(call)
    return _saved(save(call, [row], lambda rows: call.site.org.insert(obj.name, rows, call.options()))[0])


def update(call: Call) -> Answer:
    """`PATCH sobjects/X/{id}`: 204."""
    obj = call.sobject()
    row = _record(call)
    if any(name.lower() == "id" for name in row):
        raise ApiError(400, "INVALID_FIELD", "The Id field should not be specified in the sobject data.")
    _unmodified_since(call, obj, call.params["id"])
    row["Id"] = _path_id(call.params["id"])
    result = save(call, [row], lambda rows: call.site.org.update(obj.name, rows, call.options()))[0]
    return Answer(204) if result.success else _refused(result)


def delete(call: Call) -> Answer:
    """`DELETE sobjects/X/{id}`: 204; the record goes to the recycle bin."""
    obj = call.sobject()
    _unmodified_since(call, obj, call.params["id"])
    return _deleted(call, obj, _path_id(call.params["id"]))


def retrieve(call: Call) -> Answer:
    """`GET sobjects/X/{id}?fields=A,B`: all visible fields without `fields`."""
    obj = call.sobject()
    return _found(call, obj, _path_id(call.params["id"]))


def _found(call: Call, obj: SObject, record_id: str) -> Answer:
    names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
    record = call.site.org.retrieve(obj.name, record_id, names or None, user_id=call.user_id)
    if record is None:
        raise wire.not_found()
    return Answer(200, wire.with_version(record, call.version))


def _path_id(word: str) -> str:
    """The id named in a path. Errors: 404 NOT_FOUND for anything that is no id."""
    if not is_id(word):
        raise ApiError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {word}")
    return id18(word)


def _record(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.object_json().items() if name != "attributes"}


def _saved(result: RowResult) -> Answer:
    if not result.success:
        return _refused(result)
    return Answer(201, {"id": result.id, "success": True, "errors": []})


def _refused(result: RowResult) -> Answer:
    status = max(wire.single_status(error) for error in result.errors)
    return Answer(status, [wire.single_error(error) for error in result.errors])


def _deleted(call: Call, obj: SObject, record_id: str) -> Answer:
    rows = [{"Id": record_id}]
    result = save(call, rows, lambda r: call.site.org.delete(obj.name, [record_id], call.options()))[0]
    return Answer(204) if result.success else _refused(result)


def _unmodified_since(call: Call, obj: SObject, record_id: str) -> None:
    """412 when the record changed after the time of `If-Unmodified-Since` (whole seconds)."""
    value = call.headers.get("if-unmodified-since")
    if not value or obj.field("LastModifiedDate") is None:
        return
    record = call.site.org.retrieve(obj.name, id18(record_id), ["LastModifiedDate"], user_id=call.user_id)
    if record is None:
        return
    changed = datetime.strptime(record["LastModifiedDate"], "%Y-%m-%dT%H:%M:%S.%f%z").replace(microsecond=0)
    try:
        allowed = parsedate_to_datetime(value)
    except ValueError as bad:
        raise ApiError(400, "INVALID_HEADER_VALUE", "If-Unmodified-Since is no HTTP date") from bad
    if changed > allowed:
        raise ApiError(412, "PRECONDITION_FAILED", "The record was modified after the given time")


# --- by external id ---------------------------------------------------------------------------------------


def _key_field(call: Call, obj: SObject) -> str:
    """The key field of the path. Errors: 404 for a field that is no external id (or idLookup)."""
    name = call.params["field"]
    field = obj.field(name)
    if field is None or not (field.external_id or field.id_lookup or field.type == "id"):
        text = f"Provided external ID field does not exist or is not accessible: {name}"
        raise ApiError(404, "NOT_FOUND", text)
    return field.name


def _matches(call: Call, obj: SObject, field: str) -> list[str]:
    """Ids of the records that hold the key value of the path."""
    value = call.params["value"].replace("\\", "\\\\").replace("'", "\\'")
    kind = obj.fields[field].type
    literal = value if kind in ("double", "int") else f"'{value}'"
    run = call.site.org.query(f"SELECT Id FROM {obj.name} WHERE {field} = {literal} LIMIT 2000")
    return [str(record["Id"]) for record in run.records(0, 2000)]


def _several(call: Call, obj: SObject, ids: list[str]) -> Answer:
    """300: the paths of all matching records."""
    return Answer(300, [f"{call.base}/sobjects/{obj.name}/{one}" for one in ids])


def retrieve_by_key(call: Call) -> Answer:
    """`GET sobjects/X/{field}/{value}`; `GET sobjects/X/{id}/{relationship}` for a parent or its children."""
    obj = call.sobject()
    if is_id(call.params["field"]) and obj.field(call.params["field"]) is None:
        return _related(call, obj)
    ids = _matches(call, obj, _key_field(call, obj))
    if not ids:
        raise wire.not_found()
    return _found(call, obj, ids[0]) if len(ids) == 1 else _several(call, obj, ids)


def _related(call: Call, obj: SObject) -> Answer:
    record_id, relationship = id18(call.params["field"]), call.params["value"]
    parent = obj.by_relationship(relationship)
    schema = call.site.org.schema
    if parent is not None:
        record = call.site.org.retrieve(obj.name, record_id, [parent.name], user_id=call.user_id)
        target = (record or {}).get(parent.name)
        owner = next((o for o in schema.objects.values() if target and o.key_prefix == target[:3]), None)
        if target is None or owner is None:
            raise wire.not_found()
        return _found(call, owner, target)
    child = obj.child(relationship)
    if child is None:
        raise wire.not_found()
    names = [f.name for f in schema.objects[child.child].fields.values() if f.storage and f.type != "base64"]
    names = [n for n in (call.query.get("fields") or "").split(",") if n] or names
    run = call.site.org.query(
        f"SELECT {', '.join(names)} FROM {child.child} WHERE {child.field} = '{record_id}' LIMIT 2000"
    )
    records = [wire.with_version(r, call.version) for r in run.records(0, 2000)]
    return Answer(200, {"totalSize": run.total_size, "done": True, "records": records})


def upsert(call: Call) -> Answer:
    """`PATCH sobjects/X/{field}/{value}`: 201 created, 200 updated (204 before v46), 300 for several matches."""
    obj = call.sobject()
    field = _key_field(call, obj)
    row = _record(call)
    if any(name.lower() == field.lower() for name in row):
        # The platform's own wording is known for Id only; for other keys it is unverified.
        raise ApiError(400, "INVALID_FIELD", f"The {field} field should not be specified in the sobject data.")
    value = call.params["value"]
    if field != "Id":
        ids = _matches(call, obj, field)
        if len(ids) > 1:
            return _several(call, obj, ids)
        if not ids and call.query.get("updateOnly", "").lower() == "true":
            raise wire.not_found()
    row[field] = value
    write = save(call, [row], lambda rows: call.site.org.upsert(obj.name, field, rows, call.options()))
    return _upserted(call, write[0])


def _upserted(call: Call, result: RowResult) -> Answer:
    if not result.success:
        return _refused(result)
    body: Mapping[str, Any] = {"id": result.id, "success": True, "errors": [], "created": bool(result.created)}
    if result.created:
        return Answer(201, body)
    return Answer(200, body) if call.version >= UPSERT_BODY_SINCE else Answer(204)


def delete_by_key(call: Call) -> Answer:
    """`DELETE sobjects/X/{field}/{value}`."""
    obj = call.sobject()
    ids = _matches(call, obj, _key_field(call, obj))
    if not ids:
        raise wire.not_found()
    return _deleted(call, obj, ids[0]) if len(ids) == 1 else _several(call, obj, ids)


# --- changes, counts, limits ------------------------------------------------------------------------------


def _window(call: Call) -> tuple[datetime, datetime]:
    """`start` and `end` of a change request. Errors: 400 for a missing, bad or too old time."""
    times = []
    for name in ("start", "end"):
        try:
            text = call.query[name].replace(" ", "+")
            moment = datetime.fromisoformat(text)
        except (KeyError, ValueError) as bad:
            raise ApiError(400, "INVALID_REPLICATION_DATE", f"{name}: a date and time is needed") from bad
        times.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    start, end = times
    now = call.site.clock.now()
    if start < now - CHANGE_WINDOW or end <= start:
        raise ApiError(400, "INVALID_REPLICATION_DATE", "the time span must lie within the last 30 days")
    return start, min(end, now)


def updated(call: Call) -> Answer:
    """`GET sobjects/X/updated/?start=&end=`."""
    obj, (start, end) = call.sobject(), _window(call)
    ids = call.site.org.changed_ids(obj.name, start, end)
    return Answer(200, {"ids": ids, "latestDateCovered": wire.wire_time(end)})


def deleted(call: Call) -> Answer:
    """`GET sobjects/X/deleted/?start=&end=`."""
    obj, (start, end) = call.sobject(), _window(call)
    rows = [
        {"id": record_id, "deletedDate": wire.wire_time(datetime.fromisoformat(at))}
        for record_id, at in call.site.org.deleted_ids(obj.name, start, end)
    ]
    earliest = wire.wire_time(call.site.clock.now() - CHANGE_WINDOW)
    body = {"deletedRecords": rows, "earliestDateAvailable": earliest, "latestDateCovered": wire.wire_time(end)}
    return Answer(200, body)


def basic_info(call: Call) -> Answer:
    """`GET sobjects/X`: the object without its fields, and recently used records (none are kept)."""
    return Answer(200, {"objectDescribe": global_body(call.sobject(), f"{call.version}.0"), "recentItems": []})


def recent(call: Call) -> Answer:
    """`GET recent`: the sandbox keeps no most-recently-used list."""
    return Answer(200, [])


def record_count(call: Call) -> Answer:
    """`GET limits/recordCount?sObjects=A,B`; unknown names are left out."""
    schema = call.site.org.schema
    names = [n.strip() for n in call.query.get("sObjects", "").split(",") if n.strip()]
    objects = [schema.get(n) for n in names] if names else list(schema.objects.values())
    counts = [{"count": call.site.org.count(o.name), "name": o.name} for o in objects if o is not None]
    return Answer(200, {"sObjects": counts})


def limits(call: Call) -> Answer:
    """`GET limits`."""
    site = call.site
    return Answer(200, site.limits.report(lambda: data_bytes(site), lambda: file_bytes(site)))


def data_bytes(site: Site) -> int:
    """Data storage used, by the 2 KB rule."""
    total = 0
    for obj in site.org.schema.objects.values():
        if obj.createable and obj.name not in UNCOUNTED:
            total += site.org.count(obj.name) * ROW_BYTES_OF.get(obj.name, ROW_BYTES)
    return total


def file_bytes(site: Site) -> int:
    """File storage used: every stored binary."""
    return sum(path.stat().st_size for path in site.org.blobs.iterdir() if path.is_file())
