"""What the platform fills in by itself: values that follow from others, in SQL, row by row but set-wise.

`derive` says, for an object, which columns are computed and which tables must be joined for it. It sees a row
through a `RowView`: the final value of a column, what the caller gave, what stood there before.
Sources: Object Reference pages of the objects; fact sheet sections 5.5 and 5.6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rehouse.sandbox.salesforce.rules import error, text
from rehouse.sandbox.salesforce.schema_model import SObject
from rehouse.sandbox.salesforce.valuesets import FORECAST_LABELS


class RowView(Protocol):
    """SQL expressions about the row being written."""

    @property
    def creating(self) -> bool: ...

    @property
    def obj(self) -> SObject: ...

    def col(self, name: str) -> str:
        """The value after the write."""

    def given(self, name: str) -> str:
        """Whether the caller gave a value that is not null."""

    def touched(self, name: str) -> str:
        """Whether the caller named the field in this row, null included."""

    def old(self, name: str) -> str:
        """The value before the write; NULL on insert."""


@dataclass(slots=True)
class Derived:
    """Column → SQL, the joins these need, and faults that concern several columns at once."""

    columns: dict[str, str] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def derive(view: RowView) -> Derived:
    """The computed columns of the view's object."""
    out = Derived()
    rule = _RULES.get(view.obj.name)
    if rule is not None:
        rule(view, out)
    if view.obj.custom and view.creating:
        named = view.obj.fields["Name"]
        if not named.auto_number:
            # A custom object's blank name becomes the record's id.
            out.columns["Name"] = f"coalesce({view.col('Name')}, s.id)"
    for item in view.obj.fields.values():
        if item.auto_number and view.creating and item.storage:
            out.columns[item.name] = _auto_number(item.display_format)
    return out


def _auto_number(display: str | None) -> str:
    """`{0000}` in a display format is the counter; standard objects count with eight digits."""
    before, brace, rest = (display or "{00000000}").partition("{")
    width, _, after = rest.partition("}")
    if not brace:
        before, width, after = display or "", "0", ""
    return f"{text(before)}||printf('%0{max(len(width), 1)}d', :auto + s.rn)||{text(after)}"


def _person_name(view: RowView, out: Derived) -> None:
    parts = [p for p in ("FirstName", "MiddleName", "LastName", "Suffix") if p in view.obj.fields]
    joined = "||' '||".join(f"ifnull({view.col(p)},'')" for p in parts)
    out.columns["Name"] = f"substr(trim({joined}), 1, 121)"


def _opportunity(view: RowView, out: Derived) -> None:
    stage = view.col("StageName")
    out.joins.append(f"LEFT JOIN OpportunityStage st ON st.ApiName = {stage} AND st._del IS NULL")
    moved = "1" if view.creating else f"({stage} IS NOT {view.old('StageName')})"
    out.columns["IsClosed"] = "ifnull(st.IsClosed, 0)"
    out.columns["IsWon"] = "ifnull(st.IsWon, 0)"
    kept = "NULL" if view.creating else view.old("Probability")
    probability = (
        f"CASE WHEN {view.given('Probability')} THEN {view.col('Probability')} "
        f"WHEN {moved} THEN ifnull(st.DefaultProbability, 0.0) ELSE {kept} END"
    )
    out.columns["Probability"] = probability
    kept = "NULL" if view.creating else view.old("ForecastCategoryName")
    category = (
        f"CASE WHEN {view.given('ForecastCategoryName')} THEN {view.col('ForecastCategoryName')} "
        f"WHEN {moved} THEN ifnull(st.ForecastCategoryName, 'Pipeline') ELSE {kept} END"
    )
    out.columns["ForecastCategoryName"] = category
    codes = "".join(f" WHEN {text(label)} THEN {text(code)}" for code, label in FORECAST_LABELS.items())
    out.columns["ForecastCategory"] = f"CASE {category}{codes} ELSE 'Pipeline' END"
    out.columns["ExpectedRevenue"] = f"{view.col('Amount')} * ({probability}) / 100.0"
    close = view.col("CloseDate")
    year, quarter = f"CAST(substr({close},1,4) AS INTEGER)", f"((CAST(substr({close},6,2) AS INTEGER)+2)/3)"
    out.columns["FiscalYear"], out.columns["FiscalQuarter"] = year, quarter
    out.columns["Fiscal"] = f"{year}||' '||{quarter}"
    if not view.creating:
        out.columns["LastStageChangeDate"] = f"CASE WHEN {moved} THEN :now ELSE {view.old('LastStageChangeDate')} END"


