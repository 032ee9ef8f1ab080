from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_tools import open_ledger, record, select, start

from rehouse.ledger import PREIMAGES, Intent, Ledger, RunClosed

ID_MAP = "SELECT object, key, id, how, run, seq FROM id_map ORDER BY object, key"


def test_the_views_of_an_empty_ledger_are_empty_and_have_their_columns(ledger: Ledger) -> None:
    for view in ("id_map", "written", "outcomes", "outcomes_history", "preimages"):
        assert select(ledger, f"FROM {view}") == []
    assert select(ledger, "SELECT count(*) FROM id_map WHERE object = 'x' AND key = 'k'") == [(0,)]


@pytest.mark.req("COM-REL-02")
def test_the_id_map_holds_what_was_accepted(ledger: Ledger) -> None:
    start(ledger, "sample")
    _, first = record(ledger, "insert", [("a", "1", True), ("b", None, False), ("c", None, True)])
    ledger.append(RunClosed("done"))
    start(ledger, "apply")
    _, second = record(ledger, "insert", [("b", "2", True)])
    _, third = record(ledger, "insert", [("a", "9", True)], "Lead")
    assert select(ledger, ID_MAP) == [
        ("Contact", "a", "1", "inserted", "sample-1", first),
        ("Contact", "b", "2", "inserted", "apply-2", second),
        ("Lead", "a", "9", "inserted", "apply-2", third),
    ]


def test_what_we_inserted_stays_inserted_when_links_are_set_later(ledger: Ledger) -> None:
    start(ledger)
    _, first = record(ledger, "insert", [("a", "1", True)])
    _, second = record(ledger, "update", [("a", "1", True), ("m", "7", True)])
    _, third = record(ledger, "match", [("n", "8", True), ("m", "7", True)])
    assert select(ledger, ID_MAP) == [
        ("Contact", "a", "1", "inserted", "apply-1", first),
        ("Contact", "m", "7", "updated", "apply-1", second),
        ("Contact", "n", "8", "matched", "apply-1", third),
    ]


@pytest.mark.req("COM-RB-01", "COM-MAP-04")
def test_deleting_a_record_takes_it_from_every_key_it_belonged_to(ledger: Ledger) -> None:
    start(ledger)
    record(ledger, "insert", [("survivor", "1", True), ("other", "2", True)])
    record(ledger, "match", [("merged", "1", True)])
    ledger.append(RunClosed("done"))
    start(ledger, "rollback")
    record(ledger, "delete", [("survivor", "1", True), ("other", "2", False)])
    assert select(ledger, "SELECT key, id FROM id_map ORDER BY key") == [("other", "2")]


def test_a_delete_without_an_id_goes_by_its_key(ledger: Ledger) -> None:
    start(ledger)
    record(ledger, "insert", [("a", "1", True), ("b", "2", True)])
    record(ledger, "delete", [("a", None, True)])
    assert select(ledger, "SELECT key FROM id_map") == [("b",)]
    record(ledger, "insert", [("a", "3", True)])
    assert select(ledger, "SELECT key, id FROM id_map ORDER BY key") == [("a", "3"), ("b", "2")]


def test_restoring_in_a_rollback_is_no_write_of_ours(ledger: Ledger) -> None:
    start(ledger)
    record(ledger, "match", [("m", "7", True)])
    ledger.append(RunClosed("done"))
    start(ledger, "rollback")
    record(ledger, "update", [("m", "7", True), ("x", "9", True)])
    assert select(ledger, "SELECT key, how FROM id_map") == [("m", "matched")]


def test_an_older_record_of_a_key_is_not_forgotten(ledger: Ledger) -> None:
    start(ledger)
    record(ledger, "insert", [("a", "1", True)])
    record(ledger, "insert", [("a", "2", True)])
    assert select(ledger, "SELECT key, id FROM id_map") == [("a", "2")]
    assert select(ledger, "SELECT id, how FROM written ORDER BY id") == [("1", "inserted"), ("2", "inserted")]
    record(ledger, "delete", [("a", "2", True)])
    assert select(ledger, "SELECT key, id FROM id_map") == [("a", "1")]


@pytest.mark.req("COM-AUD-01")
def test_outcomes_show_the_newest_and_history_all(ledger: Ledger) -> None:
    start(ledger)
    _, first = record(ledger, "insert", [("a", None, False), ("b", "2", True)])
    _, second = record(ledger, "insert", [("a", "1", True)])
    columns = "key, id, ok, code, advice, run, stage, part, op, seq"
    assert select(ledger, f"SELECT {columns} FROM outcomes ORDER BY key") == [
        ("a", "1", True, None, None, "apply-1", "load", 1, "insert", second),
        ("b", "2", True, None, None, "apply-1", "load", 1, "insert", first),
    ]
    assert select(ledger, "SELECT key, code, message, seq, noted_at FROM outcomes_history ORDER BY seq, key") == [
        ("a", "REFUSED", "no", first, "2026-01-31T12:00:00.000Z"),
        ("b", None, None, first, "2026-01-31T12:00:00.000Z"),
        ("a", None, None, second, "2026-01-31T12:00:00.000Z"),
    ]


