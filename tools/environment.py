"""Make a virtual environment with the package, groups and extras, every version locked by constraints.txt.

    python3 tools/environment.py .venv-clients --group dev --group clients

Nothing is done when the environment already holds what is asked for.
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_STAMP = "rehouse-installed"


def make(venv: str, groups: Sequence[str], extras: Sequence[str]) -> Path:
    """The environment's Python. Raises `CalledProcessError` when an installation fails."""
    folder = ROOT / venv
    python = folder / "bin" / "python"
    wanted = _digest(groups, extras)
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted and _runs_this_tree(python):
        return python
    # A new pip: the one inside Python 3.11 knows no dependency groups.
    subprocess.run([sys.executable, "-m", "venv", "--upgrade-deps", str(folder)], check=True)
    package = f".[{','.join(extras)}]" if extras else "."
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", package]
    for group in groups:
        install += ["--group", group]
    subprocess.run(install, check=True, cwd=ROOT)
    stamp.write_text(wanted, encoding="ascii")
    return python


def _runs_this_tree(python: Path) -> bool:
    """Whether the environment imports the package from here (a plain installation may have replaced that)."""
    probe = "import importlib.util as u; s = u.find_spec('rehouse'); print(s.origin if s else '')"
    answer = subprocess.run([str(python), "-I", "-c", probe], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == str(ROOT / "src" / "rehouse" / "__init__.py")


def _digest(groups: Sequence[str], extras: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((sys.version_info[:2], sorted(groups), sorted(extras))).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="make a virtual environment of this repository")
    parser.add_argument("venv", help="folder, relative to the repository")
    parser.add_argument("--group", action="append", default=[], help="dependency group")
    parser.add_argument("--extra", action="append", default=[], help="extra of the package")
    options = parser.parse_args(arguments)
    print(make(options.venv, options.group, options.extra))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
