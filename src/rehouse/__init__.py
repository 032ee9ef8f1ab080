"""Rehouse moves a company's CRM from one platform to another and proves that it arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rehouse.migration import Migration as Migration

__version__ = "0.1.0"
__all__ = ["Migration", "__version__"]


def __getattr__(name: str) -> object:
    """`rehouse.Migration` on first use, so that `import rehouse` stays cheap."""
    if name == "Migration":
        from rehouse.migration import Migration

        return Migration
    raise AttributeError(name)
