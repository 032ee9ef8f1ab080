"""Files that survive a crash, and digests that name what people approve."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def canonical_json(data: Any) -> str:
    """JSON with sorted keys and no white space: equal data, equal text."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(data: Any) -> str:
    """SHA-256 over the canonical JSON of plain data, in hex."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 over a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a file: temporary name, fsync, rename, fsync of the folder. Readers see old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    settle_file(temporary, path)


def settle_file(temporary: Path, path: Path) -> None:
    """Give a finished file its final name, durably."""
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
