"""Numbers and durations in DuckDB: guarded by a pattern, then cast; never a guess.

The patterns are shared with the oracle, so both read the same grammar; what they do with it is written twice.
"""

from __future__ import annotations

from typing import Literal

from sqlglot import exp

from rehouse.transform import sql
from rehouse.transform.locale import Locale

DECIMAL = "DECIMAL(38, 18)"
GAP = "[ \\t\u00a0\u202f]*"
CURRENCY = "(?i:₺|\\$|€|£|TL|TRY|USD|EUR|GBP)"
SIGN = "[+\\-\u2212]"
CLOCK = "[0-9]{1,6}:[0-5][0-9](?::[0-5][0-9])?"
WORDS = (
    "(?:([0-9]{1,6})(?:saat|sa|hours|hour|hrs|hr|h)\\.?)?"
    "(?:([0-9]{1,6})(?:dakika|dak|dk|minutes|minute|mins|min|m)\\.?)?"
    "(?:([0-9]{1,6})(?:saniye|san|sn|seconds|second|secs|sec|s)\\.?)?"
)
SECONDS_IN = {"seconds": 1, "minutes": 60, "hours": 3600}


def number_pattern(locale: Locale) -> str:
    """The texts that are numbers in this locale: sign, currency sign or code and percent sign around digits
    that are either all grouped by threes or not at all. `1.234` is a thousand in a locale that groups by `.`;
    `12.5` is no number there."""
    group, point = f"[{locale.thousands}]", f"[{locale.decimal}]"
    digits = f"(?:[0-9]{{1,18}}|[0-9]{{1,3}}(?:{group}[0-9]{{3}}){{1,5}})(?:{point}[0-9]{{1,18}})?"
    before = f"(?:{SIGN}{GAP}(?:{CURRENCY}{GAP})?|(?:{CURRENCY}{GAP})?{SIGN}?{GAP})"
    return f"{before}(?:%{GAP}{digits}|{digits}{GAP}%?){GAP}{CURRENCY}?"


def parsed(value: exp.Expression, locale: Locale) -> exp.Expression:
    """The number a text stands for, as DECIMAL; NULL when it is none."""
    return sql.bind(value, lambda v: _parsed(v, locale))


def _parsed(value: exp.Expression, locale: Locale) -> exp.Expression:
    digits = sql.call(
        "replace",
        sql.replaced(value, f"[^0-9{locale.decimal}]", ""),
        sql.text(locale.decimal),
        sql.text("."),
    )
    negative = sql.contains_match(value, "[\\-\u2212]")
    signed = sql.concat(sql.case([(negative, sql.text("-"))], sql.text("")), digits)
    return sql.when(sql.matches(value, number_pattern(locale)), sql.cast(signed, DECIMAL))


def decimal(value: exp.Expression, locale: Locale, *, canonical: bool) -> exp.Expression:
    """As `parsed`; `canonical` text (the result of another number operator) is cast at once."""
    return sql.cast(value, DECIMAL) if canonical else parsed(value, locale)


def printed(value: exp.Expression) -> exp.Expression:
    """A DECIMAL as canonical text: no exponent, no superfluous zeros, no `+`, no `-0`."""
    zeros = sql.call("rtrim", sql.cast(sql.cast(value, DECIMAL), "VARCHAR"), sql.text("0"))
    return sql.call("rtrim", zeros, sql.text("."))


def rounded(value: exp.Expression, scale: int | None) -> exp.Expression:
    """Half away from zero, as DuckDB rounds decimals."""
    return value if scale is None else sql.call("round", value, sql.number(scale))


def number_text(value: exp.Expression, locale: Locale, scale: int | None, *, canonical: bool) -> exp.Expression:
    return printed(rounded(decimal(value, locale, canonical=canonical), scale))


def integer_text(value: exp.Expression, locale: Locale, *, canonical: bool) -> exp.Expression:
    """Canonical text of a whole number; NULL when there is a fraction."""
    found = number_text(value, locale, None, canonical=canonical)
    return sql.bind(found, lambda v: sql.when(sql.negate(sql.call("contains", v, sql.text("."))), v))


def duration_text(
    value: exp.Expression,
    locale: Locale,
    unit: Literal["seconds", "minutes", "hours"],
    *,
    canonical: bool,
) -> exp.Expression:
    """A length of time in `unit`; four decimals at most, half up."""
    return sql.bind(value, lambda v: _duration_text(v, locale, unit, canonical))


def _duration_text(value: exp.Expression, locale: Locale, unit: str, canonical: bool) -> exp.Expression:
    bare = (
        integer_text(value, locale, canonical=canonical)
        if unit == "seconds"
        else number_text(value, locale, 4, canonical=canonical)
    )
    if canonical:
        return bare
    words = sql.replaced(sql.folded(value), "[ \\t\u00a0\u202f]", "")
    said = sql.both(sql.contains_match(words, "[a-z]"), sql.matches(words, WORDS))
    return sql.case(
        [
            (sql.matches(value, CLOCK), _in_unit(_clock_seconds(value), unit)),
            (said, _in_unit(_word_seconds(words), unit)),
        ],
        bare,
    )


def _clock_seconds(value: exp.Expression) -> exp.Expression:
    def part(place: int) -> exp.Expression:
        return sql.cast(sql.call("split_part", value, sql.text(":"), sql.number(place)), "BIGINT")

    three = sql.plus(sql.plus(sql.times(part(1), sql.number(3600)), sql.times(part(2), sql.number(60))), part(3))
    two = sql.plus(sql.times(part(1), sql.number(60)), part(2))
    return sql.case([(sql.contains_match(value, ":.*:"), three)], two)


def _word_seconds(words: exp.Expression) -> exp.Expression:
    def part(place: int) -> exp.Expression:
        found = sql.cast(sql.group(words, f"^{WORDS}$", place), "BIGINT")
        return sql.call("coalesce", found, sql.number(0))

    minutes = sql.times(part(2), sql.number(60))
    return sql.plus(sql.plus(sql.times(part(1), sql.number(3600)), minutes), part(3))


def _in_unit(seconds: exp.Expression, unit: str) -> exp.Expression:
    if unit == "seconds":
        return sql.cast(seconds, "VARCHAR")
    size = SECONDS_IN[unit]
    # ten-thousandths by whole-number arithmetic: a division of decimals would go through a double
    tenths = exp.IntDiv(
        this=exp.Paren(this=sql.plus(sql.times(seconds, sql.number(20_000)), sql.number(size))),
        expression=sql.number(2 * size),
    )
    unit_value = sql.cast(sql.text("0.0001"), "DECIMAL(5, 4)")
    return printed(sql.times(sql.cast(exp.Paren(this=tenths), "DECIMAL(18, 0)"), unit_value))
