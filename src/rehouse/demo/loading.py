"""The steps that write and that verify: a sample, a load that is killed and resumed, a story, the comparison."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rehouse.connectors.base import SwitchesAutomations
from rehouse.demo.act import BY, Act
from rehouse.demo.child import Event, apply_in_child
from rehouse.demo.evidence import Cells, telling_record, way_of
from rehouse.demo.tell import SOFT, WARN, shown
from rehouse.errors import FatalError, GateError
from rehouse.plan.stages import LoadRecords, Plan

TASKS = "Task"
SAMPLE_SIZE = 150
BULK = "bulk"


def try_a_sample(act: Act) -> None:
    """A few records of every kind through the real path, then the diff, then an approval."""
    act.tell.step("rehouse sample: a few records of every kind, through the real path")
    size = min(SAMPLE_SIZE, act.composed.sizes.contacts // 2)
    with act.working("loading the sample"):
        result = act.migration.sample(size, BY)
    diff = result.diff.as_dict()
    report = act.migration.workspace.reports / "sample.json"
    verdicts = _verdicts(json.loads(report.read_text(encoding="utf-8")))
    listed = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.items())
    act.tell.say(
        f"{diff['records']:,} records were written and read back. Field by field: {listed} "
        "(as planned: the mapping changes the value, and the target holds exactly that)."
    )
    _show_differences(act, report)
    if result.diff.unexplained:
        raise GateError(
            "sample approved",
            f"the sample has {result.diff.unexplained} unexplained differences",
            hint=f"look at {report.with_suffix('.html')}",
        )
    act.facts["sample"] = {"records": diff["records"], "verdicts": verdicts, "unexplained": result.diff.unexplained}
    act.migration.approve_sample(BY, "demo: read line by line")
    act.tell.good(f"0 unexplained differences; sample approved by {BY}")


def _verdicts(report: Mapping[str, Any]) -> dict[str, int]:
    found = report.get("verdicts") or report.get("data", {}).get("verdicts") or {}
    return {str(k): int(v) for k, v in sorted(found.items(), key=lambda pair: -pair[1])}


def _show_differences(act: Act, report: Path) -> None:
    """Values that changed on the way as planned: what a person looks at."""
    data = json.loads(report.read_text(encoding="utf-8"))
    chosen: dict[str, dict[Any, Mapping[str, Any]]] = {"Contact": {}, "Opportunity": {}}
    fields = set()
    for row in data["rows"]:
        told, held = row.get("source"), row.get("landed")
        if row["verdict"] != "as planned" or row["output"] not in chosen or not told or not held or told == held:
            continue
        copied = row["field"].startswith("Legacy_")  # the same value again, kept as it was
        if not copied and (row["output"], row["field"]) not in fields and told not in chosen[row["output"]]:
            fields.add((row["output"], row["field"]))
            chosen[row["output"]][told] = row
    shown_rows = [row for found in chosen.values() for row in list(found.values())[:5]]
    if not shown_rows:
        return
    act.tell.say("Some values that look different on the other side, and were meant to:")
    act.tell.table(
        ["field", "source", "planned", "in the target"],
        [
            (f"{r['output']}.{r['field']}", _short(r["source"], 24), _short(r["planned"]), _short(r["landed"]))
            for r in shown_rows
        ],
    )


def _short(value: Any, most: int = 25) -> str:
    text = shown(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def load_and_kill(act: Act) -> None:
    """`rehouse apply` as a child process, killed in mid-load, then the same command again."""
    act.tell.step("rehouse apply, killed in the middle")
    plan = act.planned()
    stage = next(s for s in plan.stages if isinstance(s, LoadRecords) and s.object == TASKS)
    act.tell.say(f"A child process loads everything; while it loads the {stage.rows:,} tasks it gets SIGKILL.")
    left = [act.server.calls_left()]
    with act.working("loading") as sink:
        killed = apply_in_child(act.place.migration, plan.digest, BY, sink, kill_at=_in_the_tasks(stage))
    if killed.killed_at is None or killed.exit_code != -signal.SIGKILL:
        raise FatalError(f"the child ended with {killed.exit_code} before it was killed", hint="run the demo again")
    left.append(act.server.calls_left())
    at, key = _said(killed.killed_at), _key_field(plan)
    there = len(act.server.keys(TASKS, key))
    act.tell.stopped(f"killed at: {at}")
    act.tell.say(
        f"Asked over plain HTTPS, the target holds {there:,} of {stage.rows:,} tasks of ours. "
        f"Left switched off by the crash: {', '.join(_off(act)) or 'nothing'}."
    )
    if stage.kind == BULK:
        act.tell.say("The job was handed over and its answer never read: these rows are *unknown*, not lost.", SOFT)
    act.tell.say("The same command again:")
    left.append(act.server.calls_left())
    with act.working("loading") as sink:
        resumed = apply_in_child(act.place.migration, plan.digest, BY, sink)
    left.append(act.server.calls_left())
    for note in dict.fromkeys(resumed.notes):
        act.tell.line(f"· {note}", SOFT)
    keys = act.server.keys(TASKS, key)
    double, off = len(keys) - len(set(keys)), _off(act)
    act.facts["kill"] = {
        "at": dict(killed.killed_at),
        "exit_code": killed.exit_code,
        "tasks_there": there,
        "tasks_after": len(keys),
        "tasks_double": double,
        "switched_off_after_resume": off,
        "calls_by_the_org": left[0] - left[1] + left[2] - left[3],
        "refused": resumed.document.get("refused", 0),
    }
    act.tell.verdict(not double, f"{len(keys):,} tasks of ours in the target, {double} of them twice")
    act.tell.verdict(not off, f"switched off now: {', '.join(off) or 'nothing'}")


def _in_the_tasks(stage: LoadRecords) -> Callable[[Event], bool]:
    """True at the first progress of the tasks; a bulk job, one answer for all, is killed once it is committed."""

    def reached(event: Event) -> bool:
        if stage.kind == BULK:
            return (event["event"], event.get("point"), event.get("detail")) == (
                "reached",
                "part.committed",
                stage.name,
            )
        return (event["event"], event.get("step"), event.get("object")) == ("progress", "load", TASKS)

    return reached


def _said(event: Event) -> str:
    if event["event"] == "progress":
        return f"{event['done']:,} of {event['total']:,} {event['object']} records answered"
    return f"{event['detail']}: rows sent and committed, no answer read yet"


def _key_field(plan: Plan) -> str:
    found = next(c.key_field for c in plan.consignments if c.object == TASKS)
    return found or "Id"


def _off(act: Act) -> list[str]:
    """Automations that the plan switches and that are off in the target now."""
    decided = act.migration.decisions().automation_actions()
    objects = sorted({c.object for c in act.planned().consignments})
    with act.migration.target() as target:
        if not isinstance(target, SwitchesAutomations):
            return []
        return [a.name for a in target.automations(objects) if a.id in decided and not a.active]


def read_back(act: Act) -> bool:
    """One record's story, then books and diff of everything, then the plan of a rollback."""
    _story(act)
    act.tell.step("rehouse reconcile: everything is read back and compared")
    key = json.loads(act.composed.answer_key.read_text(encoding="utf-8"))
    with act.working("reading everything back"):
        result, data = act.migration.reconcile(key)
    act.facts["completion"] = data
    _books(act, data)
    diff = data["diff"]
    equal, planned = (sum(f[name] for f in diff["fields"]) for name in ("equal", "as_planned"))
    listed = "".join(f", {count:,} {verdict}" for verdict, count in diff["verdicts"].items() if count)
    act.tell.say(
        f"{diff['records']:,} records, {diff['compared_values']:,} values compared with the source through the "
        f"mapping: {equal:,} equal, {planned:,} as planned{listed}."
    )
    act.tell.verdict(not data["unbalanced"], "every source record ended in exactly one outcome per output")
    act.tell.verdict(result.diff.unexplained == 0, f"{result.diff.unexplained} unexplained differences")
    agree = all(t.get("loaded") == t.get("read_back") for t in data["targets"].values())
    act.tell.verdict(agree, "as many records read back as loaded, for every object")
    act.tell.verdict(not data["ledger"]["problems"], f"ledger of {data['ledger']['events']:,} events: chain verified")
    _costs(act, data)
    _rollback(act)
    kill = act.facts["kill"]
    return bool(result.clean and agree and not kill["tasks_double"] and not kill["switched_off_after_resume"])


