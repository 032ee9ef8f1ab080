"""How the demo speaks: numbered steps in plain words, small tables, one line of progress while something works."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rehouse.events import Event, Note, Progress, Sink, silent
from rehouse.reports.text import number, one_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 100
GOOD, BAD, WARN, SOFT, STRONG = "green", "red", "yellow", "dim", "bold"


def shown(value: Any) -> str:
    """A value on one line; whole numbers with their separators; nothing that steers a terminal."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else one_line(str(value))


class Teller:
    """Writes the narration to standard output, or to standard error when that belongs to a JSON document."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._console = _console(to_stderr)
        self._started = time.monotonic()
        self._step = 0

    @property
    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started

    def title(self, text: str) -> None:
        self._console.print(_text(text, STRONG))

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self._console.print()
        clock = f"{self.seconds:4.0f} s"
        line = _text(f"{self._step}. {text}", "bold cyan")
        line.append(" " * max(1, min(self._console.width, WIDTH) - len(line.plain) - len(clock)))
        line.append(clock, SOFT)
        self._console.print(line, soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        """One paragraph, wrapped and set in."""
        from rich.padding import Padding

        width = min(self._console.width, WIDTH)
        self._console.print(Padding(_text(text, style), (0, 0, 0, 3)), width=width)

    def good(self, text: str) -> None:
        self.say(f"✓ {text}", GOOD)

    def bad(self, text: str) -> None:
        self.say(f"✗ {text}", BAD)

    def stopped(self, text: str) -> None:
        """Something that was stopped, as it should be."""
        self.say(f"■ {text}", WARN)

    def verdict(self, passed: bool, text: str) -> None:
        """A fact that had to hold."""
        self.good(text) if passed else self.bad(text)

    def line(self, text: str, style: str = "") -> None:
        """One line that is never wrapped by us: paths and commands, to be copied."""
        self._console.print(_text(f"     {text}", style), soft_wrap=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A small table; columns whose name ends in `#` hold numbers and stand to the right."""
        from rich.box import SIMPLE_HEAD
        from rich.padding import Padding
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for name in heads:
            right = name.endswith("#")
            table.add_column(_text(name.rstrip("#")), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_text(shown(value)) for value in row))
        self._console.print(Padding(table, (0, 0, 0, 5)), width=min(self._console.width, WIDTH + 20))

    @contextmanager
    def working(self, text: str) -> Iterator[Sink]:
        """While the block works: one line on standard error that says how far it is (on a terminal only)."""
        screen = _console(True)
        if not screen.is_terminal:
            yield silent
            return
        with screen.status(_text(f"  {text} …", SOFT), spinner_style="cyan") as status:

            def sink(event: Event) -> None:
                match event:
                    case Progress(step=step, object=name, done=done, total=total):
                        of = "" if total is None else f" of {total:,}"
                        status.update(_text(f"  {text}: {step} {name} {done:,}{of}", SOFT))
                    case Note(text=note):
                        status.update(_text(f"  {text}: {note}", SOFT))
                    case _:
                        pass

            yield sink


def _console(to_stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else WIDTH
    return Console(stderr=to_stderr, markup=False, highlight=False, emoji=False, width=width)


def _text(value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(visible(value), style=style)
