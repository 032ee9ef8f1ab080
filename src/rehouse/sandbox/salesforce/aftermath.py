"""Rows of other objects that a save makes or changes: links, primary roles, permission caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rehouse.sandbox.salesforce import documents
from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.plan import Program, Side

_PERMISSION_OBJECTS = frozenset({"FieldPermissions", "PermissionSetAssignment", "PermissionSet"})


def before(org: OrgState, program: Program, side: Side, *, creating: bool) -> list[tuple[Any, ...]]:
    """What must be remembered from before an update: the accounts of contacts that move."""
    if creating or program.obj.name != "Contact" or not _relations(org) or "AccountId" not in side.positions:
        return []
    return org.store.db.execute(
        f"SELECT c.Id, c.AccountId FROM temp.{side.stage} s JOIN Contact c ON c.Id=s.id WHERE s.err IS NULL"
    ).fetchall()


def after(
    org: OrgState,
    program: Program,
    side: Side,
    params: Mapping[str, Any],
    blobs: Sequence[Mapping[str, Any]],
    remembered: Sequence[tuple[Any, ...]],
    *,
    creating: bool,
) -> None:
    """Everything that follows from the rows just written by this side."""
    name = program.obj.name
    if name in _PERMISSION_OBJECTS:
        org.schema.permissions_changed()
    if name == "Contact" and _relations(org):
        _direct_relations(org, side, params, remembered, creating=creating)
    if name == "OpportunityContactRole":
        _one_primary(org, side)
    if name in ("OpportunityLineItem",):
        roll_up_amount(org, f"SELECT OpportunityId FROM OpportunityLineItem WHERE Id IN ({_ids(side)})")
    if not creating:
        return
    after_insert = _AFTER_INSERT.get(name)
    if after_insert is not None:
        after_insert(org, side, params)
    if name in ("ContentVersion", "ContentNote", "Attachment"):
        documents.save(org, name, _written(org, side), blobs)


def _ids(side: Side) -> str:
    return f"SELECT id FROM temp.{side.stage} WHERE err IS NULL"


def _written(org: OrgState, side: Side) -> list[tuple[int, str]]:
    """Row number and id of the rows written by this side."""
    return org.store.db.execute(f"SELECT rn, id FROM temp.{side.stage} WHERE err IS NULL ORDER BY rn").fetchall()


def _relations(org: OrgState) -> bool:
    return "AccountContactRelation" in org.schema.objects


def _add(org: OrgState, obj: str, columns: Mapping[str, str], source: str, params: Mapping[str, Any]) -> None:
    """Insert platform-made rows set-wise. `columns` are SQL over `source`; stamps and ids are filled in."""
    known = org.schema.objects[obj]
    count = org.store.db.execute(f"SELECT count(*) {source}", params).fetchone()[0]
    if not count:
        return
    rows = org.store.db.execute(f"SELECT {', '.join(columns.values())} {source}", params).fetchall()
    for new_id, row in zip(org.next_ids(obj, count), rows, strict=True):
        values = {"Id": new_id, **dict(zip(columns, row, strict=True))}
        org.system_insert(obj, {k: v for k, v in values.items() if k in known.fields})


def _direct_relations(
    org: OrgState, side: Side, params: Mapping[str, Any], remembered: Sequence[tuple[Any, ...]], *, creating: bool
) -> None:
    """The direct AccountContactRelation that the platform keeps for each contact with an account."""
    db = org.store.db
    if not creating:
        gone = [
            (contact,)
            for contact, account in remembered
            if account is not None
            and db.execute("SELECT AccountId FROM Contact WHERE Id=?", (contact,)).fetchone()[0] != account
        ]
        db.executemany("DELETE FROM AccountContactRelation WHERE ContactId=? AND IsDirect=1", gone)
    _add(
        org,
        "AccountContactRelation",
        {"AccountId": "c.AccountId", "ContactId": "c.Id", "IsDirect": "1", "IsActive": "1"},
        f"FROM Contact c WHERE c.Id IN ({_ids(side)}) AND c.AccountId IS NOT NULL AND NOT EXISTS ("
        "SELECT 1 FROM AccountContactRelation r WHERE r.ContactId=c.Id AND r.IsDirect=1 AND r._del IS NULL)",
        params,
    )


def _one_primary(org: OrgState, side: Side) -> None:
    """At most one primary role per opportunity: the last one written wins."""
    org.store.db.execute(
        "UPDATE OpportunityContactRole SET IsPrimary=0 WHERE IsPrimary=1 AND _del IS NULL AND OpportunityId IN ("
        f"SELECT OpportunityId FROM OpportunityContactRole WHERE IsPrimary=1 AND Id IN ({_ids(side)})) "
        "AND Id NOT IN (SELECT max(Id) FROM OpportunityContactRole "
        f"WHERE IsPrimary=1 AND Id IN ({_ids(side)}) GROUP BY OpportunityId)"
    )


def roll_up_amount(org: OrgState, opportunities: str) -> None:
    """Amount of opportunities with line items is the sum of these. `opportunities` is a subquery of ids."""
    org.store.db.execute(
        "UPDATE Opportunity SET "
        "Amount=(SELECT sum(TotalPrice) FROM OpportunityLineItem l WHERE l.OpportunityId=Opportunity.Id "
        "AND l._del IS NULL), "
        "HasOpportunityLineItem=1, "
        "ExpectedRevenue=(SELECT sum(TotalPrice) FROM OpportunityLineItem l WHERE l.OpportunityId=Opportunity.Id "
        "AND l._del IS NULL) * Probability / 100.0, "
        "Pricebook2Id=coalesce(Pricebook2Id, (SELECT e.Pricebook2Id FROM OpportunityLineItem l "
        "JOIN PricebookEntry e ON e.Id=l.PricebookEntryId WHERE l.OpportunityId=Opportunity.Id "
        "AND l._del IS NULL LIMIT 1)), "
        "SystemModstamp=? "
        f"WHERE Id IN ({opportunities}) AND EXISTS (SELECT 1 FROM OpportunityLineItem l "
        "WHERE l.OpportunityId=Opportunity.Id AND l._del IS NULL)",
        (org.stamp(),),
    )


def _opportunity_contact(org: OrgState, side: Side, params: Mapping[str, Any]) -> None:
    """ContactId of a new opportunity makes the primary contact role."""
    if "ContactId" not in side.positions:
        return
    _add(
        org,
        "OpportunityContactRole",
        {"OpportunityId": "o.Id", "ContactId": "o.ContactId", "IsPrimary": "1"},
        f"FROM Opportunity o WHERE o.Id IN ({_ids(side)}) AND o.ContactId IS NOT NULL",
        params,
    )


def _campaign_statuses(org: OrgState, side: Side, params: Mapping[str, Any]) -> None:
    """A new campaign starts with the member statuses Sent and Responded."""
    for label, default, responded, order in (("Sent", 1, 0, 1), ("Responded", 0, 1, 2)):
        _add(
            org,
            "CampaignMemberStatus",
            {"CampaignId": "c.Id", "Label": f"'{label}'", "IsDefault": str(default), "HasResponded": str(responded),
             "SortOrder": str(order)},
            f"FROM Campaign c WHERE c.Id IN ({_ids(side)})",
            params,
        )  # fmt: skip


def _user_profile(org: OrgState, side: Side, params: Mapping[str, Any]) -> None:
    """A new user is assigned to the permission set that his profile owns."""
    _add(
        org,
        "PermissionSetAssignment",
        {"PermissionSetId": "p.Id", "AssigneeId": "u.Id", "IsActive": "1"},
        'FROM "User" u JOIN PermissionSet p ON p.ProfileId=u.ProfileId AND p.IsOwnedByProfile=1 '
        f"WHERE u.Id IN ({_ids(side)})",
        params,
    )
    org.schema.permissions_changed()


def _mail_task(org: OrgState, side: Side, params: Mapping[str, Any]) -> None:
    """An e-mail that hangs on no case appears in the activity history as a closed task of subtype Email
    (Object Reference, EmailMessage.ActivityId). Subject and date of that task are unverified."""
    db = org.store.db
    rows = db.execute(
        "SELECT Id, Subject, RelatedToId, substr(MessageDate,1,10), CreatedById, TextBody FROM EmailMessage "
        f"WHERE Id IN ({_ids(side)}) AND ParentId IS NULL AND ActivityId IS NULL AND RelatedToId IS NOT NULL "
        "ORDER BY Id"
    ).fetchall()
    for mail, subject, related, day, owner, body in rows:
        account = related if related.startswith("001") else None
        if related.startswith("006"):
            account = db.execute("SELECT AccountId FROM Opportunity WHERE Id=?", (related,)).fetchone()[0]
        task = org.system_insert(
            "Task",
            {"Subject": f"Email: {subject or ''}"[:255], "WhatId": related, "AccountId": account, "Status": "Completed",
             "IsClosed": 1, "Priority": "Normal", "TaskSubtype": "Email", "ActivityDate": day, "OwnerId": owner,
             "CreatedById": owner, "Description": (body or "")[:32000] or None, "CompletedDateTime": params["now"]},
        )  # fmt: skip
        db.execute("UPDATE EmailMessage SET ActivityId=? WHERE Id=?", (task, mail))


_AFTER_INSERT: Mapping[str, Callable[[OrgState, Side, Mapping[str, Any]], None]] = {
    "Opportunity": _opportunity_contact,
    "Campaign": _campaign_statuses,
    "EmailMessage": _mail_task,
    "User": _user_profile,
}
