"""Put the target back: delete what we created, children first, then give filled fields their pre-image."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from rehouse.apply.load import collect_part, send_part
from rehouse.apply.points import Point
from rehouse.apply.run import RETRY_ROUNDS, Run
from rehouse.apply.runner import open_run, restore_automations
from rehouse.apply.settle import settle_open
from rehouse.apply.undo import EXAMPLES, Undo, plan_undo
from rehouse.connectors.base import OUTCOME_SCHEMA, Advice, JobKind, Op, Part
from rehouse.events import Progress
from rehouse.ledger.events import Intent, Outcome, RunClosed, StageClosed, StageOpened, Verb
from rehouse.ledger.segments import OUTCOMES
from rehouse.plan.engine import arrow, count, ident, text
from rehouse.plan.stages import Consignment


def roll_back(run: Run, by: str) -> Undo:
    """Undo everything this ledger wrote to this target. Resumable; returns what was done and what stays."""
    open_run(run, Verb.ROLLBACK, by)
    restore_automations(run)
    settle_open(run)
    undo = plan_undo(run)
    left = _one_round(run)
    for attempt in range(1, RETRY_ROUNDS + 1):
        if left == 0:
            break
        run.note(f"{left:,} records are not put back yet (locked, or the answer was lost): round {attempt}")
        again = plan_undo(run)
        undo.kept, undo.kept_count = again.kept, again.kept_count
        left = _one_round(run)
    _list_refused(run, undo)
    run.ledger.append(RunClosed("rolled back", {"kept": undo.kept_count, **undo.deletes}), run.id)
    run.reached(Point.RUN_CLOSED, run.id)
    return undo


def _one_round(run: Run) -> int:
    """Delete and restore what the tables of `plan_undo` name. Returns how many are worth another round."""
    for consignment in reversed(run.plan.consignments):
        if consignment.op == Op.INSERT:
            _note_gone(run, consignment)
            _delete(run, consignment)
    for consignment in run.plan.consignments:
        if consignment.op == Op.UPDATE:
            _restore(run, consignment)
    retry = f"o.key IS NULL OR (NOT o.ok AND o.advice = {text(Advice.RETRY.value)})"
    return count(run.connection, f"SELECT count(*) FROM ({_wanted(run)}) w {_answered(run)} WHERE {retry}")


def _wanted(run: Run) -> str:
    return "SELECT output, key, id FROM undo_delete UNION SELECT output, key, id FROM undo_restore"


def _answered(run: Run) -> str:
    """Join of what was wanted with this run's newest answer, where it has one."""
    run.ledger.outcomes_view(run.connection)
    return f"LEFT JOIN outcomes o ON o.object = w.output AND o.key = w.key AND o.run = {text(run.id)}"


def _list_refused(run: Run, undo: Undo) -> None:
    """What the target would not let us put back stays, and is listed like everything that stays."""
    objects = {c.output: c.object for c in run.plan.consignments}
    rows = run.connection.execute(
        f"SELECT w.output, w.key, w.id, o.code FROM ({_wanted(run)}) w {_answered(run)} "
        "WHERE o.key IS NULL OR NOT o.ok ORDER BY ALL"
    ).fetchall()
    undo.kept_count += len(rows)
    for output, key, record_id, code in rows[: max(0, EXAMPLES - len(undo.kept))]:
        reason = f"the target refused to put it back: {code}" if code else "the target did not put it back"
        undo.kept.append({"object": objects[output], "key": key, "id": record_id, "reason": reason})


def _note_gone(run: Run, consignment: Consignment) -> None:
    """Write down that records of ours are gone already, by whomever: else a later apply would take them as there."""
    output = text(consignment.output)
    nothing = "CAST(NULL AS VARCHAR)"
    table = arrow(
        run.connection,
        f"SELECT key, id, true AS ok, {nothing} AS code, {nothing} AS message, {nothing} AS advice FROM ours "
        f"WHERE output = {output} AND how = 'inserted' AND id NOT IN (SELECT id FROM present WHERE output = {output})",
    )
    if table.num_rows == 0:
        return
    stage = f"delete {consignment.output}"
    seq = run.ledger.append(Intent(stage, -1, consignment.output, Op.DELETE.value, "none", table.num_rows), run.id)
    segment = run.ledger.segments.write(table.cast(OUTCOME_SCHEMA), OUTCOMES)
    run.ledger.append(Outcome(seq, segment.digest, table.num_rows, 0, True, "already gone"), run.id)


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
