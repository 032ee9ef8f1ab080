"""Wrong inputs through the command line: a clear error each, the documented exit code, and nothing changed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_tools import BY, Site

import rehouse.cli
from rehouse.samples.broken import broken_inputs
from rehouse.testing.untouched import whole

pytestmark = pytest.mark.sandbox

FAILED, USAGE, SHUT = 1, 2, 5
"""Exit codes, as docs/reference/exit-codes.md gives them."""

BROKEN = (
    "not_a_workbook", "truncated_workbook", "empty_file", "encrypted_workbook", "zip_bomb", "huge_cell",
    "missing_sheet", "missing_column", "formula_cell", "cut_short", "csv_columns", "csv_mixed_encodings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def names(self, *words: object) -> None:
        """Every word stands in the message or the hint."""
        missing = [str(w) for w in words if str(w) not in self.err]
        assert not missing, f"{missing} not in:\n{self.err}"


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `rehouse ARGUMENTS` as the console script does."""

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["rehouse", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            rehouse.cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Ended(code, out, err)

    return run


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes. Nothing is left out."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


class Unchanged:
    """The migration's folder and the org are at the end what they were at the start."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __enter__(self) -> None:
        self.folder, self.org = tree(self.site.folder / "migration"), whole(self.site.store)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            assert tree(self.site.folder / "migration") == self.folder
            assert whole(self.site.store) == self.org


def home(site: Site) -> Path:
    return site.folder / "migration"


def edit(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def line_of(path: Path, words: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if words in line]
    return number


# ── broken exports ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "huge_cell" else n for n in BROKEN])
def test_a_broken_export(settled: Site, command: Command, tmp_path: Path, name: str) -> None:
    (made,) = broken_inputs(tmp_path / "broken", only={name})
    settled.migration.connect_source(made.path, made.options.get("control_totals"))
    with Unchanged(settled):
        ended = command("discover", "--in", home(settled))
    assert ended.code == FAILED
    assert ended.out == ""
    expect = {k: v for k, v in made.expect.items() if k not in ("row", "byte")}
    ended.names(*expect.values(), "→")
    for place in ("row", "byte"):
        if place in made.expect:
            ended.names(f"{place} {made.expect[place]}")


def test_a_broken_export_as_json(settled: Site, command: Command, tmp_path: Path) -> None:
    (made,) = broken_inputs(tmp_path / "broken", only={"formula_cell"})
    settled.migration.connect_source(made.path)
    with Unchanged(settled):
        ended = command("discover", "--in", home(settled), "--json")
    assert (ended.code, ended.out) == (FAILED, "")
    error = json.loads(ended.err.splitlines()[-1])
    assert {k: error[k] for k in made.expect} == made.expect
    assert error["hint"]


# ── connections ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_pair_without_blueprint(settled: Site, command: Command, tmp_path: Path) -> None:
    with Unchanged(settled):
        ended = command("new", tmp_path / "other", "--from", "planports", "--to", "hubspot")
    assert ended.code == FAILED
    ended.names("planports → hubspot", "planports-salesforce")
    assert not (tmp_path / "other").exists()


def test_an_export_that_is_not_there(settled: Site, command: Command, tmp_path: Path) -> None:
    with Unchanged(settled):
        ended = command("connect", "source", tmp_path / "nowhere.xlsx", "--in", home(settled))
    assert ended.code == FAILED
    ended.names("nowhere.xlsx does not exist")


def test_a_token_that_the_target_does_not_know(
    settled: Site, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REHOUSE_TARGET_TOKEN", "not-the-token")
    with Unchanged(settled):
        ended = command("connect", "target", "--url", settled.info["url"], "--in", home(settled))
    assert ended.code == FAILED
    ended.names("→")
    assert "not-the-token" not in ended.err


@pytest.mark.slow
def test_a_target_that_does_not_answer(settled: Site, command: Command) -> None:
    with Unchanged(settled):
        ended = command("connect", "target", "--url", "http://127.0.0.1:9", "--in", home(settled))
    assert ended.code == FAILED
    ended.names("127.0.0.1:9", "→")


def test_a_folder_without_a_migration(settled: Site, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with Unchanged(settled):
        ended = command("status", "--in", tmp_path / "empty")
    assert ended.code == FAILED
    ended.names("is no migration folder", "rehouse new")


# ── mapping and decisions ─────────────────────────────────────────────────────────────────────────────────


def test_faults_of_a_mapping_are_told_together(settled: Site, command: Command) -> None:
    mapping = settled.migration.workspace.mapping
    edit(
        mapping / "contacts.yaml",
        ("Title: {text: title, max: 128}", "Title: {text: titel, max: 128}"),
        ("MailingCountry: {text: country, max: 80}", "MailingCountry: {txt: country, max: 80}"),
    )
    edit(mapping / "deals.yaml", ("to: Contact, when_missing: quarantine}", "to: Contakt, when_missing: quarantine}"))
    with Unchanged(settled):
        ended = command("plan", "--in", home(settled))
    assert ended.code == FAILED
    ended.names(
        "3 faults",
        f"contacts.yaml:{line_of(mapping / 'contacts.yaml', 'titel')}:", "'titel'", "'title'",
        f"contacts.yaml:{line_of(mapping / 'contacts.yaml', '{txt:')}:", "'txt'", "'text'",
        f"deals.yaml:{line_of(mapping / 'deals.yaml', 'Contakt')}:", "'Contakt'", "'Contact'",
    )  # fmt: skip


def test_a_field_that_the_target_does_not_have(settled: Site, command: Command) -> None:
    path = settled.migration.workspace.mapping / "contacts.yaml"
    edit(path, ("      Title: {text: title, max: 128}", "      Titel: {text: title, max: 128}"))
    settled.migration.confirm([], BY, everything=True)
    with Unchanged(settled):
        ended = command("plan", "--in", home(settled))
    assert ended.code == FAILED
    ended.names(f"contacts.yaml:{line_of(path, 'Titel')}:", "'Contact' has no field 'Titel'", "'Title'")


def test_a_record_type_that_nobody_creates(settled: Site, command: Command) -> None:
    path = settled.migration.workspace.mapping / "deals.yaml"
    line = next(x for x in path.read_text(encoding="utf-8").splitlines() if "record_type: pipeline" in x)
    name = line.partition("map: {")[2].partition(": ")[2].partition(",")[0].partition("}")[0].strip()
    edit(path, (line, line.replace(f": {name}", ": Nowhere", 1)))
    settled.migration.confirm([], BY, everything=True)
    with Unchanged(settled):
        ended = command("plan", "--in", home(settled))
    assert ended.code == FAILED
    ended.names("Nowhere", f"deals.yaml:{line_of(path, 'Nowhere')}:")


def test_an_owner_decided_to_somebody_unknown(settled: Site, command: Command) -> None:
    with Unchanged(settled):
        ended = command("decide", "owner", "x@y.example", "--to", "nobody@nowhere.example", "--in", home(settled))
    assert ended.code == FAILED
    ended.names("nobody@nowhere.example", "no user or queue of the target", "→")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("decide", "risk", "no-such-risk", "--accept"), ("no-such-risk", "risks:")),
        (("decide", "threshold", "nonsense", "5"), ("nonsense", "quarantine_percent")),
        (("decide", "issue", "contacts.Contact.Nope", "too_long", "--empty"), ("contacts.Contact.Nope", "rehouse map")),
        (("confirm", "no.such.row"), ("no mapping row", "rehouse map")),
    ],
)
def test_a_decision_about_nothing(
    settled: Site, command: Command, arguments: Sequence[str], names: Sequence[str]
) -> None:
    with Unchanged(settled):
        ended = command(*arguments, "--by", BY, "--in", home(settled))
    assert ended.code == FAILED
    ended.names(*names)


def test_a_decisions_file_that_is_no_yaml(settled: Site, command: Command) -> None:
    edit(settled.migration.workspace.decisions, ("version: 1", "version: [1"))
    with Unchanged(settled):
        ended = command("plan", "--in", home(settled))
    assert ended.code == FAILED
    ended.names("decisions.yaml", "line", "rehouse decide")


# ── plan, sample, apply, rollback ─────────────────────────────────────────────────────────────────────────


def test_commands_before_their_time(settled: Site, command: Command) -> None:
    for arguments, words in (
        (("apply", "--by", BY), ("no plan yet", "rehouse plan")),
        (("sample", "--approve", "--by", BY), ("no sample has been loaded", "rehouse sample")),
        (("reconcile",), ("nothing has been loaded yet",)),
        (("rollback", "--plan"), ("nothing has been loaded yet",)),
    ):
        with Unchanged(settled):
            ended = command(*arguments, "--in", home(settled))
        assert ended.code == FAILED, arguments
        ended.names(*words)


def test_a_plan_that_does_not_exist(sampled: Site, command: Command) -> None:
    plan, _ = sampled.migration.load_plan()
    with Unchanged(sampled):
        ended = command("apply", "0123456789abcdef", "--by", BY, "--in", home(sampled))
    assert ended.code == FAILED
    ended.names("0123456789abcdef", plan.digest[:16])


def test_a_plan_file_that_was_edited(sampled: Site, command: Command) -> None:
    plan, _ = sampled.migration.load_plan()
    path = sampled.migration.workspace.plans / f"{plan.digest[:16]}.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": ', '"rows": 1', 1), encoding="utf-8")
    with Unchanged(sampled):
        ended = command("apply", "--by", BY, "--in", home(sampled))
    assert ended.code == FAILED
    ended.names(path.name, "was edited", "rehouse plan")


def test_apply_with_a_shut_gate(sampled: Site, command: Command) -> None:
    decisions = sampled.migration.decisions()
    decisions.approvals = []
    sampled.migration.save_decisions(decisions)
    with Unchanged(sampled):
        ended = command("apply", "--by", BY, "--in", home(sampled), "--json")
    assert (ended.code, ended.out) == (SHUT, "")
    error = json.loads(ended.err.splitlines()[-1])
    assert error["gate"] == "sample approved"
    assert "rehouse sample" in error["hint"]


def test_rollback_without_the_name_of_the_org(sampled: Site, command: Command) -> None:
    with Unchanged(sampled):
        ended = command("rollback", "--by", BY, "--in", home(sampled))
    assert ended.code == SHUT
    ended.names("--confirm", str(sampled.migration.load_plan()[0].org["name"]))


def test_a_record_that_does_not_exist(sampled: Site, command: Command) -> None:
    for arguments, words in ((("nothing", "1"), ("nothing", "contacts")), (("contacts", "no-such"), ("no-such",))):
        with Unchanged(sampled):
            ended = command("explain", *arguments, "--in", home(sampled))
        assert ended.code == FAILED
        ended.names(*words)


@pytest.mark.parametrize(
    "arguments",
    [("aply",), ("apply", "--no-such-option"), ("sample", "--size", "none"), ("sample", "--size", "0")],
)
def test_arguments_that_make_no_sense(settled: Site, command: Command, arguments: Sequence[str]) -> None:
    with Unchanged(settled):
        ended = command(*arguments, "--in", home(settled))
    assert ended.code == USAGE
    assert ended.out == ""
    assert ended.err
