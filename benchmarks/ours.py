"""Our side of ``peers``: ``python -m benchmarks.ours parts|service FOLDER SAMPLES`` prints µs of processor time a sample.

parts: driver, guard, engine and record, one after the other. service: the whole station, on a clock that leaps.
The instrument is in this process and costs as little as the peers': a reading is repeated with other digits.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Cost, Stopwatch
from benchmarks.wireless import apart, plug_in
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.config import StationSettings as Names
from cycler_ctl.guard import Ceilings
from cycler_ctl.instrument import Instrument
from cycler_ctl.running.recording import hand_over
from cycler_ctl.running.start import Order, Prepared, prepare, spot_of
from cycler_ctl.station import Station
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from drivers.keithley_2400 import DRIVER, Options
from protocols import engine
from protocols.events import Apply, Sampled, Started
from protocols.reading.documents import Document
from sim_hardware.bench import Place, make_smu

UTC_S = 1_767_225_600.0
PROTOCOL = """
protocol: 1
name: Peers
cell: {name: X, nominal_capacity: 100 mAh, discharge_means: lithiate}
record: every 1 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
steps:
  - delithiate: {at: 10 uA, until: voltage >= 4.2 V, abort_if: 20000 h}
"""
ORDER = Order(Document("peers.yaml", PROTOCOL), by="benchmark")


class Second:
    """Time as the benchmark counts it."""

    at_s = 0.0

    def now(self) -> float:
        return self.at_s


class Repeating:
    """A simulated 2400 that works out a reading after each setting only, and then repeats it with another voltage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._instrument = make_smu(Place("smu", cell="battery", serial="1"), 1, now)
        self._parts: tuple[bytes, ...] = ()
        self._number = 0

    def receive(self, data: bytes) -> bytes:
        if not data.startswith(b":READ?"):
            self._parts = ()
            return self._instrument.receive(data)
        if not self._parts:
            reply = self._instrument.receive(data)
            self._parts = tuple(reply.split(reply[:13]))
            return reply
        self._number += 1
        return (b"+3.70%04dE+00" % (self._number % 10_000)).join(self._parts)


class DirectLink:
    """The driver's link without anything below."""

    address = "the benchmark"

    def __init__(self, instrument: Repeating, now: Callable[[], float]) -> None:
        self._instrument = instrument
        self.now = now

    async def write(self, message: bytes) -> None:
        self._instrument.receive(message + b"\r\n")

    async def query(self, message: bytes) -> bytes:
        return self._instrument.receive(message + b"\r\n").rstrip()

    async def clear(self) -> None:
        """Nothing is under way."""


def settings_of(data_dir: Path, address: str) -> Config:
    limits = Limits(voltage_V=(2.5, 4.4), current_A=10e-3, step_charge_Ah=1.0)
    channel = ChannelSettings(instrument="smu", sample_every_s=1.0, limits=limits, temperature="unmonitored")
    return Config(
        station=Names(name="bench", site="bench", data_dir=data_dir),
        mqtt=MqttSettings(),
        http=HttpSettings(enabled=False),
        instruments={"smu": InstrumentSettings(driver="keithley-2400", address=address)},
        channels={"a": channel},
    )


async def by_parts(folder: Path, samples: int) -> Cost:
    second = Second()
    link = DirectLink(Repeating(second.now), second.now)
    async with DRIVER.connect(link, Options()) as instrument:
        spot = spot_of("a", settings_of(folder, "TCPIP0::127.0.0.1::1::SOCKET"), DRIVER, instrument)
        prepared = prepare(ORDER, spot, UTC_S)
        record = create_run(folder, prepared.info, on_durable=lambda _: None)
        cost = await _sampled(instrument, prepared, record, second, samples)
        record.close(60.0)
    return cost


async def _sampled(instrument: Instrument, prepared: Prepared, record: RunWriter, second: Second, samples: int) -> Cost:
    """Read, judge, decide, write down: what a run does at each sample, and no more."""
    channel, program, guard = instrument.channels["1"], prepared.program, prepared.guard
    state, actions = engine.advance(program, engine.begin(program), Started(0.0, UTC_S))
    (setpoint,) = (action.setpoint for action in actions if isinstance(action, Apply))
    await channel.apply(setpoint)
    watched = guard.begin_step(setpoint, Ceilings(), 0.0)
    hand_over(record, actions, state)
    watch = Stopwatch()
    for _ in range(samples):
        second.at_s += 1.0
        reading = await channel.read()
        watched, trip = guard.check(watched, reading, None, second.at_s)
        if trip is not None:
            raise RuntimeError(trip.reason)
        sample = Sampled(second.at_s, UTC_S + second.at_s, reading.voltage_V, reading.current_A, None)
        state, actions = engine.advance(program, state, sample)
        hand_over(record, actions, state)
    record.flush(600.0)
    return watch.cost(samples)


async def by_service(folder: Path, samples: int) -> Cost:
    clock = StepClock()
    config = settings_of(folder, plug_in(Repeating(clock.now).receive))
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        station = Station(config, clock, NoLease())
        with clock.member():
            await station.open(group)
            stack.push_async_callback(station.close, "the end of the benchmark")
            await station.first_tries()
            await station.begin("a", ORDER)
        began_s, watch = clock.now(), Stopwatch()
        while (passed_s := clock.now() - began_s) < samples:
            await real_sleep(0.01)
        cost = watch.cost(passed_s)
        if station.channels()[0].run is None:
            raise RuntimeError(station.channels()[0].reason)
        return cost


WAYS: dict[str, Callable[[Path, int], Coroutine[object, object, Cost]]] = {"parts": by_parts, "service": by_service}


async def main(way: str, folder: str, samples: str) -> Cost:
    return await apart(lambda: WAYS[way](Path(folder), int(samples)))


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(main(*sys.argv[1:4])))))
