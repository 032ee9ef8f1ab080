"""Which requirement is proved by which tests, and how those tests ended.

    python3 tools/coverage_req.py [--results FOLDER] [--all] [--summary]

Reads the ids from docs/reference/requirements.csv, the citations `@pytest.mark.req("…")` from the text of
the tests, and the outcomes that `pytest` wrote into the folder named by REHOUSE_REQ_REPORT.
Exit 1 when a test cites an id that does not exist or a citing test failed.
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import argparse
import ast
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "docs" / "reference" / "requirements.csv"

Citations = dict[str, set[str]]
"""Requirement id → tests, each named `path::Class::function` as pytest does, without parameters."""


def titles(path: Path = REQUIREMENTS) -> dict[str, str]:
    """Requirement id → title, in the order of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["title"] for row in csv.DictReader(file)}


def citations(root: Path = ROOT, folder: str = "tests") -> Citations:
    """Every `req` mark in the tests, on functions, classes and modules."""
    found: Citations = defaultdict(set)
    for path in sorted((root / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, ids in _marked(tree.body, path.relative_to(root).as_posix(), _module_ids(tree)):
            for one in ids:
                found[one].add(name)
    return found


def _marked(body: Sequence[ast.stmt], prefix: str, above: set[str]) -> Iterator[tuple[str, set[str]]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _marked(node.body, f"{prefix}::{node.name}", above | _ids(node.decorator_list))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            ids = above | _ids(node.decorator_list)
            if ids:
                yield f"{prefix}::{node.name}", ids


def _module_ids(tree: ast.Module) -> set[str]:
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)
    ]
    return _ids([mark for v in values for mark in (v.elts if isinstance(v, ast.List | ast.Tuple) else [v])])


def _ids(marks: Sequence[ast.expr]) -> set[str]:
    """The ids in calls such as `pytest.mark.req("COM-RB-01")`."""
    return {
        argument.value
        for mark in marks
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == "req"
        for argument in mark.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def outcomes(folder: Path | None) -> dict[str, str]:
    """Test (without parameters) → passed, failed or skipped; the worst outcome of its parameters counts."""
    rank = {"skipped": 0, "passed": 1, "failed": 2}
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.jsonl")) if folder and folder.is_dir() else []:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            test = row["test"].partition("[")[0]
            if rank[row["outcome"]] >= rank[found.get(test, "skipped")]:
                found[test] = row["outcome"]
    return found


def state(tests: set[str], ended: Mapping[str, str]) -> str:
    """One word for a requirement: failed, passed, not run, or no test."""
    seen = {ended.get(test, "not run") for test in tests}
    if "failed" in seen:
        return "failed"
    if "passed" in seen:
        return "passed"
    return "not run" if tests else "no test"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="requirements, the tests that prove them, their state")
    parser.add_argument("--results", type=Path, help="folder with the outcomes that pytest wrote")
    parser.add_argument("--all", action="store_true", help="also list requirements that no test cites")
    parser.add_argument("--summary", action="store_true", help="only the counts")
    options = parser.parse_args(arguments)
    known, cited, ended = titles(), citations(), outcomes(options.results)
    states = {one: state(cited.get(one, set()), ended) for one in known}
    if not options.summary:
        for one, title in known.items():
            if cited.get(one) or options.all:
                print(f"{one:<16}{states[one]:<9}{title}")
                for test in sorted(cited.get(one, ())):
                    print(f"{'':<16}{ended.get(test, 'not run'):<9}  {test}")
    counts = Counter(states.values())
    figures = ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "not run", "no test"))
    print(f"{len(known)} requirements: {figures}")
    unknown = sorted(set(cited) - set(known))
    for one in unknown:
        print(f"unknown id {one!r} is cited by {', '.join(sorted(cited[one]))}", file=sys.stderr)
    return 1 if unknown or counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
