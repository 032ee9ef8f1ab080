"""The lines of a recipe that a person confirms, each with a hash of its whole meaning.

A hash covers the row and all it depends on: the named values it uses (through other values and lookups), the
keys of the outputs it refers to, the limits it names, and for a route the routes before it. An edit changes
the hash of the row and of its dependants, and of nothing else.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml import YAML

from rehouse.mapping import dump
from rehouse.mapping.expressions import (
    Column,
    Date,
    DateTime,
    Expression,
    Limit,
    Lookup,
    Node,
    Number,
    Option,
    Owner,
    RecordType,
    Reference,
    walk,
)
from rehouse.mapping.schema import Earliest, Latest, ObjectMapping, Output, Recipe, Route, digest_of

RowKind = Literal["field", "route", "key", "merge", "match", "create", "value", "drop"]
Sensitive = Literal["", "key", "reference", "owner", "stage", "currency", "date"]

_STAGE_WORDS = ("stage", "status", "state")
_MONEY_WORDS = ("amount", "price", "revenue", "budget", "value")


@dataclass(frozen=True, slots=True)
class Row:
    """One line to confirm. `text` is its YAML in one line; `sensitive` says why it deserves a look of its own
    ('' when it may be confirmed in bulk)."""

    id: str
    kind: RowKind
    text: str
    hash: str
    sensitive: Sensitive = ""


def rows(recipe: Recipe) -> tuple[Row, ...]:
    """Every row of the recipe, in the order of its files.

    Ids: `contacts.Contact.Email` (a field), `contacts.Contact#key` (`#merge`, `#match`), `contacts#route1`,
    `contacts#value.company_key`, `contacts#drop.title`, `blueprint#create.Account.Tax_Office__c`,
    `blueprint#record_type.Opportunity.Satis`, `blueprint#owners`.
    """
    found = list(_blueprint_rows(recipe))
    for mapping in recipe.objects.values():
        found += _mapping_rows(recipe, mapping)
    return tuple(found)


def _blueprint_rows(recipe: Recipe) -> Iterator[Row]:
    creates = recipe.blueprint.creates
    for field in creates.fields:
        data = dump.create_field_data(field)
        yield _row(f"blueprint#create.{field.object}.{field.field.name}", "create", data)
    for created in creates.record_types:
        data = dump.record_type_data(created)
        yield _row(f"blueprint#record_type.{created.object}.{created.name}", "create", data, sensitive="stage")
    if recipe.blueprint.owners.match:
        owners = dump.blueprint_data(recipe.blueprint)["owners"]
        yield _row("blueprint#owners", "match", owners, sensitive="owner")


def _mapping_rows(recipe: Recipe, mapping: ObjectMapping) -> Iterator[Row]:
    name = mapping.object
    for value, expression in mapping.values.items():
        yield _row(f"{name}#value.{value}", "value", dump.node_data(expression), _needs(recipe, mapping, [expression]))
    yield from _route_rows(recipe, mapping)
    for output in mapping.outputs.values():
        yield from _output_rows(recipe, mapping, output)
    for column, reason in mapping.dropped.items():
        yield _row(f"{name}#drop.{column}", "drop", reason)


def _route_rows(recipe: Recipe, mapping: ObjectMapping) -> Iterator[Row]:
    before: list[Any] = []
    nodes: list[Node] = []
    for number, route in enumerate(mapping.routes, start=1):
        nodes += _route_nodes(route)
        data = dump.route_data(route)
        needs = [before.copy(), _needs(recipe, mapping, nodes)]
        yield _row(f"{mapping.object}#route{number}", "route", data, needs)
        before.append(data["when"])


def _route_nodes(route: Route) -> list[Node]:
    nodes: list[Node] = [route.when] if route.when is not None else []
    return [*nodes, route.merge_into.by] if route.merge_into is not None else nodes


def _output_rows(recipe: Recipe, mapping: ObjectMapping, output: Output) -> Iterator[Row]:
    prefix = f"{mapping.object}.{output.name}"
    for part, data, nodes in _identity(output):
        needs = [output.to, _needs(recipe, mapping, nodes)]
        yield _row(f"{prefix}#{part}", part, data, needs, "key")
    for name, expression in output.fields.items():
        data = dump.node_data(expression)
        needs = [output.to, _needs(recipe, mapping, [expression])]
        yield _row(f"{prefix}.{name}", "field", data, needs, _sensitive(name, expression))


def _identity(output: Output) -> Iterator[tuple[RowKind, Any, list[Node]]]:
    """What identifies an output's records: key, merge and match, each with the nodes it reads."""
    if output.key is not None:
        yield "key", dump.key_data(output.key), [output.key.from_] if output.key.from_ is not None else []
    if output.merge is not None:
        prefer = [p.of if isinstance(p, Earliest | Latest) else p for p in output.merge.prefer]
        yield "merge", dump.merge_data(output.merge), [output.merge.by, *prefer]
    if output.match is not None:
        yield "match", dump.match_data(output.match), [output.match.by]
    if output.match_only is not None:
        yield "match", dump.match_only_data(output.match_only), [output.match_only.by]


