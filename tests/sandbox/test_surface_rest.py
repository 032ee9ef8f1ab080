"""Records over REST: status codes and bodies."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox


def test_create_read_update_delete(shared: Client) -> None:
    made = shared.call("POST", "/sobjects/Account/", {"Name": "Acme"})
    assert (made.status, made.json["success"], made.json["errors"]) == (201, True, [])
    record_id = made.json["id"]
    assert len(record_id) == 18
    path = f"/sobjects/Account/{record_id}"
    assert shared.call("PATCH", path, {"Name": "Acme Ltd", "Phone": None}).status == 204
    read = shared.call("GET", path + "?fields=Name,Phone").json
    assert read["attributes"] == {"type": "Account", "url": f"/services/data/v67.0{path}"}
    assert (read["Name"], read["Phone"]) == ("Acme Ltd", None)
    assert shared.send("POST", f"{shared.base}{path}?_HttpMethod=PATCH", {"Phone": "1"}).status == 204
    assert shared.call("DELETE", path).status == 204
    for method in ("GET", "DELETE", "PATCH"):
        again = shared.call(method, path, {"Name": "x"} if method == "PATCH" else None)
        assert again.status == 404
        assert again.json[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_attributes_carry_the_version_of_the_caller(shared: Client) -> None:
    record_id = shared.create("Account", Name="Versions")
    reply = shared.send("GET", f"/services/data/v52.0/sobjects/Account/{record_id}/?fields=Name")
    assert reply.json["attributes"]["url"] == f"/services/data/v52.0/sobjects/Account/{record_id}"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/sobjects/Nothing", None, 404, "NOT_FOUND"),
        ("GET", "/sobjects/Account/001000000000000AAA", None, 404, "NOT_FOUND"),
        ("GET", "/nothing", None, 404, "NOT_FOUND"),
        ("DELETE", "/sobjects/Account", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/sobjects/Account", {}, 400, "REQUIRED_FIELD_MISSING"),
        ("POST", "/sobjects/Account", {"Name": "a", "Foo__c": 1}, 400, "INVALID_FIELD"),
        ("POST", "/sobjects/Contact", {"LastName": "x" * 81}, 400, "STRING_TOO_LONG"),
        ("GET", "/query?q=" + quote("SELECT Nope FROM Account"), None, 400, "INVALID_FIELD"),
        ("GET", "/query?q=" + quote("SELECT Id FROM Xyzzy"), None, 400, "INVALID_TYPE"),
        ("GET", "/query?q=" + quote("SELECT Id FORM Account"), None, 400, "MALFORMED_QUERY"),
        ("GET", "/query/01g000000000000AAA-2000", None, 400, "INVALID_QUERY_LOCATOR"),
    ],
)
def test_refusals_are_arrays_with_code_and_status(
    shared: Client, method: str, path: str, body: object, status: int, code: str
) -> None:
    reply = shared.call(method, path, body)
    assert (reply.status, reply.json[0]["errorCode"]) == (status, code), reply.body


def test_record_errors_name_their_fields(shared: Client) -> None:
    reply = shared.call("POST", "/sobjects/Contact", {"FirstName": "x"})
    assert reply.json == [
        {
            "message": "Required fields are missing: [LastName]",
            "errorCode": "REQUIRED_FIELD_MISSING",
            "fields": ["LastName"],
        }
    ]


def test_broken_json_and_other_media_types_are_refused(shared: Client) -> None:
    kinds = {"Content-Type": "application/json"}
    broken = shared.send("POST", f"{shared.base}/sobjects/Account", "{", kinds)
    assert (broken.status, broken.json[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
    other = shared.send("POST", f"{shared.base}/sobjects/Account", "<a/>", {"Content-Type": "text/html"})
    assert (other.status, other.json[0]["errorCode"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_retired_and_unknown_versions(shared: Client) -> None:
    assert shared.send("GET", "/services/data/v25.0/").status == 410
    assert shared.send("GET", "/services/data/v99.0/").status == 404


def test_gzip_bodies_are_read(shared: Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps({"Name": "Zip"}).encode())
    assert shared.send("POST", f"{shared.base}/sobjects/Account", body, headers).status == 201


def test_upsert_by_external_id(sandbox: Client) -> None:
    sandbox.external_id()
    path = "/sobjects/Account/Legacy_Id__c/" + quote("A/17 x", safe="")
    made = sandbox.call("PATCH", path, {"Name": "Upserted"})
    assert (made.status, made.json["created"]) == (201, True)
    again = sandbox.call("PATCH", path, {"Name": "Twice"})
    assert (again.status, again.json) == (200, {"id": made.json["id"], "success": True, "errors": [], "created": False})
    old = sandbox.send("PATCH", f"/services/data/v45.0{path}", {"Name": "Old"})
    assert (old.status, old.body) == (204, b"")
    assert sandbox.call("GET", path).json["Name"] == "Old"
    child = sandbox.call("POST", "/sobjects/Contact", {"LastName": "K", "Account": {"Legacy_Id__c": "A/17 x"}})
    assert child.status == 201
    lost = sandbox.call("POST", "/sobjects/Contact", {"LastName": "K", "Account": {"Legacy_Id__c": "nope"}})
    assert lost.json[0]["message"] == "Foreign key external ID: nope not found for field Legacy_Id__c in entity Account"
    missing = sandbox.call("PATCH", "/sobjects/Account/Legacy_Id__c/new?updateOnly=true", {"Name": "x"})
    assert missing.status == 404
    assert sandbox.call("PATCH", "/sobjects/Account/Phone/1", {"Name": "x"}).status == 404


def test_query_pages_follow_the_locator(sandbox: Client) -> None:
    for start in range(0, 450, 150):
        rows = [{"attributes": {"type": "Account"}, "Name": f"Q{n:03}"} for n in range(start, start + 150)]
        assert sandbox.call("POST", "/composite/sobjects", {"records": rows}).status == 200
    soql = quote("SELECT Id, Name FROM Account WHERE Name LIKE 'Q%' ORDER BY Name")
    page = sandbox.call("GET", f"/query/?q={soql}", None, Sforce_Query_Options="batchSize=200").json
    names = [record["Name"] for record in page["records"]]
    assert (page["totalSize"], page["done"], len(names)) == (450, False, 200)
    while not page["done"]:
        assert page["nextRecordsUrl"].startswith("/services/data/v67.0/query/01g")
        page = sandbox.send("GET", page["nextRecordsUrl"]).json
        names += [record["Name"] for record in page["records"]]
    assert names == [f"Q{n:03}" for n in range(450)]
    count = sandbox.call("GET", "/query?q=" + quote("SELECT COUNT() FROM Account")).json
    assert (count["totalSize"], count["done"], count["records"]) == (450, True, [])


def test_request_lines_of_16384_bytes_are_taken(shared: Client) -> None:
    head, tail = f"{shared.base}/query?q=" + quote("SELECT Id FROM Account WHERE Name = '"), quote("'")
    room = 16_384 - len(f"GET {head}{tail} HTTP/1.1")
    reply = shared.send("GET", head + "x" * room + tail)
    assert (reply.status, reply.json["totalSize"]) == (200, 0)


def test_query_all_sees_the_recycle_bin(shared: Client) -> None:
    record_id = shared.create("Account", Name="Binned")
    shared.call("DELETE", f"/sobjects/Account/{record_id}")
    soql = quote(f"SELECT Id, IsDeleted FROM Account WHERE Id = '{record_id}'")
    assert shared.call("GET", f"/query?q={soql}").json["totalSize"] == 0
    assert shared.call("GET", f"/queryAll/?q={soql}").json["records"][0]["IsDeleted"] is True


def test_updated_and_deleted_in_a_window(shared: Client) -> None:
    kept, gone = shared.create("Lead", LastName="A", Company="B"), shared.create("Lead", LastName="C", Company="D")
    shared.call("DELETE", f"/sobjects/Lead/{gone}")
    # Whole seconds: what was written in the second of the request is not covered yet.
    now = datetime.fromisoformat(shared.admin("POST", "/clock", {"advance_seconds": 2}).json["now"])
    window = "start={}&end={}".format(*(quote((now + timedelta(minutes=m)).isoformat()) for m in (-5, 5)))
    assert kept in shared.call("GET", f"/sobjects/Lead/updated/?{window}").json["ids"]
    assert [row["id"] for row in shared.call("GET", f"/sobjects/Lead/deleted/?{window}").json["deletedRecords"]] == [
        gone
    ]


def test_duplicate_rule_body_keeps_the_misspelt_key(sandbox: Client) -> None:
    rule = {"object": "Contact", "name": "Same_Email", "fields": ["Email"], "action": "allow", "active": True}
    sandbox.admin("POST", "/seed", {"duplicate_rules": [rule]})
    first = sandbox.create("Contact", LastName="A", Email="a@b.example")
    again = {"LastName": "B", "Email": "a@b.example"}
    reply = sandbox.call("POST", "/sobjects/Contact", again)
    assert (reply.status, reply.json[0]["errorCode"]) == (400, "DUPLICATES_DETECTED")
    match = reply.json[0]["duplicateResut"]["matchResults"][0]["matchRecords"][0]
    assert match["record"]["Id"] == first
    saved = sandbox.call("POST", "/sobjects/Contact", again, Sforce_Duplicate_Rule_Header="allowSave=true")
    assert saved.status == 201


def test_limits_count_calls_and_refuse_when_used_up(sandbox: Client) -> None:
    before = sandbox.call("GET", "/limits/")
    used = int(before.headers["Sforce-Limit-Info"].removeprefix("api-usage=").split("/")[0])
    after = sandbox.call("GET", "/limits").json["DailyApiRequests"]
    assert after["Max"] - after["Remaining"] == used + 1
    sandbox.admin("POST", "/limits", {"DailyApiRequests": used + 2})
    assert sandbox.call("GET", "/limits").status == 200
    refused = sandbox.call("GET", "/limits")
    assert (refused.status, refused.json[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    sandbox.admin("POST", "/clock", {"advance_seconds": 25 * 3600})
    token = sandbox.send(
        "POST",
        "/services/oauth2/token",
        "grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}".format(**sandbox.info),
        {"Content-Type": "application/x-www-form-urlencoded"},
    ).json["access_token"]
    assert sandbox.send("GET", f"{sandbox.base}/limits", token=token).status == 200


def test_record_count(shared: Client) -> None:
    shared.create("Campaign", Name="Spring")
    body = shared.call("GET", "/limits/recordCount?sObjects=Campaign,Nothing").json
    assert body == {"sObjects": [{"count": 1, "name": "Campaign"}]}
