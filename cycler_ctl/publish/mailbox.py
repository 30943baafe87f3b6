"""What other threads tell the publisher: they leave it and return at once; nothing here waits or grows without bound."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from cycler_ctl.live import ChannelStatus


@dataclass(frozen=True, slots=True)
class Mail:
    """What changed since the last look."""

    runs: frozenset[str]
    channels: tuple[ChannelStatus, ...]
    stop_within_s: float | None


class Mailbox:
    """Many writers, one reader on ``loop``; news of the same run or channel replace each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: set[str] = set()
        self._channels: dict[str, ChannelStatus] = {}
        self._stop_within_s: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()

    def durable(self, run: str) -> None:
        with self._lock:
            self._runs.add(run)
            self._wake()

    def channel_changed(self, status: ChannelStatus) -> None:
        with self._lock:
            self._channels[status.channel] = status
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
        await self._arrived.wait()
        with self._lock:
            self._arrived.clear()
            mail = Mail(frozenset(self._runs), tuple(self._channels.values()), self._stop_within_s)
            self._runs.clear()
            self._channels.clear()
        return mail

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._arrived.set)