def _account_of_activity(view: RowView) -> str:
    """AccountId of an activity: from the What when that leads to an account, else from the contact."""
    what, who = view.col("WhatId"), view.col("WhoId")
    branches = {
        "001": what,
        "006": f"(SELECT a.AccountId FROM Opportunity a WHERE a.Id={what})",
        "800": f"(SELECT a.AccountId FROM Contract a WHERE a.Id={what})",
        "500": f'(SELECT a.AccountId FROM "Case" a WHERE a.Id={what})',
        "02i": f"(SELECT a.AccountId FROM Asset a WHERE a.Id={what})",
    }
    cases = "".join(f" WHEN '{prefix}' THEN {sql}" for prefix, sql in branches.items())
    contact = f"(SELECT c.AccountId FROM Contact c WHERE c.Id={who})"
    return f"coalesce(CASE substr({what},1,3){cases} END, {contact})"


def _who_what(view: RowView, out: Derived) -> None:
    # Fact sheet 5.6: a lead and a related record exclude each other; the exact text is not published.
    message = "'a Lead in WhoId cannot be combined with a WhatId'"
    clash = f"substr({view.col('WhoId')},1,3)='00Q' AND {view.col('WhatId')} IS NOT NULL"
    fault = error("FIELD_INTEGRITY_EXCEPTION", message, "WhoId,WhatId")
    out.faults.append(f"CASE WHEN {clash} THEN {fault} END")
    out.columns["AccountId"] = _account_of_activity(view)


def _task(view: RowView, out: Derived) -> None:
    _who_what(view, out)
    status, priority = view.col("Status"), view.col("Priority")
    out.joins.append(f"LEFT JOIN TaskStatus ts ON ts.ApiName = {status} AND ts._del IS NULL")
    out.joins.append(f"LEFT JOIN TaskPriority tp ON tp.ApiName = {priority} AND tp._del IS NULL")
    closed = "ifnull(ts.IsClosed, 0)"
    out.columns["IsClosed"] = closed
    out.columns["IsHighPriority"] = "ifnull(tp.IsHighPriority, 0)"
    before = "NULL" if view.creating else view.old("CompletedDateTime")
    out.columns["CompletedDateTime"] = f"CASE WHEN {closed} THEN ifnull({before}, :now) END"
    if view.creating:
        out.columns["TaskSubtype"] = f"coalesce({view.col('TaskSubtype')}, 'Task')"


