"""What reports derive: the books, the certificate, what is undecided."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_data import books, completion, plan

from rehouse.plan.build import CUSTOM_FIELDS
from rehouse.reports.figures import (
    NO_RECORDS,
    OUTCOMES,
    book_lines,
    certificate,
    checklist,
    cost_lines,
    evidence_text,
    left_off,
    planned_books,
    relative,
    rollback_totals,
    undecided,
    worst_first,
)


def states(data: dict[str, Any]) -> dict[str, str]:
    return {check["what"]: check["state"] for check in certificate(data)["checks"]}


def test_a_migration_that_is_done_says_so() -> None:
    result = certificate(completion())
    assert result["done"] is True
    assert result["relative"] == "complete relative to control totals"
    assert result["outcomes"]["quarantined"] == 6


@pytest.mark.req("COM-VAL-02")
@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("Books balance", {"books": {"deals": {"source": 2, "outcomes": {"Opportunity": {"loaded": 1}}}}}),
        ("Books balance", {"books": {**books(), "notes": {"source": 1, "outcomes": {}}}}),
        ("Unexplained differences", {"diff": {"records": 955, "compared_values": 9, "unexplained": 1}}),
        ("Every loaded record compared", {"diff": {"records": 954, "compared_values": 9, "unexplained": 0}}),
        ("Nothing waits for a decision", {"books": {"deals": {"source": 1, "outcomes": {"O": {"waiting": 1}}}}}),
        ("Read back as loaded", {"targets": {"Contact": {"planned": 2, "loaded": 2, "read_back": 1}}}),
        ("Automations as before", {"automations": {"off": ["rule A", "rule A"], "on_again": ["rule A"]}}),
        ("Ledger unbroken", {"ledger": {"head": "", "events": 3, "verified": False}}),
        ("Control totals match", {"controls": [{"matches": True}, {"matches": False}]}),
        ("Sums match", {"sums": [{"matches": False}]}),
        ("Planted flaws found", {"flaws": {"planted": 3, "found": 3, "false": 1}}),
    ],
)
def test_each_check_alone_can_withhold_the_certificate(check: str, changes: dict[str, Any]) -> None:
    data = completion(**changes)
    assert states(data)[check] == "failed"
    assert certificate(data)["done"] is False


@pytest.mark.parametrize("key", ["books", "diff", "targets", "automations", "ledger"])
def test_what_is_not_stated_is_not_passed(key: str) -> None:
    data = completion()
    del data[key]
    assert "not stated" in states(data).values()
    assert certificate(data)["done"] is False


def test_without_control_totals_a_statement_is_relative_to_the_files() -> None:
    data = completion()
    del data["complete"]
    assert certificate(data)["relative"] == "complete relative to the files"
    assert (
        relative("relative to control totals")
        == relative("control totals")
        == relative("complete relative to control totals")
    )


outcome_counts = st.dictionaries(st.sampled_from([*OUTCOMES, "load"]), st.integers(0, 50), max_size=5)


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("XYZ"), outcome_counts), max_size=3))
def test_a_book_balances_exactly_when_its_outcomes_add_up(given_books: dict[str, dict[str, dict[str, int]]]) -> None:
    stated = {name: {"source": 40, "outcomes": outputs} for name, outputs in given_books.items()}
    before = copy.deepcopy(stated)
    lines = book_lines(stated)
    assert stated == before
    assert len(lines) == sum(max(len(outputs), 1) for outputs in given_books.values())
    for line in lines:
        counts = given_books[line["object"]].get(line["output"], {})
        both = "load" in counts and "loaded" in counts
        assert both or line["balanced"] is (sum(counts.values()) == 40)
        assert line["sum"] == sum(line[o] for o in OUTCOMES) + sum(line["other"].values())


def test_an_outcome_nobody_knows_stays_in_the_sum() -> None:
    line = book_lines({"a": {"source": 3, "outcomes": {"X": {"loaded": 2, "vanished": 1}}}})[0]
    assert (line["sum"], line["balanced"], line["other"]) == (3, True, {"vanished": 1})


def test_a_plan_s_figures_are_books_too() -> None:
    lines = book_lines(planned_books(plan()["figures"]))
    assert [line["loaded"] for line in lines] == [131, 585, 239, 2_180, 918, 43]
    assert all(line["balanced"] for line in lines)


def test_everything_undecided_is_named_with_its_remedy() -> None:
    data = plan(
        automations=[{"kind": "flow", "name": "Welcome", "action": ""}],
        forecast={"shortfalls": ["API calls: needs 9, 3 left"]},
    )
    data["figures"]["planned"]["contacts"]["Contact"]["waiting"] = 4
    found = {row["what"]: row for row in undecided(data)}
    assert [row["count"] for row in found.values()] == [2, 2, 1, 1, 1, 4]
    assert "selin@acme.example" in found["owners without a user of the target"]["detail"]
    assert found["mapping rows without confirmation"]["hint"] == "rehouse confirm"
    assert undecided({"confirmed": {"rows": 9, "of": 9}, "owners": [], "figures": {}}) == []


def test_a_plan_without_its_facts_does_not_pass_for_settled() -> None:
    assert [row["detail"] for row in undecided({})] == ["confirmations of mapping rows, owners, planned outcomes"]


def test_a_checklist_names_org_schema_owners_automations_and_limits() -> None:
    text = "\n".join(checklist(plan(forecast={"shortfalls": ["API calls: needs 9, 3 left"]})))
    for part in (
        "Acme test (a test org)",
        "3 fields and 1 record types",
        "selin@acme.example",
        "Standard Contact",
        "API calls",
    ):
        assert part in text


def test_costs_know_when_a_limit_is_unknown() -> None:
    lines = cost_lines({"calls": 5, "calls_left": 4, "file_bytes": 9}, {"calls": 6})
    assert [(c["what"], c["fits"], c["actual"]) for c in lines] == [
        ("API calls", False, 6),
        ("file storage", None, None),
    ]


def test_an_automation_switched_off_twice_must_come_back_twice() -> None:
    assert left_off({"off": ["a", "b", "a"], "on_again": ["a"]}) == ["b", "a"]


def test_rows_that_need_a_look_come_first_and_keep_their_order() -> None:
    rows = [
        {"verdict": v, "n": n} for n, v in enumerate(["equal", "extra", "as planned", "changed", "new word", "changed"])
    ]
    assert [row["n"] for row in worst_first(rows)] == [4, 3, 5, 1, 2, 0]


def test_field_definitions_are_no_records_and_an_object_without_a_compared_field_is_found() -> None:
    data = completion()
    data["targets"]["CustomField"] = {"planned": 9, "loaded": 9, "read_back": 9}
    assert CUSTOM_FIELDS in NO_RECORDS
    assert states(data)["Every loaded record compared"] == "passed"
    data["targets"]["Task"] = {"planned": 1, "loaded": 1, "read_back": 1}
    data["diff"]["records"] += 1
    assert states(data)["Every loaded record compared"] == "failed"


def test_a_gate_tells_its_message_and_the_first_of_its_evidence() -> None:
    gate = {"open": False, "message": "7 of 9 rows", "evidence": [f"row {n}" for n in range(7)]}
    assert evidence_text(gate) == "7 of 9 rows. row 0; row 1; row 2; row 3; row 4; and 2 more"
    assert evidence_text({"open": True, "message": "m", "evidence": "approved by D"}) == "approved by D"


def test_what_a_ledger_s_proof_found_is_the_evidence() -> None:
    result = certificate(completion(ledger={"verified": False, "problems": ["event 7 was edited"]}))
    assert [c["text"] for c in result["checks"] if c["what"] == "Ledger unbroken"] == ["event 7 was edited"]


def test_a_rollback_counts_what_it_does_not_list() -> None:
    totals = rollback_totals({"deletes": {"A": 2}, "already_gone": {"A": 1}, "kept": [{"id": "1"}], "kept_count": 300})
    assert totals == {"deletes": 2, "restores": 0, "gone": 1, "kept": 300, "cannot": 0}
