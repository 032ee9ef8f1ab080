"""Bulk API 2.0 ingest: make the job, send one CSV, start it, read three result files, join them by key.

Source: Bulk API 2.0 Developer Guide. Making a job and sending rows commits nothing; the state `UploadComplete`
does. A refused row never fails a job; a failed job keeps what it had written.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from rehouse.connectors.base import OUTCOME_SCHEMA, Advice, Job, JobKind, JobState, Op, Part
from rehouse.connectors.salesforce import limits
from rehouse.connectors.salesforce.errors import RefusedError, advice_for, split_cell
from rehouse.connectors.salesforce.session import NO_ASSIGNMENT, Session
from rehouse.connectors.salesforce.waiting import poll
from rehouse.errors import FatalError, OutcomeUnknownError, RetryableError, UserError
from rehouse.wire import Call

NULL = "#N/A"
"""Writes null into a field, where an empty cell would leave it alone (Bulk guide, "Prepare CSV Files")."""
NOT_SENT = "NOT_SENT"
NULL_REFUSED = "NULL_MARKER_AS_VALUE"

STATES: dict[str, JobState] = {
    "Open": JobState.OPEN,
    "UploadComplete": JobState.RUNNING,
    "InProgress": JobState.RUNNING,
    "JobComplete": JobState.DONE,
    "Failed": JobState.FAILED,
    "Aborted": JobState.ABORTED,
}
_SUCCESS, _FAILURE, _REST = "successfulResults", "failedResults", "unprocessedrecords"
_SEPARATOR = "\x1f"


class BulkWriter:
    """Parts of kind BULK at one org."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open_job(self, part: Part) -> Job:
        spec = {
            "object": part.object,
            "operation": part.op.value,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        # An open job holds nothing, so asking for a second one after a lost answer does no harm.
        info = self._session.write("POST", "/jobs/ingest", spec, repeatable=True)
        return Job(str(info["id"]), JobKind.BULK, part.object, part.op)

    def upload(self, job: Job, part: Part) -> None:
        """Send the rows. Errors: `RetryableError` when it broke: nothing is committed, but this job is spent."""
        with tempfile.TemporaryDirectory(prefix="rehouse-") as folder:
            file = Path(folder) / "part.csv"
            write_csv(part, file)
            if file.stat().st_size > limits.UPLOAD_BYTES:
                raise UserError(
                    f"{part.object}: a part of {part.rows} rows makes {file.stat().st_size} bytes, "
                    f"more than the {limits.UPLOAD_BYTES} of one upload",
                    hint="cut the consignment into smaller parts",
                )
            call = Call(
                "PUT",
                f"/jobs/ingest/{job.id}/batches",
                headers={"Content-Type": "text/csv", **NO_ASSIGNMENT},
                data=file,
            )
            try:
                self._session.send(call)
            except OutcomeUnknownError as lost:
                raise RetryableError(
                    f"{part.object}: the upload to job {job.id} broke; nothing is committed",
                    hint="abort the job and open another: a job takes exactly one upload",
                ) from lost

    def start(self, job: Job, part: Part) -> None:
        self._session.budget.count("bulk_batches", math.ceil(part.rows / limits.BULK_BATCH_ROWS))
        self._session.write("PATCH", f"/jobs/ingest/{job.id}", {"state": "UploadComplete"})

    def info(self, job: Job) -> dict[str, Any] | None:
        """The platform's description of the job, or None when it knows none (jobs live seven days)."""
        try:
            found: dict[str, Any] = self._session.get(f"/jobs/ingest/{job.id}", essential=True)
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise
        return found

    def state(self, job: Job) -> JobState:
        info = self.info(job)
        return JobState.GONE if info is None else _state(info)

    def wait(self, job: Job) -> JobState:
        def look() -> JobState | None:
            state = self.state(job)
            return None if state is JobState.RUNNING else state

        return poll(look, f"{job.object} job {job.id}", self._session.clock, self._session.sink)

    def abort(self, job: Job) -> None:
        """Abort a job that has not ended; one that has, or is unknown, is left as it is."""
        try:
            self._session.write(
                "PATCH", f"/jobs/ingest/{job.id}", {"state": "Aborted"}, repeatable=True, essential=True
            )
        except RefusedError:
            if self.state(job) in (JobState.OPEN, JobState.RUNNING):
                raise

    def outcomes(self, job: Job, part: Part) -> pa.Table:
        """One outcome per row of the part. Errors: `OutcomeUnknownError` for rows that no result file names."""
        info = self.info(job)
        if info is None:
            raise OutcomeUnknownError(f"the platform no longer knows job {job.id}", hint="ask for the records")
        state = _state(info)
        if state in (JobState.OPEN, JobState.RUNNING):
            raise RetryableError(f"job {job.id} has not ended yet", hint="wait for it")
        columns = join_columns(part)
        if not columns:
            raise OutcomeUnknownError(
                f"{part.object}: the rows of job {job.id} cannot be told apart without their values",
                hint="ask the target for the records by their natural key",
            )
        with tempfile.TemporaryDirectory(prefix="rehouse-") as folder:
            good = self._results(job, _SUCCESS, ["sf__Id", *columns], Path(folder))
            bad = self._results(job, _FAILURE, ["sf__Error", *columns], Path(folder))
            idle = None
            if good.num_rows + bad.num_rows < part.rows:
                idle = self._results(job, _REST, columns, Path(folder))
        return _join(part, columns, good, bad, idle, _reason(info, state, good.num_rows + bad.num_rows))

    def _results(self, job: Job, which: str, columns: list[str], folder: Path) -> pa.Table:
        file = folder / f"{which}.csv"
        call = Call(
            "GET",
            f"/jobs/ingest/{job.id}/{which}",
            headers={"Accept": "text/csv"},
            to=file,
            essential=True,
        )
        self._session.send(call)
        empty = pa.table({name: pa.array([], pa.string()) for name in columns})
        if file.stat().st_size == 0:
            return empty
        found = pacsv.read_csv(
            file,
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=columns,
                include_missing_columns=True,
                strings_can_be_null=False,
            ),
        )
        return found if found.num_rows else empty


