"""Write constraints.txt anew: the newest versions that pyproject.toml allows for everything the tiers install."""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_HEADER = """\
# Every version that the package, its development groups and its extras resolve to, locked.
# Made by `make constraints`; names and versions only.
"""


def resolve(project: dict[str, Any], folder: Path) -> list[str]:
    """`name==version` of everything, as pip resolves it now in a fresh environment."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--upgrade-deps", str(folder)], check=True)
    extras = ",".join(project["project"].get("optional-dependencies", {}))
    install = [str(python), "-m", "pip", "install", "--quiet", f".[{extras}]"]
    for group in project.get("dependency-groups", {}):
        install += ["--group", group]
    subprocess.run(install, check=True, cwd=ROOT)
    answer = subprocess.run([str(python), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    own = project["project"]["name"]
    return [line for line in answer.stdout.splitlines() if "==" in line and not line.startswith(f"{own}==")]


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="rehouse-lock-") as folder:
        lines = resolve(project, Path(folder))
    (ROOT / "constraints.txt").write_text(_HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} versions locked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
