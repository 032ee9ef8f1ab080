"""Discovery finds every planted flaw and nothing else, and says what the export cannot say."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from rehouse.discover import DUPLICATES, FINDINGS, Discovery, discover
from rehouse.discover.columns import damaged_letters, e164
from rehouse.errors import InputError
from rehouse.knowledge import load_layout
from rehouse.samples.planports import Composed, compose
from rehouse.staging import stage

LAYOUT = load_layout("planports")
Identity = tuple[str, str, str, str]


def look(folder: Path, **options: Any) -> tuple[Composed, Discovery]:
    made = compose(folder / "made", **options)
    return made, discover(stage(made.export, LAYOUT, folder / "staged"), LAYOUT, folder / "discovery")


def found_in(folder: Path) -> Counter[Identity]:
    rows = pq.read_table(folder / "discovery" / FINDINGS).to_pylist()
    return Counter((row["kind"], row["object"], row["key"], row["field"]) for row in rows)


def planted(made: Composed) -> Counter[Identity]:
    flaws = json.loads(made.answer_key.read_text(encoding="utf-8"))["flaws"]
    return Counter((flaw["kind"], flaw["object"], flaw["key"], flaw["field"]) for flaw in flaws)


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Composed, Discovery]:
    folder = tmp_path_factory.mktemp("flawed")
    return folder, *look(folder, contacts=600)


@pytest.mark.req("COM-DQ-01", "COM-DQ-02", "COM-DQ-03", "COM-DQ-06", "COM-DISC-12")
def test_every_planted_flaw_is_found_and_nothing_else(flawed: tuple[Path, Composed, Discovery]) -> None:
    folder, made, discovery = flawed
    assert found_in(folder) == planted(made)
    assert discovery.findings["counts"] == made.flaws
    assert discovery.findings["total"] == sum(made.flaws.values())


@pytest.mark.parametrize("options", [{"seed": 11, "language": "en"}, {"seed": 12, "activities_as": "xlsx"}])
def test_other_exports_are_judged_as_exactly(tmp_path: Path, options: dict[str, Any]) -> None:
    made, _ = look(tmp_path, contacts=300, **options)
    assert found_in(tmp_path) == planted(made)


def test_a_sound_export_has_no_findings(tmp_path: Path) -> None:
    _, discovery = look(tmp_path, contacts=150, flaws=False)
    assert found_in(tmp_path) == Counter()
    assert [risk["id"] for risk in discovery.risks if risk["severity"] == "high"] == []


@pytest.mark.req("COM-DISC-01", "COM-DISC-02", "COM-DISC-08")
def test_every_object_and_column_has_a_profile(flawed: tuple[Path, Composed, Discovery]) -> None:
    _, made, discovery = flawed
    assert set(discovery.objects) == set(LAYOUT.objects)
    contacts = discovery.objects["contacts"]
    assert (contacts["rows"], contacts["duplicates"], contacts["without_key"]) == (made.sizes.contacts, 1, 1)
    profiles = {column["name"]: column for column in contacts["columns"]}
    assert set(LAYOUT.objects["contacts"].columns) <= set(profiles)
    assert profiles["email"]["looks_like"] == "email"
    assert profiles["phone"]["looks_like"] == "phone"
    assert profiles["qualified"]["looks_like"] == "boolean"
    assert profiles["created_at"]["looks_like"] == "datetime"
    assert profiles["country"]["top"] == [{"value": "Türkiye", "count": made.sizes.contacts}]
    assert profiles["email"]["top"] == []
    assert profiles["country"]["distinct"] == 1
    assert 0.7 < profiles["email"]["fill_rate"] < 1


@pytest.mark.req("COM-DISC-04", "COM-OWN-01")
def test_owners_pipelines_files_and_volumes(flawed: tuple[Path, Composed, Discovery]) -> None:
    _, made, discovery = flawed
    states = Counter(owner["status"] for owner in discovery.owners.values())
    assert states == {"active": 10, "departed": 2, "unknown": 2}
    owned = sum(owner["records"].get("activities", 0) for owner in discovery.owners.values())
    assert owned == made.sizes.activities
    assert sum(stage["records"] for stage in discovery.pipelines) == made.sizes.deals
    totals = YAML(typ="safe").load(made.control_totals.read_text(encoding="utf-8"))["sums"]["deals"]["amount"]
    sums: dict[str, Decimal] = {}
    for entry in discovery.pipelines:
        for code, total in entry["sums"].items():
            sums[code] = sums.get(code, Decimal(0)) + Decimal(total)
    assert sums == {code: Decimal(total) for code, total in totals.items()}
    assert discovery.files["over_limit"] == 1
    assert discovery.files["missing"] == discovery.files["unlisted"] == 2
    assert discovery.files["largest"][0]["bytes"] > 26_214_400
    types = {entry["value"]: entry["count"] for entry in discovery.volumes["activities"]["type"]}
    assert {"Arama", "E-posta", "Toplantı", "Görev"} < set(types)


@pytest.mark.req("COM-DQ-02")
def test_duplicates_are_groups_with_a_suggested_survivor(flawed: tuple[Path, Composed, Discovery]) -> None:
    folder, _, discovery = flawed
    assert discovery.duplicates["contacts.email"]["groups"] == 3
    assert discovery.duplicates["contacts.phone"]["groups"] == 3
    rows = pq.read_table(folder / "discovery" / DUPLICATES).to_pylist()
    assert len(rows) == sum(entry["records"] for entry in discovery.duplicates.values()) == 12
    for entry in discovery.duplicates.values():
        assert all(group["survivor"] in group["records"] for group in entry["first"])


@pytest.mark.req("PS-SF-A1.3")
def test_custom_fields_have_type_options_and_use(flawed: tuple[Path, Composed, Discovery]) -> None:
    *_, discovery = flawed
    fields = {(field["object"], field["name"]): field for field in discovery.custom_fields}
    assert {name: field["kind"] for name, field in fields.items()} == {
        ("contacts", "yonlendiren_kaynak"): "option",
        ("deals", "tedavi_paketi"): "option",
        ("deals", "klinik_no"): "text",
        ("deals", "reklam_harcamasi"): "money",
    }
    assert set(fields["deals", "tedavi_paketi"]["options"]) >= {"Saç Ekimi", "Check-up"}
    assert fields["deals", "klinik_no"]["filled"] > 0


@pytest.mark.req("COM-RISK-01")
def test_risks_cover_every_kind_of_finding_and_what_is_not_exported(flawed: tuple[Path, Composed, Discovery]) -> None:
    *_, discovery = flawed
    risks = {risk["id"]: risk for risk in discovery.risks}
    assert len(risks) == len(discovery.risks)
    for kind, count in discovery.findings["counts"].items():
        assert risks[kind]["count"] == count
        assert risks[kind]["mitigation"]
    assert [risk["severity"] for risk in discovery.risks] == sorted(
        (risk["severity"] for risk in discovery.risks), key=["high", "medium", "low"].index
    )
    assert sum(name.startswith("not_exported") for name in risks) == len(LAYOUT.not_exported)
    assert "no_control_totals" not in risks
    assert discovery.automations["contained"] is False
    assert discovery.automations["questions"]


def test_a_discovery_is_found_again_and_repeatable(flawed: tuple[Path, Composed, Discovery], tmp_path: Path) -> None:
    folder, made, discovery = flawed
    assert Discovery.load(folder / "discovery") == discovery
    again = discover(stage(made.export, LAYOUT, folder / "staged"), LAYOUT, tmp_path)
    assert again == discovery
    assert pq.read_table(tmp_path / FINDINGS).equals(pq.read_table(folder / "discovery" / FINDINGS))
    with pytest.raises(InputError, match="no discovery"):
        Discovery.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        ("ÅžiÅŸecam", True),
        ("Ä°stanbul", True),
        ("GÃ¼neÅŸ", True),
        ("kâr â€“ zarar", True),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", True),
        ("Şişecam İğne", False),
        ("hâlâ’nın kâr oranı", False),
        ("Ångström – Ä. Müller “x”", False),
        ("São Paulo, 25 °C", False),
    ],
)
def test_damaged_letters(text: str, damaged: bool) -> None:
    assert bool(damaged_letters(text)) is damaged


def test_phone_numbers_are_compared_in_one_form() -> None:
    spellings = ("0532 123 45 67", "+90 532 123 45 67", "5321234567", "0(532) 123 4567", "905321234567")
    assert {e164(text, "TR") for text in spellings} == {"+905321234567"}
    assert e164("+44 20 7946 0958", "TR") == "+442079460958"
    assert e164("yok", "TR") == e164("12", "TR") == ""
