"""Where events are kept: SQLite in the migration's folder, or PostgreSQL for teams.

SQLite runs in WAL mode with synchronous=FULL: an event is on disk when `append` returns, and readers of other
processes are never in the way. On PostgreSQL the server's own commit gives the same (`synchronous_commit=on`);
use one database, or one schema by `options=-csearch_path=…`, per migration, and no pooler in transaction mode,
because the writer's lock belongs to its session.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from rehouse.errors import FatalError, UserError
from rehouse.ledger.chain import Entry, Row, follow, genesis, hash_of
from rehouse.ledger.disk import WriterLock, waiting_lock
from rehouse.ledger.tables import EVENTS, META, REVISION

_PAGE = 1000
_LOCK_SPACE = 0x52484C  # "RHL": keeps our advisory locks apart from those of other programs in the database
_SQLITE_WAIT_MS = 60_000


class Store:
    """The events of one ledger. One writer per partition; readers need no lock. Safe across threads."""

    def __init__(self, folder: Path, url: str | None, partition: str, *, write: bool) -> None:
        self.partition = partition
        self._thread_lock = threading.Lock()
        self._failed = False
        self._file_lock: WriterLock | None = None
        self._connection: Connection | None = None
        self._engine = _engine(folder, url)
        try:
            _migrate(self._engine, folder)
            if write:
                self._take_pen(folder)
        except (SQLAlchemyError, OSError) as error:
            self.close()
            raise _cannot("open the ledger", error) from error
        except BaseException:
            self.close()
            raise

    def _take_pen(self, folder: Path) -> None:
        what = f"the ledger {folder}" + ("" if self.partition == "main" else f" (partition {self.partition})")
        if self._engine.dialect.name == "sqlite":
            self._file_lock = WriterLock(folder / f"{self.partition}.lock", what)
        self._connection = self._engine.connect().execution_options(rehouse_write=True)
        if self._engine.dialect.name == "postgresql":
            _advisory_lock(self._connection, self.partition, what)
        with self._connection.begin():
            last = _tail(self._connection, self.partition)
        if last is not None and last.hash != hash_of(last):
            raise FatalError(
                f"the last event of {what} (seq {last.seq}) was changed after it was written",
                hint="nothing is appended to a broken chain: restore the ledger from a backup",
            )

    def close(self) -> None:
        """Give up the pen and all connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()
        if self._file_lock is not None:
            self._file_lock.release()

    def append(self, entry: Entry, at: str, check: Callable[[Connection], None] | None = None) -> Row:
        """Append one event in its own commit; durable when it returns. `check` may refuse by raising.

        Raises `FatalError` when the store cannot be written. Whether the commit took place is then unknown,
        so this writer takes nothing more: opening the ledger anew shows what is there.
        """
        with self._thread_lock:
            connection = self._pen()
            try:
                with connection.begin():
                    if check is not None:
                        check(connection)
                    return self._append(connection, entry, at)
            except (SQLAlchemyError, OSError) as error:
                self._failed = True
                raise _cannot("write the ledger", error) from error

    def _append(self, connection: Connection, entry: Entry, at: str) -> Row:
        last = _tail(connection, self.partition)
        row = follow(last, self.partition, _next_seq(connection), at, entry)
        connection.execute(EVENTS.insert(), _as_dict(row))
        _set_meta(connection, f"head:{self.partition}", f"{row.position} {row.hash}")
        return row

    @property
    def writes(self) -> bool:
        """Whether this store was opened for writing."""
        return self._connection is not None

    def _pen(self) -> Connection:
        if self._connection is None:
            raise FatalError("this ledger was opened for reading", hint="open it with write=True")
        if self._failed:
            raise FatalError(
                "the ledger could not be written a moment ago", hint="stop; the next start finds out what was kept"
            )
        return self._connection

    def rows(self, kinds: Sequence[str] | None = None, run: str | None = None) -> Iterator[Row]:
        """Events in order of seq, paged, so that no connection is held while the caller works on them."""
        after = 0
        query = sa.select(EVENTS).order_by(EVENTS.c.seq).limit(_PAGE)
        if kinds is not None:
            query = query.where(EVENTS.c.kind.in_(kinds))
        if run is not None:
            query = query.where(EVENTS.c.run == run)
        while True:
            with self._reading() as connection:
                page = [_as_row(found) for found in connection.execute(query.where(EVENTS.c.seq > after))]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def last(self) -> Row | None:
        """The newest event of this partition."""
        with self._reading() as connection:
            return _tail(connection, self.partition)

    def head(self) -> str:
        """The hash that the next event of this partition follows."""
        last = self.last()
        return genesis(self.partition) if last is None else last.hash

    @contextmanager
    def snapshot(self) -> Iterator[tuple[dict[str, str], Iterator[Row]]]:
        """The noted heads (partition → "position hash") and all rows by partition and position, as of one moment."""
        with self._reading() as connection:
            query = sa.select(META).where(META.c.key.startswith("head:", autoescape=True))
            heads = {str(key).removeprefix("head:"): str(value) for key, value in connection.execute(query)}
            ordered = sa.select(EVENTS).order_by(EVENTS.c.partition, EVENTS.c.position)
            found = connection.execution_options(yield_per=_PAGE).execute(ordered)
            yield heads, (_as_row(row) for row in found)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection
        except SQLAlchemyError as error:
            raise _cannot("read the ledger", error) from error


