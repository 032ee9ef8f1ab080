from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_tools import open_ledger

from rehouse.ledger import Ledger


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name holds everything that a quoted path or a glob could trip over."""
    return tmp_path / "a'cme [2026] *"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with open_ledger(folder) as opened:
        yield opened
