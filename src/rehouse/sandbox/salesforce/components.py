"""Metadata components of the org: how each type is made, changed, removed, read and listed.

A component is its element tree as plain values (see `metadata.parsed`). Names and meaning of the elements:
Metadata API guide and WSDL v63. What a type cannot do here is refused with a text that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rehouse.sandbox.salesforce.component import Component, missing, refused, split_name
from rehouse.sandbox.salesforce.fieldspec import flag
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.permissionsets import PermissionSets
from rehouse.sandbox.salesforce.pipelines import GlobalValues, Processes, RecordTypes, StandardValues
from rehouse.sandbox.salesforce.schema import ACTIVITY
from rehouse.sandbox.salesforce.schema_model import SchemaError, SField, SObject
from rehouse.sandbox.salesforce.state import ServerState


@dataclass(frozen=True, slots=True)
class Kind:
    """Facts of a component type: where its file lies in a package, and whether it is part of another's."""

    directory: str
    suffix: str
    child: bool = False
    children: tuple[str, ...] = ()

    def file_name(self, full_name: str) -> str:
        stem = full_name.split(".")[0] if self.child else full_name
        return f"{self.directory}/{stem}.{self.suffix}"


KINDS: dict[str, Kind] = {
    "CustomObject": Kind("objects", "object", children=("CustomField", "RecordType", "BusinessProcess")),
    "CustomField": Kind("objects", "object", child=True),
    "RecordType": Kind("objects", "object", child=True),
    "BusinessProcess": Kind("objects", "object", child=True),
    "StandardValueSet": Kind("standardValueSets", "standardValueSet"),
    "GlobalValueSet": Kind("globalValueSets", "globalValueSet"),
    "PermissionSet": Kind("permissionsets", "permissionset"),
    "DuplicateRule": Kind("duplicateRules", "duplicateRule"),
    "Queue": Kind("queues", "queue"),
}


class Components:
    """All component types of an org, as one user changes them."""

    def __init__(self, org: Org, state: ServerState, user_id: str) -> None:
        self._makers: dict[str, Callable[[], Component]] = {
            "CustomObject": lambda: Objects(org),
            "CustomField": lambda: Fields(org, state),
            "RecordType": lambda: RecordTypes(org),
            "BusinessProcess": lambda: Processes(org),
            "StandardValueSet": lambda: StandardValues(org),
            "GlobalValueSet": lambda: GlobalValues(org, state),
            "PermissionSet": lambda: PermissionSets(org, user_id),
            "DuplicateRule": lambda: DuplicateRules(org),
            "Queue": lambda: Queues(org),
        }

    def of(self, kind: str) -> Component:
        return self._makers[kind]()


