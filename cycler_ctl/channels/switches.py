"""How often an output was switched: starts put it on six times a minute at most, over all runs of a channel (reliability F46).

What a protocol's own steps need is never refused; that it is much is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import ceil, inf

from cycler_ctl.errors import TooSoonError
from protocols.record import JSON, EventKind

REWIRED = "the output was off for a moment: another range or regulation"
SWITCHES, WITHIN_S = 6, 60.0
A_START = 2  # on at 0 A to look at the cell, and where that is another regulation once more for the first setpoint


class Switches:
    """When the output was switched on, by starts and resumes, and between the settings of steps."""

    def __init__(self) -> None:
        self._starts_s: deque[float] = deque(maxlen=SWITCHES)
        self._steps_s: deque[float] = deque(maxlen=SWITCHES + 1)
        self._told_s = -inf

    def on(self, now_s: float) -> None:
        """Count one more; TooSoonError as ``refuse``."""
        self.refuse(now_s)
        self._starts_s.append(now_s)

    def refuse(self, now_s: float) -> None:
        """TooSoonError where a start now would be too many."""
        recent_s = [at_s for at_s in self._starts_s if now_s - at_s < WITHIN_S]
        too_many = len(recent_s) + A_START - SWITCHES
        if too_many > 0:
            wait_s = ceil(recent_s[too_many - 1] + WITHIN_S - now_s)
            often = f"the output was switched on {len(recent_s)} times within a minute"
            raise TooSoonError(f"{often}, and its relay wears: try again in {wait_s} s", wait_s)

    def rewired(self, now_s: float, took_s: float, *, starting: bool) -> Iterator[tuple[EventKind, Mapping[str, JSON]]]:
        """Count one more; what to tell of it where a step needed it, and once a minute that they are many."""
        if starting:
            self._starts_s.append(now_s)
            return
        self._steps_s.append(now_s)
        yield EventKind.NOTE, {"text": REWIRED, "took_s": round(took_s, 3)}
        often = sum(now_s - at_s < WITHIN_S for at_s in self._steps_s) > SWITCHES
        if often and now_s - self._told_s >= WITHIN_S:
            self._told_s = now_s
            yield (
                EventKind.WARNING,
                {"text": f"the relay switched more than {SWITCHES} times within a minute; it wears"},
            )
