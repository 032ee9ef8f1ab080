"""Queries by REST: `query`, `queryAll`, following pages.

Facts: fact sheet section 2.5. A page holds 2,000 records unless `Sforce-Query-Options: batchSize=` asks for 200
to 2,000. A locator starts with `01g` and ends in `-offset`; it lives two days (general knowledge, unverified).
"""

from __future__ import annotations

import re
from typing import Any

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.api import Answer, Call, Table
from rehouse.sandbox.salesforce.definitions import refresh
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.query import QueryRun

PAGE_ROWS = 2000
SMALLEST_PAGE = 200
CURSOR_SECONDS = 2 * 24 * 60 * 60
OPEN_CURSORS = 10
"""Cursors a user may hold open; the oldest is closed first (REST guide, query cursors)."""
_BATCH = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_LOCATOR = re.compile(r"(01g\w{12,15})-(\d+)")


def operations(table: Table) -> None:
    table.add("GET", "/query", query)
    table.add("GET", "/queryAll", query)
    table.add("GET", "/query/{locator}", more)
    table.add("GET", "/queryAll/{locator}", more)


def query(call: Call) -> Answer:
    """`GET query/?q=` and `GET queryAll/?q=`."""
    if "explain" in call.query:
        return _explain(call)
    soql = call.query.get("q", "")
    if not soql.strip():
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    everything = "/queryAll" in call.path
    run = start(call, soql, everything=everything)
    return _page(call, run, "", 0, _batch(call), soql, everything=everything)


def start(call: Call, soql: str, *, everything: bool) -> QueryRun:
    """Run a query for the caller. Definitions of objects and fields are rows that follow the schema."""
    refresh(call.site.org, soql)
    return call.site.org.query(soql, include_deleted=everything, user_id=call.user_id)


def _explain(call: Call) -> Answer:
    """`GET query/?explain=`: one table-scan plan; the sandbox has no optimiser worth describing."""
    soql = call.query["explain"]
    run = start(call, soql, everything=False)
    plan = {
        "cardinality": run.total_size,
        "fields": [],
        "leadingOperationType": "TableScan",
        "notes": [],
        "relativeCost": 1.0,
        "sobjectCardinality": run.total_size,
        "sobjectType": "",
    }
    return Answer(200, {"plans": [plan], "sourceQuery": soql})


def _batch(call: Call) -> int:
    found = _BATCH.search(call.headers.get("sforce-query-options", ""))
    return max(SMALLEST_PAGE, min(PAGE_ROWS, int(found.group(1)))) if found else PAGE_ROWS


def _page(call: Call, run: QueryRun, cursor: str, offset: int, batch: int, soql: str, *, everything: bool) -> Answer:
    records = [wire.with_version(record, call.version) for record in run.records(offset, batch)]
    end = offset + len(records)
    body: dict[str, Any] = {"totalSize": run.total_size, "done": end >= run.row_count}
    if not body["done"]:
        cursor = cursor or _open(call, run, batch, soql, everything=everything)
        body["nextRecordsUrl"] = f"{call.base}/query/{cursor}-{end}"
    return Answer(200, {**body, "records": records})


def _open(call: Call, run: QueryRun, batch: int, soql: str, *, everything: bool) -> str:
    """Remember a run under a new cursor."""
    site = call.site
    cursor = site.org.platform_id("01g")
    now = site.clock.now().timestamp()
    site.state.run(
        "INSERT INTO cursor VALUES (?, ?, ?, ?, ?, ?)", cursor, soql, int(everything), call.user_id, batch, now
    )
    mine = site.state.run("SELECT id FROM cursor WHERE user_id = ? ORDER BY created, id", call.user_id)
    for (old,) in mine[:-OPEN_CURSORS]:
        site.state.run("DELETE FROM cursor WHERE id = ?", old)
        site.cursors.pop(old, None)
    site.cursors[cursor] = run
    return cursor


def more(call: Call) -> Answer:
    """The next page. Errors: 400 INVALID_QUERY_LOCATOR for an unknown, foreign or expired locator."""
    found = _LOCATOR.fullmatch(call.params["locator"])
    site = call.site
    rows = (
        site.state.run("SELECT soql, all_rows, user_id, batch, created FROM cursor WHERE id = ?", found.group(1))
        if found
        else []
    )
    if found is None or not rows or rows[0][2] != call.user_id:
        raise _bad_locator()
    cursor, offset = found.group(1), int(found.group(2))
    soql, everything, _, batch, created = rows[0]
    if site.clock.now().timestamp() - created > CURSOR_SECONDS:
        site.cursors.pop(cursor, None)
        raise _bad_locator()
    run = site.cursors.get(cursor)
    if run is None:
        # After a restart the same query runs again: rows written since may shift the pages.
        run = site.cursors[cursor] = start(call, soql, everything=bool(everything))
    if offset > run.row_count:
        raise _bad_locator()
    return _page(call, run, cursor, offset, batch, soql, everything=bool(everything))


def _bad_locator() -> ApiError:
    return ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
