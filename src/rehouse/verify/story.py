"""One record's story: from the cell of the export to the field of the target and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from rehouse.connectors.base import In, Query, Target
from rehouse.errors import UserError
from rehouse.ledger.ledger import Ledger
from rehouse.mapping.rows import rows
from rehouse.mapping.schema import Recipe
from rehouse.plan.build import PLANNED
from rehouse.plan.engine import ident, one, parquet, text
from rehouse.plan.stages import Consignment, Plan
from rehouse.staging.manifest import SYSTEM_COLUMNS, Snapshot


def tell(
    connection: duckdb.DuckDBPyConnection,
    plan: Plan,
    folder: Path,
    recipe: Recipe,
    snapshot: Snapshot,
    target: Target,
    ledger: Ledger,
    object_name: str,
    key: str,
) -> dict[str, Any]:
    """The record's source row, what became of it per output, and every field beside what the target holds now."""
    staged = snapshot.objects.get(object_name)
    if staged is None:
        raise UserError(f"no object {object_name!r}", hint=f"objects: {', '.join(snapshot.objects)}")
    cursor = connection.execute(f"SELECT * FROM {parquet(staged.path)} WHERE _rid = {text(key)}")
    names = [d[0] for d in cursor.description or []]
    row = next(iter(cursor.fetchall()), None)
    if row is None:
        raise UserError(f"{object_name} has no record {key!r}", hint="name the record by its key in the source")
    source = dict(zip(names, row, strict=True))
    ledger.id_map(connection)
    ledger.outcomes_view(connection)
    outcomes = connection.execute(
        f"SELECT output, outcome, rule, key, into_key FROM {parquet(folder / PLANNED)} "
        f"WHERE object = {text(object_name)} AND rid = {text(key)} ORDER BY output"
    ).fetchall()
    texts = {r.id: r.text for r in rows(recipe)}
    fields: list[dict[str, Any]] = []
    steps = [{"step": "source", "text": f"{source['_file']}, row {source['_sheet_row']}"}]
    ids: list[str] = []
    for output, outcome, rule, output_key, into in outcomes:
        known = _known(connection, output, output_key)
        steps.append({"step": output, "text": _said(outcome, rule, into, known)})
        consignment = next((c for c in plan.consignments if c.output == output and c.op == "insert"), None)
        if known and consignment is not None and outcome == "load":
            ids.append(known)
            fields += _fields(connection, folder, target, texts, object_name, consignment, output_key, known)
    headers = {c.name: c.header for c in staged.columns}
    return {
        "title": f"{object_name} {key}",
        "object": object_name,
        "key": key,
        "id": ids[0] if ids else "",
        "source": {headers.get(n, n): v for n, v in source.items() if n not in SYSTEM_COLUMNS and v is not None},
        "steps": steps,
        "fields": fields,
        "related": [],
    }


def _known(connection: duckdb.DuckDBPyConnection, output: str, key: str | None) -> str:
    row = one(connection, f"SELECT id FROM id_map WHERE object = {text(output)} AND key = {text(key or '')}")
    return str(row[0]) if row else ""


def _said(outcome: str, rule: str, into: str | None, known: str) -> str:
    where = f" → {known}" if known else ""
    match outcome:
        case "load":
            return f"{rule}{where}" if known else "waiting to be loaded, or refused by the target"
        case "merged":
            return f"merged into {into}: {rule}{where}"
        case _:
            return f"{outcome}: {rule}"


def _fields(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    target: Target,
    texts: dict[str, str],
    object_name: str,
    consignment: Consignment,
    key: str,
    record_id: str,
) -> list[dict[str, Any]]:
    listed = ", ".join(ident(f) for f in consignment.fields)
    row = one(connection, f"SELECT {listed} FROM {parquet(folder / consignment.file)} WHERE _key = {text(key)}")
    landed: dict[str, Any] = {}
    for batch in target.fetch(Query(consignment.object, consignment.fields, In("Id", (record_id,)))):
        landed = batch.to_pylist()[0] if batch.num_rows else landed
    return [
        {
            "object": consignment.object,
            "output": consignment.output,
            "key": key,
            "id": record_id,
            "field": name,
            "rule": texts.get(f"{object_name}.{consignment.output}.{name}", ""),
            "planned": value,
            "landed": landed.get(name),
        }
        for name, value in zip(consignment.fields, row or (), strict=False)
        if value is not None or landed.get(name) is not None
    ]
