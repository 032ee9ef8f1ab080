"""The catalogue in DuckDB: one short function per operator, built with sqlglot and never transpiled.

Every rendered expression is VARCHAR in canonical form, or NULL: numbers `1234.56`, booleans `true`/`false`,
dates `2024-12-31`, moments in UTC `2024-12-31T11:05:00.000Z`, several values joined. Every rendered condition
is TRUE or FALSE, never NULL. A text that an operator cannot read becomes NULL; `issues` says so.

Cleaning operators (`name`, `phone`, `email`, `company_key`) read a dictionary table (`rehouse.transform.clean`)
by a scalar subquery: `clean_name`, `clean_phone_<REGION>`, `clean_email`, `clean_company`.
"""

from __future__ import annotations

from functools import singledispatch

from sqlglot import exp

from rehouse.mapping import expressions as ex
from rehouse.model import Kind
from rehouse.transform import numbers, sql, times
from rehouse.transform.context import Context

NUMERIC = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.MONEY, Kind.PERCENT})


@singledispatch
def render(node: ex.Node, ctx: Context) -> exp.Expression:
    """The DuckDB expression of a node (see the module's text for its form)."""
    raise TypeError(f"no DuckDB renderer for {type(node).__name__}")


def is_numeric(node: ex.Expression, ctx: Context) -> bool:
    """Whether a node's text is a canonical number already, not source text in the locale."""
    return ex.result_kind(node, ctx.values) in NUMERIC


# ── plain values and text ─────────────────────────────────────────────────────────────────────────────


@render.register
def _(node: ex.Column, ctx: Context) -> exp.Expression:
    return ctx.columns(node.name).copy()


@render.register
def _(node: ex.Constant, ctx: Context) -> exp.Expression:
    return sql.text(node.value)


@render.register
def _(node: ex.Limit, ctx: Context) -> exp.Expression:
    return sql.text(str(ctx.limits[node.name]))


@render.register
def _(node: ex.Text, ctx: Context) -> exp.Expression:
    return sql.cut(sql.control_free(render(node.of, ctx)), node.max)


@render.register
def _(node: ex.Join, ctx: Context) -> exp.Expression:
    return sql.cut(joined(node, ctx), node.max)


def joined(node: ex.Join, ctx: Context) -> exp.Expression:
    """A join before it is cut."""
    parts = [render(part, ctx) for part in node.of]
    return sql.nonempty(sql.call("concat_ws", sql.text(node.with_), *parts))


@render.register
def _(node: ex.FirstOf, ctx: Context) -> exp.Expression:
    return sql.cut(first(node, ctx), node.max)


def first(node: ex.FirstOf, ctx: Context) -> exp.Expression:
    """The first value before it is cut. `''` (an owner without e-mail) counts as none."""
    parts = [sql.nonempty(render(part, ctx)) for part in node.of]
    return sql.call("coalesce", *parts)


@render.register
def _(node: ex.Part, ctx: Context) -> exp.Expression:
    value = render(node.of, ctx)
    return sql.trimmed(sql.call("split_part", value, sql.text(node.separator), sql.number(node.take)))


@render.register
def _(node: ex.ListOf, ctx: Context) -> exp.Expression:
    return sql.cut(listed(node, ctx), node.max)


def listed(node: ex.ListOf, ctx: Context) -> exp.Expression:
    """A list before it is cut."""
    name = exp.to_identifier("piece")
    piece = exp.column("piece")
    pieces = sql.call("str_split", render(node.of, ctx), sql.text(node.separator))
    trim = exp.Lambda(this=sql.call("trim", piece, sql.text(sql.BLANKS)), expressions=[name])
    keep = exp.Lambda(this=sql.filled(piece), expressions=[name])
    kept = sql.call("list_filter", sql.call("list_transform", pieces, trim), keep)
    return sql.nonempty(sql.call("array_to_string", kept, sql.text(node.with_)))


@render.register
def _(node: ex.MostCommon, ctx: Context) -> exp.Expression:
    return sql.cut(render(node.of, ctx), node.max)


# ── cleaned by a dictionary ───────────────────────────────────────────────────────────────────────────


