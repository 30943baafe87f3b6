"""How often an output was switched: it goes on six times a minute at most, over all runs of its channel (reliability F46)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import inf

from cycler_ctl.errors import RefusedError
from protocols.record import JSON, EventKind

REWIRED = "the output was off for a moment: another range or regulation"
SWITCHES, WITHIN_S = 6, 60.0
A_START = 2  # on at 0 A to look at the cell, and where that is another regulation once more for the first setpoint


class Switches:
    """When the output was switched on, by a start or between two settings."""

    def __init__(self) -> None:
        self._on_s: deque[float] = deque(maxlen=SWITCHES + 1)
        self._told_s = -inf

    def on(self, now_s: float) -> None:
        """Count one more; RefusedError as ``refuse``."""
        self.refuse(now_s)
        self._on_s.append(now_s)

    def refuse(self, now_s: float) -> None:
        """RefusedError where a start now would be too many."""
        times = self._times(now_s)
        if times + A_START > SWITCHES:
            raise RefusedError(f"the output was switched on {times} times within a minute; its relay wears: wait")

    def rewired(self, now_s: float, took_s: float, *, starting: bool) -> Iterator[tuple[EventKind, Mapping[str, JSON]]]:
        """Count one more, which no protocol is refused; what to tell of it, and once a minute that they are many."""
        self._on_s.append(now_s)
        if not starting:
            yield EventKind.NOTE, {"text": REWIRED, "took_s": round(took_s, 3)}
        if self._times(now_s) > SWITCHES and now_s - self._told_s >= WITHIN_S:
            self._told_s = now_s
            yield (
                EventKind.WARNING,
                {"text": f"the relay switched more than {SWITCHES} times within a minute; it wears"},
            )

    def _times(self, now_s: float) -> int:
        return sum(now_s - at_s < WITHIN_S for at_s in self._on_s)
