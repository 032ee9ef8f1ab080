"""What a composed export promises besides its flaws: repeatability, places in time, stages, the target's document."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from python_calamine import CalamineWorkbook

from rehouse.errors import UsageError
from rehouse.samples.deals import PIPELINES
from rehouse.samples.planports import Composed, compose
from rehouse.samples.pools import pools

ISTANBUL = ZoneInfo("Europe/Istanbul")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return compose(tmp_path_factory.mktemp("export"), contacts=300, activities=4_000, zip=True)


def cells(made: Composed) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_path(str(made.workbook))
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def activities(made: Composed) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(made.export.glob("aktiviteler*.csv")):
        encoding = "cp1254" if path.name.endswith("_2.csv") else "utf-8-sig"
        with path.open(encoding=encoding, newline="") as source:
            rows.extend(csv.DictReader(source, delimiter=";"))
    return rows


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_writes_the_same_bytes(made: Composed, tmp_path: Path) -> None:
    again = compose(tmp_path, contacts=300, activities=4_000, zip=True)
    names = [path.relative_to(made.export) for path in sorted(made.export.rglob("*")) if path.is_file()]
    assert [digest(made.export / name) for name in names] == [digest(again.export / name) for name in names]
    assert made.answer_key.read_bytes() == again.answer_key.read_bytes()
    assert made.target_seed.read_bytes() == again.target_seed.read_bytes()
    assert made.archive is not None
    assert again.archive is not None
    assert digest(made.archive) == digest(again.archive)


def test_another_seed_writes_other_people(made: Composed, tmp_path: Path) -> None:
    other = compose(tmp_path, contacts=300, activities=4_000, seed=8)
    assert cells(made)["Kişiler"][4] != cells(other)["Kişiler"][4]


def test_more_activities_change_nobody(made: Composed, tmp_path: Path) -> None:
    other = compose(tmp_path, contacts=300, activities=500)
    assert cells(made)["Kişiler"] == cells(other)["Kişiler"]


def test_times_avoid_spring_gaps_and_the_key_lists_the_ambiguous_ones(made: Composed) -> None:
    truth = json.loads(made.answer_key.read_text(encoding="utf-8"))["truth"]
    ambiguous = set()
    for row in activities(made):
        if not row["Başlangıç"]:
            continue
        local = datetime.strptime(row["Başlangıç"], "%d.%m.%Y %H:%M")
        first, second = (local.replace(tzinfo=ISTANBUL, fold=fold).utcoffset() for fold in (0, 1))
        assert first is not None
        assert second is not None
        assert first >= second, f"{local} lies in a gap"
        if first > second:
            ambiguous.add(row["No"])
    assert ambiguous == set(truth["ambiguous_times"])
    assert len(ambiguous) >= 2


def test_stages_and_states_of_deals_agree(made: Composed) -> None:
    header, *rows = cells(made)["Fırsatlar"]
    by_pipeline = {stages.name: stages for stages in PIPELINES}
    states = set()
    for row in rows[:-1]:
        deal = dict(zip(header, row, strict=True))
        if not deal["Aşama"]:
            continue
        stages = by_pipeline[deal["Pipeline"]]
        closed = {stages.won: "Kazanıldı", stages.lost: "Kaybedildi"}.get(deal["Aşama"], "Açık")
        assert deal["Durum"] == closed
        assert bool(deal["Kapanış Tarihi"]) == (closed != "Açık")
        states.add(closed)
    assert states == {"Kazanıldı", "Kaybedildi", "Açık"}
    assert rows[-1][0] == "Toplam"


def test_two_pipelines_share_exactly_one_stage_name() -> None:
    names = [{*(name for name, _ in stages.open), stages.won, stages.lost} for stages in PIPELINES]
    assert [len(stages) for stages in names] == [6, 6]
    assert names[0] & names[1] == {"Teklif Verildi"}


def test_the_workbook_has_its_quirks(made: Composed) -> None:
    book = CalamineWorkbook.from_path(str(made.workbook))
    hidden = {sheet.name for sheet in book.sheets_metadata if str(sheet.visible) == "SheetVisibleEnum.Hidden"}
    assert hidden == {"Faturalar"}
    sheets = cells(made)
    assert sheets["Kişiler"][0][0].startswith("Planports")
    assert not any(sheets["Kişiler"][1])
    created = sheets["Kişiler"][2].index("Oluşturma Tarihi")
    assert isinstance(sheets["Kişiler"][3][created], datetime)
    amounts = [row[sheets["Fırsatlar"][0].index("Tutar")] for row in sheets["Fırsatlar"][1:]]
    assert {type(amount) for amount in amounts} == {str, float}


def test_parts_are_written_in_three_ways(made: Composed) -> None:
    first, second, third = (path.read_bytes() for path in sorted(made.export.glob("aktiviteler*.csv")))
    assert first.startswith(b"\xef\xbb\xbf")
    assert not third.startswith(b"\xef\xbb\xbf")
    third.decode("utf-8")
    second.decode("cp1254")
    with pytest.raises(UnicodeDecodeError):
        second.decode("utf-8")
    assert any("\n" in row["İçerik"] for row in activities(made))


def test_english_names_for_the_same_values(made: Composed, tmp_path: Path) -> None:
    english = compose(tmp_path, contacts=300, activities=4_000, language="en")
    assert cells(english)["Contacts"][3] == cells(made)["Kişiler"][3]
    assert cells(english)["Contacts"][2][0] == "Record No"
    assert [path.name for path in sorted(english.export.glob("activities*.csv"))] == [
        f"activities_{number}.csv" for number in (1, 2, 3)
    ]


def test_the_target_document_overlaps_with_the_export(made: Composed) -> None:
    seed = json.loads(made.target_seed.read_text(encoding="utf-8"))
    header, *rows = cells(made)["Kullanıcılar"]
    listed = {row[1]: row[4] for row in rows}
    users = {user["Email"].lower(): user for user in seed["users"]}
    active = {email for email, state in listed.items() if state == "Evet"}
    assert set(users) < active
    assert sum(not user["IsActive"] for user in users.values()) == 1
    assert any(user["Email"] != user["Email"].lower() for user in users.values())
    names = cells(made)["Kişiler"]
    emails = {str(row[names[2].index("E-posta")]).lower() for row in names[3:]}
    assert sum(contact["Email"] in emails for contact in seed["contacts"]) == 2
    assert seed["duplicate_rules"][0]["action"] == "block"
    assert header[1] == "E-posta"


def test_the_archive_holds_the_export(made: Composed) -> None:
    assert made.archive is not None
    with zipfile.ZipFile(made.archive) as packed:
        names = set(packed.namelist())
    assert names == {p.relative_to(made.export).as_posix() for p in made.export.rglob("*") if p.is_file()}
    assert not any("answer-key" in name for name in names)


@pytest.mark.parametrize(
    "sizes",
    [
        {"contacts": 20},
        {"files": 3},
        {"activities": 5},
        {"contacts": 4_000_000},
        {"activities": 1_000_001, "activities_as": "xlsx"},
    ],
)
def test_impossible_sizes_are_refused(tmp_path: Path, sizes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        compose(tmp_path, **sizes)
    assert refused.value.hint
    assert not (tmp_path / "export").exists()


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'de'"):
        compose(tmp_path, language="de")


def test_the_module_prints_a_summary(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rehouse.samples", "--out", str(tmp_path), "--contacts", "80", "--leads", "40"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    summary = json.loads(done.stdout)
    assert summary["sizes"]["contacts"] == 80
    assert Path(summary["workbook"]).is_file()
    refused = subprocess.run([*command, "--files", "1"], capture_output=True, check=False, text=True)
    assert refused.returncode == 2
    assert "too few" in refused.stderr


def test_every_shipped_folder_has_a_notice() -> None:
    root = Path(__file__).parents[2]
    data = root / "src/rehouse/samples/data"
    notices = (data / "NOTICES.md").read_text(encoding="utf-8")
    for folder in (path for path in data.iterdir() if path.is_dir()):
        assert f"`{folder.name}/" in notices
    notice = (root / "NOTICE").read_text(encoding="utf-8")
    for origin in ("joke2k/faker", "turkiye-api", "mikel/mail", "Maven Analytics"):
        assert origin in notices
        assert origin in notice
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) < 600_000


def test_the_pools_hold_usable_values_only() -> None:
    drawn = pools()
    assert len(drawn.mails) >= 25
    assert sum(bool(mail.text) for mail in drawn.mails) >= 20
    assert len(drawn.titles) >= 40
    assert not any("\ufffd" in mail.text + mail.subject or "\x00" in mail.text for mail in drawn.mails)
