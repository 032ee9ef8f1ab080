"""sObject Collections: up to 200 records in one call, of mixed types, with a result for each row in order.

Facts: REST guide "sObject Collections" (fact sheet section 2.6). At most 10 runs of one type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.api import ROLLED_BACK, Answer, Call, Table, save
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.outcome import ApiError, RowError, RowResult
from rehouse.sandbox.salesforce.schema_model import SObject

MAX_ROWS = 200
MAX_RUNS = 10
MAX_RETRIEVE = 2000

Row = dict[str, Any]
Write = Callable[[str, Sequence[Row]], list[RowResult]]


def operations(table: Table) -> None:
    table.add("POST", "/composite/sobjects", create)
    table.add("PATCH", "/composite/sobjects", update)
    table.add("DELETE", "/composite/sobjects", delete)
    table.add("GET POST", "/composite/sobjects/{object}", retrieve)
    table.add("PATCH", "/composite/sobjects/{object}/{field}", upsert)


def create(call: Call) -> Answer:
    """`POST composite/sobjects`."""
    rows, strict = _request(call)
    options = call.options(all_or_none=strict)
    return _answer(_write(call, rows, strict, lambda name, part: call.site.org.insert(name, part, options)))


def update(call: Call) -> Answer:
    """`PATCH composite/sobjects`; each record names its `id`."""
    rows, strict = _request(call)
    options = call.options(all_or_none=strict)
    return _answer(_write(call, rows, strict, lambda name, part: call.site.org.update(name, part, options)))


def upsert(call: Call) -> Answer:
    """`PATCH composite/sobjects/{Type}/{ExtField}`: results say whether a record was created."""
    obj = call.sobject()
    field = obj.field(call.params["field"])
    if field is None or not (field.external_id or field.id_lookup or field.type == "id"):
        text = f"Provided external ID field does not exist or is not accessible: {call.params['field']}"
        raise ApiError(404, "NOT_FOUND", text)
    rows, strict = _request(call)
    options = call.options(all_or_none=strict)
    key = field.name

    def write(name: str, part: Sequence[Row]) -> list[RowResult]:
        return call.site.org.upsert(name, key, part, options)

    return _answer(_write(call, rows, strict, write, only=obj), created=True)


def delete(call: Call) -> Answer:
    """`DELETE composite/sobjects?ids=a,b&allOrNone=false`."""
    ids = [one.strip() for one in call.query.get("ids", "").split(",") if one.strip()]
    if not ids:
        raise ApiError(400, "MISSING_ARGUMENT", "The ids parameter is required")
    if len(ids) > MAX_ROWS:
        raise _too_many()
    strict = call.query.get("allOrNone", "false").lower() == "true"
    options = call.options(all_or_none=strict)
    rows = [{"attributes": {"type": _type_of(call, one)}, "Id": one} for one in ids]

    def write(name: str, part: Sequence[Row]) -> list[RowResult]:
        return call.site.org.delete(name, [row["Id"] for row in part], options)

    return _answer(_write(call, rows, strict, write))


def retrieve(call: Call) -> Answer:
    """`GET/POST composite/sobjects/{Type}`: records in the order of the ids, null where there is none."""
    obj = call.sobject()
    if call.method == "POST":
        body = call.object_json()
        ids, fields = body.get("ids") or [], body.get("fields") or []
    else:
        ids = [one for one in call.query.get("ids", "").split(",") if one]
        fields = [one for one in call.query.get("fields", "").split(",") if one]
    if not fields:
        raise ApiError(400, "MISSING_ARGUMENT", "The fields parameter is required")
    if len(ids) > MAX_RETRIEVE:
        raise _too_many(MAX_RETRIEVE)
    names = list(dict.fromkeys([*fields, "Id"]))
    wanted = [id18(str(one)) for one in ids if is_id(one)]
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), 500):
        quoted = ", ".join(f"'{one}'" for one in wanted[start : start + 500])
        run = call.site.org.query(f"SELECT {', '.join(names)} FROM {obj.name} WHERE Id IN ({quoted})")
        found.update({r["Id"]: wire.with_version(r, call.version) for r in run.records(0, 500)})
    return Answer(200, [found.get(id18(str(one))) for one in ids])


def _request(call: Call) -> tuple[list[Row], bool]:
    body = call.object_json()
    rows = body.get("records")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ApiError(400, "INVALID_INPUT", "The records parameter must hold at least one record")
    if len(rows) > MAX_ROWS:
        raise _too_many()
    return rows, body.get("allOrNone") is True


def _too_many(limit: int = MAX_ROWS) -> ApiError:
    text = f"record limit reached. cannot submit more than {limit} records in this call"
    return ApiError(400, "EXCEEDED_ID_LIMIT", text)


def _type_of(call: Call, record_id: str) -> str:
    prefix = record_id[:3]
    return next((o.name for o in call.site.org.schema.objects.values() if o.key_prefix == prefix), "")


def _type_name(row: Row) -> str:
    return str((row.get("attributes") or {}).get("type", ""))


def _write(call: Call, rows: list[Row], strict: bool, write: Write, only: SObject | None = None) -> list[RowResult]:
    """Cut the rows into runs of one type and write each; with `strict` one failure undoes all runs."""
    runs = [(name, list(part)) for name, part in groupby(rows, key=_type_name)]
    if len(runs) > MAX_RUNS:
        raise ApiError(400, "INVALID_INPUT", f"The request has more than {MAX_RUNS} changes of the object type")

    def all_runs(some: Sequence[Mapping[str, Any]]) -> list[RowResult]:
        kept = {id(row) for row in some}
        results: list[RowResult] = []
        for name, part in runs:
            rows_of_run = [row for row in part if id(row) in kept]
            results.extend(_run(call, name, rows_of_run, write, only) if rows_of_run else [])
        return results

    if not strict:
        return save(call, rows, all_runs)
    with call.site.org.transaction() as transaction:
        results = save(call, rows, all_runs, all_or_none=True)
        if all(result.success for result in results):
            return results
        transaction.rollback()
    return [r if not r.success else RowResult(None, False, None, (ROLLED_BACK,)) for r in results]


def _run(call: Call, name: str, rows: list[Row], write: Write, only: SObject | None) -> list[RowResult]:
    obj = call.site.org.schema.get(name) if name else None
    if obj is None or (only is not None and obj is not only):
        return [RowResult(None, False, None, (_bad_type(name, only),)) for _ in rows]
    plain = [_plain(row) for row in rows]
    return write(obj.name, plain)


def _plain(row: Row) -> Row:
    """The record without `attributes`, its id under `Id`."""
    return {("Id" if name.lower() == "id" else name): v for name, v in row.items() if name != "attributes"}


def _bad_type(name: str, only: SObject | None) -> RowError:
    if name and only is not None:
        return RowError("INVALID_TYPE", f"The record type {name} does not match {only.name}")
    if not name:
        return RowError("INVALID_TYPE", "sObject type is missing: attributes.type is required")
    return RowError("INVALID_TYPE", f"sObject type '{name}' is not supported.")


def _answer(results: list[RowResult], *, created: bool = False) -> Answer:
    return Answer(200, [wire.collection_row(result, created=created) for result in results])
