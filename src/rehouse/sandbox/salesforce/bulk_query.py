"""One query job: SOQL to a CSV on disk, and pages of it by locator.

A locator names the first record of its page (`base64` of a number); the text `null` follows the last page.
"""

from __future__ import annotations

import base64
import binascii
import csv
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rehouse.sandbox.salesforce import soql
from rehouse.sandbox.salesforce.csvio import DELIMITERS, LINE_ENDINGS
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.query import csv_value
from rehouse.sandbox.salesforce.queryable import Queryable
from rehouse.sandbox.salesforce.soqlplan import Compiler, Plan, bulk_refusal

MARK_EVERY = 1000
"""Rows between two remembered byte offsets."""
UNSUPPORTED = frozenset(
    {"CaseStatus", "ContractStatus", "OrderStatus", "TaskStatus", "TaskPriority", "PartnerRole", "SolutionStatus",
     "EventWhoRelation", "TaskWhoRelation", "Attachment", "UserRecordAccess", "EntityDefinition", "FieldDefinition"}
)  # fmt: skip


def check(org: Queryable, text: str, user_id: str) -> str:
    """The object of a statement that can run as a Bulk query. Raises ApiError 400."""
    query = soql.parse(text)
    plan = Compiler(org.schema, org.clock.now().date(), user_id, include_deleted=True).compile(query)
    refusal = bulk_refusal(query)
    if refusal:
        raise ApiError(400, "API_ERROR", refusal)
    known = org.schema.get(query.source.text)
    name = known.name if known else query.source.text
    if name in UNSUPPORTED:
        raise ApiError(400, "INVALIDENTITY", f"Entity '{name}' is not supported by the Bulk API.")
    for _, _, item in plan.flat:
        if item.type in ("address", "location"):
            raise ApiError(400, "API_ERROR", "Selecting compound data not supported in Bulk Query")
        if item.type == "base64":
            raise ApiError(400, "API_ERROR", f"Binary field {item.name} is not supported in Bulk Query")
    return name


def run(org: Queryable, folder: Path, doc: dict[str, Any], stopped: Callable[[], bool]) -> dict[str, Any] | None:
    """Write `results.csv` and its row marks; what the job's cursor is to hold. None when it was stopped."""
    query = soql.parse(doc["_query"])
    everything = doc["operation"] == "queryAll"
    today = org.clock.now().date()
    plan = Compiler(org.schema, today, doc["createdById"], include_deleted=everything).compile(query)
    marks = array("Q")
    rows = 0
    mark = DELIMITERS[doc["columnDelimiter"]]
    ending = LINE_ENDINGS[doc["lineEnding"]]
    with (folder / "results.csv").open("w", encoding="utf-8", newline="") as out, org.store.reader() as db:
        out.write(mark.join(f'"{name}"' for name, _, _ in plan.flat) + ending)
        header = out.tell()
        writer = csv.writer(out, delimiter=mark, quoting=csv.QUOTE_ALL, lineterminator=ending)
        cursor = db.execute(plan.sql)
        while part := cursor.fetchmany(MARK_EVERY):
            marks.append(out.tell())
            writer.writerows(_cells(plan, part))
            rows += len(part)
            if stopped():
                cursor.close()
                return None
    (folder / "marks").write_bytes(marks.tobytes())
    return {"done": rows, "header": header}


def _cells(plan: Plan, rows: list[tuple[Any, ...]]) -> list[list[str]]:
    kinds = [(place, item) for _, place, item in plan.flat]
    return [[csv_value(row[place], item) for place, item in kinds] for row in rows]


def page(folder: Path, cursor: dict[str, Any], locator: str | None, max_records: int) -> tuple[Path, str, int]:
    """The file of one page, the locator after it, its number of records."""
    total, start = int(cursor["done"]), _place(locator)
    if start > total or (locator and start == total):
        raise ApiError(400, "INVALIDJOB", "InvalidLocator : the locator is not valid for this job")
    count = max(0, min(max_records, total - start))
    following = _locator(start + count) if start + count < total else "null"
    whole = folder / "results.csv"
    if start == 0 and count == total:
        return whole, following, count
    target = folder / f"page-{start}-{count}.csv"
    if not target.exists():
        _cut(whole, target, folder, int(cursor["header"]), start, count)
    return target, following, count


def _locator(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def _place(locator: str | None) -> int:
    if not locator:
        return 0
    try:
        return int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode())
    except (binascii.Error, ValueError) as broken:
        raise ApiError(400, "INVALIDJOB", "InvalidLocator : the locator is not valid for this job") from broken


def _cut(whole: Path, target: Path, folder: Path, header: int, start: int, count: int) -> None:
    """Copy the header and the records [start, start + count) into a page file."""
    marks = array("Q")
    marks.frombytes((folder / "marks").read_bytes())
    partial = target.with_suffix(".part")
    with whole.open("rb") as source, partial.open("wb") as out:
        out.write(source.read(header))
        first = _offset(source, marks, start)
        last = _offset(source, marks, start + count)
        source.seek(first)
        left = last - first
        while left > 0 and (block := source.read(min(left, 1 << 20))):
            out.write(block)
            left -= len(block)
    partial.replace(target)


def _offset(source: Any, marks: array[int], record: int) -> int:
    """The byte at which a record starts: from the nearest mark, then record by record (values may hold newlines)."""
    index = record // MARK_EVERY
    if index >= len(marks):
        source.seek(0, 2)
        return int(source.tell())
    place = marks[index]
    source.seek(place)
    for _ in range(record - index * MARK_EVERY):
        quotes = 0
        while True:
            line = source.readline()
            if not line:
                return int(place)
            place += len(line)
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                break
    return int(place)
