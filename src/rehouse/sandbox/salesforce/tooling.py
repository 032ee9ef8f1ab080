"""The part of the Tooling API that an inventory needs: its object list and its queries.

`tooling/query` serves CustomField and, with the rules of the data API, EntityDefinition, FieldDefinition and
every other object of the org. The types of automation (ApexTrigger, ValidationRule, Flow …) exist and hold no
rows: this sandbox runs no automation. Field names: Tooling API reference, by type; the lists are cut to what
inventories ask for.
"""

from __future__ import annotations

from typing import Any

from rehouse.sandbox.salesforce import describe, query, wire
from rehouse.sandbox.salesforce.api import Answer, Call, Table
from rehouse.sandbox.salesforce.components import Fields
from rehouse.sandbox.salesforce.definitions import refresh
from rehouse.sandbox.salesforce.org import Org
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.tables import create_table

_STAMPS = "CreatedDate:datetime CreatedById:reference LastModifiedDate:datetime LastModifiedById:reference"
_FIELDS = {
    "CustomField": """DeveloperName:string TableEnumOrId:picklist EntityDefinitionId:string NamespacePrefix:string
        InlineHelpText:string Description:textarea Length:int Precision:int Scale:int RelationshipLabel:string""",
    "ApexClass": "Name:string NamespacePrefix:string ApiVersion:double Status:picklist IsValid:boolean",
    "ApexTrigger": """Name:string NamespacePrefix:string TableEnumOrId:picklist ApiVersion:double Status:picklist
        IsValid:boolean UsageBeforeInsert:boolean UsageAfterInsert:boolean UsageBeforeUpdate:boolean
        UsageAfterUpdate:boolean UsageBeforeDelete:boolean UsageAfterDelete:boolean UsageAfterUndelete:boolean
        EntityDefinitionId:string""",
    "ValidationRule": """ValidationName:string NamespacePrefix:string EntityDefinitionId:string Active:boolean
        Description:textarea ErrorDisplayField:string ErrorMessage:textarea""",
    "WorkflowRule": "Name:string NamespacePrefix:string TableEnumOrId:picklist",
    "Flow": """DefinitionId:reference MasterLabel:string Status:picklist ProcessType:picklist VersionNumber:int
        Description:textarea""",
    "FlowDefinition": """DeveloperName:string MasterLabel:string NamespacePrefix:string ActiveVersionId:reference
        LatestVersionId:reference Description:textarea""",
}
_PREFIXES = {
    "CustomField": "00N",
    "ApexClass": "01p",
    "ApexTrigger": "01q",
    "ValidationRule": "03d",
    "WorkflowRule": "01Q",
    "Flow": "301",
    "FlowDefinition": "300",
}


def _object(name: str) -> SObject:
    obj = SObject(name, name, name, _PREFIXES[name])
    obj.put(SField("Id", "Id", "id", length=18, id_lookup=True, defaulted_on_create=True))
    for item in f"{_FIELDS[name]} {_STAMPS}".split():
        field, _, kind = item.partition(":")
        length = {"string": 255, "picklist": 255, "textarea": 4000}.get(kind, 0)
        obj.put(SField(field, field, kind, length=length, nillable=True))
    return obj


OBJECTS = {name: _object(name) for name in _FIELDS}


class _Schema:
    """The org's schema with the tooling types on top."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.objects = {**org.schema.objects, **OBJECTS}
        self._lower = {name.lower(): obj for name, obj in self.objects.items()}
        self._prefixes = {obj.key_prefix: obj for obj in OBJECTS.values()}

    def get(self, name: str) -> SObject | None:
        return self._lower.get(name.lower())

    def prefix_of(self, record_id: str) -> SObject | None:
        return self._prefixes.get(record_id[:3]) or self._org.schema.prefix_of(record_id)

    def visible(self, obj: SObject, item: SField, user_id: str) -> bool:
        return obj.name in OBJECTS or self._org.schema.visible(obj, item, user_id)

    def visible_fields(self, obj: SObject, user_id: str) -> list[SField]:
        return [item for item in obj.fields.values() if self.visible(obj, item, user_id)]


class _View:
    """An org as queries of the Tooling API see it."""

    def __init__(self, org: Org) -> None:
        self.schema, self.store, self.clock = _Schema(org), org.store, org.clock


def operations(table: Table) -> None:
    table.add("GET", "/tooling", resources)
    table.add("GET", "/tooling/query", run_query)
    table.add("GET", "/tooling/queryAll", run_query)
    table.add("GET", "/tooling/sobjects", list_objects)
    table.add("GET", "/tooling/sobjects/{object}/describe", describe_object)


def resources(call: Call) -> Answer:
    """`GET tooling`."""
    return Answer(200, {name: f"{call.base}/tooling/{name}" for name in ("query", "queryAll", "sobjects")})


def run_query(call: Call) -> Answer:
    """`GET tooling/query/?q=`: all records in one page (at most 2,000 as for any page)."""
    soql = call.query.get("q", "")
    if not soql.strip():
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    org = call.site.org
    refresh(org, soql)
    _fill(call)
    run = query.run(_View(org), soql, include_deleted=False, user_id=call.user_id)
    records = [_addressed(record, call.version) for record in run.records(0, 2000)]
    body: dict[str, Any] = {"size": len(records), "totalSize": run.total_size, "done": True, "queryLocator": None}
    return Answer(200, {**body, "entityTypeName": None, "records": records})


def _addressed(record: dict[str, Any], version: int) -> dict[str, Any]:
    shown: dict[str, Any] = wire.with_version(record, version)
    about = shown.get("attributes") or {}
    if about.get("type") in OBJECTS and "url" in about:
        about["url"] = about["url"].replace("/sobjects/", "/tooling/sobjects/", 1)
    return shown


def _fill(call: Call) -> None:
    """Bring the table of custom fields up to date with the schema."""
    org, state = call.site.org, call.site.state
    stamp = f"{org.schema.modified.isoformat()} {org.schema.version}"
    with org.transaction():
        if org.store.meta("tooling rows of schema") == stamp:
            return
        db = org.store.db
        for obj in OBJECTS.values():
            create_table(db, obj)
        db.execute("DELETE FROM CustomField")
        fields = Fields(org, state)
        columns = (
            "Id, DeveloperName, TableEnumOrId, EntityDefinitionId, InlineHelpText, Description, Length, Precision, "
            "Scale, CreatedDate, CreatedById, LastModifiedDate, LastModifiedById"
        )
        now, by = org.stamp(), org.admin_id
        for name, record_id in fields.list():
            owner, _, member = name.partition(".")
            obj = org.schema.objects["Task" if owner == "Activity" else owner]
            item = obj.fields[member]
            about = (record_id, member.removesuffix("__c"), owner, owner, item.inline_help_text, item.description)
            row = (*about, item.length, item.precision, item.scale, now, by, now, by)
            db.execute(f"INSERT INTO CustomField ({columns}) VALUES ({', '.join('?' * len(row))})", row)
        org.store.set_meta("tooling rows of schema", stamp)


def list_objects(call: Call) -> Answer:
    """`GET tooling/sobjects`."""
    entries = [describe.global_body(obj, f"{call.version}.0") for obj in OBJECTS.values()]
    return Answer(200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries})


def describe_object(call: Call) -> Answer:
    """`GET tooling/sobjects/X/describe`."""
    obj = _View(call.site.org).schema.get(call.params["object"])
    if obj is None:
        raise wire.not_found()
    return Answer(200, describe.object_body(obj, list(obj.fields.values()), f"{call.version}.0"))
