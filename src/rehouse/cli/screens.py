"""What each command shows a person: the data that the command built, drawn by `rehouse.cli.views`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rehouse.cli import views
from rehouse.cli.views import BAD, GOOD, SOFT, STRONG, WARN, plain
from rehouse.errors import RehouseError
from rehouse.events import Sink
from rehouse.reports.text import number

if TYPE_CHECKING:
    from rich.console import Console

Data = Mapping[str, Any]

WIDE = 140
"""Columns of a table that no terminal limits: in a pipe or a file."""

MOST_MAP_ROWS = 400


def console_on(*, stderr: bool = False) -> Console:
    """A console that shows data as it is. Without a terminal it is wide, unless COLUMNS says otherwise."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDE
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


@contextmanager
def watching(as_json: bool) -> Iterator[Sink]:
    """A sink on standard error: JSON lines with `--json`, else progress for a person."""
    if as_json:
        yield views.json_sink()
        return
    with views.progress_sink(console_on(stderr=True)) as sink:
        yield sink


def show_error(error: RehouseError, as_json: bool) -> None:
    """An error on standard error: one JSON object, or message and hint."""
    if as_json:
        sys.stderr.write(json.dumps(error.as_dict(), ensure_ascii=False) + "\n")
    else:
        views.show_error(console_on(stderr=True), error)


def say(console: Console, text: str, style: str = "") -> None:
    """One line that may be longer than the screen: paths and commands stay whole, to be copied."""
    console.print(plain(text, style), soft_wrap=True)


def _report(console: Console, data: Data) -> None:
    if data.get("report"):
        say(console, f"Report: {data['report']}", SOFT)


def show_new(data: Data) -> None:
    """A new migration's folder and what to do in it."""
    console = console_on()
    say(console, f"{data['source']} → {data['target']}: {data['folder']}", STRONG)
    say(console, f"Next: cd {data['folder']} && rehouse connect source PATH-OF-THE-EXPORT")


def show_connected(data: Data) -> None:
    """Where the source lies, or who the target says it is."""
    console = console_on()
    if "path" in data:
        say(console, f"Source: {data['source']} export in {data['path']}")
        return
    kind = "test org or sandbox" if data["test"] else "production org"
    say(console, f"Target: {data['name']} ({data['org']}), a {kind}, signed in as {data['user']}", GOOD)
    say(console, "Next: rehouse discover")


def show_discovery(data: Data) -> None:
    """Counts, findings, owners and risks."""
    console = console_on()
    views.show_discovery(console, data)
    for warning in data.get("warnings", ()):
        say(console, f"Note: {warning}", WARN)
    for path in data.get("reports", ()):
        say(console, f"Report: {path}", SOFT)


def show_map(data: Data) -> None:
    """What was added to the mapping, then its rows with their confirmations."""
    console = console_on()
    for line in data["added"]:
        say(console, f"added: {line}")
    found = [
        {
            "row": r["id"],
            "kind": r["kind"],
            "says": r["text"],
            "tag": r["sensitive"],
            "confirmed": "edited since" if r["edited"] else "yes" if r["confirmed"] else "no",
        }
        for r in data["rows"]
    ]
    heads = [("row", ""), ("kind", ""), ("says", ""), *([("tag", "")] if any(r["tag"] for r in found) else [])]
    views.show_rows(console, "Mapping", [*heads, ("confirmed", "")], found, most=MOST_MAP_ROWS)
    done = sum(r["confirmed"] for r in data["rows"])
    say(console, f"{number(done)} of {number(len(found))} rows shown are confirmed. Files: {data['folder']}")
    if done < len(found):
        say(console, "Next: rehouse confirm ROW… --by NAME (or a whole object, or --all)")


def show_confirmed(data: Data) -> None:
    """How many rows were confirmed now and in all."""
    console = console_on()
    left = data["of"] - data["rows"]
    text = f"{number(len(data['confirmed']))} rows confirmed; {number(data['rows'])} of {number(data['of'])} in all"
    say(console, text, WARN if left else GOOD)
    say(console, "Next: rehouse map shows the rest" if left else "Next: rehouse plan")


def show_plan(data: Data) -> None:
    """The plan, then the gates it has to pass."""
    console = console_on()
    views.show_plan(console, data)
    if data.get("gates"):
        views.show_gates(console, data["gates"])
    shut = [g for g in data.get("gates", ()) if not g["open"]]
    if not shut:
        say(console, f"Next: rehouse apply {data['digest'][:16]}", STRONG)
    elif [g["gate"] for g in shut] == ["sample approved"]:
        say(console, "Next: rehouse sample", STRONG)
    _report(console, data)


def show_diff(data: Data) -> None:
    """A sample's diff and what comes next."""
    console = console_on()
    views.show_diff(console, data)
    _show_compared(console, data["fields"])
    if data["unexplained"]:
        say(
            console,
            "Every value is in the report. Correct the mapping, then: rehouse plan, rehouse sample",
            WARN,
        )
    else:
        say(console, "Next: look at the report, then rehouse sample --approve --by NAME")
    _report(console, data)


