"""Rollback: the org is what it was, but for what is declared; what others touched stays and is listed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import duckdb
import pytest
from e2e_tools import BY, Site, copied

from rehouse.apply.points import Point
from rehouse.apply.undo import Undo
from rehouse.errors import GateError
from rehouse.events import Event, Reached
from rehouse.plan.engine import parquet
from rehouse.testing.untouched import dump_of, leftovers

pytestmark = pytest.mark.sandbox


def org_name(site: Site) -> str:
    return str(site.migration.load_plan()[0].org["name"])


def undo(site: Site) -> Undo:
    return site.migration.rollback(BY, confirm=org_name(site))


def filled_accounts(site: Site) -> list[dict[str, Any]]:
    """Rows of the consignment that filled accounts which were there before."""
    plan, folder = site.migration.load_plan()
    path = parquet(folder / plan.consignment("Account-update").file)
    with duckdb.connect() as connection:
        cursor = connection.execute(f"SELECT * FROM {path} ORDER BY _key")
        names = [d[0] for d in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def kept(found: Undo) -> dict[str, str]:
    return {k["id"]: k["reason"] for k in found.kept}


@pytest.mark.req("COM-RB-01", "COM-RB-05", "COM-RB-06", "COM-SMP-08")
def test_the_plan_names_what_goes_and_rollback_gives_the_org_back(applied: Site, settled_folder: Path) -> None:
    before = dump_of(settled_folder / "org")
    loaded = dump_of(applied.store)
    named = applied.migration.rollback(plan_only=True)
    assert leftovers(loaded, dump_of(applied.store)) == []
    new = {o: len(set(loaded.get(o, {})) - set(before.get(o, {}))) for o in named.deletes}
    own_shares = new.pop("ContentDocumentLink") - named.deletes.pop("ContentDocumentLink")
    assert own_shares == new["ContentVersion"]
    assert named.deletes == new
    done = undo(applied)
    assert done.kept == []
    assert done.restores == named.restores == {"Account": len(filled_accounts(applied))}
    restored = {row["_id"] for row in filled_accounts(applied)}
    assert len(restored) >= 3
    assert leftovers(before, dump_of(applied.store), restored) == []


@pytest.mark.req("COM-RB-05")
def test_what_others_touched_stays_and_is_listed(applied: Site, settled_folder: Path) -> None:
    before = dump_of(settled_folder / "org")
    fills = filled_accounts(applied)
    filled = next(row for row in fills if row["BillingCity"])
    applied.later()
    # a filled field of an account that was there before is changed again
    applied.save("Account", filled["_id"], {"BillingCity": "Ankara"})
    # a contact is edited; the account that we made for it has to stay as its parent
    contacts = applied.sql(
        "SELECT c.Id, c.AccountId, c.Legacy_Id__c FROM Contact c JOIN Account a ON a.Id = c.AccountId "
        "WHERE c.Legacy_Id__c IS NOT NULL AND a.Legacy_Id__c IS NOT NULL AND a.CreatedDate > '2020' ORDER BY c.Id"
    )
    edited, parent, key = contacts[0]
    applied.save("Contact", edited, {"Title": "Genel Müdür"})
    # another account of ours gets a contact that is not ours
    adopted = next(account for _, account, _ in contacts if account != parent)
    child = applied.add("Contact", {"LastName": "Yeni", "AccountId": adopted})
    # somebody adds a file to another contact of ours
    host = next(c for c, account, _ in contacts if account not in (parent, adopted))
    host_parent = next(account for c, account, _ in contacts if c == host)
    theirs = applied.add(
        "ContentVersion",
        {
            "Title": "not",
            "PathOnClient": "not.txt",
            "VersionData": base64.b64encode(b"not").decode(),
            "FirstPublishLocationId": host,
        },
    )
    named = applied.migration.rollback(plan_only=True)
    done = undo(applied)
    assert kept(named) == kept(done)
    reasons = kept(done)
    assert reasons.pop(filled["_id"]) == "BillingCity changed again since we filled it"
    assert reasons.pop(edited) == "edited since it was loaded"
    assert reasons.pop(parent) == "parent of a record that stays"
    assert reasons.pop(adopted) == "has a Contact that is not ours"
    assert reasons.pop(host) == "has a ContentDocumentLink that is not ours"
    assert reasons.pop(host_parent, "parent of a record that stays") == "parent of a record that stays"
    assert reasons == {}
    assert next(k["key"] for k in done.kept if k["id"] == edited) == key
    after = dump_of(applied.store)
    restored = {row["_id"] for row in fills}
    stays = {filled["_id"], edited, parent, adopted, child, host, host_parent, theirs}
    document = after["ContentVersion"][theirs]["ContentDocumentId"]
    links = {i for i, row in after["ContentDocumentLink"].items() if row["ContentDocumentId"] == document}
    left = [line for line in leftovers(before, after, restored) if line.split()[1].rstrip(":") not in stays | links]
    assert left == [f"ContentDocument {document}: new"]
    mine = after["Account"][filled["_id"]]
    assert mine["BillingCity"] == "Ankara"
    assert mine["Legacy_Id__c"] is None


@pytest.mark.slow
def test_a_second_rollback_finds_nothing_to_do(applied: Site) -> None:
    undo(applied)
    after = dump_of(applied.store)
    again = undo(applied)
    assert again.as_dict() | {"cannot": []} == Undo().as_dict()
    assert leftovers(after, dump_of(applied.store)) == []


def test_rollback_needs_the_name_of_the_org(applied: Site) -> None:
    before = dump_of(applied.store)
    with pytest.raises(GateError) as shut:
        applied.migration.rollback(BY, confirm="another org")
    assert org_name(applied) in str(shut.value) + shut.value.hint
    assert leftovers(before, dump_of(applied.store)) == []


class Stopped(BaseException):
    """The client dies here."""


def dying(point: Point, detail: str) -> Any:
    def sink(event: Event) -> None:
        if isinstance(event, Reached) and event.point == point and event.detail == detail:
            raise Stopped

    return sink


@pytest.mark.parametrize(
    ("point", "stage"),
    [(Point.COMMITTED, "Account-update"), pytest.param(Point.ROWS_SENT, "Opportunity", marks=pytest.mark.slow)],
)
def test_rollback_of_a_half_finished_apply(
    settled_folder: Path, approved_folder: Path, tmp_path: Path, point: Point, stage: str
) -> None:
    before = dump_of(settled_folder / "org")
    with copied(approved_folder, tmp_path) as site:
        site.migration.sink = dying(point, stage)
        with pytest.raises(Stopped):
            site.migration.apply(by=BY)
        site.migration.sink = lambda _: None
        done = undo(site)
        assert done.kept == []
        restored = {row["_id"] for row in filled_accounts(site)}
        assert leftovers(before, dump_of(site.store), restored) == []


def business(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What loaded records hold, without ids and stamps, references by the key of what they refer to."""
    dump = dump_of(store)
    keys = {i: row["Legacy_Id__c"] for rows in dump.values() for i, row in rows.items() if row.get("Legacy_Id__c")}
    documents = {r["ContentDocumentId"]: r["Legacy_Id__c"] for r in dump["ContentVersion"].values()}
    names = {"Id", "CreatedById", "LastModifiedById", "LastModifiedDate", "SystemModstamp", "FirstPublishLocationId",
             "ContentModifiedDate", "ContentUrl", "VersionDataUrl", "ContentBodyId", "CompletedDateTime",
             "LastStageChangeDate", "Checksum"}  # fmt: skip
    out: dict[str, list[tuple[Any, ...]]] = {}
    for name in ("Account", "Contact", "Lead", "Opportunity", "Task", "Event", "ContentVersion"):
        rows = [r for r in dump[name].values() if r["Legacy_Id__c"]]
        moved = {"CreatedDate"} if name in ("Account", "ContentVersion", "Task") else set()
        values = [
            tuple((f, keys.get(v, documents.get(v, v))) for f, v in sorted(r.items()) if f not in names | moved)
            for r in rows
        ]
        out[name] = sorted(values, key=repr)
    out["links"] = sorted(
        (documents[r["ContentDocumentId"]], keys[r["LinkedEntityId"]])
        for r in dump["ContentDocumentLink"].values()
        if r["ContentDocumentId"] in documents and r["LinkedEntityId"] in keys
    )
    return out


