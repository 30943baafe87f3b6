"""The reaction to a cut-off as the instrument sees it: from the crossing sample's answer to OFF, against a raw client.

Meanwhile the other half of the channels goes on, the store syncs, the broker is down and ten browsers watch; and the
same with one silent instrument among them. By turns with a blocking client of one instrument on the same core.
``python -m benchmarks.reaction --json``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from statistics import median, quantiles
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter

from benchmarks.floor import CUT_OFF_V
from benchmarks.instruments import FakeRack, fake_rack
from benchmarks.measure import Line, Table
from benchmarks.path import line_of
from benchmarks.placing import pin
from benchmarks.spec import Spec
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.errors import LinkClosed
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.opening import open_link

HZ, CROSSED_V = 10.0, CUT_OFF_V + 0.005
NOBODY = "mqtt://127.0.0.1:9"
BROWSERS, LOSSES = 10, 20
BETWEEN_S = (0.05, 0.15)
RAW_BETWEEN_S = (0.2, 0.3)
"""The next one is armed when the last one has crossed: two readings at least."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """(channels, rounds): in each round half of the channels cross; of more than three a minute the station spares its relays."""

    sizes: tuple[tuple[int, int], ...] = ((32, 3), (128, 1))
    repeats: int = 3


@contextmanager
def program(*words: str) -> Generator[Popen[str]]:
    with Popen([sys.executable, "-m", *words], stdout=PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


def crossings(rack: FakeRack, numbers: Sequence[int], between_s: tuple[float, float] = BETWEEN_S) -> None:
    pause = Event()  # never set
    for number in numbers:
        pause.wait(random.uniform(*between_s))
        rack.tell("cross", number, CROSSED_V)
    pause.wait(0.5)


def by_raw(count: int) -> list[float]:
    """An instrument of its own: what the station has set in the others, the raw client would not undo."""
    with fake_rack(1) as rack, program("benchmarks.raw_client", str(rack.ports[0]), str(HZ)):
        Event().wait(0.5)
        crossings(rack, (0,) * count, RAW_BETWEEN_S)
        return rack.report().reactions_s


def by_service(rack: FakeRack, rounds: int, *, silent: bool) -> list[float]:
    half, found = len(rack.ports) // 2, list[float]()
    with TemporaryDirectory() as folder:
        spec = Spec(tuple(rack.ports), HZ, 0.0, folder, NOBODY, page=_free_port(), rounds=rounds)
        watch = ("benchmarks.watchers", f"http://127.0.0.1:{spec.page}", str(BROWSERS))
        with program("benchmarks.service", spec.text()) as service:
            line_of(service, "begin")
            with program(*watch):
                for number in range(rounds):
                    rack.tell("begin", 1 / HZ)
                    rack.tell("silent", len(rack.ports) - 1, silent)
                    crossings(rack, random.sample(range(half), half))
                    found += rack.report().reactions_s
                    line_of(service, "end")
                    if number < rounds - 1:
                        line_of(service, "begin")
    rack.tell("silent", len(rack.ports) - 1, 0)
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def measure(wanted: Wanted) -> Iterator[Table]:
    pin(measured=False)
    for channels, rounds in wanted.sizes:
        with fake_rack(channels) as rack:
            turns = [_turn(rack, rounds) for _ in range(wanted.repeats)]
        yield _compared(f"the reaction to a cut-off, {channels} channels × {HZ:g} Hz", turns)


def _turn(rack: FakeRack, rounds: int) -> dict[str, list[float]]:
    raw = by_raw(min(100, rounds * len(rack.ports) // 2))
    service = by_service(rack, rounds, silent=False)
    return {"raw client": raw, "service": service, "service, one silent": by_service(rack, rounds, silent=True)}


def _compared(title: str, turns: Sequence[dict[str, list[float]]]) -> Table:
    lines = [
        Line(name, _numbers([_at(turn[name]) for turn in turns]) | {"of": len(turns[0][name])}) for name in turns[0]
    ]
    pairs = (("service", "raw client"), ("service, one silent", "raw client"), ("service, one silent", "service"))
    lines += [Line(f"{ours} / {theirs}", _ratios(turns, ours, theirs)) for ours, theirs in pairs]
    return Table(title, tuple(lines), "the store syncs, the broker is down, ten browsers watch; ratios by turns")


def _at(seconds: Sequence[float]) -> tuple[float, float, float]:
    return 1e6 * median(seconds), 1e6 * quantiles(seconds, n=100, method="inclusive")[98], 1e6 * max(seconds)


def _numbers(found: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    middle, late, latest = zip(*found, strict=True)
    return {"µs p50": median(middle), "µs p99": median(late), "µs at most": max(latest)}


def _ratios(turns: Sequence[dict[str, list[float]]], ours: str, theirs: str) -> dict[str, float]:
    found = [(_at(turn[ours]), _at(turn[theirs])) for turn in turns]
    middle, late = [one[0] / other[0] for one, other in found], [one[1] / other[1] for one, other in found]
    return {"× p50": median(middle), "best p50": min(middle), "× p99": median(late), "best p99": min(late)}


async def lost() -> Table:
    """From the moment an instrument hangs up in the middle of a question until its run would hear of it."""
    defaults, found = LinkDefaults(), list[float]()
    with fake_rack(1) as rack:
        address = f"TCPIP0::127.0.0.1::{rack.ports[0]}::SOCKET"
        rack.tell("silent", 0, 1)
        for _ in range(LOSSES):
            async with open_link(address, defaults, SystemClock()) as link:
                asked = asyncio.create_task(link.query(b"*IDN?"))
                await real_sleep(0.05)
                hung_up_s: float = await asyncio.to_thread(rack.tell, "hang_up", 0)
                try:
                    await asked
                except LinkClosed:
                    found.append(perf_counter() - hung_up_s)
    numbers = {"of the time-out": max(found) / defaults.timeout_s, "ms p50": 1e3 * median(found), "of": len(found)}
    return Table("a lost connection is noticed after", (Line("native link, at most", numbers),))


async def bench() -> AsyncIterator[Table]:
    yield await lost()
    for table in measure(Wanted()):
        yield table


def wanted_of(words: Sequence[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reaction")
    parser.add_argument("--size", nargs=2, type=int, action="append", metavar=("CHANNELS", "ROUNDS"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    return Wanted(tuple((channels, rounds) for channels, rounds in asked.size or Wanted().sizes), asked.repeats)


async def main(wanted: Wanted, *, as_json: bool) -> None:
    for table in chain((await lost(),), measure(wanted)):
        print(table.json() if as_json else table.text(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(wanted_of(sys.argv[1:]), as_json="--json" in sys.argv))
