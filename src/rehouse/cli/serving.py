"""Start a sandbox server in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rehouse.errors import UserError


def serve_sandbox(
    platform: str,
    port: int,
    token: str | None,
    tls: bool,
    store: Path | None,
    edition: str,
    seed: Path | None,
    admin_port: int | None,
    as_json: bool,
) -> None:
    """Serve until SIGTERM or SIGINT. One line on stdout when ready: JSON, or words."""
    if platform != "salesforce":
        raise UserError(f"there is no sandbox for {platform!r} yet", hint="available: salesforce")
    from rehouse.sandbox.salesforce.launch import serve

    def ready(facts: dict[str, Any]) -> None:
        if as_json:
            sys.stdout.write(json.dumps(facts) + "\n")
        else:
            sys.stdout.write(f"{platform} sandbox at {facts['url']}, token {facts['token']} (Ctrl-C ends it)\n")
        sys.stdout.flush()

    serve(store, port, token, tls, edition, str(seed) if seed else None, admin_port, ready)
