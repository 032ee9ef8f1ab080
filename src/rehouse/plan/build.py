"""Make a plan: everything that decides is pure and finished before anything is written to the target."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rehouse.clock import Clock, iso
from rehouse.connectors.base import JobKind, Op, Query, Target
from rehouse.errors import MappingError
from rehouse.events import Sink
from rehouse.knowledge.load import Layout
from rehouse.mapping.check import target_faults
from rehouse.mapping.dump import recipe_digest
from rehouse.mapping.expressions import Owner
from rehouse.mapping.schema import Recipe
from rehouse.model.durable import digest_of, write_text
from rehouse.plan.binding import Binding, OwnerMatch, bind, match_owners, schema_change, used_facts
from rehouse.plan.consign import Consigning, consign
from rehouse.plan.decisions import Decisions
from rehouse.plan.engine import ident, one, open_engine, parquet, text
from rehouse.plan.fetch import fetch_to
from rehouse.plan.forecast import forecast, parts_of
from rehouse.plan.prepare import Preparation, prepare, source_rows
from rehouse.plan.schema import save_change
from rehouse.plan.stages import Consignment, CreateSchema, LoadRecords, Plan, Stage, SwitchOff, SwitchOn
from rehouse.staging.manifest import Snapshot
from rehouse.transform.locale import Locale

PLANNED = "planned.parquet"
ISSUES = "issues.parquet"
LOSSES = "losses.parquet"
OWNERS = "owners.json"
CUSTOM_FIELDS = "CustomField"
"""The route output under which the books list the source's own field definitions."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan is made of."""

    recipe: Recipe
    decisions: Decisions
    snapshot: Snapshot
    layout: Layout
    work: Path
    clock: Clock
    ours: frozenset[str] = frozenset()


def build_plan(inputs: Inputs, target: Target, sink: Sink) -> tuple[Plan, Path]:
    """Bind, prepare, consign, forecast, seal. Returns the plan and the folder that holds its consignments."""
    binding = bind(target, inputs.recipe)
    if faults := list(target_faults(inputs.recipe, binding.catalog)):
        raise MappingError(sorted(faults, key=lambda f: (f.file, f.line, f.message)))
    draft = inputs.work / "draft"
    draft.mkdir(parents=True, exist_ok=True)
    for old in draft.glob("*.parquet"):
        old.unlink()
    with open_engine(inputs.work / "scratch") as connection:
        preparation = Preparation(
            connection=connection,
            recipe=inputs.recipe,
            snapshot=inputs.snapshot,
            locale=Locale.of(inputs.layout.model_dump()),
            folder=inputs.work / "prepared",
            cache=inputs.work / "clean",
        )
        prepare(preparation, sink)
        owners = resolve_owners(preparation, binding, inputs.decisions)
        consigning = Consigning(
            preparation=preparation,
            binding=binding,
            owners={o.email: o for o in owners},
            emptied=inputs.decisions.emptied_issues(),
            existing=fetch_existing(inputs, target, binding, sink),
            folder=draft,
        )
        consign(consigning, sink)
        plan_custom_fields(consigning, inputs.layout)
        for table, name in (("planned", PLANNED), ("issues", ISSUES), ("losses", LOSSES)):
            connection.execute(f"COPY {table} TO {text(str(draft / name))} (FORMAT parquet, COMPRESSION zstd)")
        figures = plan_figures(connection, inputs.snapshot, draft)
        file_bytes = _file_bytes(connection, consigning)
    save_change(draft, schema_change(inputs.recipe))
    write_text(draft / OWNERS, json.dumps([_owner_dict(o) for o in owners], indent=1, ensure_ascii=False))
    plan = _seal(inputs, target, binding, consigning, owners, figures, file_bytes)
    folder = inputs.work / plan.digest[:16]
    if not folder.exists():
        draft.rename(folder)
    return plan, folder


def _owner_dict(owner: OwnerMatch) -> dict[str, str]:
    return {"email": owner.email, "status": owner.status, "user": owner.user_name, "note": owner.note}


