"""Each broken input has the fault that it is named after, and no other reader-visible one."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest
from python_calamine import CalamineError, CalamineWorkbook

from rehouse.samples.broken import BOMB_BYTES, CELL_BYTES, OLE_SIGNATURE, BrokenInput, broken_inputs


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BrokenInput]:
    return {made.name: made for made in broken_inputs(tmp_path_factory.mktemp("broken"))}


def test_there_are_twelve_and_each_names_its_file(broken: dict[str, BrokenInput]) -> None:
    assert len(broken) == 12
    for made in broken.values():
        folder = made.path if made.path.is_dir() else made.path.parent
        assert (folder / str(made.expect["file"])).is_file()


@pytest.mark.parametrize("name", ["not_a_workbook", "truncated_workbook", "empty_file", "encrypted_workbook"])
def test_these_are_no_zip_files(broken: dict[str, BrokenInput], name: str) -> None:
    assert not zipfile.is_zipfile(broken[name].path)
    with pytest.raises(CalamineError):
        CalamineWorkbook.from_path(str(broken[name].path))


def test_the_encrypted_container_has_its_signature(broken: dict[str, BrokenInput]) -> None:
    assert broken["encrypted_workbook"].path.read_bytes().startswith(OLE_SIGNATURE)


def test_the_bomb_is_small_outside_and_large_inside(broken: dict[str, BrokenInput]) -> None:
    path = broken["zip_bomb"].path
    with zipfile.ZipFile(path) as packed:
        sheet = packed.getinfo("xl/worksheets/sheet2.xml")
    assert sheet.file_size > BOMB_BYTES
    assert path.stat().st_size < 1_000_000


def test_the_huge_cell_hides_behind_a_usual_ratio(broken: dict[str, BrokenInput]) -> None:
    made = broken["huge_cell"]
    with zipfile.ZipFile(made.path) as packed:
        sheet = packed.getinfo("xl/worksheets/sheet2.xml")
    assert sheet.file_size > CELL_BYTES
    assert sheet.file_size < 30 * sheet.compress_size
    rows = CalamineWorkbook.from_path(str(made.path)).get_sheet_by_name(str(made.expect["sheet"])).to_python()
    assert len(str(rows[int(made.expect["row"]) - 1][rows[0].index(made.expect["column"])])) >= CELL_BYTES


def test_sheet_and_column_are_missing(broken: dict[str, BrokenInput]) -> None:
    made = broken["missing_sheet"]
    assert made.expect["sheet"] not in CalamineWorkbook.from_path(str(made.path)).sheet_names
    made = broken["missing_column"]
    rows = CalamineWorkbook.from_path(str(made.path)).get_sheet_by_name(str(made.expect["sheet"])).to_python()
    assert made.expect["column"] not in rows[0]


def test_the_formula_is_where_it_is_said_to_be(broken: dict[str, BrokenInput]) -> None:
    made = broken["formula_cell"]
    with zipfile.ZipFile(made.path) as packed:
        xml = packed.read("xl/worksheets/sheet3.xml").decode()
    assert xml.count("<f>") == 1
    assert f'r="G{made.expect["row"]}"><f>' in xml.replace(' s="0"', "")


def test_fewer_rows_than_the_control_totals_say(broken: dict[str, BrokenInput]) -> None:
    made = broken["cut_short"]
    book = CalamineWorkbook.from_path(str(made.path / str(made.expect["file"])))
    rows = book.get_sheet_by_name(str(made.expect["sheet"])).to_python()
    assert len(rows) - 1 == made.expect["found"]
    assert f"contacts: {made.expect['expected']}" in made.options["control_totals"].read_text(encoding="utf-8")


def test_one_csv_record_has_a_cell_too_many(broken: dict[str, BrokenInput]) -> None:
    made = broken["csv_columns"]
    with (made.path / str(made.expect["file"])).open(encoding="utf-8", newline="") as source:
        widths = [len(row) for row in csv.reader(source, delimiter=";")]
    assert [number for number, width in enumerate(widths, 1) if width != widths[0]] == [made.expect["row"]]


def test_no_single_encoding_fits_the_mixed_part(broken: dict[str, BrokenInput]) -> None:
    made = broken["csv_mixed_encodings"]
    data = (made.path / str(made.expect["file"])).read_bytes()
    for encoding in ("utf-8", "cp1254", "cp1252"):
        with pytest.raises(UnicodeDecodeError) as refused:
            data.decode(encoding)
        if encoding == "utf-8":
            assert refused.value.start == made.expect["byte"]
            assert data[: refused.value.start].count(b"\r\n") + 1 == made.expect["row"]


def test_only_the_named_ones_are_written(tmp_path: Path) -> None:
    assert [made.name for made in broken_inputs(tmp_path, only={"empty_file"})] == ["empty_file"]
    assert [path.name for path in tmp_path.iterdir()] == ["empty_file"]
