"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the real machine's clock. A connection that held ``stable_s`` starts the back-off afresh."""

    first_s: float = 1.0
    most_s: float = 60.0
    stable_s: float = 30.0
    connack_s: float = 10.0
    puback_s: float = 30.0
    keepalive_s: int = 20
    heartbeat_s: float = 30.0
    latest_s: float = 1.0
    commit_s: float = 0.5
    gather_s: float = 5.0
    """So long at most does a row that is on disk wait for others to share a message with; 0: not at all."""
    pace_s: float = 0.02
    """Between two batches once a window's worth went out at once: a backlog must not take the processor from control."""


class Backoff:
    """Doubles from ``first_s`` to ``most_s``, each wait drawn evenly from all of it, so that stations do not march in step."""

    def __init__(self, timing: Timing, draw: Callable[[], float]) -> None:
        self._timing = timing
        self._draw = draw
        self._failures = 0

    def was_up(self, duration_s: float) -> None:
        if duration_s >= self._timing.stable_s:
            self._failures = 0

    def next_s(self) -> float:
        ceiling_s = min(self._timing.most_s, self._timing.first_s * 2.0 ** min(self._failures, _MOST_DOUBLINGS))
        self._failures += 1
        return ceiling_s * self._draw()

    def refused_s(self) -> float:
        """A broker that does not know us will not know us in a second: never fast."""
        self._failures += 1
        return self._timing.most_s * (0.5 + 0.5 * self._draw())


class Pace:
    """Lets ``burst`` through at once, then one each ``every_s``."""

    def __init__(self, every_s: float, burst: int) -> None:
        self._every_s = every_s
        self._burst_s = burst * every_s
        self._due_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long to wait before the next one, which is counted."""
        self._due_s = max(self._due_s + self._every_s, now_s - self._burst_s)
        return max(0.0, self._due_s - now_s)


class Allowance:
    """So many at once, and one more each ``every_s``: what others may ask of us."""

    def __init__(self, every_s: float, burst: int) -> None:
        self._every_s = every_s
        self._burst = burst
        self._left = float(burst)
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) / self._every_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
