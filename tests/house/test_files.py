"""Rules about the files themselves: length, names, platform names, and tests that can fail."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

MOST_LINES = 600
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
PLATFORMS = re.compile(r"planports|salesforce|dynamics|pipedrive|perfect.?portal", re.IGNORECASE)
HOMES_OF_PLATFORM_NAMES = ("connectors/", "sandbox/", "knowledge/", "samples/")

# Who else may name a platform, and why. Paths below src/rehouse/; a folder ends in a slash.
NAMED_ELSEWHERE = {
    "cli/": "names of platforms are values of arguments, and examples in the help texts",
    "demo.py": "the demo moves one pair, by name",
    "demo/": "the demo moves one pair, by name",
    "testing/": "contract suites name the servers that they start",
}
_ASSERTING = re.compile(r"^_?(assert|check|verify|expect|must)")


def python_files(root: Path) -> Iterator[Path]:
    for folder in ("src", "tests", "tools", "bench"):
        yield from sorted((root / folder).rglob("*.py"))


def test_no_file_is_longer_than_600_lines(root: Path) -> None:
    lengths = {str(path.relative_to(root)): len(path.read_bytes().splitlines()) for path in python_files(root)}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_module_is_named_after_what_it_is(root: Path) -> None:
    named = {part for path in python_files(root) for part in path.relative_to(root).with_suffix("").parts}
    assert named & VAGUE == set()


def test_test_files_have_names_of_their_own(root: Path) -> None:
    """Without packages two test files of one name hide each other."""
    names = Counter(path.name for path in (root / "tests").rglob("test_*.py"))
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_a_platform_is_named_only_in_its_homes(root: Path) -> None:
    package = root / "src" / "rehouse"
    homes = (*HOMES_OF_PLATFORM_NAMES, *NAMED_ELSEWHERE)
    found = []
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".py", ".html", ".jinja", ".j2", ".md"}):
        relative = path.relative_to(package).as_posix()
        if relative.startswith(homes):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found += [f"{relative}:{number}: {match}" for match in PLATFORMS.findall(line)]
    assert found == []


def assertion_free(text: str) -> list[str]:
    """Test functions that neither assert, nor expect an exception, nor call something that asserts."""
    tree = ast.parse(text)
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    asserting = {name for name, node in functions.items() if _asserts(node, set())}
    while True:
        more = {name for name, node in functions.items() if _asserts(node, asserting)}
        if more == asserting:
            break
        asserting = more
    return [name for name in functions if name.startswith("test") and name not in asserting]


def _asserts(node: ast.AST, known: set[str]) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert):
            return True
        if isinstance(inner, ast.Call):
            name = inner.func.attr if isinstance(inner.func, ast.Attribute) else getattr(inner.func, "id", "")
            if name in {"raises", "fail", "warns", "run_state_machine_as_test"} or name in known:
                return True
            if _ASSERTING.match(name):
                return True
    return False


def test_every_test_can_fail(root: Path) -> None:
    files = [*sorted((root / "tests").rglob("*.py")), *sorted((root / "src/rehouse/testing").rglob("*.py"))]
    found = {
        str(path.relative_to(root)): names
        for path in files
        if (names := assertion_free(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_an_assertion_free_test_is_found() -> None:
    assert assertion_free("def test_a():\n    print(1)\n") == ["test_a"]
    assert assertion_free("def test_a():\n    holds(1)\ndef holds(x):\n    assert x\n") == []
    assert assertion_free("def test_a():\n    with pytest.raises(ValueError):\n        int('x')\n") == []


# The patterns are spelled so that this file does not match itself.
MACHINE = re.compile(r"/wor[k]/|/roo[t]/|\.\./share[d]|/tm[p]/[a-z]")
REGISTRY = re.compile(r"pyp[i]\.org|pythonhoste[d]|registr[y]\.npmjs|deb[.]debia[n]|proxy\.golan[g]")


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    roots = [root / name for name in ("src", "tests", "docs", "tools", "bench", ".ci")]
    files = [path for folder in roots for path in folder.rglob("*") if path.is_file()]
    files += [path for path in root.iterdir() if path.is_file() and path.suffix in {".md", ".toml", ".txt", ""}]
    for path in files:
        if "__pycache__" in path.parts or path.suffix in {".eml", ".csv", ".parquet", ".xlsx"}:
            continue
        try:
            yield str(path.relative_to(root)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_file_names_a_machine_or_a_registry(root: Path) -> None:
    found = [
        f"{name}: {match}" for name, text in _texts(root) for match in MACHINE.findall(text) + REGISTRY.findall(text)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["constraints.txt", "Makefile", ".ci/run"])
def test_set_up_names_no_network_host(root: Path, name: str) -> None:
    assert re.findall(r"[a-z]+://", (root / name).read_text(encoding="utf-8")) == []


def test_every_version_is_locked_by_name_and_number_only(root: Path) -> None:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = [line for line in lines if not line.startswith("#")]
    assert len(locked) > 50
    assert [line for line in locked if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []
