"""Run one tier of tests as tools/tiers.toml describes it: environment, server, pytest, time limit.

    python3 tools/tier.py postgres

Exit: pytest's own code; 5 where no test carries the tier's marks; 124 when the tier took longer than its limit.
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from environment import make

ROOT = Path(__file__).resolve().parent.parent
TIERS = ROOT / "tools" / "tiers.toml"
NO_TESTS, TOO_LONG = 5, 124
_GRACE_SECONDS = 45


def load() -> dict[str, dict[str, Any]]:
    """The tiers by name, in the order of the file."""
    with TIERS.open("rb") as file:
        return tomllib.load(file)


def positive_marks(expression: str) -> set[str]:
    """The markers a test may carry to be selected: the names before the first `not`."""
    return set(re.findall(r"\w+", expression.partition("not")[0])) - {"and", "or"}


def has_tests(marks: set[str], tests: Path = ROOT / "tests") -> bool:
    """Whether any test file cites one of the marks. Read from the text: a heavy tier's imports may be missing."""
    cited = re.compile(r"\bmark\.(" + "|".join(sorted(marks)) + r")\b")
    files = (path for path in tests.rglob("*.py") if path.parent.name != "house")
    return any(cited.search(path.read_text(encoding="utf-8")) for path in files)


def command(name: str, tier: dict[str, Any], python: Path) -> list[str]:
    """The command line of the tier's tests, behind the script that starts what they talk to."""
    tests = [str(python), "-m", "pytest", "-q", "-n", str(tier["workers"]), "--tier", name]
    if tier["workers"] == 1:
        tests[tests.index("-n") + 1] = "0"
    return [sys.executable, tier["through"], "--", *tests] if "through" in tier else tests


def run(name: str) -> int:
    tier = load()[name]
    marks = positive_marks(tier["marks"])
    if marks and not has_tests(marks):
        print(f"no tests yet: nothing in tests/ is marked {' or '.join(sorted(marks))}")
        return NO_TESTS
    if "missing" in tier:
        print(f"tests of tier {name!r} exist, but {tier['missing']}", file=sys.stderr)
        return 1
    python = make(tier["venv"], tier["groups"], tier.get("extras", []))
    return _limited(command(name, tier, python), 60 * tier["minutes"])


def _limited(arguments: list[str], seconds: float) -> int:
    process = subprocess.Popen(arguments, cwd=ROOT)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        print(f"ended: longer than its {seconds / 60:g} minutes", file=sys.stderr)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return TOO_LONG


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in load():
        print(f"usage: tier.py {' | '.join(load())}", file=sys.stderr)
        return 2
    return run(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
