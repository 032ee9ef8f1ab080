"""The page in a real browser: its policy lets its own script run, and the filters appear."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from report_data import sample

from rehouse.reports import write


@pytest.mark.browser
def test_filters_appear_and_count_rows(tmp_path: Path) -> None:
    program = os.environ.get("REHOUSE_TEST_BROWSER")
    if not program:
        pytest.skip("REHOUSE_TEST_BROWSER names no browser")
    page, _ = write("sample", sample(), tmp_path / "reports")
    flags = os.environ.get("REHOUSE_TEST_BROWSER_FLAGS", "").split()
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [program, *flags, profile, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    form = re.search(r'<form[^>]*id="diff-filter"[^>]*>.*?</form>', done.stdout, re.DOTALL)
    assert form is not None
    assert "hidden" not in form[0].split(">")[0]
    assert "4 of 4 rows" in form[0]
    assert form[0].count("<select") == 4
    assert '<option value="as planned">' in form[0]
