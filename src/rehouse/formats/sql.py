"""Names and texts inside SQL statements, quoted."""

from __future__ import annotations


def identifier(name: str) -> str:
    """A column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant."""
    return "'" + text.replace("'", "''") + "'"
