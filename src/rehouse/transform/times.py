"""Dates and moments in DuckDB, with the two policies that engines disagree about written out.

DuckDB reads a local time of the repeated hour as the later instant; the catalogue's default is the earlier.
A local time that the clocks skipped is moved forward by the length of the gap. Both are measured facts
(DuckDB 2.0.0), held by the conformance tests.
"""

from __future__ import annotations

from typing import Literal

from sqlglot import exp

from rehouse.transform import sql
from rehouse.transform.locale import Locale, format_pattern

ISO_LOCAL = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-8]):?[0-5][0-9])"
ISO_OFFSET = ISO_LOCAL + OFFSET
MOMENT = "%Y-%m-%dT%H:%M:%S.%gZ"


def all_formats(locale: Locale) -> tuple[str, ...]:
    """Every format of the locale, moments before dates, each once; ISO dates are always understood."""
    return tuple(dict.fromkeys((*locale.datetime_formats, *locale.date_formats, "%Y-%m-%d")))


def formats_pattern(locale: Locale) -> str:
    return "|".join(f"(?:{format_pattern(f)})" for f in all_formats(locale))


def _by_format(value: exp.Expression, locale: Locale) -> exp.Expression:
    formats = exp.Array(expressions=[sql.text(f) for f in all_formats(locale)])
    return sql.call("try_strptime", value, formats)


def _iso(value: exp.Expression) -> exp.Expression:
    """The clock reading of an ISO text, its offset left out, to the millisecond."""
    date = sql.call("left", value, sql.number(10))
    time = sql.call("substr", value, sql.number(12), sql.number(5))
    seconds = sql.call("coalesce", sql.group(value, ":[0-9]{2}:([0-9]{2})", 1), sql.text("00"))
    reading = sql.call(
        "try_strptime",
        sql.concat(date, sql.text(" "), time, sql.text(":"), seconds),
        sql.text("%Y-%m-%d %H:%M:%S"),
    )
    fraction = sql.call("coalesce", sql.group(value, "[.]([0-9]{1,3})", 1), sql.text("0"))
    padded = sql.call("rpad", fraction, sql.number(3), sql.text("0"))
    return sql.plus(reading, sql.call("to_milliseconds", sql.cast(padded, "BIGINT")))


def _stated(value: exp.Expression) -> exp.Expression:
    """The UTC timestamp of an ISO text that states its offset (`Z`: none)."""
    shape = "[+-]([0-9]{2}):?([0-9]{2})$"

    def part(place: int) -> exp.Expression:
        return sql.call("coalesce", sql.cast(sql.group(value, shape, place), "BIGINT"), sql.number(0))

    offset = sql.plus(sql.call("to_hours", part(1)), sql.call("to_minutes", part(2)))
    west = sql.contains_match(value, "-[0-9]{2}:?[0-9]{2}$")
    reading = _iso(value)
    return sql.case([(west, sql.plus(reading, offset))], sql.minus(reading, offset))


def local_reading(value: exp.Expression, locale: Locale) -> exp.Expression:
    """The wall clock of a text without an offset, as TIMESTAMP; NULL when it is none or has an offset."""
    return sql.bind(value, lambda v: _local_reading(v, locale))


def _local_reading(value: exp.Expression, locale: Locale) -> exp.Expression:
    return sql.case(
        [
            (sql.matches(value, formats_pattern(locale)), _by_format(value, locale)),
            (sql.matches(value, ISO_LOCAL), _iso(value)),
        ]
    )


def _zone(name: str, value: exp.Expression) -> exp.Expression:
    return sql.call("timezone", sql.text(name), value)


def to_local(utc: exp.Expression, zone: str) -> exp.Expression:
    """Wall clock in `zone` of a UTC timestamp."""
    return _zone(zone, _zone("UTC", utc))


def _later(local: exp.Expression, zone: str) -> exp.Expression:
    return _zone("UTC", _zone(zone, local))


def _earlier(local: exp.Expression, zone: str) -> exp.Expression:
    hour = sql.call("to_hours", sql.number(1))
    return sql.plus(_later(sql.minus(local, hour), zone), hour)


def to_utc(local: exp.Expression, zone: str, overlap: Literal["earlier", "later"]) -> exp.Expression:
    """The UTC timestamp of a wall clock reading."""
    if zone == "UTC":
        return local
    if overlap == "later":
        return _later(local, zone)

    def first(bound: exp.Expression) -> exp.Expression:
        earlier = _earlier(bound, zone)
        return sql.case([(sql.equal(to_local(earlier, zone), bound), earlier)], _later(bound, zone))

    return sql.bind(local, first)


def in_gap(local: exp.Expression, zone: str) -> exp.Expression:
    """The clocks skipped this reading."""
    return sql.bind(local, lambda v: sql.surely(sql.differs(to_local(_later(v, zone), zone), v)))


def in_overlap(local: exp.Expression, zone: str) -> exp.Expression:
    """The clocks showed this reading twice."""

    def twice(bound: exp.Expression) -> exp.Expression:
        earlier = _earlier(bound, zone)
        same = sql.equal(to_local(earlier, zone), bound)
        return sql.surely(sql.both(same, sql.differs(earlier, _later(bound, zone))))

    return sql.bind(local, twice)


def moment_text(
    value: exp.Expression,
    locale: Locale,
    zone: str,
    overlap: Literal["earlier", "later"],
    gap: Literal["forward", "reject"],
) -> exp.Expression:
    """Canonical text of a moment; NULL when the text is none."""

    def read(local: exp.Expression) -> exp.Expression:
        utc = to_utc(local, zone, overlap)
        return sql.when(sql.negate(in_gap(local, zone)), utc) if gap == "reject" else utc

    def moment(bound: exp.Expression) -> exp.Expression:
        unstated = sql.bind(_local_reading(bound, locale), read)
        return sql.case([(sql.matches(bound, ISO_OFFSET), _stated(bound))], unstated)

    return sql.call("strftime", sql.bind(value, moment), sql.text(MOMENT))


def date_text(value: exp.Expression, locale: Locale, zone: str) -> exp.Expression:
    """Canonical text of a date; a moment with an offset is seen in `zone`."""

    def reading(bound: exp.Expression) -> exp.Expression:
        stated = to_local(_stated(bound), zone)
        return sql.case([(sql.matches(bound, ISO_OFFSET), stated)], _local_reading(bound, locale))

    return sql.cast(sql.cast(sql.bind(value, reading), "DATE"), "VARCHAR")
