"""Logins, sessions and their end, as clients see them."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode
from xml.dom import minidom

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from surface_client import Client, Reply

pytestmark = pytest.mark.sandbox
TOKEN = "/services/oauth2/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def grant(client: Client, **form: str) -> Reply:
    return client.send("POST", TOKEN, urlencode(form), FORM)


def test_versions_need_no_session_and_end_with_the_newest(shared: Client) -> None:
    reply = shared.send("GET", "/services/data/", token="nobody")
    assert reply.status == 200
    assert reply.json[-1] == {"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"}
    assert reply.json[-2]["label"] == "Spring '26"
    assert reply.json[0]["version"] == "31.0"


def test_client_credentials_by_basic_header_open_a_session(shared: Client) -> None:
    pair = f"{shared.info['client_id']}:{shared.info['client_secret']}"
    headers = {**FORM, "Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    reply = shared.send("POST", TOKEN, "grant_type=client_credentials", headers)
    assert reply.status == 200
    body = reply.json
    assert body["access_token"].startswith(shared.info["org_id"][:15] + "!")
    assert body["instance_url"] == shared.info["url"]
    assert body["issued_at"].isdigit()
    org, user = body["id"].split("/")[-2:]
    assert org == shared.info["org_id"]
    me = shared.send("GET", "/services/oauth2/userinfo", token=body["access_token"]).json
    assert (me["user_id"], me["preferred_username"]) == (user, shared.info["username"])


@pytest.mark.parametrize(
    ("form", "status", "error", "description"),
    [
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, 400, "invalid_client_id",
         "client identifier invalid"),
        ({"grant_type": "device"}, 400, "unsupported_grant_type", "grant type not supported"),
        ({}, 400, "invalid_request", "missing required parameter: grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "gone"}, 400, "invalid_grant",
         "expired access/refresh token"),
        ({"grant_type": "password", "username": "admin", "password": "wrong"}, 400, "invalid_grant",
         "authentication failure"),
    ],
)  # fmt: skip
def test_refused_grants_name_the_reason(
    shared: Client, form: dict[str, str], status: int, error: str, description: str
) -> None:
    known = {} if "client_id" in form else {"client_id": shared.info["client_id"]}
    reply = grant(shared, **known, **form)
    assert (reply.status, reply.json) == (status, {"error": error, "error_description": description})


def test_password_and_refresh_grants_work(shared: Client) -> None:
    password = shared.info["password"] + shared.info["security_token"]
    for form in (
        {"grant_type": "password", "username": shared.info["username"], "password": password},
        {"grant_type": "refresh_token", "refresh_token": shared.info["refresh_token"]},
    ):
        reply = grant(shared, client_id=shared.info["client_id"], **form)
        assert reply.status == 200, reply.body
        assert shared.send("GET", shared.base + "/", token=reply.json["access_token"]).status == 200


def test_jwt_bearer_checks_claims_and_a_registered_key(sandbox: Client) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert sandbox.admin("POST", "/certificate", pem).status == 204

    def assertion(**claims: object) -> str:
        known = {"iss": sandbox.info["client_id"], "sub": sandbox.info["username"],
                 "aud": "https://login.salesforce.com", "exp": "4102444800"}  # fmt: skip
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
            for part in ({"alg": "RS256"}, {**known, **claims})
        ]
        signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()

    assert grant(sandbox, grant_type=JWT, assertion=assertion()).status == 200
    forged = assertion()[:-8] + "AAAAAAAA"
    assert grant(sandbox, grant_type=JWT, assertion=forged).json["error_description"] == "invalid assertion"
    assert grant(sandbox, grant_type=JWT, assertion=assertion(sub="nobody")).status == 400
    assert grant(sandbox, grant_type=JWT, assertion=assertion(exp=1)).status == 400
    assert grant(sandbox, grant_type=JWT, assertion=assertion(aud="https://evil.example")).status == 400


def test_sessions_end_two_hours_after_their_last_use(sandbox: Client) -> None:
    assert sandbox.call("GET", "/").status == 200
    sandbox.admin("POST", "/clock", {"advance_seconds": 7000})
    assert sandbox.call("GET", "/").status == 200
    sandbox.admin("POST", "/clock", {"advance_seconds": 7201})
    reply = sandbox.call("GET", "/")
    assert reply.status == 401
    assert reply.json == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    soap = sandbox.soap("describeMetadata", "<asOfVersion>67.0</asOfVersion>")
    assert soap.status == 500
    assert b"<faultcode>sf:INVALID_SESSION_ID</faultcode>" in soap.body


def test_revoked_tokens_are_dead(sandbox: Client) -> None:
    assert (
        sandbox.send("POST", "/services/oauth2/revoke", urlencode({"token": sandbox.info["token"]}), FORM).status == 200
    )
    assert sandbox.call("GET", "/").status == 401


def login(client: Client, password: str, version: str = "59.0") -> Reply:
    body = (
        '<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>'
        '<n1:login xmlns:n1="urn:partner.soap.sforce.com">'
        f"<n1:username>{client.info['username']}</n1:username><n1:password>{password}</n1:password>"
        "</n1:login></env:Body></env:Envelope>"
    )
    return client.send("POST", f"/services/Soap/u/{version}", body.encode(), {"Content-Type": "text/xml"})


def test_soap_login_answers_unprefixed_elements(shared: Client) -> None:
    reply = login(shared, shared.info["password"] + shared.info["security_token"])
    assert reply.status == 200
    dom = minidom.parseString(reply.body)
    session = dom.getElementsByTagName("sessionId")[0].firstChild.data  # type: ignore[union-attr]
    server = dom.getElementsByTagName("serverUrl")[0].firstChild.data  # type: ignore[union-attr]
    assert server.startswith(shared.info["url"] + "/services/Soap/u/59.0/")
    assert shared.send("GET", shared.base, token=session).status == 200


def test_soap_login_refusals_carry_the_sf_prefix(shared: Client) -> None:
    reply = login(shared, "wrong")
    assert reply.status == 500
    assert b"<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>" in reply.body
    assert login(shared, shared.info["password"], "65.0").status == 500


def test_identity_lists_url_templates(shared: Client) -> None:
    link = shared.call("GET", "").json["identity"]
    reply = shared.send("GET", link.removeprefix(shared.info["url"]) + "?format=json")
    assert reply.json["username"] == shared.info["username"]
    assert "{version}" in reply.json["urls"]["rest"]
