"""One thread, one time, many processes: an event loop without sockets whose time leaps, and threads that take turns.

A process can be killed (nothing of it ever runs again, not even a ``finally``), or stopped and continued.
"""

from __future__ import annotations

import _thread
import asyncio
import heapq
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Protocol, TypeVar

from cycler_ctl.clock import real_sleep

Answer = TypeVar("Answer")
START_S = 1000.0
TICK_S = 1e-6  # a timer is always seen a little late, and time never stands still for who waits for it
MOST_ROUNDS = 100_000  # at one moment; a stopped process that goes on has a few hundred


class VirtualProcess:
    """What belongs together when it dies. Nothing of a dead one is ever freed: a ``finally`` would run then."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.deferred: list[Handle] = []
        self.on_death: list[Callable[[], None]] = []
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            GRAVES.extend(task for task in asyncio.all_tasks() if isinstance(task, Task) and task.process is self)
            for tell in self.on_death:
                tell()
            self.died.set_result(None)

    def spawn(self, coroutine: Coroutine[Any, Any, Answer], name: str) -> asyncio.Task[Answer]:
        context = copy_context()
        context.run(PROCESS.set, self)
        return asyncio.get_running_loop().create_task(coroutine, name=name, context=context)


PROCESS: ContextVar[VirtualProcess | None] = ContextVar("process", default=None)
GRAVES: list[object] = []


NUMBERS = count(1)


class Task(asyncio.Task[Any]):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._number = next(NUMBERS)
        context: Context | None = more.get("context")
        self.process = PROCESS.get() if context is None else context.get(PROCESS)
        super().__init__(*arguments, **more)

    def __hash__(self) -> int:
        """Iterating over a set of them must not depend on where they are in memory."""
        return self._number


class Future(asyncio.Future[Any]):
    __slots__ = ("_number",)
    _number: int

    def __hash__(self) -> int:
        """As a task's; most futures are never asked."""
        if not hasattr(self, "_number"):
            self._number = next(NUMBERS)
        return self._number


class Handle:
    """What an ``asyncio.TimerHandle`` is to those who use one, and less work."""

    __slots__ = ("arguments", "at_s", "callback", "context", "dropped")

    def __init__(
        self, at_s: float, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context
    ) -> None:
        self.at_s = at_s
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped

    def when(self) -> float:
        return self.at_s


class Network(Protocol):
    def connect(self, protocol: asyncio.BaseProtocol, host: str, port: int) -> asyncio.Transport: ...


class DeadlockError(Exception):
    """Nothing is left to do, ever."""


class LivelockError(Exception):
    """Somebody does things without end, and no time passes."""


class SimLoop(BaseEventLoop):
    """``network`` and ``fresh_thread`` are what its processes see of the world."""

    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._at_s = START_S
        self._soon: deque[Handle] = deque()
        self._later: list[tuple[float, int, Handle]] = []
        self._timers = 0
        self._tasks: list[Task] = []
        self.network: Network | None = None
        self.handled = 0
        self._rounds = 0

    get_debug = staticmethod(bool)  # asked for each future: no, without a call of ours

    def time(self) -> float:
        return self._at_s

    def create_task(  # type: ignore[override]  # a task of ours is made of any coroutine, and of nothing else
        self, coro: Coroutine[Any, Any, Answer], *, name: object = None, context: Context | None = None
    ) -> asyncio.Task[Answer]:
        task = Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        return Future(loop=self)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = Handle(self._at_s, callback, args, copy_context() if context is None else context)
        self._soon.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there is one thread at a time

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self._at_s + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        """Of those for the same moment the first is the first."""
        handle = Handle(when, callback, args, copy_context() if context is None else context)
        self._timers += 1
        heapq.heappush(self._later, (when, self._timers, handle))
        return handle

    def living_tasks(self) -> int:
        """Of processes: the world has its own. Those of dead ones are never over."""
        undone = [task for task in self._tasks if not task.done()]
        self._tasks = [task for task in undone if task.process is None or task.process.alive]
        if len(self._tasks) < len(undone):
            GRAVES.extend(undone)
        return sum(task.process is not None for task in self._tasks)

    def _write_to_self(self) -> None:
        """There is no other thread that could be asleep."""

    def _run_once(self) -> None:
        """Again and again, until it is stopped."""
        soon, later = self._soon, self._later
        while not self._stopping:
            while later and later[0][2].dropped:
                heapq.heappop(later)
            if soon:
                self._stay()
            else:
                self._go_on()
            while later and later[0][0] <= self._at_s:
                soon.append(heapq.heappop(later)[2])
            for _ in range(len(soon)):
                handle = soon.popleft()
                if not handle.dropped:
                    self._handle(handle)

    def _go_on(self) -> None:
        """To the next timer."""
        if not self._later:
            raise DeadlockError
        self._at_s = max(self._at_s, self._later[0][0]) + TICK_S
        self._rounds = 0

    def _stay(self) -> None:
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise LivelockError(str(self._soon[0].callback))

    def _handle(self, handle: Handle) -> None:
        process = handle.context.get(PROCESS)
        if process is not None:
            if not process.alive:
                return
            if process.stopped:
                process.deferred.append(handle)
                return
        self.handled += 1
        try:
            handle.context.run(handle.callback, *handle.arguments)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as every loop does
            self.call_exception_handler({"message": f"in {handle.callback}", "exception": error})

    def proceed(self, process: VirtualProcess) -> None:
        """A stopped process goes on with all that has come for it meanwhile."""
        process.stopped = False
        self._soon.extend(process.deferred)
        process.deferred.clear()

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        await real_sleep(0.002)
        assert self.network is not None
        protocol = protocol_factory()
        return self.network.connect(protocol, str(host), int(port)), protocol

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        del executor
        done = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits, as an executor does
                self.call_soon(_fail, done, error)
            else:
                self.call_soon(_succeed, done, result)

        Cothread(self, work).start()
        return done


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class Cothread:
    """A real thread that runs only while the loop waits for it, so that nothing ever happens at the same time."""

    running: Cothread | None = None

    def __init__(self, loop: SimLoop, target: Callable[[], object]) -> None:
        self.loop = loop
        self.over = False
        self._target = target
        self._context = copy_context()
        self._process = PROCESS.get()
        self._go, self._back = _thread.allocate_lock(), _thread.allocate_lock()
        self._go.acquire()
        self._back.acquire()
        self._started = False

    def start(self) -> None:
        self.loop.call_soon(self.resume)

    def resume(self) -> None:
        """On the loop: let it run until it waits or ends."""
        if self.over or (self._process is not None and not self._process.alive):
            return
        before, Cothread.running = Cothread.running, self
        if self._started:
            self._go.release()
        else:
            self._started = True
            _thread.start_new_thread(self._main, ())
        self._back.acquire()
        Cothread.running = before

    def pause(self) -> None:
        """In the thread: the loop goes on until somebody calls ``resume``."""
        self._back.release()
        self._go.acquire()

    def sleep(self, duration_s: float) -> None:
        until_s = self.loop.time() + duration_s
        self.loop.call_at(until_s, self.resume)
        while self.loop.time() < until_s:
            self.pause()

    def _main(self) -> None:
        try:
            self._context.run(self._target)
        finally:
            self.over = True
            self._back.release()


def pause_thread(duration_s: float) -> None:
    """A blocking call takes that long, if it is made in a thread; the loop's own thread never waits."""
    if Cothread.running is not None:
        Cothread.running.sleep(duration_s)
