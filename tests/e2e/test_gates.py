"""Every gate: what shuts it, that `apply` refuses and writes nothing, and what opens it again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_tools import BY, RULE, Site

from rehouse.errors import FatalError, GateError, UserError
from rehouse.testing.untouched import whole

pytestmark = pytest.mark.sandbox


def shut(site: Site, act: Callable[[], object] | None = None) -> GateError:
    """The gate that `apply` (or `act`) finds shut. Nothing is written to the target."""
    before = whole(site.store)
    with pytest.raises(GateError) as found:
        (act or (lambda: site.migration.apply(by=BY)))()
    assert whole(site.store) == before
    assert found.value.exit_code == 5
    assert found.value.hint
    return found.value


def still_shut(site: Site) -> set[str]:
    """Gates that are shut for the newest plan."""
    plan, folder = site.migration.load_plan()
    with site.migration.target() as target:
        return {g.name for g in site.migration._gates(plan, folder, target) if not g.open}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def forget(site: Site, what: str) -> None:
    """Take every decision of one kind back."""
    decisions = site.migration.decisions()
    setattr(decisions, what, [])
    site.migration.save_decisions(decisions)


@pytest.mark.req("COM-MAP-07")
def test_an_unconfirmed_map_moves_nothing(sampled: Site) -> None:
    forget(sampled, "confirmations")
    found = shut(sampled)
    assert found.gate == "map confirmed"
    assert len(found.evidence) == len(sampled.migration.rows())
    shut(sampled, lambda: sampled.migration.sample(10, BY))
    sampled.migration.confirm([], BY, everything=True)
    assert still_shut(sampled) == set()


@pytest.mark.req("COM-MAP-07")
def test_an_edit_withdraws_that_row_and_its_dependants_only(sampled: Site) -> None:
    mapping = sampled.migration.workspace.mapping
    edit(mapping / "contacts.yaml", "Title: {text: title, max: 128}", "Title: {text: title, max: 100}")
    assert shut(sampled).evidence == ("contacts.Contact.Title: edited since it was confirmed",)
    edit(mapping / "contacts.yaml", "Title: {text: title, max: 100}", "Title: {text: title, max: 128}")
    edit(mapping / "deals.yaml", "stage_of_pipeline: {join: [pipeline, stage], with: \" / \"}",
         "stage_of_pipeline: {join: [pipeline, stage], with: \" - \"}")  # fmt: skip
    found = shut(sampled)
    assert {line.split(":")[0] for line in found.evidence} == {
        "deals#value.stage_of_pipeline", "deals.Opportunity.StageName", "deals.Opportunity.Legacy_Stage__c"
    }  # fmt: skip


def test_a_plan_of_an_older_mapping_is_refused(sampled: Site) -> None:
    """Confirmed is the mapping as it stands: a plan made before the edit would load something else."""
    path = sampled.migration.workspace.mapping / "contacts.yaml"
    edit(path, "Title: {text: title, max: 128}", "Title: {text: title, max: 100}")
    sampled.migration.confirm([], BY, everything=True)
    found = shut(sampled)
    assert found.gate == "plan of this recipe"
    assert "rehouse plan" in found.hint
    sampled.migration.plan()
    assert still_shut(sampled) == {"sample approved"}


@pytest.mark.req("COM-OWN-05", "COM-OWN-03")
def test_an_undecided_owner(sampled: Site) -> None:
    decided = sampled.migration.decisions().owners
    forget(sampled, "owners")
    _, gates = sampled.migration.plan()
    gate = next(g for g in gates if g.name == "owners decided")
    assert gate.evidence
    assert all(re.search(r", [1-9][\d,]* records$", line) for line in gate.evidence)
    assert shut(sampled).gate == "owners decided"
    sampled.migration.decide_owners([o.email for o in decided], decided[0].to, BY, "again")
    sampled.migration.plan()
    assert still_shut(sampled) == set()


@pytest.mark.slow
@pytest.mark.req("COM-OWN-04")
def test_an_owner_decided_to_somebody_who_left(sampled: Site) -> None:
    """The user was there when it was decided, and is not active when it is planned."""
    decided = sampled.migration.decisions().owners
    (user,) = {o.to for o in decided}
    sampled.sql("UPDATE User SET IsActive = 0 WHERE lower(Email) = ?", user)
    _, gates = sampled.migration.plan()
    lines = next(g for g in gates if g.name == "owners decided").evidence
    assert any(f"{user!r} is not active there" in line for line in lines)
    assert shut(sampled).gate == "owners decided"


@pytest.mark.req("COM-RISK-03")
def test_an_open_high_risk(sampled: Site) -> None:
    high = [r["id"] for r in sampled.migration.risks() if r["severity"] == "high"]
    assert high
    forget(sampled, "risks")
    found = shut(sampled)
    assert found.gate == "high risks accepted"
    assert len(found.evidence) == len(high)
    sampled.migration.decide_risks(high, BY, "known", accept=True)
    assert still_shut(sampled) == set()


def test_an_undecided_automation(sampled: Site) -> None:
    forget(sampled, "automations")
    found = shut(sampled)
    assert found.gate == "automations decided"
    assert found.evidence[0].startswith(RULE)
    sampled.migration.decide_automation(RULE, BY, "to be kept", off=False)
    assert still_shut(sampled) == set()


@pytest.mark.parametrize("name", ["quarantine_percent", pytest.param("quarantined_open_deals", marks=pytest.mark.slow)])
def test_more_quarantined_than_agreed(sampled: Site, name: str) -> None:
    sampled.migration.decide_threshold(name, 0, BY, "strict")
    found = shut(sampled)
    assert found.gate == "quarantine within limits"
    assert all(line.startswith(name) for line in found.evidence)
    sampled.migration.decide_threshold(name, 100, BY, "known")
    assert still_shut(sampled) == set()


@pytest.mark.slow
def test_a_plan_that_does_not_fit_the_limits(sampled: Site) -> None:
    """Room for planning and looking at gates, not for the load: refused before the first request of it."""
    used = sampled.admin("/state")["limits"]["DailyApiRequests"]["used"]
    sampled.admin("/limits", {"DailyApiRequests": used + 125})
    plan, _ = sampled.migration.plan()
    assert not plan.forecast["fits"]
    found = shut(sampled)
    assert found.gate == "fits the limits"
    assert re.fullmatch(r"API calls: needs [\d,]+, \d+ left", found.evidence[0])
    sampled.admin("/limits", {"DailyApiRequests": 100_000})
    sampled.migration.plan()
    assert still_shut(sampled) == set()


def test_facts_of_the_target_that_moved(sampled: Site) -> None:
    """A field got shorter, an option went, a user was deactivated between plan and apply."""
    ((user,),) = sampled.sql("SELECT DISTINCT OwnerId FROM Contact WHERE Legacy_Id__c IS NOT NULL AND OwnerId NOT IN "
                             "(SELECT Id FROM User WHERE Username NOT LIKE '%.crm') LIMIT 1")  # fmt: skip
    sampled.rest("PATCH", f"sobjects/User/{user}", {"IsActive": False})
    found = shut(sampled)
    assert found.gate == "target unchanged"
    assert any("owners" in line for line in found.evidence)
    assert "rehouse plan" in found.hint
    sampled.rest("PATCH", f"sobjects/User/{user}", {"IsActive": True})
    assert sampled.migration.apply(by=BY)


@pytest.mark.req("COM-SMP-06")
def test_a_sample_nobody_approved(sampled: Site) -> None:
    forget(sampled, "approvals")
    assert shut(sampled).gate == "sample approved"
    sampled.migration.approve_sample(BY)
    assert still_shut(sampled) == set()


def test_a_sample_with_unexplained_differences_cannot_be_approved(sampled: Site) -> None:
    sampled.sql("UPDATE Lead SET Company = 'x' WHERE Legacy_Id__c IS NOT NULL")
    forget(sampled, "approvals")
    assert sampled.migration.sample(40, BY).diff.unexplained > 0
    found = shut(sampled, lambda: sampled.migration.approve_sample(BY))
    assert found.gate == "sample approved"
    assert sampled.migration.decisions().approvals == []


def test_an_edited_plan_file(sampled: Site) -> None:
    plan, _ = sampled.migration.load_plan()
    path = sampled.migration.workspace.plans / f"{plan.digest[:16]}.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["forecast"]["shortfalls"] = ["a word"]
    path.write_text(json.dumps(data), encoding="utf-8")
    before = whole(sampled.store)
    with pytest.raises(UserError, match="was edited") as found:
        sampled.migration.apply(by=BY)
    assert "rehouse plan" in found.value.hint
    assert whole(sampled.store) == before


def test_a_consignment_that_is_not_the_planned_one(sampled: Site) -> None:
    plan, folder = sampled.migration.load_plan()
    (folder / plan.consignment("Lead").file).write_bytes((folder / plan.consignment("Contact").file).read_bytes())
    before = whole(sampled.store)
    with pytest.raises(FatalError, match="consignment Lead"):
        sampled.migration.apply(by=BY)
    assert whole(sampled.store) == before
