"""The command line as a person meets it: real processes, their two streams and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rehouse.cli.app import app
from rehouse.samples.planports import compose
from rehouse.sandbox.salesforce.launch import Settings, background

TOKEN = "a-token-for-tests"


def rehouse(*words: str, cwd: Path, token: str = "") -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("REHOUSE_TARGET_")}
    env |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    if token:
        env["REHOUSE_TARGET_TOKEN"] = token
    command = [sys.executable, "-m", "rehouse", *words]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compose(tmp_path_factory.mktemp("sample"), contacts=60, activities=40, files=12).export


def test_help_names_every_verb_and_loads_nothing_heavy(tmp_path: Path) -> None:
    shown = rehouse("--help", cwd=tmp_path)
    assert shown.returncode == 0
    verbs = "new connect discover map confirm decide plan sample apply reconcile rollback explain status demo sandbox"
    assert [v for v in verbs.split() if v not in shown.stdout] == []
    code = (
        "import sys; sys.argv = ['rehouse', '--help']\n"
        "from rehouse.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('duckdb', 'pyarrow', 'pydantic', 'aiohttp', 'sqlalchemy', 'sqlglot')\n"
        "sys.stderr.write(repr([m for m in heavy if m in sys.modules]))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == "[]"


def test_errors_go_to_stderr_with_a_hint_and_their_exit_code(tmp_path: Path) -> None:
    none = rehouse("status", cwd=tmp_path)
    assert (none.returncode, none.stdout) == (1, "")
    assert "no migration folder" in none.stderr
    assert "→ make one with: rehouse new" in none.stderr
    assert rehouse("status", "--nonsense", cwd=tmp_path).returncode == 2
    told = rehouse("status", "--json", cwd=tmp_path)
    assert told.stdout == ""
    assert set(json.loads(told.stderr)) >= {"error", "message", "hint"}


def inside(*words: str) -> Result:
    """A command in this process: the same parsing and the same streams, without the price of a start."""
    done = CliRunner(env={"COLUMNS": "160"}).invoke(app, list(words))
    assert done.exception is None, done.output
    return done


def test_a_migration_is_set_up_and_stopped_at_its_gates(
    tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `new` to the plan; `apply` ends with 5 and says what opens the gate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REHOUSE_TARGET_TOKEN", TOKEN)
    with background(Settings(store=tmp_path / "org", token=TOKEN)) as server:
        made = inside("new", "acme", "--from", "planports", "--to", "salesforce", "--json")
        folder = Path(json.loads(made.stdout)["folder"])
        monkeypatch.chdir(folder)
        inside("connect", "source", str(export))
        refused = rehouse("connect", "target", "--url", server.info["url"], cwd=folder, token="wrong")
        assert refused.returncode == 1
        assert "→" in refused.stderr
        assert "Rehouse Sandbox" in inside("connect", "target", "--url", server.info["url"]).stdout
        assert TOKEN not in (folder / "rehouse.yaml").read_text(encoding="utf-8")

        found = inside("discover", "--json")
        events = [json.loads(line) for line in found.stderr.splitlines()]
        assert json.loads(found.stdout)["objects"]["contacts"]["rows"] == 60
        assert {"stage", "discover"} <= {e["step"] for e in events if e["event"] == "progress"}

        assert "contacts.Contact.Email" in inside("map", "contacts.Contact").stdout
        one = inside("confirm", "contacts.Contact.Email", "--by", "Ayşe", "--json")
        assert json.loads(one.stdout)["rows"] == 1

        plan = inside("plan").stdout
        assert "mapping rows without confirmation" in plan
        assert "facts that this report was not given" not in plan
        shut = rehouse("apply", "--by", "Ayşe", "--json", cwd=folder, token=TOKEN)
        assert (shut.returncode, shut.stdout) == (5, "")
        error = json.loads(shut.stderr.splitlines()[-1])
        assert error["gate"] == "map confirmed"
        assert "rehouse confirm" in error["hint"]

        stands = json.loads(inside("status", "--json").stdout)
        assert stands["next"] == "rehouse confirm --all --by NAME"
        assert stands["confirmed"]["rows"] == 1


def test_discovering_a_strangers_file_sets_nothing_up(tmp_path: Path, export: Path) -> None:
    done = rehouse("discover", str(export), cwd=tmp_path)
    assert done.returncode == 0
    assert "contacts" in done.stdout
    assert "duplicate_contact" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_ready_line_of_a_sandbox_is_one_json_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rehouse", "sandbox", "salesforce", "--json", "--store", str(tmp_path / "org")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        info = json.loads(process.stdout.readline())
        process.terminate()
        assert process.stdout.read() == ""
    assert process.returncode == 0
    assert info["url"].startswith("http://127.0.0.1:")
