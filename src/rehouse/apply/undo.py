"""What a rollback would do: the ledger read backwards, checked against what the target holds now.

Created records are deleted unless somebody has edited them since or hung children on them; fields that we
filled get their pre-image back unless they changed again. Everything that stays is listed with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehouse.apply.run import Run, last_rollback
from rehouse.connectors.base import Condition, In, NotNull, Query
from rehouse.errors import UserError
from rehouse.ledger.events import SchemaCreated, StageClosed
from rehouse.model import Catalog
from rehouse.plan.engine import count, ident, parquet, text
from rehouse.plan.fetch import fetch_strays, fetch_to
from rehouse.plan.stages import Consignment

LISTED_PARENTS = 20_000
"""Up to so many of our records the target is asked what hangs on each, where it allows no other question."""

EXAMPLES = 200
"""Kept records named in the report; the count is always exact."""


@dataclass(slots=True)
class Undo:
    """`deletes` and `restores` count records per target object; `kept` names what stays and why."""

    deletes: dict[str, int] = field(default_factory=dict)
    restores: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    kept_count: int = 0
    kept: list[dict[str, Any]] = field(default_factory=list)
    cannot: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "deletes": self.deletes,
            "restores": self.restores,
            "already_gone": self.gone,
            "kept_count": self.kept_count,
            "kept": self.kept,
            "cannot": self.cannot,
        }


def plan_undo(run: Run) -> Undo:
    """Work out the rollback; leaves tables `undo_delete(output, key, id)` and `undo_restore` in the engine."""
    connection = run.connection
    run.ledger.id_map(connection)
    run.ledger.preimages_view(connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ours AS SELECT DISTINCT object AS output, key, id, how FROM written"
    )
    _stamps(run)
    _side_effects_unread(run)
    connection.execute("CREATE OR REPLACE TEMP TABLE kept (output VARCHAR, id VARCHAR, reason VARCHAR)")
    connection.execute("CREATE OR REPLACE TEMP TABLE present (output VARCHAR, id VARCHAR)")
    undo = Undo()
    inserts = [c for c in run.plan.consignments if c.op == "insert"]
    for consignment in inserts:
        _edited_since(run, consignment, undo)
    _with_children(run, inserts)
    _list_kept(run, inserts, undo)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE undo_delete AS SELECT o.output, o.key, o.id FROM ours o "
        "JOIN present p ON p.id = o.id AND p.output = o.output "
        "WHERE o.how = 'inserted' AND o.id NOT IN (SELECT id FROM kept)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE undo_restore (output VARCHAR, key VARCHAR, id VARCHAR, field VARCHAR, "
        "before VARCHAR)"
    )
    objects = {c.output: c.object for c in run.plan.consignments}
    for output, rows in connection.execute("SELECT output, count(*) FROM undo_delete GROUP BY 1").fetchall():
        undo.deletes[objects[output]] = undo.deletes.get(objects[output], 0) + rows
    for consignment in run.plan.consignments:
        if consignment.op == "update":
            _restores(run, consignment, undo)
    undo.cannot = _cannot(run)
    return undo


def _stamps(run: Run) -> None:
    """Table `stamps`: when each record was last saved, as read back when its stage closed (newest reading)."""
    digests = [
        (seq, recorded.event.landed)
        for seq, recorded in run.ledger.events(StageClosed)
        if isinstance(recorded.event, StageClosed) and recorded.event.landed
    ]
    run.connection.execute(
        "CREATE OR REPLACE TEMP TABLE stamps (output VARCHAR, key VARCHAR, id VARCHAR, modified VARCHAR, "
        "stamp VARCHAR, seq BIGINT)"
    )
    for seq, digest in digests:
        run.connection.execute(
            f"INSERT INTO stamps SELECT output, key, id, modified, stamp, {seq} "
            f"FROM {parquet(run.ledger.segments.path(str(digest)))}"
        )
    run.connection.execute(
        "CREATE OR REPLACE TEMP TABLE stamps AS SELECT output, key, id, modified, stamp FROM stamps "
        "QUALIFY row_number() OVER (PARTITION BY output, id ORDER BY seq DESC) = 1"
    )


def _side_effects_unread(run: Run) -> None:
    """Add to `stamps` what the platform made beside records whose stage a crash kept from closing.

    Nobody read these rows back, so they are told from other people's work by who created them: the migration user.
    """
    user = run.target.org().user_id
    for consignment in (c for c in run.plan.consignments if c.op == "insert"):
        output = text(consignment.output)
        unread = (
            f"SELECT id FROM ours WHERE output = {output} AND how = 'inserted' "
            f"AND id NOT IN (SELECT id FROM stamps WHERE output = {output})"
        )
        parents = tuple(r[0] for r in run.connection.execute(f"{unread} ORDER BY id").fetchall())
        for child in run.target.side_effects(consignment.object) if parents else ():
            author = run.target.audit_fields(child.object).created_by
            if author is None:
                continue
            where = In(child.field, parents) if len(parents) <= LISTED_PARENTS else NotNull(child.field)
            path = run.scratch / "side.parquet"
            fetch_to(run.target, Query(child.object, (child.field, author), where), path, run.sink, "look")
            run.connection.execute(
                f"INSERT INTO stamps SELECT {text('~' + child.object)}, Id, Id, NULL, NULL FROM {parquet(path)} "
                f"WHERE {ident(author)} = {text(user)} AND {ident(child.field)} IN ({unread})"
            )


def ours_now(run: Run, consignment: Consignment) -> Condition:
    """The condition that finds our records of one output in the target."""
    if consignment.key_field:
        return NotNull(consignment.key_field)
    found = run.connection.execute(f"SELECT id FROM ours WHERE output = {text(consignment.output)}").fetchall()
    return In("Id", tuple(sorted(r[0] for r in found)))


def _edited_since(run: Run, consignment: Consignment, undo: Undo) -> None:
    """Fill `present` and keep what was saved after our stage closed, or at any time by another user last.

    Time stamps have the platform's precision (seconds on some): in the second of our own write only the user tells.
    """
    audit = run.target.audit_fields(consignment.object)
    output = text(consignment.output)
    known = count(run.connection, f"SELECT count(*) FROM ours WHERE output = {output} AND how = 'inserted'")
    if not known:
        return
    names = tuple(n for n in (audit.modified, audit.modified_by) if n)
    path = run.scratch / f"now-{consignment.name}.parquet"
    query = Query(consignment.object, names, ours_now(run, consignment))
    fetch_to(run.target, query, path, run.sink, "look")
    if consignment.key_field:
        ours = f"SELECT id FROM ours WHERE output = {output} AND how = 'inserted'"
        fetch_strays(run.connection, run.target, query, ours, path, run.sink)
    now = parquet(path)
    run.connection.execute(
        f"INSERT INTO present SELECT {output}, o.id FROM ours o JOIN {now} n ON n.Id = o.id "
        f"WHERE o.output = {output} AND o.how = 'inserted'"
    )
    gone = known - count(run.connection, f"SELECT count(*) FROM present WHERE output = {output}")
    if gone:
        undo.gone[consignment.object] = gone
    if audit.modified is None:
        return
    user = text(str(run.plan.facts.get("user") or run.target.org().user_id))
    by_others = f"n.{ident(audit.modified_by)} <> {user}" if audit.modified_by else "false"
    run.connection.execute(
        f"INSERT INTO kept SELECT {output}, o.id, 'edited since it was loaded' FROM ours o "
        f"JOIN {now} n ON n.Id = o.id LEFT JOIN stamps s ON s.id = o.id AND s.output = o.output "
        f"WHERE o.output = {output} AND o.how = 'inserted' AND "
        f"(coalesce(n.{ident(audit.modified)} > s.modified, false) OR {by_others})"
    )


def _with_children(run: Run, inserts: list[Consignment]) -> None:
    """Keep what others hung their records on, and the parents of everything that is kept."""
    catalog: Catalog = run.target.describe(sorted({c.object for c in inserts}))
    run.connection.execute("CREATE OR REPLACE TEMP TABLE edges (parent VARCHAR, child VARCHAR, child_object VARCHAR)")
    pairs = sorted(
        {
            (child.object, child.field)
            for c in inserts
            for child in (catalog.objects[c.object].children if c.object in catalog.objects else ())
        }
    )
    there = run.target.describe(sorted({o for o, _ in pairs})).objects
    for number, (child_object, child_field) in enumerate(p for p in pairs if p[0] in there):
        path = run.scratch / f"child-{number}.parquet"
        if _fetch_children(run, child_object, child_field, path):
            run.connection.execute(
                f"INSERT INTO edges SELECT c.{ident(child_field)}, c.Id, {text(child_object)} FROM {parquet(path)} c "
                f"WHERE c.{ident(child_field)} IN (SELECT id FROM ours WHERE how = 'inserted')"
            )
        path.unlink(missing_ok=True)
    run.connection.execute(
        "INSERT INTO kept SELECT o.output, o.id, 'has a ' || any_value(e.child_object) || ' that is not ours' "
        "FROM edges e JOIN ours o ON o.id = e.parent "
        "WHERE e.child NOT IN (SELECT id FROM ours) AND o.id NOT IN (SELECT id FROM kept) "
        "AND e.child NOT IN (SELECT id FROM stamps WHERE output LIKE '~%') "
        "GROUP BY o.output, o.id"
    )
    while True:
        added = run.connection.execute(
            "INSERT INTO kept SELECT o.output, o.id, 'parent of a record that stays' FROM ours o "
            "WHERE o.how = 'inserted' AND o.id NOT IN (SELECT id FROM kept) AND o.id IN "
            "(SELECT parent FROM edges WHERE child IN (SELECT id FROM kept)) RETURNING id"
        ).fetchall()
        if not added:
            return


def _fetch_children(run: Run, child_object: str, child_field: str, path: Path) -> int:
    """All records of an object that point somewhere by a field; where only a listing by parent is allowed, ours."""
    try:
        query = Query(child_object, (child_field,), NotNull(child_field))
        return fetch_to(run.target, query, path, run.sink, "look for children")
    except UserError:
        outputs = run.connection.execute(
            "SELECT output, count(*) FROM ours WHERE how = 'inserted' GROUP BY output ORDER BY output"
        ).fetchall()
        listed = [text(name) for name, rows in outputs if rows <= LISTED_PARENTS]
        for name, rows in outputs:
            if rows > LISTED_PARENTS:
                run.note(f"{child_object} can only be listed by parent: not looked for on {rows:,} {name} records")
        ids = run.connection.execute(
            f"SELECT id FROM ours WHERE how = 'inserted' AND output IN ({', '.join(listed) or 'NULL'}) ORDER BY id"
        ).fetchall()
        query = Query(child_object, (child_field,), In(child_field, tuple(i[0] for i in ids)))
        return fetch_to(run.target, query, path, run.sink, "look for children")


def _list_kept(run: Run, inserts: list[Consignment], undo: Undo) -> None:
    objects = {c.output: c.object for c in inserts}
    rows = run.connection.execute(
        "SELECT k.output, any_value(o.key), k.id, any_value(k.reason) FROM kept k JOIN ours o ON o.id = k.id "
        "GROUP BY k.output, k.id ORDER BY ALL"
    ).fetchall()
    undo.kept_count += len(rows)
    undo.kept += [{"object": objects[r[0]], "key": r[1], "id": r[2], "reason": r[3]} for r in rows[:EXAMPLES]]


def _restores(run: Run, consignment: Consignment, undo: Undo) -> None:
    """Table `undo_restore`: record, field and pre-image of every field that still holds what we wrote.

    The pre-image is the one from before our first write since the last rollback: an update that was sent again
    finds its own value. A field that was not empty then was not ours to fill, and is none of our business now.
    """
    output = text(consignment.output)
    ids = run.connection.execute(
        f"SELECT id FROM ours WHERE output = {output} AND how = 'updated' ORDER BY id"
    ).fetchall()
    if not ids:
        return
    path = run.scratch / "restore-now.parquet"
    query = Query(consignment.object, consignment.fields, In("Id", tuple(r[0] for r in ids)))
    fetch_to(run.target, query, path, run.sink, "look")
    planned = parquet(run.path(consignment))
    floor = last_rollback(run.ledger)
    for name in consignment.fields:
        column = ident(name)
        base = (
            f"FROM {planned} p JOIN {parquet(path)} n ON n.Id = p._id "
            f"JOIN (SELECT id, first(value ORDER BY seq) AS value FROM preimages WHERE object = {output} "
            f"AND field = {text(name)} AND seq > {floor} GROUP BY id) b ON b.id = p._id "
            f"WHERE p.{column} IS NOT NULL AND b.value IS NULL AND n.{column} IS NOT NULL"
        )
        run.connection.execute(
            f"INSERT INTO undo_restore SELECT {output}, p._key, p._id, {text(name)}, b.value {base} "
            f"AND n.{column} IS NOT DISTINCT FROM p.{column}"
        )
        changed = run.connection.execute(
            f"SELECT p._key, p._id {base} AND n.{column} IS DISTINCT FROM p.{column} ORDER BY ALL"
        ).fetchall()
        undo.kept_count += len(changed)
        undo.kept += [
            {"object": consignment.object, "key": k, "id": i, "reason": f"{name} changed again since we filled it"}
            for k, i in changed[:EXAMPLES]
        ]
    restored = count(run.connection, f"SELECT count(DISTINCT id) FROM undo_restore WHERE output = {output}")
    if restored:
        undo.restores[consignment.object] = restored


def _cannot(run: Run) -> list[str]:
    """What stays behind in any case."""
    created = [
        recorded.event
        for _, recorded in run.ledger.events(SchemaCreated)
        if isinstance(recorded.event, SchemaCreated) and recorded.event.outcome == "created"
    ]
    lines = []
    if created:
        lines.append(f"{len(created)} pieces of schema that were created stay, empty: remove them by hand if wanted")
    lines.append("deleted records stay in the target's recycle bin until it is emptied")
    lines.append(
        "numbers that the target counts by itself are used up, and system time stamps of restored records move"
    )
    return lines
