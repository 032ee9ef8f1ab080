"""The demo's folder: made new, or replaced when it is a demo's own."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rehouse.demo.server import answers
from rehouse.errors import UserError
from rehouse.model.durable import write_text

MARKER = ".rehouse-demo.json"
PARTS = ("sample", "org", "migration", "sandbox.log")
"""What a demo makes in its folder, besides the marker. Only these are replaced."""


@dataclass(frozen=True, slots=True)
class Folder:
    """`sample` holds the composed export, `org` the sandbox's store, `migration` the migration."""

    root: Path

    @property
    def sample(self) -> Path:
        return self.root / "sample"

    @property
    def org(self) -> Path:
        return self.root / "org"

    @property
    def migration(self) -> Path:
        return self.root / "migration"

    @property
    def log(self) -> Path:
        return self.root / "sandbox.log"

    def mark(self, **facts: object) -> None:
        """Write the marker, with what a later demo in this folder has to know."""
        write_text(self.root / MARKER, json.dumps({"made_by": "rehouse demo", **facts}, indent=1) + "\n")


def make(root: Path) -> Folder:
    """A folder ready for a demo. Errors: `UserError` when it holds anything else than an ended demo."""
    folder = Folder(root.resolve())
    marker = folder.root / MARKER
    if folder.root.exists() and not folder.root.is_dir():
        raise UserError(f"{root} is a file", hint="name a new folder: rehouse demo FOLDER")
    if marker.is_file():
        _refuse_a_running_one(marker, root)
        for name in PARTS:
            _remove(folder.root / name)
    elif folder.root.is_dir() and any(folder.root.iterdir()):
        raise UserError(
            f"{root} is not empty, and no demo made it (it has no {MARKER})",
            hint="name a new folder: rehouse demo FOLDER",
        )
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.mark()
    return folder


def _refuse_a_running_one(marker: Path, root: Path) -> None:
    try:
        known = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return
    url, pid = str(known.get("url", "")), known.get("pid")
    if url and answers(url, str(known.get("ca", ""))):
        raise UserError(
            f"the sandbox that an earlier demo kept in {root} still runs at {url}",
            hint=f"end it with: kill {pid}; or name another folder: rehouse demo FOLDER",
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
