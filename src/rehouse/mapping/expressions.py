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

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from dataclasses import Field as DataclassField
from typing import Any, Literal, TypeAlias, TypeVar

from rehouse.mapping.operators import CONDITIONS as CONDITIONS
from rehouse.mapping.operators import OPERATORS as OPERATORS
from rehouse.mapping.operators import Argument as Argument
from rehouse.mapping.operators import Condition as Condition
from rehouse.mapping.operators import Expression as Expression
from rehouse.mapping.operators import Node as Node
from rehouse.mapping.operators import Shape as Shape
from rehouse.mapping.operators import arg, condition, main, maximum, operator
from rehouse.model import Kind

_N = TypeVar("_N", bound=Node)
Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""A map of texts in the order it was written; a tuple, so that nodes stay hashable."""


# ── plain values ──────────────────────────────────────────────────────────────────────────────────────


@operator("column")
@dataclass(frozen=True, slots=True)
class Column(Expression):
    """A column of the source row or a named value of the mapping. Written as its bare name."""

    name: str = main(Shape.NAME)


@operator("constant")
@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """The same text for every row. Inside a parsing operator it is read like source text."""

    value: str = main(Shape.SCALAR)


@operator("limit", Kind.INTEGER)
@dataclass(frozen=True, slots=True)
class Limit(Expression):
    """A limit named in `blueprint.yaml`, as an integer."""

    name: str = main(Shape.NAME)


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────


@operator("text", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Text(Expression):
    """Text without control characters (line feed and tab stay), line ends as `\\n`, trimmed, cut to
    `max` characters (code points)."""

    of: Expression = main()
    max: int | None = maximum()


@operator("join", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Join(Expression):
    """The parts that have a value, joined with `with`; NULL when none has."""

    of: tuple[Expression, ...] = main(Shape.EXPRESSIONS)
    with_: str = arg(Shape.TEXT, " ", key="with")
    max: int | None = maximum()


@operator("first_of", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class FirstOf(Expression):
    """The first part that has a value."""

    of: tuple[Expression, ...] = main(Shape.EXPRESSIONS)
    max: int | None = maximum()


@operator("part", loses=("further_values",))
@dataclass(frozen=True, slots=True)
class Part(Expression):
    """The `take`-th piece (from 1) of a cell that holds several, trimmed; NULL when blank or absent."""

    of: Expression = main()
    separator: str = arg(Shape.TEXT)
    take: int = arg(Shape.POSITIVE, 1)


@operator("list", Kind.MULTI_OPTION, loses=("truncated",))
@dataclass(frozen=True, slots=True)
class ListOf(Expression):
    """The non-blank pieces of a cell, trimmed, in order, joined with `with`."""

    of: Expression = main()
    separator: str = arg(Shape.TEXT)
    with_: str = arg(Shape.TEXT, ";", key="with")
    max: int | None = maximum()


@operator("most_common", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class MostCommon(Expression):
    """In a merged output: the most frequent spelling among the merged rows. Per row it is its argument."""

    of: Expression = main()
    max: int | None = maximum()


# ── cleaned by a dictionary ───────────────────────────────────────────────────────────────────────────


@operator("name", loses=("truncated",))
@dataclass(frozen=True, slots=True)
class Name(Expression):
    """One part of a person's full name: given names, family name or honorific."""

    of: Expression = main()
    part: Literal["given", "family", "honorific"] = arg(Shape.CHOICE, choices=("given", "family", "honorific"))
    max: int | None = maximum()


@operator("phone", Kind.PHONE, fails=("unparsable_phone",))
@dataclass(frozen=True, slots=True)
class Phone(Expression):
    """A telephone number in E.164, `+905321234567`, an extension kept as ` x12`. `region` (ISO 3166) is
    the country of numbers written without one."""

    of: Expression = main()
    region: str = arg(Shape.TEXT)


