from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from ledger_tools import outcome_table

from rehouse.errors import FatalError
from rehouse.ledger import LANDED, OUTCOMES, PREIMAGES, ROWS, SegmentStore


@pytest.fixture
def store(folder: Path) -> SegmentStore:
    return SegmentStore(folder)


def test_what_was_written_is_read_back_under_its_digest(store: SegmentStore) -> None:
    table = pa.table({"_key": ["a", "b"], "Name": ["Çağ", None]})
    segment = store.write(table, ROWS)
    assert segment.rows == 2
    assert store.stat(segment.digest) == segment
    assert store.read(segment.digest) == table
    assert store.verify(segment.digest) is None


def test_the_same_rows_make_the_same_file_once(store: SegmentStore) -> None:
    first = store.write(outcome_table([("a", "1", True)]), OUTCOMES)
    second = store.write(outcome_table([("a", "1", True)]), OUTCOMES)
    assert first == second
    assert [path.name for path in store.folder.iterdir()] == [first.path.name]


def test_writing_again_heals_a_damaged_file(store: SegmentStore) -> None:
    segment = store.write(outcome_table([("a", "1", True)]), OUTCOMES)
    segment.path.write_bytes(b"torn")
    assert store.verify(segment.digest) is not None
    store.write(outcome_table([("a", "1", True)]), OUTCOMES)
    assert store.verify(segment.digest) is None


def test_batches_are_streamed_into_few_row_groups(store: SegmentStore) -> None:
    batches = (pa.record_batch({"_key": [str(n)]}) for n in range(500))
    segment = store.write(batches, LANDED)
    assert segment.rows == 500
    assert pa.parquet.read_metadata(segment.path).num_row_groups == 1


def test_an_empty_table_is_a_segment_and_an_empty_iterator_is_not(store: SegmentStore) -> None:
    assert store.write(outcome_table([]), OUTCOMES).rows == 0
    with pytest.raises(FatalError, match="no batches"):
        store.write(iter(()), ROWS)


def test_outcomes_are_brought_to_their_columns_whatever_the_types_of_empty_ones(store: SegmentStore) -> None:
    loose = pa.table(
        {
            "ok": [True],
            "extra": [1],
            "key": ["a"],
            "id": pa.array(["1"], pa.large_string()),
            "code": pa.nulls(1),
            "message": pa.nulls(1),
            "advice": pa.nulls(1),
        }
    )
    assert store.read(store.write(loose, OUTCOMES).digest) == outcome_table([("a", "1", True)])


@pytest.mark.parametrize(
    ("kind", "words"), [(OUTCOMES, "lacks the columns id, ok"), (PREIMAGES, "lacks the column Id")]
)
def test_a_segment_without_its_columns_is_refused_and_leaves_nothing(
    store: SegmentStore, kind: str, words: str
) -> None:
    with pytest.raises(FatalError, match=words):
        store.write(pa.table({"key": ["a"]}), kind)
    assert not store.folder.exists() or list(store.folder.iterdir()) == []


def test_a_source_that_fails_half_way_leaves_nothing(store: SegmentStore) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"_key": ["a"]})
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        store.write(batches(), LANDED)
    assert list(store.folder.iterdir()) == []


def test_a_full_disk_stops_and_leaves_nothing(store: SegmentStore) -> None:
    rows = pa.table({"_key": [str(n * 7919) for n in range(50_000)]})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(FatalError, match="cannot write a segment: File too large"):
            store.write(rows, ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(store.folder.iterdir()) == []


def test_a_missing_segment_and_a_digest_that_is_none_are_named(store: SegmentStore) -> None:
    with pytest.raises(FatalError, match="is missing from"):
        store.read("0" * 64)
    with pytest.raises(FatalError, match="no segment digest"):
        store.path("../../etc/passwd")


def test_half_written_files_of_the_dead_are_swept_and_those_of_the_living_stay(store: SegmentStore) -> None:
    store.write(outcome_table([]), OUTCOMES)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    template = store._temporary().name
    dead = store.folder / template.replace(f"-{os.getpid()}-", f"-{child}-")
    alive = store.folder / template
    dead.touch()
    alive.touch()
    store.sweep()
    assert alive.exists()
    assert not dead.exists()