def write_csv(part: Part, file: Path) -> None:
    """The part as the platform's CSV: UTF-8, LF, a header, nulls empty or `#N/A` for the fields in `clear`."""
    table = sendable(part)
    pacsv.write_csv(
        pa.table({name: _cells(table, name, part) for name in columns_of(part)}),
        file,
        pacsv.WriteOptions(quoting_header="none", batch_size=4096),
    )


def columns_of(part: Part) -> list[str]:
    """The columns that are sent: deletes send `Id` only, inserts no `Id`."""
    if part.op is Op.DELETE:
        return ["Id"]
    skipped = {"Id"} if part.op is Op.INSERT else set()
    return [name for name in part.table.column_names if not name.startswith("_") and name not in skipped]


def join_columns(part: Part) -> list[str]:
    """The columns that tell the part's rows apart in a result file: the external id, `Id`, or all of them."""
    if part.op is not Op.INSERT:
        return ["Id"]
    return [part.key_field] if part.key_field else columns_of(part)


def unsendable(part: Part) -> pa.Array:
    """True for rows in which a value is the very text of the null marker: Bulk would turn it into null."""
    mask = pa.repeat(pa.scalar(False), part.rows)
    for name in columns_of(part):
        mask = pc.or_(mask, pc.fill_null(pc.equal(part.table[name], NULL), False))
    return mask


def sendable(part: Part) -> pa.Table:
    """The rows that can be sent."""
    mask = unsendable(part)
    return part.table.filter(pc.invert(mask)) if pc.any(mask).as_py() else part.table


def _cells(table: pa.Table, name: str, part: Part) -> pa.ChunkedArray:
    column = table[name].cast(pa.string())
    return pc.fill_null(column, NULL) if name in part.clear and part.op is Op.UPDATE else column


def _sent(part: Part, name: str) -> pa.ChunkedArray:
    """What a column held when it was sent. The external id is the key, also where only the keys were kept."""
    return part.table["_key"] if name == part.key_field else _cells(part.table, name, part)


def _state(info: dict[str, Any]) -> JobState:
    state = STATES.get(info["state"])
    if state is None:
        raise FatalError(f"job {info.get('id')} is in a state we do not know: {info['state']}", hint="report this")
    return state


def _reason(info: dict[str, Any], state: JobState, accounted: int) -> tuple[str, str]:
    """Code and text for rows that a job did not process. `accounted`: rows in its two result files."""
    said = str(info.get("errorMessage") or "")
    if said:
        return split_cell(said)
    if state is JobState.DONE and str(info.get("numberRecordsProcessed")) == str(accounted):
        return NOT_SENT, "all rows of the job are accounted for, and this was none of them"
    return "UNPROCESSED", f"the job ended as {state.value} before this row"


