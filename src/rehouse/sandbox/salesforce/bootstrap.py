"""The rows of a fresh org: organization, licence, profiles, administrator, price book, statuses."""

from __future__ import annotations

from typing import Any

from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.schema import mirror_row
from rehouse.sandbox.salesforce.schema_load import seed_rows
from rehouse.sandbox.salesforce.valuesets import FORECAST_LABELS, MIRRORS

ADMIN_USERNAME = "admin@rehouse-sandbox.example"
LOCALE = {
    "TimeZoneSidKey": "GMT",
    "LocaleSidKey": "en_US",
    "EmailEncodingKey": "UTF-8",
    "LanguageLocaleKey": "en_US",
}


def create(org: OrgState) -> None:
    """Fill a new store. One transaction: a process killed here leaves nothing behind."""
    with org.store.transaction():
        org.store.set_meta("instance", org.instance)
        org.make_tables()
        license_id = org.system_insert(
            "UserLicense",
            {"Name": "Salesforce", "MasterLabel": "Salesforce", "LicenseDefinitionKey": "SFDC", "Status": "Active",
             "TotalLicenses": 100, "UsedLicenses": 1},
        )  # fmt: skip
        profiles = {row["Name"]: _profile(org, row["Name"], license_id) for row in seed_rows("Profile")}
        sets = {name: _profile_set(org, name, profile, license_id) for name, profile in profiles.items()}
        _organization(org)
        add_user(org, "Admin", "User", ADMIN_USERNAME, profiles["System Administrator"], sets["System Administrator"])
        org.store.set_meta("profile_sets", {profiles[name]: made for name, made in sets.items()})
        _pricebook(org)
        for name in MIRRORS:
            _statuses(org, name)
        org.store.set_meta("org", {"edition": org.edition, "name": org.name})


_ADMIN_RIGHTS = ("ModifyAllData", "ViewAllData", "ApiEnabled", "ModifyMetadata", "ManageUsers", "CustomizeApplication")


def _profile(org: OrgState, name: str, license_id: str) -> str:
    rights = {f"Permissions{word}": 1 for word in _ADMIN_RIGHTS} if name == "System Administrator" else {}
    return org.system_insert("Profile", {"Name": name, "UserLicenseId": license_id, "UserType": "Standard", **rights})


def _profile_set(org: OrgState, name: str, profile: str, license_id: str) -> str:
    """Every profile owns a permission set, to which its users are assigned (Object Reference, PermissionSet)."""
    return org.system_insert(
        "PermissionSet",
        {"Name": "X" + name.replace(" ", "_").replace("-", "_"), "Label": name, "ProfileId": profile,
         "IsOwnedByProfile": 1, "Type": "Profile", "LicenseId": license_id},
    )  # fmt: skip


def _organization(org: OrgState) -> None:
    org.system_insert(
        "Organization",
        {"Id": org.org_id, "Name": org.name, "OrganizationType": f"{org.edition} Edition", "IsSandbox": 1,
         "InstanceName": f"{org.instance}0", "DefaultLocaleSidKey": "en_US", "TimeZoneSidKey": "GMT",
         "LanguageLocaleKey": "en_US", "FiscalYearStartMonth": 1, "UiSkin": "Theme3", "Country": "US"},
    )  # fmt: skip


def add_user(
    org: OrgState,
    first: str,
    last: str,
    username: str,
    profile: str,
    permission_set: str | None = None,
    **more: Any,
) -> str:
    """A user as Setup makes one, without mails or licences; assigned to the profile's permission set. The id."""
    email = more.pop("Email", username)
    alias = (first[:1] + last)[:8].lower()
    row = {"FirstName": first or None, "LastName": last, "Name": f"{first} {last}".strip(), "Username": username,
           "Email": email, "Alias": alias, "CommunityNickname": username.split("@")[0][:40], "IsActive": 1,
           "ProfileId": profile, "UserType": "Standard", "DigestFrequency": "D",
           "DefaultGroupNotificationFrequency": "N", **LOCALE, **more}  # fmt: skip
    user_id = org.system_insert("User", row)
    wanted = permission_set or org.store.meta("profile_sets", {}).get(profile)
    if wanted:
        org.system_insert("PermissionSetAssignment", {"PermissionSetId": wanted, "AssigneeId": user_id, "IsActive": 1})
    org.schema.permissions_changed()
    return user_id


def _pricebook(org: OrgState) -> None:
    for row in seed_rows("Pricebook2"):
        org.system_insert("Pricebook2", {k: int(v) if isinstance(v, bool) else v for k, v in row.items()})


def _statuses(org: OrgState, name: str) -> None:
    """The mirror rows of a status list, and what `standard_value_set` tells about them."""
    forecast = {label: key for key, label in FORECAST_LABELS.items()}
    rows = seed_rows(name) or [
        {"MasterLabel": v.value, "IsDefault": v.default} for v in org.schema.objects["Partner"].fields["Role"].picklist
    ]
    fields, notes = org.schema.objects[name].fields, {}
    for order, row in enumerate(rows, 1):
        value = {
            "fullName": row["MasterLabel"],
            "label": row["MasterLabel"],
            "default": bool(row.get("IsDefault")),
            "closed": bool(row.get("IsClosed")),
            "won": bool(row.get("IsWon")),
            "converted": bool(row.get("IsConverted")),
            "highPriority": bool(row.get("IsHighPriority")),
            "probability": row.get("DefaultProbability", 0),
            "forecastCategory": forecast.get(row.get("ForecastCategoryName", ""), ""),
        }
        extra = {"StatusCode": row["StatusCode"]} if "StatusCode" in row else {}
        made = {**mirror_row(value, order), **extra}
        org.system_insert(name, {k: v for k, v in made.items() if k in fields})
        notes[row["MasterLabel"]] = value
    org.store.set_meta(f"valueset:{name}", notes)
