"""The recipe tied to one target: what of its catalog, users and automations a plan uses, and whether it moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rehouse.connectors.base import (
    Automation,
    CreatesSchema,
    Limits,
    NewRecordType,
    Org,
    SchemaChange,
    Stage,
    SwitchesAutomations,
    Target,
    User,
)
from rehouse.mapping.expressions import RecordType
from rehouse.mapping.schema import Recipe
from rehouse.model import Catalog, Field


@dataclass(frozen=True, slots=True)
class Binding:
    """What was learnt about the target while planning. `missing` is the schema that has to be created."""

    org: Org
    catalog: Catalog
    users: tuple[User, ...]
    limits: Limits
    automations: tuple[Automation, ...]
    missing: SchemaChange
    record_types: Mapping[tuple[str, str], str]


def objects_used(recipe: Recipe) -> list[str]:
    """Target objects that the recipe writes to, in a stable order."""
    return sorted({o.to for m in recipe.objects.values() for o in m.outputs.values() if o.match_only is None})


def bind(target: Target, recipe: Recipe) -> Binding:
    """Ask the target for everything that planning needs. Reads only."""
    objects = objects_used(recipe)
    change = schema_change(recipe)
    can_create = isinstance(target, CreatesSchema)
    return Binding(
        org=target.org(),
        catalog=target.describe(objects),
        users=tuple(target.users()),
        limits=target.limits(),
        automations=tuple(target.automations(objects)) if isinstance(target, SwitchesAutomations) else (),
        missing=target.missing_schema(change) if isinstance(target, CreatesSchema) else change,
        record_types=target.record_type_ids(objects) if can_create and isinstance(target, CreatesSchema) else {},
    )


def schema_change(recipe: Recipe) -> SchemaChange:
    """Everything the recipe's `creates` asks for, as the connector takes it."""
    fields: dict[str, tuple[Field, ...]] = {}
    for new in recipe.blueprint.creates.fields:
        fields[new.object] = (*fields.get(new.object, ()), new.field)
    types = tuple(
        NewRecordType(
            object=t.object,
            name=t.name,
            label=t.label,
            stages=tuple(Stage(s.value, s.probability, s.closed, s.won, s.category) for s in t.stages),
        )
        for t in recipe.blueprint.creates.record_types
    )
    return SchemaChange(fields=fields, record_types=types)


def created_fields(recipe: Recipe) -> dict[tuple[str, str], Field]:
    """(target object, field name) → the field that `creates` makes there, shared fields on every object."""
    creates = recipe.blueprint.creates
    return {
        (name, new.field.name): new.field
        for new in creates.fields
        for name in creates.shared.get(new.object, (new.object,))
    }


def planned_field(binding: Binding, recipe: Recipe, object_name: str, name: str) -> Field | None:
    """The target's field as it will be when records load: as described, else as the plan creates it."""
    described = binding.catalog.object(object_name)
    found = described.field(name) if described else None
    return found or created_fields(recipe).get((object_name, name))


@dataclass(frozen=True, slots=True)
class OwnerMatch:
    """What became of one source owner. `status`: matched, decided, inactive or undecided.

    `owns` names the only objects that the chosen owner may own (a queue); empty: all.
    """

    email: str
    status: str
    user_id: str = ""
    user_name: str = ""
    note: str = ""
    owns: tuple[str, ...] = ()


def match_owners(emails: Iterable[str], users: Iterable[User], decided: Mapping[str, str]) -> list[OwnerMatch]:
    """Match owners by e-mail (case and blanks ignored); a decision by name overrides; nothing is guessed."""
    people = {u.email.strip().lower(): u for u in users if u.email and not u.is_queue}
    named = {u.name.strip().lower(): u for u in users}
    result = []
    for email in sorted(set(emails)):
        if email in decided:
            wanted = decided[email].strip().lower()
            chosen = people.get(wanted) or named.get(wanted)
            if chosen is None:
                result.append(OwnerMatch(email, "undecided", note=f"{decided[email]!r} is no user or queue there"))
            elif not chosen.active:
                result.append(OwnerMatch(email, "undecided", note=f"{decided[email]!r} is not active there"))
            else:
                result.append(OwnerMatch(email, "decided", chosen.id, chosen.name, owns=chosen.owns))
            continue
        user = people.get(email)
        if user is None:
            note = "records without an owner" if not email else "no user with this e-mail"
            result.append(OwnerMatch(email, "undecided", note=note))
        elif not user.active:
            result.append(OwnerMatch(email, "inactive", note=f"user {user.name} is not active"))
        else:
            result.append(OwnerMatch(email, "matched", user.id, user.name))
    return result


def used_facts(
    binding: Binding, recipe: Recipe, fields: Mapping[str, Iterable[str]], owners: Iterable[OwnerMatch]
) -> dict[str, Any]:
    """The facts of the target that the plan rests on, as plain data: compared again before `apply` writes.

    Fields that the plan itself creates are left out until they exist, then they must be as planned.
    """
    created = {*created_fields(recipe), *_record_type_fields(recipe)}
    objects: dict[str, Any] = {}
    for name, used in sorted(fields.items()):
        described = binding.catalog.object(name)
        facts = {}
        for field_name in sorted(used):
            field = described.field(field_name) if described else None
            if (name, field_name) in created or field is None:
                continue
            options = sorted(o.value for o in field.options if o.active) if field.restricted else []
            facts[field_name] = {
                "kind": field.kind.value,
                "length": field.length,
                "required": field.required,
                "createable": field.createable,
                "restricted_options": options,
            }
        required = sorted(f.name for f in described.fields if f.required and f.createable) if described else []
        objects[name] = {"fields": facts, "required": required}
    return {
        "org": binding.org.id,
        "user": binding.org.user_id,
        "objects": objects,
        "owners": {o.email: o.user_id for o in owners},
        "active_users": sorted({o.user_id for o in owners if o.user_id}),
        "automations": sorted([a.id, a.active] for a in binding.automations if a.blocks or a.can_switch),
    }


def _record_type_fields(recipe: Recipe) -> set[tuple[str, str]]:
    """Fields that hold a record type: they appear with the first record type, which the plan may create."""
    return {
        (output.to, name)
        for _, output in recipe.outputs()
        for name, node in output.fields.items()
        if isinstance(node, RecordType)
    }


def differences(planned: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """What moved between two sets of facts, one line each: where, what it was, what it is."""
    lines: list[str] = []
    for key in sorted({*planned, *now}):
        where = f"{path}.{key}" if path else str(key)
        before, after = planned.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += differences(before, after, where)
        elif before != after:
            lines.append(f"{where}: was {_short(before)}, is {_short(after)}")
    return lines


def _short(value: Any) -> str:
    shown = "absent" if value is None else repr(value)
    return shown if len(shown) <= 120 else shown[:117] + "…"
