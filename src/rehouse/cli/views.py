"""What the command line shows. Each function takes the data of the report of the same name and a rich console.

Results go to a console on standard output, progress and errors to one on standard error. Data never passes a
markup renderer, and characters that would move the cursor or colour the screen are shown as U+FFFD.
rich is imported when something is shown: `rehouse --help` does not pay for it.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rehouse.errors import RehouseError
from rehouse.events import Event, Note, Progress, Sink, as_dict
from rehouse.reports.figures import (
    OUTCOMES,
    PASSED,
    UNEXPLAINED,
    UNKNOWN,
    book_lines,
    certificate,
    cost_lines,
    evidence_text,
    planned_books,
    relative,
    rollback_totals,
    schema_lines,
    undecided,
    verdict_lines,
    worst_first,
)
from rehouse.reports.masking import mask_row, mask_story
from rehouse.reports.text import number, one_line, percent, size, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID
    from rich.table import Table
    from rich.text import Text

MOST_ROWS = 20
"""Rows of one table on screen; the reports hold the rest."""

GOOD, BAD, WARN, SOFT, STRONG = "green", "red", "yellow", "dim", "bold"


def plain(value: Any, style: str = "", *, indent: int = 0) -> Text:
    """A value as text of one line: never interpreted, never able to steer the terminal."""
    from rich.text import Text

    shown = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    return Text(" " * indent + ("" if value is None else one_line(shown)), style=style)


# progress -----------------------------------------------------------------------------------------------------


@contextmanager
def progress_sink(console: Console) -> Iterator[Sink]:
    """A sink that draws one bar per step and object on a terminal, and writes plain lines elsewhere."""
    if not console.is_terminal:
        lines = _Lines(console)
        try:
            yield lines
        finally:
            lines.close()
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        watcher = _Bars(bars)
        yield watcher
        watcher.close()


def figures_of(event: Progress, rate: float | None) -> str:
    """`1,200 of 3,000 · 5 rejected · 800/s`; without a total only what is done."""
    parts = [number(event.done) if event.total is None else f"{number(event.done)} of {number(event.total)}"]
    if event.rejected:
        parts.append(f"{number(event.rejected)} rejected")
    if rate:
        parts.append(f"{number(round(rate))}/s")
    return " · ".join(parts)


class _Bars:
    """Keeps a bar per step and object. Events come from several threads."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._last: dict[tuple[str, str], Progress] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case Progress():
                with self._lock:
                    self._progress(event)
            case Note(text=text):
                self._bars.console.print(plain(text, SOFT))
            case _:
                pass

    def _progress(self, event: Progress) -> None:
        key = (event.step, event.object)
        if key not in self._tasks:
            description = plain(f"{event.step} {event.object}").plain
            self._tasks[key] = self._bars.add_task(description, total=event.total, figures="")
        task = self._tasks[key]
        speed = next((t.speed for t in self._bars.tasks if t.id == task), None)
        self._bars.update(task, completed=event.done, total=event.total, figures=figures_of(event, speed))
        self._last[key] = event

    def close(self) -> None:
        """Bars whose total never became known end full."""
        with self._lock:
            for key, event in self._last.items():
                if event.total is None:
                    done = max(event.done, 1)
                    self._bars.update(self._tasks[key], completed=done, total=done, figures=figures_of(event, None))


