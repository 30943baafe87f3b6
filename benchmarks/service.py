"""The real station in the place of the floor: link, driver, guard, engine, store, MQTT and the page, as ``serve`` has them.

``python -m benchmarks.service SPEC``, as ``benchmarks.path`` and ``benchmarks.reaction`` start it. Without the guardian,
whose lease goes to a pipe that nobody reads.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.placing import pin, realtime
from benchmarks.spec import Spec, measured, runner, say
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.computer.turns import hand_over_soon, spare_what_stays
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, MqttSettings
from cycler_ctl.config import StationSettings as Names
from cycler_ctl.reporting import open_reporting
from cycler_ctl.running.start import Order, read_order
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import GuardianLease

PROTOCOL = """
protocol: 1
name: a long charge
cell:
  name: x
  working_electrode: NMC
  counter_electrode: graphite
  nominal_capacity: 1000 mAh
  discharge_means: lithiate
record: every {every_ms} ms
safety: {{voltage: 2.5 V to 4.5 V, current: 0.1 A, for: 1 s}}
steps:
  - charge: {{at: 10 mA, until: 4.2 V or 90 h, abort_if: voltage >= 4.4 V}}
"""
FIRST = 5
"""The loop's priority; that of the other threads is one less, or on one core none would ever give way to it in time."""
LIMITS = Limits(voltage_V=(2.0, 4.6), current_A=0.2, step_charge_Ah=1.0)


def config(spec: Spec) -> Config:
    instruments = {
        f"i{number}": InstrumentSettings(
            driver="keysight-b2900", address=f"TCPIP0::127.0.0.1::{port}::SOCKET", options={"nplc": 0.01}
        )
        for number, port in enumerate(spec.ports)
    }
    channels = {
        f"c{name[1:]}": ChannelSettings(
            instrument=name, sample_every_s=1 / spec.hz, limits=LIMITS, temperature="unmonitored", debounce=1
        )
        for name in instruments
    }
    return Config(
        station=Names(name="bench", site="bench", data_dir=Path(spec.folder)),
        mqtt=MqttSettings(enabled=bool(spec.broker)),
        http=HttpSettings(listen=f"127.0.0.1:{spec.page}", enabled=bool(spec.page)),
        instruments=instruments,
        channels=channels,
    )


def order_of(spec: Spec) -> Order:
    file = Path(spec.folder) / "charge.yaml"
    file.write_text(PROTOCOL.format(every_ms=1000 / spec.hz), encoding="utf-8")
    return read_order(file, None, {})


def rows_of(station: Station) -> int:
    """Every sample is a row."""
    return sum(newest[1].seq for each in station.channels() if (newest := station.latest(each.channel)) is not None)


async def main(spec: Spec) -> None:
    async with AsyncExitStack() as stack:
        lease = await stack.enter_async_context(GuardianLease(Path(spec.folder), os.open(os.devnull, os.O_WRONLY)))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        station = Station(config(spec), SystemClock(), lease)
        await station.open(group)
        stack.push_async_callback(station.close, "the end of the benchmark")
        await station.first_tries()
        await stack.enter_async_context(open_reporting(station, spec.broker))
        spare_what_stays(len(spec.ports))
        order = order_of(spec)
        names = [each.channel for each in station.channels()]
        await begin(station, names, order)
        realtime(FIRST)
        if not spec.rounds:
            await measured(spec, lambda: rows_of(station))
        for _ in range(spec.rounds):
            say("begin")
            crossed = names[: len(names) // 2]
            await asyncio.gather(*map(station.ended, crossed))
            say("end")
            await begin(station, crossed, order)


async def begin(station: Station, names: Sequence[str], order: Order) -> None:
    async with asyncio.TaskGroup() as starts:
        for name in names:
            starts.create_task(station.begin(name, order))
    await real_sleep(2.0)


if __name__ == "__main__":
    pin(measured=True)
    realtime(FIRST - 1)
    hand_over_soon()
    spec = Spec.of(sys.argv[1])
    with runner(spec) as loop:
        loop.run(main(spec))
