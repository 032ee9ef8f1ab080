"""Metadata API over SOAP: create, update, upsert, delete, read, list and describe components.

Facts: fact sheet section 4.1 and 4.2; names and order of the elements from the Metadata WSDL v63. At most ten
components of one type per call; each is saved on its own unless `AllOrNoneHeader` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.auth import session_user
from rehouse.sandbox.salesforce.component import Component
from rehouse.sandbox.salesforce.components import KINDS, Components
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.schema_model import SchemaError
from rehouse.sandbox.salesforce.site import Site, blocking, site_of
from rehouse.sandbox.salesforce.soap import Call, children, local, tag, text

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
MAX_COMPONENTS = 10
MAX_LIST_QUERIES = 3
XSI_TYPE = f"{{{wire.XSI}}}type"
XSI_NIL = f"{{{wire.XSI}}}nil"

LISTS = frozenset(
    {
        "duplicateRuleMatchRules",
        "fieldPermissions",
        "objectPermissions",
        "operationsOnInsert",
        "operationsOnUpdate",
        "picklistValues",
        "queueSobject",
        "recordTypeVisibilities",
        "standardValue",
        "customValue",
        "userPermissions",
        "value",
        "values",
        "valueSettings",
    }
)
"""Elements that may repeat: always a list in the parsed form."""

Save = Callable[[Component, str, Mapping[str, Any]], bool | None]


async def endpoint(request: web.Request) -> web.StreamResponse:
    """`POST /services/Soap/m/{v}`, with or without a trailing slash or an org id."""
    try:
        call = Call(await wire.read_bytes(request))
        user_id = session_user(request, call.session_id)
        site_of(request).limits.count_call()
        operation = _OPERATIONS.get(call.operation)
        if operation is None:
            raise ApiError(500, "INVALID_OPERATION", f"No operation available for request {call.operation}")
        body = await blocking(operation, site_of(request), user_id, call)
    except ApiError as refused:
        return wire.soap_fault(refused.code, refused.message, NAMESPACE)
    return wire.soap(f"<{call.operation}Response>{body}</{call.operation}Response>", NAMESPACE)


def parsed(element: ElementTree.Element) -> Any:
    """An element as plain values: text, or a dict of its children; repeatable ones as lists; nil as None."""
    if element.get(XSI_NIL) in ("true", "1"):
        return None
    if not len(element):
        return (element.text or "").strip()
    found: dict[str, Any] = {}
    for one in element:
        name, value = local(one), parsed(one)
        if name in LISTS:
            found.setdefault(name, []).append(value)
        elif value is not None:
            found[name] = value
    return found


def rendered(name: str, value: Any, kind: str = "") -> str:
    """Plain values as elements: `fullName` first, then by name, as the WSDL has them. None is left out."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        order = sorted(value, key=lambda key: (key != "fullName", key))
        inner = "".join(rendered(key, value[key]) for key in order)
        typed = f' xsi:type="{kind}"' if kind else ""
        return f"<{name}{typed}>{inner}</{name}>"
    if isinstance(value, list | tuple):
        return "".join(rendered(name, one) for one in value)
    return tag(name, value)


# --- writing ----------------------------------------------------------------------------------------------


def _saves(site: Site, user_id: str, call: Call, save: Save, *, created: bool = False) -> str:
    """Save each `metadata` element and answer a `result` for each, in order."""
    elements = children(call.element, "metadata")
    kinds = {_kind(one) for one in elements}
    _check_count(len(elements), kinds)
    component = _component(site, user_id, next(iter(kinds)))
    specs = [parsed(one) or {} for one in elements]
    names = [str(spec.get("fullName", "")) for spec in specs]
    return _each(call, component, names, lambda n: save(component, names[n], specs[n]), created=created)


def _each(
    call: Call,
    component: Component,
    names: Sequence[str],
    work: Callable[[int], bool | None],
    *,
    created: bool = False,
) -> str:
    strict = call.header_flag("AllOrNoneHeader", "allOrNone")
    results: list[str] = []
    undo: list[tuple[str, dict[str, Any] | None]] = []
    failed = False
    for n, name in enumerate(names):
        before = component.read(name) if strict else None
        try:
            made = work(n)
        except SchemaError as refused:
            failed = True
            results.append(_failure(name, refused.code, refused.message, created=created))
            continue
        undo.append((name, before))
        shown = tag("created", bool(made)) if created else ""
        results.append(f"<result>{shown}{tag('fullName', name)}{tag('success', True)}</result>")
    if strict and failed:
        _undo(component, undo)
        undone = {name for name, _ in undo}
        rolled = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
        text_of = "Record rolled back because not all records were valid and the request was using AllOrNone header"
        for n, name in enumerate(names):
            if name in undone and "<success>true" in results[n]:
                results[n] = _failure(name, rolled, text_of, created=created)
    return "".join(results)


def _undo(component: Component, done: Sequence[tuple[str, dict[str, Any] | None]]) -> None:
    """Put components back as they were before the call, last one first."""
    for name, before in reversed(done):
        if before is None:
            component.delete(name)
        elif component.read(name) is None:
            component.create(name, before)
        else:
            component.update(name, before)