def dictionary_name(node: ex.Node) -> str | None:
    """The dictionary table a node reads, or None."""
    match node:
        case ex.Name():
            return "clean_name"
        case ex.Phone():
            return f"clean_phone_{node.region}"
        case ex.Email():
            return "clean_email"
        case ex.CompanyKey():
            return "clean_company"
        case _:
            return None


def cleaned(node: ex.Name | ex.Phone | ex.Email | ex.CompanyKey, part: str, ctx: Context) -> exp.Expression:
    """A part of the dictionary's entry for a node's argument."""
    table = dictionary_name(node)
    assert table is not None
    alias = f"_{table}"
    found = (
        exp.select(sql.column(part, alias))
        .from_(sql.table_as(table, alias))
        .where(sql.equal(sql.column("raw", alias), render(node.of, ctx)))
    )
    return found.subquery()


@render.register
def _(node: ex.Name, ctx: Context) -> exp.Expression:
    return sql.cut(cleaned(node, node.part, ctx), node.max)


@render.register
def _(node: ex.Phone, ctx: Context) -> exp.Expression:
    return cleaned(node, "value", ctx)


@render.register
def _(node: ex.Email, ctx: Context) -> exp.Expression:
    return sql.cut(cleaned(node, email_part(node), ctx), node.max)


def email_part(node: ex.Email) -> str:
    """The dictionary's column for `take`."""
    return "rest" if node.take == "rest" else "first"


@render.register
def _(node: ex.CompanyKey, ctx: Context) -> exp.Expression:
    return cleaned(node, "value", ctx)


# ── numbers, truth, time ──────────────────────────────────────────────────────────────────────────────


@render.register
def _(node: ex.Number, ctx: Context) -> exp.Expression:
    value = render(node.of, ctx)
    return numbers.number_text(value, ctx.locale, node.scale, canonical=is_numeric(node.of, ctx))


@render.register
def _(node: ex.Integer, ctx: Context) -> exp.Expression:
    return numbers.integer_text(render(node.of, ctx), ctx.locale, canonical=is_numeric(node.of, ctx))


@render.register
def _(node: ex.Boolean, ctx: Context) -> exp.Expression:
    def judged(value: exp.Expression) -> exp.Expression:
        word = sql.folded(value)
        branches = [
            (sql.is_in(word, words("true", ctx)), sql.text("true")),
            (sql.is_in(word, words("false", ctx)), sql.text("false")),
        ]
        if node.otherwise is not None:
            branches.append((sql.is_null(value), sql.text(node.otherwise)))
        return sql.case(branches)

    return sql.bind(render(node.of, ctx), judged)


def words(truth: str, ctx: Context) -> list[str]:
    """The locale's words for a truth value, folded as `sql.folded` folds; the canonical word always."""
    given = ctx.locale.true_values if truth == "true" else ctx.locale.false_values
    return sorted({truth, *(fold(w) for w in given)})


def fold(word: str) -> str:
    """What `sql.folded` does, in Python, for constants."""
    return word.translate(str.maketrans("Iİı", "iii")).lower()


@render.register
def _(node: ex.Date, ctx: Context) -> exp.Expression:
    return times.date_text(render(node.of, ctx), ctx.locale, ctx.locale.zone)


@render.register
def _(node: ex.DateTime, ctx: Context) -> exp.Expression:
    zone = node.zone or ctx.locale.zone
    return times.moment_text(render(node.of, ctx), ctx.locale, zone, node.overlap, node.gap)


@render.register
def _(node: ex.Duration, ctx: Context) -> exp.Expression:
    value = render(node.of, ctx)
    return numbers.duration_text(value, ctx.locale, node.unit, canonical=is_numeric(node.of, ctx))


# ── options, references, owners, files ────────────────────────────────────────────────────────────────


@render.register
def _(node: ex.Option, ctx: Context) -> exp.Expression:
    def mapped(value: exp.Expression) -> exp.Expression:
        branches = [(sql.same(value, sql.text(k)), sql.text(v)) for k, v in node.map]
        return sql.case(branches, _fallback(node, value))

    return sql.bind(render(node.of, ctx), mapped)


