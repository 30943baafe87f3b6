"""Who runs where: what is measured on the last core, instruments and broker on the others, none in its way."""

from __future__ import annotations

import os
import sys


def pin(*, measured: bool) -> None:
    """Where there are two cores; children inherit it."""
    cores = os.cpu_count() or 1
    if sys.platform == "linux" and cores > 1:
        os.sched_setaffinity(0, {cores - 1} if measured else set(range(cores - 1)))


def realtime(priority: int) -> bool:
    """SCHED_FIFO, so that a machine that others use measures this all the same; False where it was refused."""
    if sys.platform != "linux":
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True
