"""Deleting, the recycle bin, undeleting, the dump."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from core_support import START, codes, ids, open_org

from rehouse.sandbox.salesforce.dump import dump
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import SaveOptions


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    opened = open_org(tmp_path)
    yield opened
    opened.close()


def family(org: Org) -> dict[str, str]:
    """An account with a contact, a deal, a role and a task; a campaign the deal came from."""
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    contact = ids(org.insert("Contact", [{"LastName": "C", "AccountId": account}]))[0]
    campaign = ids(org.insert("Campaign", [{"Name": "K"}]))[0]
    deal = ids(
        org.insert(
            "Opportunity",
            [
                {
                    "Name": "O",
                    "StageName": "Prospecting",
                    "CloseDate": "2026-05-01",
                    "AccountId": account,
                    "CampaignId": campaign,
                }
            ],
        )
    )[0]
    role = ids(org.insert("OpportunityContactRole", [{"OpportunityId": deal, "ContactId": contact}]))[0]
    task = ids(org.insert("Task", [{"Subject": "call", "WhatId": deal}]))[0]
    return {"account": account, "contact": contact, "campaign": campaign, "deal": deal, "role": role, "task": task}


@pytest.mark.req("COM-RB-01")
def test_delete_takes_children_and_undelete_brings_them_back(org: Org) -> None:
    made = family(org)
    before = dump(org)
    org.clock.advance(timedelta(minutes=5))  # type: ignore[attr-defined]
    ids(org.delete("Account", [made["account"]]))
    assert [org.count(o) for o in ("Account", "Contact", "Opportunity", "OpportunityContactRole", "Task")] == [0] * 5
    everything = org.query("SELECT Id, IsDeleted FROM Contact", include_deleted=True).records(0, 5)
    assert [r["IsDeleted"] for r in everything] == [True]
    window = (START, START + timedelta(hours=1))
    assert [i for i, _ in org.deleted_ids("Contact", *window)] == [made["contact"]]
    assert codes(org.undelete([made["contact"]])) == ["UNDELETE_FAILED"]
    ids(org.undelete([made["account"]]))
    after = dump(org)
    for rows in (*before.values(), *after.values()):
        for row in rows.values():
            row.pop("SystemModstamp", None)
    assert after == before


def test_delete_clears_references_and_undelete_restores_them(org: Org) -> None:
    made = family(org)
    ids(org.delete("", [made["campaign"]]))
    assert org.retrieve("Opportunity", made["deal"], ["CampaignId"])["CampaignId"] is None
    ids(org.undelete([made["campaign"]]))
    assert org.retrieve("Opportunity", made["deal"], ["CampaignId"])["CampaignId"] == made["campaign"]


def test_delete_refusals(org: Org) -> None:
    made = family(org)
    case = ids(org.insert("Case", [{"Subject": "s", "AccountId": made["account"]}]))[0]
    blocked = org.delete("Account", [made["account"]])[0]
    number = org.retrieve("Case", case, ["CaseNumber"])["CaseNumber"]
    assert blocked.errors[0].code == "DELETE_FAILED"
    assert blocked.errors[0].message == (
        "Your attempt to delete A could not be completed because it is associated with the following cases.: "
        f"{number}\n"
    )
    ids(org.delete("Case", [case]))
    got = org.delete("Account", [made["account"], made["account"], "nonsense", made["contact"], "001000000000001AAA"])
    assert codes(got) == ["", "ENTITY_IS_DELETED", "MALFORMED_ID", "MALFORMED_ID", "INVALID_CROSS_REFERENCE_KEY"]
    assert codes(org.delete("User", [org.admin_id])) == ["INSUFFICIENT_ACCESS_OR_READONLY"]


def test_delete_all_or_none(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    got = org.delete("Account", [account, "001000000000001AAA"], SaveOptions(all_or_none=True))
    assert codes(got) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_CROSS_REFERENCE_KEY"]
    assert org.count("Account") == 1


def test_value_changed_behind_the_api_shows_and_moves_no_stamp(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A", "Phone": "1"}]))[0]
    before = dump(org)
    with closing(sqlite3.connect(org.database)) as db, db:
        db.execute("UPDATE Account SET Phone = '2' WHERE Id = ?", (account,))
    after = dump(org)
    before["Account"][account]["Phone"] = "2"
    assert after == before


def test_nested_transaction_rolls_back_alone(org: Org) -> None:
    with org.transaction():
        ids(org.insert("Account", [{"Name": "outer"}]))
        with org.transaction() as inner:
            ids(org.insert("Account", [{"Name": "inner"}]))
            inner.rollback()
    names = [r["Name"] for r in org.query("SELECT Name FROM Account").records(0, 5)]
    assert names == ["outer"]
