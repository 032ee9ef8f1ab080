"""A snapshot holds what the files hold, finds its own rows again, and appears whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from staging_tools import LAYOUT, export, rows_of

from rehouse.errors import InputError
from rehouse.events import Event, Progress
from rehouse.knowledge import load_layout
from rehouse.samples.planports import compose
from rehouse.staging import SYSTEM_COLUMNS, Snapshot, stage

HEAD = ["Id", "Name", "Email", "Updated"]


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_layout_column_exists_and_others_become_custom(tmp_path: Path) -> None:
    sheets = {
        "KİŞİLER": [["Id", "Name", "Paket Adı", "Bütçe"], [1, "Ali", "A", 1234.5], [2, "Veli", None, None]],
        "Extra": [
            ["Object", "Field", "Type", "Options", "Must"],
            ["Kişi", "PAKET ADI", "Liste", "A|B | C", "Evet"],
            ["people", "Bütçe", "Para", None, "Hayır"],
        ],
        "Notes of mine": [["x"]],
    }
    snapshot = stage(export(tmp_path / "in", sheets), LAYOUT, tmp_path / "out")
    people = snapshot.objects["people"]
    custom = [(c.name, c.header, c.kind, c.options, c.required) for c in people.columns if c.custom]
    assert custom == [
        ("paket_adi", "Paket Adı", "option", ("A", "B", "C"), True),
        ("butce", "Bütçe", "money", (), False),
    ]
    assert rows_of(snapshot, "people", "id", "phone", "paket_adi", "butce") == [
        ("1", None, "A", "1234,5"),
        ("2", None, None, None),
    ]
    assert [c.present for c in people.columns if c.name in ("name", "phone")] == [True, False]
    assert [left.name for left in snapshot.left_out] == ["export.xlsx: Notes of mine"]
    assert "no control totals" in snapshot.warnings[-1]


@pytest.mark.req("COM-DQ-05")
def test_the_later_update_wins_between_rows_with_one_id(tmp_path: Path) -> None:
    rows = [
        HEAD,
        [7, "old", None, "01.02.2023 10:00"],
        [8, "first", None, None],
        [7, "new", None, "01.03.2023 09:00"],
        [8, "second", None, None],
        [" 7 ", "oldest", None, "2022-01-01T00:00:00"],
        [None, "nobody", None, None],
        ["\u00a0", "blank", None, None],
    ]
    snapshot = stage(export(tmp_path / "in", {"People": rows}), LAYOUT, tmp_path / "out")
    assert rows_of(snapshot, "people", "_row", "_sheet_row", "name", "_key", "_rid", "_dup_of") == [
        (1, 2, "old", "7", "7#2", "7"),
        (2, 3, "first", "8", "8", None),
        (3, 4, "new", "7", "7", None),
        (4, 5, "second", "8", "8#5", "8"),
        (5, 6, "oldest", "7", "7#6", "7"),
        (6, 7, "nobody", None, "row:7", None),
        (7, 8, "blank", None, "row:8", None),
    ]
    assert (snapshot.objects["people"].duplicates, snapshot.objects["people"].without_key) == (3, 2)


def test_parts_of_one_object_are_read_in_natural_order(tmp_path: Path) -> None:
    parts = {
        "people_10_csv": "Id,Name\n4,d\n,e\n3,again\n",
        "people_9_csv": "Name;Id;Extra Bit\nc;3;x\n;\u00a0;\n",
        "people_2_csv": "Id\tName\n1\ta\n2\tb\n",
    }
    snapshot = stage(export(tmp_path / "in", {}, **parts), LAYOUT, tmp_path / "out")
    assert rows_of(snapshot, "people", "_row", "_file", "_sheet_row", "_rid", "extra_bit") == [
        (1, "people_2.csv", 2, "1", None),
        (2, "people_2.csv", 3, "2", None),
        (3, "people_9.csv", 2, "3", "x"),
        (4, "people_9.csv", 3, "row:people_9.csv:3", None),
        (5, "people_10.csv", 2, "4", None),
        (6, "people_10.csv", 3, "row:people_10.csv:3", None),
        (7, "people_10.csv", 4, "3#4", None),
    ]


def test_losing_rows_on_the_same_line_of_two_files_stay_apart(tmp_path: Path) -> None:
    texts = {f"people_{n}_csv": "Id,Name\n1,a\n" for n in (1, 2, 3)}
    snapshot = stage(export(tmp_path / "in", {}, **texts), LAYOUT, tmp_path / "out")
    assert rows_of(snapshot, "people", "_rid") == [("1",), ("1#people_2.csv:2",), ("1#people_3.csv:2",)]


def test_a_digest_depends_on_the_filled_cells_only(tmp_path: Path) -> None:
    one = stage(export(tmp_path / "a", {"People": [HEAD, [1, "Ali"], [2, "Veli"]]}), LAYOUT, tmp_path / "out")
    more = [[*HEAD, "Own"], [2, "Veli"], [1, "Ali", None, None, "x"]]
    two = stage(export(tmp_path / "b", {"People": more}), LAYOUT, tmp_path / "out")
    first, second = dict(rows_of(one, "people", "id", "_digest")), dict(rows_of(two, "people", "id", "_digest"))
    assert first["2"] == second["2"]
    assert first["1"] != second["1"]
    assert len(set(first.values())) == 2


def test_the_same_files_are_staged_once(tmp_path: Path) -> None:
    source = export(tmp_path / "in", {"People": [HEAD, [1, "Ali"]]})
    seen: list[Event] = []
    first = stage(source, LAYOUT, tmp_path / "out", sink=seen.append)
    assert [e for e in seen if isinstance(e, Progress)][-1] == Progress("stage", "people", 1, 1)
    stamp = (first.path / "people.parquet").stat().st_mtime_ns
    again = stage(source, LAYOUT, tmp_path / "out")
    assert again == first == Snapshot.load(first.path)
    assert (again.path / "people.parquet").stat().st_mtime_ns == stamp
    other = stage(source, LAYOUT.overridden({"zone": "Europe/Istanbul"}), tmp_path / "out")
    export(source, {}, people_1_csv="Id;Name\n2;Veli\n")
    third = stage(source, LAYOUT, tmp_path / "out")
    assert len({first.id, other.id, third.id}) == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([first.id, other.id, third.id])


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    source = export(tmp_path / "in", {"People": [HEAD, [1, "Ali"]]}, deals_csv="Deal;Person\n1;2;3\n")
    with pytest.raises(InputError, match=r"deals\.csv"):
        stage(source, LAYOUT, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_attached_files_are_found_hashed_and_accounted_for(tmp_path: Path) -> None:
    source = export(
        tmp_path / "in",
        {},
        people_csv="Id;Name\n1;Ali\n",
        papers_csv="Paper;Of kind;Of;File;Size\nP1;Kişi;1;Çizim.txt;x\nP2;Deal;1;Çizim.txt;x\nP3;Kişi;1;none.txt;x\n",
    )
    for folder, text in (("Kişi", "person"), ("deals", "deal")):
        place = source / "files" / folder / "1"
        place.mkdir(parents=True)
        (place / "C\u0327izim.txt").write_text(text)  # a decomposed name, as some file systems keep it
    (source / "files" / "stray.bin").write_bytes(b"123")
    snapshot = stage(source, LAYOUT, tmp_path / "out")
    sha = [hashlib.sha256(text).hexdigest() for text in (b"person", b"deal")]
    assert rows_of(snapshot, "papers", "id", "_path", "_bytes", "_sha256") == [
        ("P1", "files/Kişi/1/C\u0327izim.txt", 6, sha[0]),
        ("P2", "files/deals/1/C\u0327izim.txt", 4, sha[1]),
        ("P3", None, None, None),
    ]
    files = snapshot.files
    assert (files.given, files.listed, files.found, files.bytes) == (True, 3, 2, 13)
    assert [(u.path, u.bytes) for u in files.unlisted] == [("stray.bin", 3)]


@pytest.mark.req("COM-DISC-07")
def test_fewer_rows_than_the_control_total_stop_the_staging(tmp_path: Path) -> None:
    source = export(
        tmp_path / "in", {"People": [HEAD, [1, "Ali"], [2, "Veli"]]}, control_totals_yaml="counts: {people: 3}"
    )
    with pytest.raises(InputError, match=r"2 rows found, 3 expected.*last row read is 3") as caught:
        stage(source, LAYOUT, tmp_path / "out")
    assert (caught.value.sheet, caught.value.row) == ("People", 3)


def test_sums_are_compared_exactly_and_differences_said(tmp_path: Path) -> None:
    deals = [
        ["Deal", "Amount", "Currency"],
        ["a", "1.234,56", "TRY"],
        ["b", 0.1, "TL"],
        ["b", 0.2, "TRY"],
        ["c", "soon", "TRY"],
        ["d", "₺10", "EUR"],
        ["Toplam", 1244.87],
    ]
    totals = "counts: {people: 1, deals: 4}\nsums: {deals: {amount: {TRY: '1234.86', USD: 5}}}"
    source = export(tmp_path / "in", {"People": [HEAD, [1, "Ali"]], "Deals": deals}, control_totals_yaml=totals)
    snapshot = stage(source, LAYOUT, tmp_path / "out")
    assert [(c.object, c.what, c.group, c.expected, c.found, c.matches) for c in snapshot.controls] == [
        ("people", "count", "", "1", "1", True),
        ("deals", "count", "", "4", "5", False),
        ("deals", "sum", "EUR", "0", "10", False),
        ("deals", "sum", "TRY", "1234.86", "1234.86", True),
        ("deals", "sum", "USD", "5", "0", False),
        ("deals", "sum", "", "1244.87", "1244.86", False),
    ]
    assert len(snapshot.warnings) == 4


@pytest.mark.parametrize(
    "text", ["counts: [1]", "count: {people: 1}", "sums: {deals: {amount: {TRY: many}}}", "sums: {x: {y: '1'}}", "{"]
)
def test_wrong_control_totals_are_refused(tmp_path: Path, text: str) -> None:
    sheets = {"People": [HEAD, [1, "Ali"]], "Deals": [["Deal", "Amount", "Currency"], ["a", 1, "TRY"]]}
    source = export(tmp_path / "in", sheets, control_totals_yaml=text)
    with pytest.raises(InputError):
        stage(source, LAYOUT, tmp_path / "out")


def test_one_csv_file_of_any_name_goes_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "download (3).csv"
    path.write_text("Deal;Amount\nd1;5\n", encoding="utf-8")
    snapshot = stage(path, LAYOUT, tmp_path / "out")
    assert list(snapshot.objects) == ["deals"]
    assert not snapshot.files.given
    path.write_text("Something;Else\n1;2\n", encoding="utf-8")
    with pytest.raises(InputError, match="fits no object"):
        stage(path, LAYOUT, tmp_path / "out")


def test_files_that_are_not_read_are_listed(tmp_path: Path) -> None:
    source = export(tmp_path / "in", {"People": [HEAD, [1, "Ali"]]}, other_csv="a;b\n", read_txt="x", old_xls="x")
    (source / "backup").mkdir()
    (source / "~$export.xlsx").write_bytes(b"lock")
    left = {entry.name for entry in stage(source, LAYOUT, tmp_path / "out").left_out}
    assert left == {"other.csv", "read.txt", "old.xls", "backup/", "~$export.xlsx"}


def test_no_snapshot_and_no_source_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        stage(tmp_path / "nowhere", LAYOUT, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no workbook"):
        stage(tmp_path / "empty", LAYOUT, tmp_path / "out")
    with pytest.raises(InputError, match="no snapshot"):
        Snapshot.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read"):
        Snapshot.load(tmp_path)


@pytest.mark.req("COM-DISC-06")
def test_a_composed_export_is_complete_and_unchanged(tmp_path: Path) -> None:
    made = compose(tmp_path / "in", contacts=120)
    before = contents(made.export)
    snapshot = stage(made.export, load_layout("planports"), tmp_path / "out")
    assert contents(made.export) == before
    assert all(control.matches for control in snapshot.controls)
    assert {name: snapshot.objects[name].rows for name in ("contacts", "deals", "activities")} == {
        "contacts": made.sizes.contacts,
        "deals": made.sizes.deals,
        "activities": made.sizes.activities,
    }
    for name, staged in snapshot.objects.items():
        own = [column.name for column in staged.columns]
        found = rows_of(snapshot, name, "count(*) OVER ()", "*")
        assert len(found) == staged.rows
        assert len(found[0]) - 1 - len(own) - len(SYSTEM_COLUMNS) == (4 if name == "files" else 0)
    assert [part.encoding for part in snapshot.objects["activities"].parts] == ["utf-8", "cp1254", "utf-8"]
