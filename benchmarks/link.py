"""One query: the native links against the least that can be done on the same wire, PyVISA's against bare PyVISA-py."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import cast

import pyvisa
from pyvisa.resources import MessageBasedResource

from benchmarks.instrument import fake_instrument
from benchmarks.measure import Cost, Stopwatch, Table, compare
from cycler_ctl.clock import SystemClock
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.opening import open_link

QUERIES = 1000
HOST = "127.0.0.1"
QUESTION = b":READ?"


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


async def timed(query: Callable[[], Awaitable[object]]) -> Cost:
    await query()
    watch = Stopwatch()
    for _ in range(QUERIES):
        await query()
    return watch.cost(QUERIES)


async def by_link(address: str, backend: str | None = None) -> Cost:
    async with open_link(address, LinkDefaults(), SystemClock(), backend=backend) as link:
        return await timed(lambda: link.query(QUESTION))


async def by_protocol(port: int) -> Cost:
    _, bare = await asyncio.get_running_loop().create_connection(Bare, HOST, port)
    cost = await timed(lambda: bare.query(QUESTION + b"\n"))
    bare.transport.abort()
    return cost


async def by_streams(port: int) -> Cost:
    reader, writer = await asyncio.open_connection(HOST, port)

    async def query() -> bytes:
        writer.write(QUESTION + b"\n")
        return await reader.readline()

    cost = await timed(query)
    writer.close()
    await writer.wait_closed()
    return cost


async def by_blocking_socket(port: int) -> Cost:
    """Blocks the loop: nothing else runs in the meantime."""
    with socket.create_connection((HOST, port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        async def query() -> bytes:
            wire.sendall(QUESTION + b"\n")
            return wire.recv(4096)

        return await timed(query)


async def by_blocking_terminal(path: str) -> Cost:
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:

        async def query() -> bytes:
            os.write(terminal, QUESTION + b"\n")
            reply = b""
            while not reply.endswith(b"\n"):
                reply += os.read(terminal, 4096)
            return reply

        return await timed(query)
    finally:
        os.close(terminal)


@asynccontextmanager
async def own_thread() -> AsyncGenerator[Callable[[Callable[[], object]], Awaitable[object]]]:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as worker:
        yield lambda job: loop.run_in_executor(worker, job)


async def by_pyserial(path: str) -> Cost:
    """``read_until``, as its manual has it, in an executor."""
    import serial

    with serial.Serial(path, timeout=1.0) as port:

        def query() -> bytes:
            port.write(QUESTION + b"\n")
            return bytes(port.read_until(b"\n"))

        async with own_thread() as within:
            return await timed(lambda: within(query))


async def by_pyvisa(resource_name: str) -> Cost:
    """``query`` in an executor."""
    with closing(pyvisa.ResourceManager("@py")) as manager:
        resource = manager.open_resource(resource_name)
        if not isinstance(resource, MessageBasedResource):
            raise TypeError(resource_name)
        resource.read_termination = resource.write_termination = "\n"
        async with own_thread() as within:
            cost = await timed(lambda: within(lambda: resource.query(QUESTION.decode())))
        resource.close()
        return cost


async def bench() -> AsyncIterator[Table]:
    with fake_instrument() as port:
        address = f"TCPIP0::{HOST}::{port}::SOCKET"
        yield await compare(
            "one query over TCP, the instrument in another process",
            {
                "native link": lambda: by_link(address),
                "asyncio streams": lambda: by_streams(port),
                "bare asyncio.Protocol": lambda: by_protocol(port),
                "blocking socket": lambda: by_blocking_socket(port),
            },
        )
        yield await compare(
            "the same by PyVISA",
            {"PyVISA link": lambda: by_link(address, "visa"), "PyVISA-py in an executor": lambda: by_pyvisa(address)},
        )
    if sys.platform == "win32":
        return
    from benchmarks.serial_instrument import serial_instrument

    with serial_instrument() as path:
        address = f"ASRL{path}::INSTR"
        yield await compare(
            "one query over a pseudo-terminal",
            {
                "native serial link": lambda: by_link(address),
                "pyserial, read_until in an executor": lambda: by_pyserial(path),
                "blocking reads": lambda: by_blocking_terminal(path),
            },
        )
        yield await compare(
            "the same by PyVISA",
            {"PyVISA link": lambda: by_link(address, "visa"), "PyVISA-py in an executor": lambda: by_pyvisa(address)},
        )
