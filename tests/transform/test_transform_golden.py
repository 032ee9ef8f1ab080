"""Every operator on written-down rows: the engine and the oracle both give the golden answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from transform_tools import LIMITS, TURKISH, Engine, parse

from rehouse.mapping.expressions import CONDITIONS, OPERATORS, walk
from rehouse.transform.oracle import World, codes, evaluate

CASES: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parent / "golden.yaml").read_text(encoding="utf-8")
)
OTHERS: list[dict[str, str | None]] = [
    {"a": "first", "b": "k"},
    {"a": "second", "b": "k"},
    {"a": None, "b": "m"},
    {"a": "late", "b": "m"},
    {"a": "nobody", "b": None},
]
BLANK = {"x": None, "y": None, "z": None}


def _cells(cell: Any) -> dict[str, str | None]:
    return {**BLANK, **cell} if isinstance(cell, dict) else {**BLANK, "x": cell}


@pytest.mark.req("COM-MAP-10", "COM-MAP-11", "COM-MAP-16", "COM-DQ-06", "COM-TS-04", "PS-SF-02.2", "PS-SF-03.3")
@pytest.mark.parametrize("case", CASES, ids=[str(c["expression"])[:70] for c in CASES])
def test_golden_rows(engine: Engine, case: dict[str, Any]) -> None:
    node = parse(case["expression"])
    cells = [_cells(row[0]) for row in case["rows"]]
    engine.rows(cells)
    engine.table("others", OTHERS, ("a", "b"))
    expected = [row[1] for row in case["rows"]]
    expected_codes = [set(row[2:]) for row in case["rows"]]
    worlds = [World(c, TURKISH, LIMITS, engine.object, {"others": OTHERS}) for c in cells]

    assert engine.evaluate(node) == expected
    assert engine.codes(node) == expected_codes
    assert [evaluate(node, w) for w in worlds] == expected
    assert [codes(node, w) for w in worlds] == expected_codes

    losses = case.get("losses", {})
    assert engine.losses(node) == [set(losses.get(i, ())) for i in range(len(cells))]


def test_every_operator_and_condition_has_golden_rows() -> None:
    covered = {type(n) for case in CASES for n in walk(parse(case["expression"]))}
    missing = {*OPERATORS.values(), *CONDITIONS.values()} - covered
    assert not missing, f"no golden rows for {sorted(c.operator for c in missing)}"


def test_every_declared_failure_and_loss_has_a_golden_row() -> None:
    seen = {code for case in CASES for row in case["rows"] for code in row[2:]}
    lost = {code for case in CASES for listed in case.get("losses", {}).values() for code in listed}
    assert {code for cls in OPERATORS.values() for code in cls.fails} == seen
    assert {code for cls in OPERATORS.values() for code in cls.loses} == lost


def test_a_column_of_one_value_only(engine: Engine) -> None:
    """The engine folds what its statistics prove; DuckDB 2.0.0 has failed on texts that they prove NULL."""
    engine.table("others", OTHERS, ("a", "b"))
    for case in CASES:
        node = parse(case["expression"])
        for row in case["rows"][:4]:
            engine.rows([_cells(row[0])])
            assert engine.evaluate(node) == [row[1]]
            assert engine.codes(node) == [set(row[2:])]
