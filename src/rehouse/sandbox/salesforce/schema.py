"""The org's schema: what `describe` shows, its customisations, who may see what. Every change is persisted.

Reading: `objects`, `get`, `visible_fields`, `editable`. Changing: the methods named after what metadata calls do.
A change raises `SchemaError(code, message)` with the Metadata API's own code and leaves everything as it was.
`version` grows with each change (compiled rules and caches key on it); `modified` is the time of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Protocol

from rehouse.sandbox.salesforce.customobject import custom_object
from rehouse.sandbox.salesforce.fieldspec import build_field, flag, picklist_values
from rehouse.sandbox.salesforce.ids import ALPHABET, MASTER_RECORD_TYPE
from rehouse.sandbox.salesforce.schema_load import load_objects
from rehouse.sandbox.salesforce.schema_model import (
    ChildRelationship,
    DuplicateRule,
    PicklistValue,
    RecordTypeInfo,
    SchemaError,
    SField,
    SObject,
)
from rehouse.sandbox.salesforce.store import Store
from rehouse.sandbox.salesforce.tables import add_column, create_index, create_table, drop_column
from rehouse.sandbox.salesforce.valuesets import FORECAST_LABELS, MIRRORS, STANDARD_VALUE_SETS

ACTIVITY = ("Task", "Event")
MAX_CUSTOM_FIELDS = {"Enterprise": 500, "Unlimited": 800, "Developer": 500, "Professional": 100}


class SystemRows(Protocol):
    """Writes rows of system objects without the rules that bind API users."""

    def system_insert(self, obj: str, row: Mapping[str, Any]) -> str: ...

    def system_update(self, obj: str, record_id: str, row: Mapping[str, Any]) -> None: ...

    def system_find(self, obj: str, **match: Any) -> str | None: ...

    def system_ids(self, obj: str) -> Mapping[str, str]: ...


class OrgSchema:
    """All objects of one org."""

    def __init__(self, store: Store, rows: SystemRows, now: Callable[[], datetime], edition: str) -> None:
        self._store, self._rows, self._now, self._edition = store, rows, now, edition
        self.features = frozenset(store.meta("features", []))
        self.version = 0
        self.modified = now()
        self.objects: dict[str, SObject] = load_objects(self.features)
        self.processes: dict[tuple[str, str], tuple[str, ...]] = {}
        self.value_sets: dict[str, tuple[PicklistValue, ...]] = {}
        self.duplicate_rules: dict[str, DuplicateRule] = {}
        self._lower: dict[str, str] = {}
        self._readable: dict[str, tuple[set[str], set[str]]] | None = None
        for kind, obj, name, doc in store.kept():
            self._apply(kind, obj, name, doc)
        self._changed()

    # reading ---------------------------------------------------------------------------------------------

    def get(self, name: str) -> SObject | None:
        """The object of that name, compared without case."""
        return self.objects.get(name) or self.objects.get(self._lower.get(name.lower(), ""))

    def prefix_of(self, record_id: str) -> SObject | None:
        """The object that an id belongs to, by its key prefix."""
        return self._prefixes.get(record_id[:3])

    def visible(self, obj: SObject, item: SField, user_id: str) -> bool:
        """Whether the user sees the field: standard and universally required fields always, custom ones by
        a readable FieldPermissions row of an assigned permission set, RecordTypeId once record types exist."""
        if item.name == "RecordTypeId":
            return bool(obj.record_types)
        if not item.custom or not item.permissionable:
            return True
        return f"{obj.name}.{item.name}".lower() in self._permissions(user_id)[0]

    def editable(self, obj: SObject, item: SField, user_id: str) -> bool:
        """Whether the user may write the field as far as field-level security goes."""
        if not item.custom or not item.permissionable:
            return True
        return f"{obj.name}.{item.name}".lower() in self._permissions(user_id)[1]

    def visible_fields(self, obj: SObject, user_id: str) -> list[SField]:
        """The fields that describe shows to this user, in order."""
        return [f for f in obj.fields.values() if self.visible(obj, f, user_id)]

    def permissions_changed(self) -> None:
        """Forget cached permissions: a FieldPermissions or PermissionSetAssignment row was written."""
        self._readable = None
        self.version += 1

    def _permissions(self, user_id: str) -> tuple[set[str], set[str]]:
        cache = self._readable
        if cache is None:
            cache = {}
            with self._store.reader() as db:
                rows = db.execute(
                    "SELECT a.AssigneeId, lower(f.Field), f.PermissionsRead, f.PermissionsEdit FROM FieldPermissions f "
                    "JOIN PermissionSetAssignment a ON a.PermissionSetId = f.ParentId "
                    "WHERE f._del IS NULL AND a._del IS NULL"
                ).fetchall()
            for user, name, read, edit in rows:
                readable, editable = cache.setdefault(user, (set(), set()))
                if read or edit:
                    readable.add(name)
                if edit:
                    editable.add(name)
            self._readable = cache
        return cache.get(user_id, (set(), set()))

    # features and objects --------------------------------------------------------------------------------

    def set_features(self, names: Iterable[str]) -> None:
        """Switch on org features (names as in `data/objects.json`, plus `quotes` and `orders`); one way."""
        merged = sorted(self.features | set(names))
        if frozenset(merged) == self.features:
            return
        self._store.set_meta("features", merged)
        self.features = frozenset(merged)
        fresh = load_objects(self.features)
        with self._store.transaction():
            for name, obj in fresh.items():
                known = self.objects.get(name)
                if known is None:
                    self.objects[name] = obj
                    create_table(self._store.db, obj)
                    continue
                for item in obj.fields.values():
                    if item.name not in known.fields:
                        known.put(item)
                        add_column(self._store.db, name, item)
        self._changed()

    def add_object(self, spec: Mapping[str, Any]) -> SObject:
        """A custom object from its CustomObject elements (`fullName`, `label`, `pluralLabel`, `nameField`)."""
        name = str(spec.get("fullName") or "")
        if not name.endswith("__c"):
            raise SchemaError("INVALID_FULL_NAME", f"The object name must end in __c: {name}")
        if self.get(name):
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", f"There is already an object named {name}")
        number = self._store.take("custom-object")
        doc = {**spec, "fullName": name, "keyPrefix": f"a{(number - 1) // 62:x}{_digit((number - 1) % 62)}"}
        obj = custom_object(doc)
        with self._store.transaction():
            self._store.keep("object", name, "", doc)
            create_table(self._store.db, obj)
            self.objects[name] = obj
        self._changed()
        return obj

    # fields ----------------------------------------------------------------------------------------------

    def add_field(self, obj: str, spec: Mapping[str, Any]) -> SField:
        """A custom field from its CustomField elements; `Activity` defines it on Task and Event."""
        return self._put_field(obj, spec, replacing=False)

    def update_field(self, obj: str, spec: Mapping[str, Any]) -> SField:
        """Redefine a custom field. Its type cannot change while it exists (the platform allows some changes
        by Setup only)."""
        return self._put_field(obj, spec, replacing=True)

    def _put_field(self, obj: str, spec: Mapping[str, Any], *, replacing: bool) -> SField:
        name = str(spec.get("fullName") or "").split(".")[-1]
        owners = [self._need(o) for o in (ACTIVITY if obj.lower() == "activity" else (obj,))]
        built = build_field(owners[0].name, name, spec, self.value_sets)
        for target in built.reference_to:
            if self.get(target) is None:
                raise SchemaError(
                    "INVALID_CROSS_REFERENCE_KEY",
                    f"referenceTo value of '{target}' does not resolve to a valid sObject type",
                )
        for owner in owners:
            self._check_place(owner, obj, built, replacing=replacing)
        with self._store.transaction():
            for owner in owners:
                doc = {**asdict(built), "child_relationship": spec.get("relationshipName") or None}
                self._store.keep("field", owner.name, built.name, doc)
                self._apply("field", owner.name, built.name, doc)
                if not replacing:
                    add_column(self._store.db, owner.name, built)
        self._changed()
        return built

    def _check_place(self, owner: SObject, asked: str, built: SField, *, replacing: bool) -> None:
        known = owner.field(built.name)
        stem = built.name[:-3]
        if replacing:
            if known is None:
                raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {asked}.{built.name} found")
            if known.metadata_type != built.metadata_type:
                raise SchemaError(
                    "FIELD_INTEGRITY_EXCEPTION", f"Cannot change the type of {asked}.{built.name} by this sandbox"
                )
            return
        if known is not None:
            raise SchemaError("DUPLICATE_DEVELOPER_NAME", f"There is already a field named {stem} on {asked}.")
        custom = [f for f in owner.fields.values() if f.custom]
        limit = MAX_CUSTOM_FIELDS.get(self._edition, 500)
        if len(custom) >= limit:
            raise SchemaError(
                "CUSTOM_ENTITY_OR_FIELD_LIMIT", f"{owner.name} has reached its limit of {limit} custom fields"
            )
        if built.external_id and sum(f.external_id for f in custom) >= 25:
            raise SchemaError(
                "CUSTOM_FIELD_INDEX_LIMIT_EXCEEDED", f"{owner.name} has reached its limit of 25 external id fields"
            )

    def delete_field(self, obj: str, name: str) -> None:
        """Remove a custom field and its values."""
        owners = [self._need(o) for o in (ACTIVITY if obj.lower() == "activity" else (obj,))]
        found = []
        for owner in owners:
            item = owner.field(name)
            if item is None or not item.custom:
                raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {obj}.{name} found")
            found.append((owner, item))
        with self._store.transaction():
            for owner, item in found:
                self._store.forget("field", owner.name, item.name)
                owner.drop(item.name)
                for target in item.reference_to:
                    parent = self._need(target)
                    parent.children = tuple(c for c in parent.children if (c.child, c.field) != (owner.name, item.name))
                drop_column(self._store.db, owner.name, item)
                self._store.db.execute(
                    "DELETE FROM FieldPermissions WHERE lower(Field)=lower(?)", (f"{owner.name}.{item.name}",)
                )
        self.permissions_changed()
        self._changed()

    # options ---------------------------------------------------------------------------------------------

    def set_picklist(self, obj: str, name: str, values: Sequence[Any], restricted: bool | None = None) -> None:
        """Replace the options of a picklist (texts, or `value` elements). Values left out are kept inactive."""
        owner = self._need(obj)
        item = owner.field(name)
        if item is None or item.type not in ("picklist", "multipicklist", "combobox"):
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no picklist {obj}.{name} found")
        fresh = picklist_values(values)
        kept = {v.value.lower() for v in fresh}
        old = tuple(replace(v, active=False, default=False) for v in item.picklist if v.value.lower() not in kept)
        strict = item.restricted if restricted is None else restricted
        doc = {"values": [asdict(v) for v in (*fresh, *old)], "restricted": strict}
        self._store.keep("picklist", owner.name, item.name, doc)
        self._apply("picklist", owner.name, item.name, doc)
        self._changed()

    def set_global_value_set(self, name: str, values: Sequence[Any]) -> None:
        """A GlobalValueSet that custom fields name in `valueSetName`."""
        doc = {"values": [asdict(v) for v in picklist_values(values)]}
        self._store.keep("value_set", "", name, doc)
        self._apply("value_set", "", name, doc)
        self._changed()

    def standard_value_set(self, name: str) -> list[dict[str, Any]]:
        """The values of a standard value set with what its mirror object says (`closed`, `won`, …)."""
        fields = STANDARD_VALUE_SETS.get(name)
        item = next((f for o, n in fields or () if (obj := self.get(o)) and (f := obj.field(n))), None)
        if item is None:
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no StandardValueSet named {name} found")
        notes = self._store.meta(f"valueset:{name}", {})
        return [{**asdict(v), **notes.get(v.value, {})} for v in item.picklist]

    def set_standard_value_set(self, name: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Replace a standard value set by `standardValue` elements: `fullName, label, default, closed, won,
        probability, forecastCategory, converted`. Mirror objects such as OpportunityStage follow."""
        fields = STANDARD_VALUE_SETS.get(name)
        if fields is None:
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no StandardValueSet named {name} found")
        with self._store.transaction():
            for owner, item in fields:
                known = self.get(owner)
                if known and known.field(item):
                    self.set_picklist(owner, item, values)
            if name in MIRRORS:
                self._mirror(name, values)
            self._store.set_meta(
                f"valueset:{name}", {str(v.get("fullName") or v.get("label")): dict(v) for v in values}
            )

    def _mirror(self, name: str, values: Sequence[Mapping[str, Any]]) -> None:
        obj = self.objects[name]
        wanted: set[str] = set()
        for order, value in enumerate(values, 1):
            api_name = str(value.get("fullName") or value.get("label"))
            wanted.add(api_name.lower())
            row = {k: v for k, v in mirror_row(value, order).items() if k in obj.fields}
            found = self._rows.system_find(name, ApiName=api_name) or self._rows.system_find(name, MasterLabel=api_name)
            if found:
                self._rows.system_update(name, found, row)
            else:
                self._rows.system_insert(name, row)
        for label, row_id in self._rows.system_ids(name).items():
            if label.lower() not in wanted and "IsActive" in obj.fields:
                self._rows.system_update(name, row_id, {"IsActive": 0})

    # sales processes, record types, duplicate rules --------------------------------------------------------

    def add_business_process(
        self, obj: str, name: str, values: Sequence[str], *, active: bool = True, description: str | None = None
    ) -> str:
        """Make or replace a business process (of Opportunity, Lead, Case): the stages it allows. Its id."""
        owner = self._need(obj)
        picklist = {"Opportunity": "StageName", "Lead": "Status", "Case": "Status"}.get(owner.name)
        item = owner.field(picklist) if picklist else None
        if item is None:
            raise SchemaError("INVALID_TYPE", f"{obj} has no business processes")
        known = {v.value.lower(): v.value for v in item.picklist if v.active}
        for value in values:
            if value.lower() not in known:
                raise SchemaError(
                    "INVALID_CROSS_REFERENCE_KEY", f"Picklist value: {value} in picklist: {item.name} not found"
                )
        with self._store.transaction():
            row = {"Name": name, "TableEnumOrId": owner.name, "IsActive": int(active), "Description": description}
            found = self._rows.system_find("BusinessProcess", Name=name, TableEnumOrId=owner.name)
            if found:
                self._rows.system_update("BusinessProcess", found, row)
            else:
                found = self._rows.system_insert("BusinessProcess", row)
            doc = {"values": [known[v.lower()] for v in values]}
            self._store.keep("process", owner.name, name, doc)
            self._apply("process", owner.name, name, doc)
        self._changed()
        return found

    def add_record_type(
        self,
        obj: str,
        developer_name: str,
        label: str,
        *,
        active: bool = True,
        business_process: str | None = None,
        picklists: Mapping[str, Sequence[str]] | None = None,
        description: str | None = None,
        default: bool = False,
    ) -> RecordTypeInfo:
        """Make or replace a record type. `picklists` narrows options per field; the process narrows the stage."""
        owner = self._need(obj)
        if business_process and (owner.name, business_process) not in self.processes:
            raise SchemaError(
                "INVALID_CROSS_REFERENCE_KEY",
                f"In field: businessProcess - no BusinessProcess named {owner.name}.{business_process} found",
            )
        if owner.name in ("Opportunity", "Lead", "Case") and not business_process:
            raise SchemaError("REQUIRED_FIELD_MISSING", "Required fields are missing: [BusinessProcess]")
        narrowed = {self._picklist(owner, n): tuple(values) for n, values in (picklists or {}).items()}
        with self._store.transaction():
            process = (
                self._rows.system_find("BusinessProcess", Name=business_process, TableEnumOrId=owner.name)
                if business_process
                else None
            )
            row = {
                "Name": label,
                "DeveloperName": developer_name,
                "SobjectType": owner.name,
                "IsActive": int(active),
                "BusinessProcessId": process,
                "Description": description,
            }
            found = self._rows.system_find("RecordType", DeveloperName=developer_name, SobjectType=owner.name)
            if found:
                self._rows.system_update("RecordType", found, row)
            else:
                found = self._rows.system_insert("RecordType", row)
            info = RecordTypeInfo(
                found, developer_name, label, active, default, business_process, description, narrowed
            )
            self._store.keep("record_type", owner.name, developer_name, asdict(info))
            self._apply("record_type", owner.name, developer_name, asdict(info))
            if "RecordTypeId" not in owner.fields:
                self._record_type_field(owner)
        self._changed()
        return info

    def _picklist(self, owner: SObject, name: str) -> str:
        item = owner.field(name)
        if item is None or item.type not in ("picklist", "multipicklist", "combobox"):
            raise SchemaError(
                "INVALID_CROSS_REFERENCE_KEY", f"In field: picklist - no Picklist named {owner.name}.{name} found"
            )
        return item.name

    def _record_type_field(self, owner: SObject) -> None:
        item = SField(
            "RecordTypeId", "Record Type ID", "reference", length=18, nillable=True, createable=True, updateable=True,
            reference_to=("RecordType",), relationship_name="RecordType",
        )  # fmt: skip
        doc = asdict(item)
        self._store.keep("field", owner.name, item.name, doc)
        self._apply("field", owner.name, item.name, doc)
        add_column(self._store.db, owner.name, item)

    def allowed_options(self, obj: SObject, item: SField) -> dict[str, tuple[str, ...]]:
        """Record type id → allowed options of a picklist; the empty key holds the master list. Active only."""
        active = tuple(v.value for v in item.picklist if v.active)
        out = {"": active, MASTER_RECORD_TYPE: active}
        for kind in obj.record_types:
            if item.name in kind.picklists:
                out[kind.id] = kind.picklists[item.name]
            elif kind.business_process and item.name in ("StageName", "Status"):
                out[kind.id] = self.processes.get((obj.name, kind.business_process), active)
        return out

    def set_duplicate_rule(self, rule: DuplicateRule) -> None:
        """Make or replace a duplicate rule, with its row in DuplicateRule."""
        owner = self._need(rule.object)
        for name in rule.fields:
            if owner.field(name) is None:
                raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no field {rule.object}.{name} found")
        with self._store.transaction():
            row = {
                "DeveloperName": rule.name,
                "MasterLabel": rule.label or rule.name.replace("_", " "),
                "SobjectType": owner.name,
                "IsActive": int(rule.active),
            }
            known = {k: v for k, v in row.items() if k in self.objects["DuplicateRule"].fields}
            found = self._rows.system_find("DuplicateRule", DeveloperName=rule.name)
            if found:
                self._rows.system_update("DuplicateRule", found, known)
            else:
                self._rows.system_insert("DuplicateRule", known)
            for name in rule.fields:
                create_index(self._store.db, owner.name, owner.field(name).name)  # type: ignore[union-attr]
            self._store.keep("duplicate_rule", owner.name, rule.name, asdict(rule))
            self.duplicate_rules[rule.name] = rule
        self._changed()

    def set_duplicate_rule_active(self, name: str, active: bool) -> None:
        """Switch a duplicate rule on or off."""
        rule = self.duplicate_rules.get(name)
        if rule is None:
            raise SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no DuplicateRule named {name} found")
        self.set_duplicate_rule(replace(rule, active=active))

    # applying documents ------------------------------------------------------------------------------------

    def _apply(self, kind: str, obj: str, name: str, doc: Mapping[str, Any]) -> None:
        if kind == "object":
            self.objects[obj] = custom_object(doc)
        elif kind == "field":
            self._apply_field(self.objects[obj], doc)
        elif kind == "picklist":
            item = self.objects[obj].fields[name]
            values = tuple(PicklistValue(**v) for v in doc["values"])
            default = next((v.value for v in values if v.default), None)
            self.objects[obj].put(
                replace(
                    item, picklist=values, restricted=doc["restricted"], default_value=default or item.default_value
                )
            )
        elif kind == "value_set":
            self.value_sets[name] = tuple(PicklistValue(**v) for v in doc["values"])
        elif kind == "process":
            self.processes[obj, name] = tuple(doc["values"])
        elif kind == "record_type":
            info = RecordTypeInfo(**{**doc, "picklists": {k: tuple(v) for k, v in doc["picklists"].items()}})
            owner = self.objects[obj]
            others = tuple(r for r in owner.record_types if r.developer_name != name)
            owner.record_types = (*others, info)
        elif kind == "duplicate_rule":
            self.duplicate_rules[name] = DuplicateRule(**{**doc, "fields": tuple(doc["fields"])})

    def _apply_field(self, owner: SObject, doc: Mapping[str, Any]) -> None:
        facts = {k: v for k, v in doc.items() if k != "child_relationship"}
        item = SField(
            **{
                **facts,
                "picklist": tuple(PicklistValue(**v) for v in facts["picklist"]),
                "reference_to": tuple(facts["reference_to"]),
            }
        )
        owner.put(item)
        if item.metadata_type == "MasterDetail":
            # The detail belongs to whoever owns its master.
            owner.drop("OwnerId")
        for target in item.reference_to if item.custom else ():
            parent = self.objects[self._need(target).name]
            label = doc.get("child_relationship")
            relation = ChildRelationship(
                owner.name, item.name, f"{label}__r" if label else None, item.cascade_delete, item.restricted_delete
            )
            others = tuple(c for c in parent.children if (c.child, c.field) != (owner.name, item.name))
            parent.children = (*others, relation)

    def _need(self, name: str) -> SObject:
        found = self.objects.get(name) or next((o for n, o in self.objects.items() if n.lower() == name.lower()), None)
        if found is None:
            raise SchemaError(
                "INVALID_CROSS_REFERENCE_KEY", f"Entity Enumeration or ID: no CustomObject named {name} found"
            )
        return found

    def _changed(self) -> None:
        self.version += 1
        self.modified = self._now()
        self._lower = {n.lower(): n for n in self.objects}
        # A note shares its key prefix with the document it is.
        self._prefixes = {o.key_prefix: o for o in self.objects.values() if o.key_prefix and o.name != "ContentNote"}


def _digit(number: int) -> str:
    return ALPHABET[number]


def mirror_row(value: Mapping[str, Any], order: int) -> dict[str, Any]:
    """The row of a mirror object for one `standardValue`: columns that an object lacks are to be ignored."""
    name = str(value.get("fullName") or value.get("label"))
    category = str(value.get("forecastCategory") or ("Closed" if flag(value.get("won")) else "Pipeline"))
    active = value.get("isActive")
    return {
        "MasterLabel": str(value.get("label") or name),
        "ApiName": name,
        "IsActive": int(active in (None, "") or flag(active)),
        "SortOrder": order,
        "IsClosed": int(flag(value.get("closed"))),
        "IsWon": int(flag(value.get("won"))),
        "IsDefault": int(flag(value.get("default"))),
        "IsConverted": int(flag(value.get("converted"))),
        "IsHighPriority": int(flag(value.get("highPriority"))),
        "ForecastCategory": category,
        "ForecastCategoryName": FORECAST_LABELS.get(category, category),
        "DefaultProbability": float(value.get("probability") or 0),
    }
