"""The same promises on PostgreSQL: REHOUSE_TEST_POSTGRES=postgresql+psycopg://user@host/database"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_tools import open_ledger, record, select, start

from rehouse.errors import FatalError, UserError
from rehouse.ledger import Decision, Paused, RunClosed

URL = os.environ.get("REHOUSE_TEST_POSTGRES", "")
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not URL, reason="REHOUSE_TEST_POSTGRES names no server"),
]


@pytest.fixture
def url() -> Iterator[str]:
    """A schema of its own in the server's database."""
    schema = f"rehouse_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(URL)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    made = sa.make_url(URL).update_query_dict({"options": f"-csearch_path={schema}"})
    yield made.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


def test_a_migration_is_written_read_proved_and_taken_up_again(folder: Path, url: str) -> None:
    with open_ledger(folder, url=url) as ledger:
        start(ledger)
        record(ledger, "insert", [("a", "1", True), ("b", None, False)])
        ledger.append(Decision({"text": "lone \ud800, nul \x00, Çağ"}))
        head = ledger.head()
    with open_ledger(folder, url=url) as ledger:
        assert (ledger.run, ledger.head(), ledger.verify()) == ("apply-1", head, [])
        assert select(ledger, "SELECT key, id FROM id_map") == [("a", "1")]
        ledger.append(RunClosed("done"))
        assert ledger.export_audit(folder / "out.jsonl") == 5
        assert ledger.verify() == []
    assert not (folder / "ledger.sqlite").exists()


def test_one_writer_per_partition_and_readers_beside_it(folder: Path, url: str) -> None:
    with open_ledger(folder, url=url) as ledger:
        with pytest.raises(UserError, match=f"being written by process {os.getpid()} on "):
            open_ledger(folder, url=url)
        with open_ledger(folder, url=url, partition="p2") as other, open_ledger(folder, url=url, write=False) as reader:
            start(ledger)
            start(other)
            assert [r.run for _, r in reader.events()] == ["apply-1", "p2.apply-1"]
            with pytest.raises(FatalError, match="opened for reading"):
                reader.append(Decision({}))
    open_ledger(folder, url=url).close()


def test_partitions_append_at_the_same_time_and_every_chain_holds(folder: Path, url: str) -> None:
    ledgers = [open_ledger(folder, url=url, partition=f"p{n}") for n in range(3)]
    try:
        for ledger in ledgers:
            start(ledger)
        with ThreadPoolExecutor(3) as pool:
            seqs = list(pool.map(lambda n: ledgers[n % 3].append(Paused(str(n))), range(60)))
        assert len(set(seqs)) == 60
        assert ledgers[0].verify() == []
    finally:
        for ledger in ledgers:
            ledger.close()


def test_a_writer_that_lost_its_connection_does_not_write_on_without_its_lock(folder: Path, url: str) -> None:
    with open_ledger(folder, url=url) as ledger:
        start(ledger)
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            holder = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
            end = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {holder}"
            names = connection.execute(sa.text(f"{end} AND application_name LIKE 'rehouse %'")).scalar()
            assert names == 1
        engine.dispose()
        for words in ("cannot write the ledger", "a moment ago"):
            with pytest.raises(FatalError, match=words):
                ledger.append(Paused("x"))
        assert ledger.verify() == []


@pytest.mark.parametrize(
    "statement", ["UPDATE events SET body = '{}' WHERE seq = 1", "DELETE FROM events WHERE seq = 3"]
)
def test_tampering_is_found(folder: Path, url: str, statement: str) -> None:
    with open_ledger(folder, url=url) as ledger:
        start(ledger)
        record(ledger, "insert", [("a", "1", True)])
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()
        assert ledger.verify()
