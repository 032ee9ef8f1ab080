"""A long fault campaign: faults on the wire drawn from seeds, and crashes at every single place of a run.

    python bench/fault_campaign.py --seeds 0-199 --out campaign/
    python bench/fault_campaign.py --places --out campaign/

Each case starts from a copy of one prepared migration and ends in a comparison with an undisturbed run. One JSON
line a case goes to `results.jsonl`; cases that stand there already are not run again, so a campaign that was
interrupted goes on where it was. Ends with 1 when a case differs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rehouse.ledger.events import Verb
from rehouse.testing.campaign import Prepared, Reference, crash_case, prepare, reference
from rehouse.testing.weather import drawn, weather_case

Case = tuple[str, Callable[[Path], list[str]]]


def prepared_in(folder: Path, contacts: int) -> tuple[Prepared, dict[Verb, Reference]]:
    """The prepared migration and both undisturbed runs, made once."""
    done = folder / f"prepared-{contacts}.pickle"
    if not done.exists():
        base = folder / f"prepared-{contacts}"
        shutil.rmtree(base, ignore_errors=True)
        prepared = prepare(base / "start", contacts=contacts)
        apply = reference(prepared, Verb.APPLY, base / "applied")
        rollback = reference(prepared, Verb.ROLLBACK, base / "rolled-back", apply.folder)
        done.write_bytes(pickle.dumps((prepared, {Verb.APPLY: apply, Verb.ROLLBACK: rollback})))
    found: tuple[Prepared, dict[Verb, Reference]] = pickle.loads(done.read_bytes())
    return found


def weather(prepared: Prepared, wanted: dict[Verb, Reference], seeds: range) -> Iterator[Case]:
    """Every seed, for apply and for rollback."""
    for seed in seeds:
        for verb, one in wanted.items():

            def run(folder: Path, seed: int = seed, one: Reference = one) -> list[str]:
                return weather_case(prepared, one, drawn(seed), folder)[0]

            yield f"seed {seed} {verb.value}", run


def places(prepared: Prepared, wanted: dict[Verb, Reference]) -> Iterator[Case]:
    """Every place that the undisturbed runs pass."""
    for verb, one in wanted.items():
        for place in one.trace.places():

            def run(folder: Path, place: Any = place, one: Reference = one) -> list[str]:
                return crash_case(prepared, one, place, folder)

            yield f"crash {verb.value} {place}", run


def campaign(cases: Iterator[Case], out: Path) -> int:
    """Run what has no result yet; the number of cases that differ, old ones included."""
    results = out / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    known = {one["case"]: one["differs"] for one in map(json.loads, lines)}
    for name, run in cases:
        if name in known:
            continue
        folder = out / "case"
        shutil.rmtree(folder, ignore_errors=True)
        started = time.perf_counter()
        try:
            differs = run(folder)
        except Exception as error:  # a case that fails is a result
            differs = [repr(error)]
        known[name] = differs
        line = {"case": name, "seconds": round(time.perf_counter() - started, 2), "differs": differs}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        print(f"{name}: {'same end' if not differs else differs[0]}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    bad = sum(1 for differs in known.values() if differs)
    print(f"{len(known):,} cases, {bad:,} differ")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0-49", help="first-last")
    parser.add_argument("--places", action="store_true", help="crash at every place instead")
    parser.add_argument("--contacts", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    prepared, wanted = prepared_in(given.out.resolve(), given.contacts)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    cases = places(prepared, wanted) if given.places else weather(prepared, wanted, seeds)
    return 1 if campaign(cases, given.out.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main())
