"""The field-level diff: what the plan meant to write against what the target really holds, set-wise.

What was planned may land as it is, or as a platform stores it (numbers rounded to the field's scale, text
trimmed); what landed is taken as it is, so that one blank or the smallest unit more is a difference. An empty
text is the same as null: the platforms show both as nothing. Verdicts, per field of each record:

- *equal*: the target holds what the source said, character by character;
- *as planned*: it holds what the mapping made of it;
- *changed*: it holds something else, and nothing says who did it;
- *edited since*: it holds something else, and somebody saved the record after we did;
- *set by automation*: it holds something else, and only the platform touched the record after us;

and per record: *missing* (written, no longer there), *extra* (carries our mark or came with our user, but no
plan knows it), *created since* (made by somebody else while we worked: listed, not counted as unexplained).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from rehouse.connectors.base import AuditFields
from rehouse.model import Field, Kind
from rehouse.plan.engine import count, ident, one, parquet, text

PIECE = 200_000
"""Records compared at a time."""

UNEXPLAINED = ("changed", "missing", "extra")
EXPLAINED = ("edited since", "set by automation", "created since")


@dataclass(frozen=True, slots=True)
class Side:
    """One consignment's share of the diff.

    `expected` is a SELECT with `_key`, `_rid`, `_object` (source object) and every field, references resolved;
    `landed` a Parquet file; `raw` maps fields to the source column they were copied from, where there is one.
    Of a `partial` side (records of the target that we filled) only values that are not null were planned.
    """

    output: str
    object: str
    expected: str
    landed: Path
    fields: tuple[Field, ...]
    raw: Mapping[str, str]
    staging: Path | None
    audit: AuditFields
    our_user: str
    whole: bool = True
    partial: bool = False
    natural_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldCount:
    """Verdicts of one field over all records of an output."""

    output: str
    object: str
    field: str
    compared: int
    equal: int
    as_planned: int
    different: int


@dataclass(frozen=True, slots=True)
class Diff:
    """Counts per field, and every difference as a row of `differences` (a Parquet file)."""

    fields: tuple[FieldCount, ...]
    verdicts: Mapping[str, int]
    records: int
    differences: Path

    @property
    def unexplained(self) -> int:
        return sum(self.verdicts.get(v, 0) for v in UNEXPLAINED)

    def as_dict(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "compared_values": sum(f.compared for f in self.fields),
            "unexplained": self.unexplained,
            "verdicts": dict(self.verdicts),
            "fields": [asdict(f) for f in self.fields],
        }


def as_stored(field: Field, planned: str, landed: str) -> str:
    """SQL condition: the text `landed` is what a platform makes of `planned` in this field."""
    match field.kind:
        case Kind.INTEGER | Kind.DECIMAL | Kind.MONEY | Kind.PERCENT:
            sent, held = (f"TRY_CAST({c} AS DECIMAL(38, 10))" for c in (planned, landed))
            return (
                f"(({planned} IS NULL) = ({landed} IS NULL) AND ({held} IS NOT DISTINCT FROM {sent} "
                f"OR {held} = round({sent}, {field.scale})))"
            )
        case Kind.BOOLEAN:
            sent, held = (f"coalesce(lower({c}), 'false')" for c in (planned, landed))
            return f"({sent} = {held})"
        case Kind.TEXT | Kind.LONG_TEXT | Kind.EMAIL | Kind.PHONE | Kind.URL:
            held = f"nullif({landed}, '')"
            trimmed = f"nullif(trim({planned}, ' \t\n\r'), '')"
            return f"({held} IS NOT DISTINCT FROM {trimmed} OR {held} IS NOT DISTINCT FROM nullif({planned}, ''))"
        case _:
            return f"(nullif({planned}, '') IS NOT DISTINCT FROM nullif({landed}, ''))"


def diff(connection: duckdb.DuckDBPyConnection, sides: Sequence[Side], out: Path, *, every: bool = False) -> Diff:
    """Compare every record and mapped field of `sides`; write the differences to `out`.

    Needs the view `id_map(object, key, id)` and the table `stamps`. A record is expected where the id map says
    that we wrote it. With `every` the table `compared` lists every value with its verdict (for samples).
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE compared (object VARCHAR, output VARCHAR, key VARCHAR, id VARCHAR, "
        "field VARCHAR, source VARCHAR, planned VARCHAR, landed VARCHAR, verdict VARCHAR)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE differences (object VARCHAR, output VARCHAR, key VARCHAR, rid VARCHAR, "
        "id VARCHAR, field VARCHAR, source VARCHAR, planned VARCHAR, landed VARCHAR, verdict VARCHAR)"
    )
    counts: list[FieldCount] = []
    records = 0
    for side in sides:
        pieces: list[list[FieldCount]] = []
        for _ in _pieces(connection, side):
            records += _pair(connection, side)
            pieces.append(_count(connection, side))
            _differences(connection, side)
            if every:
                _every(connection, side)
        counts += _added_up(pieces)
        if side.whole:
            _extra(connection, side)
    out.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"COPY (SELECT * FROM differences ORDER BY object, output, key, field) TO {text(str(out))} (FORMAT parquet)"
    )
    verdicts = dict(connection.execute("SELECT verdict, count(*) FROM differences GROUP BY 1").fetchall())
    return Diff(tuple(counts), verdicts, records, out)


