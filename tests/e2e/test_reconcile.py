"""Reconcile: the books balance, everything is compared, and changes made behind our back are found, no others."""

from __future__ import annotations

import duckdb
import pytest
from e2e_tools import Site

from rehouse.plan.engine import parquet
from rehouse.testing.tamper import tamper

pytestmark = pytest.mark.sandbox


def found(site: Site) -> set[tuple[str, str, str]]:
    """(object, id, field | missing | extra) of every row of the diff."""
    result, _ = site.migration.reconcile()
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT object, id, CASE WHEN field IS NULL THEN verdict ELSE field END FROM "
            f"{parquet(result.diff.differences)}"
        ).fetchall()
    return set(rows)


@pytest.mark.req("COM-VAL-02", "COM-SMP-04")
def test_a_clean_apply_balances_and_shows_no_difference(applied: Site) -> None:
    result, report = applied.migration.reconcile(applied.answer_key)
    assert result.diff.verdicts == {}
    assert result.books.unbalanced() == []
    assert result.clean
    for name, figures in result.targets.items():
        assert figures["planned"] == figures["loaded"] == figures["read_back"] > 0, name
    assert report["flaws"]["missed"] == []
    assert report["flaws"]["planted"] == report["flaws"]["found"] > 0


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_two_hundred_changes_are_found_and_no_other(applied: Site, seed: int) -> None:
    changes = tamper(applied.store, applied.loaded(), seed)
    planted = {c.place for c in changes}
    assert len(planted) == len(changes) >= 200
    seen = found(applied)
    kinds = {c.place: c.kind for c in changes}
    assert {(p, kinds[p]) for p in planted - seen} == set()
    assert seen - planted == set()
