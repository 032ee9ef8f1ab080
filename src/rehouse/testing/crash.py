"""Crashes at named points, in this process: a sink that raises where a run says how far it is.

What a run passes is recorded by an uninterrupted run (`Trace`), so that the cases of a campaign are enumerated
and never guessed, and every step that was seen is held against the table of states (`apply.points.AFTER`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rehouse.apply.points import AFTER, Point
from rehouse.events import Event, Reached


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The n-th time (from 1) that a run passes a point."""

    point: Point
    nth: int

    def __str__(self) -> str:
        return f"{self.point.value}:{self.nth}"

    @classmethod
    def parse(cls, spelled: str) -> Place:
        """`part.committed:3` → a place. Errors: ValueError for an unknown point or a count below 1."""
        name, _, nth = spelled.partition(":")
        number = int(nth or 1)
        if number < 1:
            raise ValueError(f"{spelled}: counts start at 1")
        return cls(Point(name), number)


class SimulatedCrash(BaseException):
    """The process ends here, as far as the code under test can tell: nothing may handle this."""


@dataclass(slots=True)
class Trace:
    """A sink that writes down every point a run passes."""

    passed: list[Point] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Reached):
            self.passed.append(Point(event.point))

    def places(self) -> list[Place]:
        """Every (point, n) of the run, in order."""
        counts: Counter[Point] = Counter()
        places = []
        for point in self.passed:
            counts[point] += 1
            places.append(Place(point, counts[point]))
        return places


class CrashAt:
    """A sink that raises `SimulatedCrash` at one place, and at every event after it: the dead say nothing more."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.crashed = False
        self.trace = Trace()
        self._seen = 0

    def __call__(self, event: Event) -> None:
        if self.crashed:
            raise SimulatedCrash(str(self.place))
        self.trace(event)
        if isinstance(event, Reached) and event.point == self.place.point.value:
            self._seen += 1
            if self._seen == self.place.nth:
                self.crashed = True
                raise SimulatedCrash(str(self.place))


def not_in_table(passed: Sequence[Point]) -> list[str]:
    """Steps of one uninterrupted trace that the table of states does not allow, as `from → to`, each once."""
    steps = itertools.pairwise(passed)
    return sorted({f"{a.value} → {b.value}" for a, b in steps if b not in AFTER[a]})


def spread(places: Iterable[Place]) -> dict[Point, list[Place]]:
    """First, middle and last time that each point was passed (fewer where it was passed fewer times)."""
    by_point: dict[Point, list[Place]] = {}
    for place in places:
        by_point.setdefault(place.point, []).append(place)
    return {point: sorted({found[0], found[len(found) // 2], found[-1]}) for point, found in by_point.items()}
