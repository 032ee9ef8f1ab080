"""Deterministic pre-population: an org that has a past before any migration arrives.

A seed is a JSON document:

    {"users": [{"Username", "Email", "FirstName", "LastName", "IsActive"}], "queues": [{"Name", "objects": ["Lead"]}],
     "accounts": [{...fields...}], "contacts": [...], "leads": [...], "opportunities": [...],
     "duplicate_rules": [{"object", "name", "fields": [], "action": "block"|"allow", "active": true}],
     "permissions": {"CreateAuditFields": true}, "created": "2019-03-01T08:00:00Z"}

Records are written through the platform's own rules, with their created dates in the past; duplicate rules come last,
so that they do not judge the seed itself. A parent may be named by `"Account": {"Name": …}`. Applying the same
document again adds nothing: users are known by Username, queues by name, records by their name fields and parent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rehouse.errors import InputError
from rehouse.sandbox.salesforce.bootstrap import add_user
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.orgstate import stored_time
from rehouse.sandbox.salesforce.outcome import ApiError, SaveOptions
from rehouse.sandbox.salesforce.schema_model import DuplicateRule, SchemaError

RECORDS = (("accounts", "Account"), ("contacts", "Contact"), ("leads", "Lead"), ("opportunities", "Opportunity"))
"""Sections of records, parents first, with their objects."""
_IDENTITY = {
    "Account": ("Name",),
    "Contact": ("LastName", "FirstName", "Email"),
    "Lead": ("LastName", "FirstName", "Company"),
    "Opportunity": ("Name",),
}
PROFILE = "Standard User"
_HINT = "see the module docstring of rehouse.sandbox.salesforce.seed for the form of a seed document"


def load_seed(source: str) -> dict[str, Any]:
    """A seed by name (`demo`) or from a JSON file. Errors: InputError for a file that cannot be read."""
    if source == "demo":
        return DEMO
    path = Path(source)
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as bad:
        raise InputError(f"the seed cannot be read: {bad}", hint=_HINT, file=source) from bad
    if not isinstance(document, dict):
        raise InputError("the seed is no JSON object", hint=_HINT, file=source)
    return document


def apply_seed(org: Org, document: Mapping[str, Any]) -> dict[str, int]:
    """Add what the document holds and the org lacks; the number of things added, by section.

    Errors: InputError naming the section and the entry that the org refuses.
    """
    return _Seeder(org, document).run()


@dataclass(slots=True)
class _Seeder:
    org: Org
    document: Mapping[str, Any]
    added: dict[str, int] = field(default_factory=dict)

    def run(self) -> dict[str, int]:
        switches = self.document.get("permissions") or {}
        for one in self._section("users"):
            self._user(one)
        for one in self._section("queues"):
            self._queue(one)
        # Created dates in the past need the audit permission, whatever the document wants it to be afterwards.
        before = self.org.switches["CreateAuditFields"]
        self.org.set_switch("CreateAuditFields", True)
        try:
            for section, name in RECORDS:
                for one in self._section(section):
                    self._record(section, name, one)
        finally:
            self.org.set_switch("CreateAuditFields", before)
        for name, on in switches.items():
            if name not in self.org.switches:
                raise InputError(f"unknown permission {name!r}", hint=f"one of {', '.join(self.org.switches)}")
            self.org.set_switch(name, bool(on))
        for one in self._section("duplicate_rules"):
            self._rule(one)
        return self.added

    def _section(self, name: str) -> list[Mapping[str, Any]]:
        found = self.document.get(name) or []
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise InputError(f"section {name!r} of the seed is no list of objects", hint=_HINT)
        return found

    def _count(self, section: str) -> None:
        self.added[section] = self.added.get(section, 0) + 1

    def _user(self, row: Mapping[str, Any]) -> None:
        username = str(row.get("Username") or row.get("Email") or "")
        if not username:
            raise InputError("a user of the seed has no Username", hint=_HINT)
        if self.org.system_find("User", Username=username):
            return
        profile = self.org.system_find("Profile", Name=str(row.get("Profile") or PROFILE))
        if profile is None:
            raise InputError(f"the seed names a profile the org lacks: {row.get('Profile')!r}", hint=_HINT)
        more: dict[str, Any] = {"Email": row.get("Email") or username, "IsActive": int(bool(row.get("IsActive", True)))}
        if "created" in self.document:
            more["CreatedDate"] = _stored(str(self.document["created"]))
        more |= {k: v for k, v in row.items() if k in ("Title", "Department", "Phone", "TimeZoneSidKey")}
        add_user(
            self.org, str(row.get("FirstName") or ""), str(row.get("LastName") or username), username, profile, **more
        )
        self._count("users")

    def _queue(self, row: Mapping[str, Any]) -> None:
        name = str(row.get("Name") or "")
        if self.org.system_find("Group", Name=name, Type="Queue"):
            return
        developer = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "Queue"
        with self.org.transaction():
            group = self.org.system_insert("Group", {"Name": name, "DeveloperName": developer, "Type": "Queue"})
            for obj in row.get("objects") or ["Lead"]:
                self.org.system_insert("QueueSobject", {"QueueId": group, "SobjectType": obj})
        self._count("queues")

    def _record(self, section: str, obj: str, row: Mapping[str, Any]) -> None:
        values = dict(row)
        self._parent(values)
        self._owner(values)
        if self._known(obj, values):
            return
        if "CreatedDate" not in values and "created" in self.document:
            values["CreatedDate"] = str(self.document["created"])
        options = SaveOptions(auto_assign=False, duplicate_allow_save=True)
        try:
            result = self.org.insert(obj, [values], options)[0]
        except ApiError as wrong:
            raise InputError(f"{section}: {wrong.message}", hint=_HINT) from wrong
        if not result.success:
            raise InputError(f"{section}: {result.errors[0].message}", hint=_HINT)
        self._count(section)

    def _parent(self, values: dict[str, Any]) -> None:
        """`"Account": {"Name": …}` becomes AccountId."""
        parent = values.get("Account")
        if isinstance(parent, Mapping) and set(parent) == {"Name"}:
            found = self.org.system_find("Account", Name=parent["Name"])
            if found is None:
                raise InputError(f"the seed names an account it does not hold: {parent['Name']!r}", hint=_HINT)
            del values["Account"]
            values["AccountId"] = found

    def _owner(self, values: dict[str, Any]) -> None:
        """`"Owner": {"Username": …}` becomes OwnerId."""
        owner = values.pop("Owner", None)
        if isinstance(owner, Mapping):
            name = str(owner.get("Username") or "")
            found = self.org.system_find("User", Username=name)
            if found is None:
                raise InputError(f"the seed names a user it does not hold: {name!r}", hint=_HINT)
            values["OwnerId"] = found

    def _known(self, obj: str, values: Mapping[str, Any]) -> bool:
        match = {name: values[name] for name in _IDENTITY[obj] if values.get(name) is not None}
        if "AccountId" in values:
            match["AccountId"] = values["AccountId"]
        return bool(match) and self.org.system_find(obj, **match) is not None

    def _rule(self, row: Mapping[str, Any]) -> None:
        name = str(row.get("name") or "")
        if name in self.org.schema.duplicate_rules:
            return
        rule = DuplicateRule(
            name=name,
            object=str(row.get("object") or ""),
            fields=tuple(row.get("fields") or ()),
            block=row.get("action", "block") == "block",
            active=bool(row.get("active", True)),
        )
        try:
            self.org.schema.set_duplicate_rule(rule)
        except SchemaError as wrong:
            raise InputError(f"duplicate_rules: {wrong.message}", hint=_HINT) from wrong
        self._count("duplicate_rules")


def _stored(moment: str) -> str:
    return stored_time(datetime.fromisoformat(moment))


DEMO: dict[str, Any] = {
    "created": "2019-03-01T08:00:00Z",
    "permissions": {"CreateAuditFields": True},
    "users": [
        {
            "Username": f"{first}.{last}@crm.example".lower(),
            "Email": f"{first}.{last}@example.com".lower(),
            "FirstName": first,
            "LastName": last,
            "IsActive": active,
        }
        for first, last, active in (
            ("Ada", "Moreau", True),
            ("Bruno", "Keller", True),
            ("Chiara", "Rossi", True),
            ("Deniz", "Kaya", True),
            ("Elif", "Demir", True),
            ("Farid", "Haddad", True),
            ("Greta", "Lund", True),
            ("Hugo", "Silva", True),
            ("Ines", "Novak", True),
            ("Jonas", "Weber", False),
        )
    ],
    "queues": [{"Name": "New Leads", "objects": ["Lead"]}],
    "accounts": [
        {"Name": "Northwind Freight", "Industry": "Transportation", "BillingCity": "Hamburg"},
        {"Name": "Anatolia Textiles", "Industry": "Manufacturing", "BillingCity": "Bursa"},
        {"Name": "Lumen Energy", "Industry": "Energy", "BillingCity": "Lyon"},
    ],
    "contacts": [
        {"LastName": "Brandt", "FirstName": "Karin", "Email": "karin.brandt@northwind.example",
         "Account": {"Name": "Northwind Freight"}},
        {"LastName": "Yilmaz", "FirstName": "Mert", "Email": "mert.yilmaz@anatolia.example",
         "Account": {"Name": "Anatolia Textiles"}},
        {"LastName": "Petit", "FirstName": "Luc", "Email": "luc.petit@lumen.example",
         "Account": {"Name": "Lumen Energy"}},
    ],
    "leads": [{"LastName": "Okafor", "FirstName": "Amara", "Company": "Delta Foods", "Email": "amara@delta.example"}],
    "opportunities": [
        {"Name": "Fleet renewal", "StageName": "Prospecting", "CloseDate": "2020-06-30", "Amount": 45000,
         "Account": {"Name": "Northwind Freight"}},
        {"Name": "Looms 2019", "StageName": "Closed Won", "CloseDate": "2019-11-15", "Amount": 120000,
         "Account": {"Name": "Anatolia Textiles"}},
    ],
    "duplicate_rules": [
        {"object": "Contact", "name": "Standard_Contact_Duplicate_Rule", "fields": ["Email"], "action": "block",
         "active": True}
    ],
}  # fmt: skip
"""The seed named `demo`: ten users (one inactive), a queue, old records, an active blocking rule on Contact.Email."""
