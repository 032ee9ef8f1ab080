"""Discovery of sources that lack something: no users, no referenced object, odd values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rehouse.discover import FINDINGS, Discovery, discover
from rehouse.knowledge import load_layout
from rehouse.staging import stage

BASE = load_layout("planports")


def look(folder: Path, name: str, text: str) -> tuple[Discovery, list[tuple[Any, ...]]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return look_at(folder, path)


def look_at(folder: Path, source: Path, **options: Any) -> tuple[Discovery, list[tuple[Any, ...]]]:
    snapshot = stage(source, BASE, folder / "staged")
    result = discover(snapshot, BASE, folder / "discovery", **options)
    rows = pq.read_table(folder / "discovery" / FINDINGS).to_pylist()
    return result, [(row["kind"], row["key"], row["field"]) for row in rows]


def test_a_single_file_is_judged_without_the_rest(tmp_path: Path) -> None:
    text = "No;Tip;Başlangıç;Kişi No;Sorumlu E-posta\n1;Arama;2024-01-02 10:00:00;77;a@x.example\n"
    discovery, findings = look(tmp_path, "aktiviteler.csv", text)
    assert findings == []
    assert discovery.owners["a@x.example"]["status"] == "unknown"
    risks = {risk["id"]: risk for risk in discovery.risks}
    assert risks["references_unchecked"]["count"] == 1
    assert "no_control_totals" in risks
    assert discovery.completeness["statement"] == "complete relative to the files"


def test_each_odd_value_is_one_finding(tmp_path: Path) -> None:
    lines = [
        "Kayıt No;Ad Soyad;Telefon;E-posta;Tür;Nitelikli mi;WhatsApp Mesaj Sayısı;Güncelleme Tarihi",
        "1;Ali;0532 123 45 67;ali@x.example;Kişi;Evet;1.234;2024-02-29 10:00:00",
        "2;Veli;abc;mailto:veli@x.example;Kurum;belki;12,5;2023-02-29",
        "3;-;0532 123 45 67/0533 111 22 33;a@x.example;Kişi;Hayır;1234.5;2024-01-01",
        "4;;12;ALI@X.EXAMPLE ; b@x.example;;;;",
    ]
    quoted = "\n".join(lines).replace("ALI@X.EXAMPLE ; b@x.example", '"ALI@X.EXAMPLE ; b@x.example"')
    discovery, findings = look(tmp_path, "kişiler.csv", quoted + "\n")
    assert sorted(findings) == sorted(
        [
            ("decimal_comma", "*", "whatsapp_count"),
            ("invalid_phone", "2", "phone"),
            ("invalid_phone", "4", "phone"),
            ("invalid_email", "2", "email"),
            ("unknown_option", "2", "kind"),
            ("unknown_option", "2", "qualified"),
            ("unparsable_date", "2", "updated_at"),
            ("unparsable_number", "3", "whatsapp_count"),
            ("placeholder_value", "3", "full_name"),
            ("multi_value", "3", "phone"),
            ("duplicate_contact", "3", "phone"),
            ("missing_required", "4", "full_name"),
            ("multi_value", "4", "email"),
            ("duplicate_contact", "4", "email"),
        ]
    )
    assert discovery.findings["examples"]["unparsable_date"][0]["value"] == "2023-02-29"


def test_lost_letters_are_a_risk_not_a_finding(tmp_path: Path) -> None:
    discovery, findings = look(tmp_path, "kişiler.csv", "Kayıt No;Ad Soyad\n1;Ay\ufffde\n")
    assert findings == []
    assert next(risk for risk in discovery.risks if risk["id"] == "letters_lost")["count"] == 1


@pytest.mark.req("COM-FILE-04", "COM-FILE-06")
@pytest.mark.parametrize(("limit", "over"), [(10, []), (9, [("file_too_large", "D1", "size")]), (0, [])])
def test_the_size_limit_is_inclusive(tmp_path: Path, limit: int, over: list[tuple[str, str, str]]) -> None:
    source = tmp_path / "export"
    (source / "files" / "Kişi" / "1").mkdir(parents=True)
    (source / "files" / "Kişi" / "1" / "a.txt").write_bytes(b"0123456789")
    (source / "kişiler.csv").write_text("Kayıt No;Ad Soyad\n1;Ali\n", encoding="utf-8")
    header = "Dosya No;Bağlı Kayıt Türü;Bağlı Kayıt No;Dosya Adı\n"
    (source / "dosyalar.csv").write_text(f"{header}D1;Kişi;1;a.txt\n", encoding="utf-8")
    discovery, findings = look_at(tmp_path, source, limit_bytes=limit)
    assert findings == over
    assert discovery.files["over_limit"] == len(over)
    assert discovery.files["largest"] == [{"key": "D1", "name": "a.txt", "bytes": 10}]
