"""From staging to prepared rows: normalised columns, named values and the route of every row, set-wise.

One Parquet file per source object with `_row`, `_rid`, `_dup_of`, every column (NFC, trimmed, placeholders
null), every named value of the mapping, `_route` (the index of the route that holds) and `_into` (the key
of the record that the row joins, for routes that merge into another output).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from rehouse.events import Progress, Sink
from rehouse.mapping.expressions import Condition, Expression
from rehouse.mapping.schema import ObjectMapping, Recipe
from rehouse.model.durable import settle_file
from rehouse.plan.engine import ident, parquet, text
from rehouse.staging.manifest import Snapshot
from rehouse.transform.clean import build_dictionaries
from rehouse.transform.context import Context
from rehouse.transform.duckdb import normalised_column, render
from rehouse.transform.locale import Locale

SYSTEM_COLUMNS = ("_row", "_rid", "_key", "_dup_of")
FILE_COLUMNS = ("_path", "_bytes", "_md5")


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that rendering needs: the engine, the recipe, the snapshot, and where things are kept."""

    connection: duckdb.DuckDBPyConnection
    recipe: Recipe
    snapshot: Snapshot
    locale: Locale
    folder: Path
    cache: Path

    def path(self, object_name: str) -> Path:
        return self.folder / f"{object_name}.parquet"

    def context(self, mapping: ObjectMapping, target_object: str = "") -> Context:
        """The rendering context of one object's rows, aliased `t`."""
        return Context(
            columns=lambda name: exp.column(name, table="t", quoted=True),
            table=lambda name: f"p_{name}",
            locale=self.locale,
            limits=self.recipe.blueprint.limits,
            object=target_object,
            values=mapping.values,
        )

    def sql(self, node: Expression | Condition, mapping: ObjectMapping, target_object: str = "") -> str:
        """The node as DuckDB SQL over alias `t`."""
        return to_sql(render(node, self.context(mapping, target_object)))

    def learn(self, node: Expression | Condition, mapping: ObjectMapping, relation: str) -> None:
        """Build the cleaning dictionaries that a node needs, over the distinct values of a relation."""
        build_dictionaries(self.connection, node, self.context(mapping), relation, self.cache)


def to_sql(node: exp.Expression) -> str:
    """The engine's text of a rendered node."""
    return node.sql(dialect="duckdb")


def prepare(preparation: Preparation, sink: Sink) -> dict[str, Path]:
    """Prepare every object of the recipe, in its order. Returns the Parquet file per object."""
    preparation.folder.mkdir(parents=True, exist_ok=True)
    present = [n for n in preparation.recipe.objects if n in preparation.snapshot.objects]
    for name in present:
        _normalised(preparation, name)
    files = {}
    for name in present:
        files[name] = _prepare_object(preparation, name, preparation.recipe.objects[name])
        rows = preparation.snapshot.objects[name].rows
        sink(Progress("prepare", name, rows, rows))
    return files


def _normalised(preparation: Preparation, name: str) -> None:
    """A view `p_<object>` over staging with normalised columns: what lookups see until the object is prepared."""
    staged = preparation.snapshot.objects[name]
    columns = []
    for column in staged.columns:
        normal = normalised_column(exp.column(column.name, table="t", quoted=True), preparation.locale.empty_values)
        columns.append(f"{to_sql(normal)} AS {ident(column.name)}")
    described = preparation.connection.execute(f"DESCRIBE SELECT * FROM {parquet(staged.path)}").fetchall()
    known = {r[0] for r in described}
    extra = [f"CAST(t.{ident(c)} AS VARCHAR) AS {ident(c)}" for c in FILE_COLUMNS if c in known]
    listed = ", ".join([*(f"t.{ident(c)}" for c in SYSTEM_COLUMNS), *columns, *extra])
    preparation.connection.execute(
        f"CREATE OR REPLACE VIEW {ident('p_' + name)} AS SELECT {listed} FROM {parquet(staged.path)} t"
    )


def _prepare_object(preparation: Preparation, name: str, mapping: ObjectMapping) -> Path:
    connection = preparation.connection
    relation = ident(f"p_{name}")
    for number, (value, node) in enumerate(mapping.values.items()):
        preparation.learn(node, mapping, relation)
        step = ident(f"v_{name}_{number}")
        sql = preparation.sql(node, mapping)
        connection.execute(f"CREATE OR REPLACE VIEW {step} AS SELECT t.*, {sql} AS {ident(value)} FROM {relation} t")
        relation = step
    route, into = _routing(preparation, mapping, relation)
    path = preparation.path(name)
    temporary = path.with_suffix(".tmp")
    connection.execute(
        f"COPY (SELECT t.*, {route} AS _route, {into} AS _into FROM {relation} t) "
        f"TO {text(str(temporary))} (FORMAT parquet, COMPRESSION zstd)"
    )
    settle_file(temporary, path)
    connection.execute(f"CREATE OR REPLACE VIEW {ident('p_' + name)} AS SELECT * FROM {parquet(path)}")
    return path


def _routing(preparation: Preparation, mapping: ObjectMapping, relation: str) -> tuple[str, str]:
    """SQL for the index of the first route that holds, and for the key a merging route points at."""
    whens, intos = [], []
    for number, route in enumerate(mapping.routes):
        if route.when is None:
            condition = "true"
        else:
            preparation.learn(route.when, mapping, relation)
            condition = preparation.sql(route.when, mapping)
        whens.append(f"WHEN {condition} THEN {number}")
        if route.merge_into is not None:
            preparation.learn(route.merge_into.by, mapping, relation)
            by = preparation.sql(route.merge_into.by, mapping)
            intos.append(f"WHEN {condition} THEN {text(route.merge_into.output + ':')} || {by}")
    into = f"CASE {' '.join(intos)} END" if intos else "CAST(NULL AS VARCHAR)"
    return f"CAST(CASE {' '.join(whens)} END AS INTEGER)", into


def source_rows(snapshot: Snapshot) -> Mapping[str, int]:
    """Number of records per object of the snapshot: the left side of the books."""
    return {name: staged.rows for name, staged in snapshot.objects.items()}
