"""An event loop whose time leaps when nothing is left to do but wait: time-outs cost nothing, real sockets still work."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, TypeVarTuple, Unpack

from cycler_ctl.clock import Wake

Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")
GRACE_S = 0.0005  # real: what another socket has just sent is on its way
JOB_S = 10.0  # real: a thread that has something to do, on a busy machine


class Leaping(selectors.DefaultSelector):
    """Selects without waiting but for ``jobs`` of threads; ``at_s`` is the time it has leapt to."""

    at_s = 1000.0
    jobs = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select((JOB_S if self.jobs else GRACE_S) if timeout > 0 else 0)
        if not ready:
            self.at_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leaping = Leaping()
        super().__init__(self.leaping)

    def time(self) -> float:
        return self.leaping.at_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Arguments]], Answer], *args: *Arguments
    ) -> asyncio.Future[Answer]:
        """Time stands still while a thread works: the disk of a busy machine would take virtual minutes."""
        job = super().run_in_executor(executor, func, *args)
        self.leaping.jobs += 1
        job.add_done_callback(self._done)
        return job

    def _done(self, _: asyncio.Future[Answer]) -> None:
        self.leaping.jobs -= 1


class LoopClock:
    """The running loop's time as a Clock, for threads too."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def utc(self) -> float:
        return 1_795_342_500.0 + self.now()

    async def sleep_until(self, at_s: float, wake: Wake | None = None) -> None:
        sleeper: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_at(at_s, _resolve, sleeper)
        if wake is not None:
            wake.attach(sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()

    def member(self) -> AbstractContextManager[None]:
        return nullcontext()


def _resolve(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def leap(coroutine: Coroutine[object, object, Answer]) -> Answer:
    """Run it to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
