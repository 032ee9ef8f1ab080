"""Allocations of the org: API calls and bulk batches of a rolling day, storage, and `GET limits`.

Facts: Salesforce Developer Limits and Allocations Quick Reference, Bulk API 2.0 limits (see the fact
sheet, sections 2.8, 3.4, 5.8). The window rolls; it is kept here in buckets of one minute, on the
server's injected clock. Storage per edition is general knowledge and unverified.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from rehouse.clock import Clock
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.state import ServerState

API_CALLS = "DailyApiRequests"
BULK_BATCHES = "DailyBulkApiBatches"
BULK_QUERIES = "DailyBulkV2QueryJobs"
DAY_MINUTES = 24 * 60
ROW_BYTES = 2048
"""Storage of most records (help article 000193871)."""
UNCOUNTED = frozenset(
    {"PricebookEntry", "OpportunityLineItem", "QuoteLineItem", "OrderItem", "ContentVersion", "ContentDocument"}
)
ROW_BYTES_OF = {"Campaign": 8192, "CampaignMember": 1024}

_BASE_CALLS = {"Developer": 15_000, "Enterprise": 100_000, "Professional": 100_000}
_PER_LICENCE = {"Developer": 0, "Unlimited": 5_000, "Performance": 5_000}
_OTHER = {
    "ConcurrentAsyncGetReportInstances": 200,
    "ConcurrentSyncReportRuns": 20,
    "DailyAsyncApexExecutions": 250_000,
    "DailyBulkV2QueryFileStorageMB": 976_562,
    "DailyDurableStreamingApiEvents": 200_000,
    "DailyGenericStreamingApiEvents": 10_000,
    "DailyStreamingApiEvents": 200_000,
    "DailyWorkflowEmails": 100_000,
    "HourlyODataCallout": 20_000,
    "HourlySyncReportRuns": 500,
    "HourlyTimeBasedWorkflow": 1_000,
    "MassEmail": 5_000,
    "SingleEmail": 5_000,
}


class Meter:
    """Counts one allocation over the last 24 hours."""

    def __init__(self, name: str, maximum: int, clock: Clock, state: ServerState) -> None:
        self.name, self.maximum = name, maximum
        self._clock, self._state = clock, state
        self._lock = threading.Lock()
        self._buckets: deque[list[int]] = deque()
        self._total = 0
        for minute, amount in state.run("SELECT minute, amount FROM usage WHERE limit_name = ? ORDER BY minute", name):
            self._buckets.append([minute, amount])
            self._total += amount

    def _roll(self) -> int:
        minute = int(self._clock.now().timestamp() // 60)
        while self._buckets and self._buckets[0][0] <= minute - DAY_MINUTES:
            gone = self._buckets.popleft()
            self._total -= gone[1]
            self._state.run("DELETE FROM usage WHERE limit_name = ? AND minute = ?", self.name, gone[0])
        return minute

    def used(self) -> int:
        """Units spent in the rolling day."""
        with self._lock:
            self._roll()
            return self._total

    def remaining(self) -> int:
        return max(0, self.maximum - self.used())

    def take(self, amount: int = 1) -> int:
        """Spend units and return how many were granted: all of them, or what was left."""
        with self._lock:
            minute = self._roll()
            granted = max(0, min(amount, self.maximum - self._total))
            if granted:
                if not self._buckets or self._buckets[-1][0] != minute:
                    self._buckets.append([minute, 0])
                self._buckets[-1][1] += granted
                self._total += granted
                self._state.run(
                    "INSERT OR REPLACE INTO usage VALUES (?, ?, ?)", self.name, minute, self._buckets[-1][1]
                )
            return granted


class BatchMeter:
    """Bulk batches of the rolling day, as the jobs themselves record them."""

    def __init__(self, maximum: int, clock: Clock, since: Callable[[datetime], int]) -> None:
        self.name, self.maximum = BULK_BATCHES, maximum
        self._clock, self._since = clock, since

    def used(self) -> int:
        return self._since(self._clock.now() - timedelta(minutes=DAY_MINUTES))

    def remaining(self) -> int:
        return max(0, self.maximum - self.used())


class Limits:
    """All allocations of one org. `batches_since` counts the bulk batches begun since a moment."""

    def __init__(
        self,
        edition: str,
        licences: int,
        clock: Clock,
        state: ServerState,
        batches_since: Callable[[datetime], int],
    ) -> None:
        self.edition, self.licences = edition, licences
        per_licence = _PER_LICENCE.get(edition, 1_000)
        calls = _BASE_CALLS.get(edition, 100_000) + per_licence * licences
        self._state = state
        self.calls = Meter(API_CALLS, self._maximum(API_CALLS, calls), clock, state)
        self.queries = Meter(BULK_QUERIES, self._maximum(BULK_QUERIES, 10_000), clock, state)
        batches = BatchMeter(self._maximum(BULK_BATCHES, 15_000), clock, batches_since)
        self.batches_left = batches.remaining
        self.meters: dict[str, Meter | BatchMeter] = {
            meter.name: meter for meter in (self.calls, self.queries, batches)
        }

    def _maximum(self, name: str, default: int) -> int:
        return int(self._state.setting(f"limit:{name}") or default)

    def set_maximum(self, name: str, maximum: int) -> None:
        """Change an allocation (admin port only) and remember it. Errors: KeyError for a name not metered."""
        self.meters[name].maximum = maximum
        self._state.remember(f"limit:{name}", str(maximum))

    def count_call(self) -> None:
        """Spend one API call. Errors: 403 REQUEST_LIMIT_EXCEEDED when the rolling day is used up."""
        if not self.calls.take():
            raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", ())

    def header(self) -> str:
        """The value of `Sforce-Limit-Info`."""
        return f"api-usage={self.calls.used()}/{self.calls.maximum}"

    def storage_mb(self) -> tuple[int, int]:
        """Data and file storage of the edition in MB: 10 GB each, plus a part for every licence (unverified)."""
        if self.edition == "Developer":
            return 5, 20
        per_user = 120 if self.edition in ("Unlimited", "Performance") else 20
        return 10_240 + per_user * self.licences, 10_240 + 2_048 * self.licences

    def report(self, data_bytes: Callable[[], int], file_bytes: Callable[[], int]) -> dict[str, dict[str, int]]:
        """The body of `GET limits`: name → `{"Max", "Remaining"}`."""
        report = {name: {"Max": value, "Remaining": value} for name, value in _OTHER.items()}
        for name, meter in self.meters.items():
            report[name] = {"Max": meter.maximum, "Remaining": meter.remaining()}
        data_max, file_max = self.storage_mb()
        for name, maximum, used in (
            ("DataStorageMB", data_max, data_bytes()),
            ("FileStorageMB", file_max, file_bytes()),
        ):
            report[name] = {"Max": maximum, "Remaining": max(0, maximum - used // (1024 * 1024))}
        return dict(sorted(report.items()))