def _event(view: RowView, out: Derived) -> None:
    _who_what(view, out)
    start = f"coalesce({_pick(view, 'StartDateTime', 'ActivityDateTime')})"
    all_day = f"ifnull({view.col('IsAllDayEvent')}, 0)"
    day = f"coalesce({view.col('ActivityDate')}, substr({start},1,10))"
    midnight = f"({day}||'T00:00:00.000Z')"
    length, end = view.col("DurationInMinutes"), view.col("EndDateTime")
    begins = f"CASE WHEN {all_day} THEN {midnight} ELSE {start} END"
    by_end = f"CAST(round((julianday({end})-julianday({begins}))*1440) AS INTEGER)"
    end_given = view.given("EndDateTime")
    length_given = view.given("DurationInMinutes")
    default_length = f"CASE WHEN {all_day} THEN 1440 END"
    minutes = (
        f"CASE WHEN {length_given} THEN {length} WHEN {end_given} AND NOT {all_day} THEN {by_end} "
        f"ELSE coalesce({length}, {by_end}, {default_length}) END"
    )
    ends = f"strftime('%Y-%m-%dT%H:%M:%S.000Z', {begins}, ({minutes})||' minutes')"
    out.columns |= {
        "StartDateTime": begins,
        "ActivityDateTime": f"CASE WHEN {all_day} THEN NULL ELSE {begins} END",
        "ActivityDate": f"CASE WHEN {all_day} THEN {day} ELSE substr({begins},1,10) END",
        "DurationInMinutes": minutes,
        "EndDateTime": ends,
        "EndDate": f"substr({ends},1,10)",
    }
    if view.creating:
        out.columns["EventSubtype"] = f"coalesce({view.col('EventSubtype')}, 'Event')"
    missing = error("REQUIRED_FIELD_MISSING", "'Required fields are missing: [StartDateTime]'", "StartDateTime")
    no_length = error(
        "REQUIRED_FIELD_MISSING",
        "'Required fields are missing: [DurationInMinutes, EndDateTime]'",
        "DurationInMinutes,EndDateTime",
    )
    # Wordings of the next two are not published.
    negative = error("FIELD_INTEGRITY_EXCEPTION", "'End date must not be before the start date'", "EndDateTime")
    differ = error(
        "FIELD_INTEGRITY_EXCEPTION",
        "'StartDateTime, EndDateTime and DurationInMinutes do not agree'",
        "DurationInMinutes,EndDateTime",
    )
    out.faults += [
        f"CASE WHEN {begins} IS NULL THEN {missing} END",
        f"CASE WHEN ({minutes}) IS NULL THEN {no_length} END",
        f"CASE WHEN ({minutes}) < 0 THEN {negative} END",
        f"CASE WHEN {length_given} AND {end_given} AND NOT {all_day} AND {length}<>{by_end} THEN {differ} END",
    ]


def _pick(view: RowView, first: str, second: str) -> str:
    """Two fields that mirror each other: the one just given wins, then what stood there."""
    return (
        f"CASE WHEN {view.given(first)} THEN {view.col(first)} WHEN {view.given(second)} THEN {view.col(second)} END, "
        f"{view.col(first)}, {view.col(second)}"
    )


def _case(view: RowView, out: Derived) -> None:
    out.joins.append(f"LEFT JOIN CaseStatus cs ON cs.ApiName = {view.col('Status')} AND cs._del IS NULL")
    closed = "ifnull(cs.IsClosed, 0)"
    out.columns["IsClosed"] = closed
    before = "NULL" if view.creating else view.old("ClosedDate")
    out.columns["ClosedDate"] = f"CASE WHEN {closed} THEN ifnull({before}, :now) END"


def _lead(view: RowView, out: Derived) -> None:
    _person_name(view, out)
    if not view.creating:
        fault = error("CANNOT_UPDATE_CONVERTED_LEAD", "'cannot reference converted lead'")
        out.faults.append(f"CASE WHEN {view.old('IsConverted')} THEN {fault} END")


def _draft_first(message: str) -> Callable[[RowView, Derived], None]:
    """A record that may be inserted as a draft only."""

    def rule(view: RowView, out: Derived) -> None:
        if view.creating:
            fault = error("FAILED_ACTIVATION", text(message), "Status")
            out.faults.append(f"CASE WHEN {view.col('Status')}='Activated' THEN {fault} END")

    return rule


def _contract(view: RowView, out: Derived) -> None:
    _draft_first("Choose a valid contract status and save your changes. Ask your admin for details.")(view, out)
    months = f"{view.col('ContractTerm')}||' months'"
    out.columns["EndDate"] = f"date({view.col('StartDate')}, {months}, '-1 day')"
    out.columns["StatusCode"] = (
        f"CASE {view.col('Status')} WHEN 'Activated' THEN 'Activated' "
        "WHEN 'In Approval Process' THEN 'InApproval' ELSE 'Draft' END"
    )


def _campaign_member(view: RowView, out: Derived) -> None:
    if not view.creating:
        return
    for item in ("ContactId", "LeadId"):
        value = view.col(item)
        twice = (
            f"EXISTS (SELECT 1 FROM CampaignMember m WHERE m.CampaignId={view.col('CampaignId')} "
            f"AND m.{item}={value} AND m._del IS NULL)"
        )
        fault = error("DUPLICATE_VALUE", "'Already a campaign member.'")
        out.faults.append(f"CASE WHEN {value} IS NOT NULL AND {twice} THEN {fault} END")


