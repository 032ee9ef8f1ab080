"""The org's own SQLite file: one writer connection under a lock, readers beside it, transactions that nest.

Tables whose names start with `_` are the sandbox's own; every other table holds the records of the object it
is named after (see `dump`). WAL with `synchronous=NORMAL`: a killed process loses nothing that was committed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rehouse.sandbox.salesforce.sqlfunctions import register

SYSTEM_TABLES = """
CREATE TABLE IF NOT EXISTS _meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _custom (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, object TEXT NOT NULL, name TEXT NOT NULL, doc TEXT NOT NULL,
    UNIQUE (kind, object, name));
CREATE TABLE IF NOT EXISTS _deleted (
    object TEXT NOT NULL, id TEXT NOT NULL, batch INTEGER NOT NULL, root INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (object, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS _deleted_batch ON _deleted (batch);
CREATE TABLE IF NOT EXISTS _cleared (
    batch INTEGER NOT NULL, object TEXT NOT NULL, field TEXT NOT NULL, id TEXT NOT NULL, was TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS _cleared_batch ON _cleared (batch);
CREATE TABLE IF NOT EXISTS _bulk_job (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, doc TEXT NOT NULL, cursor TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _bulk_batch (job TEXT NOT NULL, batch INTEGER NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS _bulk_batch_at ON _bulk_batch (at);
"""


class Transaction:
    """One transaction, or a savepoint inside one. `rollback` undoes everything since it began."""

    def __init__(self, store: Store, name: str | None) -> None:
        self._store, self._name = store, name
        self.rolled_back = False

    def rollback(self) -> None:
        """Undo; the block may go on, but writes after this call are committed."""
        db = self._store.db
        if self._name is None:
            db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")
        else:
            db.execute(f"ROLLBACK TO {self._name}")
        self.rolled_back = True


class Store:
    """The SQLite file of one org. Open once per process; close when done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.db = self._connect()
        self.db.executescript(SYSTEM_TABLES)
        self._depth = 0
        self._owner: int | None = None
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=400)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "temp_store=MEMORY",
            "cache_size=-65536",
            "busy_timeout=20000",
            "wal_autocheckpoint=4000",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
        register(db)
        return db

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold the writer; commit at the end, undo on an exception. Nested use becomes a savepoint."""
        with self.lock:
            depth = self._depth
            name = f"s{depth}" if depth else None
            self.db.execute(f"SAVEPOINT {name}" if name else "BEGIN IMMEDIATE")
            self._depth += 1
            self._owner = threading.get_ident()
            try:
                yield Transaction(self, name)
            except BaseException:
                self._leave()
                if name:
                    self.db.execute(f"ROLLBACK TO {name}")
                    self.db.execute(f"RELEASE {name}")
                elif self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
            else:
                self._leave()
                self.db.execute(f"RELEASE {name}" if name else "COMMIT")

    def _leave(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading. Inside a transaction of this thread it is the writer, so that it sees it."""
        if self._owner == threading.get_ident():
            yield self.db
            return
        with self._idle_lock:
            db = self._idle.pop() if self._idle else None
        db = db or self._connect()
        try:
            yield db
        finally:
            with self._idle_lock:
                self._idle.append(db)

    def meta(self, key: str, default: Any = None) -> Any:
        """A JSON value kept under `key`."""
        with self.reader() as db:
            row = db.execute("SELECT value FROM _meta WHERE key=?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`."""
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO _meta VALUES (?, ?)", (key, json.dumps(value)))

    def take(self, counter: str, count: int = 1) -> int:
        """Reserve `count` numbers of a counter; the first of them, starting at 1."""
        with self.transaction():
            row = self.db.execute("SELECT value FROM _counter WHERE name=?", (counter,)).fetchone()
            first = (row[0] if row else 0) + 1
            self.db.execute("INSERT OR REPLACE INTO _counter VALUES (?, ?)", (counter, first + count - 1))
        return int(first)

    def keep(self, kind: str, obj: str, name: str, doc: Mapping[str, Any]) -> None:
        """Persist one customisation document."""
        with self.transaction():
            self.db.execute(
                "INSERT INTO _custom (kind, object, name, doc) VALUES (?,?,?,?) "
                "ON CONFLICT (kind, object, name) DO UPDATE SET doc=excluded.doc",
                (kind, obj, name, json.dumps(doc)),
            )

    def forget(self, kind: str, obj: str, name: str) -> None:
        """Remove one customisation document."""
        with self.transaction():
            self.db.execute("DELETE FROM _custom WHERE kind=? AND object=? AND name=?", (kind, obj, name))

    def kept(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """All customisations in the order in which they were first made: kind, object, name, document."""
        with self.reader() as db:
            rows = db.execute("SELECT kind, object, name, doc FROM _custom ORDER BY seq").fetchall()
        return [(kind, obj, name, json.loads(doc)) for kind, obj, name, doc in rows]

    def close(self) -> None:
        """Close every connection."""
        with self.lock:
            for db in self._idle:
                db.close()
            self._idle.clear()
            self.db.close()
