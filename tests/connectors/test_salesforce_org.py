"""What the connector learns about an org, and how it gets and keeps a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salesforce_tools import World

from rehouse.connectors import open_target
from rehouse.connectors.base import CreatesSchema, SwitchesAutomations, Target
from rehouse.connectors.salesforce.target import SalesforceTarget, connect
from rehouse.errors import RetryableError, UserError
from rehouse.events import Note
from rehouse.model import Kind
from rehouse.sandbox.salesforce.launch import Settings, background
from rehouse.wire import BudgetError

pytestmark = pytest.mark.sandbox


def test_it_is_a_target_with_both_abilities(target: SalesforceTarget) -> None:
    assert isinstance(target, Target)
    assert isinstance(target, CreatesSchema)
    assert isinstance(target, SwitchesAutomations)


def test_the_org_is_pinned_by_its_id(target: SalesforceTarget, world: World) -> None:
    org = target.org()
    assert org.id[:15] == world.info["org_id"][:15]
    assert org.user_name == world.info["username"]
    assert org.edition
    assert org.now.tzinfo is not None


def test_a_describe_becomes_a_catalog(target: SalesforceTarget) -> None:
    catalog = target.describe(["Contact", "Task", "Opportunity", "Nothing__c"])
    assert set(catalog.objects) == {"Contact", "Task", "Opportunity"}
    contact, deal = catalog.objects["Contact"], catalog.objects["Opportunity"]
    last = contact.field("LastName")
    assert last is not None
    assert (last.kind, last.length, last.required, last.createable) == (Kind.TEXT, 80, True, True)
    account = contact.field("AccountId")
    assert account is not None
    assert (account.kind, account.references, account.required) == (Kind.REFERENCE, ("Account",), False)
    amount, closed, stage = deal.field("Amount"), deal.field("IsClosed"), deal.field("StageName")
    assert amount is not None
    assert (amount.kind, amount.digits, amount.scale) == (Kind.MONEY, 18, 2)
    assert closed is not None
    assert (closed.kind, closed.createable) == (Kind.BOOLEAN, False)
    assert stage is not None
    assert stage.kind is Kind.OPTION
    assert len(stage.options) > 3
    key = contact.field("Legacy_Id__c")
    assert key is not None
    assert (key.external_id, key.unique, key.case_sensitive, key.custom) == (True, True, True, True)
    assert any(child.object == "Task" and child.field == "WhoId" for child in contact.children)


def test_limits_and_counts_come_from_the_org(target: SalesforceTarget) -> None:
    limits = target.limits()
    assert limits.calls_left is not None
    assert limits.calls_max is not None
    assert 0 < limits.calls_left < limits.calls_max
    assert limits.bulk_batches_max == 15_000
    assert limits.storage_bytes_left
    assert target.count(["Lead", "Task"]) == {"Lead": 0, "Task": 0}


def test_users_are_people_with_their_state(target: SalesforceTarget, world: World) -> None:
    users = target.users()
    me = next(user for user in users if user.id == target.org().user_id)
    assert me.active
    assert not me.is_queue


def test_audit_fields_are_those_that_the_object_has(target: SalesforceTarget) -> None:
    full = target.audit_fields("Contact")
    assert (full.created, full.modified_by, full.stamp) == ("CreatedDate", "LastModifiedById", "SystemModstamp")
    assert target.audit_fields("ContentDocumentLink").created is None


def test_calls_are_counted(target: SalesforceTarget) -> None:
    before = target.calls_used()["calls"]
    target.limits()
    assert target.calls_used()["calls"] > before


def test_an_ended_session_is_renewed_once_and_the_request_sent_again(target: SalesforceTarget, world: World) -> None:
    target.limits()
    world.fault("expired_session", "/limits")
    assert target.limits().calls_max
    assert target.calls_used()["logins"] == 2


def test_a_bare_token_that_ends_is_the_users_business(prepared: World, world: World) -> None:
    bare = connect({"url": world.info["url"], "token": "00D000000000001!nonsense"})
    try:
        with pytest.raises(UserError) as caught:
            bare.limits()
        assert "nonsense" not in str(caught.value) + caught.value.hint
        assert "client_id" in caught.value.hint
    finally:
        bare.close()


def test_a_wrong_secret_is_refused_without_being_shown(world: World) -> None:
    wrong = world.connect(client_secret="SECRETVALUE")
    try:
        with pytest.raises(UserError, match="login was refused") as caught:
            wrong.limits()
        assert "SECRETVALUE" not in str(caught.value) + caught.value.hint
    finally:
        wrong.close()


def test_a_signed_assertion_logs_in(world: World, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "key.pem"
    file.write_bytes(pem)
    settings = {"url": world.info["url"], "client_id": world.info["client_id"], "username": world.info["username"]}
    for given in (str(file), pem.decode()):
        signed = connect({**settings, "private_key": given})
        try:
            assert signed.org().user_name == world.info["username"]
        finally:
            signed.close()


def test_settings_without_a_way_to_log_in_are_refused() -> None:
    with pytest.raises(UserError, match="log in"):
        connect({"url": "https://acme.my.salesforce.com"})
    with pytest.raises(UserError, match="url"):
        connect({"token": "x"})
    with pytest.raises(UserError, match="private key"):
        connect({"url": "https://x", "client_id": "c", "username": "u", "private_key": "/nowhere.pem"})


def test_an_org_behind_a_private_authority_is_reached_by_its_certificate(tmp_path: Path) -> None:
    with background(Settings(store=tmp_path / "org", tls=True)) as running:
        world = World(running.info)
        trusted = open_target("salesforce", {**_login(world), "ca": world.info["ca"]})
        stranger = connect(_login(world))
        try:
            assert trusted.org().id
            with pytest.raises(UserError, match="certificate"):
                stranger.org()
        finally:
            trusted.close()
            stranger.close()


def _login(world: World) -> dict[str, str]:
    return {name: world.info[name] for name in ("url", "client_id", "client_secret")}


@pytest.mark.req("COM-RATE-02")
def test_a_busy_server_is_waited_for_and_the_wait_is_announced(target: SalesforceTarget, world: World) -> None:
    world.fault("status", "/limits", times=2)
    assert target.limits().calls_max
    waits = [event for event in world.events if isinstance(event, Note) and "waiting" in event.text]
    assert len(waits) == 2
    assert target.calls_used()["retries"] == 2


def test_patience_ends(target: SalesforceTarget, world: World) -> None:
    world.fault("maintenance", "/limits", times=10)
    with pytest.raises(RetryableError, match="503"):
        target.limits()


@pytest.mark.req("COM-RATE-01")
def test_calls_of_the_day_are_left_in_reserve(prepared: World, world: World) -> None:
    careful = world.connect(reserve=10**9)
    try:
        with pytest.raises(BudgetError, match="reserve"):
            careful.count(["Account", "Contact", "Lead"])
    finally:
        careful.close()
