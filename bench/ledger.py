"""How many outcomes a second the embedded ledger takes: for each part an intent, a segment of outcomes, an outcome.

    python bench/ledger.py [--rows 1000000] [--part 10000] [--folder DIR] [--duckdb-memory 512MB]

Everything is durable as in a migration (synchronous=FULL, segments synced). Prints one JSON object: outcomes a
second of wall time and CPU, seconds to make the id map and the outcomes view, seconds to verify, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from rehouse.clock import SystemClock
from rehouse.ledger import OUTCOMES, Intent, Ledger, Outcome, RunOpened


def part_of_outcomes(first: int, rows: int) -> pa.Table:
    """Ids as a platform makes them; one row in a hundred is refused."""
    numbers = range(first, first + rows)
    ok = [n % 100 != 0 for n in numbers]
    refused = "Required fields are missing: [LastName]"
    return pa.table(
        {
            "key": [f"contact/{n * 7919 % 1_000_003:07d}-{n}" for n in numbers],
            "id": [f"003{n * 2654435761 % 2**48:015x}" if good else None for n, good in zip(numbers, ok, strict=True)],
            "ok": ok,
            "code": [None if good else "REQUIRED_FIELD_MISSING" for good in ok],
            "message": [None if good else refused for good in ok],
            "advice": [None if good else "fix data" for good in ok],
        }
    )


def fill(ledger: Ledger, rows: int, part: int) -> dict[str, float]:
    """Append all parts; making the rows is not counted."""
    wall = cpu = 0.0
    ledger.append(RunOpened("plan", "apply", "bench", "org"))
    for number, first in enumerate(range(0, rows, part)):
        table = part_of_outcomes(first, min(part, rows - first))
        ok = sum(table["ok"].to_pylist())
        began, began_cpu = time.perf_counter(), time.process_time()
        intent = ledger.append(Intent("load", number, f"Object{number % 4}", "insert", "bulk", table.num_rows))
        segment = ledger.segments.write(table, OUTCOMES)
        ledger.append(Outcome(intent, segment.digest, ok, table.num_rows - ok))
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - began_cpu
    return {"outcomes_per_second": round(rows / wall), "cpu_us_per_outcome": round(cpu / rows * 1e6, 2)}


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 2)


def peak_mb() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--part", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write (default: the temporary folder)")
    parser.add_argument("--duckdb-memory", default="512MB", help="what the views may use before they spill")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        Ledger.open(Path(folder) / "ledger", SystemClock()) as ledger,
        duckdb.connect() as con,
    ):
        con.execute(f"SET memory_limit = '{options.duckdb_memory}'")
        con.execute(f"SET temp_directory = '{Path(folder) / 'spill'}'")
        result: dict[str, Any] = {"rows": options.rows, "part": options.part}
        result |= fill(ledger, options.rows, options.part)
        result["peak_mb_append"] = peak_mb()
        result["id_map_s"] = timed(lambda: ledger.id_map(con))
        result["id_map_again_s"] = timed(lambda: ledger.id_map(con))
        result["outcomes_view_s"] = timed(lambda: ledger.outcomes_view(con))
        result["id_map_rows"] = con.execute("SELECT count(*) FROM id_map").fetchall()[0][0]
        result["verify_s"] = timed(lambda: result.update(problems=ledger.verify()))
        result["peak_mb"] = peak_mb()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
