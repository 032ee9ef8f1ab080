"""What the core says while it works: frozen events. Terminal, JSON lines and tests are subscribers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` records (or files) of one step and object. `total` is None until it is known."""

    step: str
    object: str
    done: int
    total: int | None = None
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence for the person who watches: what is happening or why we wait."""

    text: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """A named point of the table of states has been reached (see `rehouse.apply.points`).

    Everything durable before the point is durable now. Fault campaigns crash here; views ignore it.
    """

    point: str
    detail: str = ""


Event = Progress | Note | Reached
Sink = Callable[[Event], None]


def silent(_: Event) -> None:
    """A sink for callers who do not watch."""


def as_dict(event: Event) -> dict[str, Any]:
    """The event as one JSON line shows it."""
    return {"event": type(event).__name__.lower(), **asdict(event)}
