"""One row or many through the real engine: a DuckDB connection, real dictionaries, issues and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from rehouse.mapping.expressions import Condition, Expression, Node
from rehouse.mapping.parse import Reader
from rehouse.transform import sql
from rehouse.transform.clean import build_dictionaries
from rehouse.transform.duckdb import Context, issues, losses, render
from rehouse.transform.locale import Locale

TURKISH = Locale(
    empty_values=("-", "yok", "."),
    date_formats=("%d.%m.%Y", "%Y-%m-%d"),
    datetime_formats=(
        "%d.%m.%Y %H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%d.%m.%Y",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d",
    ),
    true_values=("Evet", "1", "Yes", "TRUE"),
    false_values=("Hayır", "0", "No", "FALSE"),
)
LIMITS = {"file_bytes": 26_214_400}


def parse(data: Any) -> Expression:
    """An expression from plain data; no fault allowed."""
    reader = Reader("test.yaml")
    node = reader.expression(data, 1)
    assert not reader.faults, [str(f) for f in reader.faults]
    return node


def parse_condition(data: Any) -> Condition:
    reader = Reader("test.yaml")
    node = reader.condition(data, 1)
    assert not reader.faults, [str(f) for f in reader.faults]
    return node


@dataclass
class Engine:
    """The engine with a table `t`; other objects' tables by name."""

    connection: duckdb.DuckDBPyConnection
    locale: Locale = TURKISH
    object: str = "Opportunity"
    values: Mapping[str, Expression] = field(default_factory=dict)

    def context(self) -> Context:
        return Context(
            columns=lambda name: sql.column(name, "t"),
            table=lambda name: name,
            locale=self.locale,
            limits=LIMITS,
            object=self.object,
            values=self.values,
        )

    def table(self, name: str, rows: Sequence[Mapping[str, str | None]], columns: Sequence[str]) -> None:
        data = {c: pa.array([r.get(c) for r in rows], pa.string()) for c in columns}
        data["_row"] = pa.array(range(1, len(rows) + 1), pa.int64())
        self.connection.register("_incoming", pa.table(data))
        self.connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM "_incoming"')
        self.connection.unregister("_incoming")

    def rows(self, rows: Sequence[Mapping[str, str | None]], columns: Sequence[str] = ("x", "y", "z")) -> None:
        self.table("t", rows, columns)

    def _columns(self, expressions: Sequence[Any]) -> list[tuple[Any, ...]]:
        """One tuple per row of `t`, all expressions in one query."""
        listed = ", ".join(e.sql(dialect="duckdb") for e in (*expressions, sql.true()))
        query = f'SELECT {listed} FROM t ORDER BY t."_row"'
        return [row[:-1] for row in self.connection.execute(query).fetchall()]

    def learn(self, node: Node) -> None:
        build_dictionaries(self.connection, node, self.context(), "t")

    def evaluate(self, node: Node) -> list[Any]:
        """The node's value for every row of `t`."""
        self.learn(node)
        return [row[0] for row in self._columns([render(node, self.context())])]

    def codes(self, node: Node) -> list[set[str]]:
        """The issue codes of every row of `t`; what `evaluate` learned is enough."""
        rules = issues(node, self.context())
        answers = self._columns([rule.condition for rule in rules])
        assert all(isinstance(a, bool) for row in answers for a in row), "conditions are never NULL"
        return [{rule.code for rule, true in zip(rules, row, strict=True) if true} for row in answers]

    def losses(self, node: Node) -> list[set[str]]:
        """The loss codes of every row of `t`; what `evaluate` learned is enough."""
        found = losses(node, self.context())
        answers = self._columns([loss.condition for loss in found])
        return [{loss.code for loss, true in zip(found, row, strict=True) if true} for row in answers]
