"""Load one consignment: resolve references, cut into parts, and for each part write down, send, write down.

Intent is durable before a request leaves, outcome after it. A part whose answer was lost is settled by
asking the target. Which rows are left to do is always computed from the ledger, never remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rehouse.apply.points import Point
from rehouse.apply.run import FILES_PER_PART, PARTS_IN_FLIGHT, RETRY_ROUNDS, UPLOAD_TRIES, Run, last_rollback
from rehouse.apply.settle import arrived_late, settle_intent
from rehouse.connectors.base import OUTCOME_SCHEMA, Advice, Condition, In, Job, JobKind, NotNull, Op, Part, Query
from rehouse.errors import FatalError, GateError, OutcomeUnknownError, RetryableError
from rehouse.events import Progress
from rehouse.ledger.events import Intent, JobOpened, Outcome, StageClosed, StageOpened
from rehouse.ledger.ledger import OpenIntent
from rehouse.ledger.segments import LANDED, OUTCOMES, PREIMAGES, ROWS
from rehouse.plan.engine import arrow, count, ident, one, parquet, text
from rehouse.plan.fetch import fetch_to
from rehouse.plan.resolve import resolved
from rehouse.plan.stages import Consignment, LoadRecords


def load_stage(run: Run, stage: LoadRecords) -> None:
    """Bring one consignment into the target, whatever of it is already there."""
    consignment = run.plan.consignment(stage.name)
    run.ledger.append(StageOpened(stage.name, stage.output, stage.rows), run.id)
    run.reached(Point.STAGE_OPENED, stage.name)
    for attempt in range(RETRY_ROUNDS + 1):
        left = _remaining(run, consignment, again=attempt > 0)
        if left == 0:
            break
        if attempt:
            run.note(f"{left:,} {stage.object} records were locked: sending them again, round {attempt}")
        _send_all(run, stage, consignment)
    close_stage(run, stage, consignment)
    _within_limits(run, stage)


def _within_limits(run: Run, stage: LoadRecords) -> None:
    """Stop the run when the target refused more of this stage than was agreed."""
    run.ledger.outcomes_view(run.connection)
    ours = f"FROM outcomes WHERE object = {text(stage.output)} AND run = {text(run.id)}"
    refused = f"{ours} AND NOT ok"
    found = count(run.connection, f"SELECT count(*) {refused}")
    tried = count(run.connection, f"SELECT count(*) {ours}")
    if not found or 100 * found / tried <= run.stop_percent:
        return
    rows = run.connection.execute(
        f"SELECT code, count(*), min(key), any_value(message) {refused} GROUP BY code ORDER BY 2 DESC LIMIT 5"
    ).fetchall()
    raise GateError(
        "quarantine within limits",
        f"the target refused {found:,} of {tried:,} {stage.object} records, allowed {run.stop_percent:g} %",
        evidence=[f"{r[0]}: {r[1]:,} records, e.g. {r[2]}: {r[3]}" for r in rows],
        hint="rehouse rollback; or: rehouse decide threshold quarantine_percent VALUE --by NAME --reason WHY",
    )


def _remaining(run: Run, consignment: Consignment, *, again: bool) -> int:
    """Write `todo.parquet`: the consignment's rows without an outcome that stands, references resolved.

    A refusal stands, except *retry* when we are asked `again` within the stage.
    """
    run.refresh_refs(consignment)
    run.ledger.outcomes_view(run.connection)
    floor = last_rollback(run.ledger)
    output = text(consignment.output)
    retry = f" AND NOT (advice = {text(Advice.RETRY.value)} AND run = {text(run.id)})" if again else ""
    stands = (
        f"SELECT key FROM id_map WHERE object = {output} AND (how = 'inserted' OR seq > {floor}) "
        f"UNION ALL SELECT key FROM outcomes WHERE object = {output} AND NOT ok AND op <> 'delete' "
        f"AND run = {text(run.id)}{retry}"
    )
    source = resolved(consignment, run.folder)
    if consignment.op == Op.UPDATE:
        listed = ", ".join(ident(f) for f in consignment.fields)
        source = f"SELECT _key, _rid, _row, _id, {listed}, NULL AS _unresolved FROM {parquet(run.path(consignment))}"
    sample = ""
    if run.only is not None:
        sample = f" AND _key IN (SELECT key FROM {parquet(run.only)} WHERE output = {output})"
    path = run.scratch / "todo.parquet"
    run.connection.execute("SET preserve_insertion_order = true")
    # children of one parent stay together, so that two jobs do not wait for the same parent's lock
    parents = [f"{ident(f)} NULLS FIRST, " for f in consignment.references]
    run.connection.execute(
        f"COPY (SELECT * FROM ({source}) c WHERE _key NOT IN ({stands}){sample} ORDER BY {''.join(parents)}_row) "
        f"TO {text(str(path))} (FORMAT parquet, ROW_GROUP_SIZE 20000)"
    )
    run.connection.execute("SET preserve_insertion_order = false")
    return count(run.connection, f"SELECT count(*) FROM {parquet(path)}")


def _send_all(run: Run, stage: LoadRecords, consignment: Consignment) -> None:
    path = run.scratch / "todo.parquet"
    _park_orphans(run, stage, path)
    total = count(run.connection, f"SELECT count(*) FROM {parquet(path)} WHERE _unresolved IS NULL")
    kind = run.target.job_kind(consignment.object, Op(consignment.op), total)
    flying: deque[tuple[OpenIntent, Job, Part]] = deque()
    done = refused = 0
    for number, table in enumerate(_tables(run, path, kind)):
        part = _part(run, consignment, kind, table)
        flying.append(send_part(run, stage.name, stage.output, part, number, before=consignment.op == Op.UPDATE))
        while len(flying) >= (PARTS_IN_FLIGHT if kind is JobKind.BULK else 1):
            ok, bad = collect_part(run, *flying.popleft())
            done, refused = done + ok, refused + bad
            run.sink(Progress("load", stage.object, done, total, refused))
    while flying:
        ok, bad = collect_part(run, *flying.popleft())
        done, refused = done + ok, refused + bad
        run.sink(Progress("load", stage.object, done, total, refused))


def _tables(run: Run, path: Path, kind: JobKind) -> Iterator[pa.Table]:
    limits = run.target.limits()
    size = {
        JobKind.BULK: limits.rows_per_part,
        JobKind.ROWS: limits.rows_per_request,
        JobKind.FILES: FILES_PER_PART,
    }[kind]
    with pq.ParquetFile(path) as file:
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in file.iter_batches(batch_size=min(size, 20_000)):
            kept = batch.filter(batch.column("_unresolved").is_null())
            while kept.num_rows:
                piece = kept.slice(0, size - rows)
                waiting.append(piece)
                rows += piece.num_rows
                kept = kept.slice(piece.num_rows)
                if rows == size:
                    yield pa.Table.from_batches(waiting)
                    waiting, rows = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting)


def _part(run: Run, consignment: Consignment, kind: JobKind, table: pa.Table) -> Part:
    names = ["_key", *(["_id"] if consignment.op == Op.UPDATE else []), *consignment.fields]
    chosen = table.select(names)
    if consignment.op == Op.UPDATE:
        chosen = chosen.rename_columns(["_key", "Id", *consignment.fields])
    return Part(
        object=consignment.object,
        op=Op(consignment.op),
        kind=kind,
        table=chosen,
        key_field=consignment.key_field,
        files=run.files,
    )


def _park_orphans(run: Run, stage: LoadRecords, path: Path) -> None:
    """Records whose parent was refused by the target are not sent: they share its fate, by name."""
    table = arrow(
        run.connection,
        f"SELECT _key AS key, CAST(NULL AS VARCHAR) AS id, false AS ok, 'PARENT_NOT_LOADED' AS code, "
        f"'the record it refers to was not loaded: ' || _unresolved AS message, "
        f"{text(Advice.FIX_DATA.value)} AS advice FROM {parquet(path)} WHERE _unresolved IS NOT NULL",
    )
    if table.num_rows == 0:
        return
    seq = run.ledger.append(Intent(stage.name, -1, stage.output, stage.op, "none", table.num_rows), run.id)
    segment = run.ledger.segments.write(table.cast(OUTCOME_SCHEMA), OUTCOMES)
    run.ledger.append(Outcome(seq, segment.digest, 0, table.num_rows, False, "parent not loaded"), run.id)


def send_part(
    run: Run, stage: str, output: str, part: Part, number: int, *, before: bool = False
) -> tuple[OpenIntent, Job, Part]:
    """Intent, job, upload, commit; each step announced when it is durable. `before` keeps pre-images first."""
    keep = ["_key"] if part.op is Op.INSERT else ["_key", "Id"]
    rows = run.ledger.segments.write(part.table.select(keep), ROWS)
    images = None
    if before:
        images, part = _pre_images(run, part)
    run.reached(Point.KEYS_WRITTEN, stage)
    intent = Intent(stage, number, output, part.op.value, part.kind.value, part.rows, rows.digest, images)
    seq = run.ledger.append(intent, run.id)
    run.reached(Point.INTENT_DURABLE, stage)
    job = _uploaded(run, stage, seq, part)
    opened = OpenIntent(seq, intent, job.as_dict(), run.id)
    try:
        run.target.start(job, part)
    except OutcomeUnknownError as error:
        run.note(f"the answer for part {number} of {part.object} was lost ({error.message}): asking the target")
        settle_intent(run, opened)
        return replace(opened, job=None), job, part
    run.reached(Point.COMMITTED, stage)
    return opened, job, part


def _uploaded(run: Run, stage: str, seq: int, part: Part) -> Job:
    """A job that holds the part's rows. One whose upload broke has committed nothing and is given up for another."""
    for tries_left in reversed(range(UPLOAD_TRIES)):
        job = run.target.open_job(part)
        run.reached(Point.JOB_MADE, stage)
        run.ledger.append(JobOpened(seq, job.as_dict()), run.id)
        run.reached(Point.JOB_DURABLE, stage)
        try:
            run.target.upload(job, part)
        except RetryableError as broke:
            run.target.abort(job)
            if not tries_left:
                raise
            run.note(f"{broke.message}: sending it again in another job")
            continue
        run.reached(Point.ROWS_SENT, stage)
        return job
    raise AssertionError("the last try returns or raises")


