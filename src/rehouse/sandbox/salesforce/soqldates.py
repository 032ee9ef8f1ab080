"""SOQL date literals as half-open ranges of days. Weeks start on Sunday; the user's time zone is GMT."""

from __future__ import annotations

from datetime import date, timedelta

DAY = timedelta(days=1)


def _month(day: date, shift: int) -> date:
    index = day.year * 12 + day.month - 1 + shift
    return date(index // 12, index % 12 + 1, 1)


def _quarter(day: date, shift: int) -> date:
    return _month(date(day.year, (day.month - 1) // 3 * 3 + 1, 1), 3 * shift)


def _week(day: date, shift: int) -> date:
    return day - timedelta(days=(day.weekday() + 1) % 7) + timedelta(weeks=shift)


def _unit(day: date, unit: str, shift: int) -> date:
    """The start of the day, week, month, quarter or year `shift` of them away."""
    if unit == "DAY":
        return day + timedelta(days=shift)
    if unit == "WEEK":
        return _week(day, shift)
    if unit == "MONTH":
        return _month(day, shift)
    if unit == "QUARTER":
        return _quarter(day, shift)
    return date(day.year + shift, 1, 1)


def bounds(keyword: str, today: date) -> tuple[date, date] | None:
    """[start, end) of a date literal such as `TODAY` or `LAST_N_DAYS:30`; None when it is none."""
    name, _, count = keyword.partition(":")
    simple = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}
    if name in simple and not count:
        start = today + timedelta(days=simple[name])
        return start, start + DAY
    if name == "LAST_90_DAYS":
        return today - timedelta(days=90), today + DAY
    if name == "NEXT_90_DAYS":
        return today + DAY, today + timedelta(days=91)
    return _counted(name, int(count), today) if count else _relative(name, today)


def _relative(name: str, today: date) -> tuple[date, date] | None:
    which, _, unit = name.partition("_")
    shift = {"THIS": 0, "LAST": -1, "NEXT": 1}.get(which)
    if shift is None or unit not in ("WEEK", "MONTH", "QUARTER", "YEAR"):
        return None
    return _unit(today, unit, shift), _unit(today, unit, shift + 1)


def _counted(name: str, count: int, today: date) -> tuple[date, date] | None:
    parts = name.split("_")
    if len(parts) == 3 and parts[0] == "N" and parts[2] == "AGO":
        unit = parts[1].removesuffix("S")
        return _unit(today, unit, -count), _unit(today, unit, -count + 1)
    if len(parts) != 3 or parts[1] != "N" or parts[0] not in ("LAST", "NEXT"):
        return None
    unit = parts[2].removesuffix("S")
    if unit not in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"):
        return None
    if parts[0] == "NEXT":
        return _unit(today, unit, 1), _unit(today, unit, count + 1)
    # The current day belongs to the last n days; the current week, month… does not belong to the last n of them.
    return _unit(today, unit, -count), _unit(today, unit, 1 if unit == "DAY" else 0)
