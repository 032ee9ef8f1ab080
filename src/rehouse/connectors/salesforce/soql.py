"""Our conditions as the platform's query language, cut so that every query stays within its limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import quote

from rehouse.connectors.base import AnyOf, Condition, In, NotNull, Query, Since
from rehouse.connectors.salesforce.values import NUMBERS
from rehouse.errors import UserError
from rehouse.model import Field, Kind, Object

REST_ROOM = 7_000
"""Ours: bytes of an encoded query in an address. The platform takes 16,384, many proxies and servers 8 KB."""
BULK_ROOM = 90_000
"""Characters of a query in a job, below the documented 100,000."""
CHECKSUMS = {("ContentVersion", "VersionData"): "Checksum"}
"""Binary fields whose MD5 the platform holds in another field (Object Reference, "ContentVersion")."""
ARCHIVED = frozenset({"Task", "Event"})
"""Objects whose old rows are found by `queryAll` only."""
FILTERED_ONLY = {"ContentDocumentLink": frozenset({"Id", "ContentDocumentId", "LinkedEntityId"})}
"""Objects that refuse a query without an equality filter on one of these fields (Object Reference)."""
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BARE = {
    Kind.BOOLEAN: re.compile(r"true|false"),
    Kind.DATE: re.compile(r"\d{4}-\d{2}-\d{2}"),
    Kind.DATETIME: re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"),
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Cut:
    """The queries that together answer one question. `overlap`: a record may come from several of them."""

    queries: tuple[str, ...]
    overlap: bool


def literal(value: str, kind: Kind) -> str:
    """A canonical value as a literal. Errors: `UserError` for a value that is none of its kind."""
    pattern = _NUMBER if kind in NUMBERS else _BARE.get(kind)
    if pattern is None:
        return "'" + "".join(_ESCAPES.get(char, char) for char in value) + "'"
    if not pattern.fullmatch(value):
        raise UserError(f"a value to filter by is no {kind.value}", hint="values are given in canonical form")
    return value


def named(obj: Object, name: str) -> Field:
    """The object's field of that name. Errors: `UserError`."""
    found = obj.field(name)
    if found is None:
        raise UserError(
            f"{obj.name} has no field {name} (or the migration user may not see it)",
            hint="run the schema stage, or grant the field to the user",
        )
    return found


def column(obj: Object, name: str) -> str:
    """The field's own spelling; a path such as `Account.Name` is passed on as it is."""
    if "." in name:
        if not re.fullmatch(r"\w+(\.\w+){1,5}", name):
            raise UserError(f"{name!r} is no path of fields", hint="use Parent.Field")
        return name
    found = named(obj, name)
    return CHECKSUMS.get((obj.name, found.name), found.name)


def condition(obj: Object, where: NotNull | In | Since) -> str:
    """One simple condition as text."""
    found = named(obj, where.field)
    match where:
        case NotNull():
            return f"{found.name} != null"
        case In(values=values):
            return f"{found.name} IN ({','.join(literal(value, found.kind) for value in values)})"
        case Since(moment=moment):
            shown = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            return f"{found.name} >= {shown[:10] if found.kind is Kind.DATE else shown}"


def cut(obj: Object, query: Query, *, rest: bool) -> Cut:
    """The query, or the queries, that answer a question within the limits of the way it is asked."""
    columns = dict.fromkeys(("Id", *(column(obj, name) for name in query.fields)))
    head = f"SELECT {', '.join(columns)} FROM {obj.name}"
    return _cut(obj, head, query.where, rest=rest)


def cut_count(obj: Object, where: Condition | None) -> Cut:
    """The queries whose sizes add up to the number of records (or more, where they overlap)."""
    return _cut(obj, f"SELECT COUNT() FROM {obj.name}", where, rest=True)


def _cut(obj: Object, head: str, where: Condition | None, *, rest: bool) -> Cut:
    _check_filter(obj, where)
    tail = " AND IsDeleted = false" if obj.name in ARCHIVED else ""
    if where is None:
        return Cut((head + (" WHERE IsDeleted = false" if tail else ""),), False)
    room = (REST_ROOM if rest else BULK_ROOM) - _size(f"{head} WHERE ()) {tail}", rest) - 16
    if isinstance(where, AnyOf):
        if not where.conditions:
            return Cut((), False)
        parts = [piece for one in where.conditions for piece in _pieces(obj, one, room, rest)]
        joined = " OR ".join(parts)
        if _size(joined, rest) <= room:
            return Cut((f"{head} WHERE ({joined}){tail}",), False)
        return Cut(tuple(f"{head} WHERE {part}{tail}" for part in parts), True)
    return Cut(tuple(f"{head} WHERE {part}{tail}" for part in _pieces(obj, where, room, rest)), False)


def _pieces(obj: Object, where: NotNull | In | Since, room: int, rest: bool) -> Iterator[str]:
    if not isinstance(where, In):
        yield condition(obj, where)
        return
    found = named(obj, where.field)
    left = room - _size(f"{found.name} IN ()", rest)
    for values in _groups(tuple(dict.fromkeys(where.values)), found.kind, left, rest):
        yield condition(obj, In(where.field, values))


def _groups(values: Sequence[str], kind: Kind, room: int, rest: bool) -> Iterator[tuple[str, ...]]:
    group: list[str] = []
    used = 0
    for value in values:
        size = _size(literal(value, kind) + ",", rest)
        if group and used + size > room:
            yield tuple(group)
            group, used = [], 0
        group.append(value)
        used += size
    if group:
        yield tuple(group)


def _size(text: str, rest: bool) -> int:
    return len(quote(text, safe="")) if rest else len(text)


def _check_filter(obj: Object, where: Condition | None) -> None:
    allowed = FILTERED_ONLY.get(obj.name)
    if allowed is None or (isinstance(where, In) and where.field in allowed):
        return
    raise UserError(
        f"{obj.name} can only be read by a list of {' or '.join(sorted(allowed))}",
        hint="filter with `In` on one of these fields",
    )
