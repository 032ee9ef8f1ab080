"""Plans against a target that is not empty: matching, repeating, planning again after a load."""

from __future__ import annotations

import duckdb
import pytest
from e2e_tools import BY, Site

from rehouse.plan.engine import parquet
from rehouse.testing.untouched import dump_of, leftovers, whole

pytestmark = pytest.mark.sandbox


@pytest.mark.req("COM-SCH-12")
def test_planning_twice_gives_the_same_plan_and_moves_nothing(sampled: Site) -> None:
    before = whole(sampled.store)
    first, _ = sampled.migration.plan()
    second, _ = sampled.migration.plan()
    assert first.digest == second.digest
    assert whole(sampled.store) == before


@pytest.mark.slow
@pytest.mark.req("COM-REL-03")
def test_after_a_clean_load_a_new_plan_has_nothing_left_to_do(applied: Site) -> None:
    before = dump_of(applied.store)
    applied.migration.plan()
    applied.migration.apply(by=BY)
    assert leftovers(before, dump_of(applied.store)) == []


def test_filling_never_overwrites(applied: Site, settled_folder: object) -> None:
    before = dump_of(settled_folder / "org")["Account"]  # type: ignore[operator]
    after = dump_of(applied.store)["Account"]
    filled = [i for i in before if after[i]["Legacy_Id__c"]]
    assert len(filled) >= 3
    stamps = {"SystemModstamp", "LastModifiedDate", "LastModifiedById"}
    for record_id, row in before.items():
        changed = {f for f, v in row.items() if v is not None and after[record_id][f] != v} - stamps
        assert changed == set(), record_id
    assert any(before[i]["BillingCity"] is None and after[i]["BillingCity"] for i in filled)


@pytest.mark.slow
def test_several_matching_records_wait_for_a_person(settled: Site) -> None:
    """Two accounts of the target reduce to one company key: which of them is ours is not guessed."""
    settled.migration.plan()
    plan, folder = settled.migration.load_plan()
    with duckdb.connect() as connection:
        update = parquet(folder / plan.consignment("Account-update").file)
        ((key, record),) = connection.execute(f"SELECT _key, _id FROM {update} ORDER BY _key LIMIT 1").fetchall()
    ((name,),) = settled.sql("SELECT Name FROM Account WHERE Id = ?", record)
    settled.add("Account", {"Name": f" {name.upper()} "})
    settled.migration.plan()
    plan, folder = settled.migration.load_plan()
    with duckdb.connect() as connection:
        planned = connection.execute(
            f"SELECT DISTINCT outcome, rule FROM {parquet(folder / 'planned.parquet')} "
            "WHERE output = 'Account' AND key = ?",
            [key],
        ).fetchall()
        sent = connection.execute(
            f"SELECT _key FROM {parquet(folder / plan.consignment('Account').file)} WHERE _key = ? UNION ALL "
            f"SELECT _key FROM {parquet(folder / plan.consignment('Account-update').file)} WHERE _key = ?",
            [key, key],
        ).fetchall()
    assert planned == [("waiting", "several records of the target match")]
    assert sent == []
