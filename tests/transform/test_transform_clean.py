"""Dictionaries: distinct values only, kept on disk, complete for what a query reads."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from transform_tools import TURKISH, Engine, parse

from rehouse.mapping import expressions as ex
from rehouse.mapping.schema import Output
from rehouse.transform.clean import build_dictionaries, dictionary
from rehouse.transform.duckdb import output_losses
from rehouse.transform.locale import Locale, format_pattern
from rehouse.transform.parties import turkish_lower, turkish_upper


def test_each_text_is_cleaned_once_and_kept(engine: Engine, tmp_path: Path) -> None:
    node = parse({"phone": "x", "region": "TR"})
    engine.rows([{"x": "0532 123 45 67"}, {"x": "0532 123 45 67"}, {"x": "yok"}, {"x": None}])
    cache = tmp_path / "clean"
    assert build_dictionaries(engine.connection, node, engine.context(), "t", cache) == {"clean_phone_TR": 2}
    assert build_dictionaries(engine.connection, node, engine.context(), "t", cache) == {"clean_phone_TR": 0}
    engine.rows([{"x": "0532 123 45 67"}, {"x": "0533 123 45 67"}])
    assert build_dictionaries(engine.connection, node, engine.context(), "t", cache) == {"clean_phone_TR": 1}
    (file,) = cache.iterdir()
    assert pq.read_table(file).num_rows == 3

    with duckdb.connect() as later:
        other = Engine(later)
        other.rows([{"x": "0532 123 45 67"}, {"x": "0534 123 45 67"}])
        assert build_dictionaries(later, node, other.context(), "t", cache) == {"clean_phone_TR": 1}
        assert other.evaluate(node) == ["+905321234567", "+905341234567"]


def test_a_dictionary_may_read_another_one(engine: Engine) -> None:
    node = parse({"company_key": {"name": "x", "part": "family"}})
    engine.rows([{"x": "Ayşe DEMİR"}, {"x": "Demir"}])
    assert engine.evaluate(node) == ["demir", "demir"]


def test_an_empty_relation_leaves_an_empty_dictionary(engine: Engine) -> None:
    engine.rows([])
    assert engine.evaluate(parse({"email": "x"})) == []
    assert engine.connection.execute('SELECT count(*) FROM "clean_email"').fetchall() == [(0,)]


def test_entries_keep_every_part() -> None:
    table = dictionary("clean_email", ["a@b.co;c@d.co;bozuk", "a@b.co;c@d.co;bozuk", "x"])
    assert table.to_pylist() == [
        {"raw": "a@b.co;c@d.co;bozuk", "first": "a@b.co", "rest": "c@d.co", "invalid": "bozuk"},
        {"raw": "x", "first": None, "rest": None, "invalid": "x"},
    ]


@pytest.mark.req("COM-MAP-05")
def test_what_another_field_takes_is_no_loss(engine: Engine) -> None:
    first, rest = parse({"email": "x", "take": 1}), parse({"email": "x", "take": "rest"})
    one, two = (parse({"phone": {"part": "y", "separator": "/", "take": n}, "region": "TR"}) for n in (1, 2))
    ctx = engine.context()

    def lossy(**fields: ex.Expression) -> dict[str, list[str]]:
        return {k: [x.code for x in v] for k, v in output_losses(Output("O", "O", fields), ctx).items()}

    assert lossy(Email=first) == {"Email": ["further_values"]}
    assert lossy(Email=first, Other=rest) == {}
    assert lossy(Phone=one, Mobile=two) == {"Mobile": ["further_values"]}  # a third number would be lost


def test_turkish_letters() -> None:
    assert turkish_lower("ISPARTA İZMİR") == "ısparta izmir"
    assert turkish_upper("ısparta izmir") == "ISPARTA İZMİR"


def test_another_locale_reads_its_own_numbers_and_dates(engine: Engine) -> None:
    engine.locale = Locale(decimal=".", thousands=",", zone="UTC", date_formats=("%m/%d/%Y",), datetime_formats=())
    engine.rows([{"x": "1,234.56"}, {"x": "1.234,56"}, {"x": "12/31/2024"}, {"x": "31/12/2024"}])
    assert engine.evaluate(parse({"number": "x"})) == ["1234.56", None, None, None]
    assert engine.evaluate(parse({"date": "x"})) == [None, None, "2024-12-31", None]


def test_a_locale_from_a_layout() -> None:
    layout = {"locale": "tr_TR", "zone": "Europe/Istanbul", "empty_values": ["-"], "true_values": ["Evet"]}
    found = Locale.of(layout)
    assert (found.language, found.empty_values, found.true_values) == ("tr", ("-",), ("Evet",))
    assert TURKISH.language == "tr"


@pytest.mark.parametrize(("decimal", "thousands"), [(",", ","), (",", ""), ("^", "."), (",", "]")])
def test_a_locale_that_could_not_be_read_is_refused(decimal: str, thousands: str) -> None:
    with pytest.raises(ValueError, match="decimal and thousands"):
        Locale(decimal=decimal, thousands=thousands)


def test_a_date_format_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="%y"):
        format_pattern("%d.%m.%y")
