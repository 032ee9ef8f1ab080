"""The catalog on the wire."""

from __future__ import annotations

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox


def test_global_describe_lists_objects(shared: Client) -> None:
    body = shared.call("GET", "/sobjects").json
    assert (body["encoding"], body["maxBatchSize"]) == ("UTF-8", 200)
    by_name = {one["name"]: one for one in body["sobjects"]}
    assert by_name["Account"]["keyPrefix"] == "001"
    assert by_name["Account"]["urls"]["describe"] == "/services/data/v67.0/sobjects/Account/describe"
    assert "Quote" not in by_name
    assert len(by_name["Account"]) == 28


def test_fields_carry_exactly_57_attributes_in_order(shared: Client) -> None:
    fields = {one["name"]: one for one in shared.call("GET", "/sobjects/Contact/describe/").json["fields"]}
    for field in fields.values():
        assert len(field) == 57
        assert list(field) == sorted(field, key=str.lower) or list(field) == sorted(field)
    email = fields["Email"]
    assert (email["type"], email["length"], email["byteLength"], email["idLookup"]) == ("email", 80, 240, True)
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    assert fields["AccountId"]["relationshipName"] == "Account"
    assert fields["MailingAddress"]["createable"] is False


def test_record_type_infos_always_hold_the_master(shared: Client) -> None:
    infos = shared.call("GET", "/sobjects/Account/describe").json["recordTypeInfos"]
    assert [one["recordTypeId"] for one in infos if one["master"]] == ["012000000000000AAA"]


def test_describe_is_not_sent_again_when_unchanged(sandbox: Client) -> None:
    first = sandbox.call("GET", "/sobjects/Account/describe")
    stamp = {"If_Modified_Since": first.headers["Last-Modified"]}
    assert sandbox.call("GET", "/sobjects/Account/describe", None, **stamp).status == 304
    sandbox.admin("POST", "/clock", {"advance_seconds": 60})
    sandbox.external_id()
    assert sandbox.call("GET", "/sobjects/Account/describe", None, **stamp).status == 200


def test_definitions_are_queryable(shared: Client) -> None:
    soql = (
        "SELECT QualifiedApiName FROM FieldDefinition WHERE EntityDefinitionId = 'Task' "
        "AND IsPolymorphicForeignKey = true"
    )
    names = {row["QualifiedApiName"] for row in shared.query(soql)}
    assert {"WhoId", "WhatId"} <= names
    entities = shared.query(
        "SELECT QualifiedApiName, Label FROM EntityDefinition WHERE IsDeprecatedAndHidden = false "
        "ORDER BY QualifiedApiName"
    )
    assert {"QualifiedApiName": "Account", "Label": "Account"}.items() <= entities[0].items()
