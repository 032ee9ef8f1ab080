"""Records per second and peak memory of every step of a migration, by size.

    python bench/pipeline.py [--sizes 10000,100000,1000000] [--out FOLDER]

Each step runs in a process of its own, so that its peak memory is its own; the sandbox is another process, and
its share of the processor is shown apart. Sizes count activities; a fiftieth as many contacts. Results
are appended to bench/results/pipeline.jsonl as they are measured, so a long run can be stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "pipeline.jsonl"
NAME = "bench"
RULE = "DuplicateRule:Contact.Strict_Contact_Email"


def migration(folder: Path):
    from rehouse.migration import Migration

    return Migration.open(folder)


def decide(folder: Path) -> None:
    """Everything a person settles, at once."""
    m = migration(folder)
    m.map()
    m.confirm([], NAME, everything=True)
    owners = m.owners()
    heir = next(o["email"] for o in owners if o["status"] == "matched")
    m.decide_owner_group(owners, heir, NAME, "benchmark", departed=False, unknown=False, rest=True)
    m.decide_risks(["all"], NAME, "benchmark", accept=True)
    m.decide_automation(RULE, NAME, "benchmark", off=True)
    for threshold in ("quarantine_percent", "quarantined_open_deals", "quarantined_accounts"):
        m.decide_threshold(threshold, 1e9, NAME, "planted flaws")


def sample(folder: Path) -> None:
    m = migration(folder)
    m.sample(200, NAME)
    m.approve_sample(NAME)


def reconcile(folder: Path) -> None:
    result, _ = migration(folder).reconcile()
    assert result.clean, result.diff.verdicts


def rollback(folder: Path) -> None:
    m = migration(folder)
    with m.target() as target:
        name = target.org().name
    m.rollback(NAME, confirm=name)


STEPS: dict[str, Callable[[Path], object]] = {
    "discover": lambda f: migration(f).discover(),
    "map + decide": decide,
    "plan": lambda f: migration(f).plan(),
    "sample": sample,
    "apply": lambda f: migration(f).apply(by=NAME),
    "reconcile": reconcile,
    "rollback": rollback,
}


def measured(step: Callable[[], object]) -> dict[str, float]:
    """Run a step in a child process; wall and CPU seconds, peak memory in MB."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            step()
            code = 0
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit("the step failed")
    return {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def sandbox(folder: Path, seed: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    code = "from rehouse.cli import main; main()"
    arguments = ["sandbox", "salesforce", "--store", str(folder), "--seed", str(seed), "--token", "bench", "--json"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def run(size: int, folder: Path) -> list[dict[str, object]]:
    """Every step at one size. Records of a step are those it handles: all source rows, or all created records."""
    contacts = max(200, size // 50)
    command = [sys.executable, "-m", "rehouse.samples", "--out", str(folder / "sample")]
    sizes = ["--contacts", str(contacts), "--activities", str(size), "--files", "50"]
    started = time.perf_counter()
    subprocess.run([*command, *sizes], check=True, stdout=subprocess.DEVNULL)
    composing = time.perf_counter() - started
    process, info = sandbox(folder / "org", folder / "sample" / "target-seed.json")
    os.environ["REHOUSE_TARGET_TOKEN"] = "bench"
    home = folder / "migration"
    rows: list[dict[str, object]] = []
    try:
        subprocess.run(
            [sys.executable, "-c", _SETUP, str(home), str(folder / "sample/export"), info["url"]], check=True
        )
        records = contacts * 2 + size
        rows.append({"step": "compose", "wall_s": round(composing, 2), "cpu_s": 0, "peak_mb": 0})
        for name, step in STEPS.items():
            before = cpu_of(process.pid)
            row: dict[str, object] = {"step": name, **measured(lambda step=step: step(home))}
            row["sandbox_cpu_s"] = round(cpu_of(process.pid) - before, 2)
            rows.append(row)
            show(size, records, row)
        rows.append({"step": "(sandbox)", "wall_s": 0, "cpu_s": cpu_of(process.pid), "peak_mb": peak_of(process.pid)})
        show(size, records, rows[-1])
    finally:
        process.terminate()
        process.wait()
    for row in rows:
        row |= {"activities": size, "records": records, "machine": f"{os.cpu_count()} cores, {platform.machine()}"}
    return rows


_SETUP = """
import sys
from pathlib import Path
from rehouse.migration import Migration
m = Migration.new(Path(sys.argv[1]), "planports", "salesforce")
m.connect_source(Path(sys.argv[2]))
m.connect_target({"url": sys.argv[3]})
"""


def show(size: int, records: int, row: dict[str, object]) -> None:
    wall = float(str(row["wall_s"]))
    rate = f"{records / wall:>10,.0f}" if wall else " " * 10
    sandbox_cpu = row.get("sandbox_cpu_s", "")
    print(
        f"{size:>9,} {row['step']:<13} {wall:>8.1f} s {rate} records/s  {row['cpu_s']:>8} s CPU  "
        f"{row['peak_mb']:>6} MB peak  {sandbox_cpu:>8} s CPU of the sandbox",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000,1000000", help="activities, comma separated")
    parser.add_argument("--out", type=Path, help="keep the work here (default: a temporary folder)")
    arguments = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    for size in (int(s) for s in arguments.sizes.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="rehouse-bench-", dir=arguments.out))
        try:
            rows = run(size, folder)
        finally:
            if arguments.out is None:
                shutil.rmtree(folder, ignore_errors=True)
        with RESULTS.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"largest child process: {peak} MB")


if __name__ == "__main__":
    main()
