"""What the commands show a person, and what Ctrl-C leaves behind."""

from __future__ import annotations

import json

import pytest

from rehouse.cli import frame, screens
from rehouse.errors import GateError
from rehouse.workflow.status import _standing

HOSTILE = "[bold]Ayşe[/bold]\x1b[31m"


def test_data_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screens.show_decided({"decided": [f"owner {HOSTILE}"], "by": HOSTILE, "reason": ""})
    screens.show_owners({"owners": [dict.fromkeys(("email", "note", "source", "user"), HOSTILE)
                                    | {"status": "matched", "records": 3}]})  # fmt: skip
    out = capsys.readouterr().out
    assert "[bold]Ayşe[/bold]" in out
    assert "\x1b" not in out


def test_undecided_owners_end_with_the_command_that_settles_them(capsys: pytest.CaptureFixture[str]) -> None:
    owner = {"email": "a@b.example", "status": "undecided", "note": "no user", "source": "departed", "user": "",
             "records": 7}  # fmt: skip
    screens.show_owners({"owners": [owner]})
    out = capsys.readouterr().out
    assert "1 owners are not decided" in out
    assert "rehouse decide owners --departed" in out


def test_a_diff_sums_its_fields_per_output(capsys: pytest.CaptureFixture[str]) -> None:
    field = {"output": "Contact", "compared": 10, "equal": 7, "as_planned": 3, "different": 0}
    data = {"records": 10, "unexplained": 0, "verdicts": {}, "fields": [field, field], "report": "/r/sample.html"}
    screens.show_diff(data)
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.strip().startswith("Contact"))
    assert line.split() == ["Contact", "20", "14", "6", "0"]
    assert "rehouse sample --approve" in out


def test_what_needs_a_look_comes_first() -> None:
    reasons = [
        {"outcome": "merged", "records": 90},
        {"outcome": "quarantined", "records": 2},
        {"outcome": "quarantined", "records": 5},
        {"outcome": "skipped", "records": 40},
    ]
    found = [(r["outcome"], r["records"]) for r in sorted(reasons, key=screens._grave)]
    assert found == [("quarantined", 5), ("quarantined", 2), ("skipped", 40), ("merged", 90)]


@pytest.mark.parametrize("answer", [KeyboardInterrupt(), SystemExit(130), RuntimeError("Query interrupted")])
def test_every_way_to_be_interrupted_ends_with_130_and_words(
    answer: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        raise answer

    with pytest.raises(SystemExit) as ended:
        frame.guarded(run)
    assert ended.value.code == 130
    assert "run the same command again" in capsys.readouterr().err


def test_other_runtime_errors_are_not_taken_for_an_interruption() -> None:
    def run() -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        frame.guarded(run)


def test_a_shut_gate_ends_with_5(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rehouse", "apply", "--json"])

    def run() -> None:
        raise GateError("map confirmed", "3 rows", evidence=["a", "b"], hint="rehouse confirm")

    with pytest.raises(SystemExit) as ended:
        frame.guarded(run)
    assert ended.value.code == 5
    assert json.loads(capsys.readouterr().err)["evidence"] == ["a", "b"]


def test_what_was_rolled_back_no_longer_counts_as_applied() -> None:
    applied = {"run": "apply-2", "verb": "apply", "state": "done"}
    undone = {"run": "rollback-3", "verb": "rollback", "state": "rolled back"}
    again = {"run": "apply-4", "verb": "apply", "state": "done"}
    assert _standing([applied]) == [applied]
    assert _standing([applied, undone]) == []
    assert _standing([applied, undone, again]) == [again]
