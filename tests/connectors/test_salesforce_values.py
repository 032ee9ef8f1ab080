"""The platform's spelling of values, and ours."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehouse.connectors.salesforce.values import canonical, to_json
from rehouse.model import Kind

GOLDEN = [
    (Kind.DECIMAL, "5.0", "5"),
    (Kind.DECIMAL, "5E+1", "50"),
    (Kind.DECIMAL, "1.25e-3", "0.00125"),
    (Kind.DECIMAL, "-0.0", "0"),
    (Kind.DECIMAL, ".5", "0.5"),
    (Kind.DECIMAL, "-.50", "-0.5"),
    (Kind.MONEY, "1234567890123456.78", "1234567890123456.78"),
    (Kind.MONEY, "100", "100"),
    (Kind.INTEGER, "10", "10"),
    (Kind.PERCENT, "10.500", "10.5"),
    (Kind.BOOLEAN, "True", "true"),
    (Kind.DATETIME, "2026-01-31T12:00:00.000+0000", "2026-01-31T12:00:00.000Z"),
    (Kind.DATETIME, "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z"),
    (Kind.DATETIME, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
    (Kind.DATE, "2026-01-31", "2026-01-31"),
    (Kind.TEXT, "5.0", "5.0"),
    (Kind.TEXT, "", None),
    (Kind.DECIMAL, "", None),
]


@pytest.mark.parametrize(("kind", "wire", "ours"), GOLDEN)
def test_values_arrive_in_canonical_form(kind: Kind, wire: str, ours: str | None) -> None:
    column = pa.array([wire, None, wire], pa.string())
    assert canonical(column, kind).to_pylist() == [ours, None, ours]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**14), max_value=10**14))
def test_a_number_keeps_its_value_through_json_and_back(number: object) -> None:
    text = canonical(pa.array([str(number)]), Kind.DECIMAL).to_pylist()[0]
    sent = orjson.dumps(to_json(text, Kind.DECIMAL)).decode()
    assert canonical(pa.array([sent]), Kind.DECIMAL).to_pylist() == [text]
    assert "E" not in sent
    assert float(sent) == float(str(number))


def test_json_values_have_types() -> None:
    record = {
        "n": to_json("1234567890123456.78", Kind.MONEY),
        "b": to_json("false", Kind.BOOLEAN),
        "t": to_json("007", Kind.TEXT),
        "none": to_json(None, Kind.DATE),
    }
    assert orjson.dumps(record) == b'{"n":1234567890123456.78,"b":false,"t":"007","none":null}'
