"""Bulk API 2.0: cells, results, refusals of whole jobs, paging of queries, kill -9."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from core_support import START, add_keys, csv_text, ids, open_org, read_results, run_job, start_job

from rehouse.clock import ManualClock
from rehouse.sandbox.salesforce.bulk import BulkJobs
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import ApiError, RowError


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    opened = open_org(tmp_path)
    add_keys(opened, "Account", "Contact")
    yield opened
    opened.close()


@pytest.fixture
def jobs(org: Org) -> Iterator[BulkJobs]:
    made = BulkJobs(org, batch_rows=50)
    yield made
    made.stop()


@pytest.mark.req("COM-RUN-04")
def test_insert_echoes_every_column_and_joins_by_key(org: Org, jobs: BulkJobs) -> None:
    rows = [(f"A-{n}", "" if n == 7 else f'Name, "{n}"', "") for n in range(120)]
    job = run_job(jobs, {"object": "Account", "operation": "insert"}, ("Legacy_Id__c", "Name", "Phone"), rows)
    info = jobs.info(job)
    assert (info["state"], info["numberRecordsProcessed"], info["numberRecordsFailed"]) == ("JobComplete", 120, 1)
    text = jobs.results(job, "successful").read_text()
    assert text.startswith('"sf__Id","sf__Created",Legacy_Id__c,Name,Phone\n')
    good = read_results(jobs, job, "successful")
    assert {(r["Legacy_Id__c"], r["Name"], r["Phone"]) for r in good} == {rows[n] for n in range(120) if n != 7}
    assert [r["Legacy_Id__c"] for r in good] != [row[0] for row in rows if row[0] != "A-7"]
    for one in good[:5]:
        assert org.retrieve("Account", one["sf__Id"], ["Legacy_Id__c"])["Legacy_Id__c"] == one["Legacy_Id__c"]
    (bad,) = read_results(jobs, job, "failed")
    assert bad == {
        "sf__Id": "",
        "sf__Error": "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
        "Legacy_Id__c": "A-7",
        "Name": "",
        "Phone": "",
    }
    assert jobs.results(job, "unprocessed").read_text() == "Legacy_Id__c,Name,Phone\n"


def test_empty_cells_and_nulls(org: Org, jobs: BulkJobs) -> None:
    made = ids(org.insert("Account", [{"Name": "A", "Phone": "1", "Site": "s"}]))[0]
    run_job(
        jobs, {"object": "Account", "operation": "update"}, ("Id", "Name", "Phone", "Site"), [(made, "", "#N/A", "t")]
    )
    record = org.retrieve("Account", made, ["Name", "Phone", "Site"])
    assert (record["Name"], record["Phone"], record["Site"]) == ("A", None, "t")


def test_upsert_with_parent_keys(org: Org, jobs: BulkJobs) -> None:
    account = ids(org.insert("Account", [{"Name": "A", "Legacy_Id__c": "A-17"}]))[0]
    spec = {"object": "Contact", "operation": "upsert", "externalIdFieldName": "Legacy_Id__c"}
    headers = ("Legacy_Id__c", "LastName", "Account.Legacy_Id__c", "Birthdate")
    first = run_job(
        jobs, spec, headers, [("C-1", "Rossi", "A-17", ""), ("C-2", "Bianchi", "A-18", ""), ("C-3", "V", "", "6/15/19")]
    )
    assert [r["sf__Created"] for r in read_results(jobs, first, "successful")] == ["true"]
    errors = {r["Legacy_Id__c"]: r["sf__Error"] for r in read_results(jobs, first, "failed")}
    assert errors == {
        "C-2": "INVALID_FIELD:Foreign key external ID: A-18 not found for field Legacy_Id__c in entity Account:--",
        "C-3": "INVALID_FIELD:Failed to deserialize field at col 4. Due to, '6/15/19' is not a valid value for the "
        "type xsd:date:Birthdate --",
    }
    second = run_job(jobs, spec, headers, [("C-1", "Russo", "", "1980-01-02")])
    assert [r["sf__Created"] for r in read_results(jobs, second, "successful")] == ["false"]
    record = org.query("SELECT LastName, AccountId, Birthdate FROM Contact").records(0, 5)
    assert [(r["LastName"], r["AccountId"], r["Birthdate"]) for r in record] == [("Russo", account, "1980-01-02")]


def test_upsert_with_a_key_in_two_chunks_changes_what_the_first_made(org: Org, jobs: BulkJobs) -> None:
    jobs.batch_rows = 1000
    rows = [(f"A-{n}", f"first {n}") for n in range(250)] + [("A-3", "second 3")]
    spec = {"object": "Account", "operation": "upsert", "externalIdFieldName": "Legacy_Id__c"}
    job = run_job(jobs, spec, ("Legacy_Id__c", "Name"), rows)
    assert jobs.info(job)["numberRecordsFailed"] == 0
    assert org.count("Account") == 250
    assert org.query("SELECT Name FROM Account WHERE Legacy_Id__c = 'A-3'").records(0, 1)[0]["Name"] == "second 3"


def test_delete_job(org: Org, jobs: BulkJobs) -> None:
    made = ids(org.insert("Account", [{"Name": str(n)} for n in range(3)]))
    job = run_job(jobs, {"object": "Account", "operation": "delete"}, ("Id",), [(made[0],), ("001000000000001AAA",)])
    assert org.count("Account") == 2
    assert [r["sf__Id"] for r in read_results(jobs, job, "successful")] == [made[0]]
    assert read_results(jobs, job, "failed")[0]["sf__Error"].startswith("INVALID_CROSS_REFERENCE_KEY:")
    with pytest.raises(ApiError, match="FeatureNotEnabled"):
        jobs.create_ingest({"object": "Account", "operation": "hardDelete"}, "", 66)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Nope", "InvalidBatch : Field name not found : Nope"),
        ("Nope.Legacy_Id__c", "InvalidBatch : Unable to find relationship: Nope"),
        (
            "Account:Parent.Legacy_Id__c",
            "InvalidBatch : type is not needed for non polymorphic foreign key references: Parent",
        ),
    ],
)
def test_headers_that_fail_the_job(jobs: BulkJobs, header: str, message: str) -> None:
    job = run_job(jobs, {"object": "Account", "operation": "insert"}, ("Name", header), [("A", "x")])
    info = jobs.info(job)
    assert (info["state"], info["errorMessage"], info["numberRecordsProcessed"]) == ("Failed", message, 0)
    assert len(read_results(jobs, job, "unprocessed")) == 1


def test_line_ending_and_width_are_checked(jobs: BulkJobs, org: Org) -> None:
    spec = {"object": "Account", "operation": "insert"}
    windows = start_job(jobs, spec, csv_text(("Name",), [("A",)], "\r\n"))
    ragged = start_job(jobs, spec, "Name,Phone\nA,1\nB\n")
    assert jobs.wait(30)
    assert jobs.info(windows)["errorMessage"] == (
        "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF"
    )
    assert jobs.info(ragged)["state"] == "Failed"
    crlf = start_job(jobs, {**spec, "lineEnding": "CRLF", "columnDelimiter": "TAB"}, "Name\tPhone\r\nA\t1\r\n")
    assert jobs.wait(30)
    assert jobs.info(crlf)["state"] == "JobComplete"
    assert org.count("Account") == 1


def test_states_and_single_upload(jobs: BulkJobs, tmp_path: Path) -> None:
    job = jobs.create_ingest({"object": "Account", "operation": "insert"}, "", 66)["id"]
    for attempt in (1, 2):
        upload = tmp_path / f"{attempt}.csv"
        upload.write_text("Name\nA\n")
        if attempt == 1:
            jobs.upload(job, upload)
        else:
            with pytest.raises(ApiError, match="Found multiple contents"):
                jobs.upload(job, upload)
    with pytest.raises(ApiError, match="INVALIDJOBSTATE"):
        jobs.delete(job)
    assert jobs.abort(job)["state"] == "Aborted"
    with pytest.raises(ApiError, match="INVALIDJOBSTATE"):
        jobs.close(job)
    assert [r["Name"] for r in read_results(jobs, job, "unprocessed")] == ["A"]
    jobs.delete(job)
    with pytest.raises(ApiError) as gone:
        jobs.info(job)
    assert gone.value.status == 404


def test_rows_beyond_the_allowance_stay_unprocessed(org: Org, jobs: BulkJobs) -> None:
    jobs.allowance = lambda: 2 - jobs.batches_since(START - timedelta(days=1))
    rows = [(f"Name {n}",) for n in range(130)]
    job = run_job(jobs, {"object": "Account", "operation": "insert"}, ("Name",), rows)
    assert jobs.info(job)["errorMessage"].startswith("ExceededQuota")
    assert org.count("Account") == 100
    left = read_results(jobs, job, "unprocessed")
    assert [r["Name"] for r in left] == [f"Name {n}" for n in range(100, 130)]


def test_rows_taken_out_by_a_fault_are_reported_and_not_written(org: Org, jobs: BulkJobs) -> None:
    lock = RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
    jobs.row_faults = lambda job, batch, count: {1: lock} if batch == 0 else {}
    job = run_job(jobs, {"object": "Account", "operation": "insert"}, ("Name",), [("A",), ("B",), ("C",)])
    assert [r["Name"] for r in read_results(jobs, job, "failed")] == ["B"]
    assert read_results(jobs, job, "failed")[0]["sf__Error"].endswith("access to this record:--")
    assert {r["Name"] for r in org.query("SELECT Name FROM Account").records(0, 5)} == {"A", "C"}


def test_query_pages_hold_every_record_once(org: Org, jobs: BulkJobs) -> None:
    rows = [{"Name": f"line\n{n:04}", "Legacy_Id__c": f"A-{n}"} for n in range(2300)]
    ids(org.insert("Account", rows))
    job = jobs.create_query(
        {"operation": "query", "query": "SELECT Legacy_Id__c, Name, Owner.Name FROM Account"}, "", 66
    )
    assert jobs.wait(30)
    assert jobs.info(job["id"])["numberRecordsProcessed"] == 2300
    found: list[str] = []
    locator: str | None = None
    while locator != "null":
        path, locator, count = jobs.query_results(job["id"], locator, 999)
        with path.open(newline="") as file:
            page = list(csv.DictReader(file))
        assert len(page) == count
        assert set(page[0]) == {"Legacy_Id__c", "Name", "Owner.Name"}
        found += [r["Legacy_Id__c"] for r in page]
    assert found == [r["Legacy_Id__c"] for r in rows]


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT COUNT(Id) FROM Account",
        "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
        "SELECT BillingAddress FROM Account",
    ],
)
def test_queries_that_bulk_refuses(jobs: BulkJobs, soql: str) -> None:
    with pytest.raises(ApiError) as refused:
        jobs.create_query({"operation": "query", "query": soql}, "", 66)
    assert refused.value.status == 400


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from rehouse.clock import ManualClock
    from rehouse.sandbox.salesforce.bulk import BulkJobs
    from rehouse.sandbox.salesforce.bulk_ingest import IngestRun
    from rehouse.sandbox.salesforce.org import Org
    from core_support import START

    org = Org.open(Path(sys.argv[1]), ManualClock(START))
    jobs = BulkJobs(org, batch_rows=40)
    write, fatal = IngestRun.write, int(sys.argv[2])

    def write_and_die(self, rows):
        write(self, rows)
        if self.cursor["batch"] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    IngestRun.write = write_and_die
    jobs.resume()
    jobs.wait(30)
"""


