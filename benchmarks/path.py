"""The whole path of a sample, wire to disk and broker, against the floor: CPU a sample and deadlines that were missed.

N fake instruments in a process of their own, real-time where that is allowed; the station, or the floor, alone on another
core; the bundled broker beside the instruments. By turns: ``python -m benchmarks.path --json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.instruments import MISSED, FakeRack, fake_rack
from benchmarks.measure import Line, Table
from benchmarks.placing import pin
from benchmarks.spec import Spec
from benchmarks.witness import witnesses
from cycler_ctl.broker import Broker

SIZES = ((8, 10.0), (128, 10.0), (32, 40.0))
CONTESTANTS = ("service", "floor")
LOOPS = ("asyncio", "uvloop")


@dataclass(frozen=True, slots=True)
class Wanted:
    sizes: tuple[tuple[int, float], ...] = SIZES
    seconds: float = 10.0
    repeats: int = 3
    loops: tuple[str, ...] = ("asyncio",)
    contestants: tuple[str, ...] = CONTESTANTS
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """``missed``: periods in which an instrument was not asked, of ``due``; ``stood_still``: only because a core did; None: not known."""

    cpu_us: float
    missed: int
    stood_still: int | None
    due: int
    memory_MB: float
    busy: float
    threads: dict[str, float]
    """CPU in µs a sample of each kind of thread."""


NONE = Measured(0.0, 0, 0, 0, 0.0, 0.0, {})
REMARK = "CPU in µs a sample; missed: periods in which nobody asked an instrument; of these so many only because a core stood still"


def one(contestant: str, spec: Spec, rack: FakeRack) -> Measured:
    """Start it, wait until it is at work, and let it work for the time."""
    command = [sys.executable, "-m", f"benchmarks.{contestant}", spec.text()]
    with witnesses() as seen, Popen(command, stdout=PIPE, text=True) as child:
        try:
            line_of(child, "begin")
            rack.tell("begin", 1 / spec.hz)
            said = line_of(child, "end")
            late = rack.report().late
        finally:
            child.terminate()
    missed = sum(periods for *_, periods in late)
    excused = sum(
        periods
        for last_s, asked_s, periods in late
        if asked_s - last_s - seen.stood_still_s(last_s, asked_s) <= MISSED / spec.hz
    )
    cpu_us = 1e6 * said["cpu_s"] / max(said["samples"], 1)
    due = round(len(spec.ports) * spec.hz * spec.seconds)
    return Measured(
        cpu_us,
        missed,
        excused if seen.able else None,
        due,
        said["memory_MB"],
        said["cpu_s"] / said["wall_s"],
        said["threads"],
    )


def line_of(child: Popen[str], word: str) -> dict[str, Any]:
    while line := child.stdout.readline() if child.stdout else "":
        if f'"at": "{word}"' in line:
            return dict(json.loads(line))
    raise RuntimeError(f"it ended before {word!r}")


def measure(wanted: Wanted) -> Iterator[Table]:
    pin(measured=False)
    with TemporaryDirectory() as folder, Broker(Path(folder), 0) as broker:
        for (count, hz), loop in product(wanted.sizes, wanted.loops):
            with fake_rack(count) as rack:
                spec = Spec(tuple(rack.ports), hz, wanted.seconds, "", broker.url, loop, wanted.profile)
                yield _compared(spec, rack, wanted)


def _compared(spec: Spec, rack: FakeRack, wanted: Wanted) -> Table:
    """By turns, so that a machine that gets busier weighs on both."""
    found: dict[str, list[Measured]] = {name: [] for name in wanted.contestants}
    for _, name in product(range(wanted.repeats), wanted.contestants):
        with TemporaryDirectory() as folder:
            found[name].append(one(name, replace(spec, folder=folder), rack))
    pairs = zip(found.get("service", ()), found.get("floor", ()), strict=False)
    ratios = [ours.cpu_us / floor.cpu_us for ours, floor in pairs]
    lines = [Line(name, _numbers(each)) for name, each in found.items()]
    lines += [
        Line(f"service: {thread}", {"µs CPU": cost})
        for thread, cost in found.get("service", [NONE])[-1].threads.items()
    ]
    if ratios:
        lines.append(Line("service / floor", {"× CPU": median(ratios), "best": min(ratios), "worst": max(ratios)}))
    return Table(f"the whole path: {len(spec.ports)} channels × {spec.hz:g} Hz, {spec.loop}", tuple(lines), REMARK)


def _numbers(found: Sequence[Measured]) -> dict[str, float]:
    excused = [each.stood_still for each in found if each.stood_still is not None]
    return {
        "µs CPU": median(each.cpu_us for each in found),
        "% of a core": 100 * median(each.busy for each in found),
        "missed": sum(each.missed for each in found),
        **({"of these, it stood": sum(excused)} if len(excused) == len(found) else {}),
        "due": sum(each.due for each in found),
        "MB": median(each.memory_MB for each in found),
    }


async def bench() -> AsyncIterator[Table]:
    for table in measure(Wanted()):
        yield table


def wanted_of(words: Sequence[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.path")
    parser.add_argument("--size", nargs=2, type=float, action="append", metavar=("CHANNELS", "HZ"))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loop", action="append", choices=LOOPS)
    parser.add_argument("--only", action="append", choices=CONTESTANTS)
    parser.add_argument("--profile", default="", help="a file for cProfile's figures of the service")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    sizes = tuple((int(count), hz) for count, hz in asked.size or SIZES)
    loops, only = tuple(asked.loop or Wanted().loops), tuple(asked.only or CONTESTANTS)
    return Wanted(sizes, asked.seconds, asked.repeats, loops, only, asked.profile)


if __name__ == "__main__":
    for table in measure(wanted_of(sys.argv[1:])):
        print(table.json() if "--json" in sys.argv else table.text(), flush=True)
