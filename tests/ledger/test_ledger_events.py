from __future__ import annotations

import pytest

from rehouse.errors import FatalError
from rehouse.ledger import Decision, Intent, JobOpened, LedgerEvent, Outcome, RunOpened, StageClosed
from rehouse.ledger.events import KINDS, from_body, kind_of, segments_of, to_body


def test_every_event_of_the_union_is_known_by_its_name() -> None:
    assert len(KINDS) == 14
    assert all(kind_of(cls) == name for name, cls in KINDS.items())


@pytest.mark.parametrize(
    "event",
    [
        RunOpened("digest", "sample", "ada", "00D1"),
        Intent("load", 3, "Contact", "insert", "bulk", 10, None, "ab" * 32),
        JobOpened(4, {"id": "750", "kind": "bulk"}),
        Outcome(4, "cd" * 32, 9, 1, settled=True, how="asked by external id"),
        StageClosed("load", None, {"ok": 9, "share": 0.9}),
    ],
)
def test_an_event_comes_back_from_its_body(event: LedgerEvent) -> None:
    assert from_body(kind_of(event), to_body(event)) == event


def test_an_older_body_without_a_later_optional_field_can_be_read() -> None:
    assert from_body("Outcome", {"intent": 1, "segment": "x", "ok": 1, "refused": 0}) == Outcome(1, "x", 1, 0)


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("Nonsense", {}, "unknown kind 'Nonsense'"),
        ("Paused", {}, "missing field 'reason'"),
        ("Paused", {"reason": "x", "extra": 1}, "unknown field 'extra'"),
        ("Paused", {"reason": 1}, "'reason' holds int"),
        ("Outcome", {"intent": True, "segment": "x", "ok": 1, "refused": 0}, "'intent' holds bool"),
        ("RunOpened", {"plan": "p", "verb": "try", "by": "b", "org": "o"}, "verb is none of sample, apply, rollback"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_name(kind: str, body: dict[str, object], words: str) -> None:
    with pytest.raises(FatalError, match=words):
        from_body(kind, body)


def test_an_operation_outside_the_catalogue_is_refused_when_written() -> None:
    with pytest.raises(FatalError, match="op is none of insert, update, delete, match"):
        to_body(Intent("load", 1, "Contact", "upsert", "bulk", 1))


def test_segments_of_an_event_are_those_it_names() -> None:
    intent = Intent("load", 1, "Contact", "update", "bulk", 1, "a" * 64, "b" * 64)
    assert segments_of(intent) == [("rows_segment", "a" * 64), ("preimages", "b" * 64)]
    assert segments_of(Decision({"digest": "c" * 64})) == []
