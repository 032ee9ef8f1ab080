"""What is wrong with a value, and what is lost of one: conditions beside the renderer's values.

An issue inside a branch counts only on the rows that take the branch: the second part of `first_of` where the
first is empty, `then` where the condition holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatch

from sqlglot import exp

from rehouse.mapping import expressions as ex
from rehouse.mapping.schema import Output
from rehouse.model import Kind
from rehouse.transform import numbers, sql, times
from rehouse.transform.context import Context, IssueRule, Loss
from rehouse.transform.render import cleaned, first, is_numeric, joined, listed, render

Guard = exp.Expression | None


def issues(node: ex.Node, ctx: Context) -> list[IssueRule]:
    """Every way in which a row can be wrong about this node, outermost operator first."""
    found = []
    for part, guard in _reached(node, ctx, None):
        for rule in _issues(part, ctx):
            found.append(replace(rule, condition=sql.both(guard, sql.surely(rule.condition))))
    return found


def losses(node: ex.Node, ctx: Context) -> list[Loss]:
    """Every way in which a part of a value can get lost in this node."""
    return [loss for _, loss in _node_losses(node, ctx)]


def output_losses(output: Output, ctx: Context) -> dict[str, list[Loss]]:
    """Losses by field, named values of the context written out. What one field leaves behind and another field
    of the output takes (the second piece of a cell, the other addresses) is no loss."""
    fields = {name: ex.expand(e, ctx.values) for name, e in output.fields.items()}
    taken = {n for e in fields.values() for n in ex.walk(e) if isinstance(n, ex.Part | ex.Email)}
    found = {}
    for name, expression in fields.items():
        kept = [
            loss
            for node, loss in _node_losses(expression, ctx)
            if loss.code != "further_values" or not _taken_elsewhere(node, taken)
        ]
        if kept:
            found[name] = kept
    return found


def _taken_elsewhere(node: ex.Node, others: set[ex.Part | ex.Email]) -> bool:
    if isinstance(node, ex.Email):
        return any(isinstance(o, ex.Email) and o.of == node.of and o.take == "rest" for o in others)
    assert isinstance(node, ex.Part)
    same = (o for o in others if isinstance(o, ex.Part) and (o.of, o.separator) == (node.of, node.separator))
    return any(o.take > node.take for o in same)


def _node_losses(node: ex.Node, ctx: Context) -> Iterator[tuple[ex.Node, Loss]]:
    for part, guard in _reached(node, ctx, None):
        for loss in _losses(part, ctx):
            yield part, replace(loss, condition=sql.both(guard, sql.surely(loss.condition)))


def _reached(node: ex.Node, ctx: Context, guard: Guard) -> Iterator[tuple[ex.Node, Guard]]:
    """The node and all inside it, each with the condition under which a row gets there (None: always)."""
    yield node, guard
    if isinstance(node, ex.If):
        yield from _reached(node.condition, ctx, guard)
        condition = render(node.condition, ctx)
        yield from _reached(node.then, ctx, sql.both(guard, condition))
        if node.else_ is not None:
            yield from _reached(node.else_, ctx, sql.both(guard, sql.negate(condition)))
    elif isinstance(node, ex.FirstOf):
        for place, part in enumerate(node.of):
            yield from _reached(part, ctx, guard)
            if place + 1 < len(node.of):
                empty = sql.negate(sql.filled(render(part, ctx)))
                guard = sql.both(guard, empty)
    else:
        for child in ex.children(node):
            yield from _reached(child, ctx, guard)


# ── issues ────────────────────────────────────────────────────────────────────────────────────────────


@singledispatch
def _issues(node: ex.Node, ctx: Context) -> list[IssueRule]:
    """The node's own issues, not those of the nodes inside it. Most operators have none."""
    return []


def _refused(code: str, message: str, value: exp.Expression, raw: exp.Expression) -> list[IssueRule]:
    """There was something, and nothing came out."""
    return [IssueRule(code, message, sql.both(sql.not_null(raw), sql.is_null(value)), raw)]


