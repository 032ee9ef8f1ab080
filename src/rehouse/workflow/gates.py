"""The gates of the workflow: conditions that only a named person or a measured fact opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rehouse.errors import GateError
from rehouse.mapping.rows import Row
from rehouse.plan.binding import differences
from rehouse.plan.decisions import Decisions
from rehouse.plan.stages import Plan


@dataclass(frozen=True, slots=True)
class Gate:
    """`open` or not; `evidence` lists what keeps it shut, `hint` what opens it."""

    name: str
    open: bool
    message: str
    evidence: tuple[str, ...]
    hint: str

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "gate": self.name, "evidence": list(self.evidence)}

    def require(self) -> None:
        """Raise `GateError` when the gate is shut."""
        if not self.open:
            raise GateError(self.name, self.message, evidence=self.evidence, hint=self.hint)


def map_gate(rows: Sequence[Row], decisions: Decisions) -> Gate:
    """Every row of the mapping is confirmed as it stands now."""
    confirmed = decisions.confirmed()
    open_rows = [r for r in rows if confirmed.get(r.id) != r.hash]
    evidence = tuple(
        f"{r.id}: {'edited since it was confirmed' if r.id in confirmed else 'not confirmed'}" for r in open_rows
    )
    return Gate(
        "map confirmed",
        not open_rows,
        f"{len(open_rows)} of {len(rows)} mapping rows are not confirmed",
        evidence,
        "look at them with `rehouse map`, then: rehouse confirm --all --by NAME (or name single rows)",
    )


def recipe_gate(plan: Plan, recipe: str) -> Gate:
    """The plan was made of the mapping and decisions as they stand now: these are what was confirmed."""
    return Gate(
        "plan of this recipe",
        plan.recipe == recipe,
        "this plan was made of another mapping, or of other decisions, than the ones that stand now",
        (f"recipe of the plan: {plan.recipe[:12]}, of the files: {recipe[:12]}",) if plan.recipe != recipe else (),
        "make a new plan with `rehouse plan`, or undo the edit",
    )


def fate_gate(undecided: Mapping[str, Sequence[str]]) -> Gate:
    """Every column of the source has a fate: used by a mapping row, or dropped with a reason."""
    evidence = tuple(f"{name}.{column}" for name, columns in undecided.items() for column in columns)
    return Gate(
        "every column has a fate",
        not evidence,
        f"{len(evidence)} columns of the source are neither mapped nor dropped with a reason",
        evidence,
        "map the column in mapping/OBJECT.yaml, or name it under `dropped:` with the reason, and confirm",
    )


def owner_gate(owners: Sequence[Mapping[str, str]], waiting: Mapping[str, int]) -> Gate:
    """Every owner of an in-scope record is matched or decided."""
    undecided = [o for o in owners if o["status"] in ("undecided", "inactive")]
    evidence = tuple(
        f"{o['email'] or '(records without an owner)'}: {o['note']}, {waiting.get(o['email'], 0):,} records"
        for o in undecided
    )
    return Gate(
        "owners decided",
        not undecided,
        f"{len(undecided)} owners are not decided",
        evidence,
        "rehouse decide owner EMAIL --to USER-OR-E-MAIL --by NAME, or all at once: rehouse decide owners --rest --to …",
    )


def risk_gate(risks: Sequence[Mapping[str, Any]], decisions: Decisions) -> Gate:
    """No open high risk."""
    accepted = decisions.accepted_risks()
    high = [r for r in risks if r["severity"] == "high" and r["id"] not in accepted]
    return Gate(
        "high risks accepted",
        not high,
        f"{len(high)} high risks are open",
        tuple(f"{r['id']}: {r['what']} ({r.get('count', 0):,})" for r in high),
        "rehouse decide risk ID --accept --by NAME --reason WHY",
    )


def automation_gate(blocking: Sequence[Mapping[str, Any]], decisions: Decisions) -> Gate:
    """Everything in the target that may refuse records is decided: off during the load, or left on."""
    actions = decisions.automation_actions()
    undecided = [a for a in blocking if a["id"] not in actions]
    return Gate(
        "automations decided",
        not undecided,
        f"{len(undecided)} automations of the target may refuse or rewrite records",
        tuple(f"{a['id']}: {a['effect']}" for a in undecided),
        "rehouse decide automation ID --off (only while loading; it is put back) or --leave, --by NAME",
    )


def threshold_gate(plan: Plan, decisions: Decisions, open_deals: int, accounts: int) -> Gate:
    """The share of quarantined records is within what was agreed."""
    limits = decisions.thresholds_now()
    evidence = []
    for obj, outputs in plan.figures["planned"].items():
        total = plan.figures["source"].get(obj, 0)
        for output, counts in outputs.items():
            share = 100 * counts.get("quarantined", 0) / total if total else 0
            if share > limits["quarantine_percent"]:
                evidence.append(
                    f"quarantine_percent: {obj} → {output}: {counts['quarantined']:,} of {total:,} records "
                    f"({share:.2f} %), allowed {limits['quarantine_percent']:g} %"
                )
    for name, found in (("quarantined_open_deals", open_deals), ("quarantined_accounts", accounts)):
        if found > limits[name]:
            evidence.append(f"{name}: {found:,}, allowed {limits[name]:g}")
    return Gate(
        "quarantine within limits",
        not evidence,
        "more records would be quarantined than agreed",
        tuple(evidence),
        "correct the source or the mapping, or: rehouse decide threshold NAME VALUE --by NAME --reason WHY",
    )


def forecast_gate(plan: Plan) -> Gate:
    """The plan fits into the target's limits."""
    short = tuple(plan.forecast.get("shortfalls", ()))
    return Gate(
        "fits the limits",
        not short,
        "the target's limits are too small for this plan",
        short,
        "raise the limit, load fewer records, or wait until the rolling window has room",
    )


def sample_gate(plan: Plan, decisions: Decisions, sampled: Mapping[str, Any] | None) -> Gate:
    """A sample of this recipe was loaded, compared field by field, and approved by name.

    `sampled` holds the facts of the target that the approved sample's plan rested on. An approval given in a test
    org carries to another org unless something that the plan uses differs there.
    """
    approved = any(a.recipe == plan.recipe for a in decisions.approvals)
    evidence: list[str] = []
    if not approved:
        evidence = (
            ["the mapping or a decision changed since the last approval"] if decisions.approvals else ["none yet"]
        )
    elif sampled is not None:
        evidence = differences(sampled["objects"], dict(plan.facts)["objects"])
    return Gate(
        "sample approved",
        approved and not evidence,
        "the approved sample was loaded into a target that differs in what this plan uses"
        if approved
        else "no approved sample of this recipe",
        tuple(evidence),
        "rehouse sample, look at the diff, then: rehouse sample --approve --by NAME",
    )


def facts_gate(moved: Sequence[str]) -> Gate:
    """What the plan uses of the target is as it was when the plan was made."""
    return Gate(
        "target unchanged",
        not moved,
        f"{len(moved)} facts of the target that this plan uses have moved",
        tuple(moved),
        "make a new plan with `rehouse plan`; an approved sample stays approved while the recipe is the same",
    )
