"""What the composers of one export share: sizes, seeded random streams, calendar, owners, and what later
objects need to know of earlier ones. Nothing here grows with the number of activities."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from rehouse.samples.flaws import FlawBook
from rehouse.samples.layout import ExportLayout
from rehouse.samples.pools import Pools, pools

FIRST_DAY = date(2014, 1, 1)
EXPORT_DAY = date(2026, 11, 20)
LAST = (EXPORT_DAY - FIRST_DAY).days
"""Days are counted from FIRST_DAY; the export was taken on day LAST."""

OVERLAP_DAYS = tuple((day - FIRST_DAY).days for day in (date(2014, 10, 26), date(2015, 11, 8)))
"""Days on which Istanbul's clocks went back from 04:00 to 03:00 (tz database), so that 03:00-03:59 came twice.

The third summer time of the period, 2016, was kept for good. All other composed times lie between 08:00 and
21:00, so none falls into a spring gap (03:00-03:59)."""

CONTACT_BASE = 10_001
NOWHERE_CONTACT = 9_900_001
"""Ids from here on belong to no contact."""

_MOBILE = (*range(530, 540), *range(541, 550), *range(551, 556), 501, 505, 506, 507)
_SPREAD = 48_271  # a prime, so multiplying by it permutes the serials modulo 10**7 and 8 * 10**6


@dataclass(frozen=True, slots=True)
class Sizes:
    """Data rows per object, as they stand in the export."""

    contacts: int
    leads: int
    deals: int
    activities: int
    files: int


@dataclass(frozen=True, slots=True)
class User:
    """A user of the source: `state` is active, departed (listed as inactive) or unknown (not listed)."""

    full_name: str
    email: str
    role: str
    team: str
    state: str


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the source's world: id in the truth, official name, and the parts it is made of."""

    id: str
    base: str
    suffix: str
    domain: str
    landline: str

    @property
    def name(self) -> str:
        return f"{self.base} {self.suffix}"


@dataclass(frozen=True, slots=True)
class Person:
    """What the lead of a converted contact shares with that contact."""

    id: int
    full_name: str
    company: str
    email: str
    phone: str


@dataclass(slots=True)
class Scene:
    """State of one composition. Lists are filled by the composer of each object in turn."""

    sizes: Sizes
    seed: int
    layout: ExportLayout
    book: FlawBook
    pools: Pools = field(default_factory=pools)
    users: list[User] = field(default_factory=list)
    companies: list[Company] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)
    firms: dict[str, str] = field(default_factory=dict)
    known_emails: list[str] = field(default_factory=list)
    converted: list[Person] = field(default_factory=list)
    # Contacts that deals, activities and files may point at: id, first day, index of the company or -1.
    contact_ids: array[int] = field(default_factory=lambda: array("q"))
    contact_days: array[int] = field(default_factory=lambda: array("H"))
    contact_companies: array[int] = field(default_factory=lambda: array("l"))
    # Deals that activities and files may point at: serial number, position in contact_ids, first day.
    deal_serials: array[int] = field(default_factory=lambda: array("l"))
    deal_contacts: array[int] = field(default_factory=lambda: array("l"))
    deal_days: array[int] = field(default_factory=lambda: array("H"))
    deal_sums: dict[str, int] = field(default_factory=dict)
    overlaps: list[str] = field(default_factory=list)

    @property
    def flawed(self) -> bool:
        return self.book.enabled

    def random(self, stream: str) -> Random:
        """An own stream for each purpose, so that more rows of one object do not change another."""
        return Random(f"{self.seed}:{stream}")

    def owner(self, row: int, rng: Random) -> User:
        """The owner of a row: active users by falling weight, departed and unknown ones now and then."""
        special = _SPECIAL_OWNERS.get(row % 120)
        if special and self.flawed:
            state, turn = special
            return [user for user in self.users if user.state == state][turn]
        active = [user for user in self.users if user.state == "active"]
        return active[int(len(active) * rng.random() ** 1.6)]

    def stamp(self, day: int, minute: int, *, text: bool = True) -> str | datetime:
        """A local time: as text `DD.MM.YYYY HH:MM` where the source would write text, else as a real date."""
        moment = moment_of(day, minute)
        return f"{moment:%d.%m.%Y %H:%M}" if text and self.flawed else moment


_SPECIAL_OWNERS = {
    5: ("departed", 0), 45: ("departed", 1), 65: ("departed", 0),
    11: ("unknown", 0), 17: ("unknown", 1), 77: ("unknown", 0),
}  # fmt: skip


def moment_of(day: int, minute: int) -> datetime:
    """Day number and minute of the day as a local time without offset."""
    return datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=day, minutes=minute)


def day_of(day: int) -> date:
    return FIRST_DAY + timedelta(days=day)


def office_minute(rng: Random) -> int:
    """A minute of the day between 08:00 and 18:59."""
    return 480 + int(rng.random() * 660)


def mobile(number: int) -> str:
    """The mobile number of a serial below 10,000,000: ten digits, a different one for each serial."""
    return f"{_MOBILE[number * 7 % len(_MOBILE)]}{(number * _SPREAD + 1_234_567) % 10_000_000:07d}"


def landline(area_code: str, number: int) -> str:
    """A landline number: ten digits, a different one for each serial below 8,000,000."""
    return f"{area_code}{2_000_000 + number * _SPREAD % 8_000_000:07d}"


def phone_text(digits: str, style: int) -> str:
    """One of the ways in which people write a Turkish number of ten digits."""
    a, b, c, d = digits[:3], digits[3:6], digits[6:8], digits[8:]
    return (
        f"0{a} {b} {c} {d}", f"+90 {a} {b} {c} {d}", digits, f"0({a}) {b} {c}{d}", f"+90{digits}",
        f"0{a}-{b}-{c}-{d}",
    )[style % 6]  # fmt: skip
