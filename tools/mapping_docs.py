"""Write docs/reference/mapping-operators.md from the operators themselves.

.venv/bin/python tools/mapping_docs.py          write the page
.venv/bin/python tools/mapping_docs.py --check  exit 1 when the page is stale
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rehouse.mapping.expressions import (
    CONDITIONS,
    OPERATORS,
    Argument,
    Condition,
    Expression,
    Shape,
    arguments,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "mapping-operators.md"

_HEADER = """\
# Operators and conditions of the mapping language

Generated from the code by `make docs`; how they are put together is in [the mapping language](mapping-language.md).

*Result* is the kind of value. *Fails* names the issues that turn a value into no value. *Loses* names what is
counted as a loss.
"""

_WORDS = {
    Shape.EXPRESSION: "value",
    Shape.EXPRESSIONS: "list of values",
    Shape.OPERAND: "value or fixed text",
    Shape.CONDITION: "condition",
    Shape.CONDITIONS: "list of conditions",
    Shape.NAME: "name",
    Shape.TEXT: "text",
    Shape.TEXTS: "list of texts",
    Shape.SCALAR: "fixed value",
    Shape.POSITIVE: "whole number from 1",
    Shape.COUNT: "whole number from 0",
    Shape.CHOICE: "choice",
    Shape.TAKE: "choice",
    Shape.MAP: "map of texts",
    Shape.FALLBACK: "choice or fixed value",
    Shape.TRUTH: "choice",
    Shape.TARGET: "output, or `{column, map}`",
}


def page() -> str:
    """The whole page."""
    parts = [_HEADER, "\n## Operators\n"]
    for name in sorted(OPERATORS):
        parts += _section(name, OPERATORS[name])
    parts.append("\n## Conditions\n")
    for name in sorted(CONDITIONS):
        parts += _section(name, CONDITIONS[name])
    return "".join(parts)


def _section(name: str, cls: type[Expression] | type[Condition]) -> Iterator[str]:
    yield f"\n### `{name}`\n\n"
    text = inspect.cleandoc(cls.__doc__ or "")
    if not text.startswith(f"{cls.__name__}("):  # what dataclass writes where nobody wrote anything
        yield re.sub(r"\s+", " ", text) + "\n\n"
    rows = arguments(cls)
    yield f"Main argument: {', '.join(_WORDS[a.shape] for a in rows if a.main)}.\n"
    options = [argument for argument in rows if not argument.main]
    if options:
        yield "\n| option | what | default |\n|---|---|---|\n"
        for argument in options:
            yield f"| `{argument.key}` | {_what(argument)} | {_default(argument)} |\n"
    if issubclass(cls, Expression):
        yield f"\nResult: {cls.result.value}."
        for word, names in (("Fails", cls.fails), ("Loses", cls.loses)):
            yield f" {word}: {', '.join(f'`{n}`' for n in names)}." if names else ""
        yield "\n"


def _what(argument: Argument) -> str:
    choices = ", ".join(f"`{choice}`" for choice in argument.choices)
    return f"{_WORDS[argument.shape]}: {choices}" if choices else _WORDS[argument.shape]


def _default(argument: Argument) -> str:
    if argument.required:
        return "required"
    return f"`{argument.default}`" if argument.default not in (None, "") else "none"


def main(options: list[str]) -> int:
    text = page()
    if options == ["--check"]:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("up to date" if fresh else "stale: run `make docs`")
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
