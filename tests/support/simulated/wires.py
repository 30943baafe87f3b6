"""Wires without sockets between the service's own link layer and the simulated instruments, and what befalls them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Any

from sim_hardware.faults import Instrument, Line
from simulated.loop import PROCESS, VirtualProcess

SETTINGS = (b":SENS:", b":SOUR:", b":SYST:RSEN", b":OUTP:SMOD")
SENTINELS = (b"+9.910000E+37", b"+9.900000E+37", b"-9.900000E+37")


class Moody:
    """An instrument that ignores one setting, or answers one reading with a number that is none."""

    def __init__(self, instrument: Instrument, random: Random) -> None:
        self.instrument = instrument
        self._random = random
        self.log = instrument.log
        self.serial = instrument.serial
        self.ignore = self.sentinel = 0
        self.hits = {"setting ignored": 0, "sentinel": 0}

    @property
    def model(self) -> str:
        return self.instrument.model

    def receive(self, data: bytes) -> bytes:
        answer = self.instrument.receive(self._without_one(data) if self.ignore else data)
        if self.sentinel and b"," in answer and answer[:1] in {b"+", b"-"}:
            self.sentinel -= 1
            self.hits["sentinel"] += 1
            sentinel = SENTINELS[
                self.sentinel % 3
            ]  # the answer may hold the reading twice, thirteen characters a number
            return b";".join(sentinel + part[13:] if b"," in part else part for part in answer.split(b";"))
        return answer

    def _without_one(self, data: bytes) -> bytes:
        """One setting of the message is not taken; what asks for it is answered all the same."""
        parts = data.rstrip(b"\r\n").split(b";")
        settings = [at for at, part in enumerate(parts) if part.startswith(SETTINGS) and b"?" not in part]
        if not settings:
            return data
        self.ignore -= 1
        self.hits["setting ignored"] += 1
        del parts[self._random.choice(settings)]
        return b";".join(parts) + b"\r\n" if parts else b""

    def line_lost(self) -> None:
        self.instrument.line_lost()

    def power_cycle(self) -> None:
        self.instrument.power_cycle()

    def set_fault(self, name: str, value: str | float) -> None:
        self.instrument.set_fault(name, value)

    def truth(self) -> dict[str, object]:
        return self.instrument.truth()


class Transport(asyncio.Transport):
    """The host's end of one connection."""

    def __init__(self, wire: Wire, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._wire = wire
        self._protocol: Any = protocol
        self._loop = asyncio.get_running_loop()
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.process: VirtualProcess | None = PROCESS.get()
        self.open = True

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self.open:
            self._wire.take(self, bytes(data))

    def is_closing(self) -> bool:
        return not self.open

    def close(self) -> None:
        self.end(None)

    def abort(self) -> None:
        self.end(None)

    def end(self, error: Exception | None) -> None:
        if self.open:
            self.open = False
            self._loop.call_soon(self._protocol.connection_lost, error)
            self._wire.left(self)

    def put(self, data: bytes, after_s: float) -> None:
        """Never one reply before an earlier one: a wire keeps its order."""
        self.waiting.append((self._loop.time() + after_s, data))
        if len(self.waiting) == 1:
            self._loop.call_at(self.waiting[0][0], self._due)

    def _due(self) -> None:
        _, data = self.waiting.popleft()
        if self.open:
            self._protocol.data_received(data)
        if self.waiting:
            self._loop.call_at(max(self.waiting[0][0], self._loop.time()), self._due)


class Stranger(asyncio.Protocol):
    """Another program at an instrument: it takes the line and says nothing."""


class Wire:
    """One instrument's port, for one host at a time. ``exchanged`` is told of all that reaches the instrument."""

    def __init__(self, name: str, line: Line, random: Random, exchanged: Callable[[Wire, bytes, bytes], None]) -> None:
        self.name = name
        self.line = line
        self.random = random
        self.hanging = self.unplugged = False
        self.elsewhere = False
        self.owner: Transport | None = None
        self.stranger: Transport | None = None
        self.connections = 0
        self.latency_s = (0.004, 0.02)
        self._exchanged = exchanged
        self._world = Context()

    @property
    def blocked(self) -> bool:
        """Nobody who should can reach the instrument."""
        taken = self.stranger is not None and self.owner is self.stranger
        return self.hanging or self.unplugged or self.elsewhere or taken

    def hang_up(self) -> None:
        """Half open: the instrument's side does not know it any more."""
        if self.owner is not None:
            self.owner.end(ConnectionResetError(104, "Connection reset by peer"))

    def connect(self, protocol: asyncio.BaseProtocol) -> Transport:
        if self.unplugged:
            raise ConnectionRefusedError(111, "Connection refused")
        transport = Transport(self, protocol)
        loop = asyncio.get_running_loop()
        loop.call_soon(protocol.connection_made, transport)
        if self.owner is None:
            self.owner = transport
            self.connections += 1
            if transport.process is not None:
                transport.process.on_death.append(lambda: self.left(transport))
        else:
            loop.call_later(0.05, transport.end, None)
        return transport

    def left(self, transport: Transport) -> None:
        transport.open = False
        if self.owner is transport:
            self.owner = None
            self.line.instrument.line_lost()

    def take(self, transport: Transport, data: bytes) -> None:
        if self.hanging or self.unplugged or transport is not self.owner:
            return
        deliveries = self.line.exchange(data)
        self._exchanged(self, data, b"".join(one.data for one in deliveries))
        for delivery in deliveries:
            if delivery.close:
                transport.end(ConnectionResetError(104, "Connection reset by peer"))
            elif delivery.data:
                transport.put(delivery.data, self.random.uniform(*self.latency_s) + delivery.after_s)


class Wires:
    """The network: one port for each instrument."""

    def __init__(self) -> None:
        self.by_port: dict[int, Wire] = {}
        self.swapped = False

    def swap(self) -> None:
        """The first two change places."""
        first, second = self.by_port[1], self.by_port[2]
        self.by_port[1], self.by_port[2] = second, first
        self.swapped = not self.swapped
        for wire in (first, second):
            wire.elsewhere = self.swapped
            wire.hang_up()

    def swap_back(self) -> None:
        if self.swapped:
            self.swap()

    def connect(self, protocol: asyncio.BaseProtocol, host: str, port: int) -> Transport:
        del host
        if port not in self.by_port:
            raise ConnectionRefusedError(111, "Connection refused")
        return self.by_port[port].connect(protocol)
