"""A workbook that cannot be read in full is refused before it is opened, with the place and the way out."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from format_tools import layout_of, read_one, workbook

from rehouse.errors import InputError
from rehouse.formats import plan_sheets
from rehouse.knowledge import load_layout
from rehouse.samples.broken import broken_inputs
from rehouse.staging import stage

COLUMNS = {"id": "id", "name": "text"}
BROKEN = [
    "not_a_workbook",
    "truncated_workbook",
    "empty_file",
    "encrypted_workbook",
    "zip_bomb",
    "missing_sheet",
    "missing_column",
    "formula_cell",
    "cut_short",
    "csv_columns",
    "csv_mixed_encodings",
]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_input_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    (broken,) = broken_inputs(tmp_path / "in", only=[name])
    with pytest.raises(InputError) as caught:
        stage(broken.path, load_layout("planports"), tmp_path / "out", **broken.options)  # type: ignore[arg-type]
    known = caught.value.as_dict()
    place = {key: known[key] for key in broken.expect if key in known}
    assert place == {key: broken.expect[key] for key in place}
    for figure in ("found", "expected", "byte"):
        assert figure not in broken.expect or str(broken.expect[figure]) in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def sound(path: Path) -> Path:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "Name"])
        for row in range(1, 2000):
            sheet.write_row(row, 0, [row, f"name {row}"])

    return workbook(path, write)


def repacked(source: Path, target: Path, changes: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, changes.get(info.filename, old.read(info)))
    return target


def sheet_xml(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


def test_a_part_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.xlsx")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    entry = data.index(b"xl/worksheets/sheet1.xml", data.rindex(b"PK\x01\x02", 0, data.rindex(b"sheet1.xml"))) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = struct.pack("<I", info.file_size // 10)
    path.write_bytes(data)
    with pytest.raises(InputError, match="larger than"):
        read_one(path, layout_of(COLUMNS), tmp_path / "out")


def test_a_flipped_byte_inside_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.xlsx")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 80 + info.compress_size // 2] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        read_one(path, layout_of(COLUMNS), tmp_path / "out")


def test_an_old_binary_workbook_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2048))
    with pytest.raises(InputError, match=r"\.xls"):
        plan_sheets(path, path.name, layout_of(COLUMNS))


def test_an_error_value_is_not_an_empty_cell(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.xlsx")
    xml = sheet_xml(path).replace(b'<c r="A900"><v>899</v></c>', b'<c r="A900" t="e"><v>#N/A</v></c>')
    with pytest.raises(InputError) as caught:
        read_one(
            repacked(path, tmp_path / "b.xlsx", {"xl/worksheets/sheet1.xml": xml}),
            layout_of(COLUMNS),
            tmp_path / "out",
        )
    assert (caught.value.row, caught.value.column) == (900, "Id")
    assert "A900" in caught.value.message


def test_a_document_type_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.xlsx")
    xml = sheet_xml(path).replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY y "z">]><worksheet', 1)
    with pytest.raises(InputError, match="document type"):
        read_one(
            repacked(path, tmp_path / "b.xlsx", {"xl/worksheets/sheet1.xml": xml}),
            layout_of(COLUMNS),
            tmp_path / "out",
        )


def test_a_cell_longer_than_a_workbook_allows(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.xlsx")
    long = b'<c r="B3" t="inlineStr"><is><t>' + b"abc" * 11_000 + b"</t></is></c>"
    xml = sheet_xml(path)
    start = xml.index(b'<c r="B3"')
    xml = xml[:start] + long + xml[xml.index(b"</c>", start) + 4 :]
    with pytest.raises(InputError, match="33,000 characters") as caught:
        read_one(
            repacked(path, tmp_path / "b.xlsx", {"xl/worksheets/sheet1.xml": xml}),
            layout_of(COLUMNS),
            tmp_path / "out",
        )
    assert (caught.value.sheet, caught.value.row, caught.value.column) == ("Things", 3, "Name")


def test_a_text_of_exactly_the_longest_length_is_reported(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Id", "Name"])
        sheet.write_row(1, 0, [1, "x" * 32_767])

    part, _ = read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert len(part.warnings) == 1
    assert "cut" in part.warnings[0]


def test_the_nearest_header_is_named(tmp_path: Path) -> None:
    def write(sheet: Any, book: Any) -> None:
        sheet.write_row(0, 0, ["Idd", "Name"])

    with pytest.raises(InputError, match="'Idd'") as caught:
        read_one(workbook(tmp_path / "a.xlsx", write), layout_of(COLUMNS), tmp_path / "out")
    assert caught.value.column == "Id"


def test_a_sheet_without_any_known_header(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda sheet, book: sheet.write_row(0, 0, ["X", "Y"]))
    with pytest.raises(InputError, match="no header row"):
        read_one(path, layout_of(COLUMNS), tmp_path / "out")


def test_hidden_ignored_and_unknown_sheets_are_listed(tmp_path: Path) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    for name in ("THINGS ", "Hidden", "Invoices", "Thingz", "Other"):
        book.add_worksheet(name)
    book.get_worksheet_by_name("Hidden").hide()
    book.close()
    plans = plan_sheets(tmp_path / "a.xlsx", "a.xlsx", layout_of(COLUMNS, ignored_sheets=["Invoices"]))
    assert [(plan.sheet, plan.object, plan.reason) for plan in plans] == [
        ("THINGS ", "things", ""),
        ("Hidden", "", "hidden"),
        ("Invoices", "", "ignored by the layout"),
        ("Thingz", "", "not in scope; close to 'things'"),
        ("Other", "", "not in scope"),
    ]
