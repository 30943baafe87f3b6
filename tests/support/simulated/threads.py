"""``threading`` as the store's writer uses it, in virtual time: the writer's own code runs unchanged, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from simulated.loop import Cothread, SimLoop


class Thread:
    def __init__(self, target: Callable[[], object], name: str = "", daemon: bool = False) -> None:
        del daemon
        loop = asyncio.get_running_loop() if Cothread.running is None else Cothread.running.loop
        assert isinstance(loop, SimLoop)
        self.name = name
        self._ended = Condition()
        self._target = target
        self._thread = Cothread(loop, self._run)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return not self._thread.over

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait_for(lambda: self._thread.over, timeout)

    def _run(self) -> None:
        try:
            self._target()
        finally:
            self._thread.over = True
            self._ended.notify_all()


class Lock:
    """Nobody is interrupted while holding it, for nobody is interrupted at all; but taken twice, it never comes free."""

    def __init__(self) -> None:
        self.held = False

    def __enter__(self) -> bool:
        assert not self.held, "the lock is taken once more by whoever holds it"
        self.held = True
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held = False


class Condition:
    """Only ``wait_for`` lets others run."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock or Lock()
        self._waiters: list[tuple[Cothread, Callable[[], Any]]] = []

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def notify_all(self) -> None:
        for thread, predicate in self._waiters:
            if predicate():
                thread.loop.call_soon(thread.resume)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        thread = Cothread.running
        if predicate() or thread is None:
            return predicate()
        late: list[bool] = []
        waiter = (thread, lambda: bool(late) or predicate())
        self._waiters.append(waiter)
        timer = None if timeout is None else thread.loop.call_later(timeout, self._expire, thread, late)
        held, self._lock.held = self._lock.held, False
        while not waiter[1]():
            thread.pause()
        self._lock.held = held
        self._waiters.remove(waiter)
        if timer is not None:
            timer.cancel()
        return predicate()

    def _expire(self, thread: Cothread, late: list[bool]) -> None:
        late.append(True)
        thread.resume()
