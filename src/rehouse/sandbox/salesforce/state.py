"""What the HTTP surface itself must remember: sessions, call counters, query cursors, small settings.

Kept apart from the org's data so that a table of records is never touched by a token. One SQLite
file in write-ahead mode; it survives a restart and `kill -9` of the server (`synchronous=NORMAL`:
the last commits may be lost only with the machine).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  token TEXT PRIMARY KEY, user_id TEXT NOT NULL, kind TEXT NOT NULL, used REAL NOT NULL, dead INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS usage (
  limit_name TEXT NOT NULL, minute INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (limit_name, minute)
);
CREATE TABLE IF NOT EXISTS cursor (
  id TEXT PRIMARY KEY, soql TEXT NOT NULL, all_rows INTEGER NOT NULL, user_id TEXT NOT NULL,
  batch INTEGER NOT NULL, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS deployment (id TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class ServerState:
    """A small SQLite file shared by the handlers; every method is one transaction and safe across threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each row, in one transaction."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany(sql, rows)
            self._db.execute("COMMIT")

    def setting(self, name: str, default: str | None = None) -> str | None:
        """A remembered setting, or `default`."""
        rows = self.run("SELECT value FROM setting WHERE name = ?", name)
        return str(rows[0][0]) if rows else default

    def remember(self, name: str, value: str) -> str:
        """Store a setting and return it."""
        self.run("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, value)
        return value

    def close(self) -> None:
        with self._lock:
            self._db.close()
