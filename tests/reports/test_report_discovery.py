"""Scope and quality reports of a real discovery of a composed export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rehouse.discover import discover
from rehouse.knowledge import load_layout
from rehouse.reports import write
from rehouse.reports.discovered import quality_of, scope_of
from rehouse.samples.planports import compose
from rehouse.staging import stage


@pytest.mark.req("COM-DQ-01", "COM-DQ-02", "COM-REP-02")
def test_a_discovery_becomes_two_documents(tmp_path: Path) -> None:
    made = compose(tmp_path / "made", contacts=60)
    layout = load_layout("planports")
    snapshot = stage(made.export, layout, tmp_path / "staging")
    found = discover(snapshot, layout, tmp_path / "discovery").as_dict()

    inputs = tuple({"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in snapshot.inputs)
    scope = scope_of(found, migration="ege", made_at="2026-11-20T15:00:00.000Z", label="Planports", inputs=inputs)
    page, plain = write("scope", scope, tmp_path / "reports")
    derived = json.loads(plain.read_text(encoding="utf-8"))["report"]["derived"]
    assert derived["records"] == sum(staged.rows for staged in snapshot.objects.values())
    assert derived["complete"] == "complete relative to control totals"
    html = page.read_text(encoding="utf-8")
    for name in snapshot.objects:
        assert f'<th scope="row">{name}</th>' in html

    page, plain = write("quality", quality_of(found, migration="ege"), tmp_path / "reports")
    document = json.loads(plain.read_text(encoding="utf-8"))
    assert document["report"]["derived"]["findings"] == found["findings"]["total"] > 0
    assert {f["kind"]: f["count"] for f in document["findings"]} == found["findings"]["counts"]
    assert document["findings"][0]["severity"] == "high"
    emails = [e["value"] for e in found["findings"]["examples"]["duplicate_contact"] if "@" in e["value"]]
    assert emails
    both = plain.read_text(encoding="utf-8") + page.read_text(encoding="utf-8")
    assert not [email for email in emails if email in both]