@operator("email", Kind.EMAIL, fails=("invalid_email",), loses=("truncated", "further_values"))
@dataclass(frozen=True, slots=True)
class Email(Expression):
    """The first valid address of a cell (`take: 1`), or the other valid ones joined by `;` (`rest`)."""

    of: Expression = main()
    take: Literal["1", "rest"] = arg(Shape.TAKE, "1", choices=("1", "rest"))
    max: int | None = maximum()


@operator("company_key", loses=("no_company_key",))
@dataclass(frozen=True, slots=True)
class CompanyKey(Expression):
    """A company's name reduced to what identifies it: folded case, no accents, punctuation or legal form."""

    of: Expression = main()


# ── numbers and truth ─────────────────────────────────────────────────────────────────────────────────


@operator("number", Kind.DECIMAL, fails=("unparsable_number",), loses=("rounded",))
@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A number in the source's locale: `₺1.234,56` is `1234.56`, `%25` is `25`. `scale` rounds half away
    from zero. At most 18 digits on either side of the decimal sign."""

    of: Expression = main()
    scale: int | None = arg(Shape.COUNT, None)


@operator("integer", Kind.INTEGER, fails=("unparsable_number",))
@dataclass(frozen=True, slots=True)
class Integer(Expression):
    """A whole number of at most 18 digits; a fraction other than zero is refused."""

    of: Expression = main()


@operator("boolean", Kind.BOOLEAN, fails=("unparsable_boolean",))
@dataclass(frozen=True, slots=True)
class Boolean(Expression):
    """`true` or `false` by the locale's words, case folded; `otherwise` is the value of an empty cell."""

    of: Expression = main()
    otherwise: Literal["true", "false"] | None = arg(Shape.TRUTH, None, choices=("true", "false"))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────


@operator("date", Kind.DATE, fails=("unparsable_date",))
@dataclass(frozen=True, slots=True)
class Date(Expression):
    """A calendar date, `2024-12-31`; of a moment with an offset, the date in the source's zone."""

    of: Expression = main()


@operator("datetime", Kind.DATETIME, fails=("unparsable_date", "dst_gap", "dst_overlap"))
@dataclass(frozen=True, slots=True)
class DateTime(Expression):
    """A moment in UTC, `2024-12-31T11:05:00.000Z`. Text without an offset is local time in `zone` (the
    source's zone by default). A repeated hour is read by `overlap`; an hour that the clocks skipped is
    moved forward or refused by `gap`. Both are counted."""

    of: Expression = main()
    zone: str | None = arg(Shape.TEXT, None)
    overlap: Literal["earlier", "later"] = arg(Shape.CHOICE, "earlier", choices=("earlier", "later"))
    gap: Literal["forward", "reject"] = arg(Shape.CHOICE, "forward", choices=("forward", "reject"))


@operator("duration", Kind.DECIMAL, fails=("unparsable_duration",))
@dataclass(frozen=True, slots=True)
class Duration(Expression):
    """A length of time in `unit`: `mm:ss`, `hh:mm:ss`, `1 sa 5 dk`, `90 sn`, `2 min`; a bare number is
    already in `unit`."""

    of: Expression = main()
    unit: Literal["seconds", "minutes", "hours"] = arg(Shape.CHOICE, "seconds", choices=("seconds", "minutes", "hours"))


# ── options, references, owners, files ────────────────────────────────────────────────────────────────


@operator("option", Kind.OPTION, fails=("unmapped_option",), loses=("option_replaced",))
@dataclass(frozen=True, slots=True)
class Option(Expression):
    """A total map of options. A value that is not in `map` is refused (`reject`), kept as it is (`keep`),
    or replaced by a constant, which is counted as a loss. NULL stays NULL."""

    of: Expression = main()
    map: Pairs = arg(Shape.MAP)
    otherwise: Literal["reject", "keep"] | Constant = arg(Shape.FALLBACK, "reject", choices=("reject", "keep"))


