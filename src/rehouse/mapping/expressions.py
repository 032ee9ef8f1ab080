"""The closed catalogue of operators: how a source row becomes one value, and how a row is judged.

An expression yields text in canonical form or NULL (see `rehouse.transform.duckdb`); a condition yields
true or false, never unknown. All nodes are frozen, hashable values without behaviour: parsing, printing,
rendering and evaluating live elsewhere and dispatch on the class. Every operator declares the kind of its
result (`result`), how it may refuse a value (`fails`: the value becomes NULL *and* an issue) and how it may
lose a part of one (`loses`: counted on the data).

In YAML an operator is a mapping whose first key names it and holds its main argument: a column or value
name, or a nested operator. `{phone: {part: phone, separator: "/", take: 1}, region: TR}`.
"""

# ruff: noqa: RUF009  (the calls in class bodies are `dataclasses.field` with our metadata)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from dataclasses import Field as DataclassField
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from rehouse.model import Kind

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""A map of texts in the order it was written; a tuple, so that nodes stay hashable."""


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
_N = TypeVar("_N", bound="Node")

OPERATORS: dict[str, type[Expression]] = {}
CONDITIONS: dict[str, type[Condition]] = {}


def _operator(
    name: str,
    result: Kind = Kind.TEXT,
    *,
    fails: tuple[str, ...] = (),
    loses: tuple[str, ...] = (),
) -> Callable[[type[_E]], type[_E]]:
    def register(cls: type[_E]) -> type[_E]:
        cls.operator, cls.result, cls.fails, cls.loses = name, result, fails, loses
        OPERATORS[name] = cls
        return cls

    return register


def _condition(name: str) -> Callable[[type[_C]], type[_C]]:
    def register(cls: type[_C]) -> type[_C]:
        cls.operator = name
        CONDITIONS[name] = cls
        return cls

    return register


def _main(shape: Shape = Shape.EXPRESSION) -> Any:
    return field(metadata={"shape": shape, "main": True})


def _arg(shape: Shape, default: Any = MISSING, *, key: str = "", choices: tuple[str, ...] = ()) -> Any:
    metadata = {"shape": shape, "key": key, "choices": choices}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def _max() -> Any:
    return _arg(Shape.POSITIVE, None)


# ── plain values ──────────────────────────────────────────────────────────────────────────────────────


@_operator("column")
@dataclass(frozen=True, slots=True)
class Column(Expression):
    """A column of the source row or a named value of the mapping. Written as its bare name."""

    name: str = _main(Shape.NAME)


@_operator("constant")
@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """The same text for every row. Inside a parsing operator it is read like source text."""

    value: str = _main(Shape.SCALAR)


@_operator("limit", Kind.INTEGER)
@dataclass(frozen=True, slots=True)
class Limit(Expression):
    """A limit named in `blueprint.yaml`, as an integer."""

    name: str = _main(Shape.NAME)


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────


@_operator("text", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Text(Expression):
    """Text without control characters (line feed and tab stay), line ends as `\\n`, trimmed, cut to
    `max` characters (code points)."""

    of: Expression = _main()
    max: int | None = _max()


@_operator("join", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Join(Expression):
    """The parts that have a value, joined with `with`; NULL when none has."""

    of: tuple[Expression, ...] = _main(Shape.EXPRESSIONS)
    with_: str = _arg(Shape.TEXT, " ", key="with")
    max: int | None = _max()


@_operator("first_of", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class FirstOf(Expression):
    """The first part that has a value."""

    of: tuple[Expression, ...] = _main(Shape.EXPRESSIONS)
    max: int | None = _max()


@_operator("part", loses=("further_values",))
@dataclass(frozen=True, slots=True)
class Part(Expression):
    """The `take`-th piece (from 1) of a cell that holds several, trimmed; NULL when blank or absent."""

    of: Expression = _main()
    separator: str = _arg(Shape.TEXT)
    take: int = _arg(Shape.POSITIVE, 1)


@_operator("list", Kind.MULTI_OPTION, loses=("truncated",))
@dataclass(frozen=True, slots=True)
class ListOf(Expression):
    """The non-blank pieces of a cell, trimmed, in order, joined with `with`."""

    of: Expression = _main()
    separator: str = _arg(Shape.TEXT)
    with_: str = _arg(Shape.TEXT, ";", key="with")
    max: int | None = _max()


@_operator("most_common", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class MostCommon(Expression):
    """In a merged output: the most frequent spelling among the merged rows. Per row it is its argument."""

    of: Expression = _main()
    max: int | None = _max()


# ── cleaned by a dictionary ───────────────────────────────────────────────────────────────────────────


@_operator("name", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Name(Expression):
    """One part of a person's full name: given names, family name or honorific."""

    of: Expression = _main()
    part: Literal["given", "family", "honorific"] = _arg(Shape.CHOICE, choices=("given", "family", "honorific"))
    max: int | None = _max()


