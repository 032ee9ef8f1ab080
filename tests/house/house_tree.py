"""The tree as the house tests read it: from the text, so that nothing heavy is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module of ours."""

    module: str
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file of the product."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def floor_name(self) -> str:
        """`rehouse.apply.runner` → `apply`; the root package itself → `rehouse`."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else parts[0]

    def imports(self) -> Iterator[Import]:
        """Every import statement, also those inside functions and under TYPE_CHECKING."""
        for node in ast.walk(self.tree):
            for found in _named(node):
                yield Import(found, getattr(node, "lineno", 0))


def _named(node: ast.AST) -> Iterator[str]:
    """Modules of ours that a statement imports; `from rehouse import x` counts as `rehouse.x`."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    for name in names:
        if name == "rehouse" or name.startswith("rehouse."):
            yield name


def read_sources(root: Path) -> dict[str, Source]:
    """Module name → source, for a folder that holds the package `rehouse`."""
    found = {}
    for path in sorted((root / "rehouse").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Source(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def target_of(imported: str, known: dict[str, Source]) -> str:
    """The module an import names: `rehouse.model.Catalog` → `rehouse.model`."""
    name = imported
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name
