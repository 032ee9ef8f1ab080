"""Records written by bulk, by collections and as files; read back; and what a lost answer means."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from salesforce_tools import World, contacts, fetched, part, write

from rehouse.connectors.base import (
    AnyOf,
    In,
    Job,
    JobKind,
    JobState,
    NotNull,
    Op,
    Query,
    Since,
)
from rehouse.connectors.salesforce import limits, read
from rehouse.connectors.salesforce.target import SalesforceTarget
from rehouse.errors import OutcomeUnknownError, RetryableError

pytestmark = pytest.mark.sandbox


def test_the_size_of_a_part_decides_how_it_travels(target: SalesforceTarget) -> None:
    assert target.job_kind("Contact", Op.INSERT, 1_999) is JobKind.ROWS
    assert target.job_kind("Contact", Op.INSERT, 2_000) is JobKind.BULK
    assert target.job_kind("ContentVersion", Op.INSERT, 5_000) is JobKind.FILES
    assert target.job_kind("ContentDocument", Op.DELETE, 5_000) is JobKind.ROWS


@pytest.mark.req("COM-RUN-06")
def test_a_bulk_insert_accounts_for_every_row_and_what_it_says_is_what_is_there(target: SalesforceTarget) -> None:
    keys = [f"B-{n}" for n in range(3_000)]
    names = [("L" * 90 if n % 100 == 7 else f'Öz "{n}", ş\nğ') for n in range(3_000)]
    outcomes = write(target, contacts(keys, JobKind.BULK, LastName=names))
    bad = [row for row in outcomes if not row["ok"]]
    assert [row["key"] for row in bad] == [f"B-{n}" for n in range(3_000) if n % 100 == 7]
    assert {(row["code"], row["advice"]) for row in bad} == {("STRING_TOO_LONG", "fix data")}
    there = {
        row["Legacy_Id__c"]: row
        for row in fetched(target, Query("Contact", ("Legacy_Id__c", "LastName"), NotNull("Legacy_Id__c")))
        if row["Legacy_Id__c"].startswith("B-")
    }
    assert {row["key"]: row["id"] for row in outcomes if row["ok"]} == {key: row["Id"] for key, row in there.items()}
    assert there["B-8"]["LastName"] == names[8]


def test_an_update_clears_what_it_names_and_leaves_the_rest(target: SalesforceTarget) -> None:
    keys = [f"U-{n}" for n in range(3)]
    made = write(target, contacts(keys, Phone=["1", "2", "3"], Title=["a", "b", "c"]))
    ids = [row["id"] for row in made]
    for kind, phone in ((JobKind.BULK, "7"), (JobKind.ROWS, "8")):
        columns = {"_key": keys, "Id": ids, "Phone": [None, phone, None], "Title": [None, None, "new"]}
        done = write(target, part("Contact", Op.UPDATE, columns, kind=kind, clear=("Phone",)))
        assert all(row["ok"] for row in done), done
        rows = fetched(target, Query("Contact", ("Legacy_Id__c", "Phone", "Title"), In("Id", tuple(ids))))
        shown = {row["Legacy_Id__c"]: (row["Phone"], row["Title"]) for row in rows}
        assert shown == {"U-0": (None, "a"), "U-1": (phone, "b"), "U-2": (None, "new")}


@pytest.mark.parametrize("kind", [JobKind.BULK, JobKind.ROWS])
def test_deleting_reports_each_row_also_those_that_are_gone(target: SalesforceTarget, kind: JobKind) -> None:
    keys = [f"D-{kind}-{n}" for n in range(4)]
    ids = [row["id"] for row in write(target, contacts(keys))]
    first = write(target, part("Contact", Op.DELETE, {"_key": keys[:1], "Id": ids[:1]}, kind=kind))
    assert first[0]["ok"]
    rest = write(target, part("Contact", Op.DELETE, {"_key": keys, "Id": ids}, kind=kind))
    assert [row["ok"] for row in rest] == [False, True, True, True]
    assert rest[0]["code"] == "ENTITY_IS_DELETED"
    assert fetched(target, Query("Contact", (), In("Legacy_Id__c", tuple(keys)))) == []


def test_collections_take_typed_values_and_cut_at_200(target: SalesforceTarget) -> None:
    keys = [f"R-{n}" for n in range(450)]
    before = target.calls_used()["calls"]
    one = contacts(
        keys,
        Qualified__c=["true" if n % 2 else "false" for n in range(450)],
        Score__c=[f"{n}.25" for n in range(450)],
        Legacy_Created__c=["2024-12-31T11:05:00.000Z"] * 450,
        Channel__c=["Nope" if n == 449 else "Web" for n in range(450)],
    )
    target.describe(["Contact"])
    outcomes = write(target, one)
    assert [row["key"] for row in outcomes if not row["ok"]] == ["R-449"]
    assert outcomes[449]["code"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert target.calls_used()["calls"] - before <= 6
    fields = ("Legacy_Id__c", "Qualified__c", "Score__c", "Legacy_Created__c")
    rows = fetched(target, Query("Contact", fields, In("Legacy_Id__c", ("R-7",))))
    assert rows == [
        {
            "Id": outcomes[7]["id"],
            "Legacy_Id__c": "R-7",
            "Qualified__c": "true",
            "Score__c": "7.25",
            "Legacy_Created__c": "2024-12-31T11:05:00.000Z",
        }
    ]


def test_fetching_by_pages_and_by_job_gives_the_same(target: SalesforceTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"F-{n}" for n in range(300)]
    write(target, contacts(keys, Score__c=[f"{n}.50" for n in range(300)], Phone=[None] * 300))
    query = Query("Contact", ("Legacy_Id__c", "Score__c", "Phone", "LastName", "CreatedDate"), NotNull("Score__c"))
    by_page = fetched(target, query)
    monkeypatch.setattr(limits, "BULK_QUERY_FROM_ROWS", 10)
    monkeypatch.setattr(read, "PAGE_RECORDS", 70)
    by_job = fetched(target, query)
    assert len(by_page) >= 300
    assert sorted(by_job, key=lambda row: row["Id"]) == sorted(by_page, key=lambda row: row["Id"])
    assert next(row for row in by_job if row["Legacy_Id__c"] == "F-3")["Score__c"] == "3.5"


def test_filters_find_what_they_say(target: SalesforceTarget) -> None:
    keys = [f"W-{n}" for n in range(30)]
    write(target, contacts(keys, Title=["x" if n < 3 else None for n in range(30)]))
    now = target.org().now
    some = AnyOf((In("Legacy_Id__c", ("W-20", "W-0")), NotNull("Title")))
    found = {row["Legacy_Id__c"] for row in fetched(target, Query("Contact", ("Legacy_Id__c",), some))}
    assert found >= {"W-0", "W-1", "W-2", "W-20"}
    assert "W-9" not in found
    later = Query("Contact", (), Since("SystemModstamp", now + timedelta(hours=1)))
    assert fetched(target, later) == []
    earlier = Query("Contact", (), Since("SystemModstamp", now - timedelta(hours=1)))
    assert len(fetched(target, earlier)) >= 30
    assert fetched(target, Query("Contact", (), In("Id", ()))) == []


def test_a_long_list_with_overlapping_conditions_names_each_record_once(target: SalesforceTarget) -> None:
    keys = [f"O-{n}" for n in range(20)]
    write(target, contacts(keys))
    asked = In("Legacy_Id__c", (*keys, *(f"absent-{n:040}" for n in range(2_000))))
    rows = fetched(target, Query("Contact", ("Legacy_Id__c",), AnyOf((asked, NotNull("LastName")))))
    assert len({row["Id"] for row in rows}) == len(rows)
    assert set(keys) <= {row["Legacy_Id__c"] for row in rows}


def test_files_are_streamed_and_can_be_checked_by_their_checksum(target: SalesforceTarget, tmp_path: Path) -> None:
    small, large = os.urandom(1_000), os.urandom(1 << 20) * 40
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "sözleşme.pdf").write_bytes(small)
    (tmp_path / "big.bin").write_bytes(large)
    outside = tmp_path.parent / "secret.txt"
    outside.write_text("not ours")
    one = part(
        "ContentVersion",
        Op.INSERT,
        {
            "_key": ["1", "2", "3", "4"],
            "Legacy_Id__c": ["V-1", "V-2", "V-3", "V-4"],
            "Title": ["Sözleşme", "Big", "Escape", "Missing"],
            "PathOnClient": ["sözleşme.pdf", "big.bin", "secret.txt", "missing.txt"],
            "VersionData": ["a/sözleşme.pdf", "big.bin", "../secret.txt", "missing.txt"],
        },
        kind=JobKind.FILES,
        files=tmp_path,
    )
    outcomes = write(target, one)
    assert [row["ok"] for row in outcomes] == [True, True, False, False]
    assert outcomes[2]["code"] == "FILE_UNREADABLE"
    fields = ("Legacy_Id__c", "VersionData", "ContentSize", "Title")
    rows = fetched(target, Query("ContentVersion", fields, In("Legacy_Id__c", ("V-1", "V-2"))))
    shown = {row["Legacy_Id__c"]: (row["VersionData"], row["ContentSize"], row["Title"]) for row in rows}
    assert shown == {
        "V-1": (f"md5:{hashlib.md5(small).hexdigest()}", "1000", "Sözleşme"),
        "V-2": (f"md5:{hashlib.md5(large).hexdigest()}", str(len(large)), "Big"),
    }
    assert target.download(outcomes[1]["id"], tmp_path / "back") == hashlib.md5(large).hexdigest()


def test_a_lost_answer_to_rows_is_unknown_and_the_target_knows(target: SalesforceTarget, world: World) -> None:
    one = contacts([f"X-{n}" for n in range(250)])
    job = target.open_job(one)
    world.fault("reset_after_commit", "/composite/sobjects", "POST")
    with pytest.raises(OutcomeUnknownError):
        target.start(job, one)
    assert target.state(job) is JobState.GONE
    with pytest.raises(OutcomeUnknownError):
        target.outcomes(job, one)
    keys = tuple(one.table["_key"].to_pylist())
    assert len(fetched(target, Query("Contact", (), In("Legacy_Id__c", keys)))) == 200


def test_a_failure_after_the_first_call_is_unknown_too(target: SalesforceTarget, world: World) -> None:
    one = contacts([f"Y-{n}" for n in range(250)])
    world.admin(
        "POST",
        "/faults",
        {"kind": "status", "status": 429, "times": 9, "match": {"path": "/composite/sobjects", "nth": 2}},
    )
    with pytest.raises(OutcomeUnknownError, match="200 of 250"):
        target.start(target.open_job(one), one)


def test_nothing_written_is_told_apart(target: SalesforceTarget, world: World) -> None:
    world.fault("status", "/composite/sobjects", "POST", status=429, times=9)
    one = contacts(["Z-1"])
    with pytest.raises(RetryableError):
        target.start(target.open_job(one), one)


def test_a_bulk_job_can_be_found_again_after_the_start_was_lost(target: SalesforceTarget, world: World) -> None:
    one = contacts([f"J-{n}" for n in range(50)], JobKind.BULK)
    job = target.open_job(one)
    assert target.state(job) is JobState.OPEN
    target.upload(job, one)
    world.fault("reset_after_commit", "/jobs/ingest/", "PATCH")
    with pytest.raises(OutcomeUnknownError):
        target.start(job, one)
    successor = world.connect()
    try:
        again = Job.from_dict(job.as_dict())
        assert successor.wait(again) is JobState.DONE
        assert all(row["ok"] for row in successor.outcomes(again, one).to_pylist())
        # A successor may know no more than the keys, and may ask for a row that was never sent.
        keys = pa.table({"_key": [*one.table["_key"].to_pylist(), "never"]})
        settled = successor.outcomes(again, replace(one, table=keys)).to_pylist()
        assert [row["code"] for row in settled if not row["ok"]] == ["NOT_SENT"]
        assert settled[:50] == successor.outcomes(again, one).to_pylist()
        with pytest.raises(OutcomeUnknownError, match="told apart"):
            successor.outcomes(again, replace(one, table=keys, key_field=None))
    finally:
        successor.close()


def test_a_broken_upload_has_committed_nothing_and_asks_for_a_new_job(target: SalesforceTarget, world: World) -> None:
    one = contacts([f"K-{n}" for n in range(50)], JobKind.BULK)
    job = target.open_job(one)
    world.fault("reset_before", "/batches", "PUT")
    with pytest.raises(RetryableError, match="nothing is committed"):
        target.upload(job, one)
    target.abort(job)
    assert target.state(job) is JobState.ABORTED
    target.abort(job)
    assert all(row["ok"] for row in write(target, one))


def test_an_unknown_job_is_gone(target: SalesforceTarget) -> None:
    assert target.state(Job("750000000000001AAA", JobKind.BULK, "Contact", Op.INSERT)) is JobState.GONE
