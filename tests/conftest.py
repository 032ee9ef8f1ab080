"""What every test may use: the choice of a tier, and the record of which requirement a test proves.

`pytest --tier NAME` runs the tests that tools/tiers.toml gives to that tier; without it, whatever is collected.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

_TIERS = tomllib.loads((Path(__file__).parent.parent / "tools" / "tiers.toml").read_text(encoding="utf-8"))
_REPORT = "REHOUSE_REQ_REPORT"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=sorted(_TIERS), help="run one tier of tools/tiers.toml")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: too slow for the default tier; runs in the tier `slow`")
    tier = config.getoption("--tier")
    if tier is None:
        return
    marks = _TIERS[tier]["marks"]
    if config.option.markexpr not in ("", marks):  # a parallel worker inherits what was set here
        raise pytest.UsageError("--tier and -m exclude each other")
    config.option.markexpr = marks


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line per finished test, written by the process that collects the results."""
    folder = os.environ.get(_REPORT)
    if not folder or "PYTEST_XDIST_WORKER" in os.environ:
        return
    if report.when != "call" and report.outcome == "passed":
        return
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    with (path / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome}) + "\n")