@pytest.mark.fault
def test_killed_in_the_middle_of_a_batch_loads_every_row_once(tmp_path: Path) -> None:
    org = open_org(tmp_path)
    add_keys(org, "Account")
    jobs = BulkJobs(org, batch_rows=40)
    job = jobs.create_ingest({"object": "Account", "operation": "insert", "lineEnding": "LF"}, "", 66)["id"]
    upload = tmp_path / "up.csv"
    upload.write_text(
        csv_text(("Legacy_Id__c", "Name"), [(f"A-{n}", "" if n % 9 == 0 else f"N {n}") for n in range(200)])
    )
    jobs.upload(job, upload)
    # Queued, not started: the process that dies does the work.
    jobs._move(job, ("Open",), "UploadComplete")
    jobs.stop()
    org.close()
    for fatal in (1, 3):
        died = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "org"), str(fatal)],
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert died.returncode == -signal.SIGKILL
    reopened = Org.open(tmp_path / "org", ManualClock(START))
    again = BulkJobs(reopened, batch_rows=40)
    try:
        assert again.info(job)["state"] == "InProgress"
        assert 0 < reopened.count("Account") < 150
        assert again.resume() == [job]
        assert again.wait(30)
        info = again.info(job)
        assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 200)
        good, bad = read_results(again, job, "successful"), read_results(again, job, "failed")
        assert sorted(r["Legacy_Id__c"] for r in good + bad) == sorted(f"A-{n}" for n in range(200))
        stored = {
            r["Legacy_Id__c"]: r["Id"] for r in reopened.query("SELECT Id, Legacy_Id__c FROM Account").records(0, 500)
        }
        assert stored == {r["Legacy_Id__c"]: r["sf__Id"] for r in good}
    finally:
        again.stop()
        reopened.close()
