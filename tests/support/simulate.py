"""Run seeds of the simulation: ``python tests/support/simulate.py --seed 17 --trace FILE``, or ``--seeds 0-39 --jobs 2``.

Each seed has a process of its own. One line of JSON a seed; with --seed, the broken invariants as text and status 1.
``--seeds 0-9999 --results FILE`` is the campaign: it goes on where FILE ends, tells its progress, and ends with a table.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

HOURS = 2.0
PART = 5
SAID_EVERY = 50
WITHOUT = "without "  # before a bug's name: the same hunt, and nothing to find
LONGEST_S = 600.0


def one(seed: int, hours: float, trace: str, bug: str) -> int:
    """Never returns to the interpreter's own end, where the dead processes' tasks would run once more."""
    import simulated.world
    from simulated import bugs

    logging.disable(logging.CRITICAL)
    gc.disable()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="simulated-", dir=base) as folder:
        hunted = bugs.BUGS[bug.removeprefix(WITHOUT)] if bug else bugs.Bug(bugs.nothing, ())
        world = simulated.world.World(
            seed, Path(folder) / "station", keep_trace=bool(trace), sample_every_s=hunted.sample_every_s
        )
        if bug:
            world.only(hunted.shown_by)
            hunted.under()
            if not bug.startswith(WITHOUT):
                hunted.put_in()
        result = world.run(hours)
    if trace:
        Path(trace).write_text("".join(world.trace or ()), encoding="utf-8")
    result.cpu_s = time.process_time()  # a forked child begins at nothing
    sys.stdout.write(json.dumps(asdict(result)) + "\n")
    if result.broken:
        sys.stderr.write(f"{result.broken[0]}\n  {command(seed, hours, bug)}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    return 1 if result.broken else 0


def command(seed: int, hours: float, bug: str) -> str:
    more = f" --bug '{bug}'" if bug else ""
    return f"python tests/support/simulate.py --seed {seed} --hours {hours:g}{more}"


def in_child(seed: int, hours: float, bug: str) -> dict[str, Any]:
    arguments = [sys.executable, __file__, "--seed", str(seed), "--hours", str(hours), "--bug", bug]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment(), timeout=LONGEST_S)
    return said(seed, done.stdout, done.stderr)


def said(seed: int, out: str, why: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        found = {"seed": seed, "broken": [f"the simulation itself failed: {why[-2000:]}"], "hits": {}, "cpu_s": 0.0}
    return found


def forked(seed: int, hours: float, bug: str) -> None:
    """As ``in_child``, but nothing is imported anew; the line of JSON goes to our own standard output."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            one(seed, hours, "", bug)
        except BaseException:  # noqa: BLE001 - whatever it is belongs to this seed, and the interpreter must not end in order
            sys.stdout.write(json.dumps(said(seed, "", traceback.format_exc())) + "\n")
            sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "0"}


def worker(seeds: str, hours: float, bug: str) -> list[dict[str, Any]]:
    """The results of seeds, and of bugs, with commas between them, of a process that forks for each."""
    arguments = [sys.executable, __file__, "--worker", seeds, "--hours", str(hours), "--bug", bug]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=False, env=environment())
    return [dict(json.loads(line)) for line in done.stdout.splitlines()]


def with_and_without(bug: str, seed: int, hours: float) -> list[dict[str, Any]]:
    """One seed with the bug, and the same one without it."""
    both = bug, WITHOUT + bug
    if not hasattr(os, "fork"):
        return [in_child(seed, hours, one) for one in both]
    return worker(str(seed), hours, ",".join(both))


def many(seeds: Sequence[int], hours: float, jobs: int, bug: str = "") -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor(jobs) as pool:
        if not hasattr(os, "fork"):
            yield from pool.map(lambda seed: in_child(seed, hours, bug), seeds)
            return
        parts = [seeds[first : first + PART] for first in range(0, len(seeds), PART)]
        for found in pool.map(lambda part: worker(",".join(map(str, part)), hours, bug), parts):
            yield from found


def campaign(seeds: Sequence[int], hours: float, jobs: int, file: Path) -> int:
    """What ``file`` holds is not run again; a broken seed stops no other."""
    from simulated import faults

    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = {one["seed"]: one for one in map(json.loads, lines)}
    began_s, left = time.perf_counter(), [seed for seed in seeds if seed not in found]
    for done, one in enumerate(many(left, hours, jobs), start=1):
        found[one["seed"]] = one
        with file.open("a", encoding="utf-8") as results:
            results.write(json.dumps(one) + "\n")
        if one["broken"] or done % SAID_EVERY == 0:
            rate = done / (time.perf_counter() - began_s)
            sys.stdout.write(f"{done} of {len(left)} seeds, {rate:.2f} a second {broken_of([one], hours)}\n")
            sys.stdout.flush()
    hits: Counter[str] = Counter()
    for seed in seeds:
        hits.update(found[seed]["hits"])
    broken = broken_of([found[seed] for seed in seeds], hours)
    sys.stdout.write(
        f"{faults.by_number(hits)}\n{len(broken)} of {len(seeds)} seeds are broken\n" + "\n".join(broken) + "\n"
    )
    return 1 if broken else 0


def broken_of(results: Sequence[dict[str, Any]], hours: float = HOURS) -> list[str]:
    return [f"{one['broken'][0]}: {command(one['seed'], hours, '')}" for one in results if one["broken"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="0-39", help="FIRST-LAST")
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trace", default="", help="the file to write everything to that happened")
    parser.add_argument("--bug", default="")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help="for many seeds: the file of their results, to be gone on with")
    asked = parser.parse_args()
    if asked.worker:
        import simulated.world

        assert simulated.world
        for seed, bug in product(map(int, asked.worker.split(",")), asked.bug.split(",")):
            forked(seed, asked.hours, bug)
        return 0
    if asked.seed is not None:
        if os.environ.get("PYTHONHASHSEED") != "0":
            os.execve(sys.executable, [sys.executable, *sys.argv], environment())  # noqa: S606 - ourselves, hashes fixed
        os._exit(one(asked.seed, asked.hours, asked.trace, asked.bug))
    first, last = map(int, asked.seeds.split("-"))
    if asked.results is not None:
        return campaign(range(first, last + 1), asked.hours, asked.jobs, asked.results)
    bad = 0
    for found in many(range(first, last + 1), asked.hours, asked.jobs, asked.bug):
        bad += bool(found["broken"])
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
