"""`python -m rehouse.samples --out DIR`: compose an export of any size and print a JSON summary."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rehouse.errors import RehouseError
from rehouse.samples.layout import LANGUAGES
from rehouse.samples.planports import Composed, compose


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or that of the error, whose message and hint go to standard error."""
    options = _parser().parse_args(arguments)
    started = time.perf_counter()
    try:
        made = compose(
            options.out,
            contacts=options.contacts,
            leads=options.leads,
            deals=options.deals,
            activities=options.activities,
            files=options.files,
            seed=options.seed,
            language=options.language,
            flaws=options.flaws,
            activities_as=options.activities_as,
            zip=options.zip,
        )
    except RehouseError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(_summary(made, time.perf_counter() - started), indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehouse.samples", description="Compose a Planports export.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; DIR/export is replaced")
    parser.add_argument("--contacts", type=int, default=600)
    for name in ("leads", "deals", "activities", "files"):
        parser.add_argument(f"--{name}", type=int, help="rows; follows from --contacts when not given")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--language", choices=LANGUAGES, default="tr", help="of sheet and column names")
    parser.add_argument("--no-flaws", dest="flaws", action="store_false", help="plant none")
    parser.add_argument("--activities-as", choices=("csv", "xlsx"), default="csv")
    parser.add_argument("--zip", action="store_true", help="pack the export as well")
    return parser


def _summary(made: Composed, seconds: float) -> dict[str, object]:
    return {
        "export": str(made.export),
        "workbook": str(made.workbook),
        "answer_key": str(made.answer_key),
        "target_seed": str(made.target_seed),
        "archive": str(made.archive) if made.archive else None,
        "sizes": asdict(made.sizes),
        "flaws": made.flaws,
        "seconds": round(seconds, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
