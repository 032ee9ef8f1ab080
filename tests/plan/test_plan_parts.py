"""Parts of planning on their own: merging, order, forecast, decisions, owners, what moved."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehouse.connectors.base import Limits, User
from rehouse.errors import UserError
from rehouse.mapping.expressions import Column, MostCommon, Reference
from rehouse.mapping.schema import Blueprint, Earliest, Merge, ObjectMapping, Output, Recipe
from rehouse.plan.binding import differences, match_owners
from rehouse.plan.consign import dependency_order
from rehouse.plan.decisions import Confirmation, Decisions, OwnerDecision, load_decisions, save_decisions
from rehouse.plan.forecast import forecast, parts_of
from rehouse.plan.merge import merge_rows
from rehouse.plan.stages import LoadRecords

MERGED = Output(
    name="Account",
    to="Account",
    fields={"Name": MostCommon(Column("name")), "Phone": Column("phone")},
    merge=Merge(by=Column("key"), prefer=(Earliest(Column("made")),)),
)
value = st.sampled_from([None, "a", "b", "c"])
rows_of = st.lists(
    st.tuples(st.sampled_from(["k1", "k2", None]), value, value, st.sampled_from(["0", "1", "~"])), max_size=8
)


@pytest.mark.req("COM-MAP-04")
@settings(max_examples=25, deadline=None)
@given(rows_of)
def test_merged_values_have_the_stated_survivor(rows: list[tuple[str | None, str | None, str | None, str]]) -> None:
    """Name: most frequent, then earliest seen. Phone: first that is not empty, preferred rows first."""
    with duckdb.connect() as connection:
        connection.execute(
            'CREATE TABLE raw (_row BIGINT, _rid VARCHAR, _key VARCHAR, "Name" VARCHAR, "Phone" VARCHAR, '
            "_prefer0 VARCHAR)"
        )
        for n, (key, name, phone, prefer) in enumerate(rows):
            connection.execute("INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?)", [n, f"r{n}", key, name, phone, prefer])
        merge_rows(connection, MERGED)
        found = {
            r[0]: r[1:]
            for r in connection.execute('SELECT _key, _rid, "Name", "Phone" FROM raw WHERE _key IS NOT NULL').fetchall()
        }
        members = connection.execute("SELECT _rid, survivor FROM members").fetchall()
    expected = {}
    for key in {r[0] for r in rows if r[0]}:
        mine = sorted(((r[3], n, r) for n, r in enumerate(rows) if r[0] == key))
        names = [r[1] for n, r in enumerate(rows) if r[0] == key and r[1]]
        best = max(Counter(names).items(), key=lambda c: (c[1], -names.index(c[0])))[0] if names else None
        phone = next((r[2] for _, _, r in mine if r[2]), None)
        expected[key] = (f"r{mine[0][1]}", best, phone)
    assert found == expected
    assert sorted(m[0] for m in members) == sorted(f"r{n}" for n in range(len(rows)))
    assert {m[1] for m in members} == {e[0] for e in expected.values()} | {
        f"r{n}" for n, r in enumerate(rows) if r[0] is None
    }


def recipe_of(references: dict[str, set[str]]) -> Recipe:
    outputs = {
        name: Output(name, name, {f"To{n}": Reference(Column("id"), to) for n, to in enumerate(sorted(to_all))})
        for name, to_all in references.items()
    }
    return Recipe(Blueprint("a", "b", "", ("o",)), {"o": ObjectMapping("o", {}, (), outputs)})


NAMES = ("A", "B", "C", "D", "E")
graphs = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=1)


@settings(max_examples=150, deadline=None)
@given(graphs)
def test_what_is_referred_to_comes_first_and_a_circle_is_refused(graph: dict[str, set[str]]) -> None:
    known = {name: {t for t in to if t in graph} for name, to in graph.items()}
    reach = {name: set(to) for name, to in known.items()}
    for _ in NAMES:
        reach = {name: to.union(*(reach[t] for t in to)) if to else to for name, to in reach.items()}
    recipe = recipe_of(known)
    if any(name in reach[name] for name in reach):
        with pytest.raises(UserError, match=r"circle|refers to itself"):
            dependency_order(recipe)
        return
    order = dependency_order(recipe)
    assert sorted(order) == sorted(graph)
    for name, to in known.items():
        assert all(order.index(t) < order.index(name) for t in to)


def limits(**changed: int | None) -> Limits:
    known: dict[str, int | None] = {
        "rows_per_request": 200, "bulk_from_rows": 2_000, "rows_per_part": 100_000, "bytes_per_part": 1 << 20,
        "rows_per_bulk_batch": 10_000, "file_bytes": 1 << 20, "calls_max": None, "calls_left": None,
        "bulk_batches_max": None, "bulk_batches_left": None, "storage_bytes_max": None, "storage_bytes_left": None,
        "file_storage_bytes_left": None, "bytes_per_record": 2_048,
    }  # fmt: skip
    return Limits(**{**known, **changed})  # type: ignore[arg-type]


def test_a_forecast_adds_up_and_names_what_is_too_small() -> None:
    stages = [
        LoadRecords("A", "A", "A", "insert", 25_000, "bulk", 1),
        LoadRecords("B", "B", "B", "insert", 450, "rows", 3),
        LoadRecords("C", "C", "C", "update", 10, "rows", 1),
    ]
    free = forecast(stages, limits(), file_bytes=7, schema_calls=11)
    assert (free.records, free.bulk_batches, free.storage_bytes) == (25_460, 3, 25_450 * 2_048)
    assert free.shortfalls() == []
    exact = limits(calls_left=free.calls, bulk_batches_left=3, storage_bytes_left=free.storage_bytes,
                   file_storage_bytes_left=7)  # fmt: skip
    assert forecast(stages, exact, 7, 11).shortfalls() == []
    one_less = limits(calls_left=free.calls - 1, bulk_batches_left=2, storage_bytes_left=free.storage_bytes - 1,
                      file_storage_bytes_left=6)  # fmt: skip
    assert [line.partition(":")[0] for line in forecast(stages, one_less, 7, 11).shortfalls()] == [
        "API calls", "bulk batches", "data storage in bytes", "file storage in bytes"
    ]  # fmt: skip


def test_parts_are_counted_by_kind() -> None:
    from rehouse.connectors.base import JobKind

    assert [parts_of(n, JobKind.ROWS, limits()) for n in (0, 1, 200, 201)] == [0, 1, 1, 2]
    assert parts_of(100_001, JobKind.BULK, limits()) == 2
    assert parts_of(3, JobKind.FILES, limits()) == 3


def test_decisions_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "decisions.yaml"
    assert load_decisions(path) == Decisions()
    signed = {"by": 'Ayşe: "#1"', "at": "2026-01-01T00:00:00Z", "reason": "- çünkü\nöyle"}
    made = Decisions(owners=[OwnerDecision(email="", to="Kuyruk", **signed)])
    made.confirm([Confirmation(row="a#route1", hash="x", **signed)])
    made.confirm([Confirmation(row="a#route1", hash="y", **signed), Confirmation(row="b", hash="z", **signed)])
    save_decisions(path, made)
    assert load_decisions(path) == made
    assert made.confirmed() == {"a#route1": "y", "b": "z"}
    path.write_text(path.read_text(encoding="utf-8") + "surprise: 1\n", encoding="utf-8")
    with pytest.raises(UserError, match="surprise"):
        load_decisions(path)


@pytest.mark.req("COM-OWN-02", "COM-OWN-04")
def test_owners_are_matched_by_e_mail_or_by_name_decided_never_guessed() -> None:
    users = [
        User("1", "Ayşe Demir", " AYSE@ornek.example ", True),
        User("2", "Eski Üye", "eski@ornek.example", False),
        User("3", "Web Leads", "", True, True, ("Lead",)),
    ]
    emails = ["ayse@ornek.example", "eski@ornek.example", "yok@ornek.example", ""]
    found = {o.email: (o.status, o.user_id) for o in match_owners(emails, users, {})}
    assert found == {
        "ayse@ornek.example": ("matched", "1"), "eski@ornek.example": ("inactive", ""),
        "yok@ornek.example": ("undecided", ""), "": ("undecided", ""),
    }  # fmt: skip
    decided = {"yok@ornek.example": "AYSE@ornek.example", "": "ayşe demir", "eski@ornek.example": "Eski Üye"}
    found = {o.email: (o.status, o.user_id) for o in match_owners(emails, users, decided)}
    assert found["yok@ornek.example"] == ("decided", "1")
    assert found[""] == ("decided", "1")
    assert found["eski@ornek.example"] == ("undecided", "")


def test_what_moved_is_named_with_before_and_after() -> None:
    before = {"org": "A", "objects": {"X": {"length": 80, "options": ["a", "b"]}}}
    now = {"org": "A", "objects": {"X": {"length": 40, "options": ["a"]}}, "new": 1}
    assert differences(before, before) == []
    assert differences(before, now) == [
        "new: was absent, is 1", "objects.X.length: was 80, is 40", "objects.X.options: was ['a', 'b'], is ['a']"
    ]  # fmt: skip
