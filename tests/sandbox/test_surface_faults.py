"""Scheduled faults: what the client sees, and what the org has kept."""

from __future__ import annotations

from http.client import BadStatusLine, IncompleteRead

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox


def names(client: Client) -> set[str]:
    return {row["Name"] for row in client.query("SELECT Name FROM Account")}


def test_a_fault_fires_once_on_the_nth_match(sandbox: Client) -> None:
    sandbox.fault("status", r"/sobjects/Account", "POST", nth=2, status=503)
    seen = [sandbox.call("POST", "/sobjects/Account", {"Name": f"n{n}"}).status for n in range(4)]
    assert seen == [201, 503, 201, 201]
    assert names(sandbox) == {"n0", "n2", "n3"}


def test_times_and_removal(sandbox: Client) -> None:
    sandbox.fault("status", "/limits", status=429, times=5, headers={"Retry-After": "7"})
    first = sandbox.call("GET", "/limits")
    assert (first.status, first.headers["Retry-After"], first.json[0]["errorCode"]) == (
        429,
        "7",
        "REQUEST_LIMIT_EXCEEDED",
    )
    armed = sandbox.admin("GET", "/faults").json[0]
    assert (armed["fired"], armed["times"]) == (1, 5)
    assert sandbox.admin("DELETE", "/faults/" + armed["id"]).status == 204
    assert sandbox.call("GET", "/limits").status == 200


def test_a_refusal_after_the_commit_leaves_the_record(sandbox: Client) -> None:
    sandbox.fault("status", "/sobjects", "POST", status=503, when="after")
    assert sandbox.call("POST", "/sobjects/Account", {"Name": "kept"}).status == 503
    sandbox.fault("500_after_commit", "/sobjects", "POST")
    reply = sandbox.call("POST", "/sobjects/Account", {"Name": "kept too"})
    assert (reply.status, reply.json[0]["errorCode"]) == (500, "UNKNOWN_EXCEPTION")
    assert names(sandbox) == {"kept", "kept too"}


def test_resets_before_and_after_the_commit(sandbox: Client) -> None:
    for kind in ("reset_before", "reset_after_commit"):
        sandbox.fault(kind, "/sobjects", "POST")
        with pytest.raises((ConnectionError, BadStatusLine)):
            sandbox.call("POST", "/sobjects/Account", {"Name": kind})
    assert names(sandbox) == {"reset_after_commit"}


def test_a_truncated_body_announces_its_full_length(sandbox: Client) -> None:
    sandbox.fault("truncated_body", "/sobjects/Account/describe")
    with pytest.raises(IncompleteRead):
        sandbox.call("GET", "/sobjects/Account/describe")


def test_row_locks_hold_single_rows(sandbox: Client) -> None:
    rows = [{"attributes": {"type": "Account"}, "Name": f"r{n}"} for n in range(3)]
    sandbox.fault("row_locks", "/composite/sobjects", "POST", rows=[1])
    answers = sandbox.call("POST", "/composite/sobjects", {"records": rows}).json
    assert [one["success"] for one in answers] == [True, False, True]
    assert answers[1]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    assert names(sandbox) == {"r0", "r2"}
    sandbox.fault("row_locks", "/composite/sobjects", "POST", rows=[0])
    strict = sandbox.call("POST", "/composite/sobjects", {"allOrNone": True, "records": rows}).json
    codes = [one["errors"][0]["statusCode"] for one in strict]
    assert codes == ["UNABLE_TO_LOCK_ROW", *["ALL_OR_NONE_OPERATION_ROLLED_BACK"] * 2]


def test_a_dropped_field_is_reported_as_stored(sandbox: Client) -> None:
    sandbox.fault("dropped_field", "/sobjects/Account", "POST", field="Phone")
    record = sandbox.create("Account", Name="quiet", Phone="123")
    assert sandbox.query(f"SELECT Phone FROM Account WHERE Id = '{record}'")[0]["Phone"] is None


def test_an_expired_session_stays_expired(sandbox: Client) -> None:
    sandbox.fault("expired_session", "/limits")
    assert sandbox.call("GET", "/limits").status == 401
    assert sandbox.call("GET", "/limits").json[0]["errorCode"] == "INVALID_SESSION_ID"


def test_maintenance_is_html(sandbox: Client) -> None:
    sandbox.fault("maintenance", "/query")
    reply = sandbox.call("GET", "/query?q=SELECT+Id+FROM+Account")
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (503, "text/html")
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_slow_answers_come(sandbox: Client) -> None:
    sandbox.fault("slow", "/limits", seconds=0.01, when="after")
    assert sandbox.call("GET", "/limits").status == 200


def test_unknown_kinds_are_refused_with_a_hint(sandbox: Client) -> None:
    reply = sandbox.admin("POST", "/faults", {"kind": "earthquake"})
    assert reply.status == 400
    assert "row_locks" in reply.json["hint"]


def test_soap_faults_apply_to_metadata_too(sandbox: Client) -> None:
    sandbox.fault("expired_session", "/Soap/m/")
    assert b"sf:INVALID_SESSION_ID" in sandbox.soap("describeMetadata", "").body
