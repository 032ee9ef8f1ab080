"""One package per platform. The upper floors name a platform only by the text in `rehouse.yaml`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rehouse.connectors.base import Settings, Target
from rehouse.errors import UserError
from rehouse.events import Sink, silent


def target_platforms() -> list[str]:
    """Platforms that a connector of this installation can write to."""
    here = Path(__file__).parent
    return sorted(p.name for p in here.iterdir() if (p / "target.py").is_file())


def open_target(platform: str, settings: Settings, sink: Sink = silent) -> Target:
    """Connect to a target. `settings` are the platform's own (address, token, …); see its `target.py`."""
    name = f"rehouse.connectors.{platform}.target"
    if platform not in target_platforms() or find_spec(name) is None:
        known = ", ".join(target_platforms())
        raise UserError(f"no connector writes to {platform!r}", hint=f"platforms that can be a target: {known}")
    target: Target = import_module(name).connect(settings, sink)
    return target
