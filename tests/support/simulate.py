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
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

HOURS = 2.0
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
            world.only(hunted.shown_by, hunted.people_every_s)
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
    child = os.fork()
    if child == 0:
        try:
            one(seed, hours, "", bug)
        except BaseException:  # noqa: BLE001 - whatever it is belongs to this seed, and the interpreter must not end in order
            sys.stdout.write(json.dumps(said(seed, "", traceback.format_exc())) + "\n")
            sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.stdout.write(json.dumps(said(seed, "", f"its process ended with status {status}")) + "\n")
        sys.stdout.flush()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONHASHSEED": "0"}


class Worker:
    """A process that imports everything once, and forks for each seed; a context manager. Without forks, nothing."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if hasattr(os, "fork"):
            arguments = [sys.executable, __file__, "--worker"]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True, env=environment())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def run(self, seed: int, hours: float, bug: str = "") -> dict[str, Any]:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return in_child(seed, hours, bug)
        self._process.stdin.write(json.dumps([seed, hours, bug]) + "\n")
        self._process.stdin.flush()
        return said(seed, self._process.stdout.readline(), "its worker has ended")


def work() -> None:
    """Of a worker: a line in, a line out."""
    import simulated.world

    assert simulated.world
    while line := sys.stdin.readline():
        seed, hours, bug = json.loads(line)
        forked(seed, hours, bug)


def many(seeds: Sequence[int], hours: float, jobs: int, bug: str = "") -> Iterator[dict[str, Any]]:
    free: SimpleQueue[Worker] = SimpleQueue()

    def run(seed: int) -> dict[str, Any]:
        worker = free.get()
        try:
            return worker.run(seed, hours, bug)
        finally:
            free.put(worker)

    with ExitStack() as workers, ThreadPoolExecutor(jobs) as pool:
        for _ in range(jobs):
            free.put(workers.enter_context(Worker()))
        yield from pool.map(run, seeds)


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
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help="for many seeds: the file of their results, to be gone on with")
    asked = parser.parse_args()
    if asked.worker:
        work()
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
