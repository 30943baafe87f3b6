"""Whether a core itself stood still: nothing goes before this on it, and still it woke late.

A virtual machine's cores are taken away by its host for milliseconds now and then, and a core that sleeps wakes when the
host likes. A deadline that was missed in such a moment says nothing about the program that missed it.
``python -m benchmarks.witness measured|other``: each line of its output is ``[from_s, to_s]``, by ``perf_counter``.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from subprocess import PIPE, Popen
from threading import Event
from time import perf_counter

from benchmarks.placing import pin, realtime

FIRST = 50
EVERY_S, LATE_S = 0.004, 0.002

Span = tuple[float, float]


class Witnesses:
    """One on each core that counts; what they saw once they were asked to end."""

    def __init__(self, children: Sequence[Popen[str]]) -> None:
        self._children = children
        self.stood_still: list[Span] = []

    def end(self) -> None:
        for child in self._children:
            child.terminate()
            said, _ = child.communicate()
            self.stood_still += [(begin_s, end_s) for begin_s, end_s in map(json.loads, said.splitlines())]

    def saw(self, begin_s: float, end_s: float) -> bool:
        """A core stood still within that time."""
        return any(begin_s < still[1] and still[0] < end_s for still in self.stood_still)


@contextmanager
def witnesses() -> Generator[Witnesses]:
    command = [sys.executable, "-m", "benchmarks.witness"]
    children = [Popen([*command, core], stdout=PIPE, text=True) for core in ("measured", "other")]
    found = Witnesses(children)
    try:
        yield found
    finally:
        found.end()


def main() -> None:
    pause, last_s = Event(), perf_counter()  # never set
    while True:
        pause.wait(EVERY_S)
        now_s = perf_counter()
        if now_s - last_s > EVERY_S + LATE_S:
            print(json.dumps([last_s, now_s]), flush=True)
        last_s = now_s


if __name__ == "__main__":
    pin(measured=sys.argv[1] == "measured")
    gc.disable()
    if realtime(FIRST):  # else others may go before it, and it knows nothing
        main()