@operator("record_type", Kind.REFERENCE, fails=("unmapped_option",))
@dataclass(frozen=True, slots=True)
class RecordType(Expression):
    """The record type of the target that `map` gives for a value, as `RecordType.<Object>:<name>`."""

    of: Expression = main()
    map: Pairs = arg(Shape.MAP)
    otherwise: Literal["reject"] | Constant = arg(Shape.FALLBACK, "reject", choices=("reject",))


@operator("owner", Kind.REFERENCE)
@dataclass(frozen=True, slots=True)
class Owner(Expression):
    """An owner's e-mail, lower case, `''` when empty; the decided owners turn it into a user."""

    of: Expression = main()


@dataclass(frozen=True, slots=True)
class Polymorphic:
    """The output that a reference points at, chosen by another column."""

    column: Expression
    map: Pairs


@operator("reference", Kind.REFERENCE, fails=("unmapped_option",))
@dataclass(frozen=True, slots=True)
class Reference(Expression):
    """Another record, as `<Output>:<key>` where the key is what that output's `key` makes of its row.

    `field` names the field of the referenced record to write (its id when empty). `when_missing` says what
    happens when there is a key but no such record; a NULL key is no reference at all."""

    of: Expression = main()
    to: str | Polymorphic = arg(Shape.TARGET)
    field: str = arg(Shape.NAME, "")
    when_missing: Literal["quarantine", "empty"] = arg(Shape.CHOICE, "quarantine", choices=("quarantine", "empty"))


@operator("lookup")
@dataclass(frozen=True, slots=True)
class Lookup(Expression):
    """A column or named value of the first row (in source order, with a value there) of object `in` whose
    `where` column equals `equals`."""

    column: str = main(Shape.NAME)
    in_: str = arg(Shape.NAME, key="in")
    where: str = arg(Shape.NAME)
    equals: Expression = arg(Shape.EXPRESSION)


@operator("file", Kind.BINARY)
@dataclass(frozen=True, slots=True)
class File(Expression):
    """The content of a file, given as its path under the export."""

    of: Expression = main()


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────


@condition("equals")
@dataclass(frozen=True, slots=True)
class Equals(Condition):
    """Both have a value and it is the same text. A bare word on the right is a constant."""

    left: Expression = main()
    right: Expression = main(Shape.OPERAND)


@condition("in")
@dataclass(frozen=True, slots=True)
class In(Condition):
    """The value is one of the texts."""

    of: Expression = main()
    values: tuple[str, ...] = main(Shape.TEXTS)


@condition("greater")
@dataclass(frozen=True, slots=True)
class Greater(Condition):
    """Left is greater than right, as numbers (as moments when left is a date or datetime)."""

    left: Expression = main()
    right: Expression = main(Shape.OPERAND)


@condition("present")
@dataclass(frozen=True, slots=True)
class Present(Condition):
    """There is a value."""

    of: Expression = main()


@condition("missing")
@dataclass(frozen=True, slots=True)
class Missing(Condition):
    """There is no value."""

    of: Expression = main()


@condition("not")
@dataclass(frozen=True, slots=True)
class Not(Condition):
    of: Condition = main(Shape.CONDITION)


@condition("all")
@dataclass(frozen=True, slots=True)
class All(Condition):
    of: tuple[Condition, ...] = main(Shape.CONDITIONS)


@condition("any")
@dataclass(frozen=True, slots=True)
class AnyOf(Condition):
    of: tuple[Condition, ...] = main(Shape.CONDITIONS)


@operator("if")
@dataclass(frozen=True, slots=True)
class If(Expression):
    """`then` where the condition holds, else `else` (NULL when left out)."""

    condition: Condition = main(Shape.CONDITION)
    then: Expression = arg(Shape.EXPRESSION)
    else_: Expression | None = arg(Shape.EXPRESSION, None, key="else")


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
