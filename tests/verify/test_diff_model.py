"""The set-wise diff against a model that looks at one record after the other."""

from __future__ import annotations

import tempfile
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehouse.connectors.base import AuditFields
from rehouse.model import Field, Kind
from rehouse.plan.engine import parquet
from rehouse.verify.diff import Side, as_stored, diff

FIELDS = (
    Field(name="Key", label="Key", kind=Kind.TEXT, external_id=True),
    Field(name="Name", label="Name", kind=Kind.TEXT),
    Field(name="Amount", label="Amount", kind=Kind.MONEY, scale=2),
    Field(name="Done", label="Done", kind=Kind.BOOLEAN),
    Field(name="At", label="At", kind=Kind.DATETIME),
    Field(name="Made", label="Made", kind=Kind.DATETIME, defaulted=True),
)
AUDIT = AuditFields("Created", "CreatedBy", "Modified", "ModifiedBy", "Stamp")
US, THEM = "us", "them"
MOMENTS = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z")
VALUES = {
    "Key": st.sampled_from(["k", "k ", "K", None]),
    "Name": st.sampled_from([None, "", "a", " a", "a ", "A", "ab", " "]),
    "Amount": st.sampled_from([None, "1", "1.00", "1.005", "1.01", "0", "-0.004", "12345678901234.56"]),
    "Done": st.sampled_from([None, "true", "false"]),
    "At": st.sampled_from([None, *MOMENTS]),
    "Made": st.sampled_from([None, *MOMENTS]),
}
record = st.fixed_dictionaries(VALUES)
landed_record = st.fixed_dictionaries(
    {**VALUES, "Created": st.just(MOMENTS[0]), "CreatedBy": st.sampled_from([US, THEM]),
     "Modified": st.sampled_from(MOMENTS), "ModifiedBy": st.sampled_from([US, US, THEM]),
     "Stamp": st.sampled_from(MOMENTS)}
)  # fmt: skip
Row = dict[str, str | None]


def same(field: Field, planned: str | None, landed: str | None) -> bool:
    """What a reader of the docstrings would say."""
    if field.defaulted and planned is None:
        return True
    if field.kind is Kind.BOOLEAN:
        return (planned or "false") == (landed or "false")
    if field.kind is Kind.MONEY:
        if planned is None or landed is None:
            return planned is landed
        rounded = Decimal(planned).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return Decimal(landed) in (Decimal(planned), rounded)
    if field.kind is Kind.TEXT:
        return (landed or None) in ((planned or "").strip() or None, planned or None)
    return (planned or None) == (landed or None)


def model(
    expected: list[Row], landed: dict[str, Row], ids: dict[str, str], stamps: dict[str, str]
) -> set[tuple[str, ...]]:
    """(id, field or '', verdict)."""
    found = set()
    for row in expected:
        key = str(row["_key"])
        if key not in ids:
            continue
        there = landed.get(ids[key])
        if there is None:
            found.add((ids[key], "", "missing"))
            continue
        why = "changed"
        if str(there["Stamp"]) > stamps[key]:
            why = "set by automation"
        if str(there["Modified"]) > stamps[key] or there["ModifiedBy"] != US:
            why = "edited since"
        found |= {(ids[key], f.name, why) for f in FIELDS if not same(f, row[f.name], there[f.name])}
    for record_id, there in landed.items():
        if record_id not in ids.values():
            ours = there["Key"] is not None or there["CreatedBy"] == US
            found.add((record_id, "", "extra" if ours else "created since"))
    return found


