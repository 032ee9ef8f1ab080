"""Metadata components of the org: how each type is made, changed, removed, read and listed.

A component is its element tree as plain values (see `metadata.parsed`). Names and meaning of the elements:
Metadata API guide and WSDL v63. What a type cannot do here is refused with a text that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rehouse.sandbox.salesforce.fieldspec import flag
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.permissionsets import PermissionSets
from rehouse.sandbox.salesforce.schema import ACTIVITY
from rehouse.sandbox.salesforce.schema_model import RecordTypeInfo, SchemaError, SField, SObject
from rehouse.sandbox.salesforce.state import ServerState
from rehouse.sandbox.salesforce.valuesets import STANDARD_VALUE_SETS

PROCESS_OBJECTS = ("Opportunity", "Lead", "Case")


class Component(Protocol):
    """One type of component in one org."""

    def create(self, name: str, spec: Mapping[str, Any]) -> None: ...

    def update(self, name: str, spec: Mapping[str, Any]) -> None: ...

    def delete(self, name: str) -> None: ...

    def read(self, name: str) -> dict[str, Any] | None: ...

    def list(self) -> list[tuple[str, str]]:
        """Full names with ids."""
        ...


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


def missing(kind: str, name: str) -> SchemaError:
    return SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no {kind} named {name} found")


def refused(action: str, kind: str) -> SchemaError:
    """What this sandbox does not do although a platform may."""
    return SchemaError("UNKNOWN_EXCEPTION", f"{action} of {kind} is not supported by this sandbox")


def split_name(kind: str, name: str) -> tuple[str, str]:
    """`Object.Member`. Errors: INVALID_FULL_NAME without a dot."""
    owner, dot, member = name.partition(".")
    if not dot or not member:
        raise SchemaError("INVALID_FULL_NAME", f"{kind} full name must be of the form Object.Name: {name}")
    return owner, member


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


class RecordTypes:
    """RecordType, `Object.DeveloperName`. Record types cannot be deleted by API, only made inactive."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = split_name("RecordType", name)
        if self._find(owner, member) is not None:
            text = f"There is already a record type named {member} on {owner}."
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", text)
        self._put(owner, member, spec)

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = split_name("RecordType", name)
        if self._find(owner, member) is None:
            raise missing("RecordType", name)
        self._put(owner, member, spec)

    def _put(self, owner: str, member: str, spec: Mapping[str, Any]) -> None:
        if not spec.get("label"):
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Label]")
        picklists = {
            str(one.get("picklist")): [str(value.get("fullName")) for value in one.get("values") or []]
            for one in spec.get("picklistValues") or []
        }
        known = self._find(owner, member)
        self._org.schema.add_record_type(
            owner,
            known.developer_name if known else member,
            str(spec["label"]),
            active=flag(spec.get("active")),
            business_process=spec.get("businessProcess") or None,
            picklists=picklists,
            description=spec.get("description") or None,
            default=known.default if known else False,
        )

    def delete(self, name: str) -> None:
        raise SchemaError("INSUFFICIENT_ACCESS_OR_READONLY", "Cannot delete record type through API")

    def _find(self, owner: str, member: str) -> RecordTypeInfo | None:
        obj = self._org.schema.get(owner)
        return next((r for r in (obj.record_types if obj else ()) if r.developer_name.lower() == member.lower()), None)

    def read(self, name: str) -> dict[str, Any] | None:
        owner, _, member = name.partition(".")
        info = self._find(owner, member)
        if info is None:
            return None
        return {
            "active": info.active,
            "businessProcess": info.business_process,
            "description": info.description,
            "label": info.name,
            "picklistValues": [
                {"picklist": field, "values": [{"fullName": v, "default": False} for v in values]}
                for field, values in info.picklists.items()
            ],
        }

    def list(self) -> list[tuple[str, str]]:
        objects = self._org.schema.objects.values()
        return [(f"{obj.name}.{info.developer_name}", info.id) for obj in objects for info in obj.record_types]