def _show_compared(console: Console, fields: Sequence[Data]) -> None:
    """Values per kind of record: how many were compared and how they came out."""
    names = ("compared", "equal", "as_planned", "different")
    sums: dict[str, dict[str, Any]] = {}
    for field in fields:
        line = sums.setdefault(field["output"], {"output": field["output"], **dict.fromkeys(names, 0)})
        for name in names:
            line[name] += field[name]
    views.show_rows(console, "Values compared", [("output", ""), *((n, "r") for n in names)], sums.values())


def show_approval(data: Data) -> None:
    """Who approved which sample."""
    console = console_on()
    say(console, f"Sample of plan {data['plan'][:16]} approved by {data['by']}", GOOD)
    say(console, f"Next: rehouse apply {data['plan'][:16]}")


def show_applied(data: Data) -> None:
    """What the target accepted and refused, per object."""
    console = console_on()
    table = [{"output": name, **counts} for name, counts in data["outputs"].items()]
    heads = [("output", ""), ("accepted", "r"), ("refused", "r")]
    views.show_rows(console, f"Loaded by run {data['run']}", heads, table)
    if data["refused"]:
        say(console, f"{number(data['refused'])} records were refused and are in quarantine", WARN)
    say(console, "Next: rehouse reconcile, which names every record that was not loaded and why")


def show_completion(data: Data) -> None:
    """Certificate, books, reasons, forecast beside actual."""
    console = console_on()
    views.show_certificate(console, data)
    views.show_books(console, data["books"], sorted(data["reasons"], key=_grave))
    views.show_diff(console, {**data["diff"], "rows": data["differences"]})
    show_costs(console, data["forecast"], data["actual"])
    for line in data["limits_said"]:
        say(console, line, SOFT)
    _report(console, data)


def _grave(reason: Data) -> tuple[int, int]:
    """Sorts what needs a look before what follows from the mapping, the most frequent first."""
    order = ("quarantined", "waiting", "skipped", "merged", "loaded")
    place = order.index(reason["outcome"]) if reason["outcome"] in order else 0
    return place, -int(reason["records"])


def show_costs(console: Console, forecast: Data, actual: Data) -> None:
    """What was forecast beside what was used."""
    names = [n for n in ("calls", "bulk_batches") if n in forecast]
    found = [{"what": n.replace("_", " "), "forecast": forecast[n], "actual": actual.get(n)} for n in names]
    views.show_rows(console, "Forecast beside actual", [("what", ""), ("forecast", "r"), ("actual", "r")], found)


def show_rollback(data: Data) -> None:
    """What a rollback does or did."""
    console = console_on()
    views.show_rollback(console, {**data, "plan": data})
    if not data["done"]:
        say(console, 'Next: rehouse rollback --confirm "NAME OF THE TARGET ORG" --by NAME')
    _report(console, data)


def show_story(data: Data) -> None:
    """One record's way, values masked."""
    views.show_story(console_on(), data)


def show_status(data: Data) -> None:
    """Where the migration stands."""
    told = data["confirmed"]
    confirmed = told.get("error") or f"{number(told['rows'])} of {number(told['of'])} mapping rows"
    runs = [f"{r['run']} by {r['by']}, {r['at'][:19].replace('T', ' ')} UTC, plan {r['plan']}: {r['state']}"
            for r in data["runs"]]  # fmt: skip
    views.show_status(console_on(), {**data, "confirmed": confirmed, "runs": runs})


def show_owners(data: Data) -> None:
    """Source owners, their records, and who has them in the target."""
    console = console_on()
    show_owner_table(console, data["owners"])
    unsettled = sum(o["status"] in ("undecided", "inactive") for o in data["owners"])
    if unsettled:
        say(console, f"{number(unsettled)} owners are not decided", WARN)
        say(console, 'Next: rehouse decide owners --departed --to USER --by NAME --reason "…"')


def show_owner_table(console: Console, owners: Sequence[Data]) -> None:
    """Owners with records or a note, undecided ones in red."""
    from rich.text import Text

    heads = [("source owner", ""), ("in the source", ""), ("records", "r"), ("in the target", ""), ("user", "")]
    table = views.new_table("Owners", heads)
    for owner in owners:
        shut = owner["status"] in ("undecided", "inactive")
        told: Text = plain(owner["note"] or owner["status"], BAD if shut else "")
        email = plain(owner["email"] or "(records without an owner)")
        table.add_row(email, plain(owner["source"]), plain(owner["records"]), told, plain(owner["user"]))
    console.print(table)


def show_decided(data: Data) -> None:
    """What was decided, by whom."""
    console = console_on()
    for line in data["decided"]:
        say(console, line)
    if not data["decided"]:
        say(console, "Nothing was left to decide")
        return
    reason = f": {data['reason']}" if data.get("reason") else ""
    say(console, f"decided by {data['by']}{reason}", SOFT)
