"""many:1. Rows that share a merge key become one record; every value has a stated survivor."""

from __future__ import annotations

import duckdb

from rehouse.mapping.expressions import MostCommon
from rehouse.mapping.schema import Output
from rehouse.plan.engine import ident


def merge_rows(connection: duckdb.DuckDBPyConnection, output: Output) -> None:
    """Fold table `raw` by `_key`; table `members` keeps which source row went into which survivor.

    Each field takes the first value that is not empty, in the order of `prefer`, then of the source;
    `most_common` takes the most frequent spelling, the earlier one where two are equally frequent.
    """
    assert output.merge is not None
    order = ", ".join([*(f"_prefer{n}" for n in range(len(output.merge.prefer))), "_row"])
    connection.execute(
        f"CREATE OR REPLACE TABLE members AS SELECT _rid, _key, "
        f"coalesce(first_value(_rid) OVER (PARTITION BY _key ORDER BY {order}), _rid) AS survivor "
        "FROM raw WHERE _key IS NOT NULL UNION ALL SELECT _rid, _key, _rid FROM raw WHERE _key IS NULL"
    )
    columns, joins = [], []
    for number, (name, node) in enumerate(output.fields.items()):
        column = ident(name)
        if isinstance(node, MostCommon):
            alias = f"c{number}"
            joins.append(
                f"LEFT JOIN (SELECT _key, first(v ORDER BY n DESC, seen) AS v FROM (SELECT _key, {column} AS v, "
                f"count(*) AS n, min(_row) AS seen FROM raw WHERE {column} IS NOT NULL GROUP BY _key, {column}) "
                f"GROUP BY _key) {alias} ON {alias}._key = g._key"
            )
            columns.append(f"{alias}.v AS {column}")
        else:
            columns.append(f"g.{column}")
    firsts = ", ".join(
        f"first({ident(n)} ORDER BY {order}) FILTER (WHERE {ident(n)} IS NOT NULL) AS {ident(n)}"
        for n, node in output.fields.items()
        if not isinstance(node, MostCommon)
    )
    grouped = (
        f"SELECT _key, first(_row ORDER BY {order}) AS _row, first(_rid ORDER BY {order}) AS _rid"
        f"{', ' + firsts if firsts else ''} FROM raw WHERE _key IS NOT NULL GROUP BY _key"
    )
    lone = ", ".join(f"NULL AS {ident(n)}" for n in output.fields)
    connection.execute(
        f"CREATE OR REPLACE TABLE merged AS SELECT g._row, g._rid, g._key, {', '.join(columns)} "
        f"FROM ({grouped}) g {' '.join(joins)}"
    )
    connection.execute(f"INSERT INTO merged SELECT _row, _rid, NULL, {lone} FROM raw WHERE _key IS NULL")
    connection.execute("DROP TABLE raw")
    connection.execute("ALTER TABLE merged RENAME TO raw")
