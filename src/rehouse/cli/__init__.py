"""The command line: parse, call one function, show. Heavy imports happen inside commands."""

from __future__ import annotations


def main() -> None:
    """Entry point of `rehouse`."""
    from rehouse.cli.app import run

    run()
