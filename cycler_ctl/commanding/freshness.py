"""What makes a command fresh: nonces, the pace of commands, and whether the time of day can be relied on.

Everything counts in monotonic seconds that are handed in; a clock that is set changes nothing of it.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass

NONCE_S = 60.0
OVERLAP_S = 10.0  # who read a nonce just before it was replaced may still use it
PER_MINUTE = 5
MINUTE_S = 60.0
STOP_EVERY_S = 1.0
STEP_S = 5.0
SETTLED_S = 600.0  # after the clock was set
ANCHOR_S = 60.0  # NTP may slew by 0.5 ms in a second: so the comparison begins anew often


@dataclass(slots=True)
class Nonces:
    """Of one channel. New every minute, and after each command that was accepted."""

    now_s: float
    current: str = ""
    _made_s: float = 0.0
    _before: str = ""

    def __post_init__(self) -> None:
        self.renew(self.now_s)

    def tick(self, now_s: float) -> None:
        if now_s - self._made_s >= NONCE_S:
            before = self.current
            self.renew(now_s)
            self._before = before

    def renew(self, now_s: float) -> None:
        """The one before is worth nothing any more."""
        self.current, self._before, self._made_s = secrets.token_urlsafe(16), "", now_s

    def valid(self, now_s: float) -> frozenset[str]:
        self.tick(now_s)
        overlaps = bool(self._before) and now_s - self._made_s < OVERLAP_S
        return frozenset({self.current, self._before} if overlaps else {self.current})

    def good_for_s(self, now_s: float) -> float:
        return self._made_s + NONCE_S - now_s


class Tempo:
    """Of one channel: five commands a minute, and beside them one stop a second."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=PER_MINUTE)
        self._stopped_s: float | None = None

    def too_often(self, now_s: float, *, stop: bool) -> str:
        """Why not now, or empty."""
        if stop:
            soon = self._stopped_s is not None and now_s - self._stopped_s < STOP_EVERY_S
            return "a stop was taken less than a second ago" if soon else ""
        full = len(self._at_s) == PER_MINUTE and now_s - self._at_s[0] < MINUTE_S
        return f"more than {PER_MINUTE} commands in a minute on this channel" if full else ""

    def count(self, now_s: float, *, stop: bool) -> None:
        if stop:
            self._stopped_s = now_s
        else:
            self._at_s.append(now_s)


class Trickle:
    """Lets ``burst`` through at once, then one each ``every_s``, and counts what it held back."""

    def __init__(self, every_s: float, burst: int) -> None:
        self._every_s = every_s
        self._spare_s = every_s * (burst - 1)
        self._due_s = float("-inf")
        self.held = 0

    def take(self, now_s: float) -> bool:
        if now_s < self._due_s:
            self.held += 1
            return False
        self._due_s = max(self._due_s, now_s - self._spare_s) + self._every_s
        return True


class Timekeeping:
    """Compares the time of day with the monotonic clock. Look at it often."""

    def __init__(self) -> None:
        self._anchor_s: float | None = None
        self._offset_s = 0.0
        self._stepped_s: float | None = None
        self._synchronised = False

    def look(self, now_s: float, utc_s: float, *, synchronised: bool) -> None:
        self._synchronised = synchronised
        offset_s = utc_s - now_s
        if self._anchor_s is not None and not abs(offset_s - self._offset_s) <= STEP_S:
            self._stepped_s, self._anchor_s = now_s, None
        if self._anchor_s is None or now_s - self._anchor_s >= ANCHOR_S:
            self._anchor_s, self._offset_s = now_s, offset_s

    def trouble(self, now_s: float) -> str:
        """Why the time of day cannot be relied on, or empty."""
        if self._stepped_s is not None and now_s - self._stepped_s < SETTLED_S:
            return f"the clock was set {now_s - self._stepped_s:.0f} s ago"
        return "" if self._synchronised else "the clock is not synchronised"
