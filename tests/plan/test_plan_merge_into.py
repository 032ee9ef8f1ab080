"""Rows that join a record of another output: converted leads follow their contact."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from rehouse.mapping.expressions import Column
from rehouse.mapping.schema import Blueprint, MergeInto, ObjectMapping, Output, Recipe, Route
from rehouse.plan.build import PLANNED
from rehouse.plan.consign import dependency_order
from rehouse.plan.engine import parquet
from rehouse.testing.rehearsal import rehearse

pytestmark = pytest.mark.sandbox


@pytest.mark.req("PS-SF-01.7", "PS-SF-A6.1", "COM-RUN-01")
def test_a_converted_lead_follows_its_contact_unless_the_contact_is_nowhere(tmp_path: Path) -> None:
    with rehearse(tmp_path) as rehearsal:
        plan, _ = rehearsal.migration.plan()
        _, folder = rehearsal.migration.load_plan(plan.digest)
        leads = rehearsal.migration.snapshot().objects["leads"].path
        contacts = rehearsal.migration.snapshot().objects["contacts"].path
        order = dependency_order(rehearsal.migration.recipe())
    with duckdb.connect() as connection:
        found = connection.execute(
            f"""
            SELECT p.outcome, p.into_key = 'Contact:' || l.converted_contact_id, c._rid IS NOT NULL
            FROM {parquet(folder / PLANNED)} p JOIN {parquet(leads)} l ON l._rid = p.rid
            LEFT JOIN {parquet(contacts)} c ON c._rid = l.converted_contact_id
            WHERE p.object = 'leads' AND l.converted_contact_id IS NOT NULL
            """
        ).fetchall()
    assert order == [
        "Account",
        "Contact",
        "Lead",
        "Opportunity",
        "Task",
        "Event",
        "ContentVersion",
        "ContentDocumentLink",
    ]
    assert ("merged", True, True) in found
    assert {row for row in found if row[2]} == {("merged", True, True)}
    assert {row for row in found if not row[2]} <= {("quarantined", True, False)}


@pytest.mark.req("PS-SF-01.7")
def test_the_output_that_rows_join_comes_first_whatever_the_recipe_lists_first() -> None:
    joins = Route(None, merge_into=MergeInto("Contact", Column("contact")))
    recipe = Recipe(
        Blueprint("a", "b", "", ("leads", "contacts")),
        {
            "leads": ObjectMapping("leads", {}, (joins,), {"Lead": Output("Lead", "Lead")}),
            "contacts": ObjectMapping("contacts", {}, (), {"Contact": Output("Contact", "Contact")}),
        },
    )
    assert dependency_order(recipe) == ["Contact", "Lead"]
