"""Which records a sample moves: every stratum present in the data, and the parents of every chosen record."""

from __future__ import annotations

from pathlib import Path

import duckdb

from rehouse.mapping.expressions import Option, Owner, RecordType
from rehouse.mapping.schema import Recipe
from rehouse.model.durable import settle_file
from rehouse.plan.engine import ident, parquet, text
from rehouse.plan.stages import Consignment, Plan


def choose_sample(connection: duckdb.DuckDBPyConnection, plan: Plan, recipe: Recipe, folder: Path, size: int) -> Path:
    """Write `sample.parquet` (`output`, `key`) beside the consignments and return its path.

    Strata are the values of every option, record type and owner field; from each stratum at least one record
    is taken, the rest is spread evenly by a hash of the key, so the choice is the same on every machine.
    Parents are added until no reference leaves the sample, so the result may be larger than `size`.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE chosen (output VARCHAR, key VARCHAR)")
    inserts = [c for c in plan.consignments if c.rows]
    total = sum(c.rows for c in inserts)
    for consignment in inserts:
        share = max(3, round(size * consignment.rows / total)) if total else 0
        _choose(connection, consignment, recipe, folder, share)
    for consignment in reversed(inserts):
        _add_parents(connection, consignment, folder)
    path = folder / "sample.parquet"
    temporary = path.with_suffix(".tmp")
    connection.execute(
        f"COPY (SELECT DISTINCT output, key FROM chosen ORDER BY ALL) TO {text(str(temporary))} (FORMAT parquet)"
    )
    settle_file(temporary, path)
    return path


def _choose(
    connection: duckdb.DuckDBPyConnection, consignment: Consignment, recipe: Recipe, folder: Path, share: int
) -> None:
    found = recipe.output(consignment.output)
    fields = found[1].fields if found else {}
    strata = [n for n, e in fields.items() if isinstance(e, Option | RecordType | Owner) and n in consignment.fields]
    source = parquet(folder / consignment.file)
    output = text(consignment.output)
    order = "hash(_key)"
    for name in strata:
        connection.execute(
            f"INSERT INTO chosen SELECT {output}, arg_min(_key, {order}) FROM {source} GROUP BY {ident(name)}"
        )
    connection.execute(f"INSERT INTO chosen SELECT {output}, _key FROM {source} ORDER BY {order}, _key LIMIT {share}")


def _add_parents(connection: duckdb.DuckDBPyConnection, consignment: Consignment, folder: Path) -> None:
    source = parquet(folder / consignment.file)
    for name in consignment.references:
        column = ident(name)
        connection.execute(
            f"INSERT INTO chosen SELECT DISTINCT split_part(split_part({column}, ':', 1), '.', 1), "
            f"regexp_replace({column}, '^[^:]*:', '') FROM {source} "
            f"WHERE {column} IS NOT NULL AND {column} NOT LIKE 'RecordType.%' "
            f"AND _key IN (SELECT key FROM chosen WHERE output = {text(consignment.output)})"
        )
