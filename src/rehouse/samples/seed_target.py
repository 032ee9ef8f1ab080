"""A document that pre-populates a Salesforce sandbox, so that the target is not an empty org.

It holds records older than the export, accounts that overlap with companies of the export, users for most of its
owners, and an active blocking duplicate rule on the e-mail of contacts.
"""

from __future__ import annotations

from typing import Any

from rehouse.samples.pools import upper
from rehouse.samples.scene import Scene, User

Document = dict[str, Any]

CREATED = "2019-03-01T08:00:00Z"


def target_seed(scene: Scene) -> Document:
    """The document. Users exist for all active owners but the last; one is inactive; departed and unknown
    owners have none. Two contacts carry the e-mail of a contact of the export."""
    return {
        "created": CREATED,
        "permissions": {"CreateAuditFields": True},
        "users": _users(scene),
        "queues": [{"Name": "Web Leads", "objects": ["Lead"]}],
        "accounts": _accounts(scene),
        "contacts": _contacts(scene),
        "leads": _leads(),
        "opportunities": _opportunities(),
        "duplicate_rules": [
            {
                "object": "Contact",
                "name": "Strict_Contact_Email",
                "fields": ["Email"],
                "action": "block",
                "active": True,
            }
        ],
    }


def _users(scene: Scene) -> list[Document]:
    present = [user for user in scene.users if user.state == "active"][:-1]
    inactive = present[-1].email
    made = [_user(user, active=user.email != inactive) for user in present]
    made[1]["Email"] = made[1]["Email"].title()
    return made


def _user(user: User, *, active: bool) -> Document:
    first, _, last = user.full_name.rpartition(" ")
    return {
        "Username": f"{user.email}.crm",
        "Email": user.email,
        "FirstName": first,
        "LastName": last,
        "IsActive": active,
    }


def _accounts(scene: Scene) -> list[Document]:
    """Six accounts named like companies of the export (as they are, without suffix, in capitals), four others."""
    chosen = [company for company in scene.companies if len(scene.members[company.id]) > 1][:6]
    names = []
    for number, company in enumerate(chosen):
        names.append((company.name, company.base, upper(company.name))[number % 3])
    accounts: list[Document] = [{"Name": name} for name in names]
    for number, account in enumerate(accounts):
        if number % 2:
            account["Phone"] = f"+90 212 555 01 {number:02d}"
            account["Website"] = f"https://{chosen[number].domain}"
    others = ("Blue Harbor Logistics", "Northlight Dental GmbH", "Kestrel Foods Ltd", "Ada Kırtasiye")
    return accounts + [{"Name": name, "BillingCountry": "Türkiye"} for name in others]


def _contacts(scene: Scene) -> list[Document]:
    clashing = scene.known_emails[:2]
    named = (("Nora", "Lindqvist"), ("Tom", "Ashford"), ("Selin", "Kaya"))
    made: list[Document] = [
        {"FirstName": first, "LastName": last, "Email": f"{first}.{last}@oldcrm.example".lower()}
        for first, last in named
    ]
    for number, address in enumerate(clashing):
        made.append({"FirstName": "Eski", "LastName": f"Kayıt {number + 1}", "Email": address})
    return made


def _leads() -> list[Document]:
    return [
        {"FirstName": "Iris", "LastName": "Molnar", "Company": "Molnar Kft", "Status": "Open - Not Contacted"},
        {"FirstName": "Pavel", "LastName": "Novak", "Company": "Novak s.r.o.", "Status": "Working - Contacted"},
    ]


def _opportunities() -> list[Document]:
    rows = (("Renewal 2019", "Closed Won", "2019-06-28", 12_400), ("Pilot 2020", "Closed Lost", "2020-02-14", 3_900),
            ("Expansion 2021", "Closed Won", "2021-11-30", 27_500))  # fmt: skip
    return [{"Name": name, "StageName": stage, "CloseDate": day, "Amount": amount} for name, stage, day, amount in rows]
