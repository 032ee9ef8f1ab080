"""Metadata over SOAP: what a migration has to make, and how refusals look."""

from __future__ import annotations

import pytest
from surface_client import Client

pytestmark = pytest.mark.sandbox

OK = b"<success>true</success>"
PATHS = ("/services/Soap/m/67.0", "/services/Soap/m/67.0/", "/services/Soap/m/67.0/00D000000000001")


def field(name: str, kind: str, more: str = "", label: str = "Label") -> str:
    return (
        f'<metadata xsi:type="CustomField"><fullName>{name}</fullName><label>{label}</label>'
        f"<type>{kind}</type>{more}</metadata>"
    )


@pytest.mark.parametrize("path", PATHS)
def test_three_url_shapes(shared: Client, path: str) -> None:
    reply = shared.soap("describeMetadata", "<asOfVersion>67.0</asOfVersion>", path=path)
    assert reply.status == 200
    assert b"<xmlName>PermissionSet</xmlName>" in reply.body


def test_prefixed_bodies_are_read(shared: Client) -> None:
    body = (
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:met="http://soap.sforce.com/2006/04/metadata" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        "<SOAP-ENV:Header><met:SessionHeader><met:sessionId>"
        f"{shared.info['token']}</met:sessionId></met:SessionHeader></SOAP-ENV:Header><SOAP-ENV:Body><met:createMetadata>"
        '<met:metadata xsi:type="met:CustomField"><met:fullName>Account.Prefixed__c</met:fullName>'
        "<met:label>Prefixed</met:label><met:type>Checkbox</met:type><met:defaultValue>true</met:defaultValue>"
        "</met:metadata></met:createMetadata></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
    reply = shared.send("POST", PATHS[1], body.encode(), {"Content-Type": "text/xml; charset=utf-8"})
    assert OK in reply.body
    read = shared.soap("readMetadata", "<type>CustomField</type><fullNames>Account.Prefixed__c</fullNames>")
    assert b'<records xsi:type="CustomField"><fullName>Account.Prefixed__c</fullName>' in read.body
    assert b"<defaultValue>true</defaultValue>" in read.body


@pytest.mark.req("COM-SCH-11")
def test_a_new_field_is_invisible_until_permissions_are_granted(sandbox: Client) -> None:
    made = sandbox.soap("createMetadata", field("Account.Tier__c", "Text", "<length>20</length>"))
    assert b"<result><fullName>Account.Tier__c</fullName>" + OK in made.body
    hidden = sandbox.call("POST", "/sobjects/Account", {"Name": "x", "Tier__c": "gold"})
    assert (hidden.status, hidden.json[0]["errorCode"]) == (400, "INVALID_FIELD")
    grant = (
        '<metadata xsi:type="PermissionSet"><fullName>Migration</fullName>'
        "<fieldPermissions><editable>true</editable><field>Account.Tier__c</field><readable>true</readable>"
        "</fieldPermissions><label>Migration</label></metadata>"
    )
    upserted = sandbox.soap("upsertMetadata", grant)
    assert b"<created>true</created><fullName>Migration</fullName>" + OK in upserted.body
    permission_set = sandbox.query("SELECT Id FROM PermissionSet WHERE Name = 'Migration'")[0]["Id"]
    user = sandbox.query(f"SELECT Id FROM User WHERE Username = '{sandbox.info['username']}'")[0]["Id"]
    assignment = sandbox.create("PermissionSetAssignment", AssigneeId=user, PermissionSetId=permission_set)
    record = sandbox.create("Account", Name="x", Tier__c="gold")
    assert sandbox.query(f"SELECT Tier__c FROM Account WHERE Id = '{record}'")[0]["Tier__c"] == "gold"
    assert sandbox.call("DELETE", f"/sobjects/PermissionSetAssignment/{assignment}").status == 204
    names = [one["name"] for one in sandbox.call("GET", "/sobjects/Account/describe").json["fields"]]
    assert "Tier__c" not in names


def test_a_permission_set_is_replaced_as_a_whole(sandbox: Client) -> None:
    for name in ("A__c", "B__c"):
        sandbox.soap("createMetadata", field(f"Account.{name}", "Date"))

    def grant(name: str) -> bytes:
        permission = f"<fieldPermissions><field>{name}</field><readable>true</readable></fieldPermissions>"
        spec = f"<fullName>Whole</fullName>{permission}<label>Whole</label>"
        return sandbox.soap("upsertMetadata", f'<metadata xsi:type="PermissionSet">{spec}</metadata>').body

    assert OK in grant("Account.A__c")
    assert OK in grant("Account.B__c")
    read = sandbox.soap("readMetadata", "<type>PermissionSet</type><fullNames>Whole</fullNames>").body
    assert b"Account.B__c" in read
    assert b"Account.A__c" not in read
    assert b"INVALID_CROSS_REFERENCE_KEY" in grant("Account.Nope__c")


def test_refusals_carry_code_and_text_per_component(shared: Client) -> None:
    long = field("Account.Long__c", "Text", "<length>300</length>")
    fine = field("Account.Fine__c", "Email")
    reply = shared.soap("createMetadata", fine + long + fine)
    assert reply.body.count(b"<result>") == 3
    assert reply.body.count(OK) == 1
    assert b"There is already a field named Fine on Account." in reply.body
    assert b"<statusCode>DUPLICATE_DEVELOPER_NAME</statusCode>" in reply.body


def test_all_or_none_puts_components_back(shared: Client) -> None:
    header = "<AllOrNoneHeader><allOrNone>true</allOrNone></AllOrNoneHeader>"
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://soap.sforce.com/2006/04/metadata">'
        f"<e:Header><SessionHeader><sessionId>{shared.info['token']}</sessionId></SessionHeader>{header}</e:Header>"
        f"<e:Body><createMetadata>{field('Lead.Kept__c', 'Date')}{field('Lead.Bad__c', 'Text')}</createMetadata>"
        "</e:Body></e:Envelope>"
    )
    reply = shared.send("POST", PATHS[0], body.encode(), {"Content-Type": "text/xml"})
    assert b"ALL_OR_NONE_OPERATION_ROLLED_BACK" in reply.body
    read = shared.soap("readMetadata", "<type>CustomField</type><fullNames>Lead.Kept__c</fullNames>")
    assert b'<records xsi:nil="true"/>' in read.body