@_operator("phone", Kind.PHONE, fails=("unparsable_phone",))
@dataclass(frozen=True, slots=True)
class Phone(Expression):
    """A telephone number in E.164, `+905321234567`, an extension kept as ` x12`. `region` (ISO 3166) is
    the country of numbers written without one."""

    of: Expression = _main()
    region: str = _arg(Shape.TEXT)


@_operator("email", Kind.EMAIL, fails=("invalid_email",), loses=("truncated", "further_values"))
@dataclass(frozen=True, slots=True)
class Email(Expression):
    """The first valid address of a cell (`take: 1`), or the other valid ones joined by `;` (`rest`)."""

    of: Expression = _main()
    take: Literal["1", "rest"] = _arg(Shape.TAKE, "1", choices=("1", "rest"))
    max: int | None = _max()


@_operator("company_key", loses=("no_company_key",))
@dataclass(frozen=True, slots=True)
class CompanyKey(Expression):
    """A company's name reduced to what identifies it: folded case, no accents, punctuation or legal form."""

    of: Expression = _main()


# ── numbers and truth ─────────────────────────────────────────────────────────────────────────────────


@_operator("number", Kind.DECIMAL, fails=("unparsable_number",), loses=("rounded",))
@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A number in the source's locale: `₺1.234,56` is `1234.56`, `%25` is `25`. `scale` rounds half away
    from zero. At most 18 digits on either side of the decimal sign."""

    of: Expression = _main()
    scale: int | None = _arg(Shape.COUNT, None)


@_operator("integer", Kind.INTEGER, fails=("unparsable_number",))
@dataclass(frozen=True, slots=True)
class Integer(Expression):
    """A whole number of at most 18 digits; a fraction other than zero is refused."""

    of: Expression = _main()


@_operator("boolean", Kind.BOOLEAN, fails=("unparsable_boolean",))
@dataclass(frozen=True, slots=True)
class Boolean(Expression):
    """`true` or `false` by the locale's words, case folded; `otherwise` is the value of an empty cell."""

    of: Expression = _main()
    otherwise: Literal["true", "false"] | None = _arg(Shape.TRUTH, None, choices=("true", "false"))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────


@_operator("date", Kind.DATE, fails=("unparsable_date",))
@dataclass(frozen=True, slots=True)
class Date(Expression):
    """A calendar date, `2024-12-31`; of a moment with an offset, the date in the source's zone."""

    of: Expression = _main()


@_operator("datetime", Kind.DATETIME, fails=("unparsable_date", "dst_gap", "dst_overlap"))
@dataclass(frozen=True, slots=True)
class DateTime(Expression):
    """A moment in UTC, `2024-12-31T11:05:00.000Z`. Text without an offset is local time in `zone` (the
    source's zone by default). A repeated hour is read by `overlap`; an hour that the clocks skipped is
    moved forward or refused by `gap`. Both are counted."""

    of: Expression = _main()
    zone: str | None = _arg(Shape.TEXT, None)
    overlap: Literal["earlier", "later"] = _arg(Shape.CHOICE, "earlier", choices=("earlier", "later"))
    gap: Literal["forward", "reject"] = _arg(Shape.CHOICE, "forward", choices=("forward", "reject"))