class Objects:
    """CustomObject. A custom object cannot be removed from this sandbox."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        self._org.schema.add_object({**spec, "fullName": name})

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        if self._org.schema.get(name) is None:
            raise missing("CustomObject", name)

    def delete(self, name: str) -> None:
        raise refused("deletion", "CustomObject")

    def read(self, name: str) -> dict[str, Any] | None:
        obj = self._org.schema.get(name)
        if obj is None:
            return None
        named = obj.name_field
        shown = {"label": obj.label, "pluralLabel": obj.label_plural}
        if not obj.custom or named is None:
            return shown
        kind = "AutoNumber" if named.auto_number else "Text"
        name_field = {"label": named.label, "type": kind, "displayFormat": named.display_format}
        return {**shown, "deploymentStatus": "Deployed", "sharingModel": "ReadWrite", "nameField": name_field}

    def list(self) -> list[tuple[str, str]]:
        return [(obj.name, "") for obj in self._org.schema.objects.values()]


class Fields:
    """CustomField, `Object.Name__c`; fields of activities are `Activity.Name__c`."""

    def __init__(self, org: Org, state: ServerState) -> None:
        self._org, self._state = org, state

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = self._split(name)
        self._org.schema.add_field(owner, {**spec, "fullName": member})

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = self._split(name)
        self._org.schema.update_field(owner, {**spec, "fullName": member})

    def delete(self, name: str) -> None:
        owner, member = self._split(name)
        self._org.schema.delete_field(owner, member)

    def _split(self, name: str) -> tuple[str, str]:
        owner, member = split_name("CustomField", name)
        if owner in ACTIVITY:
            # Code and text are unverified; that Task and Event share their fields through Activity is documented.
            text = f"fields of {owner} are defined on Activity: Activity.{member}"
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", text)
        return owner, member

    def read(self, name: str) -> dict[str, Any] | None:
        owner, _, member = name.partition(".")
        obj = self._org.schema.get(ACTIVITY[0] if owner.lower() == "activity" else owner)
        field = obj.field(member) if obj is not None else None
        if obj is None or field is None or not field.custom:
            return None
        return {"fullName": f"{owner}.{field.name}", **field_spec(self._org, obj, field)}

    def list(self) -> list[tuple[str, str]]:
        found = []
        for obj in self._org.schema.objects.values():
            if obj.name == ACTIVITY[1]:
                continue
            owner = "Activity" if obj.name == ACTIVITY[0] else obj.name
            found += [f"{owner}.{field.name}" for field in obj.fields.values() if field.custom]
        return [(name, self.id_of(name)) for name in found]

    def id_of(self, name: str) -> str:
        """The Tooling id (`00N`) of a field, given out on first use."""
        known = self._state.setting(f"00N:{name}")
        return known or self._state.remember(f"00N:{name}", self._org.platform_id("00N"))


def field_spec(org: Org, obj: SObject, field: SField) -> dict[str, Any]:
    """A custom field as CustomField elements."""
    kind = field.metadata_type
    spec: dict[str, Any] = {
        "label": field.label,
        "type": kind,
        "description": field.description,
        "inlineHelpText": field.inline_help_text,
        "formula": field.formula,
        "trackTrending": False,
    }
    if kind not in ("Checkbox", "MasterDetail"):
        spec["required"] = field.required
    if kind in ("Text", "Number", "Email", "AutoNumber"):
        spec |= {"externalId": field.external_id, "unique": field.unique}
    if field.unique and kind == "Text":
        spec["caseSensitive"] = field.case_sensitive
    if kind in ("Text", "LongTextArea", "Html", "EncryptedText"):
        spec["length"] = field.length
    if kind in ("LongTextArea", "Html", "MultiselectPicklist"):
        spec["visibleLines"] = field.visible_lines
    if kind in ("Number", "Currency", "Percent"):
        spec |= {"precision": field.precision, "scale": field.scale}
    if kind == "Checkbox":
        spec["defaultValue"] = str(bool(field.default_value)).lower()
    if kind == "AutoNumber":
        spec["displayFormat"] = field.display_format
    if field.is_reference:
        spec |= _reference_spec(org, obj, field)
    if kind in ("Picklist", "MultiselectPicklist"):
        values = [
            {"fullName": v.value, "default": v.default, "label": v.label or v.value, "isActive": v.active}
            for v in field.picklist
        ]
        spec["valueSet"] = {
            "restricted": field.restricted,
            "valueSetDefinition": {"sorted": False, "value": values},
        }
    return spec


def _reference_spec(org: Org, obj: SObject, field: SField) -> dict[str, Any]:
    target = org.schema.get(field.reference_to[0])
    child = next((c for c in target.children if (c.child, c.field) == (obj.name, field.name)), None) if target else None
    label = child.relationship_name if child else None
    spec: dict[str, Any] = {"referenceTo": field.reference_to[0]}
    if label:
        spec["relationshipName"] = label.removesuffix("__r")
    if field.metadata_type == "Lookup":
        spec["deleteConstraint"] = (
            "Cascade" if field.cascade_delete else "Restrict" if field.restricted_delete else "SetNull"
        )
    elif field.metadata_type == "MasterDetail":
        spec |= {
            "relationshipOrder": field.relationship_order or 0,
            "reparentableMasterDetail": field.updateable,
            "writeRequiresMasterRead": field.write_requires_master_read,
        }
    return spec


class DuplicateRules:
    """DuplicateRule, `Contact.Rule_Name`: read, and switched on or off. Rules are made by the seed of the store."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        raise refused("creation", "DuplicateRule")

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = split_name("DuplicateRule", name)
        rule = self._org.schema.duplicate_rules.get(member)
        if rule is None or rule.object.lower() != owner.lower():
            raise missing("DuplicateRule", name)
        if "isActive" not in spec:
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [isActive]")
        self._org.schema.set_duplicate_rule_active(member, flag(spec["isActive"]))

    def delete(self, name: str) -> None:
        raise refused("deletion", "DuplicateRule")

    def read(self, name: str) -> dict[str, Any] | None:
        owner, _, member = name.partition(".")
        rule = self._org.schema.duplicate_rules.get(member)
        if rule is None or rule.object.lower() != owner.lower():
            return None
        action = "Block" if rule.block else "Allow"
        match = {
            "matchRuleSObjectType": rule.object,
            "matchingRule": rule.matching_rule or f"{rule.name}_Match",
        }
        return {
            "actionOnInsert": action,
            "actionOnUpdate": action,
            "alertText": rule.alert_text,
            "duplicateRuleMatchRules": [match],
            "isActive": rule.active,
            "masterLabel": rule.label or rule.name.replace("_", " "),
            "operationsOnInsert": [] if rule.block else ["Alert"],
            "operationsOnUpdate": [] if rule.block else ["Alert"],
            "securityOption": "EnforceSharingRules",
            "sortOrder": 1,
        }

    def list(self) -> list[tuple[str, str]]:
        rules = self._org.schema.duplicate_rules.values()
        return [
            (f"{rule.object}.{rule.name}", self._org.system_find("DuplicateRule", DeveloperName=rule.name) or "")
            for rule in rules
        ]


