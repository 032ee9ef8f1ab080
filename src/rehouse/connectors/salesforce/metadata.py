"""Creating schema: fields, stages, sales processes, record types, and the right to use them.

Source: Metadata API Developer Guide. Everything is looked up first and verified by a new describe afterwards, so
doing it twice changes nothing. Nothing that exists is ever removed: value sets and permission sets are saved
whole by the platform, so what they hold is read, kept and added to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from rehouse.connectors.base import NewRecordType, SchemaChange, SchemaOutcome
from rehouse.connectors.salesforce import soap
from rehouse.connectors.salesforce.catalog import Describes
from rehouse.connectors.salesforce.fieldspec import component, conflict
from rehouse.connectors.salesforce.permissions import Permissions
from rehouse.connectors.salesforce.soap import Metadata, Saved
from rehouse.errors import FatalError, UserError
from rehouse.events import Progress, Sink
from rehouse.model import Field, Kind

ACTIVITY = ("Task", "Event")
"""The objects that get a field which is defined on `Activity`."""
STAGE_SETS = {"Opportunity": "OpportunityStage"}
"""The standard value set that holds the stages of an object. Only opportunities have probabilities."""
EXISTS = "DUPLICATE_DEVELOPER_NAME"
CREATED, EXISTED, REFUSED = "created", "existed", "refused"


class SchemaMaker:
    """Creates schema in one org."""

    def __init__(self, metadata: Metadata, describes: Describes, permissions: Permissions, sink: Sink) -> None:
        self._metadata, self._describes, self._permissions = metadata, describes, permissions
        self._sink = sink

    def missing(self, change: SchemaChange) -> SchemaChange:
        """The part of a change that the org does not have, or has in a form that cannot serve."""
        self._describes.forget()
        fields = {
            name: tuple(field for field in wanted if self._lacks(name, field)) for name, wanted in change.fields.items()
        }
        return SchemaChange(
            fields={name: wanted for name, wanted in fields.items() if wanted},
            record_types=tuple(one for one in change.record_types if self._lacks_type(one)),
        )

    def create(self, change: SchemaChange) -> list[SchemaOutcome]:
        """Create what is missing and grant it to the migration user. Errors: `FatalError` if it stays invisible."""
        missing = self.missing(change)
        outcomes = list(self._existing(change, missing))
        outcomes += self._fields(missing.fields)
        for one in missing.record_types:
            outcomes += self._record_type(one, missing)
        usable = {one.name for one in outcomes if one.outcome != REFUSED}
        self._permissions.grant(_fields_to_grant(change, usable), _types_to_grant(change, usable))
        self._describes.forget()
        self._verify(change, usable)
        return outcomes

    def record_type_ids(self, objects: Sequence[str]) -> dict[tuple[str, str], str]:
        """(object, record type name) → id, of the objects that the org has."""
        return {
            (name, one.name): one.id
            for name in dict.fromkeys(objects)
            if (obj := self._describes.find(name)) is not None
            for one in obj.record_types
        }

    def _lacks(self, object_name: str, wanted: Field) -> bool:
        for name in places(object_name):
            existing = self._describes.get(name).field(wanted.name)
            if existing is None or conflict(wanted, existing):
                return True
        return False

    def _lacks_type(self, wanted: NewRecordType) -> bool:
        obj = self._describes.get(wanted.object)
        if not any(one.name == wanted.name for one in obj.record_types):
            return True
        return bool(wanted.stages) and bool(self._lacking_stages(wanted))

    def _lacking_stages(self, wanted: NewRecordType) -> list[str]:
        process = self._metadata.read("BusinessProcess", [_full(wanted)]).get(_full(wanted))
        known = _process_values(process)
        return [stage.value for stage in wanted.stages if stage.value not in known]

    def _existing(self, change: SchemaChange, missing: SchemaChange) -> Iterator[SchemaOutcome]:
        for name, wanted in change.fields.items():
            lacking = {field.name for field in missing.fields.get(name, ())}
            for field in wanted:
                if field.name not in lacking:
                    yield SchemaOutcome("field", f"{name}.{field.name}", EXISTED)
        for one in change.record_types:
            if one not in missing.record_types:
                yield SchemaOutcome("record type", _full(one), EXISTED)

    def _fields(self, fields: Mapping[str, tuple[Field, ...]]) -> list[SchemaOutcome]:
        outcomes: list[SchemaOutcome] = []
        specs: list[dict[str, Any]] = []
        for name, wanted in fields.items():
            for field in wanted:
                reason = self._conflict(name, field)
                if reason:
                    outcomes.append(SchemaOutcome("field", f"{name}.{field.name}", REFUSED, reason))
                else:
                    specs.append(component(name, field))
        saved: list[Saved] = []
        for start in range(0, len(specs), 10):
            saved += self._metadata.create("CustomField", specs[start : start + 10])
            self._sink(Progress("schema", "CustomField", len(saved), len(specs)))
        return outcomes + [_outcome("field", one) for one in saved]

    def _conflict(self, object_name: str, wanted: Field) -> str:
        for name in places(object_name):
            existing = self._describes.get(name).field(wanted.name)
            reason = conflict(wanted, existing) if existing is not None else ""
            if reason:
                return reason
        return ""

    def _record_type(self, wanted: NewRecordType, change: SchemaChange) -> Iterator[SchemaOutcome]:
        spec: dict[str, Any] = {"fullName": _full(wanted), "active": True, "label": wanted.label}
        if wanted.stages:
            refused = self._stages(wanted) or self._process(wanted)
            if refused is not None:
                yield refused
                return
            spec["businessProcess"] = wanted.name
        # A record type offers only the options it names; without this a restricted new field would refuse all.
        spec["picklistValues"] = [
            {
                "picklist": field.name,
                "values": [{"fullName": one.value, "default": False} for one in field.options],
            }
            for field in change.fields.get(wanted.object, ())
            if field.kind in (Kind.OPTION, Kind.MULTI_OPTION)
        ]
        if any(one.name == wanted.name for one in self._describes.get(wanted.object).record_types):
            yield SchemaOutcome("record type", _full(wanted), CREATED, "stages were added to its process")
            return
        yield _outcome("record type", self._metadata.create("RecordType", [spec])[0])

    def _stages(self, wanted: NewRecordType) -> SchemaOutcome | None:
        """Add the stages to the object's value set; a refusal, or None when they are there."""
        name = STAGE_SETS.get(wanted.object)
        if name is None:
            raise UserError(
                f"{wanted.object} has no stages that this connector can create",
                hint=f"stages are created for {', '.join(STAGE_SETS)}",
            )
        current = self._metadata.read("StandardValueSet", [name]).get(name)
        if current is None:
            raise FatalError(f"the org does not show its value set {name}", hint="check the user's permissions")
        held = soap.parts(current)
        values: list[ET.Element] = held.pop("standardValue", [])
        known = {soap.text(one, "fullName") for one in values}
        new = [
            {
                "fullName": stage.value,
                "default": False,
                "label": stage.value,
                "closed": stage.closed,
                "forecastCategory": stage.category,
                "probability": stage.probability,
                "won": stage.won,
            }
            for stage in wanted.stages
            if stage.value not in known
        ]
        if not new:
            return None
        saved = self._metadata.update("StandardValueSet", [{**held, "standardValue": [*values, *new]}])[0]
        return None if saved.ok else _outcome("value set", saved)

    def _process(self, wanted: NewRecordType) -> SchemaOutcome | None:
        """Make the sales process, or add to it; a refusal, or None when it is there."""
        current = self._metadata.read("BusinessProcess", [_full(wanted)]).get(_full(wanted))
        known = _process_values(current)
        held: dict[str, Any] = {"fullName": _full(wanted), "isActive": True}
        if current is not None:
            held = dict(soap.parts(current))
        new = [
            {"fullName": stage.value, "default": not known and n == 0}
            for n, stage in enumerate(wanted.stages)
            if stage.value not in known
        ]
        values = [*(held.get("values") or ()), *new]
        saved = self._metadata.upsert("BusinessProcess", [{**held, "values": values}])[0]
        return None if saved.ok else _outcome("sales process", saved)

    def _verify(self, change: SchemaChange, usable: set[str]) -> None:
        lacking = self._invisible(change, usable)
        if lacking and self._permissions.refresh():
            self._describes.forget()
            lacking = self._invisible(change, usable)
        if lacking:
            raise FatalError(
                f"{len(lacking)} created field(s) or record type(s) cannot be seen by the migration user, "
                f"for example {lacking[0]}",
                hint="check the permission set Rehouse_Migration and its assignment; a new login may be needed",
            )

    def _invisible(self, change: SchemaChange, usable: set[str]) -> list[str]:
        fields = [
            f"{place}.{field.name}"
            for name, wanted in change.fields.items()
            for field in wanted
            if f"{name}.{field.name}" in usable
            for place in places(name)
            if self._describes.get(place).field(field.name) is None
        ]
        types = [
            _full(one)
            for one in change.record_types
            if _full(one) in usable
            and not any(known.name == one.name for known in self._describes.get(one.object).record_types)
        ]
        return fields + types


