"""What people read: one self-contained HTML page and one JSON file per report, written from the same data.

`write(kind, data, folder)` takes one of `KINDS` and data shaped as `rehouse.reports.data` says. Reports hold record
values and stay on the machine; examples are masked unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehouse.reports.kinds import KINDS
from rehouse.reports.masking import mask

__all__ = ["KINDS", "mask", "write"]


def write(kind: str, data: Mapping[str, Any], folder: Path, *, unmasked: bool = False) -> tuple[Path, Path]:
    """Write `<kind>.html` and `<kind>.json` into `folder`, durably; returns both paths.

    The JSON holds the data (with the same masking as the page) and, under `report`, what the page derives from it.
    `ValueError` for an unknown kind or data that is not plain JSON.
    """
    from rehouse.model.durable import write_text
    from rehouse.reports.render import as_html, as_json, document

    report = document(kind, data, unmasked=unmasked)
    page, plain = folder / f"{kind}.html", folder / f"{kind}.json"
    write_text(plain, as_json(report))
    write_text(page, as_html(report))
    return page, plain