def resolve_owners(preparation: Preparation, binding: Binding, decisions: Decisions) -> list[OwnerMatch]:
    """Every distinct owner of any in-scope record (and '' for records without one), matched or not."""
    emails: set[str] = set()
    for mapping, output in preparation.recipe.outputs():
        if mapping.object not in preparation.snapshot.objects:
            continue
        for node in output.fields.values():
            if isinstance(node, Owner):
                preparation.learn(node, mapping, ident(f"p_{mapping.object}"))
                sql = preparation.sql(node, mapping, output.to)
                rows = preparation.connection.execute(
                    f"SELECT DISTINCT coalesce({sql}, '') FROM {ident('p_' + mapping.object)} t"
                ).fetchall()
                emails |= {r[0] for r in rows}
    return match_owners(emails, binding.users, decisions.owner_of())


def fetch_existing(inputs: Inputs, target: Target, binding: Binding, sink: Sink) -> dict[str, Path]:
    """Records of the target that outputs with `match` may find, without those that we created ourselves."""
    found: dict[str, Path] = {}
    for _, output in inputs.recipe.outputs():
        described = binding.catalog.object(output.to)
        if output.match is None or described is None:
            continue
        names = [n for n in (*output.fields, output.key.external_id if output.key else "") if n]
        fields = [n for n in dict.fromkeys([output.match.field, *names]) if described.field(n)]
        path = inputs.work / "existing" / f"{output.name}.parquet"
        fetch_to(target, Query(output.to, tuple(fields)), path, sink, "match", without=inputs.ours)
        found[output.name] = path
    return found


