"""The steps before anything is written to the target: compose, discover, map, a refusal, decide, plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.demo.act import BY, Act
from rehouse.demo.evidence import scores
from rehouse.demo.folder import Folder
from rehouse.demo.tell import SOFT, WARN, Teller
from rehouse.errors import FatalError, GateError
from rehouse.samples.planports import Composed, compose

PLANTED = "the sample company has flaws planted on purpose; their records are in quarantine by name and reason"
BEFORE = ("Account", "Contact", "Lead", "Opportunity", "Task", "Event")
SEED = 7
SHOWN_ROWS = (
    "contacts.Contact.FirstName",
    "contacts.Contact.AccountId",
    "deals.Opportunity.CloseDate",
    "files.ContentVersion.Title",
)


def compose_sample(tell: Teller, place: Folder, contacts: int) -> Composed:
    """The export of a company that does not exist, with an answer key to its flaws."""
    tell.step("A sample company and its export")
    with tell.working("composing the export"):
        made = compose(place.sample, contacts=contacts, seed=SEED)
    sizes = made.sizes
    tell.say(
        f"{sizes.contacts:,} contacts, {sizes.leads:,} leads, {sizes.deals:,} deals, {sizes.activities:,} activities "
        f"and {sizes.files:,} files: a workbook with Turkish headers, CSV parts, a folder of files."
    )
    tell.say(
        f"{sum(made.flaws.values()):,} flaws of {len(made.flaws)} kinds are planted in it. The answer key stays "
        "beside the export; the reader never sees it."
    )
    tell.line(str(made.workbook), SOFT)
    return made


def show_target(act: Act) -> None:
    """Connect both sides; the target is no empty org."""
    act.tell.step("The target: a sandbox server, as a process of its own")
    migration, server = act.migration, act.server
    migration.connect_source(act.composed.export, act.composed.control_totals)
    org = migration.connect_target({"url": server.url, "ca": server.ca})
    held = {name: server.count(name) for name in BEFORE}
    act.facts["before"] = held
    act.facts["org"] = {"id": org["org"], "name": org["name"]}
    listed = ", ".join(f"{count:,} {name}" for name, count in held.items() if count)
    act.tell.say(f"{org['name']} ({org['org']}) at {server.url}, process {server.process.pid}.")
    act.tell.say(
        f"It is not empty: {listed}. Some of its accounts are companies of our export, one user is inactive, "
        "and a duplicate rule refuses contacts whose e-mail it knows."
    )


def discover(act: Act) -> None:
    """Read the export and hold the findings against the answer key."""
    act.tell.step("rehouse discover: what is in the export, and what is wrong with it")
    with act.working("discovering"):
        found = act.migration.discover()
    act.tell.table(
        ["object", "records#", "columns#", "custom#"],
        [(name, facts["rows"], *_columns(facts["columns"])) for name, facts in found.objects.items()],
    )
    done = found.completeness
    act.tell.say(
        f"Against the totals from the source's own screens: {done['matching']} figures agree, "
        f"{done['differing']} differ."
    )
    kinds = scores(act.composed.answer_key, act.migration.workspace.private / "discovery")
    act.facts["flaws_by_kind"] = {s.kind: {"planted": s.planted, "found": s.found, "false": s.false} for s in kinds}
    planted, hit, false = (sum(getattr(s, n) for s in kinds) for n in ("planted", "found", "false"))
    act.facts["flaws"] = {"planted": planted, "found": hit, "false": false}
    act.tell.say("Flaws, beside the answer key:")
    half = math.ceil(len(kinds) / 2)
    rows = []
    for left, right in zip(kinds[:half], [*kinds[half:], None], strict=False):
        second = (right.kind, right.planted, right.found, right.false) if right else ("", "", "", "")
        rows.append((left.kind, left.planted, left.found, left.false, "", *second))
    head = ["kind", "planted#", "found#", "false#"]
    act.tell.table([*head, "", *head], rows)
    act.tell.verdict(hit == planted and not false, f"{hit} of {planted} planted flaws found, {false} false alarms")


def _columns(columns: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many columns the export has, and how many of them the customer added."""
    return sum(bool(c["present"]) for c in columns), sum(bool(c["custom"]) for c in columns)


def map_fields(act: Act) -> None:
    """The blueprint of the pair, completed from the data."""
    act.tell.step("rehouse map: what goes where")
    done = act.migration.map()
    listed = act.migration.map_rows()
    act.facts["mapping_rows"] = len(listed)
    act.tell.say(f"The blueprint of this pair, completed from the data, makes {len(listed)} rows. Added from the data:")
    for line in done.added:
        act.tell.line(f"+ {line}")
    act.tell.say("Some rows of it:")
    wanted = (
        "contacts.Contact.FirstName",
        "contacts.Contact.AccountId",
        "deals.Opportunity.CloseDate",
        "files.ContentVersion.Title",
    )
    shown = [r for r in listed if r["id"] in wanted]
    act.tell.table(["row", "says"], [(r["id"], r["text"]) for r in shown])


