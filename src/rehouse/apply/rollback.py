"""Put the target back: delete what we created, children first, then give filled fields their pre-image."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from rehouse.apply.load import collect_part, send_part
from rehouse.apply.points import Point
from rehouse.apply.run import Run
from rehouse.apply.runner import open_run, restore_automations
from rehouse.apply.settle import settle_open
from rehouse.apply.undo import Undo, plan_undo
from rehouse.connectors.base import JobKind, Op, Part
from rehouse.events import Progress
from rehouse.ledger.events import RunClosed, StageClosed, StageOpened, Verb
from rehouse.plan.engine import arrow, count, ident, text
from rehouse.plan.stages import Consignment


def roll_back(run: Run, by: str) -> Undo:
    """Undo everything this ledger wrote to this target. Resumable; returns what was done and what stays."""
    open_run(run, Verb.ROLLBACK, by)
    restore_automations(run)
    settle_open(run)
    undo = plan_undo(run)
    for consignment in reversed(run.plan.consignments):
        if consignment.op == Op.INSERT:
            _delete(run, consignment)
    for consignment in run.plan.consignments:
        if consignment.op == Op.UPDATE:
            _restore(run, consignment)
    run.ledger.append(RunClosed("rolled back", {"kept": undo.kept_count, **undo.deletes}), run.id)
    run.reached(Point.RUN_CLOSED, run.id)
    return undo


def _delete(run: Run, consignment: Consignment) -> None:
    stage = f"delete {consignment.output}"
    rows = count(run.connection, f"SELECT count(*) FROM undo_delete WHERE output = {text(consignment.output)}")
    if rows == 0:
        return
    _stage(
        run,
        consignment,
        stage,
        Op.DELETE,
        rows,
        f"SELECT key AS _key, id AS Id FROM undo_delete WHERE output = {text(consignment.output)} ORDER BY id",
    )


def _restore(run: Run, consignment: Consignment) -> None:
    fields = [
        r[0]
        for r in run.connection.execute(
            f"SELECT DISTINCT field FROM undo_restore WHERE output = {text(consignment.output)} ORDER BY 1"
        ).fetchall()
    ]
    # one pass per set of fields that are restored together, so that no other field is touched
    groups = (
        run.connection.execute(
            "SELECT fields, count(*) FROM (SELECT id, list_sort(list(field)) AS fields FROM undo_restore "
            f"WHERE output = {text(consignment.output)} GROUP BY id) GROUP BY 1 ORDER BY 1"
        ).fetchall()
        if fields
        else []
    )
    for names, rows in groups:
        columns = ", ".join(f"max(before) FILTER (WHERE field = {text(n)}) AS {ident(n)}" for n in names)
        chosen = "[" + ", ".join(text(n) for n in names) + "]"
        query = (
            f"SELECT any_value(key) AS _key, id AS Id, {columns} FROM undo_restore "
            f"WHERE output = {text(consignment.output)} GROUP BY id "
            f"HAVING list_sort(list(field)) = {chosen} ORDER BY id"
        )
        _stage(run, consignment, f"restore {consignment.output}", Op.UPDATE, int(rows), query, tuple(names))


def _stage(
    run: Run, consignment: Consignment, stage: str, op: Op, rows: int, query: str, clear: tuple[str, ...] = ()
) -> None:
    run.ledger.append(StageOpened(stage, consignment.output, rows), run.id)
    run.reached(Point.STAGE_OPENED, stage)
    kind = run.target.job_kind(consignment.object, op, rows)
    limits = run.target.limits()
    size = limits.rows_per_part if kind is JobKind.BULK else limits.rows_per_request
    done = refused = 0
    table = arrow(run.connection, query)
    for number, start in enumerate(range(0, table.num_rows, size)):
        piece: pa.Table = table.slice(start, size)
        part = Part(consignment.object, op, kind, piece, key_field=None, clear=clear, files=Path())
        ok, bad = collect_part(run, *send_part(run, stage, consignment.output, part, number))
        done, refused = done + ok, refused + bad
        run.sink(Progress("roll back", consignment.object, done, rows, refused))
    run.ledger.append(StageClosed(stage, None, {"done": done, "refused": refused}), run.id)
    run.reached(Point.STAGE_CLOSED, stage)
