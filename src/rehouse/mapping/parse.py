"""YAML values to nodes, every fault collected with its line instead of stopping at the first.

A `Reader` belongs to one file. Besides nodes it collects `uses`: the columns, outputs and limits that were
named, for the checks that need all files (`rehouse.mapping.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rapidfuzz import process

from rehouse.errors import Fault
from rehouse.mapping.expressions import (
    CONDITIONS,
    OPERATORS,
    Argument,
    Column,
    Condition,
    Constant,
    Expression,
    Limit,
    Lookup,
    Node,
    Polymorphic,
    Present,
    Reference,
    Shape,
    arguments,
)

NOTHING = Constant("")
NEVER = Present(NOTHING)
"""What a faulty expression or condition is read as, so that reading can go on."""


@dataclass(frozen=True, slots=True)
class Use:
    """A name that was used: a column of the own object, a column of another one (`object`), an output or a
    limit."""

    kind: Literal["column", "lookup", "output", "limit"]
    name: str
    line: int
    object: str = ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like the given one, or '' when none is close."""
    found = process.extractOne(name, list(known), score_cutoff=50)
    return str(found[0]) if found else ""


def line_of(container: Any, key: Any, default: int) -> int:
    """The line (from 1) on which a key of a mapping, or a place of a list, is written."""
    position = getattr(container, "lc", None)
    try:
        if position is None:
            return default
        found = position.item(key) if isinstance(container, list) else position.key(key)
        return int(found[0]) + 1
    except (KeyError, IndexError, TypeError, AttributeError):
        return default


