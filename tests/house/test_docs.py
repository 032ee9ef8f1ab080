"""The documentation agrees with itself and with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehouse import errors

PARTS = ("tutorials", "how-to", "reference", "explanation")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_EXTERNAL = re.compile(r"^[a-z]+:")
# Said in no page; the glossary has the word to use instead.
_FORBIDDEN = re.compile(r"\b(destinations?|entit(?:y|ies)|dead[- ]letters?|crosswalk)\b", re.IGNORECASE)


def pages(root: Path) -> list[Path]:
    return [*sorted((root / "docs").rglob("*.md")), *sorted(root.glob("*.md"))]


def anchors(text: str) -> set[str]:
    """The anchors that headings get: lower case, punctuation gone, blanks to hyphens."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return (link for link in _LINK.findall(text) if not _EXTERNAL.match(link))


def test_every_link_leads_somewhere(root: Path) -> None:
    broken = []
    for page in pages(root):
        for link in links(page):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                broken.append(f"{page.relative_to(root)}: {link}")
    assert broken == []


def test_every_page_can_be_reached_from_the_index(root: Path) -> None:
    waiting = [root / "docs" / "index.md"]
    seen = set(waiting)
    while waiting:
        page = waiting.pop()
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in seen:
                seen.add(target)
                waiting.append(target)
    lost = set((root / "docs").rglob("*.md")) - seen
    assert sorted(str(page.relative_to(root)) for page in lost) == []


def test_the_documentation_has_its_four_parts(root: Path) -> None:
    folders = {path.name for path in (root / "docs").iterdir() if path.is_dir()}
    assert folders == set(PARTS)
    assert all(any((root / "docs" / part).rglob("*.md")) for part in PARTS)


def test_each_how_to_page_answers_one_question(root: Path) -> None:
    titles = {
        path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in (root / "docs/how-to").glob("*.md")
    }
    assert len(titles) >= 8
    assert {name: title for name, title in titles.items() if not re.fullmatch(r"# How do I .+\?", title)} == {}


def test_decisions_of_the_project_are_numbered_without_gaps_and_have_three_parts(root: Path) -> None:
    folder = root / "docs" / "explanation" / "adr"
    records = sorted(folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    index = (folder / "index.md").read_text(encoding="utf-8")
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
        assert path.name in index


def test_no_page_says_a_word_that_the_glossary_replaces(root: Path) -> None:
    found = [
        f"{page.relative_to(root)}: {word}"
        for page in pages(root)
        if page.name != "mapping-operators.md"
        for word in _FORBIDDEN.findall(page.read_text(encoding="utf-8"))
    ]
    assert found == []


def documented_verbs(root: Path) -> set[str]:
    """Verbs, and the words under a verb that has several (`decide owner`)."""
    page = (root / "docs/reference/cli.md").read_text("utf-8")
    rows = re.findall(r"^\| `rehouse ([a-z-]+(?: [a-z-]+)?)`", page, re.MULTILINE)
    return {word for row in rows for word in row.split()}


def test_every_command_in_the_docs_is_in_the_command_reference(root: Path) -> None:
    known = documented_verbs(root)
    used = {
        (str(page.relative_to(root)), verb)
        for page in pages(root)
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith(("    rehouse", "$ rehouse")) or "`rehouse " in line
        for verb in re.findall(r"(?:^    |`)rehouse ([a-z][a-z-]+)", line)
    }
    assert {(page, verb) for page, verb in used if verb not in known} == set()


def registered_verbs(folder: Path) -> set[str]:
    """Names of typer commands, read from their decorators and calls: `@app.command("plan")`."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for call in node.decorator_list:
                    name = _command_name(call)
                    if name is not None:
                        found.add(name or node.name.rstrip("_").replace("_", "-"))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
                name = _command_name(node.func)
                if name:
                    found.add(name)
    return found


def _command_name(call: ast.expr) -> str | None:
    """The name given to `….command(…)`; '' when none is given, None when it is something else."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "command"):
        return None
    named = [k.value for k in call.keywords if k.arg == "name"]
    for value in [*call.args, *named]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def test_every_command_of_the_product_is_documented(root: Path) -> None:
    assert registered_verbs(root / "src" / "rehouse" / "cli") <= documented_verbs(root)


def test_commands_are_read_from_decorators_and_calls(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "@app.command()\ndef map_(): ...\n"
        "@app.command('sandbox')\ndef serve(): ...\n"
        "@app.command(name='apply')\ndef run(): ...\n"
        "app.command('plan')(make)\n"
        "@app.callback()\ndef root(): ...\n",
        encoding="utf-8",
    )
    assert registered_verbs(tmp_path) == {"map", "sandbox", "apply", "plan"}


def test_exit_codes_of_the_errors_are_documented(root: Path) -> None:
    text = (root / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.RehouseError)]
    assert {c.exit_code for c in classes} <= documented
    assert documented == {0, 1, 2, 3, 4, 5, 130}


def test_every_kind_of_error_is_in_the_reference_of_the_json_output(root: Path) -> None:
    text = (root / "docs/reference/json.md").read_text(encoding="utf-8")
    names = {
        name
        for name, c in vars(errors).items()
        if isinstance(c, type) and issubclass(c, errors.RehouseError) and c is not errors.RehouseError
    }
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_page_of_operators_is_what_the_code_says(root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(root / "tools" / "mapping_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "README.md"])
def test_what_a_visitor_looks_for_is_there(root: Path, name: str) -> None:
    assert len((root / name).read_text(encoding="utf-8")) > 500


def test_the_changelog_has_a_place_for_the_next_change(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
