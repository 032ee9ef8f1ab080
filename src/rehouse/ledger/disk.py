"""What the ledger asks of the disk: bytes that stay, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehouse.errors import UserError


def sync_file(descriptor: int) -> None:
    """Bring a file's bytes to the disk. macOS needs F_FULLFSYNC for that; its fsync stops at the drive's cache."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, so that a rename survives power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists (also when it belongs to somebody else)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class WriterLock:
    """An exclusive lock on a file that holds the writer's pid.

    The kernel drops it when its holder dies, however it dies, so it can never go stale. The pid is only for
    the message. Works between processes of one machine; do not put an SQLite ledger on a network share.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read(32).decode(errors="replace").strip()
            self._file.close()
            raise _held(what, holder, path) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())
        self._file.flush()

    def release(self) -> None:
        """Let the next writer in. The file stays: removing it would race with somebody who just opened it."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


def _held(what: str, holder: str, path: Path) -> UserError:
    pid = int(holder) if holder.isdigit() else 0
    if pid and not is_alive(pid):
        return UserError(
            f"{what} is held by a child of process {pid}, which itself has ended",
            hint=f"end the process that has {path} open (`lsof {path}` names it), then run again",
        )
    return UserError(
        f"{what} is being written by process {pid or 'unknown'}",
        hint="wait for it, pause it, or end it; what it has written stays, and the next start settles the rest",
    )


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, waiting for it. For short work such as creating the tables."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
