"""From a report's data to its document, and from the document to JSON and HTML."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup

from rehouse.reports.charts import Bar, share_bars
from rehouse.reports.figures import OUTCOMES, UNEXPLAINED, derive, evidence_text, worst_first
from rehouse.reports.kinds import KINDS
from rehouse.reports.masking import masked
from rehouse.reports.text import number, percent, size, visible

VERSION = 1
"""Version of the JSON's shape."""

MOST_ROWS = 2_000
"""Rows of one table in a page; the JSON holds all of them."""

TITLES = {
    "scope": "Scope",
    "quality": "Data quality",
    "plan": "Plan",
    "sample": "Sample: field-level diff",
    "completion": "Completion",
    "rollback": "Rollback",
}


def document(kind: str, data: Mapping[str, Any], *, unmasked: bool = False) -> dict[str, Any]:
    """The report as plain data: what was given (masked unless asked) and, under `report`, what follows from it."""
    if kind not in KINDS:
        raise ValueError(f"no report {kind!r}; there are {', '.join(KINDS)}")
    shown = dict(data) if unmasked else masked(kind, data)
    about = {"kind": kind, "version": VERSION, "masked": not unmasked, "derived": derive(kind, data)}
    if not unmasked and kind == "plan":
        about["derived"] = derive(kind, shown)
    return {"report": about} | {name: value for name, value in shown.items() if name != "report"}


def as_json(report: Mapping[str, Any]) -> str:
    """The document as JSON text, keys in the order in which people read them."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_html(report: Mapping[str, Any]) -> str:
    """The document as one HTML page that needs nothing else: no script to be read, no file beside it."""
    kind = report["report"]["kind"]
    contents = Contents()
    plain = json.loads(as_json(report))  # the page shows what the file says, in JSON's own types
    context = {"data": plain, "derived": plain["report"]["derived"], "kind": kind, "contents": contents}
    environment = _environment()
    body = environment.get_template(f"{kind}.html.j2").render(context)
    style, script = _resource("report.css"), _resource("filter.js")
    return environment.get_template("base.html.j2").render(
        context,
        body=Markup(body),
        title=TITLES[kind],
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
    )


@dataclass(slots=True)
class Contents:
    """The sections of a page, noted down while its body is rendered."""

    sections: list[tuple[str, str]] = field(default_factory=list)

    def note(self, name: str, title: str) -> str:
        """Add a section; returns nothing to show."""
        self.sections.append((name, title))
        return ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rehouse.reports"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"figure": _figure, "size": _size, "percent": _percent, "moment": moment, "many": many}
    environment.globals |= {
        "books_chart": books_chart,
        "cost_chart": cost_chart,
        "counts_text": counts_text,
        "evidence_text": evidence_text,
        "worst_first": worst_first,
        "outcomes": OUTCOMES,
        "unexplained_verdicts": UNEXPLAINED,
        "most_rows": MOST_ROWS,
    }
    return environment


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(value) if isinstance(value, str) else value


def _figure(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else str(value) if value else "—"


def _size(value: Any) -> str:
    return size(value if isinstance(value, int) else None)


def _percent(value: Any) -> str:
    return percent(value if isinstance(value, int | float) else None)


def moment(value: Any) -> str:
    """An ISO time as people read it: `2026-01-31 12:00 UTC`."""
    text = str(value or "")
    return f"{text[:10]} {text[11:16]} UTC" if len(text) >= 16 and text[10] == "T" else text


def many(count: Any, one: str, several: str = "") -> str:
    """`1 record`, `2 records`."""
    amount = count if isinstance(count, int) else 0
    return f"{number(amount)} {one if amount == 1 else several or one + 's'}"


def counts_text(counts: Any) -> str:
    """`{"deals": 3}` as `3 deals`."""
    return ", ".join(f"{_figure(n)} {name}" for name, n in counts.items()) if isinstance(counts, dict) else ""


def books_chart(lines: Sequence[Mapping[str, Any]], name: str, *, planned: bool = False) -> Markup:
    """The books as bars: what became of the records of each object, per output."""
    parts = {o: "to load" if planned and o == "loaded" else o for o in OUTCOMES}
    bars = [
        Bar(
            f"{line['object']} → {line['output'] or 'no output'}",
            {part: line[o] for o, part in parts.items()},
            number(line["source"]),
        )
        for line in lines
    ]
    title = "Planned outcomes of every source record" if planned else "Outcomes of every source record"
    text = "Each bar is one route output; its whole width is all source records of the object."
    return share_bars(bars, tuple(parts.values()), title=title, description=text, name=name)


def cost_chart(lines: Sequence[Mapping[str, Any]], name: str) -> Markup:
    """Forecast costs as shares of what is left of each limit that is known."""
    bars = []
    for line in lines:
        if line["left"] is None:
            continue
        needed, left = line["forecast"], max(line["left"] - line["forecast"], 0)
        share = f"needs {percent(needed / line['left'])}" if line["left"] else "nothing left"
        unit = size if line["unit"] == "size" else number
        bars.append(Bar(line["what"], {"needed": needed, "left": left}, share, unit))
    if not bars:
        return Markup("")
    text = "Each bar is what is left of one limit of the target, and the part that the plan needs."
    return share_bars(bars, ("needed", "left"), title="Forecast beside limits", description=text, name=name)


@cache
def _resource(name: str) -> str:
    return files("rehouse.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
