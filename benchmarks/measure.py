"""Wall and CPU time per unit of work: contestants take turns, and medians are compared."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
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


async def compare(title: str, contestants: Mapping[str, Contestant], repeats: int = REPEATS) -> dict[str, Cost]:
    """Print each one's median cost, and the first one's as a multiple of every other's."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            costs[name].append(await contestant())
    medians = {name: _median(found) for name, found in costs.items()}
    print(f"\n{title}")
    ours = next(iter(medians.values()))
    for name, cost in medians.items():
        times = f"   ours x {ours.wall_us / cost.wall_us:5.2f} wall, x {ours.cpu_us / cost.cpu_us:5.2f} CPU"
        print(f"  {name:34} {cost.wall_us:9.2f} µs wall {cost.cpu_us:9.2f} µs CPU{'' if cost is ours else times}")
    return medians


def _median(costs: list[Cost]) -> Cost:
    return Cost(median(cost.wall_us for cost in costs), median(cost.cpu_us for cost in costs))
