"""One ingest job: its input, its result files, and how a batch of rows is written."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rehouse.sandbox.salesforce import deletion
from rehouse.sandbox.salesforce.columns import ColumnError, not_a_key
from rehouse.sandbox.salesforce.csvio import CsvError, CsvRows, ResultFile
from rehouse.sandbox.salesforce.dml import Outcome
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import RowError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.rules import US
from rehouse.sandbox.salesforce.schema_model import SField

RowFaults = Callable[[str, int, int], Mapping[int, RowError]]
"""Job id, number of the batch, number of its rows → errors of rows that are to fail."""


def error_cell(coded: str) -> str:
    """`CODE:message:fields --` as in `sf__Error`; without fields nothing stands between colon and dashes."""
    parts = coded.split(US)
    fields = parts[2].replace(",", ", ") if len(parts) > 2 else ""
    return f"{parts[0]}:{parts[1]}:{fields + ' ' if fields else ''}--"


class IngestRun:
    """An ingest job being worked on. `cursor` is what one batch's transaction stores."""

    def __init__(
        self,
        org: Org,
        folder: Path,
        job_id: str,
        doc: dict[str, Any],
        cursor: dict[str, Any],
        row_faults: RowFaults | None = None,
    ) -> None:
        self._org, self._folder, self._id, self._doc = org, folder, job_id, doc
        self.cursor = {"batch": 0, "offset": 0, "done": 0, "failed": 0, "milliseconds": 0, **cursor}
        self._row_faults = row_faults
        self._shuffler = random.Random(job_id)
        self._rows: CsvRows | None = None
        self._headers: list[str] = []
        self._good: ResultFile | None = None
        self._bad: ResultFile | None = None
        self._key: SField | None = None
        self._obj = org.schema.objects[doc["object"]]
        self._options = SaveOptions(user_id=doc["createdById"], bulk=True, version=int(doc["apiVersion"]))

    # opening -----------------------------------------------------------------------------------------------------

    def open(self) -> str | None:
        """Open input and results where the cursor stands. The message of a refusal of the whole job, or None."""
        source = self._folder / "input.csv"
        if not source.exists():
            source.touch()
        try:
            self._rows = CsvRows(source, self._doc["columnDelimiter"], self._doc["lineEnding"])
            self._headers = self._rows.header()
        except CsvError as refused:
            return str(refused)
        start = self.cursor["offset"]
        if start:
            self._rows.close()
            self._rows = CsvRows(source, self._doc["columnDelimiter"], self._doc["lineEnding"], start)
        refusal = self._check()
        if refusal is None:
            self._open_results(fresh=not start)
        return refusal

    def _check(self) -> str | None:
        operation = self._doc["operation"]
        if operation in ("delete", "hardDelete"):
            names = [h.strip().lower() for h in self._headers]
            return None if names == ["id"] else f"InvalidBatch : Field name not found : {self._odd(names)}"
        if operation == "upsert":
            name = self._doc["externalIdFieldName"]
            item = self._obj.field(name)
            if item is None or not item.id_lookup or not self._org.visible(self._obj, item, self._options.user_id):
                return f"InvalidBatch : {not_a_key(name, self._obj)}"
            self._key = item
        if operation == "update" and "id" not in (h.strip().lower() for h in self._headers):
            return "InvalidBatch : Id not specified in an update call"
        try:
            with self._org.store.lock:
                self._org.engine.program(operation, self._obj, self._headers, self._options, self._key)
        except ColumnError as refused:
            return f"InvalidBatch : {refused.text}"
        return None

    def _odd(self, names: Sequence[str]) -> str:
        return next((h for h, n in zip(self._headers, names, strict=True) if n != "id"), "Id")

    def _open_results(self, *, fresh: bool) -> None:
        mark = self._doc["columnDelimiter"]
        sizes = (None, None) if fresh else (self.cursor["good"], self.cursor["bad"])
        self._good = ResultFile(self._folder / "successful.csv", mark, sizes[0])
        self._bad = ResultFile(self._folder / "failed.csv", mark, sizes[1])
        if fresh:
            self._good.header(("sf__Id", "sf__Created"), self._headers)
            self._bad.header(("sf__Id", "sf__Error"), self._headers)

    def close(self) -> None:
        """Close the files."""
        for one in (self._rows, self._good, self._bad):
            if one is not None:
                one.close()

    # working -----------------------------------------------------------------------------------------------------

    def read(self, count: int) -> list[list[str]] | str:
        """The next rows, or the message that ends the job when the file is malformed."""
        assert self._rows is not None
        try:
            rows = list(islice(self._rows, count))
        except CsvError as refused:
            return str(refused)
        width = len(self._headers)
        for row in rows:
            if len(row) != width:
                # The platform's own wording is not published.
                return f"InvalidBatch : the number of columns ({len(row)}) does not match the header ({width})"
        return rows

    def write(self, rows: list[list[str]]) -> None:
        """Write one batch and its result rows; move the cursor. Called inside the batch's transaction."""
        assert self._rows is not None
        assert self._good is not None
        assert self._bad is not None
        started = time.perf_counter()
        faults = self._row_faults(self._id, self.cursor["batch"], len(rows)) if self._row_faults else {}
        outcomes = self._with_faults(rows, faults) if faults else self._outcomes(rows)
        good = [
            (o.id or "", "true" if o.created else "false", *r)
            for o, r in zip(outcomes, rows, strict=True)
            if o.error is None
        ]
        bad = [
            # A refused row of an insert has no id; of an update it shows the id it was meant for.
            ("" if o.created else o.id or "", error_cell(o.error), *r)
            for o, r in zip(outcomes, rows, strict=True)
            if o.error is not None
        ]
        # The order of result rows is not guaranteed on the platform: a client that joins by position must fail here.
        self._shuffler.seed(f"{self._id}:{self.cursor['batch']}")
        self._shuffler.shuffle(good)
        self._shuffler.shuffle(bad)
        self._good.rows(good)
        self._bad.rows(bad)
        spent = self.cursor["milliseconds"] + round((time.perf_counter() - started) * 1000)
        self.cursor.update(
            batch=self.cursor["batch"] + 1,
            offset=self._rows.offset,
            done=self.cursor["done"] + len(rows),
            failed=self.cursor["failed"] + len(bad),
            good=self._good.flush(),
            bad=self._bad.flush(),
            milliseconds=spent,
        )

    def _with_faults(self, rows: list[list[str]], faults: Mapping[int, RowError]) -> list[Outcome]:
        """Write the rows that no fault takes out."""
        written = iter(self._outcomes([row for n, row in enumerate(rows) if n not in faults]))
        return [Outcome(None, False, _coded(faults[n])) if n in faults else next(written) for n in range(len(rows))]

    def _outcomes(self, rows: list[list[str]]) -> list[Outcome]:
        operation = self._doc["operation"]
        if operation in ("delete", "hardDelete"):
            found = deletion.delete(
                self._org,
                self._obj.name,
                [row[0].strip() for row in rows],
                self._options,
                hard=operation == "hardDelete",
            )
            return [_from_result(r) for r in found]
        done = self._org.engine.write(operation, self._obj, self._headers, rows, self._options, self._key)
        if operation == "insert":
            return [Outcome(None if o.error else o.id, o.created, o.error) for o in done]
        return done

    @staticmethod
    def write_missing(folder: Path, doc: dict[str, Any], cursor: dict[str, Any], which: str) -> None:
        """The result file of a job that made none: header only, or the rows that were never processed."""
        source = folder / "input.csv"
        headers: list[str] = []
        rows: CsvRows | None = None
        target = folder / f"{which}.csv"
        try:
            if source.exists():
                rows = CsvRows(source, doc["columnDelimiter"], doc["lineEnding"])
                headers = rows.header()
        except CsvError:
            headers = []
        out = ResultFile(target, doc["columnDelimiter"], None)
        own = {"successful": ("sf__Id", "sf__Created"), "failed": ("sf__Id", "sf__Error")}.get(which, ())
        if headers or own:
            out.header(own, headers)
        if which == "unprocessed" and headers and rows is not None:
            if cursor.get("offset"):
                rows.close()
                rows = CsvRows(source, doc["columnDelimiter"], doc["lineEnding"], cursor["offset"])
            _copy(rows, out)
        out.close()
        if rows is not None:
            rows.close()


def _copy(rows: CsvRows, out: ResultFile) -> None:
    try:
        out.rows(rows)
    except CsvError:
        # A malformed upload: what can be read of it has been echoed.
        return


def _from_result(result: RowResult) -> Outcome:
    if result.success:
        return Outcome(result.id, False, None)
    return Outcome(result.id, False, _coded(result.errors[0]))


def _coded(error: RowError) -> str:
    return US.join((error.code, error.message, ",".join(error.fields)))
