"""The CSV that is sent, and the join of result files to rows."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from rehouse.connectors.base import OUTCOME_SCHEMA, JobKind, Op, Part
from rehouse.connectors.salesforce import write
from rehouse.errors import OutcomeUnknownError


def part(op: Op, rows: dict[str, list[str | None]], key: str | None = None, clear: tuple[str, ...] = ()) -> Part:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})
    return Part("Contact", op, JobKind.BULK, table, key, clear)


def sent(one: Part, folder: Path) -> str:
    write.write_csv(one, folder / "x.csv")
    return (folder / "x.csv").read_bytes().decode()


def test_only_named_fields_are_cleared(tmp_path: Path) -> None:
    one = part(
        Op.UPDATE,
        {"_key": ["1"], "Id": ["003A"], "Phone": [None], "Email": [None], "LastName": ['A "b", ş\nc']},
        clear=("Phone",),
    )
    assert sent(one, tmp_path) == 'Id,Phone,Email,LastName\n"003A","#N/A",,"A ""b"", ş\nc"\n'


def test_inserts_send_no_id_and_deletes_nothing_else(tmp_path: Path) -> None:
    rows: dict[str, list[str | None]] = {"_key": ["1"], "Id": ["003A"], "LastName": ["x"], "L__c": ["1"]}
    assert sent(part(Op.INSERT, rows, "L__c"), tmp_path) == 'LastName,L__c\n"x","1"\n'
    assert sent(part(Op.DELETE, rows), tmp_path) == 'Id\n"003A"\n'


def test_a_value_that_is_the_null_marker_is_not_sent_and_not_lost(tmp_path: Path) -> None:
    one = part(Op.INSERT, {"_key": ["1", "2"], "L__c": ["1", "2"], "LastName": ["#N/A", "x"]}, "L__c")
    assert "#N/A" not in sent(one, tmp_path)
    outcomes = joined(one, good=[("003B", "2")], bad=[])
    assert outcomes["ok"].to_pylist() == [False, True]
    assert outcomes["code"].to_pylist() == ["NULL_MARKER_AS_VALUE", None]


def joined(
    one: Part,
    good: list[tuple[str, str]],
    bad: list[tuple[str, str]],
    idle: list[str] | None = None,
    reason: tuple[str, str] = ("UNPROCESSED", ""),
) -> pa.Table:
    name = write.join_columns(one)[0]

    def table(first: str, rows: list[tuple[str, str]]) -> pa.Table:
        shape = pa.schema([(first, pa.string()), (name, pa.string())])
        return pa.table({first: [a for a, _ in rows], name: [b for _, b in rows]}, schema=shape)

    rest = None if idle is None else pa.table({name: pa.array(idle, pa.string())})
    return write._join(one, [name], table("sf__Id", good), table("sf__Error", bad), rest, reason)


def test_results_are_joined_by_key_whatever_their_order() -> None:
    keys = [f"C-{n}" for n in range(500)]
    one = part(Op.INSERT, {"_key": keys, "L__c": keys}, "L__c")
    good = [(f"003{n:012}", f"C-{n}") for n in range(500) if n % 3]
    bad = [(f"STRING_TOO_LONG:too long {n}:LastName --", f"C-{n}") for n in range(500) if not n % 3]
    random.Random(7).shuffle(good)
    random.Random(8).shuffle(bad)
    outcomes = joined(one, good, bad)
    assert outcomes.schema == OUTCOME_SCHEMA
    for n, row in enumerate(outcomes.to_pylist()):
        assert row["key"] == f"C-{n}"
        assert row["ok"] is bool(n % 3)
        assert row["id"] == (f"003{n:012}" if n % 3 else None)
        assert row["message"] == (None if n % 3 else f"too long {n}")
        assert row["advice"] == (None if n % 3 else "fix data")


def test_updates_are_joined_by_id() -> None:
    one = part(Op.UPDATE, {"_key": ["a", "b"], "Id": ["003A", "003B"], "Phone": ["1", "2"]})
    outcomes = joined(one, [("003B", "003B")], [("UNABLE_TO_LOCK_ROW:busy:--", "003A")])
    assert outcomes["ok"].to_pylist() == [False, True]
    assert outcomes["advice"].to_pylist() == ["retry", None]
    assert outcomes["message"].to_pylist() == ["busy", None]


def test_rows_in_no_result_file_are_unknown() -> None:
    one = part(Op.INSERT, {"_key": ["1", "2"], "L__c": ["1", "2"]}, "L__c")
    with pytest.raises(OutcomeUnknownError, match="1 of 2"):
        joined(one, [("003A", "1")], [], [])


def test_unprocessed_rows_carry_the_reason_of_the_job() -> None:
    one = part(Op.INSERT, {"_key": ["1", "2"], "L__c": ["1", "2"]}, "L__c")
    outcomes = joined(one, [("003A", "1")], [], ["2"], ("EXCEEDEDQUOTA", "15,000 batches"))
    assert outcomes["code"].to_pylist() == [None, "EXCEEDEDQUOTA"]
    assert outcomes["advice"].to_pylist() == [None, "stop"]


def test_a_job_that_never_began_refuses_every_row() -> None:
    one = part(Op.INSERT, {"_key": ["1", "2"], "L__c": ["1", "2"]}, "L__c")
    outcomes = joined(one, [], [], [], ("InvalidBatch", "Field name not found : X"))
    assert outcomes["code"].to_pylist() == ["InvalidBatch"] * 2
    assert outcomes["advice"].to_pylist() == ["fix target"] * 2


def test_rows_without_an_external_id_are_joined_by_all_their_values() -> None:
    table = {"_key": ["1", "2", "3"], "A": ["x", "x", "y"], "B": [None, None, "z"]}
    one = part(Op.INSERT, table)
    assert write.join_columns(one) == ["A", "B"]
    good = pa.table({"sf__Id": ["006B", "006A"], "A": ["y", "x"], "B": ["z", ""]})
    bad = pa.table({"sf__Error": ["DUPLICATE_VALUE:twice:--"], "A": ["x"], "B": [""]})
    outcomes = write._join(one, ["A", "B"], good, bad, None, ("UNPROCESSED", ""))
    assert outcomes["id"].to_pylist() == ["006A", None, "006B"]
    assert outcomes["code"].to_pylist() == [None, "DUPLICATE_VALUE", None]