@_operator("duration", Kind.DECIMAL, fails=("unparsable_duration",))
@dataclass(frozen=True, slots=True)
class Duration(Expression):
    """A length of time in `unit`: `mm:ss`, `hh:mm:ss`, `1 sa 5 dk`, `90 sn`, `2 min`; a bare number is
    already in `unit`."""

    of: Expression = _main()
    unit: Literal["seconds", "minutes", "hours"] = _arg(
        Shape.CHOICE, "seconds", choices=("seconds", "minutes", "hours")
    )


# ── options, references, owners, files ────────────────────────────────────────────────────────────────


@_operator("option", Kind.OPTION, fails=("unmapped_option",), loses=("option_replaced",))
@dataclass(frozen=True, slots=True)
class Option(Expression):
    """A total map of options. A value that is not in `map` is refused (`reject`), kept as it is (`keep`),
    or replaced by a constant, which is counted as a loss. NULL stays NULL."""

    of: Expression = _main()
    map: Pairs = _arg(Shape.MAP)
    otherwise: Literal["reject", "keep"] | Constant = _arg(Shape.FALLBACK, "reject", choices=("reject", "keep"))


@_operator("record_type", Kind.REFERENCE, fails=("unmapped_option",))
@dataclass(frozen=True, slots=True)
class RecordType(Expression):
    """The record type of the target that `map` gives for a value, as `RecordType.<Object>:<name>`."""

    of: Expression = _main()
    map: Pairs = _arg(Shape.MAP)
    otherwise: Literal["reject"] | Constant = _arg(Shape.FALLBACK, "reject", choices=("reject",))


@_operator("owner", Kind.REFERENCE)
@dataclass(frozen=True, slots=True)
class Owner(Expression):
    """An owner's e-mail, lower case, `''` when empty; the decided owners turn it into a user."""

    of: Expression = _main()


@dataclass(frozen=True, slots=True)
class Polymorphic:
    """The output that a reference points at, chosen by another column."""

    column: Expression
    map: Pairs


@_operator("reference", Kind.REFERENCE, fails=("unmapped_option",))
@dataclass(frozen=True, slots=True)
class Reference(Expression):
    """Another record, as `<Output>:<key>` where the key is what that output's `key` makes of its row.

    `field` names the field of the referenced record to write (its id when empty). `when_missing` says what
    happens when there is a key but no such record; a NULL key is no reference at all."""

    of: Expression = _main()
    to: str | Polymorphic = _arg(Shape.TARGET)
    field: str = _arg(Shape.NAME, "")
    when_missing: Literal["quarantine", "empty"] = _arg(Shape.CHOICE, "quarantine", choices=("quarantine", "empty"))


@_operator("lookup")
@dataclass(frozen=True, slots=True)
class Lookup(Expression):
    """A column or named value of the first row (in source order, with a value there) of object `in` whose
    `where` column equals `equals`."""

    column: str = _main(Shape.NAME)
    in_: str = _arg(Shape.NAME, key="in")
    where: str = _arg(Shape.NAME)
    equals: Expression = _arg(Shape.EXPRESSION)


@_operator("file", Kind.BINARY)
@dataclass(frozen=True, slots=True)
class File(Expression):
    """The content of a file, given as its path under the export."""

    of: Expression = _main()


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────


@_condition("equals")
@dataclass(frozen=True, slots=True)
class Equals(Condition):
    """Both have a value and it is the same text. A bare word on the right is a constant."""

    left: Expression = _main()
    right: Expression = _main(Shape.OPERAND)


@_condition("in")
@dataclass(frozen=True, slots=True)
class In(Condition):
    """The value is one of the texts."""

    of: Expression = _main()
    values: tuple[str, ...] = _main(Shape.TEXTS)


@_condition("greater")
@dataclass(frozen=True, slots=True)
class Greater(Condition):
    """Left is greater than right, as numbers (as moments when left is a date or datetime)."""

    left: Expression = _main()
    right: Expression = _main(Shape.OPERAND)


@_condition("present")
@dataclass(frozen=True, slots=True)
class Present(Condition):
    """There is a value."""

    of: Expression = _main()


@_condition("missing")
@dataclass(frozen=True, slots=True)
class Missing(Condition):
    """There is no value."""

    of: Expression = _main()


