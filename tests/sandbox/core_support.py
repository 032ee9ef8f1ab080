"""What the tests of the sandbox's core share: an org on a standing clock, a Bulk job in one call."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehouse.clock import ManualClock
from rehouse.sandbox.salesforce.bulk import BulkJobs
from rehouse.sandbox.salesforce.org import Org

START = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
TEXT_KEY = {"type": "Text", "length": 80, "externalId": True, "unique": True, "caseSensitive": True}


def open_org(path: Path, **options: Any) -> Org:
    return Org.open(path / "org", ManualClock(START), **options)


def permission_set(org: Org) -> str:
    """The permission set that the administrator's profile owns."""
    profile = org.retrieve("User", org.admin_id, ["ProfileId"])["ProfileId"]
    return org.query(f"SELECT Id FROM PermissionSet WHERE ProfileId = '{profile}'").records(0, 1)[0]["Id"]


def grant(org: Org, field: str, *, edit: bool = True) -> None:
    """Field-level security for the administrator, as a client would grant it."""
    row = {
        "ParentId": permission_set(org),
        "SobjectType": field.split(".")[0],
        "Field": field,
        "PermissionsRead": True,
        "PermissionsEdit": edit,
    }
    assert org.insert("FieldPermissions", [row])[0].success


def add_field(org: Org, field: str, label: str, **spec: Any) -> None:
    """A custom field that the administrator sees."""
    obj, _, name = field.partition(".")
    org.schema.add_field(obj, {"fullName": name, "label": label, **spec})
    for owner in ("Task", "Event") if obj == "Activity" else (obj,):
        if org.schema.objects[owner].fields[name].permissionable:
            grant(org, f"{owner}.{name}")


def add_keys(org: Org, *objects: str) -> None:
    for name in objects:
        add_field(org, f"{name}.Legacy_Id__c", "Legacy Id", **TEXT_KEY)


def ids(results: Sequence[Any]) -> list[str]:
    """The ids of a save that must have succeeded."""
    assert all(r.success for r in results), results
    return [r.id for r in results]


def codes(results: Sequence[Any]) -> list[str]:
    """Error code per row, empty for success."""
    return [r.errors[0].code if r.errors else "" for r in results]


def csv_text(headers: Sequence[str], rows: Iterable[Sequence[str]], ending: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=ending)
    writer.writerow(headers)
    writer.writerows(rows)
    return out.getvalue()


def start_job(jobs: BulkJobs, spec: dict[str, Any], text: str, user: str = "") -> str:
    """Create, upload, close. The job's id."""
    job = jobs.create_ingest({"contentType": "CSV", "lineEnding": "LF", **spec}, user, 66)
    upload = jobs.directory / "upload.csv"
    upload.write_text(text, encoding="utf-8", newline="")
    jobs.upload(job["id"], upload)
    jobs.close(job["id"])
    return str(job["id"])


def run_job(jobs: BulkJobs, spec: dict[str, Any], headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A whole job, waited for."""
    job_id = start_job(jobs, spec, csv_text(headers, rows))
    assert jobs.wait(30)
    return job_id


def read_results(jobs: BulkJobs, job_id: str, which: str) -> list[dict[str, str]]:
    with jobs.results(job_id, which).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
