"""SOQL: what queries answer and how they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_support import add_field, ids, open_org

from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import ApiError


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    path: Path = tmp_path_factory.mktemp("soql")
    opened = open_org(path)
    add_field(
        opened,
        "Account.Tags__c",
        "Tags",
        type="MultiselectPicklist",
        visibleLines=4,
        valueSet={"valueSetDefinition": {"value": [{"fullName": v} for v in "abc"]}},
    )
    rows: list[dict[str, Any]] = [
        {"Name": "Acme", "Industry": "Energy", "AnnualRevenue": 100, "BillingCity": "Rome", "Tags__c": "a;b"},
        {"Name": "Bolt's", "Industry": "Energy", "AnnualRevenue": 300, "Tags__c": "c"},
        {"Name": "Città", "AnnualRevenue": None},
        {"Name": "100%", "Industry": "Media", "AnnualRevenue": 50},
    ]
    accounts = ids(opened.insert("Account", rows))
    ids(
        opened.insert(
            "Contact",
            [
                {"FirstName": "Ann", "LastName": "One", "AccountId": accounts[0], "Birthdate": "2026-02-28"},
                {"FirstName": "Bob", "LastName": "Two", "AccountId": accounts[0]},
                {"LastName": "Three", "AccountId": accounts[1], "Birthdate": "1990-01-01"},
                {"LastName": "Four"},
            ],
        )
    )
    ids(opened.insert("Lead", [{"LastName": "L", "Company": "C"}]))
    contact = opened.query("SELECT Id FROM Contact WHERE LastName = 'One'").records(0, 1)[0]["Id"]
    lead = opened.query("SELECT Id FROM Lead").records(0, 1)[0]["Id"]
    ids(
        opened.insert(
            "Task", [{"Subject": "t1", "WhatId": accounts[0], "WhoId": contact}, {"Subject": "t2", "WhoId": lead}]
        )
    )
    yield opened
    opened.close()


def names(org: Org, where: str) -> list[str]:
    return [r["Name"] for r in org.query(f"SELECT Name FROM Account WHERE {where}").records(0, 50)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'ACME'", ["Acme"]),
        ("Industry != 'Energy'", ["Città", "100%"]),
        ("NOT Industry = 'Energy'", ["Città", "100%"]),
        ("Industry = null", ["Città"]),
        ("Industry <> null AND AnnualRevenue > 60", ["Acme", "Bolt's"]),
        ("NOT (AnnualRevenue < 200)", ["Bolt's", "Città"]),
        ("Name IN ('acme', 'Città')", ["Acme", "Città"]),
        ("Industry NOT IN ('Energy')", ["Città", "100%"]),
        ("Name LIKE 'b%'", ["Bolt's"]),
        (r"Name LIKE '%\%'", ["100%"]),
        ("Name LIKE 'citTÀ'", ["Città"]),
        (r"Name = 'Bolt\'s'", ["Bolt's"]),
        ("(Name = 'Acme' OR Name = 'Città') AND BillingCity != null", ["Acme"]),
        ("Tags__c INCLUDES ('a;b', 'x')", ["Acme"]),
        ("Tags__c EXCLUDES ('a')", ["Bolt's", "Città", "100%"]),
        ("Id IN (SELECT AccountId FROM Contact WHERE FirstName = 'Ann')", ["Acme"]),
        ("Id NOT IN (SELECT AccountId FROM Contact)", ["Città", "100%"]),
        ("CreatedDate = TODAY", ["Acme", "Bolt's", "Città", "100%"]),
        ("CreatedDate < 2026-03-01T10:00:00+02:00", []),
        ("CreatedDate >= 2026-03-01T09:00:00Z", ["Acme", "Bolt's", "Città", "100%"]),
        ("CALENDAR_YEAR(CreatedDate) = 2025", []),
        (
            "Owner.Name LIKE 'admin%' AND Owner.Profile.Name = 'System Administrator'",
            ["Acme", "Bolt's", "Città", "100%"],
        ),
    ],
)
def test_filters(org: Org, where: str, expected: list[str]) -> None:
    assert names(org, where) == expected


def test_date_literals_on_dates(org: Org) -> None:
    def born(where: str) -> list[str]:
        return [r["LastName"] for r in org.query(f"SELECT LastName FROM Contact WHERE Birthdate {where}").records(0, 9)]

    assert born("= YESTERDAY") == ["One"]
    assert born("= LAST_N_DAYS:30") == ["One"]
    assert born("< LAST_YEAR") == ["Three"]
    assert born("= LAST_MONTH") == ["One"]
    assert born("= 1990-01-01") == ["Three"]


def test_parents_children_and_nulls(org: Org) -> None:
    record = org.query(
        "SELECT a.Name, a.Owner.Username, "
        "(SELECT FirstName, Account.Name FROM Contacts ORDER BY FirstName DESC LIMIT 1), "
        "(SELECT Id FROM Opportunities) FROM Account a WHERE a.Name = 'Acme'"
    ).records(0, 1)[0]
    assert list(record) == ["attributes", "Name", "Owner", "Contacts", "Opportunities"]
    assert record["Contacts"]["totalSize"] == 1
    assert record["Contacts"]["records"][0]["FirstName"] == "Bob"
    assert record["Contacts"]["records"][0]["Account"]["Name"] == "Acme"
    assert record["Opportunities"] is None
    orphan = org.query("SELECT Account.Name FROM Contact WHERE LastName = 'Four'").records(0, 1)[0]
    assert orphan["Account"] is None


def test_polymorphic_parents(org: Org) -> None:
    rows = org.query(
        "SELECT Who.Name, Who.Type, TYPEOF What WHEN Account THEN Industry, BillingCity END FROM Task ORDER BY Subject"
    ).records(0, 5)
    assert rows[0]["Who"]["Name"] == "Ann One"
    assert rows[0]["What"]["Industry"] == "Energy"
    assert (rows[1]["Who"]["Type"], rows[1]["What"]) == ("Lead", None)
    by_type = org.query("SELECT Subject FROM Task WHERE Who.Type = 'Lead'").records(0, 5)
    assert [r["Subject"] for r in by_type] == ["t2"]


def test_aggregates(org: Org) -> None:
    assert org.query("SELECT COUNT() FROM Contact").total_size == 4
    got = org.query(
        "SELECT Industry, COUNT(Id) n, SUM(AnnualRevenue), MAX(AnnualRevenue) top FROM Account "
        "WHERE Industry != null GROUP BY Industry HAVING COUNT(Id) > 1 ORDER BY Industry"
    )
    assert got.total_size == 1
    record = got.records(0, 5)[0]
    assert record == {
        "attributes": {"type": "AggregateResult"},
        "Industry": "Energy",
        "n": 2,
        "expr0": 400.0,
        "top": 300.0,
    }
    grouped = org.query(
        "SELECT Account.Name, COUNT(Id) FROM Contact GROUP BY Account.Name ORDER BY COUNT(Id) DESC"
    ).records(0, 5)
    assert (grouped[0]["Name"], grouped[0]["expr0"]) == ("Acme", 2)


def test_order_limit_offset(org: Org) -> None:
    def ordered(tail: str) -> list[str]:
        return [r["Name"] for r in org.query(f"SELECT Name FROM Account {tail}").records(0, 9)]

    assert ordered("ORDER BY AnnualRevenue DESC NULLS LAST LIMIT 2") == ["Bolt's", "Acme"]
    assert ordered("ORDER BY AnnualRevenue") == ["Città", "100%", "Acme", "Bolt's"]
    assert ordered("ORDER BY Name LIMIT 2 OFFSET 1") == ["Acme", "Bolt's"]


def test_fields_function(org: Org) -> None:
    record = org.query("SELECT FIELDS(ALL) FROM Account LIMIT 1").records(0, 1)[0]
    assert {"Name", "Tags__c", "BillingAddress"} <= set(record)
    with pytest.raises(ApiError, match="must have a LIMIT of at most 200"):
        org.query("SELECT FIELDS(ALL) FROM Account")


def test_compound_address(org: Org) -> None:
    record = org.query("SELECT BillingAddress FROM Account WHERE Name = 'Acme'").records(0, 1)[0]
    assert record["BillingAddress"]["city"] == "Rome"
    assert record["BillingAddress"]["street"] is None


def test_large_results_page_from_disk(org: Org) -> None:
    ids(org.insert("Product2", [{"Name": f"P{n:05}"} for n in range(4500)]))
    run = org.query("SELECT Name FROM Product2 ORDER BY Name")
    assert (run.total_size, run.row_count) == (4500, 4500)
    assert [r["Name"] for r in run.records(4310, 3)] == ["P04310", "P04311", "P04312"]
    assert sum(len(page) for page in run.pages(2000)) == 4500
    run.close()


@pytest.mark.parametrize(
    ("soql", "code", "words"),
    [
        ("SELECT Foo__c FROM Account", "INVALID_FIELD", "No such column 'Foo__c' on entity 'Account'."),
        ("SELECT Foo.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Foo' in field path."),
        ("SELECT (SELECT Id FROM Foos) FROM Account", "INVALID_TYPE", "Didn't understand relationship 'Foos' in FROM"),
        ("SELECT Id FROM XYZZY", "INVALID_TYPE", "sObject type 'XYZZY' is not supported."),
        ("SELECT Id FORM Account", "MALFORMED_QUERY", "unexpected token: 'FORM'"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue = 'x'",
            "INVALID_FIELD",
            "must be of type double and should not be",
        ),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "must be of type string and should be enclosed"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered in a query call"),
        ("SELECT Id FROM Account WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name"),
        ("SELECT Id FROM ContentDocumentLink", "MALFORMED_QUERY", "requires a filter by a single Id"),
        ("SELECT IsPersonAccount FROM Account LIMIT 1", "INVALID_FIELD", "No such column 'IsPersonAccount'"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
    ],
)
def test_refusals(org: Org, soql: str, code: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        org.query(soql)
    assert refused.value.code == code
    assert words in refused.value.message


def test_refusal_has_the_caret_layout(org: Org) -> None:
    with pytest.raises(ApiError) as refused:
        org.query("SELECT Foo__c FROM Account")
    lines = refused.value.message.split("\n")
    assert lines[:4] == ["", "SELECT Foo__c FROM Account", "       ^", "ERROR at Row:1:Column:8"]