class _Lines:
    """One line when a step of an object is through or another begins: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: Progress | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case Progress():
                    if self._open and (self._open.step, self._open.object) != (event.step, event.object):
                        self._say(self._open)
                    self._open = event
                    if event.total is not None and event.done >= event.total:
                        self._say(event)
                case Note(text=text):
                    self._console.print(plain(text), soft_wrap=True)
                case _:
                    pass

    def _say(self, event: Progress) -> None:
        self._console.print(plain(f"{event.step} {event.object}: {figures_of(event, None)}"), soft_wrap=True)
        self._open = None

    def close(self) -> None:
        """Say what is still open."""
        with self._lock:
            if self._open:
                self._say(self._open)


def json_sink() -> Sink:
    """A sink that writes one JSON object per event on standard error, as it happens."""
    lock = threading.Lock()

    def write(event: Event) -> None:
        line = json.dumps(as_dict(event), ensure_ascii=False)
        with lock:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    return write


# results ------------------------------------------------------------------------------------------------------


def show_books(
    console: Console,
    books: Mapping[str, Mapping[str, Any]],
    reasons: Iterable[Mapping[str, Any]] = (),
    *,
    planned: bool = False,
) -> None:
    """The books per object and output, then why records were not loaded."""
    first = "to load" if planned else "loaded"
    heads = [("object", ""), ("output", ""), ("source", "r"), (first, "r"), *((o, "r") for o in OUTCOMES[1:]), ("", "")]
    table = new_table("Planned outcomes" if planned else "Books", heads)
    for line in book_lines(books):
        verdict = plain("balanced", GOOD) if line["balanced"] else plain(f"sum {number(line['sum'])}", BAD)
        counts = [plain(line[o], _outcome_style(o, line[o])) for o in OUTCOMES]
        table.add_row(
            plain(line["object"]), plain(line["output"] or "no output"), plain(line["source"]), *counts, verdict
        )
    console.print(table)
    shown = [r for r in reasons if r.get("outcome") not in ("loaded", "load")]
    if shown:
        show_rows(
            console,
            "Why records were not loaded",
            [("object", ""), ("output", ""), ("outcome", ""), ("rule", ""), ("records", "r"), ("example", "")],
            shown,
        )


def show_certificate(console: Console, data: Mapping[str, Any]) -> None:
    """The certificate of a completion report's data."""
    result = certificate(data)
    console.print(plain("Done: every record is accounted for" if result["done"] else "Not done", _tone(result["done"])))
    console.print(plain(result["relative"], SOFT))
    styles = {PASSED: GOOD, UNKNOWN: WARN}
    table = new_table("", [("check", ""), ("result", ""), ("evidence", "")])
    for check in result["checks"]:
        state = plain(check["state"], styles.get(check["state"], BAD))
        table.add_row(plain(check["what"]), state, plain(check["text"]))
    console.print(table)


def show_plan(console: Console, data: Mapping[str, Any]) -> None:
    """What is undecided first, then schema, stages, planned outcomes and costs."""
    org = data.get("org", {})
    trial = " (test org)" if org.get("is_test") else ""
    console.print(plain(f"Plan {data.get('digest', '')[:16]} for {org.get('name', '')}{trial}", STRONG))
    show_undecided(console, data)
    schema = schema_lines(data.get("schema") or {})
    if schema["fields"] or schema["record_types"]:
        counts = f"{number(len(schema['fields']))} fields, {number(len(schema['record_types']))} record types"
        console.print(plain(f"Schema: {counts}"))
    for place, stage in enumerate(data.get("stages", ()), 1):
        console.print(plain(f"{place}. {stage.get('text', '')}", indent=3 - len(str(place))))
    show_books(console, planned_books(data.get("figures", {})), planned=True)
    _show_costs(console, data.get("forecast", {}))
    show_rows(
        console,
        "Issues by mapping row",
        [("row", ""), ("code", ""), ("message", ""), ("blocking", ""), ("records", "r"), ("example", "")],
        data.get("figures", {}).get("issues", ()),
    )
    for warning in data.get("warnings", ()):
        console.print(plain(f"Active while loading: {warning}", WARN))


def show_undecided(console: Console, data: Mapping[str, Any]) -> None:
    """What a person has to settle before a plan can be applied."""
    found = undecided(data)
    if not found:
        console.print(plain("Nothing is undecided.", GOOD))
        return
    table = new_table("Undecided", [("what", ""), ("count", "r"), ("detail", ""), ("how", "")])
    for row in found:
        table.add_row(plain(row["what"]), plain(row["count"], WARN), plain(row["detail"]), plain(row["hint"], SOFT))
    console.print(table)


def _show_costs(console: Console, forecast: Mapping[str, Any]) -> None:
    lines = cost_lines(forecast)
    if not lines:
        return
    table = new_table("Forecast beside limits", [("what", ""), ("forecast", "r"), ("left", "r"), ("", "")])
    for line in lines:
        figure = size if line["unit"] == "size" else number
        fits = (
            plain("limit unknown", WARN)
            if line["fits"] is None
            else plain("fits" if line["fits"] else "too much", _tone(line["fits"]))
        )
        table.add_row(plain(line["what"]), plain(figure(line["forecast"])), plain(figure(line["left"])), fits)
    console.print(table)