@_condition("not")
@dataclass(frozen=True, slots=True)
class Not(Condition):
    of: Condition = _main(Shape.CONDITION)


@_condition("all")
@dataclass(frozen=True, slots=True)
class All(Condition):
    of: tuple[Condition, ...] = _main(Shape.CONDITIONS)


@_condition("any")
@dataclass(frozen=True, slots=True)
class AnyOf(Condition):
    of: tuple[Condition, ...] = _main(Shape.CONDITIONS)


@_operator("if")
@dataclass(frozen=True, slots=True)
class If(Expression):
    """`then` where the condition holds, else `else` (NULL when left out)."""

    condition: Condition = _main(Shape.CONDITION)
    then: Expression = _arg(Shape.EXPRESSION)
    else_: Expression | None = _arg(Shape.EXPRESSION, None, key="else")


# ── looking at nodes ──────────────────────────────────────────────────────────────────────────────────

_Class: TypeAlias = type[Expression] | type[Condition]


def _fields(node: Any) -> tuple[DataclassField[Any], ...]:
    return fields(node)  # every node class is a dataclass; the empty bases are not


def arguments(cls: _Class) -> tuple[Argument, ...]:
    """The arguments of an operator, main ones first, as YAML and editors know them."""
    found = []
    for item in _fields(cls):
        meta = item.metadata
        required = item.default is MISSING
        found.append(
            Argument(
                item.name,
                meta.get("key") or item.name,
                meta["shape"],
                bool(meta.get("main")),
                required,
                None if required else item.default,
                meta.get("choices", ()),
            )
        )
    return tuple(found)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node."""
    for item in _fields(node):
        yield from _nodes(getattr(node, item.name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Expression | Condition):
        yield value
    elif isinstance(value, Polymorphic):
        yield value.column
    elif isinstance(value, tuple):
        for part in value:
            if isinstance(part, Expression | Condition):
                yield part


def walk(node: Node) -> Iterator[Node]:
    """The node and everything inside it, outermost first."""
    yield node
    for child in children(node):
        yield from walk(child)


def columns_used(node: Node) -> frozenset[str]:
    """Names of the columns and named values of the row's own object that a node reads."""
    return frozenset(n.name for n in walk(node) if isinstance(n, Column))


def used_values(node: Node, values: Mapping[str, Expression]) -> list[str]:
    """The named values a node reads, directly or through others, in the order of `values`."""
    seen: set[str] = set()
    waiting = [n for n in columns_used(node) if n in values]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [n for n in columns_used(values[name]) if n in values]
    return [name for name in values if name in seen]


def expand(node: _N, values: Mapping[str, Expression]) -> _N:
    """The node with named values written out in place, recursively. Raises ValueError on a circle."""
    expanded: _N = _expand(node, values, ())
    return expanded


def _expand(node: Any, values: Mapping[str, Expression], open_: tuple[str, ...]) -> Any:
    if isinstance(node, Column) and node.name in values:
        if node.name in open_:
            raise ValueError(f"value {node.name!r} is defined by itself")
        return _expand(values[node.name], values, (*open_, node.name))
    if isinstance(node, tuple):
        return tuple(_expand(part, values, open_) for part in node)
    if isinstance(node, Polymorphic):
        return replace(node, column=_expand(node.column, values, open_))
    if not isinstance(node, Expression | Condition):
        return node
    changed = {item.name: _expand(getattr(node, item.name), values, open_) for item in _fields(node)}
    return type(node)(**changed)


def result_kind(node: Expression, values: Mapping[str, Expression] | None = None) -> Kind:
    """The kind of a node's result; `values` are the named values a `Column` may stand for."""
    named = values or {}
    if isinstance(node, Column):
        return result_kind(named[node.name], named) if node.name in named else Kind.TEXT
    if isinstance(node, FirstOf):
        kinds = {result_kind(part, named) for part in node.of}
        return kinds.pop() if len(kinds) == 1 and node.max is None else Kind.TEXT
    if isinstance(node, If):
        then = result_kind(node.then, named)
        return then if node.else_ is None or result_kind(node.else_, named) == then else Kind.TEXT
    if isinstance(node, Duration) and node.unit == "seconds":
        return Kind.INTEGER
    return node.result
