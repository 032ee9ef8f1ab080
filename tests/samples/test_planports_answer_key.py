"""An independent reader finds exactly the planted flaws in a composed export: all of them, and no others."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from python_calamine import CalamineWorkbook
from ruamel.yaml import YAML

from rehouse.samples.planports import Composed, compose

LAYOUT = YAML(typ="safe").load(
    (Path(__file__).parents[2] / "src/rehouse/knowledge/platforms/planports.yaml").read_text(encoding="utf-8")
)["layout"]
LOCAL_DATE = re.compile(r"\d\d\.\d\d\.\d{4}( \d\d:\d\d)?$")
MOJIBAKE = re.compile("[ÃÄÅ][\u0080-\u00bf\u0152-\u017e\u0192\u2013-\u2122]")
Identity = tuple[str, str, str, str]


@dataclass
class Table:
    """Rows of one object as canonical text cells, with the key of a row without id and the file it came from."""

    rows: list[dict[str, str]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    has_total: bool = False


def as_text(cell: Any) -> str:
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else str(cell)
    return str(cell)


def canonical(spec: dict[str, Any], header: list[str]) -> list[str]:
    known = {name: key for key, column in spec["columns"].items() for name in column["headers"]}
    return [known.get(name, name) for name in header]


def read_sheets(workbook: Path) -> dict[str, Table]:
    book = CalamineWorkbook.from_path(str(workbook))
    tables: dict[str, Table] = {}
    for object_name, spec in LAYOUT["objects"].items():
        present = [name for name in spec["sheets"] if name in book.sheet_names]
        if not present:
            continue
        cells = book.get_sheet_by_name(present[0]).to_python(skip_empty_area=False)
        required = {column["headers"][i] for column in spec["columns"].values() for i in (0, -1)}
        at = next(n for n, row in enumerate(cells) if len({str(c) for c in row} & required) > 2)
        names = canonical(spec, [str(cell) for cell in cells[at]])
        table = tables.setdefault(object_name, Table())
        for sheet_row, row in enumerate(cells[at + 1 :], at + 2):
            if str(row[0]) in LAYOUT["total_row_labels"]:
                table.has_total = True
                continue
            table.rows.append(dict(zip(names, map(as_text, row), strict=True)))
            table.places.append(f"row:{sheet_row}")
    return tables


def read_parts(export: Path, found: set[Identity]) -> Table:
    spec, table = LAYOUT["objects"]["activities"], Table()
    for path in sorted(path for pattern in spec["files"] for path in export.glob(pattern)):
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            found.add(("encoding", "activities", path.name, ""))
            text = data.decode("cp1254")
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=";"))
        names = canonical(spec, rows[0])
        for number, row in enumerate(rows[1:], 2):
            table.rows.append(dict(zip(names, row, strict=True)))
            table.places.append(f"row:{path.name}:{number}")
    return table


def is_date(text: str, formats: list[str]) -> bool:
    for form in formats:
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return True
    return False


def is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+|-?\d+(\.\d+)?", text))


def is_email(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def cell_flaws(kind: str, column: dict[str, Any], cell: str) -> set[str]:
    """Flaws that one filled cell has by itself."""
    parts = [part.strip() for part in cell.split(column["separator"])] if "separator" in column else [cell]
    found = set()
    if cell in LAYOUT["empty_values"]:
        return {"placeholder_value"}
    if kind in ("text", "long_text") and MOJIBAKE.search(cell):
        found.add("mojibake")
    if kind in ("email", "phone") and len(parts) > 1:
        found.add("multi_value")
    if kind == "email" and not all(is_email(part) for part in parts):
        found.add("invalid_email")
    if kind == "phone" and not all(phonenumbers.is_valid_number(phonenumbers.parse(part, "TR")) for part in parts):
        found.add("invalid_phone")
    if kind in ("date", "datetime") and not is_date(cell, LAYOUT["datetime_formats"]):
        found.add("unparsable_date")
    if kind in ("money", "integer", "percent") and not is_number(cell):
        found.add("unparsable_number")
    if kind == "option" and cell not in column["options"]:
        found.add("unknown_option")
    return found


def find_in_table(name: str, table: Table, ids: dict[str, set[str]], found: set[Identity]) -> None:
    spec = LAYOUT["objects"][name]
    seen: set[str] = set()
    for row, place in zip(table.rows, table.places, strict=True):
        key = row["email"] if name == "users" else row.get("id", row.get("object", ""))
        if "id" in row and not key:
            found.add(("blank_id", name, place, "id"))
        elif "id" in row and key in seen:
            found.add(("duplicate_id", name, key, "id"))
        seen.add(key)
        for column_name, column in spec["columns"].items():
            cell = row[column_name]
            kind = column["kind"]
            if not cell:
                if column.get("required") and kind != "id":
                    found.add(("missing_required", name, key, column_name))
                continue
            found.update((flaw, name, key, column_name) for flaw in cell_flaws(kind, column, cell))
            if kind in ("date", "datetime") and LOCAL_DATE.match(cell):
                found.add(("local_date", name, "*", column_name))
            if kind == "money" and re.search(r",\d\d$", cell):
                found.add(("decimal_comma", name, "*", column_name))
            if column.get("reference") in ids and cell not in ids[column["reference"]]:
                found.add(("dangling_reference", name, key, column_name))
        if name == "files":
            target = (
                "contacts"
                if row["linked_type"] == LAYOUT["objects"]["files"]["columns"]["linked_type"]["options"][0]
                else "deals"
            )
            if row["linked_id"] not in ids[target]:
                found.add(("dangling_reference", name, key, "linked_id"))


def find_duplicates(rows: list[dict[str, str]], found: set[Identity]) -> None:
    emails: set[str] = set()
    phones: set[str] = set()
    for row in rows:
        email = row["email"].split(";")[0].strip().lower()
        if email and email in emails:
            found.add(("duplicate_contact", "contacts", row["id"], "email"))
        emails.add(email)
        if row["phone"]:
            number = phonenumbers.parse(row["phone"].split("/")[0], "TR")
            phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if phone in phones:
                found.add(("duplicate_contact", "contacts", row["id"], "phone"))
            phones.add(phone)


def find_owners(tables: dict[str, Table], found: set[Identity]) -> None:
    users = {row["email"].lower(): row["active"] for row in tables["users"].rows}
    for table in tables.values():
        for row in table.rows:
            owner = row.get("owner_email", "").lower()
            if owner and owner not in users:
                found.add(("unknown_owner", "users", owner, "email"))
            elif owner and users[owner] not in LAYOUT["true_values"]:
                found.add(("departed_owner", "users", owner, "active"))


def find_files(export: Path, rows: list[dict[str, str]], found: set[Identity]) -> None:
    folder = export / LAYOUT["files_folder"]
    listed = {f"{row['linked_type']}/{row['linked_id']}/{row['file_name']}": row["id"] for row in rows}
    on_disk = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name, key in listed.items():
        if name not in on_disk:
            found.add(("file_missing", "files", key, "file_name"))
        elif on_disk[name].stat().st_size > 25 * 1024 * 1024:
            found.add(("file_too_large", "files", key, "size"))
    found.update(("file_unlisted", "files", name, "") for name in on_disk.keys() - listed.keys())


def read_export(made: Composed) -> tuple[dict[str, Table], set[Identity]]:
    found: set[Identity] = set()
    tables = read_sheets(made.workbook)
    if "activities" not in tables:
        tables["activities"] = read_parts(made.export, found)
    return tables, found


def find_all(made: Composed) -> set[Identity]:
    tables, found = read_export(made)
    ids = {name: {row["id"] for row in tables[name].rows} for name in ("contacts", "deals")}
    for name, table in tables.items():
        if name != "custom_fields":
            find_in_table(name, table, ids, found)
    find_duplicates(tables["contacts"].rows, found)
    find_owners(tables, found)
    find_files(made.export, tables["files"].rows, found)
    return found


def planted(made: Composed) -> list[Identity]:
    key = json.loads(made.answer_key.read_text(encoding="utf-8"))
    return [(flaw["kind"], flaw["object"], flaw["key"], flaw["field"]) for flaw in key["flaws"]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 11, "contacts": 60, "leads": 30, "deals": 40, "activities": 120, "files": 20},
        {"seed": 3, "contacts": 2_000, "activities": 8_000, "language": "en"},
        {"seed": 5, "contacts": 200, "activities_as": "xlsx"},
    ],
    ids=["default", "smallest", "english", "xlsx"],
)
def test_finds_exactly_the_planted_flaws(tmp_path: Path, options: dict[str, Any]) -> None:
    made = compose(tmp_path, **options)
    expected = planted(made)
    assert len(set(expected)) == len(expected), "an identity was planted twice"
    found = find_all(made)
    assert found - set(expected) == set(), "accidental flaws"
    assert set(expected) - found == set(), "planted flaws that are not in the files"


def test_an_export_without_flaws_has_none(tmp_path: Path) -> None:
    made = compose(tmp_path, contacts=300, flaws=False)
    assert planted(made) == []
    assert find_all(made) == set()


def test_control_totals_agree_with_the_files(tmp_path: Path) -> None:
    made = compose(tmp_path, contacts=300, seed=9)
    tables, _ = read_export(made)
    controls = YAML(typ="safe").load(made.control_totals.read_text(encoding="utf-8"))
    assert controls["counts"] == {name: len(tables[name].rows) for name in controls["counts"]}
    sums: Counter[str] = Counter()
    for row in tables["deals"].rows:
        text = row["amount"].replace(".", "").replace(",", ".") if "," in row["amount"] else row["amount"]
        if is_number(row["amount"]):
            sums[row["currency"]] += int((Decimal(text) * 100).to_integral_value())
    assert {code: int(Decimal(total) * 100) for code, total in controls["sums"]["deals"]["amount"].items()} == sums
    assert tables["deals"].has_total


def test_the_truth_about_companies_names_every_employed_contact_once(tmp_path: Path) -> None:
    made = compose(tmp_path, contacts=400)
    key = json.loads(made.answer_key.read_text(encoding="utf-8"))
    members = [contact for contacts in key["truth"]["companies"].values() for contact in contacts]
    assert len(members) == len(set(members))
    rows = {row["id"]: row for row in read_sheets(made.workbook)["contacts"].rows}
    blanks = LAYOUT["empty_values"]
    without = {key for key, row in rows.items() if row["company"] in ("", *blanks) and row["kind"] == "Kişi"}
    assert set(members) <= set(rows)
    assert not set(members) & without
    for company, contact in key["truth"]["firms"].items():
        assert rows[contact]["full_name"] == key["truth"]["company_names"][company]
