"""What each report is made of, gathered from the files of a migration and handed to `rehouse.reports`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from rehouse.apply.undo import Undo
from rehouse.clock import iso
from rehouse.connectors.base import Automation, SwitchesAutomations, Target
from rehouse.discover.discovery import FINDINGS, Discovery
from rehouse.knowledge.load import load_platform
from rehouse.ledger.events import AutomationOff, AutomationOn
from rehouse.plan.build import OWNERS
from rehouse.plan.engine import parquet
from rehouse.plan.stages import Plan
from rehouse.reports import write
from rehouse.reports.discovered import quality_of, scope_of
from rehouse.reports.figures import certificate
from rehouse.staging.manifest import Snapshot
from rehouse.verify.reconcile import Reconciled, table_rows
from rehouse.workflow.context import Context
from rehouse.workflow.gates import Gate
from rehouse.workflow.workspace import Workspace

NOT_TRIED = (
    "Not yet run on a live org: everything here was measured against the local sandbox server.",
    "The sandbox has no Apex and no real flows; what these would do to a load is not shown here.",
)
DIFFERENCES_SHOWN = 500
VALUES_SHOWN = 20_000


def write_discovery(workspace: Workspace, snapshot: Snapshot, found: Discovery, made_at: str) -> list[Path]:
    """The scope document and the data-quality report."""
    config = workspace.load()
    scope = scope_of(
        found.as_dict(),
        migration=config.name,
        made_at=made_at,
        platform=config.source.platform,
        label=load_platform(config.source.platform).label,
        inputs=tuple({"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in snapshot.inputs),
    )
    quality = quality_of(found.as_dict(), migration=config.name, made_at=made_at)
    return [write("scope", scope, workspace.reports)[0], write("quality", quality, workspace.reports)[0]]


def plan_data(
    migration: Context, plan: Plan, folder: Path, gates: Sequence[Gate], automations: Sequence[Automation]
) -> Path:
    """The plan report: stages, schema, owners, gates, forecast, issues, losses."""
    recipe = migration.recipe()
    confirmed = migration.decisions().confirmed()
    known = migration.rows()
    creates = recipe.blueprint.creates
    actions = migration.decisions().automation_actions()
    fields: dict[str, list[dict[str, Any]]] = {}
    for new in creates.fields:
        fields.setdefault(new.object, []).append(asdict(new.field))
    data: dict[str, Any] = {
        **plan.as_dict(),
        "migration": migration.workspace.load().name,
        "owners": json.loads((folder / OWNERS).read_text(encoding="utf-8")),
        "confirmed": {"rows": sum(1 for r in known if confirmed.get(r.id) == r.hash), "of": len(known)},
        "gates": [g.as_dict() for g in gates],
        "schema": {"fields": fields, "record_types": [asdict(t) for t in creates.record_types]},
        "automations": [{**asdict(a), "action": actions.get(a.id, "")} for a in automations],
    }
    return write("plan", data, migration.workspace.reports)[0]


def sample_data(
    migration: Context,
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    result: Reconciled,
    example: Mapping[str, Any] | None,
) -> Path:
    """The sample's field-level diff, every value with its verdict."""
    verdicts = dict(connection.execute("SELECT verdict, count(*) FROM compared GROUP BY 1").fetchall())
    figures = result.diff.as_dict()
    data = {
        "migration": migration.workspace.load().name,
        "made_at": iso(migration.clock.now()),
        "plan": plan.digest,
        "records": result.diff.records,
        "verdicts": verdicts,
        "unexplained": result.diff.unexplained,
        "fields": figures["fields"],
        "rows": table_rows(connection, "compared", VALUES_SHOWN),
        "example": example,
        "approved": None,
    }
    return write("sample", data, migration.workspace.reports)[0]


