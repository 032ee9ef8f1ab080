"""Horizontal bars of shares as accessible SVG: title and description for screen readers, figures as text, scales.

Our own because the books need stacked bars with named parts; the libraries we tried draw single series at a fixed
size, without title, description or figures, in colours too pale to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

from rehouse.reports.text import number, one_line, percent

_WIDTH, _LABEL, _BAR, _ROW, _HEIGHT = 760, 210, 430, 30, 20
_LEAST = 2.0
"""Pixels that a part with at least one record gets, however small its share."""

_LETTER = 6.6
"""Pixels of an average letter at 12 px, for deciding whether a figure fits into its part."""

_PAINT = {
    "to load": ("#1b6e53", "#ffffff", "#12503c"),
    "loaded": ("#1b6e53", "#ffffff", "#12503c"),
    "merged": ("#a9cbe8", "#10202e", "#3f6d94"),
    "skipped": ("#dfe3e8", "#1c2733", "#66717d"),
    "quarantined": ("#a61b1b", "#ffffff", "#7a1212"),
    "waiting": ("#eebd57", "#2b1d00", "#8a6100"),
    "needed": ("#1b6e53", "#ffffff", "#12503c"),
    "left": ("#eef1f4", "#1c2733", "#66717d"),
    "deleted": ("#a61b1b", "#ffffff", "#7a1212"),
    "restored": ("#a9cbe8", "#10202e", "#3f6d94"),
}
"""Part → fill, ink (at least 4.5:1 on the fill), outline (at least 3:1 on white). Lightness differs in print too."""

_OTHER = ("#ffffff", "#1c2733", "#66717d")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `counts` are its parts, written by `unit`; `note` stands right of it.

    The bar's whole width is the sum of its parts.
    """

    label: str
    counts: Mapping[str, int]
    note: str = ""
    unit: Callable[[int], str] = number


def share_bars(bars: Sequence[Bar], parts: Sequence[str], *, title: str, description: str, name: str) -> Markup:
    """Stacked bars, one per row, each as wide as the others. `name` makes the ids unique within the page."""
    top = 34
    height = top + _ROW * len(bars) + 4
    shape = {"viewBox": f"0 0 {_WIDTH} {height}", "role": "img", "class": "chart"}
    svg = ET.Element("svg", {**shape, "aria-labelledby": f"{name}-t {name}-d", "font-size": "12"})
    ET.SubElement(svg, "title", id=f"{name}-t").text = title
    ET.SubElement(svg, "desc", id=f"{name}-d").text = f"{description} {_spoken(bars, parts)}"
    _legend(svg, [part for part in parts if any(bar.counts.get(part) for bar in bars)])
    for place, bar in enumerate(bars):
        _draw(svg, bar, parts, top + place * _ROW)
    return Markup(ET.tostring(svg, encoding="unicode"))


def _spoken(bars: Sequence[Bar], parts: Sequence[str]) -> str:
    sentences = []
    for bar in bars:
        figures = ", ".join(f"{bar.unit(bar.counts[p])} {p}" for p in parts if bar.counts.get(p))
        sentences.append(f"{one_line(bar.label)}: {figures or 'none'}.")
    return " ".join(sentences)


def _legend(svg: ET.Element, parts: Sequence[str]) -> None:
    x = float(_LABEL)
    for part in parts:
        fill, _, outline = _PAINT.get(part, _OTHER)
        ET.SubElement(
            svg, "rect", {"x": f"{x:.1f}", "y": "6", "width": "12", "height": "12", "fill": fill, "stroke": outline}
        )
        _text(svg, x + 18, 16, part)
        x += 18 + len(part) * _LETTER + 22


def _draw(svg: ET.Element, bar: Bar, parts: Sequence[str], y: int) -> None:
    group = ET.SubElement(svg, "g")
    label = one_line(bar.label, 32)
    _text(group, _LABEL - 10, y + 15, label, anchor="end")
    x = float(_LABEL)
    for part, width in _widths(bar, parts):
        count, figure = bar.counts[part], bar.unit(bar.counts[part])
        fill, ink, outline = _PAINT.get(part, _OTHER)
        box = {
            "x": f"{x:.1f}",
            "y": str(y),
            "width": f"{width:.1f}",
            "height": str(_HEIGHT),
            "fill": fill,
            "stroke": outline,
        }
        rect = ET.SubElement(group, "rect", box)
        share = percent(count / sum(bar.counts.values()))
        ET.SubElement(rect, "title").text = f"{one_line(bar.label)}: {figure} {part} ({share})"
        if len(figure) * _LETTER + 8 < width:
            _text(group, x + width / 2, y + 14, figure, anchor="middle", ink=ink)
        x += width
    _text(group, _LABEL + _BAR + 10, y + 15, bar.note or number(sum(bar.counts.values())))


def _widths(bar: Bar, parts: Sequence[str]) -> list[tuple[str, float]]:
    """Width of each part that is there; small ones get the least width, the others share the rest."""
    shown = [part for part in parts if bar.counts.get(part, 0) > 0]
    total = sum(bar.counts[part] for part in shown)
    small = {part for part in shown if bar.counts[part] * _BAR / total < _LEAST}
    rest = sum(bar.counts[part] for part in shown if part not in small)
    room = _BAR - _LEAST * len(small)
    return [(part, _LEAST if part in small else bar.counts[part] * room / rest) for part in shown]


def _text(parent: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", ink: str = "#1c2733") -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "fill": ink}
    ET.SubElement(parent, "text", place).text = text
