"""The scripts that CI leans on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Tool = Callable[[str], ModuleType]


def test_the_readme_opens_with_two_commands_that_do_everything(root: Path, tool: Tool) -> None:
    blocks = tool("readme").blocks((root / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 2
    assert all("\n" not in block.replace("\\\n", "") for block in blocks[:2])
    assert blocks[0].endswith("rehouse demo")
    assert "--tier default" in blocks[1]


def test_ci_runs_the_readme_s_blocks_rather_than_a_copy_of_them(root: Path) -> None:
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    assert "tools/readme.py 1" in script
    assert "tools/readme.py 2" in script
    assert "--tier default" not in script
    assert (root / ".ci" / "run").stat().st_mode & 0o111


def test_readme_blocks_are_found_in_order(tool: Tool) -> None:
    text = "a\n```sh\none && two\n```\n```python\nx = 1\n```\n```sh\nthree\n```\n"
    assert tool("readme").blocks(text) == ["one && two", "three"]


def test_every_marker_belongs_to_exactly_one_tier_beside_the_default(root: Path, tool: Tool) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {re.split(r"[:(]", line)[0] for line in project["tool"]["pytest"]["ini_options"]["markers"]} | {"slow"}
    in_default = {"req", "sandbox"}  # a citation; and tests of the sandbox servers, which start in a blink
    tier = tool("tier")
    tiers = tier.load()
    held = [mark for name in tiers if name != "default" for mark in tier.positive_marks(tiers[name]["marks"])]
    assert sorted(held) == sorted(declared - in_default)
    assert all(re.search(rf"\b{mark}\b", tiers["default"]["marks"]) for mark in held)
    assert tier.positive_marks(tiers["default"]["marks"]) == set()


def test_the_tiers_together_fit_into_the_ci_s_time(tool: Tool) -> None:
    tiers = tool("tier").load()
    assert sum(tier["minutes"] for tier in tiers.values()) <= 60


def test_ci_runs_every_tier(root: Path, tool: Tool) -> None:
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    loop = re.search(r"^for tier in (.*); do$", script, re.MULTILINE)
    assert loop
    assert ["default", *loop[1].split()] == list(tool("tier").load())


def test_a_tier_has_tests_when_one_file_cites_its_mark(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "test_a.py").write_text("@pytest.mark.scales\ndef test_a(): ...\n", encoding="utf-8")
    assert not tool("tier").has_tests({"scale"}, tmp_path)
    (tmp_path / "test_b.py").write_text("pytestmark = pytest.mark.scale\n", encoding="utf-8")
    assert tool("tier").has_tests({"scale"}, tmp_path)


def test_a_tier_that_takes_too_long_is_ended(tool: Tool) -> None:
    forever = [sys.executable, "-c", "import signal; signal.pause()"]
    assert tool("tier")._limited(forever, 0.01) == tool("tier").TOO_LONG


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 5], 0), ([0, 1], 1), ([124], 1), ([], 1)],
)
def test_the_run_fails_when_a_step_failed_or_nothing_ran(
    tmp_path: Path, tool: Tool, codes: list[int], expected: int
) -> None:
    file = tmp_path / "steps"
    file.write_text("".join(f"step{i}\t60\t{code}\n" for i, code in enumerate(codes)), encoding="utf-8")
    assert tool("minutes").main([str(file)]) == expected


def test_the_table_names_an_empty_tier_and_a_budget_that_was_exceeded(tool: Tool) -> None:
    minutes = tool("minutes")
    text = minutes.table([minutes.Step("default", 240, 0), minutes.Step("scale", 1, 5)])
    assert re.search(r"^default +4\.0 +passed +over its budget of 3 minutes$", text, re.MULTILINE)
    assert re.search(r"^scale +0\.0 +no tests yet$", text, re.MULTILINE)


def test_citations_are_read_from_functions_classes_and_modules(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        "pytestmark = [pytest.mark.sandbox, pytest.mark.req('A-1')]\n"
        "@pytest.mark.req('A-2', 'A-3')\n"
        "class TestX:\n"
        "    @pytest.mark.req('A-4')\n"
        "    def test_y(self): assert True\n"
        "def test_z(): assert True\n",
        encoding="utf-8",
    )
    y, z = "tests/test_x.py::TestX::test_y", "tests/test_x.py::test_z"
    found = tool("coverage_req").citations(tmp_path)
    assert found == {"A-1": {y, z}, "A-2": {y}, "A-3": {y}, "A-4": {y}}


def test_one_failed_test_fails_its_requirement(tmp_path: Path, tool: Tool) -> None:
    rows = [("t.py::a[1]", "passed"), ("t.py::a[2]", "failed"), ("t.py::b", "passed"), ("t.py::c", "skipped")]
    lines = "\n".join(json.dumps({"test": test, "outcome": outcome}) for test, outcome in rows)
    (tmp_path / "1.jsonl").write_text(lines, encoding="utf-8")
    coverage = tool("coverage_req")
    ended = coverage.outcomes(tmp_path)
    assert coverage.state({"t.py::a", "t.py::b"}, ended) == "failed"
    assert coverage.state({"t.py::b", "t.py::never"}, ended) == "passed"
    assert coverage.state({"t.py::never"}, ended) == "not run"
    assert coverage.state(set(), ended) == "no test"


def test_every_cited_requirement_exists(tool: Tool) -> None:
    coverage = tool("coverage_req")
    cited = coverage.citations()
    known = coverage.titles()
    assert {one: sorted(tests) for one, tests in cited.items() if one not in known} == {}


def test_requirement_titles_are_short_and_ids_are_given_once(root: Path, tool: Tool) -> None:
    titles = tool("coverage_req").titles()
    lines = (root / "docs" / "reference" / "requirements.csv").read_text(encoding="utf-8").splitlines()
    assert len(titles) == len(lines) - 1 > 900
    assert {one: title for one, title in titles.items() if not 3 <= len(title) <= 90} == {}


def test_outcomes_reach_the_report_through_pytest(tmp_path: Path, root: Path, tool: Tool) -> None:
    """A real pytest run writes what the coverage reads, also when tests run in parallel processes."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tiers.toml").write_bytes((root / "tools" / "tiers.toml").read_bytes())
    (folder / "conftest.py").write_bytes((root / "tests" / "conftest.py").read_bytes())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    scale: large\n", encoding="utf-8")
    (folder / "test_one.py").write_text(
        "import pytest\n"
        "def test_good(): assert True\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.scale\n"
        "def test_heavy(): assert False\n",
        encoding="utf-8",
    )
    report = tmp_path / "report"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "--tier", "default"]
    ended = subprocess.run(
        [*command, "tests"],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "REHOUSE_REQ_REPORT": str(report),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert tool("coverage_req").outcomes(report) == {
        "tests/test_one.py::test_good": "passed",
        "tests/test_one.py::test_bad": "failed",
    }
