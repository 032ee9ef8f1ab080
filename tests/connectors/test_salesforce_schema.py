"""Schema is created, granted, seen; doing it again changes nothing; duplicate rules go off and come back."""

from __future__ import annotations

import pytest
from salesforce_tools import CHANGE, World, external_id, part, write

from rehouse.connectors.base import NewRecordType, Op, SchemaChange, Stage
from rehouse.connectors.salesforce.fieldspec import component
from rehouse.connectors.salesforce.session import Session
from rehouse.connectors.salesforce.soap import Metadata
from rehouse.connectors.salesforce.target import SalesforceTarget
from rehouse.errors import UserError
from rehouse.model import Field, Kind

pytestmark = pytest.mark.sandbox

STAGES = (
    Stage("Yeni Fırsat", 10),
    Stage("Teklif/Görüşme", 50, category="BestCase"),
    Stage("Kazanıldı", 100, closed=True, won=True, category="Closed"),
    Stage("Kaybedildi", 0, closed=True, category="Omitted"),
)
SALES = SchemaChange({}, (NewRecordType("Opportunity", "Satis", "Satış", STAGES),))


@pytest.mark.req("COM-SCH-08", "COM-SCH-12")
def test_created_fields_are_visible_and_a_second_time_changes_nothing(target: SalesforceTarget) -> None:
    assert target.missing_schema(CHANGE) == SchemaChange({}, ())
    again = target.create_schema(CHANGE)
    assert {one.outcome for one in again} == {"existed"}
    catalog = target.describe(["Task", "Event", "Contact"])
    for name in ("Task", "Event"):
        assert catalog.objects[name].field("Legacy_Id__c") is not None
    channel = catalog.objects["Contact"].field("Channel__c")
    assert channel is not None
    assert (channel.restricted, [one.value for one in channel.options]) == (True, ["Web", "Fair"])


def test_a_field_that_was_made_but_never_granted_is_granted(target: SalesforceTarget, world: World) -> None:
    change = SchemaChange({"Lead": (external_id(),)})
    session = Session({name: world.info[name] for name in ("url", "client_id", "client_secret")})
    try:  # as far as a run came that died between making and granting
        assert Metadata(session).create("CustomField", [component("Lead", external_id())])[0].ok
    finally:
        session.close()
    assert target.missing_schema(change) == change
    [outcome] = target.create_schema(change)
    assert outcome.outcome == "existed"
    assert target.describe(["Lead"]).objects["Lead"].field("Legacy_Id__c") is not None
    assert target.missing_schema(change) == SchemaChange({}, ())


def test_a_field_of_another_kind_is_refused_with_the_reason(target: SalesforceTarget) -> None:
    other = SchemaChange({"Contact": (Field("Qualified__c", "Qualified", Kind.DATE),)})
    assert target.missing_schema(other).fields
    [outcome] = target.create_schema(other)
    assert outcome.outcome == "refused"
    assert "boolean" in outcome.message


@pytest.mark.req("COM-SCH-12")
def test_a_sales_process_brings_its_stages_and_drops_none(target: SalesforceTarget) -> None:
    before = _stages(target)
    [first] = target.create_schema(SALES)
    assert (first.kind, first.outcome) == ("record type", "created")
    assert _stages(target) >= before | {stage.value for stage in STAGES}
    assert target.missing_schema(SALES) == SchemaChange({}, ())
    [again] = target.create_schema(SALES)
    assert again.outcome == "existed"
    [(key, record_type)] = target.record_type_ids(["Opportunity"]).items()
    assert key == ("Opportunity", "Satis")
    row = {
        "_key": ["1"],
        "Name": ["Deal"],
        "StageName": ["Kazanıldı"],
        "CloseDate": ["2026-01-31"],
        "RecordTypeId": [record_type],
    }
    [outcome] = write(target, part("Opportunity", Op.INSERT, row, key=None))
    assert outcome["ok"], outcome


def test_a_stage_added_later_joins_the_process(target: SalesforceTarget) -> None:
    more = NewRecordType("Opportunity", "Satis", "Satış", (*STAGES, Stage("Ek Aşama", 30)))
    change = SchemaChange({}, (more,))
    target.create_schema(SALES)
    assert target.missing_schema(change).record_types == (more,)
    target.create_schema(change)
    assert target.missing_schema(change) == SchemaChange({}, ())
    assert target.missing_schema(SALES) == SchemaChange({}, ())


def _stages(target: SalesforceTarget) -> set[str]:
    field = target.describe(["Opportunity"]).objects["Opportunity"].field("StageName")
    assert field is not None
    return {one.value for one in field.options}


def test_duplicate_rules_are_listed_switched_and_read_back(target: SalesforceTarget) -> None:
    rules = [one for one in target.automations(["Contact", "Account"]) if one.kind == "DuplicateRule"]
    assert rules
    assert all(one.can_switch for one in rules)
    rule = rules[0]
    for active in (not rule.active, rule.active, rule.active):
        target.set_automation(rule.id, active=active)
        now = next(one for one in target.automations([rule.object]) if one.id == rule.id)
        assert now.active is active


def test_what_cannot_be_switched_is_refused(target: SalesforceTarget) -> None:
    with pytest.raises(UserError, match="cannot be switched"):
        target.set_automation("Flow:Mailer", active=False)
    with pytest.raises(UserError, match="no duplicate rule"):
        target.set_automation("DuplicateRule:Contact.Nothing", active=False)
