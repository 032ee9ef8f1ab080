"""An intent without an outcome is unknown. It is settled by asking the target, never by sending again.

Only what the target is seen to hold is written down as done. What it does not hold has no outcome and is
therefore still to do: the next pass over the stage sends it.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from rehouse.apply.points import Point
from rehouse.apply.run import Run
from rehouse.connectors.base import OUTCOME_SCHEMA, Advice, In, Job, JobKind, JobState, NotNull, Op, Part, Query
from rehouse.errors import OutcomeUnknownError
from rehouse.ledger.events import Intent, Outcome
from rehouse.ledger.ledger import OpenIntent
from rehouse.ledger.segments import OUTCOMES
from rehouse.plan.resolve import resolved
from rehouse.plan.stages import Consignment

ASK_BY_KEY = 2_000
"""Up to so many keys the target is asked for exactly these; above, for all that carry our mark."""


def settle_open(run: Run) -> int:
    """Settle every open intent of this ledger. Returns how many there were."""
    open_intents = run.ledger.open_intents()
    for opened in open_intents:
        run.note(f"settling part {opened.intent.part} of {opened.intent.object}: its outcome is unknown")
        settle_intent(run, opened)
    return len(open_intents)


def settle_intent(run: Run, opened: OpenIntent) -> None:
    """Find out what became of one intent and write it down."""
    table, how = _outcomes(run, opened)
    segment = run.ledger.segments.write(table.cast(OUTCOME_SCHEMA), OUTCOMES)
    run.reached(Point.OUTCOMES_WRITTEN, opened.intent.stage)
    ok = int(pc.sum(pc.cast(table.column("ok"), pa.int64())).as_py() or 0)
    run.ledger.append(Outcome(opened.seq, segment.digest, ok, table.num_rows - ok, True, how), opened.run)
    run.reached(Point.OUTCOME_DURABLE, opened.intent.stage)


def _outcomes(run: Run, opened: OpenIntent) -> tuple[pa.Table, str]:
    intent = opened.intent
    if intent.rows_segment is None:
        return OUTCOME_SCHEMA.empty_table(), "nothing was sent"
    rows = run.ledger.segments.read(intent.rows_segment)
    if opened.job is not None and intent.kind == JobKind.BULK:
        job = Job.from_dict(opened.job)
        state = run.target.state(job)
        if state is JobState.OPEN:
            run.target.abort(job)
            return OUTCOME_SCHEMA.empty_table(), "the job was never started; aborted"
        if state is JobState.RUNNING:
            state = run.target.wait(job)
        if state is JobState.DONE and intent.op != Op.UPDATE:
            part = Part(job.object, job.op, job.kind, rows, _key_field(run, intent))
            try:
                table = run.target.outcomes(job, part)
            except OutcomeUnknownError:
                return _ask(run, intent, rows), "asked the target"
            # rows that never were in the job have no outcome: they are still to do
            sent = table.filter(pc.not_equal(pc.fill_null(table.column("advice"), ""), Advice.RETRY.value))
            return sent, "the job had finished; its results were read"
    return _ask(run, intent, rows), "asked the target"


def arrived_late(run: Run, opened: OpenIntent, table: pa.Table) -> pa.Table:
    """Outcomes in which a row refused now, because a lost request of ours had written it after all, is done.

    A request may still be on its way, or at work in the target, when its sender dies. Asking then shows nothing,
    so the row is sent again, and meanwhile the first one arrives: the second is refused as a duplicate (or as
    deleted already). Only rows that an earlier intent of this ledger sent and lost are asked for.
    """
    intent = opened.intent
    refused = table.filter(pc.invert(table.column("ok")))
    if refused.num_rows == 0 or intent.op == Op.UPDATE or intent.rows_segment is None:
        return table
    doubtful = _lost_keys(run, intent) & set(refused.column("key").to_pylist())
    if not doubtful:
        return table
    rows = run.ledger.segments.read(intent.rows_segment)
    asked = rows.filter(pc.is_in(rows.column("_key"), value_set=pa.array(sorted(doubtful), pa.string())))
    found = _ask(run, intent, asked)
    if found.num_rows == 0:
        return table
    run.note(f"{found.num_rows:,} {intent.object} records were refused because a lost request had written them")
    others = table.filter(pc.invert(pc.is_in(table.column("key"), value_set=found.column("key").combine_chunks())))
    return pa.concat_tables([others.cast(OUTCOME_SCHEMA), found])


def _lost_keys(run: Run, intent: Intent) -> set[str]:
    """Keys that intents of the same kind sent, and that were not seen in the target when it was asked."""
    sent: dict[int, str] = {}
    lost: set[str] = set()
    for seq, recorded in run.ledger.events((Intent, Outcome)):
        match recorded.event:
            case Intent(object=name, op=op, rows_segment=str(digest)) if (name, op) == (intent.object, intent.op):
                sent[seq] = digest
            case Outcome(intent=number, segment=digest, settled=True) if number in sent:
                keys = run.ledger.segments.read(sent[number]).column("_key").to_pylist()
                lost |= set(keys) - set(run.ledger.segments.read(digest).column("key").to_pylist())
    return lost


def _key_field(run: Run, intent: Intent) -> str | None:
    consignment = _consignment(run, intent)
    return consignment.key_field if consignment and intent.op == Op.INSERT else None


def _consignment(run: Run, intent: Intent) -> Consignment | None:
    return next((c for c in run.plan.consignments if c.name == intent.stage), None) or next(
        (c for c in run.plan.consignments if c.output == intent.object), None
    )


def _ask(run: Run, intent: Intent, rows: pa.Table) -> pa.Table:
    consignment = _consignment(run, intent)
    if consignment is None:
        return OUTCOME_SCHEMA.empty_table()
    match intent.op:
        case "insert" if consignment.key_field:
            return _inserted(run, consignment.object, consignment.key_field, rows)
        case "insert":
            return _inserted_naturally(run, consignment, rows)
        case "delete":
            return _deleted(run, consignment.object, rows)
        case _:
            # an update is the same when it is done twice: nothing is claimed, it is sent again
            return OUTCOME_SCHEMA.empty_table()


def _found(keys: list[str], ids: list[str]) -> pa.Table:
    count = len(keys)
    nothing = pa.nulls(count, pa.string())
    return pa.table(
        {
            "key": pa.array(keys, pa.string()),
            "id": pa.array(ids, pa.string()),
            "ok": pa.array([True] * count, pa.bool_()),
            "code": nothing,
            "message": nothing,
            "advice": nothing,
        },
        schema=OUTCOME_SCHEMA,
    )


def _inserted(run: Run, object_name: str, key_field: str, rows: pa.Table) -> pa.Table:
    wanted = rows.column("_key").combine_chunks()
    where = In(key_field, tuple(wanted.to_pylist())) if len(wanted) <= ASK_BY_KEY else NotNull(key_field)
    keys: list[str] = []
    ids: list[str] = []
    for batch in run.target.fetch(Query(object_name, (key_field,), where)):
        kept = batch.filter(pc.is_in(batch.column(key_field), value_set=wanted))
        keys += kept.column(key_field).to_pylist()
        ids += kept.column("Id").to_pylist()
    return _found(keys, ids)


def _inserted_naturally(run: Run, consignment: Consignment, rows: pa.Table) -> pa.Table:
    """By natural key: the resolved values of its fields identify the row, in source and target alike."""
    run.refresh_refs(consignment)
    names = consignment.natural_key
    wanted = set(rows.column("_key").to_pylist())
    by_value: dict[tuple[str, ...], str] = {}
    listed = ", ".join(f'"{n}"' for n in names)
    for row in run.connection.execute(f"SELECT _key, {listed} FROM ({resolved(consignment, run.folder)})").fetchall():
        if row[0] in wanted and all(row[1:]):
            by_value[tuple(row[1:])] = row[0]
    firsts = tuple(sorted({v[0] for v in by_value}))
    keys: list[str] = []
    ids: list[str] = []
    for batch in run.target.fetch(Query(consignment.object, names, In(names[0], firsts))):
        for row in batch.to_pylist():
            key = by_value.pop(tuple(row[n] for n in names), None)
            if key is not None:
                keys.append(key)
                ids.append(row["Id"])
    return _found(keys, ids)


def _deleted(run: Run, object_name: str, rows: pa.Table) -> pa.Table:
    ids = [i for i in rows.column("Id").to_pylist() if i]
    there: set[str] = set()
    for batch in run.target.fetch(Query(object_name, (), In("Id", tuple(ids)))):
        there |= set(batch.column("Id").to_pylist())
    gone = [(r["_key"], r["Id"]) for r in rows.to_pylist() if r["Id"] not in there]
    return _found([g[0] for g in gone], [g[1] for g in gone])
