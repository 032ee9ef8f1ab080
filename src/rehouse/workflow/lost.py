"""What a plan would leave behind, counted for the gates."""

from __future__ import annotations

from pathlib import Path

import duckdb

from rehouse.knowledge.load import Layout
from rehouse.mapping.schema import Recipe
from rehouse.plan.build import ISSUES, PLANNED
from rehouse.plan.engine import count, ident, parquet, text
from rehouse.staging.manifest import Snapshot


def waiting_owners(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Records per owner that is not decided; '' stands for records without an owner."""
    found = connection.execute(
        f"SELECT coalesce(raw, ''), count(*) FROM {parquet(folder / ISSUES)} WHERE code = 'owner_undecided' GROUP BY 1"
    ).fetchall()
    return dict(found)


def quarantined(
    connection: duckdb.DuckDBPyConnection, folder: Path, recipe: Recipe, snapshot: Snapshot, layout: Layout
) -> tuple[int, int]:
    """Open deals, and merged records (accounts), that would be quarantined."""
    planned = parquet(folder / PLANNED)
    where = layout.pipelines
    deals = 0
    if where is not None and where.object in snapshot.objects and where.status:
        closed = ", ".join(text(v) for v in (*where.won, *where.lost)) or "''"
        deals = count(
            connection,
            f"SELECT count(DISTINCT p.rid) FROM {planned} p JOIN {parquet(snapshot.objects[where.object].path)} s "
            f"ON s._rid = p.rid WHERE p.object = {text(where.object)} AND p.outcome = 'quarantined' "
            f"AND coalesce(trim(s.{ident(where.status)}), '') NOT IN ({closed})",
        )
    merged = [text(o.name) for _, o in recipe.outputs() if o.merge is not None]
    accounts = count(
        connection,
        f"SELECT count(DISTINCT key) FROM {planned} WHERE outcome = 'quarantined' "
        f"AND output IN ({', '.join(merged) or 'NULL'})",
    )
    return deals, accounts
