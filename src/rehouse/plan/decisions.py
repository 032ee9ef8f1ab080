"""What people decided, in `decisions.yaml`: who, when, why. Files decide; the ledger records their digests."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rehouse.errors import UserError
from rehouse.model.durable import digest_of, write_text


class Signed(BaseModel):
    """Somebody's decision. `at` is UTC."""

    model_config = ConfigDict(extra="forbid")
    by: str
    at: str
    reason: str = ""


class Confirmation(Signed):
    """One mapping row, confirmed as it was: `hash` is the row's, so an edit withdraws the confirmation."""

    row: str
    hash: str


class OwnerDecision(Signed):
    """A source owner's e-mail (empty: records without an owner) → the target user or queue who takes over."""

    email: str
    to: str


class RiskDecision(Signed):
    """A risk, accepted by name."""

    id: str


class AutomationDecision(Signed):
    """What happens to one automation of the target while records load."""

    id: str
    action: Literal["off", "leave"]


class IssueDecision(Signed):
    """What happens to records of one mapping row that have one kind of issue. Default: quarantine."""

    row: str
    code: str
    action: Literal["quarantine", "empty"]


class ThresholdDecision(Signed):
    """A gate's figure, changed by name and reason."""

    name: Literal["quarantine_percent", "quarantined_accounts", "quarantined_open_deals", "count_percent"]
    value: float


class Approval(Signed):
    """A sample's diff, approved: the plan it was of, its recipe, and the diff that was looked at."""

    kind: Literal["sample"]
    plan: str
    recipe: str
    diff: str


class Decisions(BaseModel):
    """All decisions of one migration. Later entries replace earlier ones about the same thing."""

    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    confirmations: list[Confirmation] = Field(default_factory=list)
    owners: list[OwnerDecision] = Field(default_factory=list)
    risks: list[RiskDecision] = Field(default_factory=list)
    automations: list[AutomationDecision] = Field(default_factory=list)
    issues: list[IssueDecision] = Field(default_factory=list)
    thresholds: list[ThresholdDecision] = Field(default_factory=list)
    approvals: list[Approval] = Field(default_factory=list)

    def confirmed(self) -> dict[str, str]:
        """Row id → the hash that was confirmed last."""
        return {c.row: c.hash for c in self.confirmations}

    def owner_of(self) -> dict[str, str]:
        """Source e-mail (lower case) → the target's user or queue, as named by the decision."""
        return {o.email.strip().lower(): o.to for o in self.owners}

    def accepted_risks(self) -> set[str]:
        return {r.id for r in self.risks}

    def automation_actions(self) -> dict[str, str]:
        return {a.id: a.action for a in self.automations}

    def emptied_issues(self) -> set[tuple[str, str]]:
        """(mapping row, issue code) pairs whose value is left empty instead of quarantining the record."""
        actions = {(i.row, i.code): i.action for i in self.issues}
        return {pair for pair, action in actions.items() if action == "empty"}

    def thresholds_now(self) -> dict[str, float]:
        """The gates' figures: the design's defaults, overlaid with what was decided."""
        defaults = {
            "quarantine_percent": 0.5,
            "quarantined_accounts": 0.0,
            "quarantined_open_deals": 0.0,
            "count_percent": 2.0,
        }
        return {**defaults, **{t.name: t.value for t in self.thresholds}}

    def recipe_part(self) -> str:
        """Digest of the decisions that change what is sent (owners and issues)."""
        return digest_of(
            {
                "owners": sorted(self.owner_of().items()),
                "issues": sorted(self.emptied_issues()),
            }
        )

    def confirm(self, entries: Iterable[Confirmation]) -> None:
        """Add confirmations, replacing earlier ones of the same rows."""
        fresh = {e.row: e for e in entries}
        self.confirmations = [c for c in self.confirmations if c.row not in fresh] + list(fresh.values())


def load_decisions(path: Path) -> Decisions:
    """Read the file; a missing one holds no decisions."""
    if not path.exists():
        return Decisions()
    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
        return Decisions.model_validate(data)
    except (YAMLError, ValidationError) as error:
        raise UserError(
            f"{path.name} cannot be read: {error}",
            hint="undo the last edit of the file; `rehouse decide` and `rehouse confirm` write it for you",
        ) from error


def save_decisions(path: Path, decisions: Decisions) -> None:
    """Write the file whole and durably."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 120
    out = io.StringIO()
    yaml.dump(decisions.model_dump(exclude_defaults=False), out)
    write_text(
        path,
        "# Who decided what, when and why. Written by `rehouse confirm` and `rehouse decide`.\n" + out.getvalue(),
    )
