"""Bounded retries with exponential waits and jitter; a wait the server asked for is honoured.

Only failures that are known to have written nothing (`RetryableError`), or requests that may be repeated
without harm, come here. Each wait is announced, so that nobody watches a silent program.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from rehouse.errors import RetryableError
from rehouse.wire.budget import BudgetError

T = TypeVar("T")
# Waits are announced as events; the library's own log lines would reach the terminal a second time.
set_on_retry_hooks([])
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on: at most `attempts` tries, `total` seconds, waits growing from `first` to `longest` seconds.

    A wait the server asks for is not cut to `longest`; one that would exceed `total` ends the retries at once.
    """

    attempts: int = 7
    first: float = 0.5
    longest: float = 30.0
    total: float = 240.0


class _Waits:
    """Decides after each failure whether and how long to wait."""

    def __init__(self, patience: Patience, announce: Announce, counted: Callable[[], None]) -> None:
        self._patience, self._announce, self._counted = patience, announce, counted
        self._failures = 0
        self._waited = 0.0

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, RetryableError) or isinstance(error, BudgetError):
            return False
        self._failures += 1
        if self._failures >= self._patience.attempts:
            return False
        wait = self._wait(error)
        if self._waited + wait > self._patience.total:
            return False
        self._waited += wait
        self._counted()
        turn = f"try {self._failures + 1} of {self._patience.attempts}"
        self._announce(f"{error.message}; waiting {wait:.1f} s before {turn}")
        return wait

    def _wait(self, error: RetryableError) -> float:
        if error.wait is not None:
            # A little more than asked: several clients told the same number should not come back together.
            return float(error.wait) + random.uniform(0, 0.5)
        ceiling = min(self._patience.longest, self._patience.first * 2.0 ** (self._failures - 1))
        return ceiling / 2 + random.uniform(0, ceiling / 2)


async def persist(
    call: Callable[[], Awaitable[T]], patience: Patience, announce: Announce, counted: Callable[[], None]
) -> T:
    """Await `call()` until it succeeds, fails for good, or patience ends; then its last error is raised."""
    waits = _Waits(patience, announce, counted)
    async for attempt in stamina.retry_context(on=waits, attempts=patience.attempts, timeout=None):
        with attempt:
            return await call()
    raise AssertionError("a retry loop ends by returning or raising")
