"""What can only be checked with all files in hand: names across objects, outputs, and the target's catalog."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rehouse.errors import Fault
from rehouse.mapping.expressions import Lookup, Node, RecordType, columns_used, walk
from rehouse.mapping.parse import Use, nearest
from rehouse.mapping.schema import Earliest, Latest, ObjectMapping, Output, Place, Recipe
from rehouse.model import Catalog, Object

SYSTEM_COLUMNS = frozenset({"_row", "_file", "_sheet_row", "_key", "_rid", "_path", "_bytes", "_md5", "_sha256"})
"""Columns that staging adds to every object or to files."""

Layout = Mapping[str, Collection[str]]
FileUses = list[tuple[str, str, list[Use]]]
"""File name, source object, and the names used in it."""


def check(recipe: Recipe, uses: FileUses, layout: Layout | None = None, target: Catalog | None = None) -> list[Fault]:
    """All faults that span files, in no particular order."""
    return [
        *_objects(recipe, uses, layout),
        *_names(recipe, uses, layout),
        *_circles(recipe),
        *_routes(recipe),
        *(target_faults(recipe, target) if target is not None else ()),
    ]


def unused_columns(recipe: Recipe, columns: Layout) -> dict[str, list[str]]:
    """Source columns that are neither used nor dropped with a reason, by object: no fault, but undecided.

    A column that another object looks up counts as used. Objects without a mapping are left out.
    """
    looked_up: dict[str, set[str]] = {}
    for mapping in recipe.objects.values():
        for node in _all_nodes(mapping):
            if isinstance(node, Lookup):
                looked_up.setdefault(node.in_, set()).update((node.column, node.where))
    found = {}
    for name, mapping in recipe.objects.items():
        used = set(mapping.dropped) | looked_up.get(name, set())
        for node in _all_nodes(mapping):
            used |= columns_used(node)
        left = [c for c in columns.get(name, ()) if c not in used and c not in SYSTEM_COLUMNS]
        if left:
            found[name] = left
    return found


def _all_nodes(mapping: ObjectMapping) -> Iterator[Node]:
    for root in roots(mapping):
        yield from walk(root)


def roots(mapping: ObjectMapping) -> Iterator[Node]:
    """Every outermost node of a mapping."""
    yield from mapping.values.values()
    for route in mapping.routes:
        if route.when is not None:
            yield route.when
        if route.merge_into is not None:
            yield route.merge_into.by
    for output in mapping.outputs.values():
        yield from output_roots(output)


def output_roots(output: Output) -> Iterator[Node]:
    """Every outermost node of an output."""
    yield from output.fields.values()
    if output.key is not None and output.key.from_ is not None:
        yield output.key.from_
    if output.match is not None:
        yield output.match.by
    if output.match_only is not None:
        yield output.match_only.by
    if output.merge is not None:
        yield output.merge.by
        for preference in output.merge.prefer:
            yield preference.of if isinstance(preference, Earliest | Latest) else preference


# ── the checks ────────────────────────────────────────────────────────────────────────────────────────


def _objects(recipe: Recipe, uses: FileUses, layout: Layout | None) -> Iterator[Fault]:
    known = recipe.blueprint.order
    for file, name, _ in uses:
        if name not in known:
            yield Fault(file, 1, f"object {name!r} is not in the blueprint's 'order'", nearest(name, known))
        if layout is not None and name not in layout:
            yield Fault(file, 1, f"the source has no object {name!r}", nearest(name, layout))
    for name in known:
        if name not in recipe.objects:
            yield Fault("blueprint.yaml", 1, f"object {name!r} of 'order' has no mapping file")
    if layout is not None:
        for file, name, _ in uses:
            mapping = recipe.objects.get(name)
            for value in mapping.values if mapping else ():
                if value in layout.get(name, ()):
                    place = recipe.places.get(f"{name}#value.{value}", Place(file, 1))
                    yield Fault(file, place.line, f"value {value!r} hides the column of that name")


def _names(recipe: Recipe, uses: FileUses, layout: Layout | None) -> Iterator[Fault]:
    outputs = {o.name for _, o in recipe.outputs()}
    for file, owner, found in uses:
        for use in found:
            if use.kind == "limit" and use.name not in recipe.blueprint.limits:
                near = nearest(use.name, recipe.blueprint.limits)
                yield Fault(file, use.line, f"limit {use.name!r} is not in the blueprint", near)
            elif use.kind == "output" and use.name and use.name not in outputs:
                yield Fault(file, use.line, f"there is no output {use.name!r}", nearest(use.name, outputs))
            elif use.kind == "column":
                yield from _column(recipe, layout, file, use, owner)
            elif use.kind == "lookup":
                yield from _looked_up(recipe, layout, file, use)


def _column(recipe: Recipe, layout: Layout | None, file: str, use: Use, owner: str) -> Iterator[Fault]:
    mapping = recipe.objects.get(owner)
    values = mapping.values if mapping else {}
    if layout is None or owner not in layout or use.name in values or use.name in SYSTEM_COLUMNS:
        return
    if use.name not in layout[owner]:
        near = nearest(use.name, (*layout[owner], *values))
        yield Fault(file, use.line, f"object {owner!r} has no column or value {use.name!r}", near)


def _looked_up(recipe: Recipe, layout: Layout | None, file: str, use: Use) -> Iterator[Fault]:
    known = set(recipe.objects) | set(layout or ())
    if use.object not in known:
        near = nearest(use.object, known)
        yield Fault(file, use.line, f"there is no object {use.object!r} to look into", near)
        return
    yield from _column(recipe, layout, file, use, use.object)


def _circles(recipe: Recipe) -> Iterator[Fault]:
    for mapping in recipe.objects.values():
        for name, value in mapping.values.items():
            seen, waiting = set(), [c for c in columns_used(value) if c in mapping.values]
            while waiting:
                other = waiting.pop()
                if other not in seen:
                    seen.add(other)
                    waiting += [c for c in columns_used(mapping.values[other]) if c in mapping.values]
            if name in seen:
                place = recipe.places.get(f"{mapping.object}#value.{name}", Place(mapping.object, 1))
                yield Fault(place.file, place.line, f"value {name!r} is defined by itself")


def _routes(recipe: Recipe) -> Iterator[Fault]:
    filled: set[str] = set()
    for mapping in recipe.objects.values():
        own = {name for route in mapping.routes for name in route.to}
        filled |= own
        for number, route in enumerate(mapping.routes, start=1):
            place = recipe.places.get(f"{mapping.object}#route{number}", Place(mapping.object, 1))
            for name in route.to:
                if name not in mapping.outputs and recipe.output(name) is not None:
                    yield Fault(place.file, place.line, f"output {name!r} belongs to another object")
    for mapping, output in recipe.outputs():
        if output.name not in filled:
            place = _output_place(recipe, mapping, output)
            yield Fault(place.file, place.line, f"no route leads to output {output.name!r}")


def _output_place(recipe: Recipe, mapping: ObjectMapping, output: Output) -> Place:
    for part in ("key", "match"):
        if place := recipe.places.get(f"{mapping.object}.{output.name}#{part}"):
            return place
    return Place(mapping.object, 1)


# ── against the target ────────────────────────────────────────────────────────────────────────────────


def created_fields(recipe: Recipe, object_name: str) -> set[str]:
    """Names (lower case) of the fields that the recipe creates on an object, shared ones included."""
    creates = recipe.blueprint.creates
    carriers = {object_name, *(owner for owner, names in creates.shared.items() if object_name in names)}
    return {c.field.name.lower() for c in creates.fields if c.object in carriers}


def target_faults(recipe: Recipe, target: Catalog) -> Iterator[Fault]:
    """Objects, fields and record types that the recipe names, the target lacks, and the recipe does not create.

    A field that holds a record type appears in some targets with the first record type, so only its map counts.
    """
    for mapping, output in recipe.outputs():
        found = target.object(output.to)
        if found is None and output.match_only is not None:
            continue  # found by a query of its own, never described
        place = _output_place(recipe, mapping, output)
        if found is None:
            near = nearest(output.to, target.objects)
            yield Fault(place.file, place.line, f"the target has no object {output.to!r}", near)
            continue
        created = created_fields(recipe, output.to)
        for name, line in _target_fields(recipe, mapping, output):
            node = output.fields.get(name)
            if isinstance(node, RecordType):
                yield from _record_types(recipe, found, node, line)
            elif found.field(name) is None and name.lower() not in created:
                yield Fault(line.file, line.line, f"{output.to!r} has no field {name!r}", _near(name, found, recipe))


def _record_types(recipe: Recipe, found: Object, node: RecordType, place: Place) -> Iterator[Fault]:
    created = [t.name for t in recipe.blueprint.creates.record_types if t.object == found.name]
    known = [*created, *(t.name for t in found.record_types)]
    for name in sorted({name for _, name in node.map} - set(known)):
        yield Fault(place.file, place.line, f"{found.name!r} has no record type {name!r}", nearest(name, known))


def _near(name: str, found: Object, recipe: Recipe) -> str:
    created = (c.field.name for c in recipe.blueprint.creates.fields if c.object == found.name)
    return nearest(name, [*(f.name for f in found.fields), *created])


def _target_fields(recipe: Recipe, mapping: ObjectMapping, output: Output) -> Iterator[tuple[str, Place]]:
    prefix = f"{mapping.object}.{output.name}"
    for name in output.fields:
        yield name, recipe.places.get(f"{prefix}.{name}", Place(mapping.object, 1))
    if output.key is not None and output.key.external_id:
        yield output.key.external_id, recipe.places.get(f"{prefix}#key", Place(mapping.object, 1))
    place = recipe.places.get(f"{prefix}#match", Place(mapping.object, 1))
    if output.match is not None:
        yield output.match.field, place
    if output.match_only is not None:
        yield output.match_only.field, place
