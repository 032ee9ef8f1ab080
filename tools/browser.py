"""Run a command that needs a headless browser; Debian's Chromium is installed first where it is missing.

    python3 tools/browser.py -- .venv/bin/pytest --tier browser

The command finds the program in REHOUSE_TEST_BROWSER and the flags it must pass in REHOUSE_TEST_BROWSER_FLAGS.
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# No sandbox: CI runs as root in a container. No background networking: a test opens loopback pages only.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


def install() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("Chromium is missing: install the package `chromium`")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    subprocess.run([*apt, "update"], check=True, env=environment)
    ready = [*apt, "install", "-y", "--no-install-recommends", "chromium"]
    subprocess.run(ready, check=True, env=environment, stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] != "--":
        print("usage: browser.py -- COMMAND …", file=sys.stderr)
        return 2
    if not shutil.which("chromium"):
        install()
    program = shutil.which("chromium")
    if program is None:
        sys.exit("Chromium was installed but is not on the path")
    environment = {
        **os.environ,
        "REHOUSE_TEST_BROWSER": program,
        "REHOUSE_TEST_BROWSER_FLAGS": " ".join(FLAGS),
    }
    return subprocess.run(arguments[1:], check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
