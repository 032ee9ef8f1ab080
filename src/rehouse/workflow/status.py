"""Where a migration stands, read from its own files: what is done, what comes next."""

from __future__ import annotations

from typing import Any

from rehouse.errors import RehouseError
from rehouse.ledger.events import RunClosed, RunOpened
from rehouse.ledger.ledger import Ledger
from rehouse.workflow.context import Context
from rehouse.workflow.gates import map_gate

STEPS = (
    ("source connected", "rehouse connect source PATH"),
    ("target connected", "rehouse connect target --url URL"),
    ("discovered", "rehouse discover"),
    ("mapped", "rehouse map"),
    ("map confirmed", "rehouse confirm --all --by NAME"),
    ("planned", "rehouse plan"),
    ("sample loaded", "rehouse sample"),
    ("sample approved", "rehouse sample --approve --by NAME"),
    ("applied", "rehouse apply"),
    ("reconciled", "rehouse reconcile"),
)
"""The states a migration passes, in order, and the command that reaches each."""


def status_of(migration: Context) -> dict[str, Any]:
    """Plain data for the screen and for `--json`."""
    workspace = migration.workspace
    config = workspace.load()
    state = migration.state()
    reached = {
        "source connected": bool(config.source.path),
        "target connected": bool(config.target.settings),
        "discovered": bool(state.get("snapshot")),
        "mapped": (workspace.mapping / "blueprint.yaml").exists(),
        "planned": bool(state.get("plan")),
        "sample loaded": bool(state.get("sample")),
        "sample approved": bool(migration.decisions().approvals),
        "reconciled": bool(state.get("reconciled")),
    }
    confirmed = {"rows": 0, "of": 0}
    if reached["mapped"] and reached["discovered"]:
        try:
            gate = map_gate(migration.rows(), migration.decisions())
            total = len(migration.rows())
            confirmed = {"rows": total - len(gate.evidence), "of": total}
            reached["map confirmed"] = gate.open
        except RehouseError as error:
            confirmed["error"] = error.message  # type: ignore[assignment]
    runs = _runs(migration)
    reached["applied"] = any(r["verb"] == "apply" and r["state"] == "done" for r in _standing(runs))
    reached["reconciled"] = reached["reconciled"] and reached["applied"]
    steps = [{"step": name, "done": bool(reached.get(name)), "command": command} for name, command in STEPS]
    following = next((s for s in steps if not s["done"]), None)
    return {
        "version": 1,
        "migration": config.name,
        "source": config.source.platform,
        "target": config.target.platform,
        "steps": steps,
        "confirmed": confirmed,
        "runs": runs,
        "next": following["command"] if following else "",
    }


def _standing(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs whose records are still there: those after the newest rollback that ended."""
    undone = [n for n, r in enumerate(runs) if r["state"] == "rolled back"]
    return runs[undone[-1] + 1 :] if undone else runs


def _runs(migration: Context) -> list[dict[str, Any]]:
    """Runs of every org this migration wrote to, oldest first; an open one can be resumed."""
    found = []
    root = migration.workspace.ledger
    for folder in sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []:
        with Ledger.open(folder, migration.clock, write=False) as ledger:
            closed = {r.run: r.event for _, r in ledger.events(RunClosed)}
            for _, recorded in ledger.events(RunOpened):
                event, end = recorded.event, closed.get(recorded.run)
                if isinstance(event, RunOpened):
                    found.append(
                        {
                            "run": recorded.run,
                            "org": folder.name,
                            "verb": event.verb,
                            "by": event.by,
                            "at": recorded.at,
                            "plan": event.plan[:16],
                            "state": end.state if isinstance(end, RunClosed) else "open: run the same command again",
                        }
                    )
    return found
