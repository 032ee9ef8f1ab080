"""Run a command beside a private PostgreSQL cluster on a Unix socket, and end that cluster afterwards.

    python3 tools/postgres.py -- .venv-postgres/bin/pytest --tier postgres

The command finds the database's address in REHOUSE_TEST_POSTGRES. The cluster listens on no network address,
lives in a temporary folder, belongs to a user other than root, and is ended by its own process id.
Where PostgreSQL is missing and we are root on a Debian system, it is installed first.
"""

# ruff: noqa: T201 - a script talks to its terminal

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

_START_SECONDS = 60
_ROLE = "rehouse"


def programs() -> Path | None:
    """The folder that holds `initdb` and `postgres` of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def install() -> None:
    """Debian's package, without the cluster that it would create and start by itself."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("PostgreSQL's server programs are missing: install the package `postgresql`")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    subprocess.run([*apt, "update"], check=True, env=environment)
    ready = [*apt, "install", "-y", "--no-install-recommends"]
    subprocess.run([*ready, "postgresql-common"], check=True, env=environment, stdout=subprocess.DEVNULL)
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if settings.exists() and not any(Path("/etc/postgresql").glob("*/main")):
        settings.write_text(settings.read_text(encoding="utf-8") + "\ncreate_main_cluster = false\n")
    subprocess.run([*ready, "postgresql"], check=True, env=environment, stdout=subprocess.DEVNULL)


def owner() -> str:
    """The user who runs the server: ourselves, or the package's own user where we are root."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def start(bin_folder: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Create the cluster in `folder` and start it. Returns when it answers."""
    user = owner()
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)
    identity = {"user": user, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    data = folder / "data"
    initdb = [str(bin_folder / "initdb"), "-D", str(data), "-U", _ROLE, "-A", "trust", "-E", "UTF8"]
    subprocess.run(
        [*initdb, "--locale=C.UTF-8", "--no-sync"],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        **identity,  # type: ignore[call-overload]
    )
    server = [str(bin_folder / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
    log = (folder / "server.log").open("wb")
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        server, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **identity
    )
    log.close()
    ask = [str(bin_folder / "pg_isready"), "-q", "-h", str(folder), "-U", _ROLE, "-d", "postgres"]
    deadline = time.monotonic() + _START_SECONDS
    while subprocess.run(ask, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            sys.exit((folder / "server.log").read_text(errors="replace"))
        time.sleep(0.1)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server: fast shutdown, then by force."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] != "--":
        print("usage: postgres.py -- COMMAND …", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupted)
    if programs() is None:
        install()
    bin_folder = programs()
    if bin_folder is None:
        sys.exit("PostgreSQL was installed but its server programs were not found")
    folder = Path(tempfile.mkdtemp(prefix="rehouse-pg-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        process = start(bin_folder, folder)
        address = f"postgresql+psycopg://{_ROLE}@/postgres?host={folder}"
        environment = {**os.environ, "REHOUSE_TEST_POSTGRES": address}
        return subprocess.run(arguments[1:], check=False, env=environment).returncode
    finally:
        if process is not None:
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
