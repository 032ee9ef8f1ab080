"""Inputs that a reader must refuse, each with what is known about the place of the fault.

Every input starts from a small sound export in the shipped layout, so that nothing but the named fault is wrong.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import xlsxwriter

from rehouse.samples.layout import ExportLayout, export_layout

BOMB_BYTES = 300 * 1024 * 1024
"""Inflated size of the bomb's sheet; it takes about 300 kB packed."""

CELL_BYTES = 50 * 1024 * 1024
"""Size of the huge cell. A cell of a workbook holds at most 32,767 characters."""

OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of a compound file, the container of a password-protected workbook ([MS-OFFCRYPTO])."""

ROWS = 6


@dataclass(frozen=True, slots=True)
class BrokenInput:
    """One wrong input.

    `path` is a file or an export folder. `expect` holds what an error should name, as far as it is known: file,
    sheet, row (sheet row, or the record's number in a CSV part with the header as 1), column (header), and
    found/expected counts. `options` are further arguments for the reader, such as `control_totals`.
    """

    name: str
    path: Path
    expect: dict[str, str | int] = field(default_factory=dict)
    options: dict[str, Path] = field(default_factory=dict)


def broken_inputs(out: Path, *, only: Collection[str] = ()) -> list[BrokenInput]:
    """Write the wrong inputs below `out`, all of them or those named in `only`, each in a folder of its name."""
    layout = export_layout()
    made = []
    for name, maker in _MAKERS.items():
        if only and name not in only:
            continue
        folder = out / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        made.append(maker(name, folder, layout))
    return made


# -- a small sound export -------------------------------------------------------------------------------


def _tables(layout: ExportLayout) -> dict[str, list[dict[str, Any]]]:
    person = layout.options("contacts", "kind")[0]
    open_state = layout.options("deals", "status")[0]
    owner = "ayse.demir@ornek.example"
    return {
        "users": [{"full_name": "Ayşe Demir", "email": owner, "active": layout.yes}],
        "contacts": [
            {"id": 1 + n, "kind": person, "full_name": f"Örnek Kişi {n + 1}", "owner_email": owner} for n in range(ROWS)
        ],
        "deals": [
            {
                "id": f"F-{n + 1:03d}", "title": f"Fırsat {n + 1}", "contact_id": 1 + n, "pipeline": "Satış",
                "stage": "Pazarlık", "amount": 100 * (n + 1), "currency": "TRY", "status": open_state,
            }
            for n in range(ROWS)
        ],
    }  # fmt: skip


def _write_workbook(
    path: Path,
    layout: ExportLayout,
    *,
    without_object: str = "",
    without_column: tuple[str, str] = ("", ""),
    formula: tuple[str, str, int] = ("", "", 0),
) -> None:
    """The sound workbook, less an object or a column, or with a formula in one cell (object, column, sheet row)."""
    book = xlsxwriter.Workbook(str(path))
    for name, rows in _tables(layout).items():
        if name == without_object:
            continue
        headers = {key: text for key, text in layout.headers(name).items() if (name, key) != without_column}
        sheet = book.add_worksheet(layout.sheet(name))
        sheet.write_row(0, 0, list(headers.values()))
        for at, row in enumerate(rows, 1):
            for column, key in enumerate(headers):
                if formula == (name, key, at + 1):
                    sheet.write_formula(at, column, "=50*2", value=100)
                elif row.get(key) is not None:
                    sheet.write(at, column, row[key])
    book.close()


def _activity_lines(layout: ExportLayout) -> list[list[str]]:
    """Cells of a sound CSV part, header first."""
    headers = layout.headers("activities")
    kind = layout.options("activities", "type")[0]
    lines = [list(headers.values())]
    for number in range(ROWS):
        row = {
            "id": str(number + 1), "type": kind, "subject": "Görüşme – “Şişli” şubesi",
            "start": "2024-05-06 10:00:00", "contact_id": str(number + 1),
        }  # fmt: skip
        lines.append([row.get(key, "") for key in headers])
    return lines


# -- the wrong inputs -----------------------------------------------------------------------------------


def _not_a_workbook(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    path.write_text("Kayıt No;Ad Soyad\n1;Ayşe Demir\n", encoding="utf-8")
    return BrokenInput(name, path, {"file": path.name})


def _truncated_workbook(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    _write_workbook(path, layout)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return BrokenInput(name, path, {"file": path.name})


def _empty_file(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    path.write_bytes(b"")
    return BrokenInput(name, path, {"file": path.name})


def _encrypted_workbook(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """The header and the directory names of an encrypted workbook; the content is noise, as it would be."""
    path = folder / "export.xlsx"
    names = "EncryptionInfo\0EncryptedPackage\0".encode("utf-16-le")
    path.write_bytes(OLE_SIGNATURE + bytes(504) + names + Random(7).randbytes(8_192))
    return BrokenInput(name, path, {"file": path.name})


def _zip_bomb(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """A workbook whose sheet of people inflates to 300 MB of blanks between two tags."""
    path = folder / "export.xlsx"

    def blanks(original: bytes) -> Iterator[bytes]:
        head, tail = original.split(b"</sheetData>")
        yield head
        for _ in range(BOMB_BYTES >> 20):
            yield b" " * (1 << 20)
        yield b"</sheetData>" + tail

    _rewrite_contacts(path, layout, blanks)
    return BrokenInput(name, path, {"file": path.name})


def _huge_cell(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """A cell of 50 MB. Its text packs about 10:1, so that it does not look like a bomb."""
    path = folder / "export.xlsx"
    headers = layout.headers("contacts")
    column = list(headers).index("address")
    row = ROWS + 2
    words = ("adres ", "cadde ", "sokak ", "mahalle ", "bina ", "kat ", "daire ", "ilce ")
    block = "".join(Random(7).choices(words, k=16_384)).encode()

    def cell(original: bytes) -> Iterator[bytes]:
        head, tail = original.split(b"</sheetData>")
        place = f"{xlsxwriter.utility.xl_col_to_name(column)}{row}"
        yield head + f'<row r="{row}"><c r="A{row}"><v>99</v></c><c r="{place}" t="inlineStr"><is><t>'.encode()
        for _ in range(CELL_BYTES // len(block) + 1):
            yield block
        yield b"</t></is></c></row></sheetData>" + tail

    _rewrite_contacts(path, layout, cell)
    expect: dict[str, str | int] = {
        "file": path.name,
        "sheet": layout.sheet("contacts"),
        "row": row,
        "column": headers["address"],
    }
    return BrokenInput(name, path, expect)


def _rewrite_contacts(path: Path, layout: ExportLayout, change: Callable[[bytes], Iterator[bytes]]) -> None:
    """Write the sound workbook with the XML of its second sheet, the people, replaced by a stream."""
    sound = path.with_name("sound.xlsx")
    _write_workbook(sound, layout)
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            data = source.read(entry)
            changed = entry.filename == "xl/worksheets/sheet2.xml"
            with target.open(entry.filename, "w", force_zip64=changed) as out:
                for piece in change(data) if changed else (data,):
                    out.write(piece)
    sound.unlink()


def _missing_sheet(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    _write_workbook(path, layout, without_object="contacts")
    return BrokenInput(name, path, {"file": path.name, "sheet": layout.sheet("contacts")})


def _missing_column(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    _write_workbook(path, layout, without_column=("contacts", "full_name"))
    sheet, column = layout.sheet("contacts"), layout.headers("contacts")["full_name"]
    return BrokenInput(name, path, {"file": path.name, "sheet": sheet, "column": column})


def _formula_cell(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    path = folder / "export.xlsx"
    _write_workbook(path, layout, formula=("deals", "amount", 4))
    sheet, column = layout.sheet("deals"), layout.headers("deals")["amount"]
    return BrokenInput(name, path, {"file": path.name, "sheet": sheet, "row": 4, "column": column})


def _cut_short(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """A sound workbook with fewer people than the source's own screens counted."""
    path = folder / "export.xlsx"
    _write_workbook(path, layout)
    totals = folder / "control_totals.yaml"
    expected = ROWS + 4
    totals.write_text(f"counts:\n  users: 1\n  contacts: {expected}\n  deals: {ROWS}\n", encoding="utf-8")
    expect: dict[str, str | int] = {
        "file": path.name,
        "sheet": layout.sheet("contacts"),
        "found": ROWS,
        "expected": expected,
    }
    return BrokenInput(name, folder, expect, {"control_totals": totals})


def _csv_columns(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """One record of a CSV part has a cell too many."""
    _write_workbook(folder / "export.xlsx", layout)
    path = folder / layout.part_name("activities", 1)
    lines = _activity_lines(layout)
    lines[3].append("fazla")
    path.write_bytes("".join(";".join(cells) + "\r\n" for cells in lines).encode("utf-8"))
    return BrokenInput(name, folder, {"file": path.name, "row": 4})


def _csv_mixed_encodings(name: str, folder: Path, layout: ExportLayout) -> BrokenInput:
    """UTF-8 up to a record in Windows-1254.

    No single encoding fits: the Turkish letters of that record are not UTF-8, and the closing quotation mark of
    the others holds byte 9D, which Windows-1254 and Windows-1252 leave undefined. ISO-8859-9 would read it as a
    control character.
    """
    _write_workbook(folder / "export.xlsx", layout)
    path = folder / layout.part_name("activities", 1)
    lines = [(";".join(cells) + "\r\n") for cells in _activity_lines(layout)]
    encoded = [line.encode("cp1254" if at == 4 else "utf-8") for at, line in enumerate(lines)]
    path.write_bytes(b"".join(encoded))
    before = sum(len(line) for line in encoded[:4])
    first_bad = before + next(at for at, byte in enumerate(encoded[4]) if byte > 127)
    return BrokenInput(name, folder, {"file": path.name, "row": 5, "byte": first_bad})


_MAKERS: dict[str, Callable[[str, Path, ExportLayout], BrokenInput]] = {
    "not_a_workbook": _not_a_workbook,
    "truncated_workbook": _truncated_workbook,
    "empty_file": _empty_file,
    "encrypted_workbook": _encrypted_workbook,
    "zip_bomb": _zip_bomb,
    "huge_cell": _huge_cell,
    "missing_sheet": _missing_sheet,
    "missing_column": _missing_column,
    "formula_cell": _formula_cell,
    "cut_short": _cut_short,
    "csv_columns": _csv_columns,
    "csv_mixed_encodings": _csv_mixed_encodings,
}
