from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_tools import manual_clock, open_ledger, outcome_table, record, start

from rehouse.errors import FatalError, UserError
from rehouse.ledger import (
    OUTCOMES,
    ROWS,
    AutomationOff,
    AutomationOn,
    Decision,
    Intent,
    JobOpened,
    Ledger,
    Outcome,
    Paused,
    Resumed,
    RunClosed,
    StageClosed,
    StageOpened,
)
from rehouse.ledger.store import _revision
from rehouse.ledger.tables import EVENTS, META, METADATA

ANOTHER_WRITER = """
import sys
from pathlib import Path
from rehouse.clock import SystemClock
from rehouse.errors import UserError
from rehouse.ledger import Ledger
try:
    Ledger.open(Path(sys.argv[1]), SystemClock())
except UserError as error:
    sys.stdout.write(error.message)
"""


def test_events_come_back_in_order_with_run_and_time(folder: Path) -> None:
    clock = manual_clock()
    with Ledger.open(folder, clock) as ledger:
        ledger.append(Decision({"digest": "d1", "by": "ada"}))
        clock.advance(timedelta(seconds=1))
        start(ledger)
        ledger.append(Paused("lunch"))
        found = [(seq, r.position, r.run, r.at[17:19], r.event) for seq, r in ledger.events()]
        assert [row[:4] for row in found] == [(1, 1, "", "00"), (2, 2, "apply-1", "01"), (3, 3, "apply-1", "01")]
        assert found[2][4] == Paused("lunch")
        assert [seq for seq, _ in ledger.events(kind=Paused)] == [3]
        assert [seq for seq, _ in ledger.events(kind=("Decision", Paused))] == [1, 3]
        assert [seq for seq, _ in ledger.events(run="apply-1")] == [2, 3]


