"""Whether a core itself stood still: nothing of any program goes before this on it, and still it woke late.

A virtual machine's cores are taken away by its host for milliseconds now and then, a core that sleeps wakes when the host
likes, and the kernel may be busy with itself. A deadline that was missed in such a moment says nothing about the program
that missed it. ``python -m benchmarks.witness CORE``: the first line is empty, each later one ``[from_s, to_s]`` by
``perf_counter``. Nothing is said where others may go before it: without the right to real time, or where Linux holds
real-time processes back (``kernel.sched_rt_runtime_us`` is not -1).
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryFile
from threading import Event
from time import perf_counter
from typing import IO

from benchmarks.placing import realtime

FIRST = 50
EVERY_S, LATE_S = 0.004, 0.002

Span = tuple[float, float]


class Witnesses:
    """One on each core; what they saw once they have ended."""

    def __init__(self) -> None:
        self.able = False
        self.stood_still: list[Span] = []

    def hear(self, files: Sequence[IO[str]]) -> None:
        said = [file.read().splitlines() for file in files]
        self.able = all(said)
        self.stood_still = together([(begin_s, end_s) for each in said for begin_s, end_s in map(json.loads, each[1:])])

    def stood_still_s(self, begin_s: float, end_s: float) -> float:
        """How long a core did within that time."""
        return sum(max(0.0, min(end_s, still[1]) - max(begin_s, still[0])) for still in self.stood_still)


def together(spans: Sequence[Span]) -> list[Span]:
    """Both cores may stand still at once, which counts once."""
    found = list[Span]()
    for begin_s, end_s in sorted(spans):
        if found and begin_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_s))
        else:
            found.append((begin_s, end_s))
    return found


@contextmanager
def witnesses() -> Generator[Witnesses]:
    found = Witnesses()
    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile("w+")) for _ in range(os.cpu_count() or 1)]
        command = [sys.executable, "-m", "benchmarks.witness"]
        children = [Popen([*command, str(core)], stdout=file) for core, file in enumerate(files)]
        try:
            yield found
        finally:
            for child, file in zip(children, files, strict=True):
                child.terminate()
                child.wait()
                file.seek(0)
            found.hear(files)


def first_of_all(core: int) -> bool:
    """Nobody else goes before this process on that core now."""
    held_back = Path("/proc/sys/kernel/sched_rt_runtime_us")
    if not held_back.exists() or held_back.read_text().strip() != "-1":
        return False
    os.sched_setaffinity(0, {core})
    return realtime(FIRST)


def main() -> None:
    print(flush=True)
    pause, last_s = Event(), perf_counter()  # never set
    while True:
        pause.wait(EVERY_S)
        now_s = perf_counter()
        due_s = last_s + EVERY_S
        if now_s - due_s > LATE_S:
            print(json.dumps([due_s, now_s]), flush=True)
        last_s = now_s


if __name__ == "__main__":
    gc.disable()
    if first_of_all(int(sys.argv[1])):
        main()
