"""Building blocks of DuckDB expressions, made by sqlglot's builders only: no text is pasted into SQL.

Text constants that the engine and the oracle must share (what counts as a blank, a control character) are
here too, as data.

Trees share their parts: a node may hang in several places, which printing does not mind and copying would pay
for with most of the time. Nothing here changes a node after it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

BLANKS = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
"""Trimmed at both ends of every cell: Unicode white space, and the invisible U+200B, U+2060, U+FEFF."""

CONTROLS = "[\\x00-\\x08\\x0b-\\x1f\\x7f\u0080-\u009f]"
"""Characters that `Text` removes, as a pattern (a carriage return becomes a line feed first)."""


def call(name: str, *args: exp.Expression) -> exp.Expression:
    """A function call, printed as it is: sqlglot never rewrites it for the dialect."""
    return exp.Anonymous(this=name, expressions=list(args))


def text(value: str) -> exp.Expression:
    return exp.Literal.string(value)


def number(value: int) -> exp.Expression:
    return exp.Literal.number(value)


def null() -> exp.Expression:
    """NULL as text."""
    return cast(exp.Null(), "VARCHAR")


def true() -> exp.Expression:
    return exp.Boolean(this=True)


def false() -> exp.Expression:
    return exp.Boolean(this=False)


def column(name: str, table: str) -> exp.Expression:
    return exp.column(name, table=table, quoted=True)


def table_as(name: str, alias: str) -> exp.Expression:
    """A relation by its (unqualified) name, under an alias."""
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)),
    )


def cast(value: exp.Expression, kind: str) -> exp.Expression:
    return exp.Cast(this=value, to=exp.DataType.build(kind, dialect="duckdb"))


def _operand(value: exp.Expression) -> exp.Expression:
    return exp.Paren(this=value) if isinstance(value, exp.Binary | exp.Unary) else value


def equal(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """Plain equality, NULL when a side is NULL: for joins, and for times and numbers."""
    return exp.EQ(this=_operand(left), expression=_operand(right))


def differs(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """Plain inequality, NULL when a side is NULL: for times and numbers."""
    return exp.NEQ(this=_operand(left), expression=_operand(right))


def greater(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """Plain order, NULL when a side is NULL: for times and numbers."""
    return exp.GT(this=_operand(left), expression=_operand(right))


# Texts are never compared by a bare `=`, `<>` or `>`: DuckDB 2.0.0 fails with an internal error ("BindBuiltin-
# ScalarFunction did not return a BoundFunctionExpression") when its statistics prove that the one side is NULL
# or a known text, as in `CASE WHEN x = '1' THEN 'true' END <> ''` over a column without a `1`.


def same(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """Both texts have a value and it is the same; never NULL."""
    alike = exp.NullSafeEQ(this=_operand(left), expression=_operand(right))
    return alike if isinstance(right, exp.Literal) else both(not_null(left), alike)


def unlike(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """The texts differ, NULL being a text of its own; never NULL."""
    return exp.NullSafeNEQ(this=_operand(left), expression=_operand(right))


def filled(value: exp.Expression) -> exp.Expression:
    """The text is neither NULL nor empty; never NULL."""
    return surely(greater(call("strlen", value), number(0)))


def nonempty(value: exp.Expression) -> exp.Expression:
    """The text, or NULL when it is empty."""
    return bind(value, lambda v: when(greater(call("strlen", v), number(0)), v))


def after(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """The left text sorts after the right one; NULL when a side is NULL."""
    return greater(concat(text(">"), left), concat(text(">"), right))


def plus(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Add(this=_operand(left), expression=_operand(right))


def minus(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Sub(this=_operand(left), expression=_operand(right))


def times(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Mul(this=_operand(left), expression=_operand(right))


def is_null(value: exp.Expression) -> exp.Expression:
    return exp.Is(this=_operand(value), expression=exp.Null())


def not_null(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=is_null(value))


def negate(condition: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=condition))


def both(*conditions: exp.Expression | None) -> exp.Expression:
    """All of them; true when there is none."""
    given = [c for c in conditions if c is not None]
    joined: exp.Expression = exp.Paren(this=exp.and_(*given, copy=False)) if len(given) > 1 else (given or [true()])[0]
    return joined


def either(*conditions: exp.Expression) -> exp.Expression:
    """Any of them; false when there is none."""
    given = list(conditions)
    joined: exp.Expression = exp.Paren(this=exp.or_(*given, copy=False)) if len(given) > 1 else (given or [false()])[0]
    return joined


def surely(condition: exp.Expression) -> exp.Expression:
    """The condition with unknown read as false."""
    return call("coalesce", condition, false())


def is_in(value: exp.Expression, options: Iterable[str]) -> exp.Expression:
    """The text is one of the options; never NULL."""
    listed = [text(o) for o in options]
    if len(listed) < 2:
        return either(*(same(value, o) for o in listed))
    return surely(exp.In(this=_operand(value), expressions=listed))


_INLINE = 60
"""Expressions of at most so many nodes are repeated where they are used: the engine computes them once."""


def bind(value: exp.Expression, build: Callable[[exp.Expression], exp.Expression]) -> exp.Expression:
    """`build(value)` for a `build` that uses its argument more than once.

    A large value is computed once and named by a lambda over a list of one; otherwise nested operators would
    repeat it exponentially. The engine allows no subquery inside a lambda, so `build` must not add one.
    """
    if sum(1 for _ in value.walk()) <= _INLINE:
        return build(value)
    name = exp.to_identifier("_value")
    body = exp.Lambda(this=build(exp.column("_value")), expressions=[name])
    return call("list_extract", call("list_transform", call("list_value", value), body), number(1))


def case(
    branches: Sequence[tuple[exp.Expression, exp.Expression]], otherwise: exp.Expression | None = None
) -> exp.Expression:
    """CASE WHEN … THEN … ELSE otherwise END; NULL when `otherwise` is left out."""
    if not branches:
        return otherwise if otherwise is not None else null()
    made = exp.Case(ifs=[exp.If(this=c, true=v) for c, v in branches])
    if otherwise is not None:
        made.set("default", otherwise)
    return made


def when(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    return case([(condition, value)])


def concat(*parts: exp.Expression) -> exp.Expression:
    """The parts one after the other; NULL when one is NULL."""
    joined = _operand(parts[0])
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=_operand(part))
    return exp.Paren(this=joined)


def trimmed(value: exp.Expression) -> exp.Expression:
    """Without blanks at both ends; NULL when nothing is left.

    Trimming by a set of characters costs ten times what a pattern does, and few cells need it.
    """
    return bind(value, _trimmed)


def _trimmed(value: exp.Expression) -> exp.Expression:
    needed = contains_match(value, f"^[{BLANKS}]|[{BLANKS}]$")
    return nonempty(case([(needed, call("trim", value, text(BLANKS)))], value))


def cut(value: exp.Expression, limit: int | None) -> exp.Expression:
    """At most `limit` code points, without blanks left at the cut."""
    return value if limit is None else bind(value, lambda v: _cut(v, limit))


def _cut(value: exp.Expression, limit: int) -> exp.Expression:
    shorter = nonempty(call("rtrim", call("left", value, number(limit)), text(BLANKS)))
    return case([(greater(call("length", value), number(limit)), shorter)], value)


def matches(value: exp.Expression, pattern: str) -> exp.Expression:
    """The whole text fits the pattern."""
    return call("regexp_full_match", value, text(pattern))


def contains_match(value: exp.Expression, pattern: str) -> exp.Expression:
    return call("regexp_matches", value, text(pattern))


def replaced(value: exp.Expression, pattern: str, by: str) -> exp.Expression:
    return call("regexp_replace", value, text(pattern), text(by), text("g"))


def group(value: exp.Expression, pattern: str, number_of_group: int) -> exp.Expression:
    """A group of the first match; NULL when it took no part."""
    return nonempty(call("regexp_extract", value, text(pattern), number(number_of_group)))


def folded(value: exp.Expression) -> exp.Expression:
    """Lower case for comparing words: `I`, `İ` and `ı` all become `i`, so that `HAYIR` meets `Hayır`."""
    return call("lower", call("translate", value, text("Iİı"), text("iii")))


def lower_ascii_i(value: exp.Expression) -> exp.Expression:
    """Lower case for addresses: `İ` becomes a plain `i`."""
    return call("lower", call("replace", value, text("İ"), text("i")))


def control_free(value: exp.Expression) -> exp.Expression:
    """Line ends as `\\n`, other control characters removed, trimmed; NULL when nothing is left."""

    def without(bound: exp.Expression) -> exp.Expression:
        cleaned = replaced(replaced(bound, "\\r\\n?", "\n"), CONTROLS, "")
        return case([(contains_match(bound, CONTROLS), cleaned)], bound)

    return trimmed(bind(value, without))


def normalised_column(value: exp.Expression, empty_values: Sequence[str] = ()) -> exp.Expression:
    """A source cell as every operator expects it: Unicode NFC, trimmed, NULL when blank or a placeholder.

    U+0000 is taken out first: DuckDB 2.0.0 drops what follows one when it normalises text.
    """
    plain = trimmed(call("nfc_normalize", call("replace", value, call("chr", number(0)), text(""))))
    if not empty_values:
        return plain
    return bind(plain, lambda v: when(negate(is_in(v, empty_values)), v))