@dataclass(slots=True)
class Reader:
    """Reads the values of one file. `faults` and `uses` grow while it reads."""

    file: str
    faults: list[Fault] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)

    def fault(self, line: int, message: str, near: str = "") -> None:
        self.faults.append(Fault(self.file, line, message, near))

    # ── plain shapes ──────────────────────────────────────────────────────────────────────────────────

    def mapping(self, value: Any, line: int, what: str) -> Mapping[str, Any]:
        """A mapping with text keys; an empty one after a fault."""
        if not isinstance(value, dict):
            self.fault(line, f"{what} must be a mapping, not {_kind(value)}")
            return {}
        return value

    def sequence(self, value: Any, line: int, what: str) -> list[Any]:
        if not isinstance(value, list):
            self.fault(line, f"{what} must be a list, not {_kind(value)}")
            return []
        return value

    def known_keys(self, value: Mapping[str, Any], allowed: Collection[str], line: int, what: str) -> None:
        """Faults for keys that mean nothing here."""
        for key in value:
            if key not in allowed:
                near = nearest(str(key), allowed)
                self.fault(line_of(value, key, line), f"unknown key {str(key)!r} in {what}", near)

    def text(self, value: Any, line: int, what: str) -> str:
        if not isinstance(value, str):
            self.fault(line, f"{what} must be text, not {_kind(value)}")
            return ""
        return str(value)

    def scalar(self, value: Any, line: int, what: str) -> str:
        """Text, or a whole number or truth value spelled canonically; fractions and dates want quotes."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        self.fault(line, f"{what} must be text, not {_kind(value)}; put it in quotes")
        return ""

    def truth(self, value: Any, line: int, what: str) -> bool:
        if not isinstance(value, bool):
            self.fault(line, f"{what} must be true or false, not {_kind(value)}")
            return False
        return value

    def whole(self, value: Any, line: int, what: str, least: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.fault(line, f"{what} must be a whole number of at least {least}, not {_kind(value)}")
            return least
        return int(value)

    def texts(self, value: Any, line: int, what: str) -> tuple[str, ...]:
        found = self.sequence(value, line, what)
        return tuple(self.scalar(v, line_of(value, i, line), what) for i, v in enumerate(found))

    def pairs(self, value: Any, line: int, what: str) -> tuple[tuple[str, str], ...]:
        found = self.mapping(value, line, what)
        return tuple(
            (
                self.scalar(k, line_of(value, k, line), f"a key of {what}"),
                self.scalar(v, line_of(value, k, line), f"a value of {what}"),
            )
            for k, v in found.items()
        )

    # ── expressions ───────────────────────────────────────────────────────────────────────────────────

    def expression(self, value: Any, line: int) -> Expression:
        """A column or value name, or an operator with its arguments."""
        if isinstance(value, str):
            self.uses.append(Use("column", str(value), line))
            return Column(str(value))
        if not isinstance(value, dict) or not value:
            hint = "write {constant: …} for a fixed value"
            self.fault(line, f"expected a column name or an operator, not {_kind(value)}; {hint}")
            return NOTHING
        name = self._operator(value, OPERATORS, line, "operator")
        if name is None:
            return NOTHING
        made = self._build(OPERATORS[name], name, value, line_of(value, name, line))
        return made if isinstance(made, Expression) else NOTHING

    def condition(self, value: Any, line: int) -> Condition:
        """One of the conditions."""
        if not isinstance(value, dict) or not value:
            self.fault(line, f"expected a condition such as {{equals: [column, value]}}, not {_kind(value)}")
            return NEVER
        name = self._operator(value, CONDITIONS, line, "condition")
        if name is None:
            return NEVER
        made = self._build(CONDITIONS[name], name, value, line_of(value, name, line))
        return made if isinstance(made, Condition) else NEVER

    def _operator(self, value: Mapping[str, Any], known: Mapping[str, Any], line: int, what: str) -> str | None:
        """The key that names the operator: the first one, or the only one that is a name of the catalogue."""
        first = str(next(iter(value)))
        if first in known:
            return first
        named = [str(k) for k in value if k in known]
        if len(named) == 1:
            return named[0]
        self.fault(line_of(value, first, line), f"unknown {what} {first!r}", nearest(first, known))
        return None

    def _build(
        self, cls: type[Expression] | type[Condition], name: str, value: Mapping[str, Any], line: int
    ) -> Node | None:
        args = arguments(cls)
        mains = [a for a in args if a.main]
        others = {a.key: a for a in args if not a.main}
        self.known_keys({k: v for k, v in value.items() if k != name}, others, line, f"operator {name!r}")
        before = len(self.faults)
        given = self._mains(mains, name, value[name], line)
        for key, arg in others.items():
            if key in value:
                place = line_of(value, key, line)
                given[arg.attribute] = self._argument(arg, value[key], place, f"{key!r} of {name!r}")
            elif arg.required:
                self.fault(line, f"operator {name!r} needs {key!r}")
        if len(self.faults) > before and any(a.required and a.attribute not in given for a in args):
            return None
        made = cls(**given)
        self._note(made, line)
        return made

    def _mains(self, mains: list[Argument], name: str, value: Any, line: int) -> dict[str, Any]:
        if len(mains) == 1:
            return {mains[0].attribute: self._argument(mains[0], value, line, f"{name!r}")}
        if not isinstance(value, list) or len(value) != len(mains):
            self.fault(line, f"condition {name!r} needs a list of {len(mains)}: [column, value]")
            return {}
        return {
            arg.attribute: self._argument(arg, part, line_of(value, i, line), f"{name!r}")
            for i, (arg, part) in enumerate(zip(mains, value, strict=True))
        }

    def _note(self, node: Node, line: int) -> None:
        if isinstance(node, Limit):
            self.uses.append(Use("limit", node.name, line))
        elif isinstance(node, Lookup):
            self.uses.append(Use("lookup", node.column, line, node.in_))
            self.uses.append(Use("lookup", node.where, line, node.in_))
        elif isinstance(node, Reference):
            outputs = [node.to] if isinstance(node.to, str) else [o for _, o in node.to.map]
            self.uses.extend(Use("output", name, line) for name in outputs)

    # ── arguments ─────────────────────────────────────────────────────────────────────────────────────

    def _argument(self, arg: Argument, value: Any, line: int, what: str) -> Any:
        return _SHAPES[arg.shape](self, arg, value, line, what)

    def _expressions(self, arg: Argument, value: Any, line: int, what: str) -> tuple[Expression, ...]:
        found = self.sequence(value, line, what)
        if not found:
            self.fault(line, f"{what} needs at least one part")
        return tuple(self.expression(v, line_of(value, i, line)) for i, v in enumerate(found))

    def _conditions(self, arg: Argument, value: Any, line: int, what: str) -> tuple[Condition, ...]:
        found = self.sequence(value, line, what)
        if not found:
            self.fault(line, f"{what} needs at least one condition")
        return tuple(self.condition(v, line_of(value, i, line)) for i, v in enumerate(found))

    def _operand(self, arg: Argument, value: Any, line: int, what: str) -> Expression:
        if isinstance(value, dict):
            return self.expression(value, line)
        return Constant(self.scalar(value, line, what))

    def _text(self, arg: Argument, value: Any, line: int, what: str) -> str:
        found = self.text(value, line, what)
        if not found and isinstance(value, str) and arg.required:
            self.fault(line, f"{what} must not be empty")
        return found

    def _choice(self, arg: Argument, value: Any, line: int, what: str) -> str:
        found = "true" if value is True else "false" if value is False else str(value)
        if found not in arg.choices:
            shown = ", ".join(arg.choices)
            self.fault(line, f"{what} must be one of {shown}, not {found!r}", nearest(found, arg.choices))
            return arg.choices[0]
        return found

    def _fallback(self, arg: Argument, value: Any, line: int, what: str) -> str | Constant:
        if isinstance(value, dict) and list(value) == ["constant"]:
            return Constant(self.scalar(value["constant"], line, what))
        if isinstance(value, str) and value in arg.choices:
            return str(value)
        shown = ", ".join((*arg.choices, "{constant: …}"))
        near = nearest(str(value), arg.choices) if isinstance(value, str) else ""
        self.fault(line, f"{what} must be one of {shown}, not {_kind(value)}", near)
        return "reject"

    def _target(self, arg: Argument, value: Any, line: int, what: str) -> str | Polymorphic:
        if isinstance(value, str):
            return str(value)
        found = self.mapping(value, line, what)
        self.known_keys(found, ("column", "map"), line, what)
        if "column" not in found or "map" not in found:
            self.fault(line, f"{what} must name an output, or give 'column' and 'map'")
            return ""
        column = self.expression(found["column"], line_of(found, "column", line))
        return Polymorphic(column, self.pairs(found["map"], line_of(found, "map", line), f"map of {what}"))


_Shaper = Callable[[Reader, Argument, Any, int, str], Any]
_SHAPES: dict[Shape, _Shaper] = {
    Shape.EXPRESSION: lambda r, a, v, n, w: r.expression(v, n),
    Shape.EXPRESSIONS: Reader._expressions,
    Shape.OPERAND: Reader._operand,
    Shape.CONDITION: lambda r, a, v, n, w: r.condition(v, n),
    Shape.CONDITIONS: Reader._conditions,
    Shape.NAME: Reader._text,
    Shape.TEXT: Reader._text,
    Shape.TEXTS: lambda r, a, v, n, w: r.texts(v, n, w),
    Shape.SCALAR: lambda r, a, v, n, w: r.scalar(v, n, w),
    Shape.POSITIVE: lambda r, a, v, n, w: r.whole(v, n, w, 1),
    Shape.COUNT: lambda r, a, v, n, w: r.whole(v, n, w, 0),
    Shape.CHOICE: Reader._choice,
    Shape.TAKE: Reader._choice,
    Shape.TRUTH: Reader._choice,
    Shape.MAP: lambda r, a, v, n, w: r.pairs(v, n, w),
    Shape.FALLBACK: Reader._fallback,
    Shape.TARGET: Reader._target,
}


def _kind(value: Any) -> str:
    """What a YAML value is, for a person."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {str(value)!r}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
