"""Whether the computer slept meanwhile: what was on stayed on, and nobody watched (reliability F10)."""

from __future__ import annotations

import ctypes
import sys
import time

SLEPT_S = 2.0  # both clocks are read one after the other, and drift


def asleep_s() -> float:
    """How long this computer has slept since it was started; only differences mean something."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    if sys.platform == "win32":
        return time.perf_counter() - _unbiased_s()
    return 0.0


def _unbiased_s() -> float:
    """Windows' clock that stands still while it sleeps, in units of 100 ns; its performance counter goes on."""
    ticks = ctypes.c_ulonglong()
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - other systems' type stubs do not have it
    return ticks.value * 1e-7 if kernel.QueryUnbiasedInterruptTime(ctypes.byref(ticks)) else time.perf_counter()


class Awake:
    """Tells each sleep once."""

    def __init__(self) -> None:
        self._before_s = asleep_s()

    def slept_s(self) -> float:
        """Since it was asked last; 0 unless that was a sleep."""
        before_s, self._before_s = self._before_s, asleep_s()
        slept_s = self._before_s - before_s
        return slept_s if slept_s > SLEPT_S else 0.0

    def slept(self) -> str:
        """In words; empty unless it was a sleep."""
        slept_s = self.slept_s()
        return f"this computer slept for {slept_s:.0f} s" if slept_s else ""
