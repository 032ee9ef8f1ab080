"""What operators are made of: the two bases, the shapes of arguments, and the catalogue they register in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias, TypeVar

from rehouse.model import Kind


class Shape(StrEnum):
    """What an argument may look like in YAML."""

    EXPRESSION = "expression"
    EXPRESSIONS = "expressions"
    OPERAND = "operand"
    CONDITION = "condition"
    CONDITIONS = "conditions"
    NAME = "name"
    TEXT = "text"
    TEXTS = "texts"
    SCALAR = "scalar"
    POSITIVE = "positive"
    COUNT = "count"
    CHOICE = "choice"
    TAKE = "take"
    MAP = "map"
    FALLBACK = "fallback"
    TRUTH = "truth"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an operator: its key in YAML, its shape, and whether it may be left out."""

    attribute: str
    key: str
    shape: Shape
    main: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


class Expression:
    """Anything that yields a value for a row."""

    __slots__ = ()
    operator: ClassVar[str] = ""
    result: ClassVar[Kind] = Kind.TEXT
    fails: ClassVar[tuple[str, ...]] = ()
    loses: ClassVar[tuple[str, ...]] = ()


class Condition:
    """Anything that is true or false of a row."""

    __slots__ = ()
    operator: ClassVar[str] = ""


Node: TypeAlias = Expression | Condition
_E = TypeVar("_E", bound=Expression)
_C = TypeVar("_C", bound=Condition)

OPERATORS: dict[str, type[Expression]] = {}
CONDITIONS: dict[str, type[Condition]] = {}


def operator(
    name: str,
    result: Kind = Kind.TEXT,
    *,
    fails: tuple[str, ...] = (),
    loses: tuple[str, ...] = (),
) -> Callable[[type[_E]], type[_E]]:
    """Enters an expression class into the catalogue under its name in YAML."""

    def register(cls: type[_E]) -> type[_E]:
        cls.operator, cls.result, cls.fails, cls.loses = name, result, fails, loses
        OPERATORS[name] = cls
        return cls

    return register


def condition(name: str) -> Callable[[type[_C]], type[_C]]:
    """Enters a condition class into the catalogue under its name in YAML."""

    def register(cls: type[_C]) -> type[_C]:
        cls.operator = name
        CONDITIONS[name] = cls
        return cls

    return register


def main(shape: Shape = Shape.EXPRESSION) -> Any:
    """A main argument: the value of the operator's own key (a list when there are several)."""
    return field(metadata={"shape": shape, "main": True})


def arg(shape: Shape, default: Any = MISSING, *, key: str = "", choices: tuple[str, ...] = ()) -> Any:
    """A named argument, mandatory unless it has a default."""
    metadata = {"shape": shape, "key": key, "choices": choices}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def maximum() -> Any:
    """The optional `max`: code points of the result."""
    return arg(Shape.POSITIVE, None)