def test_more_than_ten_components_are_refused(shared: Client) -> None:
    reply = shared.soap("createMetadata", field("Account.X__c", "Date") * 11)
    assert reply.status == 500
    assert b"<faultcode>sf:LIMIT_EXCEEDED</faultcode>" in reply.body


def test_a_dead_session_is_a_fault(shared: Client) -> None:
    reply = shared.soap("describeMetadata", "", session="00D!dead")
    assert reply.status == 500
    assert b"<faultcode>sf:INVALID_SESSION_ID</faultcode>" in reply.body


def test_stages_process_and_record_type_make_a_pipeline(sandbox: Client) -> None:
    old = sandbox.soap("readMetadata", "<type>StandardValueSet</type><fullNames>OpportunityStage</fullNames>").body
    kept = old[old.index(b"<standardValue>") : old.rindex(b"</standardValue>")].decode() + "</standardValue>"
    stage = (
        "<standardValue><fullName>Teklif</fullName><default>false</default><label>Teklif</label><closed>false</closed>"
        "<forecastCategory>BestCase</forecastCategory><probability>35</probability><won>false</won></standardValue>"
    )
    value_set = "<fullName>OpportunityStage</fullName><sorted>false</sorted>" + kept + stage
    reply = sandbox.soap("updateMetadata", f'<metadata xsi:type="StandardValueSet">{value_set}</metadata>')
    assert OK in reply.body
    row = sandbox.query(
        "SELECT DefaultProbability, ForecastCategory, IsActive FROM OpportunityStage WHERE MasterLabel = 'Teklif'"
    )
    assert (row[0]["DefaultProbability"], row[0]["ForecastCategory"], row[0]["IsActive"]) == (35, "BestCase", True)
    process = (
        "<fullName>Opportunity.Satis</fullName><isActive>true</isActive>"
        "<values><fullName>Teklif</fullName><default>true</default></values>"
        "<values><fullName>Closed Won</fullName></values>"
    )
    assert OK in sandbox.soap("createMetadata", f'<metadata xsi:type="BusinessProcess">{process}</metadata>').body
    kind = (
        "<fullName>Opportunity.Satis</fullName><active>true</active><businessProcess>Satis</businessProcess>"
        "<label>Satış</label>"
    )
    assert OK in sandbox.soap("createMetadata", f'<metadata xsi:type="RecordType">{kind}</metadata>').body
    info = next(
        one
        for one in sandbox.call("GET", "/sobjects/Opportunity/describe").json["recordTypeInfos"]
        if one["developerName"] == "Satis"
    )
    assert info["name"] == "Satış"
    made = sandbox.create(
        "Opportunity", Name="Deal", StageName="Teklif", CloseDate="2026-01-31", RecordTypeId=info["recordTypeId"]
    )
    found = sandbox.query(
        f"SELECT Probability, IsClosed, ForecastCategory, RecordType.DeveloperName FROM Opportunity WHERE Id = '{made}'"
    )[0]
    assert (found["Probability"], found["IsClosed"], found["ForecastCategory"]) == (35, False, "BestCase")
    assert found["RecordType"]["DeveloperName"] == "Satis"
    unknown = "<fullName>Opportunity.Bad</fullName><isActive>true</isActive><values><fullName>Nope</fullName></values>"
    assert OK not in sandbox.soap("createMetadata", f'<metadata xsi:type="BusinessProcess">{unknown}</metadata>').body
    again = sandbox.soap(
        "readMetadata", "<type>RecordType</type><fullNames>Opportunity.Satis</fullNames>"
    ).body.decode()
    assert "<businessProcess>Satis</businessProcess>" in again
    assert (
        b"Cannot delete record type through API"
        in sandbox.soap("deleteMetadata", "<type>RecordType</type><fullNames>Opportunity.Satis</fullNames>").body
    )


