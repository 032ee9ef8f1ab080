"""Nodes and recipes back to plain data: the same shapes that the files hold, defaults left out.

Digests, hashes of rows and the one-line text of a row are made from this, so formatting never changes them.
"""

from __future__ import annotations

from typing import Any

from rehouse.mapping.expressions import (
    Argument,
    Column,
    Constant,
    Expression,
    Node,
    Polymorphic,
    Shape,
    arguments,
)
from rehouse.mapping.schema import (
    Blueprint,
    CreateField,
    CreateRecordType,
    Earliest,
    Key,
    Latest,
    Match,
    MatchOnly,
    Merge,
    MergeInto,
    ObjectMapping,
    Output,
    Preference,
    Recipe,
    Route,
    digest_of,
)


def node_data(node: Node) -> Any:
    """A node as YAML would hold it."""
    if isinstance(node, Column):
        return node.name
    args = arguments(type(node))
    mains = [a for a in args if a.main]
    values = [_value(getattr(node, a.attribute), a) for a in mains]
    data = {node.operator: values[0] if len(values) == 1 else values}
    for arg in args:
        value = getattr(node, arg.attribute)
        if not arg.main and (arg.required or value != arg.default):
            data[arg.key] = _value(value, arg)
    return data


def _value(value: Any, arg: Argument) -> Any:
    if isinstance(value, Constant) and arg.shape is Shape.OPERAND:
        return value.value
    if isinstance(value, Expression) or hasattr(value, "operator"):
        return node_data(value)
    if isinstance(value, Polymorphic):
        return {"column": node_data(value.column), "map": dict(value.map)}
    if arg.shape is Shape.MAP:
        return dict(value)
    if isinstance(value, tuple):
        return [v if isinstance(v, str) else node_data(v) for v in value]
    if arg.shape is Shape.TAKE and value.isdigit():
        return int(value)
    return value


def route_data(route: Route) -> dict[str, Any]:
    """A route: its condition (None: otherwise), what becomes of the row, and its name."""
    data: dict[str, Any] = {"when": node_data(route.when) if route.when is not None else None}
    if route.to:
        data["to"] = list(route.to)
    if route.skip:
        data["skip"] = route.skip
    if route.reject:
        data["reject"] = route.reject
    if route.merge_into is not None:
        data["merge_into"] = merge_into_data(route.merge_into)
    if route.rule:
        data["rule"] = route.rule
    return data


def merge_into_data(merge: MergeInto) -> dict[str, Any]:
    return {"output": merge.output, "by": node_data(merge.by)}


def _preference_data(preference: Preference) -> Any:
    if isinstance(preference, Earliest):
        return {"earliest": node_data(preference.of)}
    if isinstance(preference, Latest):
        return {"latest": node_data(preference.of)}
    return node_data(preference)


def merge_data(merge: Merge) -> dict[str, Any]:
    return {"by": node_data(merge.by), "prefer": [_preference_data(p) for p in merge.prefer]}


def key_data(key: Key) -> dict[str, Any]:
    if key.from_ is None:
        return {"natural": list(key.natural)}
    return {"external_id": key.external_id, "from": node_data(key.from_)}


def match_data(match: Match) -> dict[str, Any]:
    return {"field": match.field, "by": node_data(match.by), "when_found": match.when_found}


def match_only_data(match: MatchOnly) -> dict[str, Any]:
    return {"by": node_data(match.by), "field": match.field}


def output_data(output: Output) -> dict[str, Any]:
    data: dict[str, Any] = {"to": output.to}
    if output.merge is not None:
        data["merge"] = merge_data(output.merge)
    if output.key is not None:
        data["key"] = key_data(output.key)
    if output.match is not None:
        data["match"] = match_data(output.match)
    if output.match_only is not None:
        data["match_only"] = match_only_data(output.match_only)
    data["fields"] = {name: node_data(e) for name, e in output.fields.items()}
    return data


def mapping_data(mapping: ObjectMapping) -> dict[str, Any]:
    return {
        "object": mapping.object,
        "values": {name: node_data(e) for name, e in mapping.values.items()},
        "routes": [route_data(r) for r in mapping.routes],
        "outputs": {name: output_data(o) for name, o in mapping.outputs.items()},
        "dropped": dict(mapping.dropped),
    }


def create_field_data(create: CreateField) -> dict[str, Any]:
    field = create.field
    data: dict[str, Any] = {
        "object": create.object,
        "name": field.name,
        "label": field.label,
        "kind": str(field.kind),
    }
    for name in ("length", "digits", "scale", "required", "unique", "external_id", "case_sensitive"):
        if getattr(field, name):
            data[name] = getattr(field, name)
    if field.restricted:
        data["restricted"] = True
    if field.options:
        data["options"] = [
            o.value if o.label in ("", o.value) else {"value": o.value, "label": o.label} for o in field.options
        ]
    if field.references:
        data["references"] = list(field.references)
    return data


def record_type_data(created: CreateRecordType) -> dict[str, Any]:
    return {
        "object": created.object,
        "name": created.name,
        "label": created.label,
        "stages": [
            {
                "value": s.value,
                "probability": s.probability,
                "won": s.won,
                "closed": s.closed,
                "category": s.category,
            }
            for s in created.stages
        ],
    }


def blueprint_data(blueprint: Blueprint) -> dict[str, Any]:
    return {
        "source": blueprint.source,
        "target": blueprint.target,
        "order": list(blueprint.order),
        "rows": [[r.row, r.source, list(r.targets), r.cardinality, r.label] for r in blueprint.rows],
        "limits": dict(blueprint.limits),
        "creates": {
            "fields": [create_field_data(f) for f in blueprint.creates.fields],
            "record_types": [record_type_data(r) for r in blueprint.creates.record_types],
            "shared": {k: list(v) for k, v in blueprint.creates.shared.items()},
        },
        "owners": {"match": blueprint.owners.match, "not_created": blueprint.owners.not_created},
    }


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    return {
        "blueprint": blueprint_data(recipe.blueprint),
        "objects": [mapping_data(m) for m in recipe.objects.values()],
    }


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 (hex) of the meaning: comments, layout and line numbers do not count, order does."""
    return digest_of(recipe_data(recipe))
