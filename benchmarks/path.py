"""The whole path of a sample against a floor: one channel at 1 Hz on the virtual clock, the same simulated 2400.

The floor queries, parses, checks a cut-off and commits every 250 rows, all in one loop; it has no guard, no protocol, no
checkpoint and no verified output. Both costs hold the simulator's own. MQTT and the page are left out on both sides.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.link import Bare
from benchmarks.measure import Cost, Stopwatch, Table, compare
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.config import StationSettings as Names
from cycler_ctl.running.start import read_order
from cycler_ctl.station import Station
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.shipped import library
from sim_hardware.bench import BenchInstrument, Place, open_bench

SAMPLES = 8_000
PLACE = Place("smu", cell="d", serial="1")
SETTINGS = (
    ":SENS:FUNC:CONC ON;:SENS:FUNC 'VOLT','CURR';:FORM:ELEM VOLT,CURR,STAT;:SENS:CURR:PROT 7.85E-5;:SOUR:CLE:AUTO OFF;"
    ":SOUR:FUNC VOLT;:SOUR:VOLT:RANG 2;:SOUR:VOLT 0.2;:OUTP ON\n"
)


def config(data_dir: Path, instrument: BenchInstrument) -> Config:
    limits = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)
    return Config(
        station=Names(name="bench", site="bench", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={"smu": InstrumentSettings(driver="keithley-2400", address=instrument.address)},
        channels={"d": ChannelSettings(instrument="smu", sample_every_s=1.0, limits=limits, temperature="unmonitored")},
    )


async def by_station() -> Cost:
    clock = StepClock()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        bench = await stack.enter_async_context(open_bench(1, clock.now, [PLACE]))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        station = Station(config(Path(folder), bench["smu"]), clock, NoLease())
        with clock.member():
            await station.open(group)
            stack.push_async_callback(station.close, "the end of the benchmark")
            await station.first_tries()
            await station.begin("d", read_order(library()["fig_s3_d"], None, {}))
        began_s, watch = clock.now(), Stopwatch()
        while clock.now() - began_s < SAMPLES:
            await real_sleep(0.01)
        return watch.cost(clock.now() - began_s)


async def by_floor() -> Cost:
    clock = StepClock()
    async with open_bench(1, clock.now, [PLACE]) as bench:
        with TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "floor.sqlite")) as rows:
            return await _floor(clock, bench["smu"], rows)


async def _floor(clock: StepClock, instrument: BenchInstrument, rows: sqlite3.Connection) -> Cost:
    rows.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE samples (at_s, V, A)")
    host, port = instrument.address.split("::")[1:3]
    _, wire = await asyncio.get_running_loop().create_connection(Bare, host, int(port))
    wire.transport.write(SETTINGS.encode())
    waiting: list[tuple[float, float, float]] = []
    watch = Stopwatch()
    with clock.member():
        for second in range(SAMPLES):
            await clock.sleep_until(float(second))
            voltage_V, current_A, _ = map(float, (await wire.query(b":READ?\n")).split(b","))
            waiting.append((clock.now(), voltage_V, current_A))
            if voltage_V <= 0.2 or len(waiting) == 250:
                rows.executemany("INSERT INTO samples VALUES (?, ?, ?)", waiting)
                rows.commit()
                waiting.clear()
    cost = watch.cost(SAMPLES)
    wire.transport.abort()
    return cost


async def bench() -> AsyncIterator[Table]:
    title = "one sample, wire to disk, at 1 Hz of virtual time"
    yield await compare(title, {"station": by_station, "floor": by_floor}, 3, rate="simulated s/s")
