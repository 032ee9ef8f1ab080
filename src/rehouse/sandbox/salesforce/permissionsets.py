"""PermissionSet components: field, object and user permissions, and visible record types.

From API version 40 on a save replaces the whole permission set: what the call leaves out is gone
(Metadata API guide, PermissionSet). Field and object permissions are rows that the data API shows as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.sandbox.salesforce.fieldspec import flag
from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.schema_model import SchemaError

_OBJECT_FLAGS = {
    "allowCreate": "PermissionsCreate",
    "allowDelete": "PermissionsDelete",
    "allowEdit": "PermissionsEdit",
    "allowRead": "PermissionsRead",
    "modifyAllRecords": "PermissionsModifyAllRecords",
    "viewAllRecords": "PermissionsViewAllRecords",
}
SWITCHED = ("CreateAuditFields", "UpdateWithInactiveOwner")
"""User permissions that exist only once the org preference of the same name is on (help article 000176484)."""


class PermissionSets:
    """PermissionSet by its name."""

    def __init__(self, org: OrgState, user_id: str) -> None:
        self._org, self._user = org, user_id

    def _find(self, name: str) -> str | None:
        return self._org.system_find("PermissionSet", Name=name)

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        if self._find(name):
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", f"There is already a permission set named {name}.")
        if not spec.get("label"):
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Label]")
        with self._org.transaction():
            row = {"Name": name, "Label": spec["label"], "IsCustom": 1, "Type": "Regular"}
            self._fill(self._org.system_insert("PermissionSet", row), name, spec)
        self._org.schema.permissions_changed()

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        found = self._find(name)
        if found is None:
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no PermissionSet named {name} found")
        with self._org.transaction():
            self._fill(found, name, spec)
        self._org.schema.permissions_changed()

    def delete(self, name: str) -> None:
        found = self._find(name)
        if found is None:
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no PermissionSet named {name} found")
        with self._org.transaction():
            db = self._org.store.db
            assigned = "SELECT count(*) FROM PermissionSetAssignment WHERE PermissionSetId = ? AND _del IS NULL"
            if db.execute(assigned, (found,)).fetchone()[0]:
                # That an assigned set resists deletion is documented behaviour of Setup; the text is unverified.
                text = "You can't delete a permission set that's assigned to users."
                raise SchemaError("DELETE_FAILED", text)
            for table in ("FieldPermissions", "ObjectPermissions"):
                db.execute(f"DELETE FROM {table} WHERE ParentId = ?", (found,))
            db.execute("DELETE FROM PermissionSet WHERE Id = ?", (found,))
            self._org.store.forget("permission_set", "", name)
        self._org.schema.permissions_changed()

    def _fill(self, record_id: str, name: str, spec: Mapping[str, Any]) -> None:
        """Replace everything the set holds. Runs inside a transaction, so a refusal leaves it untouched."""
        org = self._org
        columns = org.schema.objects["PermissionSet"].fields
        granted = {str(p.get("name")) for p in spec.get("userPermissions") or [] if flag(p.get("enabled"))}
        for permission in SWITCHED:
            if permission in granted and not org.switches[permission]:
                # The text is known from public deployment logs; its code is unverified.
                text = f"Unknown user permission: {permission}"
                raise SchemaError("INVALID_CROSS_REFERENCE_KEY", text)
        row: dict[str, Any] = {
            column: int(column.removeprefix("Permissions") in granted)
            for column in columns
            if column.startswith("Permissions")
        }
        row |= {"Label": spec.get("label") or name, "Description": spec.get("description")}
        org.system_update("PermissionSet", record_id, row)
        for table in ("FieldPermissions", "ObjectPermissions"):
            org.store.db.execute(f"DELETE FROM {table} WHERE ParentId = ?", (record_id,))
        for permission in spec.get("fieldPermissions") or []:
            self._field_permission(record_id, permission)
        for permission in spec.get("objectPermissions") or []:
            self._object_permission(record_id, permission)
        visible = [self._record_type(one) for one in spec.get("recordTypeVisibilities") or []]
        extra = {"recordTypeVisibilities": visible, "userPermissions": sorted(granted)}
        org.store.keep("permission_set", "", name, extra)

    def _field_permission(self, parent: str, permission: Mapping[str, Any]) -> None:
        name = str(permission.get("field", ""))
        owner, _, member = name.partition(".")
        obj = self._org.schema.get(owner)
        field = obj.field(member) if obj is not None else None
        if obj is None or field is None:
            text = f"In field: field - no CustomField named {name} found"
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", text)
        if field.custom and not field.permissionable:
            raise SchemaError("FIELD_INTEGRITY_EXCEPTION", f"You cannot deploy to a required field: {name}")
        readable, editable = flag(permission.get("readable")), flag(permission.get("editable"))
        if not readable and not editable:
            return
        self._org.system_insert(
            "FieldPermissions",
            {
                "ParentId": parent,
                "SobjectType": obj.name,
                "Field": f"{obj.name}.{field.name}",
                "PermissionsRead": 1,
                "PermissionsEdit": int(editable),
            },
        )

    def _object_permission(self, parent: str, permission: Mapping[str, Any]) -> None:
        obj = self._org.schema.get(str(permission.get("object", "")))
        if obj is None:
            text = f"In field: field - no CustomObject named {permission.get('object')} found"
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", text)
        row: dict[str, Any] = {"ParentId": parent, "SobjectType": obj.name}
        row |= {column: int(flag(permission.get(name))) for name, column in _OBJECT_FLAGS.items()}
        self._org.system_insert("ObjectPermissions", row)

    def _record_type(self, visibility: Mapping[str, Any]) -> dict[str, Any]:
        name = str(visibility.get("recordType", ""))
        owner, _, member = name.partition(".")
        obj = self._org.schema.get(owner)
        if obj is None or not any(r.developer_name == member for r in obj.record_types):
            text = f"In field: recordType - no RecordType named {name} found"
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", text)
        return {"recordType": name, "visible": flag(visibility.get("visible"))}

    def read(self, name: str) -> dict[str, Any] | None:
        record_id = self._find(name)
        if record_id is None:
            return None
        with self._org.store.reader() as db:
            label, description = db.execute(
                "SELECT Label, Description FROM PermissionSet WHERE Id = ?", (record_id,)
            ).fetchone()
            fields = db.execute(
                "SELECT Field, PermissionsRead, PermissionsEdit FROM FieldPermissions "
                "WHERE ParentId = ? AND _del IS NULL ORDER BY Field",
                (record_id,),
            ).fetchall()
            names = ", ".join(_OBJECT_FLAGS.values())
            objects = db.execute(
                f"SELECT SobjectType, {names} FROM ObjectPermissions "
                "WHERE ParentId = ? AND _del IS NULL ORDER BY SobjectType",
                (record_id,),
            ).fetchall()
        extra = self._extra(name)
        return {
            "description": description,
            "fieldPermissions": [
                {"editable": bool(edit), "field": field, "readable": bool(read)} for field, read, edit in fields
            ],
            "hasActivationRequired": False,
            "label": label,
            "objectPermissions": [_object_spec(row) for row in objects],
            "recordTypeVisibilities": extra.get("recordTypeVisibilities", []),
            "userPermissions": [{"enabled": True, "name": one} for one in extra.get("userPermissions", [])],
        }

    def _extra(self, name: str) -> Mapping[str, Any]:
        kept = self._org.store.kept()
        return next((doc for kind, _, key, doc in kept if kind == "permission_set" and key == name), {})

    def list(self) -> list[tuple[str, str]]:
        with self._org.store.reader() as db:
            rows = db.execute(
                "SELECT Name, Id FROM PermissionSet WHERE _del IS NULL AND NOT IsOwnedByProfile"
            ).fetchall()
        return [(str(name), str(record_id)) for name, record_id in rows]


def _object_spec(row: Sequence[Any]) -> dict[str, Any]:
    flags = {name: bool(value) for name, value in zip(_OBJECT_FLAGS, row[1:], strict=True)}
    return {"object": row[0], **flags}
