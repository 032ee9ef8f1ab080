"""Fixtures of the house tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in (HERE, ROOT / "tools"):  # scripts, not packages: they import each other by their bare names
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

if TYPE_CHECKING:
    from house_tree import Source


@pytest.fixture(scope="session")
def sources() -> dict[str, Source]:
    from house_tree import SOURCES, read_sources

    return read_sources(SOURCES)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ModuleType]:
    """`tool("readme")` imports a script of tools/."""
    return import_module
