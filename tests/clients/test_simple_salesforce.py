"""simple-salesforce 1.12.10, unmodified, against the Salesforce sandbox over TLS."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from rehouse.sandbox.salesforce.launch import Settings, background

pytestmark = [
    pytest.mark.clients,
    pytest.mark.sandbox,
    # The client's own dependencies warn about themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
simple_salesforce = pytest.importorskip("simple_salesforce")
requests = pytest.importorskip("requests")


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    settings = Settings(store=tmp_path_factory.mktemp("org"), tls=True)
    with background(settings) as running, pytest.MonkeyPatch.context() as patch:
        # The variable wins over `session.verify`, and is how a user of the client is told to trust the sandbox.
        patch.setenv("REQUESTS_CA_BUNDLE", running.info["ca"])
        yield running.info


@pytest.fixture(scope="module")
def session(info: dict[str, Any]) -> Iterator[Any]:
    with requests.Session() as made:
        yield made


@pytest.fixture(scope="module")
def sf(info: dict[str, Any], session: Any) -> Any:
    return simple_salesforce.Salesforce(
        session_id=info["token"], instance_url=info["url"], session=session, version="59.0"
    )


@pytest.fixture(scope="module")
def keyed(sf: Any) -> Any:
    """Account with a visible external id field, made through the client's metadata API."""
    mdapi = sf.mdapi
    mdapi.CustomField.create(
        [
            mdapi.CustomField(
                fullName="Account.Legacy_Id__c", label="Legacy Id", type="Text", length=80, externalId=True, unique=True
            )
        ]
    )
    permission = mdapi._client.get_type("ns0:PermissionSetFieldPermissions")
    allowed = permission(field="Account.Legacy_Id__c", readable=True, editable=True)
    mdapi.PermissionSet.create([mdapi.PermissionSet(fullName="Keys", label="Keys", fieldPermissions=[allowed])])
    granted = sf.query("SELECT Id FROM PermissionSet WHERE Name = 'Keys'")["records"][0]["Id"]
    me = sf.query("SELECT Id FROM User WHERE Username LIKE 'admin%'")["records"][0]["Id"]
    sf.PermissionSetAssignment.create({"AssigneeId": me, "PermissionSetId": granted})
    return sf


def test_records_by_rest(sf: Any) -> None:
    made = sf.Account.create({"Name": "Client & Co", "Phone": "1"})
    assert made["success"] is True
    assert sf.Account.update(made["id"], {"Phone": "2"}) == 204
    assert sf.Account.get(made["id"])["Phone"] == "2"
    assert sf.Account.delete(made["id"]) == 204
    with pytest.raises(simple_salesforce.exceptions.SalesforceResourceNotFound):
        sf.Account.get(made["id"])
    with pytest.raises(simple_salesforce.exceptions.SalesforceMalformedRequest) as refused:
        sf.Contact.create({"FirstName": "x"})
    assert refused.value.content[0]["errorCode"] == "REQUIRED_FIELD_MISSING"


def test_upsert_by_external_id(keyed: Any) -> None:
    assert keyed.Account.upsert("Legacy_Id__c/S-1", {"Name": "One"}) == 201
    assert keyed.Account.upsert("Legacy_Id__c/S-1", {"Name": "Uno"}) == 200
    assert keyed.Account.get_by_custom_id("Legacy_Id__c", "S-1")["Name"] == "Uno"