def _sensitive(name: str, expression: Expression) -> Sensitive:
    """Why a field deserves a look of its own. Names help where operators do not tell: any platform's stage
    and money fields are called so."""
    nodes = list(walk(expression))
    lowered = name.lower()
    if any(isinstance(n, Reference) for n in nodes):
        return "reference"
    if any(isinstance(n, Owner) for n in nodes):
        return "owner"
    if any(isinstance(n, RecordType) for n in nodes):
        return "stage"
    if any(isinstance(n, Option) for n in nodes) and any(w in lowered for w in _STAGE_WORDS):
        return "stage"
    if any(isinstance(n, Number) for n in nodes) and any(w in lowered for w in _MONEY_WORDS):
        return "currency"
    return "date" if any(isinstance(n, Date | DateTime) for n in nodes) else ""


# ── what a row depends on ─────────────────────────────────────────────────────────────────────────────


def _needs(recipe: Recipe, mapping: ObjectMapping, nodes: Iterable[Node]) -> list[Any]:
    """Everything outside the nodes themselves that gives them their meaning, as plain data, sorted."""
    found: dict[str, Any] = {}
    waiting = [(mapping, node) for node in nodes]
    while waiting:
        owner, node = waiting.pop()
        for part in walk(node):
            for name, data, further in _referred(recipe, owner, part):
                if name not in found:
                    found[name] = data
                    waiting += further
    return [[name, found[name]] for name in sorted(found)]


_Further = list[tuple[ObjectMapping, Node]]


def _referred(recipe: Recipe, owner: ObjectMapping, part: Node) -> Iterator[tuple[str, Any, _Further]]:
    if isinstance(part, Column):
        yield from _value(owner, part.name)
    elif isinstance(part, Lookup) and (other := recipe.objects.get(part.in_)) is not None:
        yield from _value(other, part.column)
        yield from _value(other, part.where)
    elif isinstance(part, Limit):
        yield f"limit {part.name}", recipe.blueprint.limits.get(part.name), []
    elif isinstance(part, Reference):
        names = [part.to] if isinstance(part.to, str) else [o for _, o in part.to.map]
        for name in names:
            yield from _key(recipe, name)


def _value(owner: ObjectMapping, name: str) -> Iterator[tuple[str, Any, _Further]]:
    if name in owner.values:
        value = owner.values[name]
        yield f"value {owner.object}.{name}", dump.node_data(value), [(owner, value)]


def _key(recipe: Recipe, name: str) -> Iterator[tuple[str, Any, _Further]]:
    found = recipe.output(name)
    if found is not None and found[1].key is not None:
        owner, key = found[0], found[1].key
        further: _Further = [(owner, key.from_)] if key.from_ is not None else []
        yield f"key {name}", [found[1].to, dump.key_data(key)], further


def _row(id_: str, kind: RowKind, data: Any, needs: Any = None, sensitive: Sensitive = "") -> Row:
    return Row(id_, kind, flow(data), digest_of([id_.split("#route")[0], kind, data, needs]), sensitive)


def flow(data: Any) -> str:
    """Plain data as one line of YAML."""
    if isinstance(data, str):
        return data
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1_000_000
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue().strip()
