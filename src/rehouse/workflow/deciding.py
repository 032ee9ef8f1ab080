"""Confirming and deciding: what people settle, singly or in bulk, by name and reason."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from rehouse.clock import Clock, iso
from rehouse.errors import UsageError, UserError
from rehouse.mapping.rows import Row, rows
from rehouse.mapping.schema import Recipe
from rehouse.plan.decisions import (
    AutomationDecision,
    Confirmation,
    Decisions,
    IssueDecision,
    OwnerDecision,
    RiskDecision,
    ThresholdDecision,
    load_decisions,
    save_decisions,
)
from rehouse.workflow.workspace import Workspace

T = TypeVar("T")


class Deciding:
    """The decisions of one migration. `Migration` adds the rest of the workflow."""

    workspace: Workspace
    clock: Clock

    def recipe(self) -> Recipe:
        """The mapping as it stands in the files."""
        raise NotImplementedError

    def risks(self) -> Sequence[Mapping[str, Any]]:
        """Risks of the last discovery."""
        raise NotImplementedError

    _read: dict[str, tuple[object, object]]
    """Files parsed already, by what they were read from: YAML with line numbers is slow to read."""

    def _once(self, name: str, paths: Sequence[Path], read: Callable[[], T]) -> T:
        """What `read` answers, read again only when one of the files has changed."""
        stamp = tuple((str(p), s.st_mtime_ns, s.st_size) for p in paths if p.exists() for s in (p.stat(),))
        known = self._read.get(name)
        if known is None or known[0] != stamp:
            known = self._read[name] = (stamp, read())
        return cast(T, known[1])

    def automations_planned(self) -> list[dict[str, Any]]:
        """Automations of the target as the last plan's report lists them; empty before the first plan."""
        path = self.workspace.reports / "plan.json"
        return list(json.loads(path.read_text(encoding="utf-8")).get("automations", [])) if path.exists() else []

    def decisions(self) -> Decisions:
        """What people decided so far; a copy, so that a change counts only once it is saved."""
        path = self.workspace.decisions
        return self._once("decisions", [path], lambda: load_decisions(path)).model_copy(deep=True)

    def rows(self) -> tuple[Row, ...]:
        """Every row of the mapping as it stands in the files."""
        return self._once("rows", sorted(self.workspace.mapping.glob("*.yaml")), lambda: rows(self.recipe()))

    def save_decisions(self, decisions: Decisions) -> None:
        save_decisions(self.workspace.decisions, decisions)

    def signed(self, by: str, reason: str = "") -> dict[str, str]:
        """Who, when and why, for a decision."""
        return {"by": by or getpass.getuser(), "at": iso(self.clock.now()), "reason": reason}

    def confirm(self, names: Sequence[str], by: str, *, everything: bool = False, reason: str = "") -> list[Row]:
        """Confirm mapping rows as they are: by id, by object (`contacts`), or all of them."""
        decisions = self.decisions()
        known = self.rows()
        chosen = [r for r in known if everything or r.id in names or r.id.split(".")[0].split("#")[0] in names]
        if not chosen:
            raise UserError("no mapping row has that name", hint="`rehouse map` lists the rows and their ids")
        signed = self.signed(by, reason)
        decisions.confirm(Confirmation(row=r.id, hash=r.hash, **signed) for r in chosen)
        self.save_decisions(decisions)
        return chosen

    def map_rows(self, begins: str = "") -> list[dict[str, Any]]:
        """Rows of the mapping with their confirmations."""
        confirmed = self.decisions().confirmed()
        return [
            {
                "id": r.id,
                "kind": r.kind,
                "text": r.text,
                "sensitive": r.sensitive,
                "confirmed": confirmed.get(r.id) == r.hash,
                "edited": r.id in confirmed and confirmed[r.id] != r.hash,
            }
            for r in self.rows()
            if r.id.startswith(begins)
        ]

    def decide_owners(self, emails: Sequence[str], to: str, by: str, reason: str) -> dict[str, Any]:
        """Records of these owners go to a user or queue of the target; '' stands for records without an owner."""
        if not to:
            raise UsageError("nobody is named to take over", hint="--to USER-OR-QUEUE")
        decisions = self.decisions()
        signed = self.signed(by, reason)
        wanted = {e.strip().lower() for e in emails}
        decisions.owners = [o for o in decisions.owners if o.email.strip().lower() not in wanted]
        decisions.owners += [OwnerDecision(email=e, to=to, **signed) for e in sorted(wanted)]
        self.save_decisions(decisions)
        return {"version": 1, "decided": [f"owner {e or '(none)'} → {to}" for e in sorted(wanted)], **signed}

    def decide_owner_group(
        self,
        owners: Sequence[Mapping[str, Any]],
        to: str,
        by: str,
        reason: str,
        *,
        departed: bool,
        unknown: bool,
        rest: bool,
    ) -> dict[str, Any]:
        """Many owners at once, out of the listing that `Migration.owners` gives."""
        unsettled = [o for o in owners if o["status"] in ("undecided", "inactive")]
        chosen = [
            o["email"]
            for o in unsettled
            if rest or (departed and o["source"] == "departed") or (unknown and o["source"] == "unknown")
        ]
        if not (departed or unknown or rest):
            raise UsageError("which owners?", hint="--departed, --unknown or --rest")
        return self.decide_owners(chosen, to, by, reason)

    def decide_risks(self, ids: Sequence[str], by: str, reason: str, *, accept: bool) -> dict[str, Any]:
        """Accept risks by name ('all': every one of the last discovery)."""
        known = {str(r["id"]) for r in self.risks()}
        wanted = known if list(ids) == ["all"] else set(ids)
        if wanted - known:
            raise UserError(
                f"no such risk: {', '.join(sorted(wanted - known))}", hint=f"risks: {', '.join(sorted(known))}"
            )
        if not accept:
            raise UsageError("a risk is only ever accepted", hint="repeat with --accept")
        decisions = self.decisions()
        signed = self.signed(by, reason)
        decisions.risks = [r for r in decisions.risks if r.id not in wanted]
        decisions.risks += [RiskDecision(id=i, **signed) for i in sorted(wanted)]
        self.save_decisions(decisions)
        return {"version": 1, "decided": [f"risk {i} accepted" for i in sorted(wanted)], **signed}

    def decide_automation(self, automation_id: str, by: str, reason: str, *, off: bool) -> dict[str, Any]:
        """Off while records load (and put back), or left on. Refused for an id that the last plan did not list."""
        known = [str(a["id"]) for a in self.automations_planned()]
        if known and automation_id not in known:
            raise UserError(f"no automation {automation_id!r}", hint=f"the plan lists: {', '.join(known)}")
        decisions = self.decisions()
        signed = self.signed(by, reason)
        action = "off" if off else "leave"
        decisions.automations = [a for a in decisions.automations if a.id != automation_id]
        decisions.automations.append(
            AutomationDecision.model_validate({"id": automation_id, "action": action, **signed})
        )
        self.save_decisions(decisions)
        return {"version": 1, "decided": [f"automation {automation_id}: {action}"], **signed}

    def decide_issue(self, row: str, code: str, by: str, reason: str, *, empty: bool) -> dict[str, Any]:
        """Load records with this issue without the value, or quarantine them."""
        if row not in {r.id for r in self.rows()}:
            raise UserError(f"no mapping row {row!r}", hint="`rehouse map` lists the rows and their ids")
        decisions = self.decisions()
        signed = self.signed(by, reason)
        action = "empty" if empty else "quarantine"
        decisions.issues = [i for i in decisions.issues if (i.row, i.code) != (row, code)]
        decisions.issues.append(IssueDecision.model_validate({"row": row, "code": code, "action": action, **signed}))
        self.save_decisions(decisions)
        return {"version": 1, "decided": [f"{row} {code}: {action}"], **signed}

    def decide_threshold(self, name: str, value: float, by: str, reason: str) -> dict[str, Any]:
        """Change a gate's figure."""
        known = self.decisions().thresholds_now()
        if name not in known:
            raise UserError(f"no threshold {name!r}", hint=f"thresholds: {', '.join(known)}")
        decisions = self.decisions()
        signed = self.signed(by, reason)
        decisions.thresholds = [t for t in decisions.thresholds if t.name != name]
        decisions.thresholds.append(ThresholdDecision.model_validate({"name": name, "value": value, **signed}))
        self.save_decisions(decisions)
        return {"version": 1, "decided": [f"{name}: {known[name]:g} → {value:g}"], **signed}
