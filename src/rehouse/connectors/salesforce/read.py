"""Reading records: pages of a REST query for few, a Bulk 2.0 query job for many; canonical text batches.

Sources: REST API Developer Guide "Query"; Bulk API 2.0 Developer Guide "Query Jobs". Result pages are written to
a temporary file first: memory stays flat, and a page whose connection breaks is simply asked for again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from rehouse.connectors.base import Condition, In, Query
from rehouse.connectors.salesforce import limits, soql
from rehouse.connectors.salesforce.catalog import Describes
from rehouse.connectors.salesforce.errors import RefusedError
from rehouse.connectors.salesforce.session import Session
from rehouse.connectors.salesforce.values import canonical
from rehouse.connectors.salesforce.waiting import poll
from rehouse.errors import FatalError
from rehouse.model import Kind, Object
from rehouse.wire import Answer, Call

NO_BULK_QUERY = frozenset(
    {
        "CaseStatus",
        "ContractStatus",
        "OrderStatus",
        "TaskStatus",
        "TaskPriority",
        "PartnerRole",
        "SolutionStatus",
        "EventWhoRelation",
        "TaskWhoRelation",
        "Attachment",
        "UserRecordAccess",
        "ContentDocumentLink",
    }
)
"""Objects without Bulk queries (lists of two public connectors); file links are here for their filter rule."""
PAGE_RECORDS = 100_000
"""Ours: rows of one result file, which bounds the temporary file."""
BLOCK_BYTES = 4 << 20
"""CSV is parsed in blocks of this size; a record (at most 400,000 characters) always fits."""

Ids = set[str]


class Reader:
    """Reads from one org."""

    def __init__(self, session: Session, describes: Describes) -> None:
        self._session, self._describes = session, describes

    def fetch(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Batches of text columns: `Id` first, then the asked fields as they were spelled in the question."""
        obj = self._describes.get(query.object)
        names = [name for name in dict.fromkeys(query.fields) if name != "Id"]
        if isinstance(query.where, In) and not query.where.values:
            return
        rest = not self._by_bulk(obj, query)
        asked = soql.cut(obj, Query(query.object, tuple(names), query.where), rest=rest)
        shape = Shape(obj, names, self._digest)
        seen: Ids | None = set() if asked.overlap else None
        for text in asked.queries:
            batches = self._pages(text, shape) if rest else self._job(text, shape)
            for batch in batches:
                fresh = batch if seen is None else _unseen(batch, seen)
                if fresh.num_rows:
                    yield fresh

    def count(self, object_name: str, where: Condition | None = None) -> int:
        """The number of records (not deleted). Where conditions overlap it may be counted too high."""
        asked = soql.cut_count(self._describes.get(object_name), where)
        return sum(int(self._query(text)["totalSize"]) for text in asked.queries)

    def rows(self, text: str, *, essential: bool = False, tooling: bool = False) -> Iterator[dict[str, Any]]:
        """Records of a query that the connector wrote itself, as JSON objects (numbers as text).

        `tooling` asks the Tooling API, which knows the parts an org is built of.
        """
        page = self._query(text, essential=essential, tooling=tooling)
        while True:
            yield from page["records"]
            if page["done"]:
                return
            page = _parsed(self._session.send(Call("GET", page["nextRecordsUrl"], essential=essential)))

    def _by_bulk(self, obj: Object, query: Query) -> bool:
        if obj.name in NO_BULK_QUERY or any(_not_by_bulk(obj, name) for name in query.fields):
            return False
        if isinstance(query.where, In):
            return len(query.where.values) > limits.BULK_QUERY_FROM_VALUES
        return self.count(obj.name, query.where) > limits.BULK_QUERY_FROM_ROWS

    def _query(self, text: str, *, essential: bool = False, tooling: bool = False) -> Any:
        kind = "tooling/query" if tooling else "queryAll" if _needs_all(text) else "query"
        call = Call(
            "GET",
            f"/{kind}?q={quote(text, safe='')}",
            headers={"Sforce-Query-Options": f"batchSize={limits.QUERY_PAGE_ROWS}"},
            essential=essential,
        )
        return _parsed(self._session.send(call))

    def _pages(self, text: str, shape: Shape) -> Iterator[pa.RecordBatch]:
        page = self._query(text)
        while True:
            if page["records"]:
                yield shape.of_json(page["records"])
            if page["done"]:
                return
            page = _parsed(self._session.send(Call("GET", page["nextRecordsUrl"])))

    def _job(self, text: str, shape: Shape) -> Iterator[pa.RecordBatch]:
        spec = {
            "operation": "queryAll" if _needs_all(text) else "query",
            "query": text,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        # A query job writes no record; a second one after a lost answer costs a job and nothing else.
        job = self._session.write("POST", "/jobs/query", spec, repeatable=True)["id"]
        try:
            self._await(job)
            yield from self._results(job, shape)
        finally:
            self._drop(job)

    def _await(self, job: str) -> None:
        def look() -> Any:
            info = self._session.get(f"/jobs/query/{job}")
            return info if info["state"] in ("JobComplete", "Failed", "Aborted") else None

        info = poll(look, f"query job {job}", self._session.clock, self._session.sink)
        if info["state"] != "JobComplete":
            raise FatalError(
                f"the query job {job} ended as {info['state']}: {info.get('errorMessage') or 'no reason given'}",
                hint="look at the job in Setup, Bulk Data Load Jobs",
            )

    def _results(self, job: str, shape: Shape) -> Iterator[pa.RecordBatch]:
        locator = ""
        with tempfile.TemporaryDirectory(prefix="rehouse-") as folder:
            page = Path(folder) / "page.csv"
            while True:
                more = f"&locator={quote(locator)}" if locator else ""
                call = Call(
                    "GET",
                    f"/jobs/query/{job}/results?maxRecords={PAGE_RECORDS}{more}",
                    headers={"Accept": "text/csv"},
                    to=page,
                )
                answer = self._session.send(call)
                yield from shape.of_csv(page)
                locator = answer.headers.get("sforce-locator", "null")
                if locator in ("", "null"):
                    return

    def _digest(self, path: str) -> str:
        """The MD5 of a binary value, streamed from its own address."""
        with tempfile.TemporaryDirectory(prefix="rehouse-") as folder:
            file = Path(folder) / "value"
            self._session.send(Call("GET", path, headers={"Accept": "*/*"}, to=file))
            return md5_of(file)

    def _drop(self, job: str) -> None:
        """Delete the job, so that its results do not lie about for a week."""
        try:
            self._session.send(Call("DELETE", f"/jobs/query/{job}", repeatable=True, essential=True))
        except RefusedError:
            return


class Shape:
    """The columns of an answer: how each is found in the platform's form, and its kind."""

    def __init__(self, obj: Object, names: Sequence[str], digest: Callable[[str], str]) -> None:
        self._digest = digest
        self._names = ["Id", *names]
        self._paths = ["Id", *(soql.column(obj, name) for name in names)]
        kinds = [obj.field(name) for name in self._names]
        self._kinds = [found.kind if found is not None else Kind.TEXT for found in kinds]

    def of_json(self, records: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        return self._batch([pa.array([_dig(one, path) for one in records], pa.string()) for path in self._paths])

    def of_csv(self, page: Path) -> Iterator[pa.RecordBatch]:
        with page.open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader(lines), [])
        if not header:
            return
        place = {name.lower(): n for n, name in enumerate(header)}
        wanted = [place[path.lower()] for path in self._paths]
        options = pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        with pacsv.open_csv(
            page,
            read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        ) as reader:
            for batch in reader:
                yield self._batch([batch.column(n) for n in wanted])

    def _batch(self, columns: Sequence[pa.Array]) -> pa.RecordBatch:
        arrays = [
            canonical(column, kind) if kind is not Kind.BINARY else self._content(column, path)
            for column, kind, path in zip(columns, self._kinds, self._paths, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self._names)

    def _content(self, column: pa.Array, path: str) -> pa.Array:
        """`md5:…` of binary values: from the platform's checksum, or of the bytes at the address it answers."""
        if path not in soql.CHECKSUMS.values():
            column = pa.array([value and self._digest(value) for value in column.to_pylist()], pa.string())
        return pc.binary_join_element_wise("md5:", column, "")


def md5_of(file: Path) -> str:
    """The MD5 of a file in hex: a checksum as the platform keeps it, not a safeguard."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _not_by_bulk(obj: Object, name: str) -> bool:
    """Compound and binary fields are refused in bulk queries; a checksum is an ordinary field."""
    found = obj.field(name)
    if found is None or (obj.name, found.name) in soql.CHECKSUMS:
        return False
    return found.kind in (Kind.OTHER, Kind.BINARY)


def _dig(record: Any, path: str) -> str | None:
    value = record
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    if value is None or isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else json.dumps(value)


def _parsed(answer: Answer) -> Any:
    """The JSON of a page with numbers as the text they came as: a float would lose digits."""
    try:
        return json.loads(answer.body, parse_float=str, parse_int=str)
    except ValueError as bad:
        raise FatalError("a query was answered with something that is no JSON", hint="a proxy in between?") from bad


def _needs_all(text: str) -> bool:
    return any(f" FROM {name} WHERE " in text and "IsDeleted = false" in text for name in soql.ARCHIVED)


def _unseen(batch: pa.RecordBatch, seen: Ids) -> pa.RecordBatch:
    ids = batch.column(0).to_pylist()
    fresh = pa.array([one not in seen for one in ids], pa.bool_())
    seen.update(ids)
    return batch if pc.all(fresh).as_py() else batch.filter(fresh)
