"""How often an output was switched: it goes on six times a minute at most, over all runs of its channel (reliability F46)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from math import inf

from cycler_ctl.errors import RefusedError
from protocols.record import JSON, EventKind

REWIRED = "the output was off for a moment: another range or regulation"
SWITCHES, WITHIN_S = 6, 60.0


class Switches:
    """When the output was switched on; ``reclosed`` is how often the relay opened and closed between two settings."""

    def __init__(self) -> None:
        self._on_s: deque[float] = deque(maxlen=SWITCHES)
        self._reclosed_s: deque[float] = deque(maxlen=SWITCHES + 1)
        self._told_s = -inf

    def on(self, now_s: float) -> None:
        """Count one more; RefusedError where that were too many."""
        self.refuse(now_s)
        self._on_s.append(now_s)

    def refuse(self, now_s: float) -> None:
        """RefusedError where one more were too many."""
        if len(self._on_s) == SWITCHES and now_s - self._on_s[0] < WITHIN_S:
            raise RefusedError(f"the output was switched on {SWITCHES} times within a minute; its relay wears: wait")

    def reclosed(self, now_s: float, took_s: float) -> Iterator[tuple[EventKind, Mapping[str, JSON]]]:
        """Count one more; what to tell of it, and once a minute that they are many."""
        yield EventKind.NOTE, {"text": REWIRED, "took_s": round(took_s, 3)}
        self._reclosed_s.append(now_s)
        often = len(self._reclosed_s) > SWITCHES and now_s - self._reclosed_s[0] < WITHIN_S
        if often and now_s - self._told_s >= WITHIN_S:
            self._told_s = now_s
            yield (
                EventKind.WARNING,
                {"text": f"the relay switched more than {SWITCHES} times within a minute; it wears"},
            )
