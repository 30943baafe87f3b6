"""An Acme SMU-1 on a 3.7 V cell of 50 ohm, at the level of its lines: written from the manual, not from the driver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

OPEN_CIRCUIT_V, OHM = 3.7, 50.0


class SimulatedSmu1:
    def __init__(self) -> None:
        self.state = "OFF"

    def operating(self) -> tuple[float, float]:
        """Voltage in V and current in A at the terminals."""
        word, *numbers = self.state.split(" ")
        if word == "CC":
            current_A, low_V, high_V = (float(each) for each in numbers)
            voltage_V = min(max(OPEN_CIRCUIT_V + current_A * OHM, low_V), high_V)
            return voltage_V, (voltage_V - OPEN_CIRCUIT_V) / OHM
        if word == "CV":
            wanted_V, limit_A = (float(each) for each in numbers)
            current_A = min(max((wanted_V - OPEN_CIRCUIT_V) / OHM, -limit_A), limit_A)
            return OPEN_CIRCUIT_V + current_A * OHM, current_A
        return OPEN_CIRCUIT_V, 0.0

    def answer(self, line: str) -> str:
        match line.split(" "):
            case ["ID?", nonce]:
                return f"ACME,SMU-1,0042,1.3,{nonce}"
            case ["READ?"]:
                voltage_V, current_A = self.operating()
                return f"{voltage_V:.6e} {current_A:.6e} {'OFF' if self.state == 'OFF' else 'ON'}"
            case ["STATE?"]:
                return self.state
            case ["OFF" | "REST"] | ["CC", _, _, _] | ["CV", _, _]:
                self.state = line
                return "OK"
            case _:
                return f"ERROR cannot read {line!r}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(self.answer(line.decode("ascii").strip()).encode() + b"\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def simulated() -> AsyncGenerator[tuple[SimulatedSmu1, str]]:
    """The instrument and the address it answers at."""
    smu = SimulatedSmu1()
    server = await asyncio.start_server(smu.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield smu, f"TCPIP0::127.0.0.1::{port}::SOCKET"