def _pre_images(run: Run, part: Part) -> tuple[str, Part]:
    """What the target holds in the fields we are about to write, fetched in bulk, kept as a segment.

    A field that somebody filled since the plan was made is left out of the part: it is theirs now.
    """
    fields = tuple(n for n in part.table.column_names if n not in ("_key", "Id"))
    ids = tuple(i for i in part.table.column("Id").to_pylist() if i)
    path = run.scratch / "before.parquet"
    fetch_to(run.target, Query(part.object, fields, In("Id", ids)), path, run.sink, "pre-images")
    segment = run.ledger.segments.write(pq.read_table(path), PREIMAGES)
    listed = ", ".join(f"CASE WHEN b.{ident(f)} IS NULL THEN p.{ident(f)} END AS {ident(f)}" for f in fields)
    run.connection.register("_part", part.table)
    table = arrow(run.connection, f"SELECT p._key, p.Id, {listed} FROM _part p JOIN {parquet(path)} b ON b.Id = p.Id")
    run.connection.unregister("_part")
    return segment.digest, replace(part, table=table)


def collect_part(run: Run, opened: OpenIntent, job: Job, part: Part) -> tuple[int, int]:
    """Wait for one part's job and write its outcomes down. Returns (accepted, refused)."""
    if opened.job is None:
        return 0, 0
    try:
        run.target.wait(job)
        run.reached(Point.FINISHED, opened.intent.stage)
        table = run.target.outcomes(job, part)
    except OutcomeUnknownError as error:
        run.note(f"the outcomes of job {job.id or 'without id'} were lost ({error.message}): asking the target")
        settle_intent(run, opened)
        return 0, 0
    if table.num_rows != part.rows:
        raise FatalError(
            f"{part.object}: {table.num_rows:,} outcomes for {part.rows:,} records of job {job.id}",
            hint="run the same command again: the part is settled by asking the target",
        )
    table = arrived_late(run, opened, table)
    segment = run.ledger.segments.write(table, OUTCOMES)
    run.reached(Point.OUTCOMES_WRITTEN, opened.intent.stage)
    ok = sum(1 for v in table.column("ok").to_pylist() if v)
    run.ledger.append(Outcome(opened.seq, segment.digest, ok, table.num_rows - ok, False, "answer"), run.id)
    run.reached(Point.OUTCOME_DURABLE, opened.intent.stage)
    return ok, table.num_rows - ok


