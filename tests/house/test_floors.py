"""Imports run downwards only. The table below is the building plan; a package without a floor is a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from house_tree import Source, read_sources, target_of

GROUND = {"model", "clock", "errors", "events"}
FLOOR_1 = {"mapping", "knowledge"}
FLOOR_2 = {"transform", "ledger", "staging", "formats", "connectors", "wire"}
WORKFLOW = {"discover", "propose", "plan", "apply", "verify", "reports", "checks"}
BELOW_MIGRATION = GROUND | FLOOR_1 | FLOOR_2 | WORKFLOW
ROOF = {"cli", "web", "demo"}
ASIDE = {"sandbox", "samples", "testing"}

# Siblings that may meet, each with its reason; nothing else on one floor may.
MEETINGS = {
    ("mapping", "knowledge"): "a mapping starts as a blueprint, which is knowledge",
    ("connectors", "wire"): "a connector speaks HTTP through the wire",
    ("staging", "formats"): "staging reads the source's files through their formats",
    ("cli", "demo"): "`rehouse demo` is one function of the demo module",
    ("cli", "web"): "`rehouse web` starts the web app",
    ("cli", "sandbox"): "`rehouse sandbox` starts a local server",
    ("cli", "samples"): "the command line writes sample exports for newcomers",
    ("demo", "sandbox"): "the demo starts a local server to move into",
    ("demo", "samples"): "the demo moves the sample company",
}


def allowed() -> dict[str, set[str]]:
    """Package → the packages of ours that it may import."""
    table = {name: set(GROUND) for name in GROUND | {"sandbox"}}
    table |= {name: set(GROUND) for name in FLOOR_1}
    table |= {name: set(GROUND | FLOOR_1) for name in FLOOR_2}
    table |= {name: set(BELOW_MIGRATION) for name in WORKFLOW}
    table["workflow"] = set(BELOW_MIGRATION)
    table["migration"] = BELOW_MIGRATION | {"workflow"}
    table |= {name: BELOW_MIGRATION | {"workflow", "migration", "rehouse"} for name in ROOF}
    table["samples"] = GROUND | {"knowledge"}
    table["testing"] = BELOW_MIGRATION | ROOF | ASIDE | {"workflow", "migration", "rehouse"}
    table["__main__"] = {"cli"}  # `python -m rehouse`
    table["rehouse"] = {"migration"}  # `rehouse.Migration`, imported on first use
    for importer, imported in MEETINGS:
        table[importer].add(imported)
    return {name: others | {name} for name, others in table.items()}


def breaches(sources: dict[str, Source]) -> list[str]:
    """Every import that does not run downwards, as `file:line: who imports what`."""
    table = allowed()
    found = []
    for source in sources.values():
        if source.floor_name not in table:
            found.append(f"{source.path}: package {source.floor_name!r} has no floor in this test's table")
            continue
        for one in source.imports():
            target = target_of(one.module, sources)
            package = target.split(".")[1] if "." in target else target
            if package not in table[source.floor_name]:
                found.append(f"{source.path}:{one.line}: {source.name} imports {target}")
    return found


def circles(sources: dict[str, Source]) -> list[list[str]]:
    """Groups of modules that import each other (strongly connected components).

    Imports inside functions and under TYPE_CHECKING count like all others: hiding one does not unmake the circle.
    """
    edges = {
        name: {target_of(i.module, sources) for i in source.imports()} - {name} for name, source in sources.items()
    }
    reach = {name: _reachable(name, edges) for name in edges}
    groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in edges}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in edges.get(waiting.pop(), set()) - seen:
            seen.add(other)
            waiting.append(other)
    return seen


def test_imports_run_downwards_only(sources: dict[str, Source]) -> None:
    assert len(sources) > 20
    assert breaches(sources) == []


def test_no_module_is_part_of_a_circle(sources: dict[str, Source]) -> None:
    assert circles(sources) == []


def test_floor_2_is_free_of_meetings_without_a_reason() -> None:
    table = allowed()
    meetings = {(a, b) for a in FLOOR_2 for b in table[a] & FLOOR_2 if a != b}
    assert meetings == {("connectors", "wire"), ("staging", "formats")}


def test_only_tests_import_the_testing_package(sources: dict[str, Source]) -> None:
    importers = {
        source.name
        for source in sources.values()
        for one in source.imports()
        if one.module.startswith("rehouse.testing") and source.floor_name != "testing"
    }
    assert importers == set()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("wire/http.py", "from rehouse.ledger import store"),
        ("model/catalog.py", "import rehouse.mapping.load"),
        ("apply/runner.py", "def late():\n    from rehouse.migration import Migration\n"),
        ("sandbox/server.py", "from rehouse.wire.http import Http"),
        ("migration.py", "from rehouse import cli"),
        ("plan/order.py", "try:\n    import rehouse.testing\nexcept ImportError:\n    pass\n"),
        ("attic/old.py", "x = 1"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, file: str, text: str) -> None:
    for name in ("cli", "testing", "ledger", "wire", "mapping"):
        (tmp_path / "rehouse" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "rehouse" / name / "__init__.py").touch()
    for name in ("wire/http.py", "mapping/load.py", "ledger/store.py", "migration.py"):
        (tmp_path / "rehouse" / name).touch()
    path = tmp_path / "rehouse" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert len(breaches(read_sources(tmp_path))) == 1


@pytest.mark.parametrize(
    "closing",
    [
        "import rehouse.plan.a\n",
        "from rehouse.plan import a\n",
        "def f():\n    import rehouse.plan.a\n",
        "class C:\n    async def f(self):\n        from rehouse.plan.a import x\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rehouse.plan.a import x\n",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import rehouse.plan.a\n",
    ],
)
def test_a_circle_is_found_however_it_is_closed(tmp_path: Path, closing: str) -> None:
    folder = tmp_path / "rehouse" / "plan"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("from rehouse.plan import b\n", encoding="utf-8")
    (folder / "b.py").write_text("from rehouse.plan.c import x\n", encoding="utf-8")
    (folder / "c.py").write_text("import json\n", encoding="utf-8")
    assert circles(read_sources(tmp_path)) == []
    (folder / "c.py").write_text(closing, encoding="utf-8")
    assert circles(read_sources(tmp_path)) == [["rehouse.plan.a", "rehouse.plan.b", "rehouse.plan.c"]]