@pytest.mark.slow
def test_loading_again_after_a_rollback_gives_the_same(applied: Site) -> None:
    first = business(applied.store)
    undo(applied)
    applied.migration.apply(by=BY)
    assert business(applied.store) == first
    result, _ = applied.migration.reconcile()
    assert result.clean


@pytest.mark.slow
def test_an_update_that_was_sent_twice_is_still_restored(
    settled_folder: Path, approved_folder: Path, tmp_path: Path
) -> None:
    """The pre-image is the one from before our first write, whatever a later look finds."""
    before = dump_of(settled_folder / "org")
    with copied(approved_folder, tmp_path) as site:
        site.migration.sink = dying(Point.COMMITTED, "Account-update")
        with pytest.raises(Stopped):
            site.migration.apply(by=BY)
        site.migration.sink = lambda _: None
        site.migration.apply(by=BY)
        done = undo(site)
        restored = {row["_id"] for row in filled_accounts(site)}
        assert done.restores == {"Account": len(restored)}
        assert leftovers(before, dump_of(site.store), restored) == []


@pytest.mark.slow
def test_what_a_user_filled_after_the_rollback_is_theirs(applied: Site) -> None:
    """A second load leaves it alone, and a second rollback does not empty it, even where it is what we would say."""
    filled = next(row for row in filled_accounts(applied) if row["Tax_Number__c"])
    undo(applied)
    applied.later()
    applied.save("Account", filled["_id"], {"Phone": "+90 1", "Description": "ours"})
    applied.sql("UPDATE Account SET Tax_Number__c = ? WHERE Id = ?", filled["Tax_Number__c"], filled["_id"])
    applied.migration.apply(by=BY)
    done = undo(applied)
    assert done.kept == []
    ((number, mark),) = applied.sql("SELECT Tax_Number__c, Legacy_Id__c FROM Account WHERE Id = ?", filled["_id"])
    assert number == filled["Tax_Number__c"]
    assert mark is None


def test_a_record_whose_mark_somebody_blanked_is_kept(applied: Site) -> None:
    """It no longer carries our key, but it is there and somebody edited it: neither deleted nor called gone."""
    ((record,),) = applied.sql("SELECT Id FROM Lead WHERE Legacy_Id__c IS NOT NULL ORDER BY Id LIMIT 1")
    applied.later()
    applied.rest("PATCH", f"sobjects/Lead/{record}", {"Legacy_Id__c": None})
    done = undo(applied)
    assert kept(done) == {record: "edited since it was loaded"}
    assert done.gone == {}


def test_an_edit_in_the_second_of_our_own_write_is_seen(applied: Site) -> None:
    """Stamps have seconds only: that another user saved the record last tells."""
    ((record, stamp),) = applied.sql(
        "SELECT Id, LastModifiedDate FROM Lead WHERE Legacy_Id__c IS NOT NULL ORDER BY Id LIMIT 1"
    )
    applied.save("Lead", record, {"Title": "Müdür"})
    applied.sql("UPDATE Lead SET LastModifiedDate = ?, SystemModstamp = ? WHERE Id = ?", stamp, stamp, record)
    assert kept(applied.migration.rollback(plan_only=True)) == {record: "edited since it was loaded"}