def places(object_name: str) -> tuple[str, ...]:
    """The objects on which a field shows: those of activities are defined on `Activity`."""
    return ACTIVITY if object_name == "Activity" else (object_name,)


def _full(one: NewRecordType) -> str:
    return f"{one.object}.{one.name}"


def _process_values(process: ET.Element | None) -> set[str]:
    """The stages of a process. Full names may come back URL-encoded, so that `/` reads `%2F`."""
    if process is None:
        return set()
    return {unquote(soap.text(one, "fullName")) for one in soap.children(process, "values")}


def _outcome(kind: str, saved: Saved) -> SchemaOutcome:
    if saved.ok:
        return SchemaOutcome(kind, saved.name, CREATED)
    if saved.code == EXISTS:
        # It was there but invisible, as after a crash between creating and granting it.
        return SchemaOutcome(kind, saved.name, EXISTED, saved.message)
    return SchemaOutcome(kind, saved.name, REFUSED, f"{saved.code}: {saved.message}")


def _fields_to_grant(change: SchemaChange, usable: set[str]) -> list[str]:
    """Fields that take permissions: those which are always required are visible to everybody anyway."""
    return [
        f"{place}.{field.name}"
        for name, wanted in change.fields.items()
        for field in wanted
        if f"{name}.{field.name}" in usable and not field.required
        for place in places(name)
    ]


def _types_to_grant(change: SchemaChange, usable: set[str]) -> list[str]:
    return [_full(one) for one in change.record_types if _full(one) in usable]
