"""What other threads tell the publisher: they leave it and return at once; nothing here waits or grows without bound.

More rows of a run on disk are no reason to wake anybody: its file is looked at a few times a minute, all runs in one go.
Where its channel has just changed there are events among them, and the run is looked at as soon as it is told of.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from cycler_ctl.clock import SystemClock
from cycler_ctl.live import ChannelStatus

NEWS_S = 2.0
"""A change is told before it is on disk; the commit that holds its event comes within this time."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What changed since the last look."""

    runs: frozenset[str]
    channels: tuple[ChannelStatus, ...]
    stop_within_s: float | None
    gathered: bool = False
    """Every run of which more is on disk is among them: no row needs to wait any longer."""


class Mailbox:
    """Many writers, one reader on ``loop``; news of the same run or channel replace each other.

    ``gather_s``: how long the rows of a run may wait that has nothing else to tell; 0: not at all.
    """

    def __init__(self, gather_s: float = 0.0) -> None:
        self._gather_s = gather_s
        self._clock = SystemClock()
        self._gather_due_s = gather_s
        self._lock = threading.Lock()
        self._runs: set[str] = set()
        self._news_until_s: dict[str, float] = {}
        self._channels: dict[str, ChannelStatus] = {}
        self._stop_within_s: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()

    def durable(self, run: str) -> None:
        with self._lock:
            self._runs.add(run)
            if self._has_news(run):
                self._wake()

    def channel_changed(self, status: ChannelStatus) -> None:
        with self._lock:
            self._channels[status.channel] = status
            if status.run is not None and self._gather_s:
                self._news_until_s[status.run] = self._clock.now() + NEWS_S
            self._wake()

    def stop(self, within_s: float) -> None:
        with self._lock:
            self._stop_within_s = within_s
            self._wake()

    def stopping(self) -> bool:
        with self._lock:
            return self._stop_within_s is not None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._loop = loop
            self._arrived.set()

    def close(self) -> None:
        """No more waking: the loop is about to close."""
        with self._lock:
            self._loop = None

    async def wait(self) -> Mail:
        waited = await self._nothing_came()
        with self._lock:
            self._arrived.clear()
            gathered = waited or self._clock.now() >= self._gather_due_s or self._stop_within_s is not None
            runs = {run for run in self._runs if gathered or self._has_news(run)}
            mail = Mail(frozenset(runs), tuple(self._channels.values()), self._stop_within_s, gathered)
            self._runs -= runs
            self._channels.clear()
            if gathered:
                self._begin_to_gather()
        return mail

    async def _nothing_came(self) -> bool:
        """Until it is time to look. A timer may be a rounding early: whoever asked the clock again would never look."""
        try:
            async with asyncio.timeout(self._patience_s()):
                await self._arrived.wait()
        except TimeoutError:
            return True
        return False

    def _patience_s(self) -> float | None:
        return max(0.0, self._gather_due_s - self._clock.now()) if self._gather_s else None

    def _begin_to_gather(self) -> None:
        self._gather_due_s = self._clock.now() + self._gather_s
        self._news_until_s = {run: until_s for run, until_s in self._news_until_s.items() if self._has_news(run)}

    def _has_news(self, run: str) -> bool:
        return not self._gather_s or self._clock.now() < self._news_until_s.get(run, 0.0)

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._arrived.set)
