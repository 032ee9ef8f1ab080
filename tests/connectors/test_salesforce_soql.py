"""Conditions as query text: escaped, typed, and cut to the platform's limits."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from rehouse.connectors.base import AnyOf, In, NotNull, Query, Since
from rehouse.connectors.salesforce import soql
from rehouse.errors import UserError
from rehouse.model import Field, Kind, Object


def made(name: str) -> Object:
    kinds = {
        "Id": Kind.ID,
        "Name": Kind.TEXT,
        "Legacy_Id__c": Kind.TEXT,
        "Amount": Kind.MONEY,
        "Open": Kind.BOOLEAN,
        "CloseDate": Kind.DATE,
        "SystemModstamp": Kind.DATETIME,
        "LinkedEntityId": Kind.REFERENCE,
    }
    return Object(name, name, tuple(Field(field, field, kind) for field, kind in kinds.items()))


DEAL = made("Opportunity")
MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def text(where: object, *, obj: Object = DEAL) -> str:
    cut = soql.cut(obj, Query(obj.name, ("Name",), where), rest=True)  # type: ignore[arg-type]
    assert len(cut.queries) == 1
    return cut.queries[0].partition(" WHERE ")[2]


def test_conditions_are_spelled_with_the_right_literals() -> None:
    assert text(NotNull("legacy_id__c")) == "Legacy_Id__c != null"
    assert text(In("Name", ("O'Neil\\", "a\nb"))) == r"Name IN ('O\'Neil\\','a\nb')"
    assert text(In("Amount", ("10.5", "-3"))) == "Amount IN (10.5,-3)"
    assert text(In("Open", ("true",))) == "Open IN (true)"
    assert text(Since("SystemModstamp", MOMENT)) == "SystemModstamp >= 2026-01-31T12:00:00Z"
    assert text(Since("CloseDate", MOMENT)) == "CloseDate >= 2026-01-31"
    assert text(AnyOf((NotNull("Name"), In("Amount", ("1",))))) == "(Name != null OR Amount IN (1))"


def test_old_activities_are_found() -> None:
    assert text(NotNull("Name"), obj=made("Task")) == "Name != null AND IsDeleted = false"
    assert text(None, obj=made("Event")) == "IsDeleted = false"


@pytest.mark.parametrize("value", ["1) OR (Id != null", "NaN", "' OR ''='"])
def test_a_value_cannot_break_out_of_its_place(value: str) -> None:
    with pytest.raises(UserError):
        text(In("Amount", (value,)))


@pytest.mark.parametrize("rest", [True, False])
def test_long_lists_are_cut_so_that_every_query_fits_and_no_value_is_lost(rest: bool) -> None:
    values = tuple(f"C-{n}-İ'ş" for n in range(9_000))
    cut = soql.cut(DEAL, Query("Opportunity", ("Name", "Amount"), In("Legacy_Id__c", values)), rest=rest)
    assert not cut.overlap
    assert len(cut.queries) > 1
    for one in cut.queries:
        assert (len(quote(one, safe="")) < 16_000) if rest else (len(one) < 100_000)
    found = [v for one in cut.queries for v in one.partition(" IN ('")[2].removesuffix("')").split("','")]
    assert found == [value.replace("'", "\\'") for value in values]


def test_an_overlapping_question_says_so_when_it_has_to_be_cut() -> None:
    many = In("Legacy_Id__c", tuple(f"C-{n:020}" for n in range(3_000)))
    cut = soql.cut(DEAL, Query("Opportunity", (), AnyOf((many, NotNull("Amount")))), rest=True)
    assert cut.overlap
    assert all(" OR " not in one for one in cut.queries)


def test_file_links_need_the_filter_that_the_platform_demands() -> None:
    links = made("ContentDocumentLink")
    with pytest.raises(UserError, match="LinkedEntityId"):
        text(NotNull("Name"), obj=links)
    assert text(In("LinkedEntityId", ("001x",)), obj=links) == "LinkedEntityId IN ('001x')"


def test_an_unknown_field_is_refused_before_a_call_is_spent() -> None:
    with pytest.raises(UserError, match="Ghost__c"):
        text(NotNull("Ghost__c"))