def test_duplicate_rules_are_switched_off_and_on(sandbox: Client) -> None:
    rule = {"object": "Contact", "name": "Same_Email", "fields": ["Email"], "action": "block", "active": True}
    sandbox.admin("POST", "/seed", {"duplicate_rules": [rule]})
    sandbox.create("Contact", LastName="A", Email="a@b.example")
    again = {"LastName": "B", "Email": "a@b.example"}
    assert sandbox.call("POST", "/sobjects/Contact", again).status == 400
    listed = sandbox.soap(
        "listMetadata", "<queries><type>DuplicateRule</type></queries><asOfVersion>67.0</asOfVersion>"
    )
    assert b"<fullName>Contact.Same_Email</fullName>" in listed.body
    read = sandbox.soap("readMetadata", "<type>DuplicateRule</type><fullNames>Contact.Same_Email</fullNames>").body
    records = read[read.index(b"<records") : read.index(b"</records>")].decode()
    inner = records[records.index(">") + 1 :].replace("<isActive>true", "<isActive>false")
    assert OK in sandbox.soap("updateMetadata", f'<metadata xsi:type="DuplicateRule">{inner}</metadata>').body
    assert sandbox.call("POST", "/sobjects/Contact", again).status == 201
    assert (
        sandbox.query("SELECT IsActive FROM DuplicateRule WHERE DeveloperName = 'Same_Email'")[0]["IsActive"] is False
    )


def test_picklist_lookup_and_activity_fields(sandbox: Client) -> None:
    values = "".join(f"<value><fullName>{v}</fullName><default>false</default></value>" for v in ("Gold", "Silver"))
    picklist = (
        f"<valueSet><restricted>true</restricted><valueSetDefinition><sorted>false</sorted>{values}"
        "</valueSetDefinition></valueSet>"
    )
    lookup = "<referenceTo>Account</referenceTo><relationshipName>Mentored</relationshipName>"
    reply = sandbox.soap(
        "createMetadata",
        field("Contact.Level__c", "Picklist", picklist)
        + field("Contact.Mentor__c", "Lookup", lookup)
        + field("Activity.Source__c", "Text", "<length>40</length>"),
    )
    assert reply.body.count(OK) == 3, reply.body
    names = ("Contact.Level__c", "Contact.Mentor__c", "Task.Source__c", "Event.Source__c")
    permissions = "".join(
        f"<fieldPermissions><editable>true</editable><field>{n}</field><readable>true</readable></fieldPermissions>"
        for n in names
    )
    spec = f"<fullName>All</fullName>{permissions}<label>All</label>"
    assert OK in sandbox.soap("createMetadata", f'<metadata xsi:type="PermissionSet">{spec}</metadata>').body
    user = sandbox.query(f"SELECT Id FROM User WHERE Username = '{sandbox.info['username']}'")[0]["Id"]
    granted = sandbox.query("SELECT Id FROM PermissionSet WHERE Name = 'All'")[0]["Id"]
    sandbox.create("PermissionSetAssignment", AssigneeId=user, PermissionSetId=granted)
    account = sandbox.create("Account", Name="Mentor")
    contact = sandbox.create("Contact", LastName="L", Level__c="Gold", Mentor__c=account)
    assert (
        sandbox.query(f"SELECT Mentor__r.Name FROM Contact WHERE Id = '{contact}'")[0]["Mentor__r"]["Name"] == "Mentor"
    )
    bad = sandbox.call("POST", "/sobjects/Contact", {"LastName": "L", "Level__c": "Lead"}).json[0]
    assert bad["errorCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    sandbox.create("Task", Subject="Call", Source__c="phone")
    deleted = sandbox.soap("deleteMetadata", "<type>CustomField</type><fullNames>Contact.Level__c</fullNames>")
    assert OK in deleted.body


def test_queues_own_leads(sandbox: Client) -> None:
    spec = "<fullName>Inbox</fullName><name>Inbox</name><queueSobject><sobjectType>Lead</sobjectType></queueSobject>"
    assert OK in sandbox.soap("createMetadata", f'<metadata xsi:type="Queue">{spec}</metadata>').body
    queue = sandbox.query("SELECT Id FROM Group WHERE Type = 'Queue' AND DeveloperName = 'Inbox'")[0]["Id"]
    sandbox.create("Lead", LastName="L", Company="C", OwnerId=queue)
    assert sandbox.call("POST", "/sobjects/Account", {"Name": "x", "OwnerId": queue}).status == 400
