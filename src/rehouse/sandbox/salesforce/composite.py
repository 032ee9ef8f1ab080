"""Several calls in one: composite, batch and tree.

Facts: REST guide "Composite", "Composite Batch", "sObject Tree" (fact sheet section 2.7). Parts run one
after another through the same table as single calls; with `allOrNone` they share one transaction.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.api import Answer, Call, Table
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult, SaveOptions

MAX_PARTS = 25
MAX_HEAVY_PARTS = 5
MAX_TREE_ROWS = 200
MAX_TREE_TYPES = 5
MAX_TREE_DEPTH = 5
HALTED = "The transaction was rolled back since another operation in the same transaction failed."

_HEAVY = re.compile(r"/(query|queryAll|composite/sobjects|composite/tree)(/|\?|$)")
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])+)\}")
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")


class _Unresolved(Exception):
    """A reference to a part that has no such value."""


class Resources:
    """Composite operations over a table of single ones."""

    def __init__(self, table: Table) -> None:
        self._table = table
        table.add("POST", "/composite", self.composite)
        table.add("POST", "/composite/batch", self.batch)
        table.add("POST", "/composite/tree/{object}", self.tree)

    def composite(self, call: Call) -> Answer:
        """`POST composite`: parts may use values of earlier parts as `@{referenceId.path}`."""
        body = call.object_json()
        parts = self._parts(body, "compositeRequest")
        if not body.get("allOrNone"):
            return Answer(200, {"compositeResponse": self._run(call, parts, halt=False)})
        with call.site.org.transaction() as transaction:
            answers = self._run(call, parts, halt=True)
            if any(one["httpStatusCode"] >= 400 for one in answers):
                transaction.rollback()
                answers = [_halted(one) for one in answers]
        return Answer(200, {"compositeResponse": answers})

    def _parts(self, body: dict[str, Any], name: str) -> list[dict[str, Any]]:
        parts = body.get(name)
        if not isinstance(parts, list) or not parts or not all(isinstance(one, dict) for one in parts):
            raise ApiError(400, "INVALID_INPUT", f"The {name} parameter must hold at least one request")
        if len(parts) > MAX_PARTS:
            raise ApiError(400, "LIMIT_EXCEEDED", f"at most {MAX_PARTS} subrequests are allowed in one call")
        heavy = sum(1 for one in parts if _HEAVY.search(str(one.get("url", ""))))
        if name == "compositeRequest" and heavy > MAX_HEAVY_PARTS:
            text = f"at most {MAX_HEAVY_PARTS} subrequests may be queries, collections or trees"
            raise ApiError(400, "LIMIT_EXCEEDED", text)
        return parts

    def _run(self, call: Call, parts: list[dict[str, Any]], *, halt: bool) -> list[dict[str, Any]]:
        seen: dict[str, Any] = {}
        answers: list[dict[str, Any]] = []
        stopped = False
        for part in parts:
            reference = str(part.get("referenceId", ""))
            if not reference or reference in seen:
                raise ApiError(400, "INVALID_INPUT", f"referenceId is missing or used twice: '{reference}'")
            result = _halted_answer() if stopped else self._one(call, part, seen)
            stopped = stopped or (halt and result.status >= 400)
            seen[reference] = result.body if result.status < 400 else None
            answers.append(
                {
                    "body": result.body,
                    "httpHeaders": _shown_headers(call, result),
                    "httpStatusCode": result.status,
                    "referenceId": reference,
                }
            )
        return answers

    def _one(self, call: Call, part: dict[str, Any], seen: dict[str, Any]) -> Answer:
        try:
            url = str(_resolve(str(part.get("url", "")), seen, in_url=True))
            body = _resolve(part.get("body"), seen, in_url=False)
        except _Unresolved as missing:
            text = f"Invalid reference specified. No value for {missing} found"
            return Answer(400, wire.error_body("PROCESSING_HALTED", text))
        headers = {name: str(value) for name, value in (part.get("httpHeaders") or {}).items()}
        return self._table.perform(call, str(part.get("method", "GET")), url, body, headers)

    def batch(self, call: Call) -> Answer:
        """`POST composite/batch`: independent parts, without references."""
        body = call.object_json()
        parts = self._parts(body, "batchRequests")
        halt = bool(body.get("haltOnError"))
        results: list[dict[str, Any]] = []
        failed = False
        for part in parts:
            if halt and failed:
                error = wire.error_body("BATCH_PROCESSING_HALTED", "Batch request processing halted.")
                results.append({"statusCode": 412, "result": error})
                continue
            # Batch urls start at the version (`v67.0/...`); the full path is accepted as well.
            url = str(part.get("url", ""))
            url = url if url.startswith("/services/") else "/services/data/" + url.lstrip("/")
            answer = self._table.perform(call, str(part.get("method", "GET")), url, part.get("richInput"))
            failed = failed or answer.status >= 400
            results.append({"statusCode": answer.status, "result": answer.body})
        return Answer(200, {"hasErrors": failed, "results": results})

    def tree(self, call: Call) -> Answer:
        """`POST composite/tree/{Type}`: roots of one type with their children; all or nothing."""
        obj = call.sobject()
        roots = call.object_json().get("records")
        if not isinstance(roots, list) or not roots:
            raise ApiError(400, "INVALID_INPUT", "The records parameter must hold at least one record")
        walker = _Tree(call)
        with call.site.org.transaction() as transaction:
            walker.insert(obj.name, roots, None, 1)
            if walker.errors:
                transaction.rollback()
                return Answer(400, {"hasErrors": True, "results": walker.errors})
        return Answer(201, {"hasErrors": False, "results": walker.made})


def operations(table: Table) -> None:
    Resources(table)


def _shown_headers(call: Call, answer: Answer) -> dict[str, str]:
    """Headers of a part: `Location` of a created record, as the platform adds it."""
    shown = dict(answer.headers)
    if answer.status == 201 and isinstance(answer.body, dict) and answer.body.get("id"):
        kind = call.site.org.schema.prefix_of(str(answer.body["id"]))
        if kind is not None:
            shown["Location"] = f"{call.base}/sobjects/{kind.name}/{answer.body['id']}"
    return shown


def _halted_answer() -> Answer:
    return Answer(400, wire.error_body("PROCESSING_HALTED", HALTED))


def _halted(one: dict[str, Any]) -> dict[str, Any]:
    """A part that worked, after its transaction was rolled back."""
    if one["httpStatusCode"] >= 400:
        return one
    return {**one, "body": _halted_answer().body, "httpHeaders": {}, "httpStatusCode": 400}


def _resolve(value: Any, seen: dict[str, Any], *, in_url: bool) -> Any:
    """Replace `@{ref.path}` in text at any depth. Text that is nothing but one reference keeps the value's type."""
    if isinstance(value, dict):
        return {key: _resolve(one, seen, in_url=in_url) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolve(one, seen, in_url=in_url) for one in value]
    if not isinstance(value, str) or "@{" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        found = _follow(whole, seen)
        return str(found) if in_url else found

    def replaced(match: re.Match[str]) -> str:
        text = str(_follow(match, seen))
        return quote(text, safe="/") if in_url else text

    return _REFERENCE.sub(replaced, value)


