"""What a sheet holds comes out as text, with nothing lost and nothing guessed."""

from __future__ import annotations

import datetime as dt
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from format_tools import layout_of, read_one, workbook
from hypothesis import given
from hypothesis import strategies as st

from rehouse.formats.cells import decimal_pattern, kind_of, text_of
from rehouse.formats.text import column_letter, column_position, fold, nearest, slug

DATA = Path(__file__).parents[1] / "data" / "spreadsheets"
COLUMNS = {"id": "id", "name": "text", "when": "datetime"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.321234567e9, "5321234567"),
        (1234.5, "1234,5"),
        (-0.1, "-0,1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0,0000001"),
        (7, "7"),
        (True, "TRUE"),
        (False, "FALSE"),
        (dt.date(2024, 12, 31), "2024-12-31"),
        (dt.datetime(2024, 12, 31, 14, 5), "2024-12-31T14:05:00"),
        (dt.datetime(2024, 12, 31, 14, 4, 59, 999_997), "2024-12-31T14:05:00"),
        (dt.datetime(2024, 12, 31, 14, 5, 0, 250_000), "2024-12-31T14:05:00.250"),
        (dt.time(14, 5), "14:05:00"),
        (dt.timedelta(days=1, hours=12), "36:00:00"),
        ("  as typed ", "  as typed "),
        ("", None),
    ],
)
def test_a_typed_cell_becomes_one_text(value: Any, text: str | None) -> None:
    assert text_of(value, ",") == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_can_be_read_back_exactly(value: float) -> None:
    text = text_of(value, ",")
    assert text is not None
    assert float(text.replace(",", ".")) == value


def test_kinds_of_cells() -> None:
    assert [kind_of(v) for v in ("", "x", 1.0, True, dt.date(2024, 1, 1))] == [
        "empty",
        "text",
        "number",
        "boolean",
        "date",
    ]


@pytest.mark.parametrize("text", ["1.234,56", "1234,5", "₺1.234,56", "12,5 TL", "%0,25", "0,25%", " 1,0 "])
def test_a_decimal_comma_is_seen(text: str) -> None:
    assert decimal_pattern(",").match(text)


@pytest.mark.parametrize("text", ["1.234", "1234", "a,5", "12,5 kilo", "31.12.2023", "Cad. No: 3,5 daire"])
def test_other_texts_are_no_decimals(text: str) -> None:
    assert not decimal_pattern(",").match(text)


def test_names_are_compared_without_case_form_and_blanks() -> None:
    assert fold("KAYIT  NO ") == fold("Kayıt No") == fold("kayit\u00a0no")
    assert fold(unicodedata.normalize("NFD", "Güncelleme")) == fold("GÜNCELLEME")
    assert fold("İL") == fold("il")
    assert fold("Şehir") != fold("Sehir")


def test_headers_become_names() -> None:
    assert slug("Tedavi Paketi") == "tedavi_paketi"
    assert slug("Olasılık %") == "olasilik"
    assert slug("2. Telefon") == "c_2_telefon"
    assert slug("العمود") == slug("العمود") != slug("عمود")
    assert nearest(["Ad Soyad"], ["Adı Soyadı", "Telefon"]) == "Adı Soyadı"
    assert nearest(["Ad Soyad"], ["XYZ"]) == ""


def test_column_letters() -> None:
    assert [column_letter(n) for n in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
    assert all(column_position(f"{column_letter(n)}9") == n for n in range(800))


def test_text_is_left_exactly_as_it_is(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Çığ Şişecam")
    texts = ["  spaces  ", decomposed, "line\nbreak\r\nend", "1.234,56", "0532 123", "=1+1", "\u00a0"]

    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "Name"])
        for at, text in enumerate(texts, 1):
            sheet.write_number(at, 0, at)
            sheet.write_string(at, 1, text)

    part, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert [row["name"] for row in rows] == texts
    assert [row["id"] for row in rows] == [str(n) for n in range(1, len(texts) + 1)]
    assert part.cells["name"] == {"text": len(texts), "comma": 1}
    assert part.rows == len(texts)
    assert part.last_row == len(texts) + 1