def _failure(name: str, code: str, message: str, *, created: bool) -> str:
    errors = f"<errors>{tag('message', message)}{tag('statusCode', code)}</errors>"
    shown = tag("created", False) if created else ""
    return f"<result>{shown}{errors}{tag('fullName', name)}{tag('success', False)}</result>"


def _create(site: Site, user_id: str, call: Call) -> str:
    return _saves(site, user_id, call, lambda component, name, spec: component.create(name, spec))


def _update(site: Site, user_id: str, call: Call) -> str:
    return _saves(site, user_id, call, lambda component, name, spec: component.update(name, spec))


def _upsert(site: Site, user_id: str, call: Call) -> str:
    def save(component: Component, name: str, spec: Mapping[str, Any]) -> bool:
        if component.read(name) is None:
            component.create(name, spec)
            return True
        component.update(name, spec)
        return False

    return _saves(site, user_id, call, save, created=True)


def _delete(site: Site, user_id: str, call: Call) -> str:
    names = [(one.text or "").strip() for one in children(call.element, "fullNames")]
    kind = text(call.element, "type")
    _check_count(len(names), {kind})
    component = _component(site, user_id, kind)
    return _each(call, component, names, lambda n: component.delete(names[n]))


# --- reading ----------------------------------------------------------------------------------------------


def _read(site: Site, user_id: str, call: Call) -> str:
    """`readMetadata`: a `records` element for each name, nil where there is no such component."""
    names = [(one.text or "").strip() for one in children(call.element, "fullNames")]
    kind = text(call.element, "type")
    _check_count(len(names), {kind})
    component = _component(site, user_id, kind)
    records = []
    for name in names:
        found = component.read(name)
        if found is None:
            records.append('<records xsi:nil="true"/>')
        else:
            records.append(rendered("records", {"fullName": name, **found}, kind))
    return f"<result>{''.join(records)}</result>"


def _list(site: Site, user_id: str, call: Call) -> str:
    """`listMetadata`: a `result` (FileProperties) for each component of the asked types."""
    queries = children(call.element, "queries")
    if len(queries) > MAX_LIST_QUERIES:
        raise ApiError(500, "LIMIT_EXCEEDED", f"at most {MAX_LIST_QUERIES} queries are allowed in one call")
    by_name = tag("createdByName", "Admin User")
    results = []
    for query in queries:
        kind = text(query, "type")
        if kind not in KINDS:
            # A type of the platform without components here (flows, triggers, layouts …): nothing to list.
            continue
        now = site.org.schema.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, record_id in _component(site, user_id, kind).list():
            results.append(
                "<result>"
                + tag("createdById", site.org.admin_id)
                + by_name
                + tag("createdDate", now)
                + tag("fileName", KINDS[kind].file_name(name))
                + tag("fullName", name)
                + tag("id", record_id)
                + tag("lastModifiedById", site.org.admin_id)
                + tag("lastModifiedByName", "Admin User")
                + tag("lastModifiedDate", now)
                + tag("manageableState", "unmanaged")
                + tag("type", kind)
                + "</result>"
            )
    return "".join(results)


def _describe(site: Site, user_id: str, call: Call) -> str:
    """`describeMetadata`: the types that this sandbox holds."""
    objects = "".join(
        "<metadataObjects>"
        + "".join(tag("childXmlNames", name) for name in kind.children)
        + tag("directoryName", kind.directory)
        + tag("inFolder", False)
        + tag("metaFile", False)
        + tag("suffix", kind.suffix)
        + tag("xmlName", name)
        + "</metadataObjects>"
        for name, kind in sorted(KINDS.items())
        if not kind.child
    )
    flags = tag("organizationNamespace", "") + tag("partialSaveAllowed", True) + tag("testRequired", False)
    return f"<result>{objects}{flags}</result>"


def _kind(element: ElementTree.Element) -> str:
    """The component type: `xsi:type` without its prefix."""
    return element.get(XSI_TYPE, "").rpartition(":")[2]


def _check_count(count: int, kinds: set[str]) -> None:
    if count > MAX_COMPONENTS:
        text_of = f"at most {MAX_COMPONENTS} components are allowed in one call, this one has {count}"
        raise ApiError(500, "LIMIT_EXCEEDED", text_of)
    if not count or len(kinds) != 1:
        raise ApiError(500, "INVALID_TYPE", "one or more components of one single type are needed")


def _component(site: Site, user_id: str, kind: str) -> Component:
    if kind not in KINDS:
        raise ApiError(500, "INVALID_TYPE", f"Unknown type:{kind}")
    return Components(site.org, site.state, user_id).of(kind)


_OPERATIONS: dict[str, Callable[[Site, str, Call], str]] = {
    "createMetadata": _create,
    "updateMetadata": _update,
    "upsertMetadata": _upsert,
    "deleteMetadata": _delete,
    "readMetadata": _read,
    "listMetadata": _list,
    "describeMetadata": _describe,
}
