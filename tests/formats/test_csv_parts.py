"""CSV files: other people's cases, every encoding of the layout, and no way to lose a record silently."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from format_tools import csv_layout, layout_of, read_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rehouse.errors import InputError

SPECTRUM = sorted((Path(__file__).parents[1] / "data" / "csv_spectrum").glob("*.csv"))
LAYOUT = layout_of({"id": "id", "name": "text", "note": "text"}, total_row_labels=["Toplam"])


def lines_of(tmp_path: Path, data: bytes) -> list[list[str | None]]:
    path = tmp_path / "things.csv"
    path.write_bytes(data)
    return read_lines(path, LAYOUT, tmp_path / "out.parquet")[1]


def refusal(tmp_path: Path, data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        lines_of(tmp_path, data)
    assert caught.value.file == "things.csv"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("path", SPECTRUM, ids=[path.stem for path in SPECTRUM])
def test_published_cases_read_as_published(tmp_path: Path, path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    headers = list(expected[0])
    _, rows = read_lines(path, csv_layout(headers), tmp_path / "out.parquet")
    # An empty cell is no value in staging; the published expectation writes it as an empty text.
    assert [dict(zip(headers, (cell or "" for cell in row), strict=True)) for row in rows] == expected


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
        ("cp1254", "cp1254"),
    ],
)
def test_turkish_letters_in_every_encoding(tmp_path: Path, codec: str, name: str) -> None:
    path = tmp_path / "things.csv"
    path.write_bytes("Id;Name;Note\n1;Şişecam İğne ıIiİ;çöğüş – “x”\n".encode(codec))
    part, rows = read_lines(path, LAYOUT, tmp_path / "out.parquet")
    assert rows == [["1", "Şişecam İğne ıIiİ", "çöğüş – “x”"]]
    assert part.encoding == name


def test_western_letters_without_turkish_ones(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    text = "Id;Name;Note\n" + "".join(f"{n};Müller & Söhne;déjà vu à la carte\n" for n in range(40))
    path.write_bytes(text.encode("cp1252"))
    part, rows = read_lines(path, LAYOUT, tmp_path / "out.parquet")
    assert rows[0] == ["0", "Müller & Söhne", "déjà vu à la carte"]
    assert part.encoding in ("cp1252", "cp1254")


def test_a_file_of_two_encodings_is_refused_at_the_byte(tmp_path: Path) -> None:
    good = "Id;Name;Note\n1;Şişli;çok\n".encode()
    fault = refusal(tmp_path, good + "2;Ş;x\n".encode("cp1254"))
    assert fault.row == 3
    assert f"byte {len(good) + 2} " in fault.message


def test_bytes_that_no_declared_encoding_knows(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"Id;Name;Note\n1;\x81\x8d;x\n").row == 2


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path: Path, delimiter: str, end: str) -> None:
    text = f"Id;Name;Note{end}1;a;b{end}{end}2;c;".replace(";", delimiter)
    assert lines_of(tmp_path, text.encode()) == [["1", "a", "b"], ["2", "c", None]]


def test_line_ends_inside_quotes_are_kept(tmp_path: Path) -> None:
    data = b'Id;Name;Note\r\n1;"a\nb";"c\r\nd"\r\n2;"e""f";" g "\r\n'
    assert lines_of(tmp_path, data) == [["1", "a\nb", "c\r\nd"], ["2", 'e"f', " g "]]


def test_mixed_line_ends_between_records(tmp_path: Path) -> None:
    assert len(lines_of(tmp_path, b'Id;Name;Note\r\n1;a;"x\r\ny"\n2;b;c\r\n3;d;e\n')) == 3


def test_loose_quotes_are_text(tmp_path: Path) -> None:
    assert lines_of(tmp_path, b'Id;Name;Note\n1;5" pipe;x\n2;"q";y\n') == [["1", '5" pipe', "x"], ["2", "q", "y"]]


def test_titles_above_the_header_and_rows_of_totals(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    path.write_text("Export\n\nNote;ID;Own\nx;1;\ny;2;z\nToplam;9;\n", encoding="utf-8")
    part, rows = read_lines(path, LAYOUT, tmp_path / "out.parquet")
    assert rows == [["x", "1", None], ["y", "2", "z"]]
    assert [(total.row, dict(total.values)) for total in part.totals] == [(4, {"note": "Toplam", "id": "9"})]
    assert (part.rows, part.last_row, part.columns[2].custom) == (2, 3, True)


@pytest.mark.req("COM-DQ-06")
def test_a_quote_never_closed_is_found_where_it_opens(tmp_path: Path) -> None:
    fault = refusal(tmp_path, b'Id;Name;Note\n1;"a\nb";c\n2;"never;closed\n3;d;e\n4;f;g\n')
    assert fault.row == 4
    assert "never closed" in fault.message


def test_a_quote_closed_by_a_later_one_is_no_record(tmp_path: Path) -> None:
    assert refusal(tmp_path, b'Id;Name;Note\n1;"a;b\n2;"c";d\n3;e;f\n').row == 2


def test_too_few_and_too_many_cells_name_their_lines(tmp_path: Path) -> None:
    fault = refusal(tmp_path, b'Id;Name;Note\n1;"a\n\nb";c\n2;d\n3;e;f;g\n')
    assert (fault.row, fault.column) == (5, "Note")
    assert "line 6 has 4" in fault.message


def test_a_missing_required_column_and_an_empty_file(tmp_path: Path) -> None:
    assert "'Id'" in refusal(tmp_path, b"Name;Note\na;b\n").message
    assert "empty" in refusal(tmp_path, b"").message


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\x00\ufeff"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.tuples(st.integers(0, 9**9).map(str), CELLS, CELLS), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    always=st.booleans(),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_wrote_is_read_back(
    rows: list[tuple[str, str, str]], end: str, always: bool, codec: str
) -> None:
    text = io.StringIO()
    # The writer leaves a lone carriage return unquoted, which no reader can tell from a line end.
    always = always or any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=";", lineterminator=end, quoting=quoting).writerows([("Id", "Name", "Note"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "things.csv"
        path.write_bytes(text.getvalue().encode(codec))
        _, found = read_lines(path, layout_of({"id": "id", "name": "text", "note": "text"}), Path(folder) / "o.parquet")
    assert found == [[cell or None for cell in row] for row in rows]
