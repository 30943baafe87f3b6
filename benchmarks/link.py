"""One query over TCP: the native link against a bare asyncio.Protocol and against asyncio's streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from benchmarks.instrument import fake_instrument
from benchmarks.measure import Cost, Stopwatch, Table, compare
from cycler_ctl.clock import SystemClock
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.opening import open_link

QUERIES = 3000
HOST = "127.0.0.1"


class Bare(asyncio.Protocol):
    """No time-out, no turns, no step kept: the least that can be done."""

    transport: asyncio.Transport
    reply: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.reply.set_result(data)

    async def query(self, message: bytes) -> bytes:
        self.reply = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return await self.reply


async def by_link(port: int) -> Cost:
    async with open_link(f"TCPIP0::{HOST}::{port}::SOCKET", LinkDefaults(), SystemClock()) as link:
        watch = Stopwatch()
        for _ in range(QUERIES):
            await link.query(b":READ?")
        return watch.cost(QUERIES)


async def by_protocol(port: int) -> Cost:
    _, bare = await asyncio.get_running_loop().create_connection(Bare, HOST, port)
    watch = Stopwatch()
    for _ in range(QUERIES):
        await bare.query(b":READ?\n")
    cost = watch.cost(QUERIES)
    bare.transport.abort()
    return cost


async def by_streams(port: int) -> Cost:
    reader, writer = await asyncio.open_connection(HOST, port)
    watch = Stopwatch()
    for _ in range(QUERIES):
        writer.write(b":READ?\n")
        await reader.readline()
    cost = watch.cost(QUERIES)
    writer.close()
    await writer.wait_closed()
    return cost


async def bench() -> AsyncIterator[Table]:
    with fake_instrument() as port:
        yield await compare(
            "one query over TCP, the instrument in another process",
            {
                "native link": lambda: by_link(port),
                "bare asyncio.Protocol": lambda: by_protocol(port),
                "asyncio streams": lambda: by_streams(port),
            },
        )
