"""Bytes in and out: multipart in both orders, base64 in JSON, downloads."""

from __future__ import annotations

import base64
import json

import pytest
from surface_client import Client, Reply

pytestmark = pytest.mark.sandbox
BYTES = bytes(range(256)) * 300


def multipart(client: Client, parts: list[tuple[str, str, bytes]]) -> Reply:
    chunks = []
    for disposition, kind, body in parts:
        head = f"--xyz\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {kind}\r\n\r\n"
        chunks += [head.encode(), body, b"\r\n"]
    chunks.append(b"--xyz--\r\n")
    headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
    return client.send("POST", f"{client.base}/sobjects/ContentVersion/", b"".join(chunks), headers)


def download(client: Client, version: str) -> bytes:
    reply = client.call("GET", f"/sobjects/ContentVersion/{version}/VersionData")
    assert reply.status == 200
    return reply.body


@pytest.mark.parametrize("first", ["json", "bytes"])
def test_multipart_knows_the_json_part_by_its_type(shared: Client, first: str) -> None:
    record = json.dumps({"Title": "Plan", "PathOnClient": "plan.bin"}).encode()
    # The sf CLI names the parts one way round, jsforce after the object.
    parts = [
        (f'name="{"entity_content" if first == "json" else "ContentVersion"}"', "application/json", record),
        ('name="VersionData"; filename="plan.bin"', "application/octet-stream", BYTES),
    ]
    reply = multipart(shared, parts if first == "json" else parts[::-1])
    assert (reply.status, reply.json["success"]) == (201, True), reply.body
    assert download(shared, reply.json["id"]) == BYTES
    soql = f"SELECT ContentDocumentId, ContentSize, FileExtension FROM ContentVersion WHERE Id = '{reply.json['id']}'"
    row = shared.query(soql)[0]
    assert (row["ContentSize"], row["FileExtension"]) == (len(BYTES), "bin")
    account = shared.create("Account", Name="Files")
    shared.create(
        "ContentDocumentLink", ContentDocumentId=row["ContentDocumentId"], LinkedEntityId=account, ShareType="V"
    )


def test_base64_in_json(shared: Client) -> None:
    data = base64.b64encode(BYTES).decode()
    version = shared.create("ContentVersion", Title="T", PathOnClient="t.txt", VersionData=data)
    assert download(shared, version) == BYTES


def test_multipart_without_a_record_is_refused(shared: Client) -> None:
    reply = multipart(shared, [('name="VersionData"; filename="a"', "application/octet-stream", b"x")])
    assert reply.status == 400


def test_no_bytes_behind_an_unknown_version(shared: Client) -> None:
    assert shared.call("GET", "/sobjects/ContentVersion/068000000000000AAA/VersionData").status == 404
