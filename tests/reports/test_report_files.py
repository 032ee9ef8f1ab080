"""Writing reports: two files from the same data, whole, masked, and nothing a page could fetch."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_data import EVERY, HOSTILE, completion, difference, plan, sample

from rehouse.reports import KINDS, write
from rehouse.reports.render import MOST_ROWS


class Page(HTMLParser):
    """Elements of a page, with what a reader of its structure needs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "input", "link", "img", "rect"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.raw[self._open[-1]] = self.raw.get(self._open[-1], "") + data
        else:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def written(folder: Path, kind: str, data: dict[str, Any], **options: bool) -> tuple[Page, dict[str, Any], str]:
    page, plain = write(kind, data, folder, **options)
    text = page.read_text(encoding="utf-8")
    return Page(text), json.loads(plain.read_text(encoding="utf-8")), text


@pytest.mark.req("COM-REP-02")
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_one_page_and_one_json_file(kind: str, tmp_path: Path) -> None:
    page, plain, _ = written(tmp_path, kind, EVERY[kind]())
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{kind}.html", f"{kind}.json"]
    assert plain["report"]["kind"] == kind
    assert set(EVERY[kind]()) <= set(plain)
    assert "acme" in page.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_accessible(kind: str, tmp_path: Path) -> None:
    page, _, _ = written(tmp_path, kind, EVERY[kind]())
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    names = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(names) == len(set(names))
    assert {a["href"] for a in page.all("a")} <= {f"#{name}" for name in names}
    assert len([a for a in page.all("a") if a["href"] != "#main"]) >= 2
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert {a.get("scope") for a in page.all("th")} <= {"col", "row"}
    for region in [a for a in page.all("div") if a.get("role") == "region"]:
        assert region["aria-label"]
    for _, attributes in page.elements:
        for name in re.split(r"\s+", attributes.get("aria-labelledby") or ""):
            assert not name or name in names


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_needs_nothing_from_outside(kind: str, tmp_path: Path) -> None:
    page, _, text = written(tmp_path, kind, EVERY[kind]())
    assert not re.search(r"\b(src|srcset|action|formaction|data|poster)\s*=", text.replace("data-", ""))
    assert re.findall(r"url\(|@import|https?://(?!www\.w3\.org)", text) == []
    assert all("style" not in attributes for _, attributes in page.elements)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in (policy or "")


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "rollback"])
def test_values_are_text_whatever_they_hold(kind: str, tmp_path: Path) -> None:
    page, _, text = written(tmp_path, kind, EVERY[kind](), unmasked=True)
    assert len(page.all("script")) == 1
    assert 'alert("x")' in page.text
    assert "[bold]Ayşe[/bold]" in page.text
    assert not set(text) & {"\x1b", "\u202e", "\x00"}
    assert "&amp;lt;" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_missing_keys_leave_a_report_that_claims_nothing(kind: str, tmp_path: Path) -> None:
    page, plain, _ = written(tmp_path, kind, {})
    assert not re.search(r"\bUndefined\b|\bNone\b|\{\{|\}\}", page.text)
    assert "passed" not in page.text.split()
    for claim in ("Nothing is undecided", "0 unexplained", "0 findings", "Done:"):
        assert claim not in page.text
    if kind == "completion":
        assert plain["report"]["derived"]["certificate"]["done"] is False


def test_figures_of_the_page_are_those_of_the_file(tmp_path: Path) -> None:
    page, plain, _ = written(tmp_path, "completion", completion())
    certificate = plain["report"]["derived"]["certificate"]
    for check in certificate["checks"]:
        assert f"{check['what']} {check['state']} {check['text']}" in page.text
    for line in plain["report"]["derived"]["books"]:
        assert f"{line['object']} {line['output']} {line['source']:,} {line['loaded']:,}" in page.text


@pytest.mark.req("COM-REP-02")
def test_personal_values_of_examples_are_masked_in_both_files(tmp_path: Path) -> None:
    for kind in KINDS:
        _, _, text = written(tmp_path, kind, EVERY[kind]())
        both = text + (tmp_path / f"{kind}.json").read_text(encoding="utf-8")
        if kind != "sample":
            assert "ayse.demir" not in both
            assert "0532 123 45 67" not in both
            assert "905321234567" not in both
    _, _, text = written(tmp_path, "completion", completion(), unmasked=True)
    assert "+905321234567" in text


@pytest.mark.req("COM-SMP-04", "COM-SMP-05")
def test_the_rows_of_a_sample_are_shown_as_they_are(tmp_path: Path) -> None:
    page, plain, text = written(tmp_path, "sample", sample())
    assert "0532 123 45 67 +905321234567 +905321234567" in page.text
    assert plain["rows"][2]["source"] == HOSTILE
    story = plain["example"]
    assert story["source"] == {"full_name": "A••• D•••", "email": "a•••@a•••.example", "city": "İzmir"}
    assert "Call about the offer" not in text


def test_differences_come_first_and_a_long_diff_says_where_the_rest_is(tmp_path: Path) -> None:
    rows = [difference(n, "equal") for n in range(MOST_ROWS + 5)] + [difference(9_999, "changed")]
    page, plain, text = written(tmp_path, "sample", sample(rows=rows))
    assert f"The first {MOST_ROWS:,} of {MOST_ROWS + 6:,} rows; all of them are in sample.json" in page.text
    assert "c-9999" in text
    assert len(plain["rows"]) == MOST_ROWS + 6


def test_a_plan_puts_what_is_undecided_before_everything_else(tmp_path: Path) -> None:
    page, _, _ = written(tmp_path, "plan", plan())
    assert page.text.index("3 things to settle") < page.text.index("create 585 Contact records")
    assert "118 of 120 mapping rows confirmed" in page.text
    assert "needs 80 %" in page.text
    settled = plan(confirmed={"rows": 120, "of": 120}, owners=[], figures={})
    page, _, _ = written(tmp_path, "plan", settled)
    assert "Nothing is undecided" in page.text


def test_names_of_fields_and_types_may_stand_in_for_their_descriptions(tmp_path: Path) -> None:
    schema = {"fields": ["Contact.Legacy_Id__c"], "record_types": ["Opportunity.Sales"]}
    page, plain, _ = written(tmp_path, "plan", plan(schema=schema))
    assert plain["report"]["derived"]["schema"]["fields"][0]["field"] == "Legacy_Id__c"
    assert "Contact Legacy_Id__c" in page.text


def test_a_report_is_replaced_whole(tmp_path: Path) -> None:
    write("completion", completion(), tmp_path)
    write("completion", completion(migration="other"), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["completion.html", "completion.json"]
    assert "acme" not in (tmp_path / "completion.html").read_text(encoding="utf-8").replace("acme.example", "")


def test_the_data_given_is_left_as_it_was(tmp_path: Path) -> None:
    for kind in KINDS:
        data, same = EVERY[kind](), EVERY[kind]()
        write(kind, data, tmp_path)
        assert data == same


def test_unknown_kinds_and_data_that_is_not_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no report 'invoice'"):
        write("invoice", {}, tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        write("rollback", {"figures": {"rate": float("nan")}}, tmp_path)
    assert list(tmp_path.iterdir()) == []
