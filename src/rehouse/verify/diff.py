"""The field-level diff: what the plan meant to write against what the target really holds, set-wise.

Both sides are brought to the field's own precision first (numbers to its scale, text trimmed as platforms
trim it). Verdicts, per field of each record:

- *equal*: the target holds what the source said, character by character;
- *as planned*: it holds what the mapping made of it;
- *changed*: it holds something else, and nothing says who did it;
- *edited since*: it holds something else, and somebody saved the record after we did;
- *set by automation*: it holds something else, and only the platform touched the record after us;

and per record: *missing* (written, no longer there), *extra* (carries our mark or came with our user, but no
plan knows it), *created since* (made by somebody else while we worked: listed, not counted as unexplained).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from rehouse.connectors.base import AuditFields
from rehouse.model import Field, Kind
from rehouse.plan.engine import ident, one, parquet, text

UNEXPLAINED = ("changed", "missing", "extra")
EXPLAINED = ("edited since", "set by automation", "created since")


@dataclass(frozen=True, slots=True)
class Side:
    """One consignment's share of the diff.

    `expected` is a SELECT with `_key`, `_rid`, `_object` (source object) and every field, references resolved;
    `landed` a Parquet file; `raw` maps fields to the source column they were copied from, where there is one.
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


def comparable(field: Field, column: str) -> str:
    """SQL that brings a text value to the field's own precision, for comparing only."""
    match field.kind:
        case Kind.INTEGER | Kind.DECIMAL | Kind.MONEY | Kind.PERCENT:
            return f"CAST(round(TRY_CAST({column} AS DECIMAL(38, 10)), {field.scale}) AS VARCHAR)"
        case Kind.BOOLEAN:
            return f"coalesce(lower({column}), 'false')"
        case Kind.TEXT | Kind.LONG_TEXT | Kind.EMAIL | Kind.PHONE | Kind.URL:
            return f"nullif(trim({column}, ' \t\n\r'), '')"
        case _:
            return f"nullif({column}, '')"


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
        records += _pair(connection, side)
        counts += _count(connection, side)
        _differences(connection, side)
        if every:
            _every(connection, side)
        if side.whole:
            _extra(connection, side)
    out.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"COPY (SELECT * FROM differences ORDER BY object, output, key, field) TO {text(str(out))} (FORMAT parquet)"
    )
    verdicts = dict(connection.execute("SELECT verdict, count(*) FROM differences GROUP BY 1").fetchall())
    return Diff(tuple(counts), verdicts, records, out)


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
    join_raw = f"LEFT JOIN {parquet(side.staging)} s ON s._rid = e._rid" if side.staging else ""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pair AS
        SELECT e._key, e._rid, m.id, l.Id IS NOT NULL AS found, {_touched(side.audit)} AS touched,
               {planned}, {landed}, {raw}
        FROM ({side.expected}) e
        JOIN (SELECT key, id FROM id_map WHERE object = {text(side.output)}) m ON m.key = e._key
        LEFT JOIN {parquet(side.landed)} l ON l.Id = m.id
        {_stamps(side.output)}
        {join_raw}
        """
    )
    row = one(connection, "SELECT count(*) FROM pair")
    return int(row[0]) if row else 0


def _stamps(output: str) -> str:
    return f"LEFT JOIN (SELECT key, modified, stamp FROM stamps WHERE output = {text(output)}) t ON t.key = e._key"


def _touched(audit: AuditFields) -> str:
    """Who touched the record after our stage closed: compared with the stamps read back then."""
    if audit.modified is None or audit.stamp is None:
        return "CAST(NULL AS VARCHAR)"
    return (
        f"CASE WHEN t.modified IS NOT NULL AND l.{ident(audit.modified)} > t.modified THEN 'edited since' "
        f"WHEN t.stamp IS NOT NULL AND l.{ident(audit.stamp)} > t.stamp THEN 'set by automation' END"
    )


def _same(field: Field) -> str:
    """Equal at the field's own precision; a value that the platform fills is as planned where we sent none."""
    planned, landed = ident("p_" + field.name), ident("l_" + field.name)
    left_to_platform = f"({planned} IS NULL) OR " if field.defaulted else ""
    return f"({left_to_platform}{comparable(field, planned)} IS NOT DISTINCT FROM {comparable(field, landed)})"


def _count(connection: duckdb.DuckDBPyConnection, side: Side) -> list[FieldCount]:
    if not side.fields:
        return []
    parts = []
    for field in side.fields:
        equal = f"{ident('p_' + field.name)} IS NOT DISTINCT FROM {ident('s_' + field.name)}"
        parts += [
            f"count(*) FILTER (found AND {_same(field)} AND {equal})",
            f"count(*) FILTER (found AND {_same(field)})",
            "count(*) FILTER (found)",
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
                   WHEN NOT {_same(field)} THEN coalesce(touched, 'changed')
                   WHEN {planned} IS NOT DISTINCT FROM {source} THEN 'equal' ELSE 'as planned' END
            FROM pair
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
            FROM pair WHERE found AND NOT {_same(field)}
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
