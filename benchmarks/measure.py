"""Wall and CPU time per unit of work: contestants take turns, and medians are compared."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """In µs per unit; CPU is this process's, with all its threads."""

    wall_us: float
    cpu_us: float


class Stopwatch:
    """Started when made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def cost(self, units: float) -> Cost:
        wall_s, cpu_s = time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s
        return Cost(wall_s / units * 1e6, cpu_s / units * 1e6)


Contestant = Callable[[], Awaitable[Cost]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: what it is about, and its numbers by name, the unit in the name."""

    what: str
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """What a program found out. ``remark``: what must be known to read it."""

    title: str
    lines: tuple[Line, ...]
    remark: str = ""

    def text(self) -> str:
        remark = [f"  ({self.remark})"] if self.remark else []
        return "\n".join(["", self.title, *remark, *(_text(line) for line in self.lines)])

    def json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def _text(line: Line) -> str:
    numbers = "  ".join(f"{_short(value):>9} {name}" for name, value in line.numbers.items())
    return f"  {line.what:42} {numbers}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


async def compare(
    title: str, contestants: Mapping[str, Contestant], repeats: int = REPEATS, *, remark: str = "", rate: str = ""
) -> Table:
    """Each one's median cost, and the first one's as a multiple of every other's, turn by turn: median and best.

    ``rate``: what there are so many of in a second.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            costs[name].append(await contestant())
    ours = next(iter(costs))
    lines = [
        Line(name, _medians(found) | _rate(rate, found) | ({} if name == ours else _ratios(costs[ours], found)))
        for name, found in costs.items()
    ]
    return Table(title, tuple(lines), remark)


def _rate(rate: str, costs: list[Cost]) -> dict[str, float]:
    return {rate: 1e6 / median(cost.wall_us for cost in costs)} if rate else {}


def _medians(costs: list[Cost]) -> dict[str, float]:
    return {"µs wall": median(cost.wall_us for cost in costs), "µs CPU": median(cost.cpu_us for cost in costs)}


def _ratios(ours: list[Cost], theirs: list[Cost]) -> dict[str, float]:
    """Of the same turn each, so that a machine that gets busier weighs on both."""
    wall = [one.wall_us / other.wall_us for one, other in zip(ours, theirs, strict=True)]
    cpu = [one.cpu_us / other.cpu_us for one, other in zip(ours, theirs, strict=True)]
    return {
        "× wall, ours": median(wall),
        "best": min(wall),
        "× CPU, ours": median(cpu),
        "best CPU": min(cpu),
    }
