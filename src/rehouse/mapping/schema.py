"""A recipe in memory: the blueprint of a pair and one mapping per source object. Frozen values, no I/O.

One schema serves the shipped blueprint and the mapping of one migration: a mapping is a blueprint that was
copied, completed and confirmed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rehouse.mapping.expressions import Condition, Expression
from rehouse.model import Field

Cardinality = Literal["1:1", "1:many", "many:1", "lossy"]


@dataclass(frozen=True, slots=True)
class MergeInto:
    """The row becomes no record of its own: it joins the record of `output` whose key is `by`."""

    output: str
    by: Expression


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the routing table; the first whose `when` holds decides (`when` None: `otherwise`).

    Exactly one of `to`, `skip`, `reject`, `merge_into` says what becomes of the row. `skip` and `reject`
    hold the reason: skipped rows are left out on purpose, rejected rows go to quarantine.
    """

    when: Condition | None
    to: tuple[str, ...] = ()
    rule: str = ""
    skip: str = ""
    reject: str = ""
    merge_into: MergeInto | None = None

    @property
    def fate(self) -> Literal["to", "skip", "reject", "merge"]:
        """Which of the four it is."""
        if self.merge_into is not None:
            return "merge"
        if self.skip:
            return "skip"
        return "reject" if self.reject else "to"


@dataclass(frozen=True, slots=True)
class Earliest:
    """Among merged rows: the one with the earliest moment in `of` first, rows without one last."""

    of: Expression


@dataclass(frozen=True, slots=True)
class Latest:
    """Among merged rows: the one with the latest moment in `of` first, rows without one last."""

    of: Expression


Preference = Condition | Earliest | Latest


@dataclass(frozen=True, slots=True)
class Merge:
    """many:1. Rows with the same `by` become one record; each field takes the first value in the order of
    `prefer` (rows for which a condition holds come first)."""

    by: Expression
    prefer: tuple[Preference, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """What identifies a record: an external id field filled from `from_`, or, where the object can hold no
    custom field, a natural key of several mapped fields (then `external_id` is '' and `from_` None)."""

    external_id: str = ""
    from_: Expression | None = None
    natural: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Records that are already in the target: `field` there, reduced the same way as `by`, finds them.

    `fill_empty` writes only fields that are empty in the target; `leave` links to the record and writes
    nothing.
    """

    field: str
    by: Expression
    when_found: Literal["fill_empty", "leave"] = "fill_empty"


@dataclass(frozen=True, slots=True)
class MatchOnly:
    """An output that is found in the target by `field` = `by` and never written."""

    by: Expression
    field: str


@dataclass(frozen=True, slots=True)
class Output:
    """One kind of record that a source row can become. `to` is the target object; names are unique in a
    recipe, so `<name>:<key>` identifies a record."""

    name: str
    to: str
    fields: Mapping[str, Expression] = field(default_factory=dict)
    key: Key | None = None
    merge: Merge | None = None
    match: Match | None = None
    match_only: MatchOnly | None = None


@dataclass(frozen=True, slots=True)
class ObjectMapping:
    """Everything about one source object. `values` keep the order in which they were written; `dropped`
    maps a column to the reason why it is left behind."""

    object: str
    values: Mapping[str, Expression]
    routes: tuple[Route, ...]
    outputs: Mapping[str, Output]
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairRow:
    """One row of the pair's table: what becomes of what, and how well it is supported."""

    row: str
    source: str
    targets: tuple[str, ...]
    cardinality: Cardinality
    label: str


@dataclass(frozen=True, slots=True)
class CreateField:
    """A field to create in the target before the first record."""

    object: str
    field: Field


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a sales process. `probability` in percent."""

    value: str
    probability: int
    won: bool
    closed: bool
    category: str = ""


@dataclass(frozen=True, slots=True)
class CreateRecordType:
    """A record type to create, with the stages of its own sales process in order."""

    object: str
    name: str
    label: str
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Creates:
    """What the target must get first. `shared` names objects whose fields appear on several others:
    a field created on the key exists on each object of the list."""

    fields: tuple[CreateField, ...] = ()
    record_types: tuple[CreateRecordType, ...] = ()
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owners:
    """How an owner's e-mail becomes a user of the target: `match` is the user field compared."""

    match: str = ""
    not_created: bool = True


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The pair as a whole. `order` lists source objects in the order they are transformed; `limits` are
    named integers for `{limit: name}`."""

    source: str
    target: str
    title: str
    order: tuple[str, ...]
    as_of: str = ""
    rows: tuple[PairRow, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    creates: Creates = field(default_factory=Creates)
    owners: Owners = field(default_factory=Owners)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: file name in the mapping folder, line from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """The mapping of one migration: `objects` by source object, in the blueprint's order.

    `places` tells where each row (see `rehouse.mapping.rows`) is written; it is no part of the digest.
    """

    blueprint: Blueprint
    objects: Mapping[str, ObjectMapping]
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    def outputs(self) -> Iterator[tuple[ObjectMapping, Output]]:
        """Every output with the object mapping it belongs to, in order."""
        for mapping in self.objects.values():
            for output in mapping.outputs.values():
                yield mapping, output

    def output(self, name: str) -> tuple[ObjectMapping, Output] | None:
        """The output of that name with its object mapping, or None."""
        return next(((m, o) for m, o in self.outputs() if o.name == name), None)


def digest_of(data: Any) -> str:
    """SHA-256 (hex) of plain data; the order of mappings counts, because here order has meaning."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
