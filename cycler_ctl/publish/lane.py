"""One stream of one run on its way out: what is durable, what was sent, what was acknowledged. Pure bookkeeping.

``acknowledged <= sent <= durable``. Acknowledgements may come in any order; the cursor follows only the lowest
unbroken end of them. After a lost connection everything not acknowledged is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH_ROWS = 60
TRIES_ALONE = 3
"""How often a single row must take the connection down with it before it is called refused."""


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers ``first`` to ``last``, both included, of a lane. ``probe``: only the notice that ``first`` was refused."""

    first: int
    last: int
    probe: bool = False


class Lane:
    """``most``: how many rows one message may carry at best."""

    def __init__(self, acknowledged: int, most: int = BATCH_ROWS) -> None:
        self.acknowledged = acknowledged
        self.durable = acknowledged
        self.failures = 0
        self.released = acknowledged
        """Up to here nobody waits for more rows to fill a message."""
        self._sent = acknowledged
        self._most = most
        self._limit = most
        self._unacknowledged: dict[int, Span] = {}
        self._done: set[int] = set()

    @property
    def waiting(self) -> int:
        return max(0, self.durable - self.acknowledged)

    @property
    def in_flight(self) -> int:
        return len(self._unacknowledged)

    @property
    def ready(self) -> bool:
        """There is something to send."""
        return self.durable > self._sent

    @property
    def gathering(self) -> bool:
        """What is not sent yet fills no message, and may wait until it does."""
        return self.released <= self._sent and self.durable - self._sent < self._limit

    @property
    def suspected(self) -> bool:
        """A message of this lane was alone on a connection that broke."""
        return self.failures > 0 or self._limit < self._most

    def next_span(self) -> Span | None:
        """What to send next, not yet marked as sent: the caller may cut it where the message would grow too large."""
        first = self._sent + 1
        if first > self.durable:
            return None
        probe = self.failures % (TRIES_ALONE + 1) == TRIES_ALONE
        return Span(first, first if probe else min(self._sent + self._limit, self.durable), probe)

    def sending(self, span: Span) -> None:
        self._unacknowledged[span.first] = span
        self._sent = span.last

    def acknowledge(self, span: Span) -> int:
        """The new cursor. A span that was given up meanwhile (``lost``) counts for nothing: it is sent again."""
        if self._unacknowledged.get(span.first) is not span:
            return self.acknowledged
        self._done.add(span.first)
        while (lowest := min(self._unacknowledged, default=0)) in self._done:
            self._done.discard(lowest)
            self.acknowledged = self._unacknowledged.pop(lowest).last
        self.failures = 0
        self._limit = min(self._most, self._limit * 2)
        return self.acknowledged

    def too_large(self, span: Span) -> None:
        """The broker says so itself: fewer rows at a time; a single row is told of instead."""
        if self._unacknowledged.get(span.first) is not span:
            return
        rows = span.last - span.first + 1
        self._limit = max(1, rows // 2)
        self.failures = TRIES_ALONE if rows == 1 else 0
        self._rewind()

    def lost(self, *, alone: bool) -> None:
        """The connection ended. ``alone``: nothing else was on its way, so this lane's message is under suspicion.

        A message of several rows is halved; a single row is tried again ``TRIES_ALONE`` times, then probed: if the
        broker takes the short notice in its place, the row is refused; if not, the broker is ill and the row is innocent.
        """
        if alone and self._unacknowledged:
            span = next(iter(self._unacknowledged.values()))
            rows = span.last - span.first + 1
            self._limit = max(1, rows // 2)
            self.failures = self.failures + 1 if rows == 1 else 0
        self._rewind()

    def _rewind(self) -> None:
        self._unacknowledged.clear()
        self._done.clear()
        self._sent = self.acknowledged
