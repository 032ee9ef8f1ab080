"""Tampering is done by hand, in the database file, the way somebody with access would do it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from ledger_tools import open_ledger, record, start

from rehouse.errors import UserError
from rehouse.ledger import Anchored, Ledger, Paused
from rehouse.ledger.chain import ChainCheck, Entry, Row, follow
from rehouse.ledger.ledger import verify_export


@pytest.fixture
def written(folder: Path) -> Path:
    """RunOpened 1, Intent 2, Outcome 3, Paused 4 to 6."""
    with open_ledger(folder) as ledger:
        start(ledger)
        record(ledger, "insert", [("a", "1", True), ("b", None, False)])
        for n in range(3):
            ledger.append(Paused(f"reason {n}"))
        assert ledger.verify() == []
    return folder


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def verify(folder: Path, anchors: Path | None = None) -> list[str]:
    with open_ledger(folder, write=False) as ledger:
        return ledger.verify(anchors)


@pytest.mark.req("COM-AUD-02")
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET body = replace(body, '0', '9') WHERE seq = 4", "seq 4 (Paused, position 4): was changed"),
        ("UPDATE events SET body = body || ' ' WHERE seq = 4", "seq 4 (Paused, position 4): was changed"),
        ("UPDATE events SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 2", "seq 2 (Intent, position 2): was changed"),
        ("UPDATE events SET run = 'apply-2' WHERE seq = 5", "seq 5 (Paused, position 5): was changed"),
        ("UPDATE events SET kind = 'Decision' WHERE seq = 5", "seq 5 (Decision, position 5): was changed"),
        ("UPDATE events SET seq = 50 WHERE seq = 6", "seq 50 (Paused, position 6): was changed"),
        ("UPDATE events SET hash = prev WHERE seq = 6", "seq 6 (Paused, position 6): was changed"),
        ("DELETE FROM events WHERE seq = 1", "seq 2 (Intent, position 2): the event at position 1 is missing"),
        ("DELETE FROM events WHERE seq = 4", "seq 5 (Paused, position 5): the event at position 4 is missing"),
        ("DELETE FROM events WHERE seq = 6", "events after seq 5 are missing"),
        ("DELETE FROM events", "events after its beginning are missing"),
        ("DELETE FROM meta", "events after seq 6 are missing or were added"),
    ],
)  # fmt: skip
def test_an_edited_dropped_or_moved_event_is_found_by_its_seq(written: Path, statement: str, words: str) -> None:
    tamper(written, statement)
    assert words in verify(written)[0]


def test_swapped_events_are_found(written: Path) -> None:
    tamper(
        written,
        "UPDATE events SET position = 40 WHERE seq = 4",
        "UPDATE events SET position = 4 WHERE seq = 5",
        "UPDATE events SET position = 5 WHERE seq = 4",
    )
    assert "seq 5 (Paused, position 4): does not follow" in verify(written)[0]


def test_an_event_slipped_in_at_the_end_is_found(written: Path) -> None:
    tamper(
        written,
        'INSERT INTO events SELECT 7, "partition", 7, run, at, kind, body, hash, hash FROM events WHERE seq = 6',
    )
    assert "seq 7 (Paused, position 7): was changed" in verify(written)[0]


def forge(folder: Path, edit: Callable[[str], str]) -> None:
    """Rewrite the whole chain, hashes, head and all: the work of somebody who knows how it is made."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        query = 'SELECT seq, "partition", run, at, kind, body FROM events ORDER BY position'
        last: Row | None = None
        for seq, partition, run, at, kind, body in connection.execute(query).fetchall():
            last = follow(last, partition, seq, at, Entry(run, kind, edit(body)))
            values = (last.body, last.prev, last.hash, seq)
            connection.execute("UPDATE events SET body = ?, prev = ?, hash = ? WHERE seq = ?", values)
        assert last is not None
        connection.execute("UPDATE meta SET value = ?", (f"{last.position} {last.hash}",))
        connection.commit()


def test_a_seq_that_goes_back_is_found_even_in_a_chain_that_fits() -> None:
    first = follow(None, "main", 7, "t", Entry("", "Paused", "{}"))
    check = ChainCheck("main")
    check.add(first)
    assert not check.problem
    check.add(follow(first, "main", 7, "t", Entry("", "Paused", "{}")))
    assert "not above the one before" in str(check.problem)


def test_only_an_anchor_gives_away_a_chain_that_was_rewritten_as_a_whole(written: Path, tmp_path: Path) -> None:
    anchors = tmp_path / "elsewhere" / "anchors.jsonl"
    with open_ledger(written) as ledger:
        line = ledger.anchor(anchors)
        assert line["seq"] == 6
        assert [r.event for _, r in ledger.events(Anchored)] == [Anchored(str(line["head"]))]
        ledger.append(Paused("later"))
        ledger.anchor(anchors)
        assert ledger.verify(anchors) == []
    forge(written, lambda body: body.replace("reason 0", "reason 9"))
    assert verify(written) == []
    assert [p.split(": ", 1)[1][:25] for p in verify(written, anchors)] == ["is not what was anchored "] * 2


def test_an_anchor_belongs_outside_and_must_be_readable(ledger: Ledger, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="inside the ledger's folder"):
        ledger.anchor(folder / "anchors.jsonl")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="no file of anchors"):
        ledger.verify(tmp_path / "notes.txt")
    assert ledger.anchor(tmp_path / "empty.jsonl")["seq"] == 0
    assert ledger.verify(tmp_path / "empty.jsonl") == []


def test_a_replaced_or_missing_segment_is_found(written: Path) -> None:
    (path,) = (written / "segments").glob("*.parquet")
    with open_ledger(written, write=False) as ledger:
        other = ledger.segments.write(ledger.segments.read(path.stem).slice(0, 1), "outcomes")
        other.path.replace(path)
        assert [p[:15] for p in ledger.verify()] == ["seq 3: segment "]
        assert "was changed" in ledger.verify()[0]
        path.unlink()
        assert ledger.verify() == [f"seq 3: segment {path.stem} is missing"]


def test_nothing_is_appended_to_a_broken_end(written: Path) -> None:
    tamper(written, 'UPDATE events SET body = \'{"reason":"x"}\' WHERE seq = 6')
    with pytest.raises(Exception, match="seq 6\\) was changed"):
        open_ledger(written)
    open_ledger(written, write=False).close()


def stdlib_check(path: Path) -> str:
    """The export's chain checked from the description alone, with nothing of ours."""
    prev = ""
    for line in path.read_text().splitlines():
        e = json.loads(line)
        prev = prev or hashlib.sha256(f"rehouse ledger:{e['partition']}".encode()).hexdigest()
        row = [e["partition"], e["position"], e["seq"], e["run"], e["at"], e["kind"], e["body"]]
        canonical = json.dumps(row, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256((prev + canonical).encode()).hexdigest()
        assert (e["prev"], e["hash"]) == (prev, digest)
        prev = digest
    return prev


@pytest.mark.req("COM-AUD-02")
def test_the_export_can_be_checked_without_us(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit" / "audit.jsonl"
    with open_ledger(written) as ledger:
        ledger.append(Paused('Çağ \u2028 1e400 and "quotes"'))
        assert ledger.export_audit(out) == 7
        assert stdlib_check(out) == ledger.head()
    assert verify_export(out) == []
    out.write_text(out.read_text().replace("reason 1", "reason 7"))
    assert "seq 5 (Paused, position 5): was changed" in verify_export(out)[0]
    with pytest.raises(AssertionError):
        stdlib_check(out)
