"""The tables of codes, applied to whole requests and to records."""

from __future__ import annotations

import json

import pytest

from rehouse.connectors.base import Advice
from rehouse.connectors.salesforce.errors import RefusedError, SessionEndedError, advice_for, judge, lenient, split_cell
from rehouse.connectors.salesforce.soap import judge as soap_judge
from rehouse.errors import FatalError, OutcomeUnknownError, RetryableError
from rehouse.wire import Answer, BudgetError, Call

READ, WRITE = Call("GET", "https://x/q"), Call("POST", "https://x/q")


def answer(status: int, code: str = "", message: str = "") -> Answer:
    body = json.dumps([{"errorCode": code, "message": message}]) if code else "<html>down</html>"
    return Answer(status, {}, body.encode())


@pytest.mark.parametrize(
    ("call", "given", "expected"),
    [
        (WRITE, answer(401, "INVALID_SESSION_ID"), SessionEndedError),
        (WRITE, answer(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), BudgetError),
        (WRITE, answer(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (…) Limit exceeded."), RetryableError),
        (WRITE, answer(503), OutcomeUnknownError),
        (READ, answer(503), RetryableError),
        (WRITE, answer(500, "UNKNOWN_EXCEPTION"), OutcomeUnknownError),
        (WRITE, answer(429), RetryableError),
        (WRITE, answer(400, "INVALID_FIELD", "No such column"), RefusedError),
        (WRITE, answer(400, "STORAGE_LIMIT_EXCEEDED"), FatalError),
        (READ, answer(418), FatalError),
    ],
)
def test_each_answer_has_one_meaning(call: Call, given: Answer, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        judge(call, given)


def test_a_soap_fault_is_told_by_its_code() -> None:
    inner = "<e:Fault><faultcode>sf:INVALID_SESSION_ID</faultcode></e:Fault>"
    fault = f"<e:Envelope xmlns:e='x'><e:Body>{inner}</e:Body></e:Envelope>"
    with pytest.raises(SessionEndedError):
        soap_judge(WRITE, Answer(500, {}, fault.encode()))


def test_a_refused_record_passes_and_a_full_org_does_not() -> None:
    lenient(WRITE, answer(400, "REQUIRED_FIELD_MISSING"))
    lenient(WRITE, answer(400, "UNABLE_TO_LOCK_ROW"))
    with pytest.raises(FatalError):
        lenient(WRITE, answer(400, "STORAGE_LIMIT_EXCEEDED"))
    with pytest.raises(BudgetError):
        lenient(WRITE, answer(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."))


def test_an_unclassified_code_means_stop() -> None:
    assert advice_for("NEVER_SEEN_BEFORE") is Advice.STOP
    assert advice_for("UNABLE_TO_LOCK_ROW") is Advice.RETRY


def test_the_query_and_its_values_are_not_repeated() -> None:
    text = (
        "\nSELECT Id FROM Contact WHERE Email = 'ayse@x.test'\n   ^\nERROR at Row:1:Column:8\nNo such column 'Foo__c'"
    )
    with pytest.raises(RefusedError) as caught:
        judge(READ, answer(400, "INVALID_FIELD", text))
    assert "ayse" not in caught.value.message
    assert "No such column 'Foo__c'" in caught.value.message


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("REQUIRED_FIELD_MISSING:Required: [LastName]:LastName --", ("REQUIRED_FIELD_MISSING", "Required: [LastName]")),
        ("UNABLE_TO_LOCK_ROW:no access: 001A:--", ("UNABLE_TO_LOCK_ROW", "no access: 001A")),
        ("InvalidBatch : Field name not found : X", ("InvalidBatch", "Field name not found : X")),
        ("A_CODE:two\nlines:F --", ("A_CODE", "two\nlines")),
        ("no code at all", ("UNKNOWN", "no code at all")),
    ],
)
def test_bulk_cells_are_taken_apart(cell: str, expected: tuple[str, str]) -> None:
    assert split_cell(cell) == expected