def _follow(match: re.Match[str], seen: dict[str, Any]) -> Any:
    value = seen.get(match.group(1))
    for name, index in _STEP.findall(match.group(2)):
        if name and isinstance(value, dict) and name in value:
            value = value[name]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            raise _Unresolved(match.group(0))
    return value


class _Tree:
    """Inserts nested records level by level, so that parents have ids before their children are written."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rows = 0
        self._types: set[str] = set()
        self.made: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    def insert(self, name: str, nodes: list[dict[str, Any]], parent: tuple[str, str] | None, depth: int) -> None:
        """Insert nodes of one type under a parent (field, id), then their children."""
        self._rows += len(nodes)
        self._types.add(name)
        if self._rows > MAX_TREE_ROWS or len(self._types) > MAX_TREE_TYPES or depth > MAX_TREE_DEPTH:
            raise ApiError(400, "INVALID_INPUT", "The tree exceeds 200 records, 5 types or 5 levels")
        rows, below = [], []
        for node in nodes:
            plain = {k: v for k, v in node.items() if k != "attributes" and not _is_children(v)}
            rows.append({**plain, **({parent[0]: parent[1]} if parent else {})})
            below.append({k: v["records"] for k, v in node.items() if _is_children(v)})
        options = SaveOptions(user_id=self._call.user_id)
        results = self._call.site.org.insert(name, rows, options)
        for node, result, children in zip(nodes, results, below, strict=True):
            reference = (node.get("attributes") or {}).get("referenceId", "")
            if not result.success:
                self.errors.append({"referenceId": reference, "errors": wire.row_errors(result.errors)})
                continue
            self.made.append({"referenceId": reference, "id": result.id})
            self._children(name, result, children, depth)

    def _children(self, name: str, parent: RowResult, children: dict[str, Any], depth: int) -> None:
        for relationship, nodes in children.items():
            relation = self._call.site.org.schema.objects[name].child(relationship)
            if relation is None:
                raise ApiError(400, "INVALID_FIELD", f"No such relation '{relationship}' on sobject of type {name}")
            self.insert(relation.child, nodes, (relation.field, str(parent.id)), depth + 1)


def _is_children(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("records"), list)
