"""A plain HTTP client for the sandbox, over the standard library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

VERSION = "v67.0"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One HTTP request per call, over the standard library: nothing of ours in between."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.info = info
        self.base = f"/services/data/{VERSION}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        url: str | None = None,
    ) -> Reply:
        connection = HTTPConnection(urlsplit(url or self.info["url"]).netloc, timeout=30)
        sent = {"Authorization": f"Bearer {token or self.info['token']}", **(headers or {})}
        raw = body
        if isinstance(body, dict | list):
            raw = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """A call below `/services/data/vNN.0`."""
        return self.send(method, self.base + path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def create(self, obj: str, **fields: Any) -> str:
        reply = self.call("POST", f"/sobjects/{obj}", fields)
        assert reply.status == 201, reply.body
        return str(reply.json["id"])

    def query(self, soql: str) -> list[dict[str, Any]]:
        reply = self.call("GET", f"/query?q={quote(soql)}")
        assert reply.status == 200, reply.body
        return list(reply.json["records"])

    def admin(self, method: str, path: str, body: Any = None) -> Reply:
        return self.send(method, path, body, url=self.info["admin_url"])

    def fault(self, kind: str, path: str = "", method: str = "", nth: int = 1, **options: Any) -> None:
        spec = {"kind": kind, "match": {"path": path, "method": method, "nth": nth}, **options}
        assert self.admin("POST", "/faults", spec).status == 201

    def soap(
        self, operation: str, inner: str, *, path: str = "/services/Soap/m/67.0", session: str | None = None
    ) -> Reply:
        """A metadata call in the default namespace, as jsforce sends it."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            '<soapenv:Header xmlns="http://soap.sforce.com/2006/04/metadata"><SessionHeader><sessionId>'
            f"{session or self.info['token']}</sessionId></SessionHeader></soapenv:Header>"
            f'<soapenv:Body xmlns="http://soap.sforce.com/2006/04/metadata"><{operation}>{inner}</{operation}></soapenv:Body>'
            "</soapenv:Envelope>"
        )
        return self.send("POST", path, body.encode(), {"Content-Type": "text/xml", "SOAPAction": '""'})

    def external_id(self, obj: str = "Account", name: str = "Legacy_Id__c") -> None:
        """An external id field that the administrator can see."""
        reply = self.soap(
            "createMetadata",
            f'<metadata xsi:type="CustomField"><fullName>{obj}.{name}</fullName><label>Legacy Id</label>'
            "<type>Text</type><length>80</length><externalId>true</externalId><unique>true</unique></metadata>",
        )
        assert b"<success>true</success>" in reply.body, reply.body
        permission_set = self.create("PermissionSet", Name=f"See_{obj}_{name}"[:60].replace("__", "_"), Label="See")
        self.create(
            "FieldPermissions",
            ParentId=permission_set,
            SobjectType=obj,
            Field=f"{obj}.{name}",
            PermissionsRead=True,
            PermissionsEdit=True,
        )
        user = self.query(f"SELECT Id FROM User WHERE Username = '{self.info['username']}'")[0]["Id"]
        self.create("PermissionSetAssignment", AssigneeId=user, PermissionSetId=permission_set)
