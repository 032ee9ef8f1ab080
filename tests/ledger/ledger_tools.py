"""What the ledger's tests share: small outcomes, a clock that stands still, a plan opened for writing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from rehouse.clock import ManualClock
from rehouse.ledger import OUTCOMES, Intent, Ledger, Outcome, RunOpened

Row = tuple[str, str | None, bool]
"""key, id, ok"""


def manual_clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 31, 12, tzinfo=UTC))


def open_ledger(folder: Path, *, partition: str = "main", write: bool = True, url: str | None = None) -> Ledger:
    return Ledger.open(folder, manual_clock(), url=url, partition=partition, write=write)


def start(ledger: Ledger, verb: str = "apply", run: str | None = None) -> int:
    return ledger.append(RunOpened("plan-digest", verb, "ada", "00D000000000001"), run=run)


def outcome_table(rows: Iterable[Row]) -> pa.Table:
    keys, ids, oks = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "id": pa.array(ids, pa.string()),
            "ok": pa.array(oks, pa.bool_()),
            "code": pa.array([None if ok else "REFUSED" for ok in oks], pa.string()),
            "message": pa.array([None if ok else "no" for ok in oks], pa.string()),
            "advice": pa.array([None if ok else "fix data" for ok in oks], pa.string()),
        }
    )


def record(
    ledger: Ledger, op: str, rows: Iterable[Row], object_name: str = "Contact", run: str | None = None
) -> tuple[int, int]:
    """One part written: intent, segment, outcome. Gives the seqs of intent and outcome."""
    table = outcome_table(rows)
    ok = sum(table["ok"].to_pylist())
    intent = ledger.append(Intent("load", 1, object_name, op, "bulk", table.num_rows), run=run)
    segment = ledger.segments.write(table, OUTCOMES)
    return intent, ledger.append(Outcome(intent, segment.digest, ok, table.num_rows - ok), run=run)


def select(ledger: Ledger, query: str) -> list[tuple[object, ...]]:
    """Ask the ledger's views."""
    with duckdb.connect() as con:
        ledger.id_map(con)
        ledger.outcomes_view(con)
        ledger.preimages_view(con)
        found: list[tuple[object, ...]] = con.execute(query).fetchall()
        return found
