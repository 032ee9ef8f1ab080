"""What every command shares: where the migration is, how progress and results are shown, how errors end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rehouse.errors import RehouseError

if TYPE_CHECKING:
    from rehouse.migration import Migration

In = Annotated[Path, typer.Option("--in", help="Folder of the migration (default: here, or above).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress as JSON lines on stderr.")]
By = Annotated[str, typer.Option("--by", help="Your name, kept with the decision.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, kept with the decision.")]

DIFFERENCES, QUARANTINED, INTERRUPTED = 3, 4, 130
"""Exit codes besides 0, 1, 2 and 5 (see docs/reference/exit-codes.md)."""


def write_json(data: Any) -> None:
    """One document on stdout, bytes as they are."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n")
    sys.stdout.flush()


@contextmanager
def at_work(folder: Path, as_json: bool) -> Iterator[Migration]:
    """An open migration whose progress is shown on stderr."""
    from rehouse.cli import screens as views
    from rehouse.migration import Migration

    with views.watching(as_json) as sink:
        yield Migration.open(folder, sink=sink)


def show(as_json: bool, data: Any, view: Callable[[Any], None]) -> None:
    """The result: JSON, or what a person reads."""
    if as_json:
        write_json(data)
    else:
        view(data)


def guarded(run: Callable[[], None]) -> None:
    """Run the application; end expected errors with their message, hint and exit code."""
    as_json = "--json" in sys.argv
    try:
        run()
    except RehouseError as error:
        from rehouse.cli import screens as views

        views.show_error(error, as_json)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _interrupted(as_json)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # the framework's own answer to Ctrl-C says nothing
            _interrupted(as_json)
        raise
    except RuntimeError as error:
        # The query engine answers a signal with an error of its own in place of KeyboardInterrupt.
        if str(error) != "Query interrupted":
            raise
        _interrupted(as_json)
    except BrokenPipeError:
        sys.exit(1)


def _interrupted(as_json: bool) -> NoReturn:
    told = "run the same command again: it goes on where it stopped"
    line = json.dumps({"error": "Interrupted", "message": "interrupted", "hint": told})
    sys.stderr.write(f"{line}\n" if as_json else f"interrupted; {told}\n")
    sys.exit(INTERRUPTED)
