"""A sandbox as a process: seeds, restarts, kills, certificates, the clock."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from surface_client import Client

from rehouse.errors import InputError
from rehouse.sandbox.salesforce.launch import Settings, background

pytestmark = pytest.mark.sandbox

SCRIPT = """
import json, sys
from pathlib import Path
from rehouse.sandbox.salesforce.launch import serve
serve(Path(sys.argv[1]), 0, "T0KEN", False, "Enterprise", sys.argv[2] or None, 0,
      lambda info: sys.stdout.write(json.dumps(info) + "\\n") and sys.stdout.flush())
"""


def start(store: Path, seed: str = "") -> tuple[subprocess.Popen[str], Client]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store), seed], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    return process, Client(json.loads(process.stdout.readline()))


def end(process: subprocess.Popen[str], how: signal.Signals) -> int:
    process.send_signal(how)
    code = process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_everything_survives_a_kill_and_the_end_is_clean(tmp_path: Path) -> None:
    process, client = start(tmp_path / "org")
    try:
        record = client.create("Account", Name="Durable")
        client.external_id()
        client.admin("POST", "/clock", {"advance_seconds": 3600})
        now = client.admin("GET", "/state").json["now"]
    finally:
        end(process, signal.SIGKILL)
    process, again = start(tmp_path / "org")
    try:
        assert again.info["token"] == "T0KEN"
        assert again.info["client_id"] == client.info["client_id"]
        assert again.call("GET", f"/sobjects/Account/{record}?fields=Name,Legacy_Id__c").json["Name"] == "Durable"
        state = again.admin("GET", "/state").json
        assert state["now"] >= now
        assert state["limits"]["DailyApiRequests"]["used"] > 1
    finally:
        assert end(process, signal.SIGTERM) == 0


def test_the_demo_seed_is_an_org_with_a_past(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "org", seed="demo")
    for _ in range(2):
        with background(settings) as running:
            client = Client(running.info)
            users = client.query("SELECT IsActive FROM User WHERE Username LIKE '%@crm.example'")
            assert (len(users), sum(u["IsActive"] for u in users)) == (10, 9)
            contacts = client.query("SELECT Email, CreatedDate, Account.Name FROM Contact")
            assert len(contacts) == 3
            assert {c["CreatedDate"] for c in contacts} == {"2019-03-01T08:00:00.000+0000"}
            again = client.call("POST", "/sobjects/Contact", {"LastName": "New", "Email": contacts[0]["Email"]})
            assert again.json[0]["errorCode"] == "DUPLICATES_DETECTED"
            insisted = client.call(
                "POST",
                "/sobjects/Contact",
                {"LastName": "New", "Email": contacts[0]["Email"]},
                Sforce_Duplicate_Rule_Header="allowSave=true",
            )
            assert insisted.status == 400
            won = client.query("SELECT IsWon, Probability FROM Opportunity WHERE StageName = 'Closed Won'")
            assert [(o["IsWon"], o["Probability"]) for o in won] == [(True, 100)]
            past = client.call("POST", "/sobjects/Account", {"Name": "Old", "CreatedDate": "2018-01-01T00:00:00Z"})
            assert past.status == 201


def test_a_seed_file_and_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"leads": [{"LastName": "L", "Company": "C", "OwnerId": "nobody"}]}))
    with pytest.raises(InputError, match="leads"), background(Settings(store=tmp_path / "a", seed=str(path))):
        pass
    path.write_text("[]")
    with pytest.raises(InputError, match="no JSON object"), background(Settings(store=tmp_path / "b", seed=str(path))):
        pass


def test_audit_fields_need_the_permission(sandbox: Client) -> None:
    row = {"Name": "Old", "CreatedDate": "2018-01-01T00:00:00Z"}
    refused = sandbox.call("POST", "/sobjects/Account", row)
    assert refused.json[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert sandbox.admin("POST", "/switches", {"CreateAuditFields": True}).json["CreateAuditFields"] is True
    assert sandbox.call("POST", "/sobjects/Account", row).status == 201


def test_tls_with_the_local_authority(tmp_path: Path) -> None:
    with background(Settings(store=tmp_path / "org", tls=True)) as running:
        url = urlsplit(running.info["url"])
        assert url.scheme == "https"
        trusting = ssl.create_default_context(cafile=running.info["ca"])
        for host in (str(url.hostname), "localhost"):
            connection = HTTPSConnection(host, url.port, context=trusting, timeout=20)
            connection.request("GET", "/services/data")
            assert connection.getresponse().read().startswith(b"[")
            connection.close()
        strange = HTTPSConnection(str(url.hostname), url.port, context=ssl.create_default_context(), timeout=20)
        with pytest.raises(ssl.SSLCertVerificationError):
            strange.request("GET", "/services/data")
        strange.close()


def test_the_clock_is_put_anywhere(sandbox: Client) -> None:
    assert sandbox.admin("POST", "/clock", {"set": "2031-05-04T03:02:01Z"}).json["now"].startswith("2031-05-04T03:02:0")
    token = sandbox.send(
        "POST",
        "/services/oauth2/token",
        f"grant_type=refresh_token&client_id={sandbox.info['client_id']}&refresh_token={sandbox.info['refresh_token']}",
        {"Content-Type": "application/x-www-form-urlencoded"},
    ).json["access_token"]
    made = sandbox.send("POST", f"{sandbox.base}/sobjects/Account", {"Name": "Future"}, token=token).json["id"]
    read = sandbox.send("GET", f"{sandbox.base}/sobjects/Account/{made}?fields=CreatedDate", token=token).json
    assert read["CreatedDate"].startswith("2031-05-04T03:0")
