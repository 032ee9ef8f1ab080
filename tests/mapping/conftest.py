"""A copy of the small example mapping, and the columns of its source."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(__file__).parent / "example", tmp_path / "mapping"))


@pytest.fixture
def columns() -> dict[str, list[str]]:
    people = "id kind name company title email phone tone fax owner created updated"
    return {
        "people": people.split(),
        "deals": ["id", "merged_into", "stage", "pipeline", "amount", "currency", "person_id"],
        "calls": ["id", "person_id", "linked_id", "linked_type", "length"],
        "papers": ["id", "person_id"],
    }
