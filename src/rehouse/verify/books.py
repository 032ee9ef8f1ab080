"""The books: each (source record, route output) ends in exactly one outcome, and the sums say so.

Input is the plan's table `planned` (object, rid, output, outcome, rule, key, into) and the ledger's views `id_map`
and `outcomes`. A planned load is *loaded* while the id map knows its record, *quarantined* when the target
refused it, *waiting* otherwise; everything else was settled when the plan was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rehouse.plan.engine import parquet

OUTCOMES = ("loaded", "merged", "skipped", "quarantined", "waiting")


@dataclass(frozen=True, slots=True)
class Books:
    """`objects[source][output][outcome]` = records; `reasons` lists (object, output, outcome, rule, count)."""

    source: dict[str, int]
    objects: dict[str, dict[str, dict[str, int]]]
    reasons: list[dict[str, Any]]

    def unbalanced(self) -> list[str]:
        """One line for every output whose outcomes do not add up to the source records."""
        return [
            f"{obj} → {output}: {sum(counts.values()):,} outcomes for {self.source[obj]:,} records"
            for obj, outputs in self.objects.items()
            for output, counts in outputs.items()
            if sum(counts.values()) != self.source[obj]
        ]

    def as_dict(self) -> dict[str, Any]:
        return {obj: {"source": n, "outcomes": self.objects.get(obj, {})} for obj, n in self.source.items()}


def settle_outcomes(connection: duckdb.DuckDBPyConnection, planned: Path) -> None:
    """Make the table `settled`: every planned row with the outcome it has now."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE settled AS
        SELECT p.object, p.rid, p.output, p.key, p.into_key,
          CASE WHEN p.outcome <> 'load' THEN p.outcome
               WHEN m.id IS NOT NULL THEN 'loaded'
               WHEN o.ok = false THEN 'quarantined'
               ELSE 'waiting' END AS outcome,
          CASE WHEN p.outcome <> 'load' OR m.id IS NOT NULL THEN p.rule
               WHEN o.ok = false THEN 'refused by the target: ' || o.code
               ELSE 'not loaded yet' END AS rule,
          o.message
        FROM {parquet(planned)} p
        LEFT JOIN id_map m ON p.outcome = 'load' AND m.object = p.output AND m.key = p.key
        LEFT JOIN (SELECT * FROM outcomes WHERE op <> 'delete') o
          ON p.outcome = 'load' AND o.object = p.output AND o.key = p.key
        """
    )
    # a record merged into one that the target refused shares its fate
    connection.execute(
        """
        UPDATE settled SET outcome = 'quarantined', rule = 'merged into a record that was refused'
        FROM (SELECT output, key FROM settled WHERE outcome = 'quarantined' AND rule LIKE 'refused%') q
        WHERE settled.outcome = 'merged' AND settled.into_key = q.output || ':' || q.key
        """
    )


def balance(connection: duckdb.DuckDBPyConnection, source: dict[str, int]) -> Books:
    """Count `settled` into books. `source` is the number of records per object in the snapshot."""
    objects: dict[str, dict[str, dict[str, int]]] = {name: {} for name in source}
    for obj, output, outcome, count in connection.execute(
        "SELECT object, output, outcome, count(*) FROM settled GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        objects[obj].setdefault(output, dict.fromkeys(OUTCOMES, 0))[outcome] = count
    reasons = [
        {"object": r[0], "output": r[1], "outcome": r[2], "rule": r[3], "records": r[4], "example": r[5]}
        for r in connection.execute(
            "SELECT object, output, outcome, rule, count(*), min(rid) FROM settled GROUP BY ALL "
            "ORDER BY object, output, outcome, count(*) DESC"
        ).fetchall()
    ]
    return Books(source, objects, reasons)
