"""Bulk API 2.0 over HTTP."""

from __future__ import annotations

import csv
import io
import time
from urllib.parse import quote

import pytest
from surface_client import Client, Reply

pytestmark = pytest.mark.sandbox


def wait(client: Client, kind: str, job: str) -> dict[str, object]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        info = client.call("GET", f"/jobs/{kind}/{job}").json
        if info["state"] in ("JobComplete", "Failed", "Aborted"):
            return dict(info)
    raise AssertionError("the job did not end")


def ingest(client: Client, text: str, **spec: str) -> dict[str, object]:
    job = client.call("POST", "/jobs/ingest", {"contentType": "CSV", "lineEnding": "LF", **spec})
    assert job.status == 200, job.body
    info = job.json
    assert (info["state"], info["contentUrl"]) == ("Open", f"services/data/v67.0/jobs/ingest/{info['id']}/batches")
    sent = client.call("PUT", f"/jobs/ingest/{info['id']}/batches/", text, Content_Type="text/csv; charset=UTF-8")
    assert (sent.status, sent.body) == (201, b""), sent.body
    client.call("PATCH", f"/jobs/ingest/{info['id']}", {"state": "UploadComplete"})
    return wait(client, "ingest", str(info["id"]))


def rows(reply: Reply) -> list[dict[str, str]]:
    assert reply.headers["Content-Type"].split(";")[0] == "text/csv"
    return list(csv.DictReader(io.StringIO(reply.body.decode())))


def test_ingest_life_cycle_and_results(shared: Client) -> None:
    done = ingest(shared, "Name,Phone\nBulk A,1\n,2\nBulk B,\n", object="Account", operation="insert")
    assert (done["state"], done["numberRecordsProcessed"], done["numberRecordsFailed"]) == ("JobComplete", 3, 1)
    good = rows(shared.call("GET", f"/jobs/ingest/{done['id']}/successfulResults/"))
    assert {(r["Name"], r["Phone"], r["sf__Created"]) for r in good} == {
        ("Bulk A", "1", "true"),
        ("Bulk B", "", "true"),
    }
    bad = rows(shared.call("GET", f"/jobs/ingest/{done['id']}/failedResults"))
    assert [r["sf__Error"] for r in bad] == ["REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"]
    for spelt in ("unprocessedrecords", "unprocessedRecords"):
        assert rows(shared.call("GET", f"/jobs/ingest/{done['id']}/{spelt}")) == []
    assert shared.call("DELETE", f"/jobs/ingest/{done['id']}").status == 204
    assert shared.call("GET", f"/jobs/ingest/{done['id']}").status == 404


def test_wrong_moves_are_refused(shared: Client) -> None:
    job = shared.call("POST", "/jobs/ingest", {"object": "Account", "operation": "insert", "contentType": "CSV"}).json
    path = f"/jobs/ingest/{job['id']}"
    assert shared.call("PUT", path + "/batches", "Name\nX\n", Content_Type="text/csv").status == 201
    assert shared.call("PUT", path + "/batches", "Name\nX\n", Content_Type="text/csv").status == 400
    assert shared.call("PATCH", path, {"state": "Nonsense"}).status == 400
    assert shared.call("PATCH", path, {"state": "Aborted"}).json["state"] == "Aborted"
    assert shared.call("GET", f"/jobs/query/{job['id']}").status == 404
    assert shared.call("GET", "/jobs/ingest/750000000000000AAA").json[0]["errorCode"] == "NOT_FOUND"


def test_multipart_job_starts_at_once(shared: Client) -> None:
    parts = [
        ('name="job"', "application/json", '{"object":"Account","operation":"insert","contentType":"CSV"}'),
        ('name="content"; filename="content"', "text/csv", "Name\nInline\n"),
    ]
    body = "".join(
        f"--b\r\nContent-Disposition: form-data; {d}\r\nContent-Type: {k}\r\n\r\n{t}\r\n" for d, k, t in parts
    )
    reply = shared.call("POST", "/jobs/ingest", body + "--b--\r\n", Content_Type="multipart/form-data; boundary=b")
    assert reply.status == 200, reply.body
    assert wait(shared, "ingest", reply.json["id"])["state"] == "JobComplete"
    assert len(shared.query("SELECT Id FROM Account WHERE Name = 'Inline'")) == 1


def test_query_job_pages_end_with_the_text_null(sandbox: Client) -> None:
    ingest(sandbox, "Name\n" + "".join(f"P{n}\n" for n in range(250)), object="Account", operation="insert")
    spec = {"operation": "query", "query": "SELECT Id, Name FROM Account"}
    job = sandbox.call("POST", "/jobs/query", spec).json
    assert (job["jobType"], job["apiVersion"]) == ("V2Query", 67.0)
    wait(sandbox, "query", job["id"])
    found: list[dict[str, str]] = []
    locator = ""
    while locator != "null":
        path = f"/jobs/query/{job['id']}/results?maxRecords=100" + (f"&locator={quote(locator)}" if locator else "")
        page = sandbox.call("GET", path)
        part = rows(page)
        assert len(part) == int(page.headers["Sforce-NumberOfRecords"]) <= 100
        found += part
        locator = page.headers["Sforce-Locator"]
    assert {r["Name"] for r in found} == {f"P{n}" for n in range(250)}
    other = sandbox.send("GET", f"/services/data/v60.0/jobs/query/{job['id']}/results")
    assert other.status == 409


def test_jobs_are_listed(shared: Client) -> None:
    job = shared.call("POST", "/jobs/ingest", {"object": "Lead", "operation": "insert", "contentType": "CSV"}).json[
        "id"
    ]
    listed = shared.call("GET", "/jobs/ingest?jobType=V2Ingest").json
    assert listed["done"] is True
    assert job in [one["id"] for one in listed["records"]]


def test_batches_count_against_the_allocation(sandbox: Client) -> None:
    ingest(sandbox, "Name\nOne\n", object="Account", operation="insert")
    limit = sandbox.call("GET", "/limits").json["DailyBulkApiBatches"]
    assert limit["Max"] - limit["Remaining"] == 1


def test_row_locks_reach_bulk_rows(sandbox: Client) -> None:
    sandbox.fault("row_locks", "/batches", "PUT", rows=[1])
    done = ingest(sandbox, "Name\nA\nB\nC\n", object="Account", operation="insert")
    bad = rows(sandbox.call("GET", f"/jobs/ingest/{done['id']}/failedResults"))
    assert [r["Name"] for r in bad] == ["B"]
    assert bad[0]["sf__Error"].startswith("UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record")


def test_a_field_dropped_from_a_bulk_job_is_reported_as_stored(sandbox: Client) -> None:
    sandbox.fault("dropped_field", "/batches", "PUT", field="Phone")
    done = ingest(sandbox, "Name,Phone\nA,1\n", object="Account", operation="insert")
    good = rows(sandbox.call("GET", f"/jobs/ingest/{done['id']}/successfulResults"))
    assert [(r["Name"], r["Phone"]) for r in good] == [("A", "1")]
    assert sandbox.query("SELECT Phone FROM Account")[0]["Phone"] is None


def test_rows_beyond_the_allocation_stay_unprocessed(sandbox: Client) -> None:
    sandbox.admin("POST", "/limits", {"DailyBulkApiBatches": 0})
    done = ingest(sandbox, "Name\nA\n", object="Account", operation="insert")
    assert done["state"] == "Failed"
    left = rows(sandbox.call("GET", f"/jobs/ingest/{done['id']}/unprocessedrecords"))
    assert [r["Name"] for r in left] == ["A"]