def _engine(folder: Path, url: str | None) -> Engine:
    folder.mkdir(parents=True, exist_ok=True)
    if url is None:
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(folder / "ledger.sqlite")))
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if not url.startswith("postgresql+psycopg://"):
        raise UserError(
            "the ledger's url is for a database that is not supported",
            hint="leave it out for SQLite, or give postgresql+psycopg://user@host/database",
        )
    if find_spec("psycopg") is None:
        raise UserError("PostgreSQL needs the driver psycopg", hint="pip install 'rehouse[postgres]'")
    return sa.create_engine(url)


def _prepare_sqlite(connection: Any, _: object) -> None:
    # sqlite3 would otherwise begin transactions by itself, late and deferred; _begin_sqlite does it instead.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_SQLITE_WAIT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "fullfsync=ON",
        "checkpoint_fullfsync=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a deferred transaction that reads first and then writes is refused when another wrote between.
    writes = connection.get_execution_options().get("rehouse_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine, folder: Path) -> None:
    # Under the lock from the first connection on: two processes that turn a new file to WAL at once collide.
    with waiting_lock(folder / "tables.lock"):
        if _revision(engine) == REVISION:
            return
        with engine.connect() as connection:
            writing = connection.execution_options(rehouse_write=True)
            with writing.begin():
                if engine.dialect.name == "postgresql":
                    writing.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_SPACE, 0)))
                _upgrade(writing)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and str(found) > REVISION:
        raise UserError(
            f"the ledger's tables are of revision {found}, this version knows up to {REVISION}",
            hint="use the newer version of Rehouse that opened it before",
        )
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # loaded only when there is something to do: it costs a tenth of a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "rehouse.ledger:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _advisory_lock(connection: Connection, partition: str, what: str) -> None:
    me = f"rehouse {os.getpid()}@{socket.gethostname()}"[:63]
    with connection.begin():
        connection.execute(sa.select(sa.func.set_config("application_name", me, False)))
        connection.execute(sa.text("SET SESSION synchronous_commit TO on"))
        schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar())
        digest = hashlib.sha256(f"{schema}/{partition}".encode()).digest()
        number = int.from_bytes(digest[:4], "big") >> 1
        if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK_SPACE, number))).scalar():
            return
        holder = connection.execute(_HOLDER, {"space": _LOCK_SPACE, "number": number}).scalar()
    name, _, host = str(holder or "").removeprefix("rehouse ").partition("@")
    raise UserError(
        f"{what} is being written by process {name or 'unknown'}" + (f" on {host}" if host else ""),
        hint="wait for it, pause it, or end it; what it has written stays, and the next start settles the rest",
    )


_HOLDER = sa.text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = :space AND l.objid::bigint = :number "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _next_seq(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(sa.text("SELECT nextval('events_seq')")).scalar_one())
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(EVENTS.c.seq), 0))).scalar_one()) + 1


def _tail(connection: Connection, partition: str) -> Row | None:
    query = sa.select(EVENTS).where(EVENTS.c.partition == partition)
    found = connection.execute(query.order_by(EVENTS.c.position.desc()).limit(1)).first()
    return None if found is None else _as_row(found)


def kind_at(connection: Connection, seq: int, partition: str) -> str | None:
    """The kind of the event with that seq in that partition."""
    query = sa.select(EVENTS.c.kind).where(EVENTS.c.seq == seq, EVENTS.c.partition == partition)
    return connection.execute(query).scalar()


def _set_meta(connection: Connection, key: str, value: str) -> None:
    changed = connection.execute(META.update().where(META.c.key == key).values(value=value))
    if changed.rowcount == 0:
        connection.execute(META.insert().values(key=key, value=value))


def _as_row(found: sa.Row[Any]) -> Row:
    return Row(**found._mapping)


def _as_dict(row: Row) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in EVENTS.columns}


def _cannot(what: str, error: Exception) -> FatalError:
    # The driver's message only: SQLAlchemy's own repeats the statement with its values.
    cause = getattr(error, "orig", None) or error
    return FatalError(
        f"cannot {what}: {str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__}",
        hint="check that the disk has room and the database answers; what was acknowledged is safe",
    )
