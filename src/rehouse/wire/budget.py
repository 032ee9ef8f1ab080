"""What a platform allows per day, and what this connection has spent of it.

Neutral: a connector feeds in the figures that its platform reports. A budget refuses requests that would eat
into the reserve; essential ones (putting automations back, reading a job's result) still pass.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from rehouse.errors import RetryableError


class BudgetError(RetryableError):
    """The allowance left is down to the reserve. Nothing was sent; it works again when the window has moved."""


class Budget:
    """Counts requests by kind and holds the platform's own figures. Safe across threads.

    `reserve` is the number of units of an allowance that ordinary requests leave untouched.
    """

    def __init__(self, reserve: int = 0) -> None:
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used: Counter[str] = Counter()
        self._allowance: dict[str, tuple[int, int]] = {}

    def count(self, kind: str, amount: int = 1) -> None:
        """Note that `amount` units of a kind were spent by this connection."""
        with self._lock:
            self._used[kind] += amount

    def used(self) -> Mapping[str, int]:
        """Units spent by this connection, by kind."""
        with self._lock:
            return dict(self._used)

    def report(self, kind: str, *, used: int, maximum: int) -> None:
        """Take over the platform's own figures: `used` of `maximum` units, by everybody in the window."""
        with self._lock:
            self._allowance[kind] = (used, maximum)

    def left(self, kind: str) -> int | None:
        """Units left by the platform's last figures; None until it has said anything."""
        with self._lock:
            known = self._allowance.get(kind)
        return None if known is None else max(0, known[1] - known[0])

    def require(self, kind: str, amount: int = 1, *, essential: bool = False) -> None:
        """Errors: `BudgetError` when `amount` units would eat into the reserve (essential ones may)."""
        left = self.left(kind)
        if left is None or essential or left - amount >= self._reserve:
            return
        raise BudgetError(
            f"{left} {kind} are left in the platform's daily allowance, {amount} needed, "
            f"{self._reserve} kept in reserve",
            hint="wait until the rolling day has moved on, ask the vendor for more, or lower the reserve",
        )