class Queues:
    """Queue: a Group of type Queue with the objects whose records it may own."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def _find(self, name: str) -> str | None:
        return self._org.system_find("Group", DeveloperName=name, Type="Queue")

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        if self._find(name):
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", f"There is already a queue named {name}.")
        label = str(spec.get("name") or name)
        with self._org.transaction():
            group = self._org.system_insert(
                "Group", {"Name": label, "DeveloperName": name, "Type": "Queue", "Email": spec.get("email")}
            )
            self._set_objects(group, spec)

    def _set_objects(self, group: str, spec: Mapping[str, Any]) -> None:
        objects = [str(one.get("sobjectType")) for one in spec.get("queueSobject") or []]
        for name in objects:
            if self._org.schema.get(name) is None:
                raise missing("CustomObject", name)
            if self._org.system_find("QueueSobject", QueueId=group, SobjectType=name) is None:
                self._org.system_insert("QueueSobject", {"QueueId": group, "SobjectType": name})

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        group = self._find(name)
        if group is None:
            raise missing("Queue", name)
        with self._org.transaction():
            self._org.system_update("Group", group, {"Name": str(spec.get("name") or name)})
            self._set_objects(group, spec)

    def delete(self, name: str) -> None:
        group = self._find(name)
        if group is None:
            raise missing("Queue", name)
        with self._org.transaction():
            self._org.store.db.execute("DELETE FROM QueueSobject WHERE QueueId = ?", (group,))
            self._org.store.db.execute('DELETE FROM "Group" WHERE Id = ?', (group,))

    def read(self, name: str) -> dict[str, Any] | None:
        group = self._find(name)
        if group is None:
            return None
        with self._org.store.reader() as db:
            label = db.execute('SELECT Name FROM "Group" WHERE Id = ?', (group,)).fetchone()[0]
            rows = db.execute("SELECT SobjectType FROM QueueSobject WHERE QueueId = ?", (group,)).fetchall()
        return {"doesSendEmailToMembers": False, "name": label, "queueSobject": [{"sobjectType": r[0]} for r in rows]}

    def list(self) -> list[tuple[str, str]]:
        with self._org.store.reader() as db:
            rows = db.execute("SELECT DeveloperName, Id FROM \"Group\" WHERE Type = 'Queue'").fetchall()
        return [(str(name), str(record_id)) for name, record_id in rows]
