"""Inventory through the Tooling API."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox


def test_custom_fields_are_listed_with_tooling_ids(sandbox: Client) -> None:
    sandbox.external_id()
    soql = "SELECT Id, DeveloperName, TableEnumOrId FROM CustomField WHERE DeveloperName = 'Legacy_Id'"
    body = sandbox.call("GET", f"/tooling/query/?q={quote(soql)}").json
    (record,) = body["records"]
    assert (record["DeveloperName"], record["TableEnumOrId"], record["Id"][:3]) == ("Legacy_Id", "Account", "00N")
    assert record["attributes"]["url"].startswith("/services/data/v67.0/tooling/sobjects/CustomField/")
    listed = sandbox.soap("listMetadata", "<queries><type>CustomField</type></queries>").body.decode()
    assert f"<id>{record['Id']}</id>" in listed
    assert sandbox.call("GET", f"/query/?q={quote(soql)}").json[0]["errorCode"] == "INVALID_TYPE"


def test_automation_types_exist_without_rows(shared: Client) -> None:
    soql = quote("SELECT Id, ValidationName FROM ValidationRule WHERE Active = true")
    body = shared.call("GET", f"/tooling/query?q={soql}").json
    assert (body["totalSize"], body["records"]) == (0, [])
    shown = quote("SELECT QualifiedApiName FROM EntityDefinition WHERE QualifiedApiName = 'Lead'")
    assert shared.call("GET", f"/tooling/query?q={shown}").json["totalSize"] == 1