def _document_link(view: RowView, out: Derived) -> None:
    if not view.creating:
        return
    twice = (
        f"EXISTS (SELECT 1 FROM ContentDocumentLink l WHERE l.ContentDocumentId={view.col('ContentDocumentId')} "
        f"AND l.LinkedEntityId={view.col('LinkedEntityId')} AND l._del IS NULL)"
    )
    # The code is documented; the wording is not.
    message = text("Document with ID already linked to the entity")
    fault = error("DUPLICATE_VALUE", message, "ContentDocumentId,LinkedEntityId")
    out.faults.append(f"CASE WHEN {twice} THEN {fault} END")
    out.columns["ShareType"] = f"coalesce({view.col('ShareType')}, 'V')"
    out.columns["Visibility"] = f"coalesce({view.col('Visibility')}, 'AllUsers')"


def _pricebook_entry(view: RowView, out: Derived) -> None:
    if not view.creating:
        return
    book, product = view.col("Pricebook2Id"), view.col("Product2Id")
    standard = f"(SELECT b.IsStandard FROM Pricebook2 b WHERE b.Id={book})"
    has = (
        f"EXISTS (SELECT 1 FROM PricebookEntry e JOIN Pricebook2 b ON b.Id=e.Pricebook2Id "
        f"WHERE e.Product2Id={product} AND b.IsStandard AND e._del IS NULL)"
    )
    fault = error("STANDARD_PRICE_NOT_DEFINED", "'Before creating a custom price, create a standard price.'")
    out.faults.append(f"CASE WHEN NOT {standard} AND NOT {has} THEN {fault} END")
    for name in ("Name", "ProductCode"):
        out.columns[name] = f"(SELECT p.{name} FROM Product2 p WHERE p.Id={product})"


def _line_item(view: RowView, out: Derived) -> None:
    entry = view.col("PricebookEntryId")
    source = f"FROM PricebookEntry e WHERE e.Id={entry}"
    price, quantity = view.col("UnitPrice"), view.col("Quantity")
    by_total = f"CASE WHEN {view.given('TotalPrice')} THEN {view.col('TotalPrice')}/nullif({quantity},0) END"
    given = f"CASE WHEN {view.given('UnitPrice')} THEN {price} END"
    unit = f"coalesce({given}, {by_total}, {price}, (SELECT e.UnitPrice {source}))"
    out.columns["UnitPrice"] = f"round({unit}, 2)"
    out.columns["TotalPrice"] = f"round({unit}*{quantity}, 2)"
    if view.creating:
        out.columns["ListPrice"] = f"(SELECT e.UnitPrice {source})"
        out.columns["Product2Id"] = f"coalesce((SELECT e.Product2Id {source}), {view.col('Product2Id')})"
        out.columns["ProductCode"] = f"(SELECT e.ProductCode {source})"
        book = f"(SELECT o.Pricebook2Id FROM Opportunity o WHERE o.Id={view.col('OpportunityId')})"
        message = (
            "field integrity exception: PricebookEntryId, unknown "
            "(versions 3.0 and higher must specify pricebook entry id; others must specify product id)"
        )
        fault = error("FIELD_INTEGRITY_EXCEPTION", text(message), "PricebookEntryId")
        wrong = f"{entry} IS NULL OR {book} IS NOT NULL AND {book} IS NOT (SELECT e.Pricebook2Id {source})"
        out.faults.append(f"CASE WHEN {wrong} THEN {fault} END")


_RULES: Mapping[str, Callable[[RowView, Derived], None]] = {
    "Contact": _person_name,
    "User": _person_name,
    "Lead": _lead,
    "Opportunity": _opportunity,
    "OpportunityLineItem": _line_item,
    "Task": _task,
    "Event": _event,
    "Case": _case,
    "Contract": _contract,
    "Order": _draft_first("For a new or cloned order, choose Draft"),
    "CampaignMember": _campaign_member,
    "ContentDocumentLink": _document_link,
    "PricebookEntry": _pricebook_entry,
}
