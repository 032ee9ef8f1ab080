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


def verdicts(site: Site) -> set[tuple[str, str, str]]:
    """(id, field or '', verdict) of every row of the diff."""
    result, _ = site.migration.reconcile()
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT id, coalesce(field, ''), verdict FROM {parquet(result.diff.differences)}"
        ).fetchall()
    return set(rows)


@pytest.mark.req("COM-SMP-04")
def test_who_changed_it_tells_explained_from_unexplained(applied: Site) -> None:
    one, two, three = (
        r[0] for r in applied.sql("SELECT Id FROM Lead WHERE Legacy_Id__c IS NOT NULL ORDER BY Id LIMIT 3")
    )
    applied.later()
    applied.save("Lead", one, {"Company": "Yeni A.Ş."})  # by a colleague, through the interface
    applied.sql(  # by the platform itself: only the system's stamp moves
        "UPDATE Lead SET Company = 'Oto A.Ş.', SystemModstamp = '2099-01-01T00:00:00.000Z' WHERE Id = ?", two
    )
    applied.sql("UPDATE Lead SET Company = 'Sessiz A.Ş.' WHERE Id = ?", three)  # nothing says who
    theirs = applied.add("Lead", {"LastName": "Sonradan", "Company": "Başkası"})
    assert verdicts(applied) == {
        (one, "Company", "edited since"),
        (two, "Company", "set by automation"),
        (three, "Company", "changed"),
        (theirs, "", "created since"),
    }
    state = applied.migration.state()["reconciled"]
    assert state["unexplained"] == 1


def test_an_edit_in_the_second_of_our_own_write_is_an_edit(applied: Site) -> None:
    """Stamps have seconds only: that another user saved the record last tells."""
    ((record, stamp),) = applied.sql(
        "SELECT Id, LastModifiedDate FROM Lead WHERE Legacy_Id__c IS NOT NULL ORDER BY Id LIMIT 1"
    )
    applied.save("Lead", record, {"Company": "Yeni A.Ş."})
    applied.sql("UPDATE Lead SET LastModifiedDate = ?, SystemModstamp = ? WHERE Id = ?", stamp, stamp, record)
    assert verdicts(applied) == {(record, "Company", "edited since")}


def test_the_diff_compares_every_loaded_record_and_planned_field(applied: Site) -> None:
    """Counted on the consignments, not by the diff: records times fields, filled records with what they lacked."""
    plan, folder = applied.migration.load_plan()
    result, _ = applied.migration.reconcile()
    compared = {(f.output, f.object, f.field): 0 for f in result.diff.fields}
    for figure in result.diff.fields:
        compared[figure.output, figure.object, figure.field] += figure.compared
    expected: dict[tuple[str, str, str], int] = dict.fromkeys(compared, 0)
    with duckdb.connect() as connection:
        for one in plan.consignments:
            for field in one.fields:
                planned = f'"{field}" IS NOT NULL' if one.op == "update" else "true"
                row = connection.execute(
                    f"SELECT count(*) FROM {parquet(folder / one.file)} WHERE {planned}"
                ).fetchone()
                expected[one.output, one.object, field] += row[0] if row else 0
    assert compared == expected
    assert result.diff.records == sum(c.rows for c in plan.consignments)


def test_every_outcome_of_every_output_adds_up_to_the_source(applied: Site) -> None:
    """Per source object and route output; the source is what was staged."""
    _, report = applied.migration.reconcile()
    for name, book in report["books"].items():
        for output, outcomes in book["outcomes"].items():
            assert sum(outcomes.values()) == book["source"], (name, output)
    assert {name for name, book in report["books"].items() if book["outcomes"]} >= {
        "users", "contacts", "leads", "deals", "activities", "files", "custom_fields"
    }  # fmt: skip