def plan_custom_fields(consigning: Consigning, layout: Layout) -> None:
    """The export's own field definitions: each ends as a field of the target, or is listed as left out."""
    declared = layout.custom_fields
    snapshot = consigning.preparation.snapshot
    if declared is None or declared.object not in snapshot.objects:
        return
    columns = {(name, fold(column.header)): column.name for name, o in snapshot.objects.items() for column in o.columns}
    found = consigning.preparation.connection.execute(
        f"SELECT _rid, {ident(declared.of)}, {ident(declared.label)} FROM "
        f"{parquet(snapshot.objects[declared.object].path)}"
    ).fetchall()
    objects = {fold(sheet): name for name, o in layout.objects.items() for sheet in o.sheets}
    objects |= {fold(word): name for word, name in declared.objects.items()}
    rows = []
    for rid, of, label in found:
        name = objects.get(fold(of or ""), "")
        column = columns.get((name, fold(label or "")))
        mapped = column is not None and column in _columns_of(consigning.recipe, name)
        outcome, rule = ("load", "a field of the target holds it") if mapped else ("skipped", "not in the mapping")
        rows.append((declared.object, rid, CUSTOM_FIELDS, outcome, rule, rid, None))
    if rows:
        consigning.preparation.connection.executemany("INSERT INTO planned VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def fold(word: str) -> str:
    """A header or label for comparing: composed, trimmed, case folded."""
    return unicodedata.normalize("NFC", word).strip().casefold()


def _columns_of(recipe: Recipe, object_name: str) -> set[str]:
    from rehouse.mapping.expressions import columns_used, expand

    mapping = recipe.objects.get(object_name)
    if mapping is None:
        return set()
    return {
        column
        for output in mapping.outputs.values()
        for node in output.fields.values()
        for column in columns_used(expand(node, mapping.values))
    }


def plan_figures(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    """Counts of planned outcomes, issues and losses."""
    outcomes: dict[str, dict[str, dict[str, int]]] = {}
    for obj, output, outcome, count in connection.execute(
        "SELECT object, output, outcome, count(*) FROM planned GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        outcomes.setdefault(obj, {}).setdefault(output, {})[outcome] = count
    issues = [
        {
            "row": f"{r[0]}.{r[1]}.{r[2]}",
            "code": r[3],
            "message": r[4],
            "blocking": r[5],
            "records": r[6],
            "example": r[7],
        }
        for r in connection.execute(
            "SELECT object, output, field, code, any_value(message), blocking, count(DISTINCT rid), min(rid) "
            "FROM issues GROUP BY ALL ORDER BY blocking DESC, count(DISTINCT rid) DESC, object, output, field, code"
        ).fetchall()
    ]
    losses = [
        {"row": f"{r[0]}.{r[1]}.{r[2]}", "code": r[3], "records": r[4], "example": r[5]}
        for r in connection.execute("SELECT * FROM losses ORDER BY records DESC, object, output, field").fetchall()
    ]
    return {"source": dict(source_rows(snapshot)), "planned": outcomes, "issues": issues, "losses": losses}


def _file_bytes(connection: duckdb.DuckDBPyConnection, consigning: Consigning) -> int:
    total = 0
    for consignment in consigning.consignments:
        path = parquet(consigning.folder / consignment.file)
        columns = {r[0] for r in connection.execute(f"DESCRIBE SELECT * FROM {path}").fetchall()}
        if "_bytes" in columns:
            row = one(connection, f"SELECT coalesce(sum(CAST(_bytes AS BIGINT)), 0) FROM {path}")
            total += int(row[0]) if row else 0
    return total


def _stages(inputs: Inputs, target: Target, binding: Binding, consignments: tuple[Consignment, ...]) -> list[Stage]:
    missing = binding.missing
    fields = tuple(f"{o}.{f.name}" for o, made in missing.fields.items() for f in made)
    types = tuple(f"{t.object}.{t.name}" for t in missing.record_types)
    stages: list[Stage] = [CreateSchema(fields, types)]
    actions = inputs.decisions.automation_actions()
    off = tuple(a.id for a in binding.automations if a.active and a.can_switch and actions.get(a.id) == "off")
    if off:
        stages.append(SwitchOff(off))
    for c in consignments:
        if c.rows:
            kind = target.job_kind(c.object, Op(c.op), c.rows)
            parts = parts_of(c.rows, kind, binding.limits)
            stages.append(LoadRecords(c.name, c.output, c.object, c.op, c.rows, kind.value, parts))
    if off:
        stages.append(SwitchOn(off))
    return stages


def _seal(
    inputs: Inputs,
    target: Target,
    binding: Binding,
    consigning: Consigning,
    owners: list[OwnerMatch],
    figures: Mapping[str, Any],
    file_bytes: int,
) -> Plan:
    consignments = tuple(consigning.consignments)
    stages = _stages(inputs, target, binding, consignments)
    fields: dict[str, set[str]] = {}
    for c in consignments:
        fields.setdefault(c.object, set()).update(c.fields)
    loads = [s for s in stages if isinstance(s, LoadRecords)]
    schema = sum(len(f) for f in binding.missing.fields.values()) + len(binding.missing.record_types)
    costs = forecast(loads, binding.limits, file_bytes, 10 + schema // 5)
    open_automations = [
        f"{a.kind} {a.name} on {a.object}: {a.effect}" for a in binding.automations if a.active and a.blocks
    ]
    return Plan(
        source=inputs.recipe.blueprint.source,
        target=inputs.recipe.blueprint.target,
        org={
            "id": binding.org.id,
            "name": binding.org.name,
            "is_test": binding.org.is_test,
            "edition": binding.org.edition,
            "user": binding.org.user_name,
        },
        recipe=recipe_of(inputs.recipe, inputs.decisions),
        snapshot=inputs.snapshot.id,
        facts=used_facts(binding, inputs.recipe, fields, owners),
        consignments=consignments,
        stages=tuple(stages),
        forecast=costs.as_dict(),
        figures=figures,
        warnings=tuple(open_automations),
        made_at=iso(inputs.clock.now()),
    ).sealed()


def recipe_of(recipe: Recipe, decisions: Decisions) -> str:
    """Digest of what people approve: the mapping, and the decisions that change what is sent."""
    return digest_of([recipe_digest(recipe), decisions.recipe_part()])


def bulk_kind(kind: str) -> bool:
    """Whether a stage travels as the platform's own asynchronous job."""
    return kind == JobKind.BULK
