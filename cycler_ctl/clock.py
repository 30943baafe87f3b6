"""Run time: monotonic seconds and UTC together, injected everywhere. The only module that may sleep."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import ceil
from typing import Protocol

TICKS_PER_S = 500
"""Real sleepers wake on common ticks: channels that are due at nearly the same time cost one turn of the loop, not many.

Whole milliseconds, for uvloop rounds to the nearest: half a one would be none, again and again.
"""
AWAKE_S = 1.0  # the loop's own timers stand still while the computer sleeps: so soon after that is a deadline seen


class Wake:
    """Ends one sleeper's sleep early; stays set until ``clear``. For one loop, one sleeper."""

    def __init__(self) -> None:
        self._sleeper: asyncio.Future[None] | None = None
        self._set = False

    def set(self) -> None:
        self._set = True
        _resolve(self._sleeper)

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def attach(self, sleeper: asyncio.Future[None]) -> None:
        self._sleeper = sleeper
        if self._set:
            _resolve(sleeper)


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


class Clock(Protocol):
    """``now`` decides, ``utc`` labels; both in s and both from one source."""

    def now(self) -> float: ...
    def utc(self) -> float: ...
    async def sleep_until(self, at_s: float, wake: Wake | None = None) -> None:
        """Return at ``at_s``, or earlier when ``wake`` is set (virtual time, which costs nothing, may ignore it)."""
        ...

    def member(self) -> AbstractContextManager[None]:
        """While entered, a virtual clock waits for this task before it jumps. Sleep only inside."""
        ...


def tick_after(now_s: float, left_s: float) -> float:
    return ceil((now_s + left_s) * TICKS_PER_S) / TICKS_PER_S if left_s > 0.0 else now_s


# Goes on while the computer sleeps, for so does a current; Linux's monotonic clock stands still, Windows' does not.
if sys.platform == "linux":
    _elapsed_s = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    _elapsed_s = time.monotonic


class SystemClock:
    """Real time, optionally faster: ``speed`` simulated seconds pass in one real second. Who sleeps by it is on one loop."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._start_s = _elapsed_s()
        self._start_utc_s = time.time()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sleepers: dict[float, list[asyncio.Future[None]]] = {}
        """By the tick of that loop at which they wake: those of one tick share its timer."""

    def now(self) -> float:
        return (_elapsed_s() - self._start_s) * self._speed

    def utc(self) -> float:
        if self._speed == 1.0:
            return time.time()
        return self._start_utc_s + self.now()

    async def sleep_until(self, at_s: float, wake: Wake | None = None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left_s = (at_s - self.now()) / self._speed
            sleeper: asyncio.Future[None] = loop.create_future()
            self._wake_at(tick_after(loop.time(), min(left_s, AWAKE_S)), loop, sleeper)
            if wake is not None:
                wake.attach(sleeper)
            await sleeper
            if left_s <= AWAKE_S or (wake is not None and wake.is_set()):
                return

    def _wake_at(self, tick_s: float, loop: asyncio.AbstractEventLoop, sleeper: asyncio.Future[None]) -> None:
        """One that is woken earlier, or cancelled, stays in the list until the tick, a second at most."""
        if loop is not self._loop:
            self._loop, self._sleepers = loop, {}
        sharing = self._sleepers.get(tick_s)
        if sharing is None:
            self._sleepers[tick_s] = sharing = list[asyncio.Future[None]]()
            loop.call_at(tick_s, self._tick, tick_s, sharing)
        sharing.append(sleeper)

    def _tick(self, tick_s: float, sleepers: list[asyncio.Future[None]]) -> None:
        self._sleepers.pop(tick_s, None)
        for sleeper in sleepers:
            _resolve(sleeper)

    def member(self) -> AbstractContextManager[None]:
        return nullcontext()


async def real_sleep(duration_s: float) -> None:
    """Sleep on the real machine's clock: for link time-outs, back-off and heartbeats, never for a run."""
    await asyncio.sleep(duration_s)
