"""The DuckDB engine of the catalogue, in one place: values, issues, losses, and the cells they start from."""

from __future__ import annotations

from rehouse.transform.context import Context, IssueRule, Loss
from rehouse.transform.issues import issues, losses, output_losses
from rehouse.transform.render import render
from rehouse.transform.sql import normalised_column

__all__ = ["Context", "IssueRule", "Loss", "issues", "losses", "normalised_column", "output_losses", "render"]
