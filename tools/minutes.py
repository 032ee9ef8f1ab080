"""Print the table of minutes that closes `.ci/run`, and exit non-zero if any step failed.

python3 tools/minutes.py FILE        lines of: step, seconds, exit code, separated by tabs
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

NO_TESTS, TOO_LONG = 5, 124
BUDGET_MINUTES = {"default": 3.0, "total": 25.0}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the run and how it ended."""

    name: str
    seconds: int
    code: int

    @property
    def verdict(self) -> str:
        words = {0: "passed", NO_TESTS: "no tests yet", TOO_LONG: "failed: took too long"}
        return words.get(self.code, f"failed (exit {self.code})")

    @property
    def failed(self) -> bool:
        return self.code not in (0, NO_TESTS)


def read(text: str) -> list[Step]:
    """The steps written down by `.ci/run`, in order."""
    rows = (line.split("\t") for line in text.splitlines() if line.strip())
    return [Step(name, int(seconds), int(code)) for name, seconds, code in rows]


def table(steps: list[Step]) -> str:
    """Step, minutes, verdict; a total; and a word where a budget was exceeded (which does not fail the run)."""
    total = Step("total", sum(step.seconds for step in steps), 0)
    lines = [f"{'step':<12}{'minutes':>8}  result"]
    for step in [*steps, total]:
        minutes = step.seconds / 60
        budget = BUDGET_MINUTES.get(step.name)
        over = f"  over its budget of {budget:g} minutes" if budget is not None and minutes > budget else ""
        failed = sum(one.failed for one in steps)
        verdict = step.verdict if step is not total else f"{len(steps) - failed} passed, {failed} failed"
        lines.append(f"{step.name:<12}{minutes:>8.1f}  {verdict}{over}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: minutes.py FILE", file=sys.stderr)
        return 2
    steps = read(Path(arguments[0]).read_text(encoding="utf-8"))
    print(table(steps))
    return 1 if not steps or any(step.failed for step in steps) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
