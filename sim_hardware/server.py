"""Simulated instruments on real wires: a TCP port, or a pseudo-terminal where the system has them.

The hot path is one ``data_received``: no task, no future, no queue for an exchange. One client at a time, as behind a
serial-to-Ethernet server: a second one is closed at once, unless the first turns out to be gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from sim_hardware.faults import Delivery, Instrument, Line

SECOND_LOOK_S = 0.05  # a dead client's end may be read just after its successor has come
READ_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an instrument can be reached: a VISA resource name."""

    address: str
    line: Line


def _line(instrument: Line | Instrument) -> Line:
    return instrument if isinstance(instrument, Line) else Line(instrument)


class _InOrder:
    """Sends now or later, but never one reply before an earlier one: a wire keeps its order."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes, after_s: float = 0.0) -> None:
        if not self._waiting and not after_s:
            self._send(data)
            return
        self._waiting.append((self._loop.time() + after_s, data))
        if len(self._waiting) == 1:
            self._loop.call_at(self._waiting[0][0], self._due)

    def _due(self) -> None:
        self._send(self._waiting.popleft()[1])
        while self._waiting and self._waiting[0][0] <= self._loop.time():
            self._send(self._waiting.popleft()[1])
        if self._waiting:
            self._loop.call_at(self._waiting[0][0], self._due)


class _Port:
    """Who has the line now, and how many were turned away."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.owner: asyncio.Transport | None = None
        self.clients: set[asyncio.Transport] = set()


class _Client(asyncio.Protocol):
    """One TCP connection to the instrument."""

    def __init__(self, port: _Port) -> None:
        self._port = port
        self._line = port.line
        self._transport: asyncio.Transport | None = None
        self._early = b""
        self._out = _InOrder(self._send)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class
        self._transport = transport
        self._port.clients.add(transport)
        if self._port.owner is None:
            self._port.owner = transport
        else:
            asyncio.get_running_loop().call_later(SECOND_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._port.owner is None:
            self._port.owner = transport
            early, self._early = self._early, b""
            if early:
                self.data_received(early)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        transport, line = self._transport, self._line
        if transport is None or transport is not self._port.owner:
            self._early += data  # not ours yet: keep it for the second look
            return
        if line.is_plain:
            reply = line.receive(data)
            if reply:
                self._out.put(reply)
            return
        for delivery in line.exchange(data):
            self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.close and self._transport is not None:
            self._transport.abort()
        else:
            self._out.put(delivery.data, delivery.after_s)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is None:
            return
        self._port.clients.discard(self._transport)
        if self._port.owner is self._transport:
            self._port.owner = None
            self._line.instrument.line_lost()
        self._transport = None


@asynccontextmanager
async def serve_tcp(instrument: Line | Instrument, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Endpoint]:
    """Serve until left; port 0 takes a free one. asyncio sets TCP_NODELAY on every connection."""
    line = _line(instrument)
    shared = _Port(line)
    server = await asyncio.get_running_loop().create_server(lambda: _Client(shared), host, port)
    try:
        bound = server.sockets[0].getsockname()[1]
        yield Endpoint(f"TCPIP0::{host}::{bound}::SOCKET", line)
    finally:
        server.close()
        for transport in tuple(shared.clients):
            transport.abort()
        await server.wait_closed()


class _Terminal:
    """The instrument's end of a pseudo-terminal: bytes as on RS-232, no echo, nobody notices who is there."""

    def __init__(self, line: Line, fd: int) -> None:
        self._line = line
        self._fd = fd
        self._unsent = b""
        self._out = _InOrder(self._send)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        line = self._line
        if line.is_plain:
            reply = line.receive(data)
            if reply:
                self._out.put(reply)
            return
        if line.serial is not None:
            line.serial.host_baud = _baud_of(self._fd) or line.serial.host_baud
        for delivery in line.exchange(data):
            if not delivery.close:  # a cable cannot be hung up from this side
                self._out.put(delivery.data, delivery.after_s)

    def _send(self, data: bytes) -> None:
        if self._fd < 0:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._write(data)
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._unsent = self._unsent[self._write(self._unsent) :]
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0


def _baud_of(fd: int) -> int | None:
    """How the host has set its end: both ends of a pseudo-terminal share it. Parity it does not keep."""
    if sys.platform == "win32":
        return None
    import termios

    speeds = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}
    return speeds.get(termios.tcgetattr(fd)[5])


@asynccontextmanager
async def serve_pty(instrument: Line | Instrument) -> AsyncGenerator[Endpoint]:
    """Serve on a new pseudo-terminal until left; only where the system has them."""
    if sys.platform == "win32":
        raise OSError("this system has no pseudo-terminals; use TCP")
    else:
        import pty
        import tty

        line = _line(instrument)
        master, slave = pty.openpty()
        tty.setraw(slave)  # kept open, so that the line survives clients that come and go
        os.set_blocking(master, False)
        terminal = _Terminal(line, master)
        try:
            yield Endpoint(f"ASRL{os.ttyname(slave)}::INSTR", line)
        finally:
            terminal.close()
            os.close(slave)
