"""Time of a simulator in its own process: faster than real if told so, and able to jump; never backwards."""

from __future__ import annotations

from collections.abc import Callable


class SimTime:
    """``real`` is a monotonic clock in s; calling the object gives simulated seconds since it was made."""

    def __init__(self, real: Callable[[], float], speed: float = 1.0) -> None:
        self._real = real
        self._real_s = real()
        self._passed_s = 0.0
        self.speed = speed

    def __call__(self) -> float:
        return self._passed_s + (self._real() - self._real_s) * self.speed

    def set_speed(self, speed: float) -> None:
        if speed < 0.0:
            raise ValueError("time does not run backwards")
        self.jump(0.0)
        self.speed = speed

    def jump(self, seconds: float) -> None:
        if seconds < 0.0:
            raise ValueError("time does not jump backwards")
        self._passed_s = self() + seconds
        self._real_s = self._real()
