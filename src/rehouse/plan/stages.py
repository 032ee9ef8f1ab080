"""A plan: recipe + snapshot + one target, frozen. Stages are a closed union that two short interpreters read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, assert_never

from rehouse.errors import UserError
from rehouse.model.durable import digest_of, write_text


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """Create what is missing: `fields` as Object.Field, `record_types` as Object.Name."""

    fields: tuple[str, ...]
    record_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """Switch approved automations off; every end, also the one after a crash, switches them on again."""

    automations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadRecords:
    """Write one consignment. `op` is insert or update, `parts` the number of jobs or requests forecast."""

    name: str
    output: str
    object: str
    op: str
    rows: int
    kind: str
    parts: int


@dataclass(frozen=True, slots=True)
class SwitchOn:
    """Put back what `SwitchOff` switched off, and read back that it is so."""

    automations: tuple[str, ...]


Stage = CreateSchema | SwitchOff | LoadRecords | SwitchOn


def explain(stage: Stage) -> str:
    """One sentence a person reads before the stage runs."""
    match stage:
        case CreateSchema(fields=(), record_types=()):
            return "look whether the schema is still there: nothing has to be created"
        case CreateSchema(fields=fields, record_types=types):
            return f"create {len(fields)} fields and {len(types)} record types, grant them to the migration user"
        case SwitchOff(automations=names):
            return f"switch off while loading: {', '.join(names)}"
        case LoadRecords(object=obj, op="insert", rows=rows, kind=kind, parts=parts):
            return f"create {rows:,} {obj} records ({kind}, {parts} part{'s' if parts != 1 else ''})"
        case LoadRecords(object=obj, rows=rows):
            return f"fill empty fields of {rows:,} existing {obj} records"
        case SwitchOn(automations=names):
            return f"switch on again and read back: {', '.join(names)}"
        case _:
            assert_never(stage)


@dataclass(frozen=True, slots=True)
class Consignment:
    """Rows ready to send to one target object. `sha256` is of the Parquet file, hashed once when written."""

    name: str
    output: str
    object: str
    op: str
    rows: int
    file: str
    sha256: str
    fields: tuple[str, ...]
    references: tuple[str, ...]
    key_field: str | None
    natural_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The frozen intent. `digest` covers everything but the time it was made and what the limits had left then."""

    source: str
    target: str
    org: Mapping[str, Any]
    recipe: str
    snapshot: str
    facts: Mapping[str, Any]
    consignments: tuple[Consignment, ...]
    stages: tuple[Stage, ...]
    forecast: Mapping[str, Any]
    figures: Mapping[str, Any]
    digest: str = ""
    made_at: str = ""
    warnings: tuple[str, ...] = field(default=())

    def consignment(self, name: str) -> Consignment:
        return next(c for c in self.consignments if c.name == name)

    def sealed(self) -> Plan:
        """This plan with its digest."""
        data = self.as_dict()
        for volatile in ("digest", "made_at"):
            data.pop(volatile)
        data["forecast"] = {k: v for k, v in data["forecast"].items() if not k.endswith("_left")}
        return Plan(**{**{f: getattr(self, f) for f in self.__slots__}, "digest": digest_of(data)})

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": 1,
            "digest": self.digest,
            "made_at": self.made_at,
            "source": self.source,
            "target": self.target,
            "org": dict(self.org),
            "recipe": self.recipe,
            "snapshot": self.snapshot,
            "facts": dict(self.facts),
            "consignments": [asdict(c) for c in self.consignments],
            "stages": [{"stage": type(s).__name__, **asdict(s), "text": explain(s)} for s in self.stages],
            "forecast": dict(self.forecast),
            "figures": dict(self.figures),
            "warnings": list(self.warnings),
        }

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.digest[:16]}.json"
        write_text(path, json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return path


_STAGES: dict[str, type[CreateSchema] | type[SwitchOff] | type[LoadRecords] | type[SwitchOn]] = {
    "CreateSchema": CreateSchema,
    "SwitchOff": SwitchOff,
    "LoadRecords": LoadRecords,
    "SwitchOn": SwitchOn,
}


def load_plan(folder: Path, reference: str) -> Plan:
    """A saved plan by its digest (at least 8 characters) or file name. Refuses one whose digest does not fit."""
    wanted = Path(reference).stem
    found = sorted(folder.glob(f"{wanted[:16]}*.json")) if len(wanted) >= 8 else []
    if len(found) != 1:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.json"))) or "none"
        raise UserError(f"no plan {reference!r}", hint=f"plans of this migration: {known}")
    data = json.loads(found[0].read_text(encoding="utf-8"))
    stages = []
    for item in data["stages"]:
        kind = _STAGES[item.pop("stage")]
        item.pop("text", None)
        stages.append(kind(**_tuples(item)))
    consignments = tuple(Consignment(**_tuples(c)) for c in data["consignments"])
    plan = Plan(
        source=data["source"],
        target=data["target"],
        org=data["org"],
        recipe=data["recipe"],
        snapshot=data["snapshot"],
        facts=data["facts"],
        consignments=consignments,
        stages=tuple(stages),
        forecast=data["forecast"],
        figures=data["figures"],
        warnings=tuple(data["warnings"]),
        made_at=data["made_at"],
    ).sealed()
    if plan.digest != data["digest"]:
        raise UserError(
            f"plan {found[0].name} was edited: its digest no longer fits its content",
            hint="plans are frozen; make a new one with `rehouse plan`",
        )
    return plan


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """JSON lists as the tuples they were."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
