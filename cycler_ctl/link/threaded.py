"""A blocking port as a Link: one worker thread owns it, an exchange is one job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

from cycler_ctl.clock import Clock, SystemClock
from cycler_ctl.errors import CyclerError, LinkClosed
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.explain import late, open_error, out_of_step, silence
from cycler_ctl.link.turns import STALL_S, Rank, Turns

GRACE_S = 1.0  # a library that has not returned so long after its own time-out hangs
OPEN_S = 5.0

T = TypeVar("T")


class Port(Protocol):
    """What the worker thread speaks to. Failures are LinkError already."""

    def write(self, message: bytes) -> None: ...
    def read(self) -> bytes:
        """What has come, or empty after the port's own short patience."""
        ...

    def discard(self) -> None:
        """Throw away what came unasked, without waiting."""
        ...

    def clear(self) -> None:
        """Abort what is under way and discard until quiet."""
        ...

    def close(self) -> None: ...


class ThreadedLink:
    """Owner of one port and its thread. ``_in_step`` is True only while no answer is outstanding."""

    def __init__(
        self, address: str, defaults: LinkDefaults, clock: Clock, port: Port, worker: ThreadPoolExecutor
    ) -> None:
        self._address = address
        self._defaults = defaults
        self._clock = clock
        self._port = port
        self._worker = worker
        self._turns = Turns()
        self._in_step = True
        self._ended = ""

    @property
    def address(self) -> str:
        return self._address

    def now(self) -> float:
        return self._clock.now()

    async def write(self, message: bytes) -> None:
        await self._turns.take(Rank.WRITE)
        try:
            await self._job(partial(self._port.write, message + self._defaults.write_terminator))
        finally:
            self._turns.give()

    async def query(self, message: bytes) -> bytes:
        await self._turns.take(Rank.QUERY)
        try:
            if not self._in_step and not self._ended:
                raise out_of_step(self._address)
            self._in_step = False
            loop = asyncio.get_running_loop()
            asked_s = loop.time()
            sent = message + self._defaults.write_terminator
            raw = await self._job(partial(exchange, self._address, self._port, self._defaults, sent))
            if (took_s := loop.time() - asked_s) > self._defaults.timeout_s + STALL_S:
                raise late(self._address, took_s)
            self._in_step = True
            return raw.rstrip(self._defaults.strip) if self._defaults.strip else raw
        finally:
            self._turns.give()

    async def clear(self) -> None:
        await self._turns.take(Rank.WRITE)
        try:
            await self._job(self._port.clear)
            self._in_step = True
        finally:
            self._turns.give()

    async def close(self) -> None:
        """The port is closed by its own thread, and the thread ends; one that hangs closes it when it returns."""
        hangs = bool(self._ended)
        try:
            if not hangs:
                await self._job(self._port.close)
        finally:
            self._worker.shutdown(wait=not hangs and not self._ended)
            self._ended = self._ended or f"{self._address} was closed here"

    async def _job(self, job: Callable[[], T]) -> T:
        """A caller that is cancelled leaves its job to finish; the next one waits for it in the thread's queue."""
        if self._ended:
            raise LinkClosed(self._ended)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2 * self._defaults.timeout_s + GRACE_S):
                return await loop.run_in_executor(self._worker, job)
        except TimeoutError as error:
            self._ended = f"the library below {self._address} hangs: open it anew"
            self._worker.submit(self._port.close)  # once it returns: until then the port is busy, for us too
            raise LinkClosed(self._ended) from error


def exchange(address: str, port: Port, defaults: LinkDefaults, message: bytes) -> bytes:
    """Send, and collect one whole reply before the deadline."""
    port.discard()
    clock = SystemClock()
    port.write(message)
    reply = b""
    while (length := defaults.reply_length(reply)) is None:
        if clock.now() >= defaults.timeout_s:
            raise silence(address, defaults.timeout_s, reply)
        reply += port.read()
    return reply[:length]


@asynccontextmanager
async def open_threaded(
    address: str, defaults: LinkDefaults, clock: Clock, open_port: Callable[[], Port]
) -> AsyncGenerator[ThreadedLink]:
    """The port is opened, used and closed in one thread of its own; one that hangs is left behind."""
    worker = ThreadPoolExecutor(1, thread_name_prefix=f"link {address}")
    opening = asyncio.get_running_loop().run_in_executor(worker, open_port)
    try:
        port = await _opened(address, opening)
    except BaseException:
        opening.add_done_callback(_close_unwanted)
        worker.shutdown(wait=False)
        raise
    link = ThreadedLink(address, defaults, clock, port, worker)
    try:
        yield link
    finally:
        await link.close()


async def _opened(address: str, opening: asyncio.Future[Port]) -> Port:
    """Libraries raise what they like here, so the error is taken from the future, not caught by type."""
    await asyncio.wait([opening], timeout=OPEN_S)
    if not opening.done():
        raise open_error(address, TimeoutError(f"not open within {OPEN_S:g} s"))
    error = opening.exception()
    if error is None:
        return opening.result()
    if isinstance(error, CyclerError):
        raise error
    raise open_error(address, error) from error


def _close_unwanted(opening: asyncio.Future[Port]) -> None:
    """A port that opened after its user had gone is released."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