def _books(act: Act, data: Mapping[str, Any]) -> None:
    rows = []
    for name, book in data["books"].items():
        for output, counts in book["outcomes"].items():
            figures = [counts.get(o, 0) for o in ("loaded", "merged", "skipped", "quarantined", "waiting")]
            rows.append((name, book["source"], output, *figures, "✓" if sum(figures) == book["source"] else "✗"))
    heads = ["source", "records#", "becomes", "loaded#", "merged#", "skipped#", "quarantined#", "waiting#", ""]
    act.tell.table(heads, rows)
    why = [r for r in data["reasons"] if r["outcome"] in ("quarantined", "waiting")]
    why.sort(key=lambda r: -r["records"])
    if why:
        act.tell.say("Why records are in quarantine, the most frequent first (the report has all):")
        heads = ["object", "becomes", "reason", "records#", "e.g."]
        act.tell.table(heads, [(r["object"], r["output"], r["rule"], r["records"], r["example"]) for r in why[:6]])


def _costs(act: Act, data: Mapping[str, Any]) -> None:
    forecast, actual = data["forecast"], data["actual"]
    loaded = sum(t["loaded"] for name, t in data["targets"].items() if name != "CustomField")
    act.tell.say("Forecast beside actual:")
    act.tell.table(
        ["", "forecast#", "by the org's own counter#", "counted by us#"],
        [
            ("API calls", forecast["calls"], act.facts["kill"]["calls_by_the_org"], actual.get("calls")),
            ("records", forecast["records"], None, loaded),
        ],
    )
    act.tell.say(
        "The forecast is for one load of everything. The org counted both processes of the load, the killed one and "
        "the resumed one; our own count has the sample in it, and what the killed one counted died with it.",
        SOFT,
    )


