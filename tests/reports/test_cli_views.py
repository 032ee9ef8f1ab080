"""What the terminal shows: the same figures as the reports, and data that stays data."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from report_data import HOSTILE, completion, plan, rollback, sample
from rich.console import Console

from rehouse.cli import views
from rehouse.errors import GateError
from rehouse.events import Note, Progress, Reached


def screen(width: int = 160, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=terminal, color_system=None), out


def test_importing_the_views_does_not_import_rich() -> None:
    code = "import rehouse.cli.views, sys; print([m for m in ('rich', 'jinja2', 'duckdb') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "[]"


def test_books_show_what_does_not_balance_and_why() -> None:
    console, out = screen()
    data = completion()
    data["books"]["deals"]["outcomes"]["Opportunity"]["loaded"] = 1
    views.show_books(console, data["books"], data["reasons"])
    lines = out.getvalue().splitlines()
    assert any("deals" in line and "sum 2" in line for line in lines)
    assert any("contacts" in line and "585" in line and "balanced" in line for line in lines)
    assert any("LastName is required" in line and "c-0107" in line for line in lines)


def test_a_plan_starts_with_what_is_undecided() -> None:
    console, out = screen()
    views.show_plan(console, plan())
    text = out.getvalue()
    assert text.index("mapping rows without confirmation") < text.index("create 585 Contact records")
    assert "  2. switch off while loading" in text
    assert "limit unknown" in text


def test_data_never_steers_the_screen() -> None:
    console, out = screen(240)
    views.show_diff(console, sample(rows=[{"verdict": "changed", "key": "k", "source": HOSTILE}]), unmasked=True)
    views.show_plan(console, plan())
    views.show_error(console, GateError("g", "m", evidence=[HOSTILE], hint="[link=x]h[/link]"))
    text = out.getvalue()
    assert "[bold]Ayşe[/bold]" in text
    assert "[link=x]h[/link]" in text
    assert not set(text) & {"\x1b", "\u202e"}


def test_a_diff_on_screen_is_masked_unless_asked() -> None:
    console, out = screen()
    views.show_diff(console, completion()["diff"], rows=completion()["differences"])
    assert "905321234567" not in out.getvalue()
    assert "0 unexplained differences in 955 records" in out.getvalue()
    views.show_diff(console, completion()["diff"], rows=completion()["differences"], unmasked=True)
    assert "+905321234567" in out.getvalue()


def test_the_certificate_names_what_failed() -> None:
    console, out = screen()
    views.show_certificate(console, completion(ledger={"verified": False}))
    lines = out.getvalue().splitlines()
    assert lines[0] == "Not done"
    assert any("Ledger unbroken" in line and "failed" in line for line in lines)


def test_gates_rollback_status_and_discovery() -> None:
    console, out = screen()
    views.show_gates(console, plan()["gates"])
    views.show_rollback(console, rollback())
    views.show_status(
        console,
        {
            "state": "applied",
            "counts": {"plans": 2},
            "runs": [{"id": "r1"}],
            "next": "rehouse reconcile",
            "steps": [{"step": "planned", "done": True}, {"step": "applied", "done": False}],
        },
    )
    columns = [{"name": "a", "fill_rate": 0.5, "custom": True}, {"name": "b", "fill_rate": 1.0}]
    views.show_discovery(
        console,
        {
            "objects": {"contacts": {"rows": 600, "columns": columns}},
            "findings": {"counts": {"mojibake": 3}},
            "owners": {"x@y.example": {"status": "unknown", "records": {"deals": 4}}},
            "risks": [{"severity": "high", "what": "w", "count": 1, "mitigation": "m"}],
        },
    )
    text = " ".join(out.getvalue().split())
    for part in (
        "mapping shut 2 rows are not confirmed rehouse confirm",
        "quality open",
        "all 953 42",
        "Cannot be undone: notification e-mails",
        "state applied",
        "counts: plans 2",
        "✓ planned · applied",
        "Next: rehouse reconcile",
        "contacts 600 2 1 75 %",
        "complete relative to the files",
        "mojibake 3",
        "x@y.example unknown 4",
    ):
        assert part in text


def test_a_story_tells_steps_and_fields() -> None:
    console, out = screen()
    story = sample()["example"]
    views.show_story(console, story)
    text = " ".join(out.getvalue().split())
    assert "Cleaned: ••• 67 became ••• 67" in text
    assert "LastName A••• D••• last word of the name D••• D••• as planned" in text
    views.show_story(console, {**story, "fields": [{"field": "Email", "landed": "a@b.example"}]}, unmasked=True)
    assert "a@b.example" in out.getvalue()


def test_progress_in_a_pipe_is_one_line_per_step_and_object() -> None:
    console, out = screen()
    with views.progress_sink(console) as sink:
        for done in (500, 1_000, 1_500):
            sink(Progress("load", "Contact", done, 1_500, 2))
        sink(Progress("fetch", "Account", 10))
        sink(Note("waiting [b]for[/b] the daily budget", "wire"))
        sink(Reached("part.finished"))
        sink(Progress("fetch", "Account", 40))
        sink(Progress("fetch", "Contact", 7))
    assert out.getvalue().splitlines() == [
        "load Contact: 1,500 of 1,500 · 2 rejected",
        "waiting [b]for[/b] the daily budget",
        "fetch Account: 40",
        "fetch Contact: 7",
    ]


def test_progress_on_a_terminal_draws_bars() -> None:
    console, out = screen(terminal=True)
    with views.progress_sink(console) as sink:
        sink(Progress("load", "Contact[b]", 1_500, 3_000))
        sink(Note("a note"))
        sink(Reached("run.closed"))
        sink(Progress("load", "Contact[b]", 3_000, 3_000))
        sink(Progress("fetch", "Account", 40))
    text = out.getvalue()
    for part in ("load Contact[b]", "3,000 of 3,000", "fetch Account", "a note"):
        assert part in text
    assert "run.closed" not in text


def test_events_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sink = views.json_sink()
    sink(Progress("load", "Kişi", 5))
    sink(Reached("run.closed"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line) for line in captured.err.splitlines()] == [
        {"event": "progress", "step": "load", "object": "Kişi", "done": 5, "total": None, "rejected": 0},
        {"event": "reached", "point": "run.closed", "detail": ""},
    ]