def _join(
    part: Part,
    columns: list[str],
    good: pa.Table,
    bad: pa.Table,
    idle: pa.Table | None,
    reason: tuple[str, str],
) -> pa.Table:
    """Outcomes in the order of the part. A row is found by its key in one of the three result tables."""
    keys = _marks(pa.table({name: _sent(part, name) for name in columns}), columns)
    at_good = pc.index_in(keys, value_set=_marks(good, columns))
    at_bad = pc.index_in(keys, value_set=_marks(bad, columns))
    ok = pc.is_valid(at_good)
    if part.op is Op.INSERT and part.key_field is None:
        at_good, at_bad, ok = _share(keys, _marks(good, columns), _marks(bad, columns))
    codes, texts = _errors(bad["sf__Error"])
    code, message = pc.take(codes, at_bad), pc.take(texts, at_bad)
    lost = pc.invert(pc.or_(ok, pc.is_valid(at_bad)))
    refused = unsendable(part)
    code = pc.if_else(refused, NULL_REFUSED, code)
    message = pc.if_else(refused, "a value is the text #N/A, which Bulk would turn into null", message)
    lost = pc.and_not(lost, refused)
    if pc.any(lost).as_py():
        untouched = (
            pc.is_in(keys, value_set=_marks(idle, columns))
            if idle is not None
            else pa.repeat(pa.scalar(False), part.rows)
        )
        _check_lost(part, pc.and_not(lost, untouched), reason, nothing_done=good.num_rows + bad.num_rows == 0)
        code = pc.if_else(lost, reason[0], code)
        message = pc.if_else(lost, reason[1], message)
    return outcome_table(part.table["_key"], pc.take(good["sf__Id"], at_good), ok, code, message)


def _check_lost(part: Part, lost: pa.Array, reason: tuple[str, str], *, nothing_done: bool) -> None:
    """Rows that no result file names are unknown, unless the job never began or accounts for all it was sent."""
    count = pc.sum(lost).as_py() or 0
    if count == 0 or reason[0] == NOT_SENT or (nothing_done and reason[0] != "UNPROCESSED"):
        return
    raise OutcomeUnknownError(
        f"{part.object}: {count} of {part.rows} rows are in no result file of the job",
        hint="ask the target for these records by their key",
    )


def _marks(table: pa.Table, columns: list[str]) -> pa.Array:
    """One text per row to join by; null and empty are the same on this wire."""
    texts = [pc.fill_null(table[name], "").combine_chunks() for name in columns]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, _SEPARATOR)


def _share(keys: pa.Array, good: pa.Array, bad: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Places of rows without an external id. Rows alike in every value share their results in any order."""
    pools: list[dict[str, list[int]]] = [{}, {}]
    for pool, marks in zip(pools, (good, bad), strict=True):
        for place, mark in enumerate(marks.to_pylist()):
            pool.setdefault(mark, []).append(place)
    at_good: list[int | None] = []
    at_bad: list[int | None] = []
    for key in keys.to_pylist():
        at_good.append(pools[0][key].pop(0) if pools[0].get(key) else None)
        at_bad.append(pools[1][key].pop(0) if at_good[-1] is None and pools[1].get(key) else None)
    places = pa.array(at_good, pa.int32())
    return places, pa.array(at_bad, pa.int32()), pc.is_valid(places)


def _errors(cells: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Codes and texts. Few different cells repeat often (one code, one field), so each is parsed once."""
    coded = cells.combine_chunks().dictionary_encode()
    parsed = [split_cell(cell) for cell in coded.dictionary.to_pylist()]
    codes = pa.array([code for code, _ in parsed], pa.string())
    texts = pa.array([text for _, text in parsed], pa.string())
    return pc.take(codes, coded.indices), pc.take(texts, coded.indices)


def outcome_table(key: Any, ids: Any, ok: Any, code: Any, message: Any) -> pa.Table:
    """Outcomes in their schema; `advice` follows from the codes."""
    code = pc.if_else(ok, pa.scalar(None, pa.string()), code)
    advice = advice_column(code)
    columns = [key, ids, ok, code, pc.if_else(ok, pa.scalar(None, pa.string()), message), advice]
    flat = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    return pa.Table.from_arrays(
        [c.cast(f.type) for c, f in zip(flat, OUTCOME_SCHEMA, strict=True)], schema=OUTCOME_SCHEMA
    )


def advice_column(code: Any) -> pa.Array:
    """`Advice` by code, null where there is none."""
    flat = code.combine_chunks() if isinstance(code, pa.ChunkedArray) else code
    coded = flat.dictionary_encode()
    advice: list[Advice] = [advice_for(one) for one in coded.dictionary.to_pylist()]
    return pc.take(pa.array([one.value for one in advice], pa.string()), coded.indices)
