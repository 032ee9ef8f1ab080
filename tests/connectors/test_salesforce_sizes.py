"""How a load is cut: the connection's own figures, checked when the connection is opened."""

from __future__ import annotations

import pytest

from rehouse.connectors.base import JobKind, Op
from rehouse.connectors.salesforce.limits import BULK_FROM_ROWS, PART_ROWS, Sizes
from rehouse.connectors.salesforce.target import connect
from rehouse.errors import UserError


def test_without_settings_the_shipped_figures_hold() -> None:
    assert Sizes.of({}) == Sizes(BULK_FROM_ROWS, PART_ROWS)


@pytest.mark.parametrize("value", [0, -1, "many", True, PART_ROWS + 1])
def test_a_figure_that_makes_no_sense_is_refused_by_name(value: object) -> None:
    with pytest.raises(UserError, match="rows_per_part"):
        Sizes.of({"rows_per_part": value})


def test_the_threshold_of_the_connection_decides_how_a_part_travels() -> None:
    target = connect({"url": "https://example.invalid", "token": "t", "bulk_from_rows": 50})
    try:
        assert target.job_kind("Contact", Op.INSERT, 49) is JobKind.ROWS
        assert target.job_kind("Contact", Op.INSERT, 50) is JobKind.BULK
        assert target.job_kind("ContentVersion", Op.INSERT, 50) is JobKind.FILES
    finally:
        target.close()
