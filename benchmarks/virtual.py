"""Virtual time: how many simulated seconds pass in a real one, for one channel at 1 Hz, with and without sockets.

The floor is a loop on the same clock that formats and reads one SCPI answer a second and compares it with a cut-off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.link import Bare
from benchmarks.measure import Cost, Line, Stopwatch, Table, compare
from benchmarks.wireless import apart, plug_in
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.config import StationSettings as Names
from cycler_ctl.running.start import read_order
from cycler_ctl.station import Station
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.shipped import library
from sim_hardware.bench import Place, make_load, make_smu
from sim_hardware.cell import CELLS
from sim_hardware.circuit import CurrentSource, Source, Terminals, VoltageSource
from sim_hardware.faults import Line as Wire
from sim_hardware.server import serve_tcp

SECONDS = 20_000
QUESTION = b":READ?\n"
CUT_OFF_V = 0.2
STEPS, STEP_S = 20_000, 1.0


class Trivial:
    """A cell that falls by a microvolt at each question, in the words of a source-meter."""

    def __init__(self) -> None:
        self._voltage_V = 0.6

    def receive(self, _: bytes) -> bytes:
        self._voltage_V -= 1e-6
        return f"{self._voltage_V:+.6E},{-7.85e-5:+.6E},{0.0:+.6E}\n".encode()


def settings_of(data_dir: Path, address: str) -> Config:
    limits = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)
    return Config(
        station=Names(name="bench", site="bench", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={"smu": InstrumentSettings(driver="keithley-2400", address=address)},
        channels={"d": ChannelSettings(instrument="smu", sample_every_s=1.0, limits=limits, temperature="unmonitored")},
    )


async def station_for(clock: StepClock, address: str) -> Cost:
    """The whole service, from the arming of the output to rows on the disk."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        station = Station(settings_of(Path(folder), address), clock, NoLease())
        with clock.member():
            await station.open(group)
            stack.push_async_callback(station.close, "the end of the benchmark")
            await station.first_tries()
            await station.begin("d", read_order(library()["fig_s3_d"], None, {}))
        began_s, watch = clock.now(), Stopwatch()
        while clock.now() - began_s < SECONDS:
            await real_sleep(0.01)
        return watch.cost(clock.now() - began_s)


def a_2400(clock: StepClock) -> Wire:
    return Wire(make_smu(Place("smu", cell="d", serial="1"), 1, clock.now))


async def station_without_sockets() -> Cost:
    clock = StepClock()
    return await station_for(clock, plug_in(a_2400(clock).receive))


async def station_by_socket() -> Cost:
    clock = StepClock()
    async with serve_tcp(a_2400(clock)) as endpoint:
        return await station_for(clock, endpoint.address)


async def floor() -> Cost:
    answering = Trivial().receive

    async def ask() -> bytes:
        return answering(QUESTION)

    return await _looked_at(StepClock(), ask)


async def _looked_at(clock: StepClock, ask: Callable[[], Awaitable[bytes]]) -> Cost:
    kept: list[tuple[float, float, float]] = []
    watch = Stopwatch()
    with clock.member():
        for second in range(SECONDS):
            await clock.sleep_until(float(second))
            voltage_V, current_A, _ = map(float, (await ask()).split(b","))
            kept.append((clock.now(), voltage_V, current_A))
            if voltage_V <= CUT_OFF_V:
                break
    return watch.cost(len(kept))


class Answering(asyncio.Protocol):
    """The least that can answer."""

    def __init__(self, instrument: Trivial) -> None:
        self._instrument = instrument
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._transport.write(self._instrument.receive(data))


async def sockets_alone() -> Cost:
    """The floor with its question on a socket, both ends in this process, as the simulated instruments are."""
    loop, instrument = asyncio.get_running_loop(), Trivial()
    async with await loop.create_server(lambda: Answering(instrument), "127.0.0.1", 0) as server:
        _, bare = await loop.create_connection(Bare, *server.sockets[0].getsockname())
        cost = await _looked_at(StepClock(), lambda: bare.query(QUESTION))
        bare.transport.abort()
    return cost


def cell_steps(name: str, source: Source) -> Cost:
    """One second at a time."""
    terminals = Terminals(make_load(name))
    terminals.drive(source)
    terminals.advance(3600.0)
    watch = Stopwatch()
    for _ in range(STEPS):
        terminals.advance(STEP_S)
    return watch.cost(STEPS)


def model_steps(name: str) -> Cost:
    """The model itself, without the source that drives it."""
    cell = make_load(name)
    watch = Stopwatch()
    for _ in range(STEPS):
        cell.advance(STEP_S, -1e-5)
    return watch.cost(STEPS)


def cells() -> Table:
    lines: list[Line] = []
    for name in (next(iter(CELLS)), "nmc"):
        ways = {
            "the model alone": model_steps(name),
            "driven by a current": cell_steps(name, CurrentSource(-1e-5, 21.0)),
            "held at a voltage": cell_steps(name, VoltageSource(0.3 if name in CELLS else 4.0, 1e-3)),
        }
        lines += [Line(f"cell {name}, {way}", {"µs CPU": cost.cpu_us}) for way, cost in ways.items()]
    return Table("one step of the simulated cell, 1 s", tuple(lines))


def in_thread(work: Callable[[], Coroutine[object, object, Cost]]) -> Callable[[], Awaitable[Cost]]:
    return lambda: apart(work)


async def bench() -> AsyncIterator[Table]:
    yield await compare(
        "one simulated second of a channel at 1 Hz, no sockets",
        {"station": in_thread(station_without_sockets), "floor": in_thread(floor)},
        3,
        rate="simulated s/s",
    )
    yield await compare(
        "the same through a real socket",
        {"station": in_thread(station_by_socket), "sockets alone": in_thread(sockets_alone)},
        3,
        rate="simulated s/s",
    )
    yield cells()