def refuse_once(act: Act) -> None:
    """Plan and try to load before anybody has confirmed anything: the gates say no."""
    act.tell.step("rehouse apply, too early: a gate says no")
    with act.working("planning"):
        act.plan, act.gates = act.migration.plan()
    try:
        with act.working("applying"):
            act.migration.apply(by=BY)
    except GateError as refusal:
        act.facts["refused"] = refusal.as_dict() | {"evidence": len(refusal.evidence)}
        act.tell.stopped(f"gate '{refusal.gate}' is shut: {refusal.message.splitlines()[0].partition(': ')[2]}")
        for line in refusal.evidence[:3]:
            act.tell.line(f"- {line}")
        act.tell.line(f"… and {len(refusal.evidence) - 3} more (exit code {refusal.exit_code})", SOFT)
        act.tell.say(f"What opens it: {refusal.hint}")
    else:
        raise FatalError("a plan was applied that nobody has confirmed", hint="this is a defect of Rehouse: report it")
    shut = [g.name for g in act.gates if not g.open]
    act.tell.say(f"Nothing was written. Shut as well: {', '.join(n for n in shut if n != 'map confirmed')}.")


def decide(act: Act) -> None:
    """Confirm the mapping, settle owners, risks and automations, by name and reason."""
    act.tell.step("rehouse confirm, rehouse decide: by name, with a reason")
    migration = act.migration
    confirmed = migration.confirm([], BY, everything=True, reason="demo: looked through in one go")
    act.tell.good(f"{len(confirmed)} mapping rows confirmed by {BY} (an edit withdraws a row's confirmation)")
    _owners(act)
    high = [str(r["id"]) for r in migration.risks() if r["severity"] == "high"]
    if high:
        migration.decide_risks(high, BY, "demo: known and looked at", accept=True)
        act.tell.good(f"high risks accepted: {', '.join(high)}")
    gate = next(g for g in act.gates if g.name == "automations decided")
    for line in gate.evidence:
        name = line.partition(": ")[0]
        migration.decide_automation(name, BY, "demo: duplicates were looked at in the quality report", off=True)
        act.tell.good(f"{name}: off while records load, put back and read back after")


def _owners(act: Act) -> None:
    migration = act.migration
    owners = migration.owners()
    open_ones = [o for o in owners if o["status"] in ("undecided", "inactive")]
    act.tell.table(
        ["owner without a successor", "in the source", "records#", "why"],
        [(o["email"] or "(no owner)", o["source"], o["records"], o["note"]) for o in open_ones if o["records"]],
    )
    heir = next(o["email"] for o in owners if o["status"] == "matched")
    for reason, which in (
        ("left the company", {"departed": True, "unknown": False, "rest": False}),
        ("nobody in the source knows this owner", {"departed": False, "unknown": True, "rest": False}),
        ("no active user in the target yet", {"departed": False, "unknown": False, "rest": True}),
    ):
        done = migration.decide_owner_group(migration.owners(), heir, BY, reason, **which)
        if done["decided"]:
            act.tell.good(f"{len(done['decided'])} owners → {heir}: {reason}")
    act.facts["owners"] = {"listed": len(owners), "decided": len(open_ones), "to": heir}
    act.tell.say(
        "The e-mail of the original owner stays in the field original_owner__c of opportunities and activities.", SOFT
    )


def plan_again(act: Act) -> None:
    """The plan with everything decided: stages, forecast, and what would be quarantined."""
    act.tell.step("rehouse plan: frozen, with a forecast")
    with act.working("planning"):
        act.plan, act.gates = act.migration.plan()
    gate = next(g for g in act.gates if g.name == "quarantine within limits")
    if not gate.open:
        act.tell.say("One more gate is shut: more records would be quarantined than the default of 0.5 % allows.", WARN)
        for line in gate.evidence:
            act.tell.line(f"- {line.partition(': ')[2] if line.startswith('quarantine_percent') else line}")
        _thresholds(act, gate.evidence)
        with act.working("planning"):
            act.plan, act.gates = act.migration.plan()
    plan = act.planned()
    act.tell.say(f"Plan {plan.digest[:16]}. It will:")
    for place, stage in enumerate(plan.as_dict()["stages"], 1):
        act.tell.line(f"{place:2}. {stage['text']}")
    cost = plan.forecast
    act.tell.say(
        f"Forecast: {cost['records']:,} records, {cost['calls']:,} of {cost['calls_left']:,} API calls left today, "
        f"{cost['storage_bytes'] / 1e6:,.1f} MB of storage. It fits."
    )
    shut = [g.name for g in act.gates if not g.open]
    act.tell.say(f"Still shut: {', '.join(shut)}. Nobody loads everything before a sample was looked at.")


def _thresholds(act: Act, evidence: tuple[str, ...]) -> None:
    """Raise each figure just as far as the planted flaws need, by name and reason."""
    needed: dict[str, float] = {}
    for line in evidence:
        name, _, text = line.partition(": ")
        if name == "quarantine_percent":
            figure = math.ceil(float(text.rpartition("(")[2].partition(" %")[0]))
        else:
            figure = int(text.partition(",")[0])
        needed[name] = max(needed.get(name, 0), figure)
    for name, value in needed.items():
        done = act.migration.decide_threshold(name, value, BY, PLANTED)
        act.tell.good(f"threshold {done['decided'][0]}")
    act.tell.say(f"By {BY}, because {PLANTED}.", SOFT)
    act.facts["thresholds"] = needed