def show_discovery(console: Console, data: Mapping[str, Any]) -> None:
    """A discovery (`Discovery.as_dict()`): objects, findings by kind, owners, the gravest risks."""
    table = new_table("Objects", [("object", ""), ("records", "r"), ("fields", "r"), ("custom", "r"), ("filled", "r")])
    for name, facts in data.get("objects", {}).items():
        columns = [c for c in facts.get("columns", ()) if c.get("present", True)]
        fill = sum(c.get("fill_rate", 0) for c in columns) / len(columns) if columns else None
        custom = sum(bool(c.get("custom")) for c in columns)
        table.add_row(plain(name), plain(facts.get("rows")), plain(len(columns)), plain(custom), plain(percent(fill)))
    console.print(table)
    given = (data.get("completeness") or {}).get("control_totals")
    console.print(plain(relative("control totals" if given else None), SOFT))
    counts = (data.get("findings") or {}).get("counts", {})
    worst = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    show_rows(console, "Findings", [("kind", ""), ("count", "r")], [{"kind": k, "count": n} for k, n in worst])
    owners = [
        {"email": email, "status": o["status"], "records": sum(o["records"].values())}
        for email, o in data.get("owners", {}).items()
        if o.get("status") != "active"
    ]
    show_rows(console, "Owners to decide", [("email", ""), ("status", ""), ("records", "r")], owners)
    heads = [("severity", ""), ("id", ""), ("what", ""), ("count", "r"), ("mitigation", "")]
    show_rows(console, "Risks", heads, data.get("risks", ()))


def show_diff(
    console: Console, data: Mapping[str, Any], *, rows: Sequence[Mapping[str, Any]] = (), unmasked: bool = False
) -> None:
    """A diff: counts by verdict, fields that differ, the first differences (`rows`, else `data["rows"]`)."""
    verdicts = data.get("verdicts") or {}
    unexplained = data.get("unexplained", sum(verdicts.get(v, 0) for v in UNEXPLAINED))
    text = f"{number(unexplained)} unexplained differences in {number(data.get('records', 0))} records"
    console.print(plain(text, _tone(unexplained == 0)))
    for line in verdict_lines(verdicts):
        console.print(
            plain(f"{line['verdict']}: {number(line['count'])}", BAD if line["unexplained"] else "", indent=2)
        )
    heads = [("object", ""), ("field", ""), ("compared", "r"), ("equal", "r"), ("as_planned", "r"), ("different", "r")]
    show_rows(console, "Fields that differ", heads, [f for f in data.get("fields", ()) if f.get("different")])
    shown = [
        row for row in worst_first(rows or data.get("rows", ())) if row.get("verdict") not in ("equal", "as planned")
    ]
    if not unmasked:
        shown = [mask_row(row) for row in shown]
    heads = [
        ("verdict", ""),
        ("output", ""),
        ("field", ""),
        ("key", ""),
        ("source", ""),
        ("planned", ""),
        ("landed", ""),
    ]
    show_rows(console, "Differences", heads, shown)


def show_gates(console: Console, gates: Iterable[Mapping[str, Any]]) -> None:
    """Each gate, what keeps it shut, and what opens it."""
    table = new_table("Gates", [("gate", ""), ("state", ""), ("evidence", ""), ("how to open it", "")])
    for gate in gates:
        text = evidence_text(gate, 3)
        is_open = bool(gate.get("open"))
        state = plain("open" if is_open else "shut", _tone(is_open))
        table.add_row(
            plain(gate.get("gate", "")), state, plain(text), plain("" if is_open else gate.get("hint", ""), SOFT)
        )
    console.print(table)


def show_rollback(console: Console, data: Mapping[str, Any]) -> None:
    """A rollback report's data: blast radius, what is kept, what cannot be undone."""
    parts = data.get("plan") or {}
    totals = rollback_totals(parts)
    done = bool(data.get("done"))
    console.print(plain("Rolled back" if done else "Plan of a rollback: nothing has been undone yet", STRONG))
    deletes, restores = parts.get("deletes") or {}, parts.get("restores") or {}
    table = new_table("", [("object", ""), ("deletes", "r"), ("restores", "r")])
    for name in dict.fromkeys([*deletes, *restores]):
        table.add_row(plain(name), plain(deletes.get(name, 0)), plain(restores.get(name, 0)))
    table.add_row(plain("all", STRONG), plain(totals["deletes"], STRONG), plain(totals["restores"], STRONG))
    console.print(table)
    show_rows(console, "Kept", [("object", ""), ("id", ""), ("reason", "")], parts.get("kept") or ())
    for line in parts.get("cannot") or ():
        console.print(plain(f"Cannot be undone: {line}", WARN))
    for name, value in (data.get("figures") or {}).items():
        console.print(plain(f"{name}: {number(value)}"))