def completion_data(
    migration: Context,
    plan: Plan,
    folder: Path,
    target: Target,
    result: Reconciled,
    answer_key: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The completion report: books, diff, counts, forecast beside actual, certificate."""
    with migration.ledger(target.org(), write=False) as ledger:
        events = sum(1 for _ in ledger.events())
        head, problems = ledger.head(), ledger.verify()
        off = [r.event.name for _, r in ledger.events(AutomationOff) if isinstance(r.event, AutomationOff)]
        on = [r.event.name for _, r in ledger.events(AutomationOn) if isinstance(r.event, AutomationOn)]
        left_off = [a.name for a in ledger.automations_off()]
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW differences AS SELECT * FROM {parquet(result.diff.differences)}")
        differences = table_rows(connection, "differences", DIFFERENCES_SHOWN)
    snapshot = migration.snapshot()
    state_calls = migration.calls()
    data: dict[str, Any] = {
        "migration": migration.workspace.load().name,
        "made_at": iso(migration.clock.now()),
        "plan": plan.digest,
        "org": dict(plan.org),
        "complete": "the control totals" if snapshot.controls_given else "the files",
        "books": result.books.as_dict(),
        "unbalanced": result.books.unbalanced(),
        "reasons": result.books.reasons,
        "targets": {name: dict(figures) for name, figures in result.targets.items()},
        "controls": [{**asdict(c), "matches": c.matches} for c in snapshot.controls],
        "rollback_offered": deviating(result, migration.decisions().thresholds_now()["count_percent"]),
        "diff": result.diff.as_dict(),
        "differences": differences,
        "forecast": dict(plan.forecast),
        "actual": state_calls,
        "automations": {"off": off, "on_again": on, "left_off": left_off},
        "ledger": {"head": head, "events": events, "verified": not problems, "problems": problems},
        "flaws": flaws_found(migration, answer_key) if answer_key else None,
        "rollback": None,
        "limits_said": list(NOT_TRIED),
    }
    if isinstance(target, SwitchesAutomations):
        objects = sorted({c.object for c in plan.consignments})
        data["automations"]["active_now"] = [a.name for a in target.automations(objects) if a.active]
    data["done"] = bool(certificate(data)["done"])
    path, _ = write("completion", data, migration.workspace.reports)
    data["report"] = str(path)
    return data


def deviating(result: Reconciled, percent: float) -> list[str]:
    """Objects whose count in the target deviates from the plan by more than `percent`: rollback is offered."""
    lines = []
    for name, figures in result.targets.items():
        planned, there = figures["planned"], figures["read_back"]
        if planned and 100 * abs(planned - there) / planned > percent:
            lines.append(f"{name}: {there:,} of {planned:,} planned are there, more than {percent:g} % off")
    return lines


def flaws_found(migration: Context, answer_key: Mapping[str, Any]) -> dict[str, Any]:
    """Planted flaws against findings, by identity (kind, object, key, field). The reader never saw the key."""
    planted = {(f["kind"], f["object"], f["key"], f["field"]) for f in answer_key["flaws"]}
    path = migration.workspace.private / "discovery" / FINDINGS
    with duckdb.connect() as connection:
        found = set(
            connection.execute(
                f"SELECT kind, object, coalesce(key, ''), coalesce(field, '') FROM {parquet(path)}"
            ).fetchall()
        )
    return {
        "planted": len(planted),
        "found": len(planted & found),
        "false": len(found - planted),
        "missed": sorted(planted - found)[:20],
        "not_planted": sorted(found - planted)[:20],
    }


def approved(migration: Context, approval: Mapping[str, str]) -> None:
    """Write the approval into the sample's report."""
    path = migration.workspace.reports / "sample.json"
    if path.exists():
        data = json.loads(path.read_text(encoding="utf-8"))
        data.pop("report", None)
        write("sample", {**data, "approved": dict(approval)}, migration.workspace.reports, unmasked=True)


def rollback_data(migration: Context, undo: Undo, *, done: bool) -> Path:
    """What a rollback does, or did."""
    data = {
        "migration": migration.workspace.load().name,
        "made_at": iso(migration.clock.now()),
        "plan": undo.as_dict(),
        "done": done,
        "figures": {"kept": undo.kept_count},
    }
    return write("rollback", data, migration.workspace.reports)[0]
