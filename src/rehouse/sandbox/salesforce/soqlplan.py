"""A parsed query to SQL over the store, and the shape in which its rows become records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count

from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.queryable import Names
from rehouse.sandbox.salesforce.schema_model import ChildRelationship, SField, SObject
from rehouse.sandbox.salesforce.soql import (
    AGGREGATES,
    DATE_FUNCTIONS,
    PASS_THROUGH,
    Call,
    Comparison,
    Condition,
    Expression,
    Item,
    Membership,
    Path,
    Query,
    TypeOf,
    refuse,
)
from rehouse.sandbox.salesforce.soqlscope import Resolved, Scope, no_child, no_object
from rehouse.sandbox.salesforce.soqlwhere import Where
from rehouse.sandbox.salesforce.tables import quoted

MAX_OFFSET = 2000


@dataclass(slots=True)
class Leaf:
    """A value of a record: its name, its place in the SQL row, its field. Compound addresses have `parts`."""

    name: str
    place: int
    item: SField
    parts: tuple[tuple[str, int, SField], ...] = ()


@dataclass(slots=True)
class Node:
    """A record in the answer: `obj` is None where the id decides; entries stand in the order of the SELECT."""

    obj: SObject | None
    id_place: int
    entries: dict[str, Leaf | Node | ChildPlan | TypeOfPlan] = field(default_factory=dict)


@dataclass(slots=True)
class ChildPlan:
    """A subquery over children: `sql` takes the parents' ids at `{ids}`; the first column is the parent's id."""

    relationship: str
    sql: str
    shape: Node


@dataclass(slots=True)
class TypeOfPlan:
    """TYPEOF: which fields to read for which object behind the id at `place`."""

    relation: str
    place: int
    branches: dict[str, tuple[str, ...]]
    otherwise: tuple[str, ...]


@dataclass(slots=True)
class Plan:
    """Ready to run. `count_only` is `SELECT COUNT()`; `aggregate` rows are AggregateResult."""

    sql: str
    shape: Node
    count_only: bool = False
    aggregate: tuple[tuple[str, SField], ...] | None = None
    flat: tuple[tuple[str, int, SField], ...] = ()


class Compiler:
    """Compiles one statement for one user. `today` (GMT) is what the date literals count from."""

    def __init__(self, schema: Names, today: date, user_id: str, *, include_deleted: bool) -> None:
        self.schema, self.today, self.user_id, self.include_deleted = schema, today, user_id, include_deleted
        self.numbers = count()

    def compile(self, query: Query) -> Plan:
        """The plan of a top-level statement."""
        obj = self.schema.get(query.source.text)
        if obj is None or not obj.queryable:
            raise no_object(query.text, query.source.at, query.source.text)
        if query.offset > MAX_OFFSET:
            raise ApiError(400, "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MAX_OFFSET}")
        scope = self._scope(query, obj)
        where = self._where(scope, query)
        self._mandatory_filter(query, obj)
        first = query.items[0].what
        if len(query.items) == 1 and isinstance(first, Call) and first.name == "count" and first.argument is None:
            return self._count(scope, query, where)
        if query.group_by or any(isinstance(i.what, Call) and i.what.name in AGGREGATES for i in query.items):
            return self._aggregate(scope, query, where)
        columns, shape = self._shape(scope, query)
        sql = self._select(scope, query, columns, where)
        return Plan(sql, shape, flat=tuple(self._flat(shape)))

    def _scope(self, query: Query, obj: SObject) -> Scope:
        scope = Scope(self.schema, self.user_id, obj, query.text, query.alias, self.numbers)
        for alias, path in query.aliases.items():
            parts = tuple(path.split("."))
            if parts[0].lower() in (query.alias.lower(), obj.name.lower()):
                parts = parts[1:]
            scope.aliases[alias.lower()] = parts
        return scope

    # clauses ---------------------------------------------------------------------------------------------------

    def _where(self, scope: Scope, query: Query) -> str:
        parts = [] if self.include_deleted or query.all_rows else [f"{scope.table}._del IS NULL"]
        if query.where is not None:
            parts.append(Where(scope, self._semi_join, self.today).sql(query.where))
        return " AND ".join(parts) or "1"

    def _semi_join(self, query: Query, outer: Scope) -> str:
        obj = self.schema.get(query.source.text)
        if obj is None or not obj.queryable:
            raise no_object(outer.text, query.source.at, query.source.text)
        if len(query.items) != 1 or not isinstance(query.items[0].what, Path):
            raise refuse(outer.text, query.source.at, "A semi-join selects exactly one field")
        scope = self._scope(query, obj)
        found = scope.resolve(query.items[0].what)
        if found.item.type not in ("id", "reference"):
            raise refuse(outer.text, query.items[0].what.at, "The inner select must select an id or reference field")
        where = self._where(scope, query)
        tail = f" LIMIT {query.limit}" if query.limit is not None else ""
        return f"SELECT {found.sql} FROM {scope.from_sql} WHERE {where} AND {found.sql} IS NOT NULL{tail}"

    def _select(self, scope: Scope, query: Query, columns: list[str], where: str) -> str:
        order = self._order(scope, query)
        limit = f" LIMIT {query.limit if query.limit is not None else -1}"
        offset = f" OFFSET {query.offset}" if query.offset else ""
        tail = limit + offset if query.limit is not None or query.offset else ""
        return f"SELECT {', '.join(columns)} FROM {scope.from_sql} WHERE {where}{order}{tail}"

    def _order(self, scope: Scope, query: Query) -> str:
        """Nulls come first unless told otherwise; ties keep the order of ids."""
        parts = []
        for one in query.order_by:
            sql = self._order_sql(scope, one.by)
            nulls = "NULLS LAST" if one.nulls_last else "NULLS FIRST"
            parts.append(f"{sql} {'DESC' if one.descending else 'ASC'} {nulls}")
        if not query.group_by:
            parts.append(f"{scope.table}.rowid")
        return f" ORDER BY {', '.join(parts)}" if parts else ""

    def _order_sql(self, scope: Scope, by: Expression) -> str:
        if isinstance(by, Call):
            return Where(scope, self._semi_join, self.today, aggregates=True).operand(by)[0]
        found = scope.resolve(by)
        item = found.item
        if (item.type == "textarea" and item.length > 255) or item.type == "multipicklist" or not item.storage:
            raise refuse(scope.text, by.at, f"field '{item.name}' can not be sorted in a query call", "MALFORMED_QUERY")
        return found.sql

    def _mandatory_filter(self, query: Query, obj: SObject) -> None:
        if obj.name != "ContentDocumentLink":
            return
        for term in _terms(query.where):
            left = term.left if isinstance(term, Comparison | Membership) else None
            equal = isinstance(term, Comparison) and term.operator == "="
            if (
                isinstance(left, Path)
                and left.parts[-1].lower() in ("contentdocumentid", "linkedentityid", "id")
                and (equal or (isinstance(term, Membership) and term.operator == "in"))
            ):
                return
        raise ApiError(
            400,
            "MALFORMED_QUERY",
            "Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId or "
            "LinkedEntityId using the equals operator or multiple Id's using the IN operator.",
        )

    # aggregates --------------------------------------------------------------------------------------------------

    def _count(self, scope: Scope, query: Query, where: str) -> Plan:
        sql = f"SELECT count(*) FROM {scope.from_sql} WHERE {where}"
        if query.limit is not None:
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {scope.from_sql} WHERE {where} LIMIT {query.limit})"
        return Plan(sql, Node(scope.obj, 0), count_only=True)

    def _aggregate(self, scope: Scope, query: Query, where: str) -> Plan:
        compiler = Where(scope, self._semi_join, self.today, aggregates=True)
        groups = [self._group(scope, compiler, g) for g in query.group_by]
        columns: list[str] = []
        named: list[tuple[str, SField]] = []
        number = 0
        for item in query.items:
            if not isinstance(item.what, Path | Call):
                raise refuse(
                    scope.text, query.source.at, "Grouped query cannot use a child relationship in the select list"
                )
            sql, kind, at = compiler.operand(_bare(item.what))
            if isinstance(item.what, Call) and item.what.name not in PASS_THROUGH:
                name = item.alias or f"expr{number}"
                number += not item.alias
                if item.what.name in DATE_FUNCTIONS and sql not in groups:
                    raise self._not_grouped(scope, at, item.what.name)
            else:
                name = item.alias or kind.name
                if sql not in groups:
                    raise self._not_grouped(scope, at, kind.name)
            columns.append(sql)
            named.append((name, kind))
        group = f" GROUP BY {', '.join(groups)}" if groups else ""
        having = f" HAVING {compiler.sql(query.having)}" if query.having is not None else ""
        order = self._order(scope, query) if query.order_by else (f" ORDER BY {', '.join(groups)}" if groups else "")
        limit = f" LIMIT {query.limit}" if query.limit is not None else (" LIMIT -1" if query.offset else "")
        offset = f" OFFSET {query.offset}" if query.offset else ""
        if not groups:
            order = ""
        sql = f"SELECT {', '.join(columns)} FROM {scope.from_sql} WHERE {where}{group}{having}{order}{limit}{offset}"
        return Plan(sql, Node(scope.obj, 0), aggregate=tuple(named))

    def _group(self, scope: Scope, compiler: Where, expression: Expression) -> str:
        if isinstance(expression, Path):
            item = scope.resolve(expression).item
            if item.type in ("datetime", "double", "currency", "percent", "multipicklist") or (
                item.type == "textarea" and item.length > 255
            ):
                raise refuse(
                    scope.text,
                    expression.at,
                    f"field '{item.name}' can not be grouped in a query call",
                    "MALFORMED_QUERY",
                )
        return compiler.operand(expression)[0]

    def _not_grouped(self, scope: Scope, at: int, name: str) -> ApiError:
        return refuse(scope.text, at, f"Field must be grouped or aggregated: {name}")

    # shape ---------------------------------------------------------------------------------------------------------

    def _shape(self, scope: Scope, query: Query) -> tuple[list[str], Node]:
        columns = [f"{scope.table}.Id"]
        root = Node(scope.obj, 0)
        for item in self._expanded(scope, query):
            if isinstance(item.what, Query):
                plan = self._children(scope, item.what)
                root.entries[plan.relationship] = plan
            elif isinstance(item.what, TypeOf):
                self._type_of(scope, item.what, columns, root)
            else:
                if isinstance(item.what, Call) and item.what.name not in PASS_THROUGH:
                    raise refuse(scope.text, item.what.at, f"unexpected token: '{item.what.name}'")
                bare = _bare(item.what)
                assert isinstance(bare, Path)
                self._place(scope, bare, scope.resolve(bare), columns, root)
        return columns, root

    def _expanded(self, scope: Scope, query: Query) -> list[Item]:
        """The select list with FIELDS(ALL|STANDARD|CUSTOM) written out."""
        out: list[Item] = []
        for item in query.items:
            what = item.what
            if isinstance(what, Call) and what.name == "fields" and isinstance(what.argument, Path):
                kind = what.argument.text.lower()
                if kind not in ("all", "standard", "custom"):
                    raise refuse(scope.text, what.at, f"unexpected token: '{what.argument.text}'")
                if kind != "standard" and not 0 < (query.limit or 0) <= 200:
                    raise refuse(scope.text, what.at, "The SOQL FIELDS function must have a LIMIT of at most 200")
                for one in self.schema.visible_fields(scope.obj, self.user_id):
                    if kind == "all" or one.custom == (kind == "custom"):
                        out.append(Item(Path((one.name,), what.at)))
            else:
                out.append(item)
        return out

    def _place(self, scope: Scope, path: Path, found: Resolved, columns: list[str], root: Node) -> None:
        node = root
        for parent in found.parents:
            below = node.entries.get(parent.relation)
            if not isinstance(below, Node):
                columns.append(parent.id_sql)
                below = Node(parent.obj, len(columns) - 1)
                node.entries[parent.relation] = below
            node = below
        name = found.names[-1]
        if name in node.entries:
            raise refuse(scope.text, path.at, f"duplicate field selected: {found.names[-1]}")
        columns.append(found.sql)
        leaf = Leaf(name, len(columns) - 1, found.item)
        if found.item.type in ("address", "location") and found.owner is not None:
            leaf.parts = tuple(self._parts(found, columns))
        node.entries[name] = leaf

    def _parts(self, found: Resolved, columns: list[str]) -> Iterator[tuple[str, int, SField]]:
        """The columns behind a compound address: its name without `Address`, then the part."""
        assert found.owner is not None
        stem = found.item.name.removesuffix("Address")
        table = found.sql.rsplit(".", 1)[0]
        for part in ("City", "Country", "GeocodeAccuracy", "Latitude", "Longitude", "PostalCode", "State", "Street"):
            item = found.owner.field(stem + part)
            if item is not None and item.storage:
                columns.append(f"{table}.{quoted(item.name)}")
                yield part[0].lower() + part[1:], len(columns) - 1, item

    def _type_of(self, scope: Scope, what: TypeOf, columns: list[str], root: Node) -> None:
        item = scope.obj.by_relationship(what.relation.parts[-1])
        if item is None or not item.polymorphic:
            raise scope.no_column(what.relation.at, what.relation.text, scope.obj)
        columns.append(f"{scope.table}.{quoted(item.name)}")
        name = item.relationship_name or what.relation.text
        branches = {}
        for target, paths in what.branches:
            known = self.schema.get(target)
            if known is None:
                raise no_object(scope.text, what.relation.at, target)
            branches[known.name] = tuple(p.text for p in paths)
        root.entries[name] = TypeOfPlan(name, len(columns) - 1, branches, tuple(p.text for p in what.otherwise))

    # children --------------------------------------------------------------------------------------------------------

    def _children(self, outer: Scope, query: Query) -> ChildPlan:
        name = query.source.parts[-1]
        relation = outer.obj.child(name)
        child = self.schema.objects.get(relation.child) if relation else None
        if relation is None or child is None or relation.field not in child.fields:
            raise no_child(outer.text, query.source.at, name)
        scope = self._scope(replace(query, text=outer.text), child)
        where = self._where(scope, query)
        columns, shape = self._shape(scope, query)
        return ChildPlan(
            relation.relationship_name or name, self._child_sql(scope, query, relation, columns, where), shape
        )

    def _child_sql(
        self, scope: Scope, query: Query, relation: ChildRelationship, columns: list[str], where: str
    ) -> str:
        parent = f"{scope.table}.{quoted(relation.field)}"
        order = self._order(scope, query).removeprefix(" ORDER BY ")
        named = ", ".join(f"{sql} AS c{i}" for i, sql in enumerate(columns))
        inner = (
            f"SELECT {parent} AS parent_, {named}, "
            f"row_number() OVER (PARTITION BY {parent} ORDER BY {order}) AS place_ "
            f"FROM {scope.from_sql} WHERE {parent} IN ({{ids}}) AND {where}"
        )
        last = f" AND place_ <= {query.offset + query.limit}" if query.limit is not None else ""
        listed = ", ".join(f"c{i}" for i in range(len(columns)))
        return f"SELECT parent_, {listed} FROM ({inner}) WHERE place_ > {query.offset}{last} ORDER BY parent_, place_"

    def _flat(self, node: Node, prefix: str = "") -> Iterator[tuple[str, int, SField]]:
        """The columns of a CSV answer: dotted names and their places."""
        for name, entry in node.entries.items():
            if isinstance(entry, Leaf):
                yield prefix + name, entry.place, entry.item
            elif isinstance(entry, Node):
                yield from self._flat(entry, f"{prefix}{name}.")


def _bare(expression: Expression) -> Expression:
    """The expression inside `toLabel(...)`, `FORMAT(...)`, `convertCurrency(...)`."""
    while isinstance(expression, Call) and expression.name in PASS_THROUGH and expression.argument is not None:
        expression = expression.argument
    return expression


def _terms(condition: Condition | None) -> list[Condition]:
    """Conditions that must all hold."""
    if condition is None:
        return []
    operator = getattr(condition, "operator", "")
    if operator == "and":
        return [t for one in getattr(condition, "terms", ()) for t in _terms(one)]
    return [condition]


def bulk_refusal(query: Query) -> str | None:
    """Why a statement cannot be a Bulk query, or None (Bulk API guide, SOQL considerations)."""
    if query.group_by or any(isinstance(i.what, Call) and i.what.name in AGGREGATES for i in query.items):
        return "Aggregate queries not supported in Bulk Query"
    if query.offset:
        return "OFFSET not supported in Bulk Query"
    if any(isinstance(i.what, TypeOf) for i in query.items):
        return "TYPEOF not supported in Bulk Query"
    if any(isinstance(i.what, Query) for i in query.items):
        return "Nested queries not supported in Bulk Query"
    return None
