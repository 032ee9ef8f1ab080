"""The right to use what was created: one permission set, assigned to the user who migrates.

Source: Metadata API Developer Guide "PermissionSet" (a save replaces the whole set since API version 40), Object
Reference "PermissionSetAssignment".
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from rehouse.connectors.salesforce import soap
from rehouse.connectors.salesforce.read import Reader
from rehouse.connectors.salesforce.session import Session
from rehouse.connectors.salesforce.soap import Metadata
from rehouse.errors import UserError

SET_NAME = "Rehouse_Migration"
SET_LABEL = "Rehouse Migration"


class Permissions:
    """The permission set of one org's migration user."""

    def __init__(self, session: Session, metadata: Metadata, reader: Reader) -> None:
        self._session, self._metadata, self._reader = session, metadata, reader

    def grant(self, fields: Sequence[str], record_types: Sequence[str]) -> None:
        """Make fields (`Object.Field`) readable and editable, and record types visible. Keeps what is granted."""
        if not fields and not record_types:
            return
        current = self._metadata.read("PermissionSet", [SET_NAME]).get(SET_NAME)
        held = soap.parts(current) if current is not None else {}
        if current is None or _lacks(held, fields, record_types):
            self._save(held, fields, record_types)
        self._assign()

    def refresh(self) -> bool:
        """Log in anew, so that the session gets its new permissions; False with a bare token."""
        if not self._session.can_renew:
            return False
        self._session.renew()
        return True

    def _save(self, held: dict[str, list[ET.Element]], fields: Sequence[str], record_types: Sequence[str]) -> None:
        known_fields = _names(held, "fieldPermissions", "field")
        known_types = _names(held, "recordTypeVisibilities", "recordType")
        spec = {
            "fullName": SET_NAME,
            "label": SET_LABEL,
            **held,
            "fieldPermissions": [
                *held.get("fieldPermissions", ()),
                *({"editable": True, "field": name, "readable": True} for name in fields if name not in known_fields),
            ],
            "recordTypeVisibilities": [
                *held.get("recordTypeVisibilities", ()),
                *({"recordType": name, "visible": True} for name in record_types if name not in known_types),
            ],
        }
        saved = self._metadata.upsert("PermissionSet", [spec])[0]
        if not saved.ok:
            raise UserError(
                f"the permission set {SET_NAME} was refused: {saved.code} {saved.message}",
                hint="the migration user needs 'Manage Profiles and Permission Sets' and 'Modify Metadata'",
            )

    def _assign(self) -> None:
        user = str(self._session.get("/services/oauth2/userinfo")["user_id"])
        found = next(self._reader.rows(f"SELECT Id FROM PermissionSet WHERE Name = '{SET_NAME}'"), None)
        if found is None:
            raise UserError(f"the org does not show the permission set {SET_NAME}", hint="check the permissions")
        set_id = found["Id"]
        where = f"AssigneeId = '{user}' AND PermissionSetId = '{set_id}'"
        if next(self._reader.rows(f"SELECT Id FROM PermissionSetAssignment WHERE {where}"), None) is None:
            # A second assignment of the same pair would be refused, so this may be sent again.
            self._session.write(
                "POST",
                "/sobjects/PermissionSetAssignment",
                {"AssigneeId": user, "PermissionSetId": set_id},
                repeatable=True,
            )


def _names(held: dict[str, list[ET.Element]], kind: str, name: str) -> set[str]:
    return {soap.text(one, name) for one in held.get(kind, ())}


def _lacks(held: dict[str, list[ET.Element]], fields: Sequence[str], record_types: Sequence[str]) -> bool:
    return not (
        set(fields) <= _names(held, "fieldPermissions", "field")
        and set(record_types) <= _names(held, "recordTypeVisibilities", "recordType")
    )