@_issues.register
def _(node: ex.Number, ctx: Context) -> list[IssueRule]:
    # the bare parse decides: whether it is rounded afterwards cannot fail
    raw = render(node.of, ctx)
    parsed = numbers.decimal(raw, ctx.locale, canonical=is_numeric(node.of, ctx))
    return _refused("unparsable_number", "is not a number in the source's format", parsed, raw)


@_issues.register
def _(node: ex.Integer, ctx: Context) -> list[IssueRule]:
    return _refused("unparsable_number", "is not a whole number", render(node, ctx), render(node.of, ctx))


@_issues.register
def _(node: ex.Boolean, ctx: Context) -> list[IssueRule]:
    return _refused("unparsable_boolean", "is neither yes nor no", render(node, ctx), render(node.of, ctx))


@_issues.register
def _(node: ex.Date, ctx: Context) -> list[IssueRule]:
    return _refused("unparsable_date", "is not a date", render(node, ctx), render(node.of, ctx))


@_issues.register
def _(node: ex.DateTime, ctx: Context) -> list[IssueRule]:
    raw, zone = render(node.of, ctx), node.zone or ctx.locale.zone
    understood = render(replace(node, gap="forward"), ctx)
    rules = _refused("unparsable_date", "is not a date and time", understood, raw)
    if zone == "UTC":
        return rules
    local = times.local_reading(raw, ctx.locale)
    gap = f"is a time that the clocks of {zone} skipped"
    overlap = f"is a time that the clocks of {zone} showed twice; read as the {node.overlap}"
    return [
        *rules,
        IssueRule("dst_gap", gap, times.in_gap(local, zone), raw, blocking=node.gap == "reject"),
        IssueRule("dst_overlap", overlap, times.in_overlap(local, zone), raw, blocking=False),
    ]


@_issues.register
def _(node: ex.Duration, ctx: Context) -> list[IssueRule]:
    return _refused("unparsable_duration", "is not a length of time", render(node, ctx), render(node.of, ctx))


@_issues.register
def _(node: ex.Phone, ctx: Context) -> list[IssueRule]:
    message = f"is not a telephone number of {node.region} or of any country code"
    return _refused("unparsable_phone", message, render(node, ctx), render(node.of, ctx))


@_issues.register
def _(node: ex.Email, ctx: Context) -> list[IssueRule]:
    raw, first_valid = render(node.of, ctx), cleaned(node, "first", ctx)
    if node.take == "1":
        return _refused("invalid_email", "is not an e-mail address", first_valid, raw)
    invalid = cleaned(node, "invalid", ctx)
    further = sql.both(sql.not_null(first_valid), sql.not_null(invalid))
    return [IssueRule("invalid_email", "holds a further address that is not valid", further, invalid)]


@_issues.register
def _(node: ex.Option, ctx: Context) -> list[IssueRule]:
    return _unmapped(node, ctx)


@_issues.register
def _(node: ex.RecordType, ctx: Context) -> list[IssueRule]:
    return _unmapped(node, ctx)


def _unmapped(node: ex.Option | ex.RecordType, ctx: Context) -> list[IssueRule]:
    if node.otherwise != "reject":
        return []
    return [_outside(node.map, render(node.of, ctx))]


def _outside(pairs: ex.Pairs, raw: exp.Expression) -> IssueRule:
    keys = [k for k, _ in pairs]
    unknown = sql.not_null(raw)
    if keys:
        unknown = sql.both(unknown, sql.negate(sql.is_in(raw, keys)))
    return IssueRule("unmapped_option", "has no entry in the map of options", unknown, raw)


@_issues.register
def _(node: ex.Reference, ctx: Context) -> list[IssueRule]:
    if isinstance(node.to, str):
        return []
    kind, key = render(node.to.column, ctx), render(node.of, ctx)
    rule = _outside(node.to.map, kind)
    nameless = sql.both(sql.not_null(key), sql.is_null(kind))
    return [
        replace(rule, condition=sql.both(sql.not_null(key), rule.condition)),
        IssueRule("unmapped_option", "does not say what kind of record it refers to", nameless, key),
    ]