def show_status(console: Console, data: Mapping[str, Any]) -> None:
    """Where a migration stands: facts in the order given, `steps` (step, done, command), gates, the `next` command."""
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2))
    for name, value in data.items():
        if name in ("version", "gates", "next") or isinstance(value, Mapping | list | tuple):
            continue
        facts.add_row(plain(name.replace("_", " "), SOFT), plain(value))
    console.print(facts)
    for step in data.get("steps", ()):
        mark = plain("✓ " if step.get("done") else "· ", GOOD if step.get("done") else SOFT)
        console.print(Text.assemble("  ", mark, " ", plain(step.get("step", ""))))
    for name, value in data.items():
        if name in ("gates", "steps"):
            continue
        if isinstance(value, Mapping):
            console.print(plain(f"{name}: " + ", ".join(f"{k} {_short(v)}" for k, v in value.items())))
        elif isinstance(value, list | tuple) and value:
            console.print(plain(f"{name}:", SOFT))
            for row in value[:MOST_ROWS]:
                text = ", ".join(f"{k} {_short(v)}" for k, v in row.items()) if isinstance(row, Mapping) else row
                console.print(plain(text, indent=2))
    if data.get("gates"):
        show_gates(console, data["gates"])
    if data.get("next"):
        console.print(plain(f"Next: {data['next']}", STRONG))


def show_story(console: Console, data: Mapping[str, Any], *, unmasked: bool = False) -> None:
    """One record's whole way: what happened to it step by step, then every field. Values masked unless asked."""
    story = data if unmasked else mask_story(data)
    console.print(plain(story.get("title", ""), STRONG))
    for step in story.get("steps", ()):
        console.print(plain(f"{step.get('step', '')}: {step.get('text', '')}", indent=2))
    rows = list(story.get("fields", ()))
    shown = [
        n for n in ("output", "field", "source", "rule", "planned", "landed", "verdict") if any(n in r for r in rows)
    ]
    show_rows(console, "Fields", [(name, "") for name in shown], rows, most=len(rows))
    show_rows(
        console, "What hangs on it", [("output", ""), ("key", ""), ("id", ""), ("text", "")], story.get("related", ())
    )


def show_error(console: Console, error: RehouseError) -> None:
    """What happened, then what to do. The message keeps its lines."""
    from rich.text import Text

    console.print(Text(visible(error.message), style=BAD), soft_wrap=True)
    if error.hint:
        console.print(Text(f"→ {visible(error.hint)}"), soft_wrap=True)


# parts --------------------------------------------------------------------------------------------------------


def new_table(title: str, heads: Sequence[tuple[str, str]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=plain(title, STRONG) if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name, side in heads:
        right = side == "r"
        table.add_column(
            plain(name.replace("_", " ")), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    return table


def show_rows(
    console: Console,
    title: str,
    heads: Sequence[tuple[str, str]],
    rows: Iterable[Mapping[str, Any]],
    *,
    most: int = MOST_ROWS,
) -> None:
    """A table of the first `most` dictionaries; nothing when there are none."""
    every = list(rows)
    if not every:
        return
    table = new_table(title, heads)
    for row in every[:most]:
        table.add_row(*(plain(_short(row.get(name))) for name, _ in heads))
    console.print(table)
    if len(every) > most:
        console.print(plain(f"… and {number(len(every) - most)} more; the report holds all of them", SOFT))


def _short(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_short(n)} {name}" for name, n in value.items())
    return one_line(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value), 80)


def _outcome_style(outcome: str, count: int) -> str:
    if not count:
        return SOFT
    return {"quarantined": BAD, "waiting": WARN}.get(outcome, "")


def _tone(passed: Any) -> str:
    return GOOD if passed else BAD