def close_stage(run: Run, stage: LoadRecords, consignment: Consignment) -> None:
    """Read the stage back: our ids must carry our keys. The stamps of now tell later who edited since."""
    digest, figures = read_back(run, consignment)
    run.reached(Point.STAGE_READ_BACK, stage.name)
    run.ledger.append(StageClosed(stage.name, digest, figures), run.id)
    run.reached(Point.STAGE_CLOSED, stage.name)


def read_back(run: Run, consignment: Consignment) -> tuple[str, dict[str, int]]:
    """Fetch key and stamps of what we wrote, compare with the id map, keep it as a segment."""
    audit = run.target.audit_fields(consignment.object)
    output = text(consignment.output)
    run.ledger.id_map(run.connection)
    columns = [n for n in (consignment.key_field, audit.modified, audit.stamp) if n]
    path = run.scratch / "stamps.parquet"
    fetch_to(
        run.target, Query(consignment.object, tuple(columns), _ours(run, consignment)), path, run.sink, "read back"
    )
    key = f"l.{ident(consignment.key_field)}" if consignment.key_field else "m.key"
    wrong = one(
        run.connection,
        f"SELECT count(*), min(m.key) FROM id_map m JOIN {parquet(path)} l ON l.Id = m.id "
        f"WHERE m.object = {output} AND m.how = 'inserted' AND {key} IS DISTINCT FROM m.key",
    )
    if wrong and wrong[0]:
        raise FatalError(
            f"{consignment.object}: {wrong[0]:,} records carry another key than the one we wrote, e.g. {wrong[1]}",
            hint="stop and look at these records in the target; `rehouse reconcile` lists them all",
        )
    modified = f"l.{ident(audit.modified)}" if audit.modified else "CAST(NULL AS VARCHAR)"
    stamp = f"l.{ident(audit.stamp)}" if audit.stamp else "CAST(NULL AS VARCHAR)"
    found = arrow(
        run.connection,
        f"SELECT {output} AS output, m.key, m.id, {modified} AS modified, {stamp} AS stamp "
        f"FROM id_map m JOIN {parquet(path)} l ON l.Id = m.id WHERE m.object = {output}",
    )
    segment = run.ledger.segments.write(pa.concat_tables([found, *_side_effects(run, consignment)]), LANDED)
    known = count(run.connection, f"SELECT count(*) FROM id_map WHERE object = {output}")
    return segment.digest, {"known": known, "read_back": found.num_rows}


def _side_effects(run: Run, consignment: Consignment) -> list[pa.Table]:
    """Records that the platform made beside ours, noted under `~<object>`: they are nobody's own work."""
    tables = []
    for child in run.target.side_effects(consignment.object):
        path = run.scratch / "side.parquet"
        fetch_to(run.target, Query(child.object, (child.field,), NotNull(child.field)), path, run.sink, "read back")
        nothing = "CAST(NULL AS VARCHAR)"
        tables.append(
            arrow(
                run.connection,
                f"SELECT {text('~' + child.object)} AS output, Id AS key, Id AS id, {nothing} AS modified, "
                f"{nothing} AS stamp FROM {parquet(path)} WHERE {ident(child.field)} IN (SELECT id FROM id_map "
                f"WHERE object = {text(consignment.output)} AND how = 'inserted')",
            )
        )
    return tables


def _ours(run: Run, consignment: Consignment) -> Condition:
    if consignment.key_field:
        return NotNull(consignment.key_field)
    ids = run.connection.execute(
        f"SELECT id FROM id_map WHERE object = {text(consignment.output)} ORDER BY id"
    ).fetchall()
    return In("Id", tuple(r[0] for r in ids))