@_issues.register
def _(node: ex.Greater, ctx: Context) -> list[IssueRule]:
    if ex.result_kind(node.left, ctx.values) in (Kind.DATE, Kind.DATETIME):
        return []
    rules = []
    for side in (node.left, node.right):
        if not is_numeric(side, ctx):
            raw = render(side, ctx)
            value = numbers.parsed(raw, ctx.locale)
            rules += _refused("unparsable_number", "is compared as a number but is none", value, raw)
    return rules


# ── losses ────────────────────────────────────────────────────────────────────────────────────────────


@singledispatch
def _losses(node: ex.Node, ctx: Context) -> list[Loss]:
    """The node's own losses. Most operators have none."""
    return []


def _truncated(whole: exp.Expression, limit: int | None) -> list[Loss]:
    if limit is None:
        return []
    longer = sql.greater(sql.call("length", whole), sql.number(limit))
    return [Loss("truncated", longer, whole, sql.cut(whole, limit))]


@_losses.register
def _(node: ex.Text, ctx: Context) -> list[Loss]:
    return _truncated(sql.control_free(render(node.of, ctx)), node.max)


@_losses.register
def _(node: ex.Join, ctx: Context) -> list[Loss]:
    return _truncated(joined(node, ctx), node.max)


@_losses.register
def _(node: ex.FirstOf, ctx: Context) -> list[Loss]:
    return _truncated(first(node, ctx), node.max)


@_losses.register
def _(node: ex.ListOf, ctx: Context) -> list[Loss]:
    return _truncated(listed(node, ctx), node.max)


@_losses.register
def _(node: ex.MostCommon, ctx: Context) -> list[Loss]:
    return _truncated(render(node.of, ctx), node.max)


@_losses.register
def _(node: ex.Name, ctx: Context) -> list[Loss]:
    return _truncated(cleaned(node, node.part, ctx), node.max)


@_losses.register
def _(node: ex.Email, ctx: Context) -> list[Loss]:
    if node.take == "rest":
        return _truncated(cleaned(node, "rest", ctx), node.max)
    first_valid = cleaned(node, "first", ctx)
    more = sql.either(sql.not_null(cleaned(node, "rest", ctx)), sql.not_null(cleaned(node, "invalid", ctx)))
    further = sql.both(sql.not_null(first_valid), more)
    return [
        *_truncated(first_valid, node.max),
        Loss("further_values", further, render(node.of, ctx), render(node, ctx)),
    ]


@_losses.register
def _(node: ex.Part, ctx: Context) -> list[Loss]:
    raw = render(node.of, ctx)
    pieces = sql.call("str_split", raw, sql.text(node.separator))
    rest = sql.call(
        "array_to_string",
        sql.call("list_slice", pieces, sql.number(node.take + 1), sql.call("len", pieces)),
        sql.text(""),
    )
    return [Loss("further_values", sql.not_null(sql.trimmed(rest)), raw, render(node, ctx))]


@_losses.register
def _(node: ex.CompanyKey, ctx: Context) -> list[Loss]:
    raw, key = render(node.of, ctx), render(node, ctx)
    return [Loss("no_company_key", sql.both(sql.not_null(raw), sql.is_null(key)), raw, key)]


@_losses.register
def _(node: ex.Number, ctx: Context) -> list[Loss]:
    if node.scale is None:
        return []
    exact = render(replace(node, scale=None), ctx)
    kept = render(node, ctx)
    return [Loss("rounded", sql.unlike(exact, kept), exact, kept)]


@_losses.register
def _(node: ex.Option, ctx: Context) -> list[Loss]:
    if not isinstance(node.otherwise, ex.Constant):
        return []
    outside = _outside(node.map, render(node.of, ctx))
    return [Loss("option_replaced", outside.condition, outside.raw, sql.text(node.otherwise.value))]