def _pieces(connection: duckdb.DuckDBPyConnection, side: Side) -> Iterator[int]:
    """Make table `mine(key, id)` for one piece of the output's records after the other, so that memory stays flat."""
    ours = f"FROM id_map WHERE object = {text(side.output)}"
    pieces = max(1, -(-count(connection, f"SELECT count(*) {ours}") // PIECE))
    for number in range(pieces):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE mine AS SELECT key, id {ours} AND hash(key) % {pieces} = {number}"
        )
        yield number


def _added_up(pieces: Sequence[Sequence[FieldCount]]) -> list[FieldCount]:
    """The counts of all pieces, per field."""
    return [
        replace(
            same[0],
            compared=sum(c.compared for c in same),
            equal=sum(c.equal for c in same),
            as_planned=sum(c.as_planned for c in same),
            different=sum(c.different for c in same),
        )
        for same in zip(*pieces, strict=True)
    ]


def _pair(connection: duckdb.DuckDBPyConnection, side: Side) -> int:
    """Join expected and landed by the id that the id map says is ours."""
    planned = ", ".join(f"e.{ident(f.name)} AS {ident('p_' + f.name)}" for f in side.fields)
    landed = ", ".join(f"l.{ident(f.name)} AS {ident('l_' + f.name)}" for f in side.fields)
    raw = ", ".join(
        f"s.{ident(side.raw[f.name])} AS {ident('s_' + f.name)}"
        if side.staging and f.name in side.raw
        else f"CAST(NULL AS VARCHAR) AS {ident('s_' + f.name)}"
        for f in side.fields
    )
    rids = "SELECT e._rid FROM expected e"
    join_raw = (
        f"LEFT JOIN (SELECT * FROM {parquet(side.staging)} WHERE _rid IN ({rids})) s ON s._rid = e._rid"
        if side.staging
        else ""
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE expected AS SELECT * FROM ({side.expected}) e "
        "WHERE e._key IN (SELECT key FROM mine)"
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pair AS
        SELECT e._key, e._rid, m.id, l.Id IS NOT NULL AS found, {_touched(side)} AS touched,
               {planned}, {landed}, {raw}
        FROM expected e
        JOIN mine m ON m.key = e._key
        LEFT JOIN (SELECT * FROM {parquet(side.landed)} WHERE Id IN (SELECT id FROM mine)) l ON l.Id = m.id
        {_stamps(side.output)}
        {join_raw}
        """
    )
    return count(connection, "SELECT count(*) FROM pair")


def _stamps(output: str) -> str:
    return (
        f"LEFT JOIN (SELECT key, modified, stamp FROM stamps WHERE output = {text(output)} "
        "AND key IN (SELECT key FROM mine)) t ON t.key = e._key"
    )


def _touched(side: Side) -> str:
    """Who touched the record after us: by its stamps, compared with those read back when our stage closed.

    Stamps have the platform's precision (seconds on some), so a save by another user counts whenever it was.
    """
    audit = side.audit
    if audit.modified is None or audit.stamp is None:
        return "CAST(NULL AS VARCHAR)"
    others = f" OR l.{ident(audit.modified_by)} <> {text(side.our_user)}" if audit.modified_by else ""
    return (
        f"CASE WHEN (t.modified IS NOT NULL AND l.{ident(audit.modified)} > t.modified){others} THEN 'edited since' "
        f"WHEN t.stamp IS NOT NULL AND l.{ident(audit.stamp)} > t.stamp THEN 'set by automation' END"
    )


def _same(side: Side, field: Field) -> str:
    """As planned, in the field's own precision. Where we sent nothing, a field that the platform fills is its own."""
    planned, landed = ident("p_" + field.name), ident("l_" + field.name)
    free = f"({planned} IS NULL) OR " if field.defaulted or side.partial else ""
    return f"({free}{as_stored(field, planned, landed)})"


def _compared(side: Side, field: Field) -> str:
    """Records of which this field is compared."""
    return f"(found AND {ident('p_' + field.name)} IS NOT NULL)" if side.partial else "found"


def _count(connection: duckdb.DuckDBPyConnection, side: Side) -> list[FieldCount]:
    if not side.fields:
        return []
    parts = []
    for field in side.fields:
        equal = f"{ident('p_' + field.name)} IS NOT DISTINCT FROM {ident('s_' + field.name)}"
        parts += [
            f"count(*) FILTER ({_compared(side, field)} AND {_same(side, field)} AND {equal})",
            f"count(*) FILTER ({_compared(side, field)} AND {_same(side, field)})",
            f"count(*) FILTER ({_compared(side, field)})",
        ]
    row = one(connection, f"SELECT {', '.join(parts)} FROM pair") or ()
    result = []
    for number, field in enumerate(side.fields):
        equal_count, same, compared = row[3 * number : 3 * number + 3]
        result.append(
            FieldCount(
                side.output,
                side.object,
                field.name,
                compared,
                equal_count,
                same - equal_count,
                compared - same,
            )
        )
    return result


def _every(connection: duckdb.DuckDBPyConnection, side: Side) -> None:
    for field in side.fields:
        source, planned, landed = (ident(p + field.name) for p in ("s_", "p_", "l_"))
        connection.execute(
            f"""
            INSERT INTO compared
            SELECT {text(side.object)}, {text(side.output)}, _key, id, {text(field.name)}, {source}, {planned},
                   {landed}, CASE WHEN NOT found THEN 'missing'
                   WHEN NOT {_same(side, field)} THEN coalesce(touched, 'changed')
                   WHEN {planned} IS NOT DISTINCT FROM {source} THEN 'equal' ELSE 'as planned' END
            FROM pair WHERE NOT found OR {_compared(side, field)}
            """
        )


def _differences(connection: duckdb.DuckDBPyConnection, side: Side) -> None:
    for field in side.fields:
        connection.execute(
            f"""
            INSERT INTO differences
            SELECT {text(side.object)}, {text(side.output)}, _key, _rid, id, {text(field.name)},
                   {ident("s_" + field.name)}, {ident("p_" + field.name)}, {ident("l_" + field.name)},
                   coalesce(touched, 'changed')
            FROM pair WHERE found AND NOT {_same(side, field)}
            """
        )
    connection.execute(
        f"""
        INSERT INTO differences
        SELECT {text(side.object)}, {text(side.output)}, _key, _rid, id, NULL, NULL, NULL, NULL, 'missing'
        FROM pair WHERE NOT found
        """
    )


def _extra(connection: duckdb.DuckDBPyConnection, side: Side) -> None:
    """Landed records that no part of the ledger knows."""
    ours = f"l.{ident(side.audit.created_by)} = {text(side.our_user)}" if side.audit.created_by else "true"
    key = next((f.name for f in side.fields if f.external_id), None)
    marked = f"l.{ident(key)} IS NOT NULL OR " if key else ""
    # a link is ours to judge only where it joins records of ours: the platform adds links of its own
    between = "".join(f" AND l.{ident(n)} IN (SELECT id FROM refs)" for n in side.natural_key)
    key_column = f"l.{ident(key)}" if key else "CAST(NULL AS VARCHAR)"
    connection.execute(
        f"""
        INSERT INTO differences
        SELECT {text(side.object)}, {text(side.output)}, {key_column}, NULL, l.Id, NULL, NULL, NULL, NULL,
               CASE WHEN {marked}{ours} THEN 'extra' ELSE 'created since' END
        FROM {parquet(side.landed)} l
        WHERE l.Id NOT IN (SELECT id FROM id_map WHERE id IS NOT NULL)
          AND l.Id NOT IN (SELECT id FROM differences WHERE id IS NOT NULL AND verdict IN ('extra', 'created since'))
          {between}
        """
    )
