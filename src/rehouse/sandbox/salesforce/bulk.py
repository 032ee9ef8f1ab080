"""Bulk API 2.0 jobs: their states, files, and the worker that runs them.

A job lives in the org's SQLite file (`_bulk_job`), its files in `jobs/<id>/`. An internal batch of 10,000 rows
is one transaction that also holds the job's cursor: where the input continues, how long the result files are,
how many rows were done. A process killed at any moment continues after the last batch it committed; a result
file that is longer than its cursor says is cut back first. So no row is ever loaded twice.

States and texts: Bulk API guide; fact sheet sections 3.1 to 3.5 and 7.4.
"""

from __future__ import annotations

import json
import logging
import queue
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rehouse.sandbox.salesforce import bulk_query
from rehouse.sandbox.salesforce.bulk_ingest import IngestRun, RowFaults
from rehouse.sandbox.salesforce.csvio import DELIMITERS, LINE_ENDINGS
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.orgstate import stored_time
from rehouse.sandbox.salesforce.outcome import ApiError

BATCH_ROWS = 10_000
_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
_DONE = ("JobComplete", "Failed", "Aborted")
_RESULT_FILES = {"successful": "successful.csv", "failed": "failed.csv", "unprocessed": "unprocessed.csv"}
_SECOND_UPLOAD = (
    "Found multiple contents for job: <{}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new Job "
    "and make sure you only do 'PUT' once on a given Job."
)
_NO_HARD_DELETE = (
    "FeatureNotEnabled : hardDelete operation requires special user profile permission, please contact your system "
    "administrator"
)
_log = logging.getLogger(__name__)


