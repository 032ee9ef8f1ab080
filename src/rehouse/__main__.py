"""`python -m rehouse`: the command line without its installed script."""

from __future__ import annotations

from rehouse.cli import main

main()
