"""`rehouse demo` from end to end, as a process; and its parts that need no server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rehouse.demo import folder as folders
from rehouse.demo.evidence import Cells, scores
from rehouse.discover.run import discover
from rehouse.errors import UserError
from rehouse.knowledge.load import load_layout
from rehouse.samples.planports import compose
from rehouse.staging.snapshot import stage


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}


def processes_with(text: str) -> list[int]:
    """Processes whose command line names `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in entry.read_bytes().decode(errors="replace"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.req("COM-SCOPE-06", "COM-MAP-07")
def test_the_demo_moves_a_company_and_says_so_in_one_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rehouse", "demo", "d", "--contacts", "100", "--json"]
    env = environment() | {"REHOUSE_TARGET_TOKEN": "somebody's real token"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["version"] == 1
    for name, book in told["books"].items():
        assert book["outcomes"], name
        assert all(sum(counts.values()) == book["source"] for counts in book["outcomes"].values()), name
    assert told["books"]["contacts"]["source"] == 100
    assert all(t["loaded"] == t["read_back"] for t in told["targets"].values())
    assert told["targets"]["Contact"]["loaded"] > 50
    assert told["flaws"]["planted"] == told["flaws"]["found"] > 50
    assert told["flaws"]["false"] == 0
    assert told["unexplained_differences"] == 0

    kill = told["kill"]
    assert kill["exit_code"] == -signal.SIGKILL
    assert 0 < kill["tasks_there"] < kill["tasks_after"] == told["targets"]["Task"]["loaded"]
    assert (kill["tasks_double"], kill["switched_off_after_resume"]) == (0, [])
    assert told["refused"]["gate"] == "map confirmed"
    assert told["story"]["back"] == told["story"]["key"]
    assert all(Path(path).is_file() for path in told["reports"])

    assert "somebody's real token" not in done.stderr
    assert "has not been tried" in done.stderr
    assert told["sandbox"]["running"] is False
    assert processes_with(told["sandbox"]["store"]) == []
    assert len(folders.make(tmp_path / "d").root.parts) > 1  # a demo's own folder may be replaced
    assert not (tmp_path / "d" / "migration").exists()


@pytest.mark.slow
@pytest.mark.sandbox
def test_a_demo_that_is_ended_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rehouse", "demo", "d", "--contacts", "100"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8", bufsize=1,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        for line in demo.stdout:
            if "process" in line and "https://127.0.0.1" in line:
                break
        demo.terminate()
        _, said = demo.communicate()
    assert demo.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert processes_with(str(tmp_path / "d" / "org")) == []


def test_only_a_demos_own_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UserError, match="no demo made it"):
        folders.make(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()

    made = folders.make(tmp_path / "demo")
    (made.migration / "deep").mkdir(parents=True)
    (made.root / "notes.txt").write_text("mine", encoding="utf-8")
    folders.make(tmp_path / "demo")
    assert not made.migration.exists()
    assert (made.root / "notes.txt").exists()


def test_scores_and_cells_come_from_the_files_themselves(tmp_path: Path) -> None:
    composed = compose(tmp_path / "sample", contacts=60, activities=40, files=12)
    layout = load_layout("planports")
    snapshot = stage(composed.export, layout, tmp_path / "staging")
    discover(snapshot, layout, tmp_path / "discovery")
    found = {s.kind: s for s in scores(composed.answer_key, tmp_path / "discovery")}
    assert {kind: s.planted for kind, s in found.items()} == composed.flaws
    assert all(s.found == s.planted and s.false == 0 for s in found.values())

    key = json.loads(composed.answer_key.read_text(encoding="utf-8"))
    key["flaws"] = [*key["flaws"][1:], {"kind": "mojibake", "object": "contacts", "key": "nobody", "field": "title"}]
    composed.answer_key.write_text(json.dumps(key), encoding="utf-8")
    changed = scores(composed.answer_key, tmp_path / "discovery")
    assert sum(s.false for s in changed) == 1
    assert sum(s.planted - s.found for s in changed) == 1

    cells = Cells(composed.workbook, snapshot.objects["contacts"])
    place, held = cells.cell("id", 4) or ("", "")
    assert place == "A4"
    assert str(held).removesuffix(".0").isdigit()
    assert cells.cell("no_such_column", 4) is None