def run(
    expected: list[Row], landed: dict[str, Row], ids: dict[str, str], stamps: dict[str, str]
) -> set[tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        names = ["_key", "_rid", *(f.name for f in FIELDS)]
        columns = ["Id", *(f.name for f in FIELDS), "Created", "CreatedBy", "Modified", "ModifiedBy", "Stamp"]
        wanted = pa.table({n: pa.array([r[n] for r in expected], pa.string()) for n in names})
        rows = [{"Id": i, **r} for i, r in landed.items()]
        pq.write_table(wanted, Path(folder) / "expected.parquet")
        there = pa.table({n: pa.array([r[n] for r in rows], pa.string()) for n in columns})
        pq.write_table(there, Path(folder) / "landed.parquet")
        connection.execute("CREATE TABLE id_map (object VARCHAR, key VARCHAR, id VARCHAR)")
        connection.execute(
            "CREATE TABLE stamps (output VARCHAR, key VARCHAR, id VARCHAR, modified VARCHAR, stamp VARCHAR)"
        )
        connection.execute("CREATE TABLE refs (ref VARCHAR, id VARCHAR)")
        for key, record_id in ids.items():
            connection.execute("INSERT INTO id_map VALUES ('Out', ?, ?)", [key, record_id])
            connection.execute(
                "INSERT INTO stamps VALUES ('Out', ?, ?, ?, ?)", [key, record_id, stamps[key], stamps[key]]
            )
        side = Side(
            output="Out", object="Thing", expected=f"SELECT * FROM {parquet(Path(folder) / 'expected.parquet')}",
            landed=Path(folder) / "landed.parquet", fields=FIELDS, raw={}, staging=None, audit=AUDIT, our_user=US,
        )  # fmt: skip
        result = diff(connection, [side], Path(folder) / "diff.parquet")
        found = connection.execute(
            f"SELECT id, coalesce(field, ''), verdict FROM {parquet(result.differences)}"
        ).fetchall()
    assert len(found) == len(set(found))
    return set(found)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_diff_says_what_the_model_says(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 6))
    expected: list[Row] = [{"_key": f"k{n}", "_rid": f"r{n}", **data.draw(record)} for n in range(size)]
    loaded = data.draw(st.sets(st.integers(0, max(size - 1, 0)))) if size else set()
    ids = {f"k{n}": f"id{n}" for n in loaded}
    landed: dict[str, Row] = {}
    for n in loaded:
        if data.draw(st.booleans()):
            copied = {f.name: expected[n][f.name] for f in FIELDS}
            landed[f"id{n}"] = data.draw(landed_record) | (copied if data.draw(st.booleans()) else {})
    for n in range(data.draw(st.integers(0, 2))):
        landed[f"stranger{n}"] = data.draw(landed_record)
    stamps = {key: data.draw(st.sampled_from(MOMENTS)) for key in ids}
    assert run(expected, landed, ids, stamps) == model(expected, landed, ids, stamps)


@pytest.mark.parametrize(
    ("kind", "planned", "landed", "equal"),
    [
        (Kind.TEXT, "a", "a ", False),
        (Kind.TEXT, " a\n", "a", True),
        (Kind.TEXT, None, "", True),
        (Kind.TEXT, "a", "", False),
        (Kind.TEXT, "İ", "i", False),
        (Kind.EMAIL, "a@b.example", "A@b.example", False),
        (Kind.MONEY, "1.005", "1.01", True),
        (Kind.MONEY, "1.01", "1.0100001", False),
        (Kind.MONEY, None, "0", False),
        (Kind.BOOLEAN, None, "false", True),
        (Kind.BOOLEAN, "true", None, False),
        (Kind.DATETIME, MOMENTS[0], MOMENTS[1], False),
        (Kind.REFERENCE, "001A", "001a", False),
        (Kind.OPTION, "Won", "Won ", False),
    ],
)
def test_what_counts_as_the_same(kind: Kind, planned: str | None, landed: str | None, equal: bool) -> None:
    field = Field(name="F", label="F", kind=kind, scale=2)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (p VARCHAR, l VARCHAR)")
        connection.execute("INSERT INTO t VALUES (?, ?)", [planned, landed])
        assert connection.execute(f"SELECT {as_stored(field, 'p', 'l')} FROM t").fetchall() == [(equal,)]