class Processes:
    """BusinessProcess (sales, lead and support processes), `Opportunity.Enterprise`."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = split_name("BusinessProcess", name)
        if (owner, member) in self._org.schema.processes:
            text = f"There is already a business process named {member} on {owner}."
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", text)
        self._put(owner, member, spec)

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        owner, member = split_name("BusinessProcess", name)
        if (owner, member) not in self._org.schema.processes:
            raise missing("BusinessProcess", name)
        self._put(owner, member, spec)

    def _put(self, owner: str, member: str, spec: Mapping[str, Any]) -> None:
        values = [str(one.get("fullName")) for one in spec.get("values") or []]
        if not values:
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [values]")
        active = spec.get("isActive")
        self._org.schema.add_business_process(
            owner,
            member,
            values,
            active=active is None or flag(active),
            description=spec.get("description") or None,
        )

    def delete(self, name: str) -> None:
        raise refused("deletion", "BusinessProcess")

    def read(self, name: str) -> dict[str, Any] | None:
        owner, _, member = name.partition(".")
        values = self._org.schema.processes.get((owner, member))
        if values is None:
            return None
        with self._org.store.reader() as db:
            row = db.execute(
                "SELECT IsActive, Description FROM BusinessProcess WHERE Name = ? AND TableEnumOrId = ?",
                (member, owner),
            ).fetchone()
        active, description = row if row else (1, None)
        shown = [{"fullName": value, "default": False} for value in values]
        return {"description": description, "isActive": bool(active), "values": shown}

    def list(self) -> list[tuple[str, str]]:
        return [
            (
                f"{owner}.{member}",
                self._org.system_find("BusinessProcess", Name=member, TableEnumOrId=owner) or "",
            )
            for owner, member in self._org.schema.processes
        ]


class StandardValues:
    """StandardValueSet: the values of standard picklists, among them the stages of opportunities."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        raise SchemaError("INVALID_TYPE", "StandardValueSet cannot be created, only updated")

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        values: Sequence[Mapping[str, Any]] = spec.get("standardValue") or []
        if not values:
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [standardValue]")
        self._org.schema.set_standard_value_set(name, values)

    def delete(self, name: str) -> None:
        raise SchemaError("INVALID_TYPE", "StandardValueSet cannot be deleted")

    def read(self, name: str) -> dict[str, Any] | None:
        try:
            values = self._org.schema.standard_value_set(name)
        except SchemaError:
            return None
        return {"sorted": False, "standardValue": [_standard_value(name, value) for value in values]}

    def list(self) -> list[tuple[str, str]]:
        return [(name, "") for name in sorted(STANDARD_VALUE_SETS)]


def _standard_value(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "fullName": value["value"],
        "default": flag(value.get("default")),
        "label": value.get("label") or value["value"],
        "isActive": flag(value.get("active")),
    }
    if name == "OpportunityStage":
        shown |= {
            "closed": flag(value.get("closed")),
            "forecastCategory": value.get("forecastCategory") or "Pipeline",
            "probability": int(float(value.get("probability") or 0)),
            "won": flag(value.get("won")),
        }
    elif name in ("CaseStatus", "TaskStatus"):
        shown["closed"] = flag(value.get("closed"))
    elif name == "LeadStatus":
        shown["converted"] = flag(value.get("converted"))
    return shown


class GlobalValues:
    """GlobalValueSet: options that several custom picklists share."""

    def __init__(self, org: Org, state: ServerState) -> None:
        self._org, self._state = org, state

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        if name in self._org.schema.value_sets:
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", f"There is already a global value set named {name}.")
        self._put(name, spec)

    def update(self, name: str, spec: Mapping[str, Any]) -> None:
        if name not in self._org.schema.value_sets:
            raise missing("GlobalValueSet", name)
        self._put(name, spec)

    def _put(self, name: str, spec: Mapping[str, Any]) -> None:
        self._org.schema.set_global_value_set(name, spec.get("customValue") or [])
        self._state.remember(f"GlobalValueSet:{name}", str(spec.get("masterLabel") or name))

    def delete(self, name: str) -> None:
        raise refused("deletion", "GlobalValueSet")

    def read(self, name: str) -> dict[str, Any] | None:
        values = self._org.schema.value_sets.get(name)
        if values is None:
            return None
        shown = [
            {"fullName": v.value, "default": v.default, "label": v.label or v.value, "isActive": v.active}
            for v in values
        ]
        label = self._state.setting(f"GlobalValueSet:{name}", name)
        return {"customValue": shown, "masterLabel": label, "sorted": False}

    def list(self) -> list[tuple[str, str]]:
        return [(name, "") for name in self._org.schema.value_sets]


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
