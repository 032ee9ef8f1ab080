"""The kinds of report there are."""

from __future__ import annotations

KINDS = ("scope", "quality", "plan", "sample", "completion", "rollback")
