"""Saving records: rules, defaults, references, keys, permissions, what the platform fills in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from core_support import TEXT_KEY, add_field, add_keys, codes, grant, ids, open_org, permission_set

from rehouse.sandbox.salesforce.bootstrap import add_user
from rehouse.sandbox.salesforce.ids import checksum, id18
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import ApiError, SaveOptions
from rehouse.sandbox.salesforce.schema_model import DuplicateRule


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    opened = open_org(tmp_path)
    yield opened
    opened.close()


def test_checksum_of_a_recorded_id() -> None:
    assert checksum("0015500001QdQWa") == "AAN"
    assert id18("0015500001QdQWa") == "0015500001QdQWaAAN"


def test_ids_carry_prefix_checksum_and_order(org: Org) -> None:
    made = ids(org.insert("Account", [{"Name": str(n)} for n in range(130)]))
    assert made == sorted(made)
    assert all(i.startswith("001") and id18(i[:15]) == i for i in made)


def test_required_length_email_number_and_date(org: Org) -> None:
    got = org.insert(
        "Contact",
        [
            {"LastName": "Rossi"},
            {"FirstName": "Anna"},
            {"LastName": "x" * 81},
            {"LastName": "Rossi", "Email": "not-an-email"},
        ],
    )
    assert codes(got) == ["", "REQUIRED_FIELD_MISSING", "STRING_TOO_LONG", "INVALID_EMAIL_ADDRESS"]
    assert got[1].errors[0].message == "Required fields are missing: [LastName]"
    assert got[2].errors[0].message == f"Last Name: data value too large: {'x' * 81} (max length=80)"
    assert got[3].errors[0].message == "Email: invalid email address: not-an-email"
    big = org.insert("Account", [{"Name": "A", "NumberOfEmployees": 100000000}])[0]
    assert big.errors[0].message == "Employees: value outside of valid range on numeric field: 100000000"
    with pytest.raises(ApiError, match="Cannot deserialize instance of date from VALUE_STRING value 2026-02-30"):
        org.insert("Contact", [{"LastName": "A", "Birthdate": "2026-02-30"}])


def test_blanks_are_trimmed_and_empty_text_is_null(org: Org) -> None:
    made = ids(org.insert("Account", [{"Name": "  Acme \n", "Phone": ""}]))[0]
    record = org.retrieve("Account", made, ["Name", "Phone"])
    assert (record["Name"], record["Phone"]) == ("Acme", None)


def test_unknown_field_refuses_the_request(org: Org) -> None:
    with pytest.raises(ApiError, match=r"No such column 'Foo__c' on sobject of type Account"):
        org.insert("Account", [{"Name": "A", "Foo__c": 1}])


def test_reference_faults(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    contact = ids(org.insert("Contact", [{"LastName": "C", "AccountId": account[:15]}]))[0]
    gone = ids(org.insert("Account", [{"Name": "B"}]))[0]
    org.delete("Account", [gone])
    got = org.insert(
        "Contact",
        [{"LastName": "x", "AccountId": v} for v in ("nonsense", contact, "001000000000001AAA", gone)],
    )
    assert codes(got) == [
        "MALFORMED_ID",
        "FIELD_INTEGRITY_EXCEPTION",
        "INVALID_CROSS_REFERENCE_KEY",
        "ENTITY_IS_DELETED",
    ]
    assert org.retrieve("Contact", contact, ["AccountId"])["AccountId"] == account


def test_reference_by_external_id(org: Org) -> None:
    add_keys(org, "Account", "Contact")
    account = ids(org.insert("Account", [{"Name": "A", "Legacy_Id__c": "A-17"}]))[0]
    good, bad = org.insert(
        "Contact",
        [
            {"LastName": "Rossi", "Account": {"Legacy_Id__c": "A-17"}},
            {"LastName": "Bianchi", "Account": {"Legacy_Id__c": "A-18"}},
        ],
    )
    assert org.retrieve("Contact", good.id, ["AccountId"])["AccountId"] == account
    assert bad.errors[0].code == "INVALID_FIELD"
    assert bad.errors[0].message == ("Foreign key external ID: A-18 not found for field Legacy_Id__c in entity Account")
    task = org.insert("Task", [{"Subject": "x", "What": {"attributes": {"type": "Account"}, "Legacy_Id__c": "A-17"}}])
    assert org.retrieve("Task", ids(task)[0], ["WhatId"])["WhatId"] == account


def test_two_parents_with_one_key(org: Org) -> None:
    add_field(org, "Account.Code__c", "Code", type="Text", length=20, externalId=True)
    ids(org.insert("Account", [{"Name": "A", "Code__c": "7"}, {"Name": "B", "Code__c": "7"}]))
    got = org.insert("Contact", [{"LastName": "x", "Account": {"Code__c": "7"}}])[0]
    assert got.errors[0].code == "DUPLICATE_EXTERNAL_ID"
    assert "more than one record found for external id field: [" in got.errors[0].message


def test_unique_values_with_and_without_case(org: Org) -> None:
    add_keys(org, "Account")
    add_field(org, "Account.Loose__c", "Loose", type="Text", length=20, unique=True)
    first = ids(org.insert("Account", [{"Name": "A", "Legacy_Id__c": "k", "Loose__c": "k"}]))[0]
    got = org.insert(
        "Account",
        [
            {"Name": "B", "Legacy_Id__c": "k"},
            {"Name": "C", "Legacy_Id__c": "K"},
            {"Name": "D", "Legacy_Id__c": "K"},
            {"Name": "E", "Loose__c": "K"},
        ],
    )
    assert codes(got) == ["DUPLICATE_VALUE", "", "DUPLICATE_VALUE", "DUPLICATE_VALUE"]
    assert got[0].errors[0].message == (
        f"duplicate value found: Legacy_Id__c duplicates value on record with id: {first[:15]}"
    )
    org.delete("Account", [first])
    assert org.insert("Account", [{"Name": "F", "Legacy_Id__c": "k"}])[0].success


def test_upsert_creates_then_changes(org: Org) -> None:
    add_keys(org, "Account")
    first = org.upsert("Account", "Legacy_Id__c", [{"Legacy_Id__c": "A-1", "Name": "A"}])[0]
    again = org.upsert(
        "Account",
        "Legacy_Id__c",
        [{"Legacy_Id__c": "A-1", "Phone": "1"}, {"Name": "no key"}, {"Legacy_Id__c": "A-2", "Name": "B"}],
    )
    assert (first.created, again[0].created, again[2].created) == (True, False, True)
    assert again[0].id == first.id
    assert again[1].errors[0].code == "MISSING_ARGUMENT"
    record = org.retrieve("Account", first.id, ["Name", "Phone"])
    assert (record["Name"], record["Phone"]) == ("A", "1")


def test_upsert_twice_in_a_chunk_and_by_id(org: Org) -> None:
    add_keys(org, "Account")
    rows = [{"Legacy_Id__c": "A-1", "Name": "A"}, {"Legacy_Id__c": "A-1", "Name": "B"}]
    assert codes(org.upsert("Account", "Legacy_Id__c", rows)) == ["", "DUPLICATE_VALUE"]
    by_id = org.upsert("Account", "Id", [{"Id": None, "Name": "new"}])[0]
    assert by_id.created
    changed = org.upsert("Account", "Id", [{"Id": by_id.id, "Name": "newer"}])[0]
    assert (changed.created, org.retrieve("Account", by_id.id, ["Name"])["Name"]) == (False, "newer")
    with pytest.raises(ApiError, match="Provided external ID field does not exist"):
        org.upsert("Account", "Phone", [{"Phone": "1", "Name": "x"}])


def test_update_touches_only_what_is_named(org: Org) -> None:
    made = ids(org.insert("Account", [{"Name": "A", "Phone": "1", "Site": "s"}]))[0]
    before = org.retrieve("Account", made)
    org.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
    ids(org.update("Account", [{"Id": made, "Phone": None}]))
    after = org.retrieve("Account", made)
    changed = {k for k in before if before[k] != after[k]}
    assert changed == {"Phone", "LastModifiedDate", "SystemModstamp"}
    assert after["SystemModstamp"] == "2026-03-01T10:00:00.000+0000"


def test_update_of_what_is_not_there(org: Org) -> None:
    gone = ids(org.insert("Account", [{"Name": "A"}]))[0]
    org.delete("Account", [gone])
    got = org.update("Account", [{"Id": gone, "Name": "x"}, {"Id": "001000000000001AAA", "Name": "x"}, {"Name": "x"}])
    assert codes(got) == ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MISSING_ARGUMENT"]


def test_all_or_none_rolls_back(org: Org) -> None:
    got = org.insert("Account", [{"Name": "A"}, {"Phone": "1"}], SaveOptions(all_or_none=True))
    assert codes(got) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    assert org.count("Account") == 0
    assert org.insert("Account", [{"Name": "A"}])[0].success


def test_read_only_create_only_and_audit_fields(org: Org) -> None:
    old = {"Name": "A", "CreatedDate": "2019-05-04T03:02:01Z"}
    refused = org.insert("Account", [old])[0]
    assert refused.errors[0].code == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert refused.errors[0].message.startswith("Unable to create/update fields: CreatedDate. Please check")
    org.set_switch("CreateAuditFields", True)
    made = ids(org.insert("Account", [old]))[0]
    record = org.retrieve("Account", made, ["CreatedDate", "SystemModstamp"])
    assert record["CreatedDate"] == "2019-05-04T03:02:01.000+0000"
    assert record["SystemModstamp"] == "2026-03-01T09:00:00.000+0000"
    assert codes(org.update("Account", [{"Id": made, "CreatedDate": "2019-05-04T03:02:01Z"}])) == [
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    ]
    assert codes(org.insert("Account", [{"Name": "A", "Id": made}])) == ["INVALID_FIELD_FOR_INSERT_UPDATE"]


def test_field_level_security(org: Org) -> None:
    org.schema.add_field("Account", {"fullName": "Secret__c", "label": "Secret", "type": "Text", "length": 10})
    with pytest.raises(ApiError, match="No such column 'Secret__c'"):
        org.insert("Account", [{"Name": "A", "Secret__c": "x"}])
    with pytest.raises(ApiError, match="No such column 'Secret__c' on entity 'Account'"):
        org.query("SELECT Secret__c FROM Account")
    grant(org, "Account.Secret__c", edit=False)
    assert org.query("SELECT Secret__c FROM Account").total_size == 0
    assert codes(org.insert("Account", [{"Name": "A", "Secret__c": "x"}])) == ["INVALID_FIELD_FOR_INSERT_UPDATE"]
    org.schema.add_field(
        "Account", {"fullName": "Must__c", "label": "Must", "type": "Text", "length": 10, "required": True}
    )
    assert codes(org.insert("Account", [{"Name": "A"}])) == ["REQUIRED_FIELD_MISSING"]


def test_opportunity_follows_its_stage(org: Org) -> None:
    base = {"Name": "O", "CloseDate": "2026-02-01", "Amount": 200}
    won, own = ids(
        org.insert(
            "Opportunity",
            [{**base, "StageName": "Closed Won"}, {**base, "StageName": "Qualification", "Probability": 33}],
        )
    )
    fields = ["IsClosed", "IsWon", "Probability", "ForecastCategory", "ExpectedRevenue", "FiscalYear"]
    record = org.retrieve("Opportunity", won, fields)
    assert [record[f] for f in fields] == [True, True, 100.0, "Closed", 200.0, 2026]
    assert org.retrieve("Opportunity", own, ["Probability"])["Probability"] == 33
    ids(org.update("Opportunity", [{"Id": own, "StageName": "Closed Lost"}]))
    record = org.retrieve("Opportunity", own, fields)
    assert [record[f] for f in fields[:4]] == [True, False, 0.0, "Omitted"]


def test_stage_added_by_metadata_drives_new_deals(org: Org) -> None:
    values = org.schema.standard_value_set("OpportunityStage")
    org.schema.set_standard_value_set(
        "OpportunityStage",
        [
            *values,
            {
                "fullName": "Handover",
                "label": "Handover",
                "closed": True,
                "won": True,
                "probability": 100,
                "forecastCategory": "Closed",
            },
        ],
    )
    made = ids(org.insert("Opportunity", [{"Name": "O", "CloseDate": "2026-02-01", "StageName": "Handover"}]))[0]
    assert org.retrieve("Opportunity", made, ["IsWon"])["IsWon"] is True
    assert org.query("SELECT COUNT() FROM OpportunityStage WHERE MasterLabel = 'Handover'").total_size == 1


def test_record_type_narrows_a_restricted_picklist(org: Org) -> None:
    org.set_switch("RestrictedStageName", True)
    org.schema.add_business_process("Opportunity", "Short", ["Qualification", "Closed Won", "Closed Lost"])
    kind = org.schema.add_record_type("Opportunity", "Short", "Short", business_process="Short")
    base = {"Name": "O", "CloseDate": "2026-02-01", "RecordTypeId": kind.id}
    got = org.insert(
        "Opportunity",
        [
            {**base, "StageName": "Qualification"},
            {**base, "StageName": "Prospecting"},
            {**base, "StageName": "Prospecting", "RecordTypeId": None},
            {**base, "StageName": "Nowhere", "RecordTypeId": None},
            {**base, "StageName": "Qualification", "RecordTypeId": "012000000000001AAA"},
        ],
    )
    assert codes(got) == [
        "",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    assert got[3].errors[0].message == "Stage: bad value for restricted picklist field: Nowhere"


def test_unrestricted_picklists_take_anything_and_custom_ones_may_refuse(org: Org) -> None:
    add_field(
        org,
        "Account.Colours__c",
        "Colours",
        type="MultiselectPicklist",
        visibleLines=4,
        valueSet={"restricted": True, "valueSetDefinition": {"value": [{"fullName": "Red"}, {"fullName": "Blue"}]}},
    )
    got = org.insert(
        "Account",
        [{"Name": "A", "Industry": "Alchemy", "Colours__c": "Red;Blue"}, {"Name": "B", "Colours__c": "Red;Green"}],
    )
    assert codes(got) == ["", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"]
    assert got[1].errors[0].message == "Colours: bad value for restricted picklist field: Green"


def test_owners(org: Org) -> None:
    profile = org.system_find("Profile", Name="Standard User") or ""
    active = add_user(org, "Ann", "Active", "ann@acme.example", profile)
    inactive = add_user(org, "Ian", "Gone", "ian@acme.example", profile, IsActive=0)
    queue = org.system_insert("Group", {"Name": "Inbox", "DeveloperName": "Inbox", "Type": "Queue"})
    got = org.insert("Account", [{"Name": "A", "OwnerId": o} for o in (active, inactive, queue)])
    assert codes(got) == ["", "INACTIVE_OWNER_OR_USER", "FIELD_INTEGRITY_EXCEPTION"]
    assert got[1].errors[0].message == f"operation performed with inactive user [{inactive}] as owner of Account"
    lead = {"LastName": "L", "Company": "C", "OwnerId": queue}
    assert codes(org.insert("Lead", [lead])) == ["FIELD_INTEGRITY_EXCEPTION"]
    org.system_insert("QueueSobject", {"QueueId": queue, "SobjectType": "Lead"})
    assert codes(org.insert("Lead", [lead])) == [""]
    org.set_switch("UpdateWithInactiveOwner", True)
    assert org.insert("Account", [{"Name": "A", "OwnerId": inactive}])[0].success
    made = ids(org.insert("Account", [{"Name": "A"}], SaveOptions(user_id=active)))[0]
    assert org.retrieve("Account", made, ["OwnerId"])["OwnerId"] == active


def test_who_and_what(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    contact = ids(org.insert("Contact", [{"LastName": "C", "AccountId": account}]))[0]
    lead = ids(org.insert("Lead", [{"LastName": "L", "Company": "C"}]))[0]
    got = org.insert(
        "Task",
        [{"WhoId": lead, "WhatId": account}, {"WhoId": contact}, {"WhatId": account, "Status": "Completed"}],
    )
    assert codes(got) == ["FIELD_INTEGRITY_EXCEPTION", "", ""]
    records = org.query("SELECT AccountId, IsClosed, Priority FROM Task ORDER BY Id").records(0, 5)
    assert [(r["AccountId"], r["IsClosed"], r["Priority"]) for r in records] == [
        (account, False, "Normal"),
        (account, True, "Normal"),
    ]


def test_events(org: Org) -> None:
    start = "2026-04-01T12:00:00+02:00"
    got = org.insert(
        "Event",
        [
            {"Subject": "a", "StartDateTime": start, "DurationInMinutes": 90},
            {"Subject": "b", "StartDateTime": start, "EndDateTime": "2026-04-01T11:00:00Z"},
            {"Subject": "c", "StartDateTime": start},
            {"Subject": "d", "DurationInMinutes": 10},
            {"Subject": "e", "IsAllDayEvent": True, "ActivityDate": "2026-04-02"},
        ],
    )
    assert codes(got) == ["", "", "REQUIRED_FIELD_MISSING", "REQUIRED_FIELD_MISSING", ""]
    rows = org.query("SELECT EndDateTime, DurationInMinutes, ActivityDate FROM Event ORDER BY Id").records(0, 9)
    assert [(r["EndDateTime"][:16], r["DurationInMinutes"], r["ActivityDate"]) for r in rows[:2]] == [
        ("2026-04-01T11:30", 90, "2026-04-01"),
        ("2026-04-01T11:00", 60, "2026-04-01"),
    ]
    assert rows[2]["ActivityDate"] == "2026-04-02"


def test_duplicate_rules_block_or_ask(org: Org) -> None:
    rule = DuplicateRule("Contact_Email", "Contact", ("Email",), block=True, alert_text="Use one of these records?")
    org.schema.set_duplicate_rule(rule)
    held = ids(org.insert("Contact", [{"LastName": "A", "Email": "a@acme.example"}]))[0]
    again = {"LastName": "B", "Email": "A@acme.example"}
    insisting = SaveOptions(duplicate_allow_save=True)
    got = org.insert("Contact", [again, {"LastName": "C"}], insisting)
    assert codes(got) == ["DUPLICATES_DETECTED", ""]
    body = got[0].errors[0].extra["duplicateResut"]
    assert body["allowSave"] is False
    assert body["matchResults"][0]["matchRecords"][0]["record"]["Id"] == held
    org.schema.set_duplicate_rule(replace(rule, block=False))
    assert codes(org.insert("Contact", [again])) == ["DUPLICATES_DETECTED"]
    assert codes(org.insert("Contact", [again], insisting)) == [""]
    org.schema.set_duplicate_rule_active("Contact_Email", False)
    assert codes(org.insert("Contact", [again])) == [""]


def test_file_makes_document_and_links(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    version = ids(
        org.insert(
            "ContentVersion",
            [
                {
                    "Title": "Plan",
                    "PathOnClient": "plan.pdf",
                    "VersionData": "aGVsbG8=",
                    "FirstPublishLocationId": account,
                }
            ],
        )
    )[0]
    record = org.retrieve("ContentVersion", version, ["ContentDocumentId", "ContentSize", "FileType", "IsLatest"])
    assert (record["ContentSize"], record["FileType"], record["IsLatest"]) == (5, "PDF", True)
    assert org.blob(version).read_bytes() == b"hello"
    document = record["ContentDocumentId"]
    links = org.query(
        f"SELECT LinkedEntityId, ShareType FROM ContentDocumentLink WHERE ContentDocumentId = '{document}' ORDER BY Id"
    ).records(0, 5)
    assert [(r["LinkedEntityId"], r["ShareType"]) for r in links] == [(org.admin_id, "I"), (account, "V")]
    twice = {"ContentDocumentId": document, "LinkedEntityId": account, "ShareType": "V"}
    assert codes(org.insert("ContentDocumentLink", [twice])) == ["DUPLICATE_VALUE"]


def test_note_is_a_document(org: Org) -> None:
    note = ids(org.insert("ContentNote", [{"Title": "Call", "Content": "PHA+aGk8L3A+"}]))[0]
    version = org.query(f"SELECT Id, FileType FROM ContentVersion WHERE ContentDocumentId = '{note}'").records(0, 2)
    assert [v["FileType"] for v in version] == ["SNOTE"]
    assert org.blob(version[0]["Id"]).read_bytes() == b"<p>hi</p>"
    ids(org.delete("ContentNote", [note]))
    assert [org.count(o) for o in ("ContentNote", "ContentDocument", "ContentVersion")] == [0, 0, 0]


def test_logged_mail_makes_a_closed_task(org: Org) -> None:
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    mail = {"Subject": "Offer", "Status": "3", "MessageDate": "2025-04-01T10:00:00Z", "RelatedToId": account}
    made = ids(org.insert("EmailMessage", [mail]))[0]
    activity = org.retrieve("EmailMessage", made, ["ActivityId"])["ActivityId"]
    task = org.retrieve("Task", activity, ["TaskSubtype", "IsClosed", "WhatId", "ActivityDate"])
    assert [task[k] for k in ("TaskSubtype", "IsClosed", "WhatId", "ActivityDate")] == [
        "Email",
        True,
        account,
        "2025-04-01",
    ]


def test_field_permissions_name_a_field_that_can_have_them(org: Org) -> None:
    row = {"ParentId": permission_set(org), "SobjectType": "Account", "PermissionsRead": True}
    got = org.insert("FieldPermissions", [{**row, "Field": "Account.Nope__c"}, {**row, "Field": "Account.Name"}])
    assert codes(got) == ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"] * 2


def test_price_book_order(org: Org) -> None:
    product = ids(org.insert("Product2", [{"Name": "P", "ProductCode": "p-1"}]))[0]
    standard = org.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true").records(0, 1)[0]["Id"]
    custom = ids(org.insert("Pricebook2", [{"Name": "EU", "IsActive": True}]))[0]
    entry = {"Product2Id": product, "UnitPrice": 10, "IsActive": True}
    assert codes(org.insert("PricebookEntry", [{**entry, "Pricebook2Id": custom}])) == ["STANDARD_PRICE_NOT_DEFINED"]
    first = ids(org.insert("PricebookEntry", [{**entry, "Pricebook2Id": standard}]))[0]
    assert org.insert("PricebookEntry", [{**entry, "Pricebook2Id": custom}])[0].success
    deal = ids(org.insert("Opportunity", [{"Name": "O", "StageName": "Prospecting", "CloseDate": "2026-05-01"}]))[0]
    line = {"OpportunityId": deal, "PricebookEntryId": first, "Quantity": 3}
    made = ids(org.insert("OpportunityLineItem", [line]))[0]
    record = org.retrieve("OpportunityLineItem", made, ["UnitPrice", "TotalPrice", "ProductCode"])
    assert (record["UnitPrice"], record["TotalPrice"], record["ProductCode"]) == (10.0, 30.0, "p-1")
    assert org.retrieve("Opportunity", deal, ["Amount"])["Amount"] == 30.0


def test_direct_account_relation_follows_the_contact(org: Org) -> None:
    assert org.schema.get("AccountContactRelation") is None
    org.schema.set_features(["contacts to multiple accounts"])
    first, second = ids(org.insert("Account", [{"Name": "A"}, {"Name": "B"}]))
    contact = ids(org.insert("Contact", [{"LastName": "C", "AccountId": first}]))[0]
    ids(org.insert("AccountContactRelation", [{"AccountId": second, "ContactId": contact, "Roles": "Decision Maker"}]))
    rows = org.query("SELECT AccountId, IsDirect FROM AccountContactRelation ORDER BY Id").records(0, 5)
    assert [(r["AccountId"], r["IsDirect"]) for r in rows] == [(first, True), (second, False)]


def test_custom_object_with_a_parent(org: Org) -> None:
    org.schema.add_object({"fullName": "Visit__c", "label": "Visit"})
    add_field(
        org, "Visit__c.Account__c", "Account", type="MasterDetail", referenceTo="Account", relationshipName="Visits"
    )
    add_field(org, "Visit__c.Key__c", "Key", **TEXT_KEY)
    account = ids(org.insert("Account", [{"Name": "A"}]))[0]
    got = org.insert("Visit__c", [{"Account__c": account, "Key__c": "1"}, {"Key__c": "2"}])
    assert codes(got) == ["", "REQUIRED_FIELD_MISSING"]
    assert org.retrieve("Visit__c", got[0].id, ["Name"])["Name"] == got[0].id
    parents = org.query("SELECT Name, (SELECT Key__c FROM Visits__r) FROM Account").records(0, 1)
    assert parents[0]["Visits__r"]["records"][0]["Key__c"] == "1"
    org.delete("Account", [account])
    assert org.count("Visit__c") == 0


def test_schema_survives_reopening(tmp_path: Path) -> None:
    first = open_org(tmp_path, name="One")
    add_keys(first, "Account")
    org_id = first.org_id
    ids(first.insert("Account", [{"Name": "A", "Legacy_Id__c": "x"}]))
    first.close()
    second = open_org(tmp_path)
    try:
        assert second.org_id == org_id
        assert second.query("SELECT Legacy_Id__c FROM Account").records(0, 1)[0]["Legacy_Id__c"] == "x"
        assert codes(second.insert("Account", [{"Name": "B", "Legacy_Id__c": "x"}])) == ["DUPLICATE_VALUE"]
        second.schema.delete_field("Account", "Legacy_Id__c")
        with pytest.raises(ApiError, match="No such column"):
            second.query("SELECT Legacy_Id__c FROM Account")
    finally:
        second.close()