def test_more_events_than_a_page_come_back_complete(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehouse.ledger.store._PAGE", 3)
    start(ledger)
    for n in range(8):
        ledger.append(Paused(str(n)))
    assert [r.event for _, r in ledger.events(Paused)] == [Paused(str(n)) for n in range(8)]


def test_runs_are_numbered_nested_closed_and_taken_up_again(folder: Path) -> None:
    with open_ledger(folder) as ledger:
        assert ledger.run == ""
        start(ledger, "sample")
        ledger.append(RunClosed("done"))
        assert ledger.run == ""
        start(ledger, "apply")
        start(ledger, "rollback")
        assert ledger.unclosed_runs() == ["apply-2", "rollback-3"]
    with open_ledger(folder) as ledger:
        assert ledger.run == "rollback-3"
        ledger.append(RunClosed("done"))
        assert ledger.run == "apply-2"
        ledger.append(RunClosed("stopped"))
        ledger.append(Resumed(), run="apply-2")
        assert ledger.run == "apply-2"
        start(ledger, run="named-by-hand")
        assert ledger.run == "named-by-hand"


def test_an_event_of_no_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(FatalError, match="no run is open for a Paused"):
        ledger.append(Paused("x"))
    with pytest.raises(FatalError, match="cannot name a run"):
        ledger.append(Paused("x"), run="../x")
    assert list(ledger.events()) == []


@pytest.mark.req("COM-RUN-05")
def test_an_intent_without_outcome_is_open_with_its_newest_job(folder: Path) -> None:
    intent = Intent("load", 1, "Contact", "insert", "bulk", 2)
    with open_ledger(folder) as ledger:
        start(ledger)
        record(ledger, "insert", [("a", "1", True)])
        first = ledger.append(intent)
        ledger.append(JobOpened(first, {"id": "750-old"}))
        ledger.append(JobOpened(first, {"id": "750-new"}))
        second = ledger.append(intent)
    with open_ledger(folder) as ledger:
        found = [(o.seq, o.intent, o.job, o.run) for o in ledger.open_intents()]
        assert found == [(first, intent, {"id": "750-new"}, "apply-1"), (second, intent, None, "apply-1")]
        assert ledger.open_intents("sample-9") == []


def test_a_stage_is_closed_until_it_is_opened_again(ledger: Ledger) -> None:
    start(ledger)
    ledger.append(StageOpened("load", "Contact", 2))
    assert ledger.stages_closed("apply-1") == {}
    ledger.append(StageClosed("load", None, {"ok": 2}))
    assert ledger.stages_closed("apply-1") == {"load": StageClosed("load", None, {"ok": 2})}
    ledger.append(StageOpened("load", "Contact", 2))
    assert ledger.stages_closed("apply-1") == {}


def test_what_was_switched_off_stays_known_until_it_is_on_again(folder: Path) -> None:
    with open_ledger(folder) as ledger:
        start(ledger)
        ledger.append(AutomationOff("1", "Standard rule", "Contact"))
        ledger.append(AutomationOff("2", "Other rule", "Lead"))
        ledger.append(AutomationOn("1"))
    with open_ledger(folder, write=False) as ledger:
        assert ledger.automations_off() == [AutomationOff("2", "Other rule", "Lead")]


def test_an_outcome_must_name_an_intent_and_a_segment_of_outcomes(ledger: Ledger) -> None:
    run = start(ledger)
    good = ledger.segments.write(outcome_table([("a", "1", True)]), OUTCOMES).digest
    other = ledger.segments.write(outcome_table([("a", "1", True)]), ROWS).digest
    intent = ledger.append(Intent("load", 1, "Contact", "insert", "bulk", 1))
    for outcome, words in [
        (Outcome(run, good, 1, 0), "which is no intent"),
        (Outcome(99, good, 1, 0), "which is no intent"),
        (Outcome(intent, "0" * 64, 1, 0), "is missing from"),
        (Outcome(intent, other, 1, 0), "of kind 'rows', not 'outcomes'"),
    ]:
        with pytest.raises(FatalError, match=words):
            ledger.append(outcome)
    assert [o.seq for o in ledger.open_intents()] == [intent]
    ledger.append(Outcome(intent, good, 1, 0))
    assert ledger.open_intents() == []
    assert ledger.verify() == []


def test_what_json_cannot_hold_is_refused_and_nothing_is_written(ledger: Ledger) -> None:
    for what in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(FatalError, match="as JSON"):
            ledger.append(Decision(what))
    ledger.append(Decision({"name": "lone \ud800 surrogate, nul \x00, Çağ"}))
    assert [r.event for _, r in ledger.events()] == [Decision({"name": "lone \ud800 surrogate, nul \x00, Çağ"})]
    assert ledger.verify() == []


def test_a_second_writer_is_refused_and_told_whose_turn_it_is(ledger: Ledger, folder: Path) -> None:
    import os

    command = [sys.executable, "-c", ANOTHER_WRITER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"is being written by process {os.getpid()}" in done.stdout
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        open_ledger(folder)
    start(ledger)
    ledger.close()
    open_ledger(folder).close()


def test_readers_need_no_lock_and_cannot_write(ledger: Ledger, folder: Path) -> None:
    with open_ledger(folder, write=False) as reader:
        start(ledger)
        assert [seq for seq, _ in reader.events()] == [1]
        assert reader.head() == ledger.head()
        with pytest.raises(FatalError, match="opened for reading"):
            reader.append(Decision({}))


def test_partitions_have_writers_and_chains_of_their_own(folder: Path) -> None:
    with open_ledger(folder, partition="p1") as one, open_ledger(folder, partition="p2") as two:
        start(one)
        start(two)
        record(one, "insert", [("a", "1", True)])
        mine = two.append(Intent("load", 1, "Lead", "insert", "bulk", 1))
        assert (one.run, two.run) == ("p1.apply-1", "p2.apply-1")
        assert one.open_intents() == []
        assert [o.seq for o in two.open_intents()] == [mine]
        with pytest.raises(FatalError, match="no intent of this partition"):
            one.append(JobOpened(mine, {}))
        assert one.verify() == []
        assert [(s, r.partition, r.position) for s, r in one.events()] == [
            (1, "p1", 1),
            (2, "p2", 1),
            (3, "p1", 2),
            (4, "p1", 3),
            (5, "p2", 2),
        ]


def test_partitions_take_turns_at_writing_without_refusing_each_other(folder: Path) -> None:
    with open_ledger(folder, partition="p1") as one, open_ledger(folder, partition="p2") as two:
        start(one)
        start(two)
        with ThreadPoolExecutor(4) as pool:
            seqs = list(pool.map(lambda n: (one, two)[n % 2].append(Paused(str(n))), range(80)))
        assert sorted(seqs) == list(range(3, 83))
        assert one.verify() == []


def test_threads_may_append_and_many_may_open_a_new_ledger_at_once(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for reader in pool.map(lambda _: open_ledger(folder, write=False), range(8)):
            reader.close()
        with open_ledger(folder) as ledger:
            start(ledger)
            seqs = list(pool.map(lambda n: ledger.append(Paused(str(n))), range(40)))
            assert sorted(seqs) == list(range(2, 42))
            assert ledger.verify() == []


def test_a_ledger_of_a_newer_version_and_a_bad_url_or_name_are_refused(folder: Path) -> None:
    open_ledger(folder).close()
    import sqlite3

    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(UserError, match="revision 9999"):
        open_ledger(folder)
    with pytest.raises(UserError, match="not supported"):
        open_ledger(folder, url="mysql://u:secret@h/d")
    with pytest.raises(UserError, match="cannot name a partition"):
        open_ledger(folder, partition="../p")


def test_the_migrations_make_the_tables_that_the_code_expects(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = ledger._store._engine
    assert _revision(engine) == "0001"
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    assert {table.name for table in (EVENTS, META)} == set(METADATA.tables)


def test_a_failed_write_stops_this_writer_and_loses_nothing(ledger: Ledger, folder: Path) -> None:
    start(ledger)
    with ledger._store._engine.connect() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END")
        connection.commit()
    for words in ("cannot write the ledger: no", "a moment ago"):
        with pytest.raises(FatalError, match=words):
            ledger.append(Paused("x"))
    assert len(list(ledger.events())) == 1
    assert ledger.verify() == []
