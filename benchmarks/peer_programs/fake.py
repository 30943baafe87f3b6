"""What every contestant measures: a cell that rises by a nanovolt at each question, answered as text in this process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

CUT_OFF_V = 4.2
CURRENT_A = 1e-5


class Fake:
    def __init__(self) -> None:
        self._asked = 0

    def ask(self) -> str:
        """Voltage and current."""
        self._asked += 1
        return f"{3.7 + 1e-9 * self._asked:+.9E},{CURRENT_A:+.6E}"


def measured(work: Callable[[Path, int], None]) -> None:
    """Run as ``program FOLDER SAMPLES``: prints µs of processor time a sample, all threads, once the rows are written."""
    folder, samples = Path(sys.argv[1]), int(sys.argv[2])
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    work(folder, samples)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    print(json.dumps({"cpu_us": cpu_s / samples * 1e6, "wall_us": wall_s / samples * 1e6}))
