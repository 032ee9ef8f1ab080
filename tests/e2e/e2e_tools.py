"""A prepared migration and its org, kept on disk and copied for every test: made once, used often."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rehouse.connectors import open_target
from rehouse.connectors.base import Target
from rehouse.migration import Migration
from rehouse.plan.engine import open_engine, parquet
from rehouse.testing.rehearsal import NAME, RULE, rehearse, sandbox

CONTACTS = 100
BY = NAME
__all__ = [
    "BY",
    "RULE",
    "Site",
    "copied",
    "made_once",
    "opened",
    "prepare_applied",
    "prepare_approved",
    "prepare_sampled",
    "prepare_settled",
]


@dataclass(slots=True)
class Site:
    """An open migration with its running sandbox."""

    migration: Migration
    info: dict[str, Any]
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "org"

    @property
    def answer_key(self) -> dict[str, Any]:
        path = Path((self.folder / "answer_key").read_text(encoding="utf-8"))
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def admin(self, path: str, body: Any = None) -> Any:
        """Ask the sandbox's admin port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.info["admin_url"] + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def later(self, seconds: int = 60) -> None:
        """Move the org's clock, so that what happens next is later than what happened."""
        self.admin("/clock", {"advance_seconds": seconds})

    def rest(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """A request of somebody else's, straight to the platform's own interface."""
        request = urllib.request.Request(
            f"{self.info['url']}/services/data/v62.0/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.info['token']}"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def colleague(self) -> str:
        """A session of an active user who is not the migration's own."""
        find = "SELECT Username FROM User WHERE IsActive AND Username LIKE '%.crm' ORDER BY 1 LIMIT 1"
        ((username,),) = self.sql(find)
        form = {"grant_type": "password", "client_id": self.info["client_id"],
                "client_secret": self.info["client_secret"], "username": username,
                "password": self.info["password"]}  # fmt: skip
        request = urllib.request.Request(
            self.info["url"] + "/services/oauth2/token", urllib.parse.urlencode(form).encode()
        )
        with urllib.request.urlopen(request) as answer:
            return str(json.load(answer)["access_token"])

    def save(self, object_name: str, record_id: str, values: dict[str, Any]) -> None:
        """Edit a record as a colleague would."""
        self.rest("PATCH", f"sobjects/{object_name}/{record_id}", values, self.colleague())

    def add(self, object_name: str, values: dict[str, Any]) -> str:
        """Create a record as a colleague would."""
        return str(self.rest("POST", f"sobjects/{object_name}", values, self.colleague())["id"])

    @contextmanager
    def target(self) -> Iterator[Target]:
        target = open_target("salesforce", {"url": self.info["url"], "token": self.info["token"]}, lambda _: None)
        try:
            yield target
        finally:
            target.close()

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read, or change behind the interface's back, in the org's own store."""
        with closing(sqlite3.connect(self.store / "org.sqlite", timeout=30)) as db:
            rows = db.execute(statement, values).fetchall()
            db.commit()
        return rows

    def known(self, output: str) -> dict[str, str]:
        """Source key → id of what the ledger says is loaded now."""
        with (
            self.target() as target,
            self.migration.ledger(target.org(), write=False) as ledger,
            open_engine(self.folder / "scratch") as connection,
        ):
            ledger.id_map(connection)
            found = connection.execute("SELECT key, id FROM id_map WHERE object = ?", [output]).fetchall()
        return dict(found)

    def loaded(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Object → id → the fields that were planned for that record."""
        plan, folder = self.migration.load_plan()
        out: dict[str, dict[str, tuple[str, ...]]] = {}
        for consignment in plan.consignments:
            ids = self.known(consignment.output)
            with duckdb.connect() as connection:
                cursor = connection.execute(f"SELECT * FROM {parquet(folder / consignment.file)}")
                names = [d[0] for d in cursor.description or []]
                for values in cursor.fetchall():
                    row = dict(zip(names, values, strict=True))
                    if row["_key"] not in ids:
                        continue
                    left_out = ("CreatedDate", "OwnerId") if consignment.op == "insert" else consignment.fields
                    fields = tuple(f for f in consignment.fields if row[f] is not None or f not in left_out)
                    out.setdefault(consignment.object, {})[ids[row["_key"]]] = fields
        return out


def made_once(root: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `root/name`, made by the first process that asks; the others wait for it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = root / name
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "ready").touch()
    return folder


def prepare_settled(folder: Path) -> None:
    """Discovered, mapped, confirmed, decided; nothing planned yet."""
    with rehearse(folder, contacts=CONTACTS) as rehearsal:
        (folder / "answer_key").write_text(str(rehearsal.answer_key), encoding="utf-8")


def prepare_sampled(settled: Path) -> Callable[[Path], None]:
    """Planned, sampled, approved."""

    def make(folder: Path) -> None:
        with copied(settled, folder) as site:
            site.migration.plan()
            site.migration.sample(40, BY)
            site.migration.approve_sample(BY)

    return make


def prepare_approved(sampled: Path) -> Callable[[Path], None]:
    """The same with the sample taken out of the org again."""

    def make(folder: Path) -> None:
        with copied(sampled, folder) as site:
            site.migration.rollback(BY, confirm=str(site.migration.load_plan()[0].org["name"]))

    return make


def prepare_applied(sampled: Path) -> Callable[[Path], None]:
    """Everything loaded."""

    def make(folder: Path) -> None:
        with copied(sampled, folder) as site:
            site.migration.apply(by=BY)

    return make


@contextmanager
def copied(origin: Path, folder: Path) -> Iterator[Site]:
    """A copy of a prepared folder, open."""
    for name in ("org", "migration"):
        shutil.copytree(origin / name, folder / name)
    shutil.copy(origin / "answer_key", folder / "answer_key")
    with opened(folder) as site:
        yield site


@contextmanager
def opened(folder: Path) -> Iterator[Site]:
    """The migration in `folder` with a sandbox over the org beside it."""
    with sandbox(folder / "org") as info:
        migration = Migration.open(folder / "migration")
        migration.connect_target({"url": info["url"]})
        yield Site(migration, info, folder)
