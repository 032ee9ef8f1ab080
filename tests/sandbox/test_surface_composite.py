"""Collections, composite, batch and tree."""

from __future__ import annotations

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox


def account(name: str | None) -> dict[str, object]:
    return {"attributes": {"type": "Account"}, "Name": name}


def test_collections_answer_each_row_in_order(shared: Client) -> None:
    contact = {"attributes": {"type": "Contact"}, "LastName": "Row"}
    body = {"allOrNone": False, "records": [account("One"), account(None), contact]}
    rows = shared.call("POST", "/composite/sobjects", body).json
    assert [row["success"] for row in rows] == [True, False, True]
    assert rows[1] == {
        "success": False,
        "errors": [
            {
                "statusCode": "REQUIRED_FIELD_MISSING",
                "message": "Required fields are missing: [Name]",
                "fields": ["Name"],
            }
        ],
    }
    assert rows[2]["id"].startswith("003")
    ids = [rows[0]["id"], rows[2]["id"]]
    changed = {"records": [{"attributes": {"type": "Account"}, "id": ids[0], "Name": "Uno"}]}
    assert shared.call("PATCH", "/composite/sobjects", changed).json[0]["success"]
    found = shared.call("GET", f"/composite/sobjects/Account?ids={ids[0]},001000000000000AAA&fields=Name").json
    assert (found[0]["Name"], found[1]) == ("Uno", None)
    gone = shared.call("DELETE", f"/composite/sobjects?ids={','.join(ids)}").json
    assert [row["success"] for row in gone] == [True, True]


def test_all_or_none_undoes_every_run(shared: Client) -> None:
    body = {
        "allOrNone": True,
        "records": [account("Strict 1"), {"attributes": {"type": "Contact"}}, account("Strict 2")],
    }
    rows = shared.call("POST", "/composite/sobjects", body).json
    codes = [row["errors"][0]["statusCode"] for row in rows]
    rolled = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert codes == [rolled, "REQUIRED_FIELD_MISSING", rolled]
    assert shared.query("SELECT Id FROM Account WHERE Name LIKE 'Strict%'") == []


def test_collections_refuse_more_than_200_rows(shared: Client) -> None:
    reply = shared.call("POST", "/composite/sobjects", {"records": [account("x")] * 201})
    assert (reply.status, reply.json[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")


def test_upsert_collections_say_what_was_created(sandbox: Client) -> None:
    sandbox.external_id()
    rows = [{**account("A"), "Legacy_Id__c": "1"}, {**account("B"), "Legacy_Id__c": "2"}]
    path = "/composite/sobjects/Account/Legacy_Id__c"
    assert [r["created"] for r in sandbox.call("PATCH", path, {"records": rows[:1]}).json] == [True]
    assert [r["created"] for r in sandbox.call("PATCH", path, {"records": rows}).json] == [False, True]
    by_id = sandbox.call("PATCH", "/composite/sobjects/Account/Id", {"records": [{**account("C"), "Id": None}]})
    assert by_id.json[0]["created"] is True


def part(method: str, path: str, reference: str, body: object = None) -> dict[str, object]:
    return {"method": method, "url": f"/services/data/v67.0{path}", "referenceId": reference, "body": body}


def test_composite_parts_use_values_of_earlier_parts(shared: Client) -> None:
    parts = [
        part("POST", "/sobjects/Account", "acc", {"Name": "Composite"}),
        part("POST", "/sobjects/Contact", "con", {"LastName": "C", "AccountId": "@{acc.id}"}),
        part("GET", "/query?q=SELECT+Id,Name+FROM+Account+WHERE+Id='@{acc.id}'", "q"),
        part("GET", "/sobjects/Account/@{q.records[0].Id}?fields=Name", "read"),
        part("GET", "/sobjects/Account/@{nothing.id}", "bad"),
    ]
    answers = shared.call("POST", "/composite", {"compositeRequest": parts}).json["compositeResponse"]
    assert [a["httpStatusCode"] for a in answers] == [201, 201, 200, 200, 400]
    assert answers[0]["httpHeaders"]["Location"].endswith(answers[0]["body"]["id"])
    assert answers[3]["body"]["Name"] == "Composite"
    assert answers[4]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_composite_all_or_none_rolls_back(shared: Client) -> None:
    parts = [part("POST", "/sobjects/Account", "a", {"Name": "Rolled"}), part("POST", "/sobjects/Contact", "b", {})]
    body = {"allOrNone": True, "compositeRequest": parts}
    answers = shared.call("POST", "/composite", body).json["compositeResponse"]
    assert [a["body"][0]["errorCode"] for a in answers] == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert shared.query("SELECT Id FROM Account WHERE Name = 'Rolled'") == []


def test_composite_describe_with_a_condition_has_a_null_body(shared: Client) -> None:
    stamp = shared.call("GET", "/sobjects/Account/describe").headers["Last-Modified"]
    one = {**part("GET", "/sobjects/Account/describe", "d"), "httpHeaders": {"If-Modified-Since": stamp}}
    answer = shared.call("POST", "/composite", {"compositeRequest": [one]}).json["compositeResponse"][0]
    assert (answer["httpStatusCode"], answer["body"]) == (304, None)


def test_batch_parts_are_independent(shared: Client) -> None:
    parts = [
        {"method": "GET", "url": "v67.0/limits"},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {}},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "Batch"}},
    ]
    body = shared.call("POST", "/composite/batch", {"batchRequests": parts}).json
    assert (body["hasErrors"], [r["statusCode"] for r in body["results"]]) == (True, [200, 400, 201])
    halted = shared.call("POST", "/composite/batch", {"batchRequests": parts, "haltOnError": True}).json
    assert halted["results"][2]["statusCode"] == 412


def test_tree_inserts_parents_with_children_or_nothing(shared: Client) -> None:
    child = {"attributes": {"type": "Contact", "referenceId": "c1"}, "LastName": "Leaf"}
    root = {"attributes": {"type": "Account", "referenceId": "a1"}, "Name": "Tree", "Contacts": {"records": [child]}}
    made = shared.call("POST", "/composite/tree/Account", {"records": [root]})
    assert (made.status, [r["referenceId"] for r in made.json["results"]]) == (201, ["a1", "c1"])
    assert shared.query("SELECT Account.Name FROM Contact WHERE LastName = 'Leaf'")[0]["Account"]["Name"] == "Tree"
    del child["LastName"]
    root["Name"] = "Felled"
    failed = shared.call("POST", "/composite/tree/Account", {"records": [root]})
    assert (failed.status, failed.json["results"][0]["referenceId"]) == (400, "c1")
    assert shared.query("SELECT Id FROM Account WHERE Name = 'Felled'") == []
