"""A raw socket that a killed client has left behind is freed by the instrument's dead-socket port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from benches import SOURCES, Bench
from judged import Provokes

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.errors import InstrumentError
from cycler_ctl.instrument import DriverSpec, LinkDefaults
from cycler_ctl.link.dead_socket import free_socket
from cycler_ctl.plugins import load_driver
from cycler_ctl.watching import safeoff
from cycler_ctl.watching.register import SafeOffEntry
from sim_hardware.faults import Instrument, Line
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.loads import Battery
from sim_hardware.server import Endpoint

CLOCK = SystemClock()
ONE_CLIENT = [
    bench for bench in SOURCES if bench.name in {"keithley_2450", "keithley_2600", "keysight_b2900", "rs_ngu"}
]
"""They have a LAN port, which serves one client at a time."""


@dataclass
class OneSession:
    """A LAN port: the first client is served until it is thrown out, others connect and hear nothing."""

    sim: Instrument
    served: asyncio.StreamWriter | None = None
    thrown_out: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        if self.served is None:
            self.served = writer
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                if self.served is writer:
                    writer.write(self.sim.receive(data))
        if self.served is writer:
            self.served = None
        writer.close()

    async def dead_socket(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.served is not None:
            self.served.close()
        self.served, self.thrown_out = None, self.thrown_out + 1
        self.writers.append(writer)
        writer.close()


@asynccontextmanager
async def stuck(session: OneSession, says: bytes = b":OUTP ON\n") -> AsyncGenerator[tuple[str, int]]:
    """Its only socket is held by a client that says nothing any more."""
    servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (session.serve, session.dead_socket)]
    port, dead_port = (server.sockets[0].getsockname()[1] for server in servers)
    _, holder = await asyncio.open_connection("127.0.0.1", port)
    holder.write(says)
    try:
        yield f"TCPIP0::127.0.0.1::{port}::SOCKET", dead_port
    finally:
        for writer in (holder, *session.writers):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        for server in servers:
            server.close()
            await server.wait_closed()


@pytest.mark.parametrize("freed", [True, False])
async def test_safe_off_gets_through_a_socket_that_a_killed_client_holds(
    monkeypatch: pytest.MonkeyPatch, provokes: Provokes, *, freed: bool
) -> None:
    provokes("off, but still connected", "on in two wires")  # the killed client's doing
    session = OneSession(Keithley2450(Battery(3.7, 50.0), CLOCK.now))
    async with stuck(session) as (address, dead_port), asyncio.timeout(30):
        spec = load_driver("keithley-2450")
        link = replace(spec.link, timeout_s=0.2, dead_socket=dead_port if freed else None)

        def quick(_: str) -> DriverSpec:
            return replace(spec, link=link)

        monkeypatch.setattr(safeoff, "load_driver", quick)
        (result,) = await safeoff.safe_off_all([SafeOffEntry("smu1", "keithley-2450", address)], CLOCK)
    assert result.confirmed is freed
    assert bool(session.thrown_out) is freed


@pytest.mark.parametrize("bench", ONE_CLIENT, ids=lambda bench: bench.name)
async def test_a_socket_that_somebody_else_holds_is_an_error_and_ours_once_he_has_left(bench: Bench) -> None:
    session = OneSession(bench.make(CLOCK.now, 0))
    async with stuck(session, b"*IDN?\n") as (address, _), asyncio.timeout(30):
        endpoint = Endpoint(address, Line(session.sim))
        with pytest.raises(InstrumentError, match=r"answer|confirmed"):
            await connected(bench, endpoint)
        assert session.served is session.writers[0]
        session.writers[0].close()
        while session.served is not None:
            await real_sleep(0.01)
        await connected(bench, endpoint)


async def connected(bench: Bench, endpoint: Endpoint) -> None:
    async with (
        bench.link(endpoint, CLOCK, timeout_s=0.2) as link,
        bench.spec.connect(link, bench.options) as instrument,
    ):
        assert set(instrument.channels) >= set(bench.outputs)


async def test_only_where_there_is_such_a_port_it_is_called() -> None:
    assert not await free_socket("TCPIP0::127.0.0.1::5025::SOCKET", LinkDefaults())
    assert not await free_socket("GPIB0::24::INSTR", LinkDefaults(dead_socket=9))
    assert not await free_socket("nonsense", LinkDefaults(dead_socket=9))
    assert not await free_socket("TCPIP0::127.0.0.1::5025::SOCKET", LinkDefaults(dead_socket=9))