def test_query_all_follows_the_pages(sf: Any) -> None:
    rows = [{"LastName": f"Page {n:04}", "Company": "Pages"} for n in range(2300)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["LastName", "Company"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    assert sf.bulk2.Lead.insert(records=rows, wait=0)[0]["numberRecordsFailed"] == 0
    found = sf.query_all("SELECT LastName FROM Lead WHERE Company = 'Pages' ORDER BY LastName")
    assert [r["LastName"] for r in found["records"]] == [r["LastName"] for r in rows]
    assert found["totalSize"] == 2300
    first = sf.query("SELECT Id FROM Lead WHERE Company = 'Pages'")
    assert (len(first["records"]), first["done"]) == (2000, False)


def test_bulk2_results_and_upsert(keyed: Any) -> None:
    rows = [{"Name": f"B{n}", "Legacy_Id__c": f"K-{n}"} for n in range(20)] + [{"Name": "", "Legacy_Id__c": "bad"}]
    (job,) = keyed.bulk2.Account.upsert(records=rows, external_id_field="Legacy_Id__c", wait=0)
    assert (job["numberRecordsTotal"], job["numberRecordsFailed"]) == (21, 1)
    good = list(csv.DictReader(io.StringIO(keyed.bulk2.Account.get_successful_records(job["job_id"]))))
    assert {row["Legacy_Id__c"] for row in good} == {f"K-{n}" for n in range(20)}
    failed = list(csv.DictReader(io.StringIO(keyed.bulk2.Account.get_failed_records(job["job_id"]))))
    assert failed[0]["sf__Error"].startswith("REQUIRED_FIELD_MISSING:")
    pages = keyed.bulk2.Account.query(
        "SELECT Id, Name FROM Account WHERE Legacy_Id__c LIKE 'K-%'", max_records=8, wait=0
    )
    texts = list(pages)
    assert len(texts) == 3
    ids = [row["Id"] for text in texts for row in csv.DictReader(io.StringIO(text))]
    (removed,) = keyed.bulk2.Account.delete(records=[{"Id": one} for one in ids], wait=0)
    assert removed["numberRecordsFailed"] == 0
    assert keyed.query("SELECT COUNT() FROM Account WHERE Legacy_Id__c LIKE 'K-%'")["totalSize"] == 0


def test_composite_through_restful(sf: Any) -> None:
    parts = [
        {
            "method": "POST",
            "url": "/services/data/v59.0/sobjects/Account",
            "referenceId": "a",
            "body": {"Name": "Part"},
        },
        {"method": "GET", "url": "/services/data/v59.0/sobjects/Account/@{a.id}", "referenceId": "b"},
    ]
    answer = sf.restful("composite", method="POST", json={"compositeRequest": parts})["compositeResponse"]
    assert [one["httpStatusCode"] for one in answer] == [201, 200]
    assert answer[1]["body"]["Name"] == "Part"


def test_describe_limits_and_organization(sf: Any) -> None:
    assert "Account" in {one["name"] for one in sf.describe()["sobjects"]}
    assert len(sf.Contact.describe()["fields"][0]) == 57
    assert sf.limits()["DailyApiRequests"]["Max"] > 0
    assert sf.api_usage["api-usage"].total > sf.api_usage["api-usage"].used > 0
    assert sf.is_sandbox() in (True, False)


def test_metadata_api_reads_what_it_made(keyed: Any) -> None:
    field = keyed.mdapi.CustomField.read("Account.Legacy_Id__c")
    assert (field.fullName, field.type, field.length, field.externalId) == ("Account.Legacy_Id__c", "Text", 80, True)
    with pytest.raises(Exception, match="DUPLICATE_DEVELOPER_NAME"):
        keyed.mdapi.CustomField.create([field])
    query = keyed.mdapi._client.get_type("ns0:ListMetadataQuery")(type="CustomField")
    assert "Account.Legacy_Id__c" in [one.fullName for one in keyed.mdapi.list_metadata([query])]
    kinds = [one.xmlName for one in keyed.mdapi.describe_metadata().metadataObjects]
    assert "PermissionSet" in kinds


def test_soap_login_with_a_scratch_url(info: dict[str, Any], session: Any) -> None:
    from simple_salesforce.login import SalesforceLogin

    token, instance = SalesforceLogin(
        username=info["username"],
        password=info["password"],
        security_token=info["security_token"],
        scratch_url=info["url"],
        session=session,
    )
    made = simple_salesforce.Salesforce(session_id=token, instance=instance, session=session)
    assert made.query("SELECT Id FROM Organization")["totalSize"] == 1
    with pytest.raises(simple_salesforce.exceptions.SalesforceAuthenticationFailed, match="INVALID_LOGIN"):
        SalesforceLogin(
            username=info["username"], password="x", security_token="y", scratch_url=info["url"], session=session
        )


def test_client_credentials_log_in_by_a_redirected_host(info: dict[str, Any]) -> None:
    """The client builds the login host itself; an adapter of `requests` sends it to the sandbox."""

    class Redirect(requests.adapters.HTTPAdapter):
        def send(self, request: Any, **kwargs: Any) -> Any:
            request.url = request.url.replace("https://acme.my.salesforce.com", info["url"])
            return super().send(request, **kwargs)

    with requests.Session() as session:
        session.mount("https://acme.my.salesforce.com", Redirect())
        made = simple_salesforce.Salesforce(
            consumer_key=info["client_id"],
            consumer_secret=info["client_secret"],
            domain="acme.my",
            session=session,
        )
        assert made.query("SELECT Id FROM Organization")["totalSize"] == 1
