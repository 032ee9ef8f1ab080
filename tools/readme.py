"""Print one fenced `sh` block of the README, so that what is documented and what CI runs cannot drift.

python3 tools/readme.py 2        the second block
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
_FENCE = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The fenced `sh` blocks of a Markdown text, in order, without their fences."""
    return [match.strip() for match in _FENCE.findall(text)]


def main(arguments: list[str]) -> int:
    found = blocks(README.read_text(encoding="utf-8"))
    number = int(arguments[0]) if len(arguments) == 1 and arguments[0].isdigit() else 0
    if not 1 <= number <= len(found):
        print(f"usage: readme.py N with N from 1 to {len(found)}", file=sys.stderr)
        return 2
    print(found[number - 1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