def test_two_events_may_name_the_same_segment(ledger: Ledger) -> None:
    start(ledger)
    _, first = record(ledger, "insert", [("a", "1", True)])
    _, again = record(ledger, "insert", [("a", "1", True)], "Lead")
    assert len(list(ledger.segments.folder.iterdir())) == 1
    assert select(ledger, "SELECT object, seq FROM id_map ORDER BY seq") == [("Contact", first), ("Lead", again)]


@pytest.mark.req("COM-RB-01")
def test_preimages_tell_null_from_not_fetched(ledger: Ledger) -> None:
    start(ledger)
    wide = pa.table({"Id": ["1", "2"], "_key": ["a", "b"], "Name": ["x", None], 'It\'s "odd"': pa.nulls(2)})
    narrow = pa.table({"Id": ["1"], "Name": ["y"]})
    seqs = []
    for part, table in enumerate((wide, narrow)):
        digest = ledger.segments.write(table, PREIMAGES).digest
        seqs.append(ledger.append(Intent("load", part, "Contact", "update", "rows", 1, None, digest)))
    assert select(ledger, "SELECT id, field, value, stage, part, seq FROM preimages ORDER BY seq, id, field") == [
        ("1", 'It\'s "odd"', None, "load", 0, seqs[0]),
        ("1", "Name", "x", "load", 0, seqs[0]),
        ("2", 'It\'s "odd"', None, "load", 0, seqs[0]),
        ("2", "Name", None, "load", 0, seqs[0]),
        ("1", "Name", "y", "load", 1, seqs[1]),
    ]


def test_a_view_serves_other_cursors_and_is_made_anew_after_more_outcomes(ledger: Ledger, folder: Path) -> None:
    start(ledger)
    record(ledger, "insert", [("a", "1", True)])
    with duckdb.connect() as con, con.cursor() as cursor:
        ledger.id_map(con)
        assert cursor.execute("SELECT key FROM id_map").fetchall() == [("a",)]
        record(ledger, "insert", [("b", "2", True)])
        record(ledger, "insert", [("l", "3", True)], "Lead")
        ledger.id_map(con)
        assert cursor.execute("SELECT key FROM id_map ORDER BY key").fetchall() == [("a",), ("b",), ("l",)]
    kept = set((folder / "cache" / "main").iterdir())
    assert len(kept) == 3
    with open_ledger(folder, write=False) as reader:
        assert select(reader, "SELECT count(*) FROM id_map") == [(3,)]
    assert set((folder / "cache" / "main").iterdir()) == kept


def test_the_cache_does_not_outlive_its_writer(folder: Path) -> None:
    with open_ledger(folder) as ledger:
        start(ledger)
        record(ledger, "insert", [("a", "1", True)])
        assert select(ledger, "SELECT key FROM id_map") == [("a",)]
    for path in (folder / "cache" / "main").iterdir():
        path.write_bytes(b"torn")
    with open_ledger(folder) as ledger:
        assert select(ledger, "SELECT key FROM id_map") == [("a",)]


KEYS, OBJECTS = ("a", "b", "c", "d"), ("Contact", "Lead")
PARTS = st.lists(
    st.tuples(
        st.sampled_from(("insert", "update", "match", "delete")),
        st.sampled_from(OBJECTS),
        st.sets(st.sampled_from(KEYS), min_size=1),
        st.sets(st.sampled_from(KEYS)),
        st.sampled_from(("apply", "rollback")),
    ),
    max_size=14,
)


@pytest.mark.req("COM-REL-02")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PARTS)
def test_the_id_map_is_what_a_dict_would_hold(
    parts: list[tuple[str, str, set[str], set[str], str]],
) -> None:
    """The oracle keeps one id per key: inserts make a new id, deletes forget it, refused rows do nothing."""
    folder = Path(tempfile.mkdtemp())
    model: dict[tuple[str, str], tuple[str, str]] = {}
    try:
        with open_ledger(folder) as ledger:
            start(ledger, "apply", "forth")
            start(ledger, "rollback", "back")
            for number, (op, name, keys, refused, verb) in enumerate(parts):
                rows = []
                for key in sorted(keys):
                    at = (name, key)
                    new, undo, ok = f"{name}-{key}-{number}", verb == "rollback", key not in refused
                    mapped, how = model.get(at, (None, None))
                    if op == "delete":
                        rows.append((key, mapped, ok))
                        if ok:
                            model.pop(at, None)
                        continue
                    if op == "insert" and mapped is not None:
                        continue  # never twice: the engine asks the id map first
                    target = mapped or new
                    rows.append((key, target, ok))
                    if ok and not (undo and op == "update"):
                        rank = {"inserted": 0, "updated": 1, "matched": 2}
                        said = {"insert": "inserted", "update": "updated", "match": "matched"}[op]
                        model[at] = (target, min(how or said, said, key=lambda h: rank[h]))
                if rows:
                    record(ledger, op, rows, name, run="back" if verb == "rollback" else "forth")
            found = select(ledger, "SELECT object, key, id, how FROM id_map")
            assert sorted(found) == sorted((o, k, i, how) for (o, k), (i, how) in model.items())
    finally:
        shutil.rmtree(folder)
