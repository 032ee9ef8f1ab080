"""Components that make a pipeline and its options: record types, business processes, value sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.sandbox.salesforce.component import missing, refused, split_name
from rehouse.sandbox.salesforce.fieldspec import flag
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.schema_model import RecordTypeInfo, SchemaError
from rehouse.sandbox.salesforce.state import ServerState
from rehouse.sandbox.salesforce.valuesets import STANDARD_VALUE_SETS


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
