"""Generated expressions over generated rows: the engine and the oracle never differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transform_tools import LIMITS, TURKISH, Engine

from rehouse.mapping import expressions as ex
from rehouse.transform import sql
from rehouse.transform.oracle import World, codes, evaluate, normalised

COLUMNS = ("x", "y", "z")
NASTY = "aAbçÇğıIiİöşŞßñ é0123456789.,;:/|-+%₺'\"\\()_@\t\n\r\x00\x07\x7f\u0085\u00a0\u200b\u2060\u0301👍"

words = st.text(NASTY, max_size=12)
numbers = st.one_of(
    st.from_regex(r"-?[0-9]{1,3}(\.[0-9]{3}){0,3}(,[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"[%₺]? ?[+−-]?[0-9]{1,5},?[0-9]{0,3} ?(TL|%|EUR)?", fullmatch=True),
)
days = st.dates(min_value=date(1985, 1, 1), max_value=date(2040, 1, 1))
changes = st.sampled_from(["28.03.2010", "31.10.2010", "29.03.2015", "08.11.2015", "07.09.2016", "14.03.2021"])
clocks = st.one_of(st.from_regex(r"[0-2]?[0-9]:[0-6][0-9](:[0-6][0-9])?", fullmatch=True), st.just("03:30"))
moments = st.builds(lambda d, t: f"{d} {t}", st.one_of(changes, days.map(lambda d: d.strftime("%d.%m.%Y"))), clocks)
iso = st.builds(
    lambda d, t, z: f"{d}T{t}{z}",
    days,
    st.from_regex(r"[0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,7})?)?", fullmatch=True),
    st.sampled_from(["", "Z", "+03:00", "-0530", "+18:59"]),
)
durations = st.from_regex(r"[0-9]{1,3}:[0-9]{2}(:[0-9]{2})?|([0-9]{1,3} ?(sa|dk|sn|h|m|s)\.? ?){1,3}", fullmatch=True)
names = st.sampled_from(
    ["Prof.Dr. ALİ RIZA IŞIK", "Yılmaz, Ayşe", "Ahmet Bey", "Madonna", "AYŞE YILMAZ-KAYA", "Demir San. A.Ş.", "A. Ş."]
)
contacts = st.sampled_from(
    ["0532 123 45 67", "p:+90 212 444 55 66", "12", "a@b.co; C@D.co", "a@b.co;bozuk", "mailto:x@y.co,", "İ@x.co"]
)
options = st.sampled_from(["a", "b", "Evet", "HAYIR", "Kişi", "true", "false"])
cells = st.one_of(st.none(), words, numbers, moments, days.map(str), iso, durations, names, contacts, options).map(
    normalised
)
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), min_size=1, max_size=6)

column = st.sampled_from(COLUMNS).map(ex.Column)
constant = st.sampled_from(["a", "1,5", "0", "2024-05-01", "c;d"]).map(ex.Constant)
limit = st.one_of(st.none(), st.integers(1, 12))
separator = st.sampled_from([",", ";", "/", " "])
pairs = st.sampled_from([(), (("a", "A"), ("Kişi", "Contact")), (("true", "Evet"), ("Evet", "e'"))])
fallback: st.SearchStrategy[str | ex.Constant] = st.sampled_from(["reject", "keep", ex.Constant("Z")])


def _wrapped(inner: st.SearchStrategy[ex.Expression]) -> st.SearchStrategy[ex.Expression]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    operand = st.one_of(constant, inner)
    simple = st.one_of(
        st.builds(ex.Equals, inner, operand),
        st.builds(ex.In, inner, st.just(("a", "Evet", "1"))),
        st.builds(ex.Greater, inner, operand),
        st.builds(ex.Present, inner),
        st.builds(ex.Missing, inner),
    )
    condition = st.one_of(
        simple,
        st.builds(ex.Not, simple),
        st.builds(ex.All, st.tuples(simple, simple)),
        st.builds(ex.AnyOf, st.tuples(simple, simple)),
    )
    return st.one_of(
        st.builds(ex.Text, inner, limit),
        st.builds(ex.Join, parts, st.sampled_from([" ", "", " / "]), limit),
        st.builds(ex.FirstOf, parts, limit),
        st.builds(ex.Part, inner, separator, st.integers(1, 3)),
        st.builds(ex.ListOf, inner, separator, st.just(";"), limit),
        st.builds(ex.MostCommon, inner, limit),
        st.builds(ex.Name, inner, st.sampled_from(["given", "family", "honorific"]), limit),
        st.builds(ex.Phone, inner, st.just("TR")),
        st.builds(ex.Email, inner, st.sampled_from(["1", "rest"]), limit),
        st.builds(ex.CompanyKey, inner),
        st.builds(ex.Number, inner, st.one_of(st.none(), st.integers(0, 4))),
        st.builds(ex.Integer, inner),
        st.builds(ex.Boolean, inner, st.sampled_from([None, "true", "false"])),
        st.builds(ex.Date, inner),
        st.builds(
            ex.DateTime,
            inner,
            st.sampled_from([None, "UTC", "America/New_York"]),
            st.sampled_from(["earlier", "later"]),
            st.sampled_from(["forward", "reject"]),
        ),
        st.builds(ex.Duration, inner, st.sampled_from(["seconds", "minutes", "hours"])),
        st.builds(ex.Option, inner, pairs, fallback),
        st.builds(ex.RecordType, inner, pairs, st.sampled_from(["reject", ex.Constant("Z")])),
        st.builds(ex.Owner, inner),
        st.builds(ex.Reference, inner, st.one_of(st.just("Account"), st.builds(ex.Polymorphic, inner, pairs))),
        st.builds(ex.Lookup, st.just("a"), st.just("others"), st.just("b"), inner),
        st.builds(ex.If, condition, inner, st.one_of(st.none(), inner)),
    )


expressions = st.recursive(st.one_of(column, column, constant), _wrapped, max_leaves=3)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    connection = duckdb.connect(config={"threads": 1})
    yield Engine(connection)
    connection.close()


@given(node=_wrapped(expressions), given_rows=rows)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_engine_and_oracle_agree(engine: Engine, node: ex.Expression, given_rows: list[dict[str, str | None]]) -> None:
    others = [{"a": "first", "b": "a"}, {"a": "second", "b": "a"}, {"a": None, "b": "1"}, {"a": "l", "b": "1"}]
    engine.rows(given_rows)
    engine.table("others", others, ("a", "b"))
    worlds = [World(r, TURKISH, LIMITS, engine.object, {"others": others}) for r in given_rows]
    assert engine.evaluate(node) == [evaluate(node, w) for w in worlds]
    assert engine.codes(node) == [codes(node, w) for w in worlds]


@given(raw=st.lists(st.one_of(st.none(), words, st.sampled_from(["-", " yok ", "e\u0301", ".", " . "])), min_size=1))
@settings(max_examples=100, deadline=None)
def test_a_cell_is_normalised_alike(engine: Engine, raw: list[str | None]) -> None:
    engine.rows([{"x": cell} for cell in raw])
    rendered = sql.normalised_column(sql.column("x", "t"), TURKISH.empty_values)
    found = engine.connection.execute(f'SELECT {rendered.sql(dialect="duckdb")} FROM t ORDER BY t."_row"').fetchall()
    assert [row[0] for row in found] == [normalised(cell, TURKISH.empty_values) for cell in raw]
