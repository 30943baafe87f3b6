"""Virtual time that jumps only while every member sleeps, so real sockets take real milliseconds at no run time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Generator
from contextlib import contextmanager

from cycler_ctl.clock import Wake, real_sleep


class StepClock:
    """A Clock that wakes one sleeper at a time, the earliest first and of equals the one that joined first.

    One at a time makes a run with many channels repeat exactly: no two of them are ever under way at once. With a
    ``speed``, a jump waits until that many times less real time has passed; a slow machine makes it later, never
    the run's own time.
    """

    def __init__(self, start_utc_s: float = 1_767_225_600.0, speed: float | None = None) -> None:  # 2026-01-01
        self._speed = speed
        self._jumped_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._now_s = 0.0
        self._start_utc_s = start_utc_s
        self._ranks: dict[asyncio.Task[object] | None, int] = {}
        self._joined = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now_s

    def utc(self) -> float:
        return self._start_utc_s + self._now_s

    def utc_is_set(self, by_s: float) -> None:
        """Somebody sets the computer's clock; the monotonic one knows nothing of it."""
        self._start_utc_s += by_s

    @contextmanager
    def member(self) -> Generator[None]:
        task = asyncio.current_task()
        if task in self._ranks:
            raise RuntimeError("this task is a member already")
        self._ranks[task] = self._joined
        self._joined += 1
        try:
            yield
        finally:
            del self._ranks[task]
            self._jump()

    async def sleep_until(self, at_s: float, wake: Wake | None = None) -> None:
        if wake is not None and wake.is_set():
            return
        rank = self._ranks.get(asyncio.current_task())
        if rank is None:
            raise RuntimeError("only a member may sleep: enter clock.member() first")
        until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (max(at_s, self._now_s), rank, until)
        heapq.heappush(self._sleepers, sleeper)
        if wake is not None:
            wake.attach(until)
        self._jump()
        try:
            if until.done():
                await real_sleep(0)  # whoever is awake again at once must still let the rest of the loop have its turn
            await until
        finally:
            if sleeper in self._sleepers:  # cancelled, or woken early
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    def _jump(self) -> None:
        """A sleeper that was just cancelled or woken is awake already, though its task has not run yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        everyone_sleeps = len(self._sleepers) == len(self._ranks) and not any(s[2].done() for s in self._sleepers)
        if not (self._sleepers and everyone_sleeps):
            return
        if self._speed is not None and self._paced(self._sleepers[0][0], self._speed):
            return
        at_s, _, until = heapq.heappop(self._sleepers)
        self._now_s = max(self._now_s, at_s)
        until.set_result(None)

    def _paced(self, at_s: float, speed: float) -> bool:
        """True while it is too early for this jump; it is looked at again when its time has come."""
        loop = asyncio.get_running_loop()
        since_s = loop.time() if self._jumped_s is None else self._jumped_s
        self._jumped_s = since_s
        due_s = since_s + (at_s - self._now_s) / speed
        if loop.time() < due_s:
            self._timer = loop.call_at(due_s, self._jump)
            return True
        self._jumped_s = loop.time()
        return False
