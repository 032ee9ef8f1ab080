"""Charts say in text what they draw, and people with weak sight can read them."""

from __future__ import annotations

import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehouse.reports.charts import _LEAST, _PAINT, Bar, share_bars
from rehouse.reports.figures import OUTCOMES


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("part", sorted(_PAINT))
def test_paint_is_readable(part: str) -> None:
    fill, ink, outline = _PAINT[part]
    assert contrast(fill, ink) >= 4.5
    assert contrast(outline, "#ffffff") >= 3


def test_text_of_the_page_is_readable() -> None:
    css = files("rehouse.reports").joinpath("report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css))
    for ink, ground in [
        ("good", "good-wash"),
        ("bad", "bad-wash"),
        ("warn", "warn-wash"),
        ("ink", "wash"),
        ("soft", "wash"),
    ]:
        assert contrast(colours[ink], colours[ground]) >= 4.5
    for ink in ("ink", "soft", "accent", "good", "bad", "warn"):
        assert contrast(colours[ink], "#ffffff") >= 4.5


counts = st.dictionaries(st.sampled_from(OUTCOMES), st.integers(0, 10**9), min_size=1)


@given(st.lists(counts, max_size=4))
def test_parts_fill_the_bar_and_none_disappears(drawn: list[dict[str, int]]) -> None:
    bars = [Bar(f"bar {n} <&>", c) for n, c in enumerate(drawn)]
    svg = ET.fromstring(share_bars(bars, OUTCOMES, title="T", description="D.", name="n"))
    groups = svg.findall("g")
    assert len(groups) == len(bars)
    for group, bar in zip(groups, bars, strict=True):
        widths = [float(r.attrib["width"]) for r in group.findall("rect")]
        shown = [n for n in bar.counts.values() if n]
        assert len(widths) == len(shown)
        assert all(w >= _LEAST for w in widths)
        assert not widths or sum(widths) == pytest.approx(430, abs=1)


def test_a_chart_speaks() -> None:
    bars = [Bar("contacts → Contact", {"loaded": 1_585, "waiting": 3}), Bar("none", {})]
    svg = ET.fromstring(share_bars(bars, OUTCOMES, title="Books", description="Each bar.", name="books"))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-labelledby"] == "books-t books-d"
    assert svg.attrib["viewBox"].startswith("0 0 ")
    assert [svg.findtext("title"), svg.findtext("desc")] == [
        "Books",
        "Each bar. contacts → Contact: 1,585 loaded, 3 waiting. none: none.",
    ]
    legend = [e.text for e in svg.findall("text")]
    assert legend == ["loaded", "waiting"]
    tips = [t.text for t in svg.iter("title")][1:]
    assert tips == ["contacts → Contact: 1,585 loaded (99.8 %)", "contacts → Contact: 3 waiting (0.2 %)"]