def _fallback(node: ex.Option | ex.RecordType, value: exp.Expression) -> exp.Expression | None:
    if node.otherwise == "reject":
        return None
    if node.otherwise == "keep":
        return value
    assert isinstance(node.otherwise, ex.Constant)
    return sql.when(sql.not_null(value), sql.text(node.otherwise.value))


@render.register
def _(node: ex.RecordType, ctx: Context) -> exp.Expression:
    prefix = f"RecordType.{ctx.object}:"

    def mapped(value: exp.Expression) -> exp.Expression:
        branches = [(sql.same(value, sql.text(k)), sql.text(prefix + v)) for k, v in node.map]
        if isinstance(node.otherwise, ex.Constant):
            branches.append((sql.not_null(value), sql.text(prefix + node.otherwise.value)))
        return sql.case(branches)

    return sql.bind(render(node.of, ctx), mapped)


@render.register
def _(node: ex.Owner, ctx: Context) -> exp.Expression:
    address = sql.call("regexp_replace", sql.lower_ascii_i(render(node.of, ctx)), sql.text("^mailto:"), sql.text(""))
    return sql.call("coalesce", sql.trimmed(address), sql.text(""))


@render.register
def _(node: ex.Reference, ctx: Context) -> exp.Expression:
    key = render(node.of, ctx)
    if isinstance(node.to, str):
        return sql.concat(sql.text(f"{node.to}:"), key)
    pairs = node.to.map

    def prefix(kind: exp.Expression) -> exp.Expression:
        return sql.case([(sql.same(kind, sql.text(k)), sql.text(f"{output}:")) for k, output in pairs])

    return sql.concat(sql.bind(render(node.to.column, ctx), prefix), key)


@render.register
def _(node: ex.Lookup, ctx: Context) -> exp.Expression:
    alias = f"_{node.in_}"
    first_row = sql.call("arg_min", sql.column(node.column, alias), sql.column("_row", alias))
    found = (
        exp.select(first_row)
        .from_(sql.table_as(ctx.table(node.in_), alias))
        .where(sql.equal(sql.column(node.where, alias), render(node.equals, ctx)))
    )
    return found.subquery()


@render.register
def _(node: ex.File, ctx: Context) -> exp.Expression:
    return render(node.of, ctx)


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────


@render.register
def _(node: ex.If, ctx: Context) -> exp.Expression:
    otherwise = render(node.else_, ctx) if node.else_ is not None else None
    return sql.case([(render(node.condition, ctx), render(node.then, ctx))], otherwise)


@render.register
def _(node: ex.Equals, ctx: Context) -> exp.Expression:
    return sql.same(render(node.left, ctx), render(node.right, ctx))


@render.register
def _(node: ex.In, ctx: Context) -> exp.Expression:
    return sql.is_in(render(node.of, ctx), node.values)


@render.register
def _(node: ex.Greater, ctx: Context) -> exp.Expression:
    left, right = render(node.left, ctx), render(node.right, ctx)
    if ex.result_kind(node.left, ctx.values) in (Kind.DATE, Kind.DATETIME):
        return sql.surely(sql.after(left, right))
    return sql.surely(
        sql.greater(
            numbers.decimal(left, ctx.locale, canonical=is_numeric(node.left, ctx)),
            numbers.decimal(right, ctx.locale, canonical=is_numeric(node.right, ctx)),
        )
    )


@render.register
def _(node: ex.Present, ctx: Context) -> exp.Expression:
    return sql.filled(render(node.of, ctx))


@render.register
def _(node: ex.Missing, ctx: Context) -> exp.Expression:
    return sql.negate(sql.filled(render(node.of, ctx)))


@render.register
def _(node: ex.Not, ctx: Context) -> exp.Expression:
    return sql.negate(render(node.of, ctx))


@render.register
def _(node: ex.All, ctx: Context) -> exp.Expression:
    return sql.both(*(render(part, ctx) for part in node.of))


@render.register
def _(node: ex.AnyOf, ctx: Context) -> exp.Expression:
    return sql.either(*(render(part, ctx) for part in node.of))
