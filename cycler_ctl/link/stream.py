"""A raw TCP port as a Link, natively on asyncio: a peer that closes is seen at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import cast

from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import LinkClosed
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.address import SocketAddress
from cycler_ctl.link.explain import exchange_error, late, open_error, out_of_step, silence
from cycler_ctl.link.turns import STALL_S, Rank, Turns

CONNECT_S = 3.0
QUIET_S = 0.05
ENDLESS = 1 << 20  # more bytes than any instrument says in one answer


class SocketLink(asyncio.Protocol):
    """Owner of one connection. ``_in_step`` is True only while no answer is outstanding."""

    def __init__(self, address: str, defaults: LinkDefaults, clock: Clock) -> None:
        self._address = address
        self._defaults = defaults
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[bytes] | None = None
        self._deadline_s = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._in_step = True
        self._lost: LinkClosed | None = None
        self._heard = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def address(self) -> str:
        return self._address

    def now(self) -> float:
        return self._clock.now()

    async def write(self, message: bytes) -> None:
        await self._turns.take(Rank.WRITE)
        try:
            self._send(message + self._defaults.write_terminator)
        finally:
            self._turns.give()

    async def query(self, message: bytes) -> bytes:
        await self._turns.take(Rank.QUERY)
        try:
            return await self._exchange(message + self._defaults.write_terminator)
        finally:
            self._turns.give()

    async def clear(self) -> None:
        await self._turns.take(Rank.WRITE)
        try:
            self._send(self._defaults.clear)
            await self._drain()
            self._in_step = True
        finally:
            self._turns.give()

    def close(self) -> None:
        self._lost = self._lost or LinkClosed(f"{self._address} was closed here")
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # create_connection makes no other; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer = (self._buffer + data)[-ENDLESS:]
        self._heard.set()
        reply = self._reply
        if reply is None or reply.done():
            return
        length = self._defaults.reply_length(self._buffer)
        if length is not None:
            reply.set_result(self._buffer[:length])
            self._buffer = self._buffer[length:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._lost or LinkClosed(str(exchange_error(self._address, exc or EOFError("closed by the peer"))))
        self._heard.set()
        self.ended.set()
        if self._watch is not None:
            self._watch.cancel()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(self._lost)

    def _send(self, data: bytes) -> None:
        if self._lost is not None:
            raise LinkClosed(str(self._lost))
        if self._transport is not None and data:
            self._transport.write(data)

    async def _exchange(self, data: bytes) -> bytes:
        if not self._in_step and self._lost is None:
            raise out_of_step(self._address)
        self._buffer = b""  # what came unasked answers nothing
        self._send(data)
        self._in_step = False
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._reply = reply
        self._deadline_s = self._loop.time() + self._defaults.timeout_s
        if self._watch is None:
            self._watch = self._loop.call_at(self._deadline_s, self._expire)
        try:
            raw = await reply
        finally:
            self._reply = None
        if (past_s := self._loop.time() - self._deadline_s) > STALL_S:
            raise late(self._address, self._defaults.timeout_s + past_s)
        self._in_step = True
        return raw.rstrip(self._defaults.strip) if self._defaults.strip else raw

    def _expire(self) -> None:
        """One timer serves many exchanges: it looks again at the newest one's deadline, for arming costs the most."""
        self._watch = None
        reply = self._reply
        if reply is None or reply.done():
            return
        if self._loop.time() < self._deadline_s:
            self._watch = self._loop.call_at(self._deadline_s, self._expire)
        else:
            reply.set_exception(silence(self._address, self._defaults.timeout_s, self._buffer))

    async def _drain(self) -> None:
        """Discard until nothing has come for a while; who never falls quiet is out of step."""
        limit_s = self._loop.time() + self._defaults.timeout_s
        while self._loop.time() < limit_s:
            self._heard.clear()
            if self._lost is not None:
                raise LinkClosed(str(self._lost))
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._heard.wait()
            except TimeoutError:
                await real_sleep(0.0)  # a loop that was held up sees the timer before the bytes
                if not self._heard.is_set():
                    self._buffer = b""
                    return
        raise out_of_step(self._address)


@asynccontextmanager
async def open_socket(
    address: str, target: SocketAddress, defaults: LinkDefaults, clock: Clock
) -> AsyncGenerator[SocketLink]:
    """Connect (TCP_NODELAY is asyncio's default); on leaving, what was written is flushed and the port released."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, link = await loop.create_connection(
                lambda: SocketLink(address, defaults, clock), target.host, target.port
            )
    except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
        raise open_error(address, error) from error
    try:
        yield link
    finally:
        await _end(link)


async def _end(link: SocketLink) -> None:
    """A peer that takes no more bytes is not waited for."""
    link.close()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await link.ended.wait()
    finally:
        link.abort()