class BulkJobs:
    """All Bulk 2.0 jobs of one org, with one worker thread.

    `allowance` may be set to a function that says how many internal batches may still start (the rows beyond it
    end up unprocessed); `pace` to a function that is called before each batch (delays); `row_faults` to one that
    is given the job's id, the batch's number from 0 and its number of rows, and says which of them (from 0) are
    refused with which error, without being written.
    """

    def __init__(self, org: Org, *, batch_rows: int = BATCH_ROWS) -> None:
        self.org, self.batch_rows = org, batch_rows
        self.directory = org.directory / "jobs"
        self.directory.mkdir(exist_ok=True)
        self.allowance: Callable[[], int] | None = None
        self.pace: Callable[[str], None] | None = None
        self.row_faults: RowFaults | None = None
        self._waiting: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.RLock()
        self._idle = threading.Condition()
        self._pending = 0
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    # life of the worker ------------------------------------------------------------------------------------------

    def resume(self) -> list[str]:
        """Take up the jobs that a stop or a crash left unfinished; their ids."""
        with self.org.store.reader() as db:
            rows = db.execute(
                "SELECT id FROM _bulk_job WHERE state IN ('UploadComplete', 'InProgress') ORDER BY id"
            ).fetchall()
        for (job_id,) in rows:
            self._submit(job_id)
        return [row[0] for row in rows]

    def stop(self) -> None:
        """Stop after the batch that is running. Unfinished jobs go on at the next `resume`."""
        self._stopping.set()
        self._waiting.put(None)
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until nothing is queued or running; False when it took longer than `timeout` seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, timeout)

    def _submit(self, job_id: str) -> None:
        with self._idle:
            self._pending += 1
        with self._lock:
            if self._worker is None and not self._stopping.is_set():
                self._worker = threading.Thread(target=self._work, name="bulk-worker", daemon=True)
                self._worker.start()
        self._waiting.put(job_id)

    def _work(self) -> None:
        while (job_id := self._waiting.get()) is not None:
            try:
                if not self._stopping.is_set():
                    self._run(job_id)
            except Exception:
                # A fault of ours must not leave a client polling for ever.
                _log.exception("bulk job %s failed", job_id)
                self._fail(job_id, "Unknown : an unexpected error occurred")
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

    # rows of the job table -----------------------------------------------------------------------------------------

    def _load(self, job_id: str) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
        with self.org.store.reader() as db:
            row = db.execute("SELECT kind, state, doc, cursor FROM _bulk_job WHERE id=?", (job_id,)).fetchone()
        if row is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return row[0], row[1], json.loads(row[2]), json.loads(row[3])

    def _move(self, job_id: str, allowed: tuple[str, ...], state: str, **facts: Any) -> dict[str, Any]:
        """Change a job's state. Raises ApiError INVALIDJOBSTATE when it is in none of `allowed`."""
        with self.org.store.transaction():
            _, now, doc, _ = self._load(job_id)
            if now not in allowed:
                raise ApiError(400, "INVALIDJOBSTATE", f"Job {job_id} is in state {now}: {state} is not allowed")
            doc.update(facts, systemModstamp=self.org.stamp())
            self.org.store.db.execute(
                "UPDATE _bulk_job SET state=?, doc=? WHERE id=?", (state, json.dumps(doc), job_id)
            )
        return self.info(job_id)

    def _fail(self, job_id: str, message: str) -> None:
        self._move(job_id, ("Open", "UploadComplete", "InProgress"), "Failed", errorMessage=message)

    def info(self, job_id: str) -> dict[str, Any]:
        """Job info as the API shows it. Raises ApiError 404 for an unknown job."""
        kind, state, doc, cursor = self._load(job_id)
        public = {k: v for k, v in doc.items() if not k.startswith("_")}
        public.update(state=state, createdDate=_wire(doc["createdDate"]), systemModstamp=_wire(doc["systemModstamp"]))
        if state in ("InProgress", *_DONE):
            public["retries"] = 0
            public["totalProcessingTime"] = cursor.get("milliseconds", 0)
            public["numberRecordsProcessed"] = cursor.get("done", 0)
            if kind == "ingest":
                public["apiActiveProcessingTime"] = cursor.get("milliseconds", 0)
                public["apexProcessingTime"] = 0
                public["numberRecordsFailed"] = cursor.get("failed", 0)
        return public

    def list(self, kind: str) -> list[dict[str, Any]]:
        """Info of all jobs of a kind (`ingest` or `query`), oldest first."""
        with self.org.store.reader() as db:
            ids = [row[0] for row in db.execute("SELECT id FROM _bulk_job WHERE kind=? ORDER BY id", (kind,))]
        return [self.info(job_id) for job_id in ids]

    def batches_since(self, start: datetime) -> int:
        """Internal batches begun since a moment: what the daily allocation counts."""
        with self.org.store.reader() as db:
            row = db.execute("SELECT count(*) FROM _bulk_batch WHERE at >= ?", (stored_time(start),)).fetchone()
        return int(row[0])

    def folder(self, job_id: str) -> Path:
        """The directory of a job's files."""
        return self.directory / job_id

    # ingest -------------------------------------------------------------------------------------------------

    def create_ingest(self, spec: dict[str, Any], user_id: str, version: int) -> dict[str, Any]:
        """Open an ingest job from the create request. Raises ApiError 400 for a spec that cannot work."""
        operation = str(spec.get("operation") or "")
        obj = self.org.schema.get(str(spec.get("object") or ""))
        if operation not in _OPERATIONS:
            raise ApiError(400, "INVALIDJOB", f"InvalidJob : Unknown operation: {operation or '(none)'}")
        if obj is None:
            raise ApiError(400, "INVALIDENTITY", f"InvalidEntity : Unknown object: {spec.get('object')}")
        if operation == "hardDelete" and not self.org.switches["BulkApiHardDelete"]:
            raise ApiError(
                400,
                "FEATURENOTENABLED",
                _NO_HARD_DELETE,
            )
        key = spec.get("externalIdFieldName")
        if operation == "upsert" and not key:
            raise ApiError(
                400,
                "INVALIDJOB",
                f"InvalidJob : External ID was blank for {obj.name}. An External ID must be specified for upsert.",
            )
        facts = self._common(spec, user_id, version)
        facts.update(operation=operation, object=obj.name, concurrencyMode="Parallel", jobType="V2Ingest")
        if key:
            facts["externalIdFieldName"] = str(key)
        if spec.get("assignmentRuleId"):
            facts["assignmentRuleId"] = str(spec["assignmentRuleId"])
        job_id = self._keep("ingest", "Open", facts, user_id)
        return self.info(job_id)

    def _common(self, spec: dict[str, Any], user_id: str, version: int) -> dict[str, Any]:
        content = spec.get("contentType") or "CSV"
        delimiter, ending = spec.get("columnDelimiter") or "COMMA", spec.get("lineEnding") or "LF"
        if content != "CSV" or delimiter not in DELIMITERS or ending not in LINE_ENDINGS:
            raise ApiError(
                400, "INVALIDJOB", "InvalidJob : contentType, columnDelimiter or lineEnding is not supported"
            )
        return {
            "contentType": content, "columnDelimiter": delimiter, "lineEnding": ending, "apiVersion": float(version),
            "createdById": user_id or self.org.admin_id,
        }  # fmt: skip

    def _keep(self, kind: str, state: str, facts: dict[str, Any], user_id: str) -> str:
        with self.org.store.transaction():
            job_id = self.org.platform_id("750")
            doc = {"id": job_id, **facts, "createdDate": self.org.stamp(), "systemModstamp": self.org.stamp()}
            if kind == "ingest":
                doc["contentUrl"] = f"services/data/v{int(facts['apiVersion'])}.0/jobs/ingest/{job_id}/batches"
            self.folder(job_id).mkdir(parents=True, exist_ok=True)
            self.org.store.db.execute(
                "INSERT INTO _bulk_job VALUES (?,?,?,?,?)", (job_id, kind, state, json.dumps(doc), "{}")
            )
        return job_id

    def upload(self, job_id: str, stream_path: Path) -> None:
        """Take over the uploaded file, once, while the job is open."""
        with self._lock:
            kind, state, _, _ = self._load(job_id)
            target = self.folder(job_id) / "input.csv"
            if kind != "ingest" or state != "Open" or target.exists():
                code = "CLIENTINPUTERROR" if state == "Open" else "INVALIDJOBSTATE"
                raise ApiError(400, code, _SECOND_UPLOAD.format(job_id))
            stream_path.replace(target)

    def close(self, job_id: str) -> dict[str, Any]:
        """The upload is complete: the job is queued."""
        info = self._move(job_id, ("Open",), "UploadComplete")
        self._submit(job_id)
        return info

    def abort(self, job_id: str) -> dict[str, Any]:
        """Abort a job that is not done; what was loaded stays, the rest is unprocessed."""
        return self._move(job_id, ("Open", "UploadComplete", "InProgress"), "Aborted")

    def delete(self, job_id: str) -> None:
        """Forget a job and its files. Only in UploadComplete and when done."""
        _, state, _, _ = self._load(job_id)
        if state not in ("UploadComplete", *_DONE):
            raise ApiError(400, "INVALIDJOBSTATE", f"Job {job_id} in state {state} cannot be deleted")
        with self.org.store.transaction():
            self.org.store.db.execute("DELETE FROM _bulk_job WHERE id=?", (job_id,))
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def results(self, job_id: str, which: str) -> Path:
        """The CSV of `successful`, `failed` or `unprocessed` rows of a job that is done."""
        kind, state, doc, cursor = self._load(job_id)
        if kind != "ingest" or state not in _DONE:
            raise ApiError(400, "INVALIDJOBSTATE", f"Results of job {job_id} are not available in state {state}")
        path = self.folder(job_id) / _RESULT_FILES[which]
        if not path.exists() or which == "unprocessed":
            IngestRun.write_missing(self.folder(job_id), doc, cursor, which)
        return path

    # query --------------------------------------------------------------------------------------------------

    def create_query(self, spec: dict[str, Any], user_id: str, version: int) -> dict[str, Any]:
        """Start a query job. Raises ApiError 400 for SOQL that is wrong or not for Bulk."""
        operation, text = str(spec.get("operation") or ""), str(spec.get("query") or "")
        if operation not in ("query", "queryAll"):
            raise ApiError(400, "INVALIDJOB", f"InvalidJob : Unknown operation: {operation or '(none)'}")
        obj = bulk_query.check(self.org, text, user_id or self.org.admin_id)
        facts = self._common(spec, user_id, version)
        facts.update(operation=operation, object=obj, concurrencyMode="Parallel", jobType="V2Query", _query=text)
        job_id = self._keep("query", "UploadComplete", facts, user_id)
        self._submit(job_id)
        return self.info(job_id)

    def query_results(self, job_id: str, locator: str | None, max_records: int) -> tuple[Path, str, int]:
        """One page: its file, the next locator (the text `null` after the last page), its number of records."""
        kind, state, _, cursor = self._load(job_id)
        if kind != "query" or state != "JobComplete":
            raise ApiError(400, "INVALIDJOBSTATE", f"Results of job {job_id} are not available in state {state}")
        return bulk_query.page(self.folder(job_id), cursor, locator, max_records)

    # running ------------------------------------------------------------------------------------------------

    def _run(self, job_id: str) -> None:
        kind, state, doc, cursor = self._load(job_id)
        if state not in ("UploadComplete", "InProgress"):
            return
        if state == "UploadComplete":
            self._move(job_id, ("UploadComplete",), "InProgress")
        if kind == "query":
            self._run_query(job_id, doc)
            return
        ingest = IngestRun(self.org, self.folder(job_id), job_id, doc, cursor, self.row_faults)
        try:
            refusal = ingest.open()
            while refusal is None and not self._stopping.is_set():
                if self.pace is not None:
                    self.pace(job_id)
                allowed = self.allowance() if self.allowance is not None else 1
                outcome = "unprocessed" if allowed <= 0 else self._batch(job_id, ingest)
                if outcome == "more":
                    continue
                if outcome == "done":
                    self._move(job_id, ("InProgress",), "JobComplete")
                elif outcome == "unprocessed":
                    self._fail(job_id, "ExceededQuota : the daily number of batches is used up")
                elif outcome != "aborted":
                    refusal = outcome
                    break
                return
            if refusal is not None:
                self._fail(job_id, refusal)
        finally:
            ingest.close()

    def _batch(self, job_id: str, ingest: IngestRun) -> str:
        """One internal batch as one transaction. `more`, `done`, `aborted`, or the message of a failure."""
        rows = ingest.read(self.batch_rows)
        if isinstance(rows, str):
            return rows
        if not rows:
            return "done"
        with self.org.store.transaction():
            if self._load(job_id)[1] != "InProgress":
                return "aborted"
            self.org.store.db.execute(
                "INSERT INTO _bulk_batch VALUES (?,?,?)", (job_id, ingest.cursor["batch"] + 1, self.org.stamp())
            )
            ingest.write(rows)
            self.org.store.db.execute("UPDATE _bulk_job SET cursor=? WHERE id=?", (json.dumps(ingest.cursor), job_id))
        return "more"

    def _run_query(self, job_id: str, doc: dict[str, Any]) -> None:
        try:
            done = bulk_query.run(
                self.org,
                self.folder(job_id),
                doc,
                lambda: self._stopping.is_set() or self._load(job_id)[1] != "InProgress",
            )
        except ApiError as refused:
            self._fail(job_id, f"{refused.code} : {refused.message}")
            return
        if done is None:
            return
        with self.org.store.transaction():
            if self._load(job_id)[1] != "InProgress":
                return
            self.org.store.db.execute("UPDATE _bulk_job SET cursor=? WHERE id=?", (json.dumps(done), job_id))
            self._move(job_id, ("InProgress",), "JobComplete")


def _wire(stored: str) -> str:
    return stored[:-1] + "+0000" if stored.endswith("Z") else stored
