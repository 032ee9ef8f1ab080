"""The reserve of a day's allowance."""

from __future__ import annotations

import pytest
from wire_tools import Server, says

from rehouse.wire import Budget, BudgetError, Call, Http


@pytest.mark.req("COM-RATE-01")
def test_a_request_that_would_eat_into_the_reserve_is_refused_before_it_is_sent(server: Server) -> None:
    server.script = [says("ok")]
    budget = Budget(reserve=100)
    with Http(budget=budget) as http:
        budget.report("calls", used=9_899, maximum=10_000)
        http.send(Call("GET", server.url))
        budget.report("calls", used=9_900, maximum=10_000)
        with pytest.raises(BudgetError, match="100 calls are left"):
            http.send(Call("GET", server.url))
        http.send(Call("GET", server.url, essential=True))
    assert len(server.seen) == 2


def test_nothing_is_refused_before_the_platform_has_given_figures() -> None:
    budget = Budget(reserve=5)
    budget.require("calls", 1_000_000)
    assert budget.left("calls") is None


def test_several_units_are_required_at_once() -> None:
    budget = Budget(reserve=10)
    budget.report("calls", used=0, maximum=100)
    budget.require("calls", 90)
    with pytest.raises(BudgetError):
        budget.require("calls", 91)
