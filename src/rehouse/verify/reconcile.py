"""Reconcile: read everything back, compare every mapped field, balance the books, count both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from rehouse.connectors.base import Condition, CreatesSchema, In, Query, Target
from rehouse.events import Sink
from rehouse.ledger.events import StageClosed
from rehouse.ledger.ledger import Ledger
from rehouse.mapping.expressions import Column, Expression, Owner, RecordType, Reference, columns_used
from rehouse.mapping.schema import Recipe
from rehouse.model import Catalog, Field, Kind
from rehouse.plan.build import CUSTOM_FIELDS, PLANNED
from rehouse.plan.engine import count, ident, parquet, text
from rehouse.plan.fetch import audit_columns, fetch_strays, fetch_to, marked_or_new
from rehouse.plan.resolve import make_refs, parent_fields, parent_outputs, resolved
from rehouse.plan.stages import Consignment, Plan
from rehouse.staging.manifest import Snapshot
from rehouse.verify.books import Books, balance, settle_outcomes
from rehouse.verify.diff import Diff, Side, diff


@dataclass(frozen=True, slots=True)
class Looking:
    """What verification needs. `only` restricts it to a sample's keys; `since` is the start of the first run."""

    plan: Plan
    folder: Path
    recipe: Recipe
    snapshot: Snapshot
    target: Target
    ledger: Ledger
    connection: duckdb.DuckDBPyConnection
    work: Path
    out: Path
    sink: Sink
    since: datetime
    only: Path | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Books, diff and counts per target object."""

    books: Books
    diff: Diff
    targets: Mapping[str, Mapping[str, int]]
    read_back: int

    @property
    def clean(self) -> bool:
        return self.diff.unexplained == 0 and not self.books.unbalanced()


def reconcile(looking: Looking) -> Reconciled:
    """Compare 100 % of loaded records and mapped fields with what the target really holds."""
    connection = looking.connection
    looking.ledger.id_map(connection)
    looking.ledger.outcomes_view(connection)
    _stamps(looking)
    catalog = looking.target.describe(sorted({c.object for c in looking.plan.consignments}))
    landed = _fetch_landed(looking, catalog)
    _references(looking, landed)
    sides = [_side(looking, c, catalog, landed[c.object]) for c in looking.plan.consignments]
    found = diff(connection, sides, looking.out, every=looking.only is not None)
    settle_outcomes(connection, looking.folder / PLANNED)
    targets = _targets(looking, landed)
    _custom_fields(looking, targets, catalog)
    source = {n: o.rows for n, o in looking.snapshot.objects.items()}
    books = balance(connection, source)
    return Reconciled(books, found, targets, sum(t["read_back"] for t in targets.values()))


def _stamps(looking: Looking) -> None:
    """When each record was last saved as our stage closed; the newest reading of each."""
    looking.connection.execute(
        "CREATE OR REPLACE TEMP TABLE stamps (output VARCHAR, key VARCHAR, id VARCHAR, modified VARCHAR, "
        "stamp VARCHAR, seq BIGINT)"
    )
    for seq, recorded in looking.ledger.events(StageClosed):
        event = recorded.event
        if isinstance(event, StageClosed) and event.landed:
            path = looking.ledger.segments.path(event.landed)
            looking.connection.execute(
                f"INSERT INTO stamps SELECT output, key, id, modified, stamp, {seq} FROM {parquet(path)}"
            )
    looking.connection.execute(
        "CREATE OR REPLACE TEMP TABLE stamps AS SELECT output, key, id, modified, stamp FROM stamps "
        "QUALIFY row_number() OVER (PARTITION BY output, key ORDER BY seq DESC) = 1"
    )


def _fetch_landed(looking: Looking, catalog: Catalog) -> dict[str, Path]:
    """One Parquet file per target object with every mapped field and the audit fields."""
    landed: dict[str, Path] = {}
    by_object: dict[str, list[Consignment]] = {}
    for consignment in looking.plan.consignments:
        by_object.setdefault(consignment.object, []).append(consignment)
    for name, group in by_object.items():
        audit = looking.target.audit_fields(name)
        fields = [f for c in group for f in c.fields]
        extra = [f for c in group for f in _parents_of(looking, c.output)]
        fields = list(dict.fromkeys([*fields, *extra, *audit_columns(audit)]))
        path = looking.work / "landed" / f"{name}.parquet"
        key = next((c.key_field for c in group if c.key_field), None)
        where = marked_or_new(key, audit, looking.since) if key else _by_link(looking, group[0], landed)
        query = Query(name, tuple(fields), where)
        fetch_to(looking.target, query, path, looking.sink, "read back")
        outputs = ", ".join(text(c.output) for c in group)
        ours = f"SELECT DISTINCT id FROM id_map WHERE object IN ({outputs})"
        other_end = None if key else _by_link(looking, group[0], landed, end=1)
        fetch_strays(looking.connection, looking.target, query, ours, path, looking.sink, other_end)
        landed[name] = path
    return landed


def _parents_of(looking: Looking, output: str) -> list[str]:
    """Fields of this output that other consignments refer to (`Output.Field:key`)."""
    prefixes = {p for c in looking.plan.consignments for p in parent_fields(c, looking.folder, looking.connection)}
    return sorted(p.partition(".")[2] for p in prefixes if p.partition(".")[0] == output)


def _by_link(looking: Looking, consignment: Consignment, landed: Mapping[str, Path], end: int = 0) -> Condition:
    """Records without an external id, by the values of one part of their natural key."""
    first = consignment.natural_key[end]
    parents = sorted(
        {
            r[0]
            for r in looking.connection.execute(
                f"SELECT DISTINCT split_part({ident(first)}, ':', 1) FROM "
                f"{parquet(looking.folder / consignment.file)} WHERE {ident(first)} IS NOT NULL"
            ).fetchall()
        }
    )
    values: set[str] = set()
    for prefix in parents:
        output, _, name = prefix.partition(".")
        parent = next(c for c in looking.plan.consignments if c.output == output)
        path = landed[parent.object]
        column = ident(name) if name else "Id"
        values |= {
            r[0]
            for r in looking.connection.execute(
                f"SELECT {column} FROM {parquet(path)} WHERE Id IN (SELECT id FROM id_map) AND {column} IS NOT NULL"
            ).fetchall()
        }
    return In(first, tuple(sorted(values)))


def _references(looking: Looking, landed: Mapping[str, Path]) -> None:
    """Table `refs`, with other fields of parents taken from what landed."""
    types = {}
    if isinstance(looking.target, CreatesSchema):
        types = looking.target.record_type_ids(sorted(landed))
    parents = set[str]().union(
        *(parent_outputs(c, looking.folder, looking.connection) for c in looking.plan.consignments)
    )
    make_refs(looking.connection, parents, types)
    for consignment in looking.plan.consignments:
        for prefix in sorted(parent_fields(consignment, looking.folder, looking.connection)):
            output, _, name = prefix.partition(".")
            parent = next(c for c in looking.plan.consignments if c.output == output)
            looking.connection.execute(
                f"INSERT INTO refs SELECT {text(prefix + ':')} || m.key, l.{ident(name)} FROM id_map m "
                f"JOIN {parquet(landed[parent.object])} l ON l.Id = m.id WHERE m.object = {text(output)}"
            )


def _side(looking: Looking, consignment: Consignment, catalog: Catalog, landed: Path) -> Side:
    described = catalog.objects[consignment.object]
    fields = tuple(described.field(n) or Field(name=n, label=n, kind=Kind.TEXT) for n in consignment.fields)
    expected = _expected(looking, consignment, fields)
    found = looking.recipe.output(consignment.output)
    raw: dict[str, str] = {}
    staging = None
    if found is not None and found[1].merge is None:
        staged = looking.snapshot.objects[found[0].object]
        staging = staged.path
        columns = {c.name for c in staged.columns}
        for name, node in found[1].fields.items():
            source = _copied_from(node)
            if source in columns and name in consignment.fields:
                raw[name] = source
    return Side(
        output=consignment.output,
        object=consignment.object,
        expected=expected,
        landed=landed,
        fields=fields,
        raw=raw,
        staging=staging,
        audit=looking.target.audit_fields(consignment.object),
        our_user=str(looking.plan.facts.get("user") or looking.target.org().user_id),
        whole=looking.only is None and consignment.op == "insert",
        partial=consignment.op == "update",
        natural_key=consignment.natural_key,
    )


def _copied_from(node: Expression) -> str:
    """The one source column behind an expression, or ''."""
    if isinstance(node, Column):
        return node.name
    if isinstance(node, Reference | RecordType | Owner):
        return ""
    used = columns_used(node)
    return next(iter(used)) if len(used) == 1 else ""


def _expected(looking: Looking, consignment: Consignment, fields: tuple[Field, ...]) -> str:
    """SELECT of what the target should hold. For filled records only what we filled; for files their md5."""
    path = parquet(looking.folder / consignment.file)
    if consignment.op == "update":
        listed = ", ".join(ident(f.name) for f in fields)
        base = f"SELECT _key, _rid, {listed} FROM {path}"
    else:
        base = resolved(consignment, looking.folder)
        binary = [f.name for f in fields if f.kind is Kind.BINARY]
        if binary:
            swaps = ", ".join(f"'md5:' || lower(f._md5) AS {ident(b)}" for b in binary)
            base = f"SELECT e.* REPLACE ({swaps}) FROM ({base}) e JOIN {path} f ON f._key = e._key"
    if looking.only is not None:
        base = (
            f"SELECT * FROM ({base}) WHERE _key IN (SELECT key FROM {parquet(looking.only)} "
            f"WHERE output = {text(consignment.output)})"
        )
    return base


def _targets(looking: Looking, landed: Mapping[str, Path]) -> dict[str, dict[str, int]]:
    """Per target object: planned creates, loaded by the ledger, and found again by reading back."""
    result: dict[str, dict[str, int]] = {}
    for consignment in looking.plan.consignments:
        if consignment.op != "insert":
            continue
        figures = result.setdefault(consignment.object, {"planned": 0, "loaded": 0, "read_back": 0})
        output = text(consignment.output)
        figures["planned"] += consignment.rows
        figures["loaded"] += count(
            looking.connection, f"SELECT count(*) FROM id_map WHERE object = {output} AND how = 'inserted'"
        )
        figures["read_back"] += count(
            looking.connection,
            f"SELECT count(*) FROM id_map m JOIN {parquet(landed[consignment.object])} l ON l.Id = m.id "
            f"WHERE m.object = {output} AND m.how = 'inserted'",
        )
    return result


def _custom_fields(looking: Looking, targets: dict[str, dict[str, int]], catalog: Catalog) -> None:
    """The export's own fields count as loaded when the target's catalog holds what the mapping fills from them."""
    planned = count(
        looking.connection,
        f"SELECT count(*) FROM settled WHERE output = {text(CUSTOM_FIELDS)} AND rule = 'not loaded yet'",
    )
    if not planned:
        return
    mapped = [(c.object, f) for c in looking.plan.consignments for f in c.fields]
    complete = all(catalog.objects[o].field(f) is not None for o, f in mapped)
    if complete:
        looking.connection.execute(
            f"UPDATE settled SET outcome = 'loaded', rule = 'a field of the target holds it' "
            f"WHERE output = {text(CUSTOM_FIELDS)} AND rule = 'not loaded yet'"
        )
    targets[CUSTOM_FIELDS] = {
        "planned": planned,
        "loaded": planned if complete else 0,
        "read_back": planned if complete else 0,
    }


def table_rows(connection: duckdb.DuckDBPyConnection, table: str, limit: int) -> list[dict[str, Any]]:
    """Rows of `differences` or `compared` as plain data, in a stable order."""
    names = ["object", "output", "key", "field", "source", "planned", "landed", "verdict", "id"]
    found = connection.execute(
        f"SELECT {', '.join(names)} FROM {table} "
        f"ORDER BY verdict IN ('equal', 'as planned'), {', '.join(names)} LIMIT {limit}"
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]