def test_header_below_a_title_and_beside_empty_columns(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write(1, 2, "Export of 31.12.2024")
        sheet.write_row(3, 2, ["NAME", "Own Field", "ıd", "When"])
        sheet.write_row(4, 2, ["Ali", "x", 1])
        sheet.write_datetime(4, 5, dt.datetime(2024, 1, 2, 3, 4), book.add_format({"num_format": "dd.mm.yy hh:mm"}))
        sheet.write_row(6, 2, ["Veli", "", 2])

    part, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert [(row["_sheet_row"], row["id"], row["name"]) for row in rows] == [(5, "1", "Ali"), (7, "2", "Veli")]
    assert rows[0]["when"] == "2024-01-02T03:04:00"
    assert [(c.name, c.header, c.custom) for c in part.columns if c.custom] == [("own_field", "Own Field", True)]


def test_merged_headers_are_tolerated(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.merge_range(0, 0, 1, 0, "Id")
        sheet.merge_range(0, 1, 0, 2, "Person")
        sheet.write_row(1, 1, ["Name", "When"])
        sheet.write_row(2, 0, [7, "Ali"])

    part, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert [(row["id"], row["name"], row["_sheet_row"]) for row in rows] == [("7", "Ali", 3)]
    assert not [c for c in part.columns if c.custom]


def test_a_column_without_header_is_kept_when_it_has_values(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "", "Name"])
        sheet.write_row(1, 0, [1, "stray", "Ali"])

    part, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert rows[0]["column_b"] == "stray"
    assert any("column B" in warning for warning in part.warnings)


def test_a_repeated_header_loses_nothing(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "Name", "Name", "Other", "Other"])
        sheet.write_row(1, 0, [1, "a", "b", "c", "d"])

    _, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert {k: v for k, v in rows[0].items() if not k.startswith("_")} == {
        "id": "1",
        "name": "a",
        "name_2": "b",
        "other": "c",
        "other_2": "d",
    }


def test_rows_of_totals_are_set_aside(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "Name", "Amount"])
        sheet.write_row(1, 0, ["A", "x", 10.25])
        sheet.write_row(2, 0, ["TOPLAM:", ""])
        sheet.write_formula(2, 2, "=SUM(C2:C2)", None, 10.25)

    layout = layout_of({**COLUMNS, "amount": "money"}, total_row_labels=["Toplam"])
    part, rows = read_one(workbook(tmp_path / "a.xlsx", write), layout, tmp_path / "out")
    assert [row["id"] for row in rows] == ["A"]
    assert [(total.row, dict(total.values)) for total in part.totals] == [(3, {"id": "TOPLAM:", "amount": "10,25"})]


def test_spreadsheets_of_other_programs(tmp_path: Path) -> None:
    layout = layout_of({"id": "text"}).overridden(
        {
            "objects": {
                "things": {
                    "sheets": ["Sheet1", "richtext"],
                    "columns": {"id": {"headers": ["Header A1", "Example richtext", "Test"]}},
                }
            }
        }
    )
    part, rows = read_one(DATA / "header_offset.xlsx", layout, tmp_path / "a")
    assert [list(row.values()) for row in rows] == [["Data A2", "Data B2", 2], ["Data A3", "Data B3", 3]]
    part, rows = read_one(DATA / "richtext_example.xlsx", layout, tmp_path / "b")
    assert [c.header for c in part.columns] == ["Example richtext", "Examplerichtext"]
    assert rows == []
    part, rows = read_one(DATA / "implicit_coordinates.xlsx", layout, tmp_path / "c")
    assert [list(row.values()) for row in rows] == [["A2", "B2", "C2", 2]]