def _story(act: Act) -> None:
    """One contact, from the cells of the workbook to the fields of the target, and back by its key."""
    act.tell.step("rehouse explain: one contact, from the cell to the field and back")
    migration, plan = act.migration, act.planned()
    _, folder = migration.load_plan(plan.digest)
    staged = migration.snapshot().objects["contacts"]
    rid = telling_record(folder, staged, "Contact", "full_name")
    story = migration.explain("contacts", rid)
    cells = Cells(act.composed.workbook, staged)
    act.tell.say(f"{story['steps'][0]['text']} (sheet {cells.sheet}):")
    for step in story["steps"][1:]:
        act.tell.line(f"→ {step['step']}: {step['text']}")
    way = way_of(story, migration.recipe(), cells)
    act.tell.table(
        ["cell", "holds", "target field", "holds"],
        [(places, _short(held, 30), field, _short(landed, 30)) for places, held, _, field, landed in way],
    )
    back = act.server.query(f"SELECT Legacy_Id__c, Name FROM Contact WHERE Id = '{story['id']}'")
    found = str(back[0]["Legacy_Id__c"]) if back else ""
    act.tell.verdict(
        found == rid, f"and back, over plain HTTPS: Contact {story['id']} carries Legacy_Id__c {found} = row key {rid}"
    )
    act.facts["story"] = {"object": "contacts", "key": rid, "id": story["id"], "back": found, "fields": len(way)}


def _rollback(act: Act) -> None:
    act.tell.step("rehouse rollback --plan: what undoing would do (it is not done)")
    with act.working("planning the rollback"):
        undo = act.migration.rollback(BY, plan_only=True)
    data = undo.as_dict()
    act.facts["rollback_plan"] = {k: data[k] for k in ("deletes", "restores", "kept_count", "cannot")}
    deletes = ", ".join(f"{n:,} {name}" for name, n in data["deletes"].items())
    restores = ", ".join(f"{n:,} {name}" for name, n in data["restores"].items())
    act.tell.say(f"Would delete what we created: {deletes}.")
    act.tell.say(f"Would give back the values that were there before: {restores or 'none'}.")
    act.tell.say(f"Would keep, because somebody else touched it: {data['kept_count']:,}.")
    for line in data["cannot"]:
        act.tell.say(f"Cannot be undone: {line}", WARN)
