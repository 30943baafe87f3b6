"""Every driver with its own time-out, in virtual time: a link that gives nothing is an alarm in time, one lost answer is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rig import LIMITS, protocol
from virtual_loop import LoopClock, leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.lease import NoLease
from cycler_ctl.live import ChannelState
from cycler_ctl.plugins import load_driver
from cycler_ctl.start import Order
from cycler_ctl.station import Station
from protocols.reading.documents import Document
from sim_hardware.bench import BenchInstrument, Place, open_bench
from sim_hardware.faults import LineFault

ALARM_S = 4.5  # of the 5 s that are promised
DRIVERS = {
    "keithley-2400": "keithley-2400",
    "keithley-2450": "keithley-2450",
    "keithley-2600": "keithley-2601b",
    "keysight-b2900": "keysight-b2901a",
    "rs-ngu": "rs-ngu401",
    "palmsens-emstat4": "palmsens-emstat4",
}
OUTPUTS = {"keithley-2600": "a"}
EVERY_DRIVER = pytest.mark.parametrize("driver", DRIVERS)


@dataclass
class Lab:
    """Channel ``a1``, sampled once a second."""

    smu: BenchInstrument
    station: Station

    def state(self) -> ChannelState:
        return self.station.channels()[0].state

    async def until(self, holds: Callable[[], bool], limit_s: float = 30.0) -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not holds():
            assert loop.time() - began_s < limit_s, self.station.channels()
            await real_sleep(0.01)
        return loop.time() - began_s

    async def start(self) -> None:
        await self.station.begin("a1", Order(Document("trial.yaml", protocol().replace("record: every 0.2 s", ""))))

    async def next_row(self) -> None:
        before = self.station.latest("a1")
        await self.until(lambda: self.station.latest("a1") != before)

    def fall_silent(self) -> None:
        self.smu.line.inject(LineFault("silence", None))

    def fall_silent_after(self, messages: int) -> asyncio.Future[None]:
        """Done when the instrument has taken so many more and says nothing from then on."""
        line, silent = self.smu.line, asyncio.get_running_loop().create_future()
        receive, left = line.receive, [messages]

        def counting(data: bytes) -> bytes:
            left[0] -= 1
            if left[0] > 0:
                return receive(data)
            self.fall_silent()
            silent.set_result(None)
            return b""

        line.receive = counting  # type: ignore[method-assign]
        return silent


@asynccontextmanager
async def lab(driver: str, data: Path) -> AsyncGenerator[Lab]:
    clock = LoopClock()
    async with open_bench(1, clock.now, [Place("smu1", DRIVERS[driver], "c", serial="1")]) as bench:
        smu = bench["smu1"]
        channel: dict[str, Any] = {"output": OUTPUTS[driver]} if driver in OUTPUTS else {}
        config = Config(
            station=StationSettings(name="rig", data_dir=data),
            http=HttpSettings(enabled=False),
            instruments={"smu1": InstrumentSettings(driver=driver, address=smu.address)},
            channels={
                "a1": ChannelSettings(
                    instrument="smu1", sample_every_s=1.0, limits=LIMITS, temperature="unmonitored", **channel
                )
            },
        )
        async with asyncio.TaskGroup() as group:
            station = Station(config, clock, NoLease())
            await station.open(group)
            await station.first_tries()
            try:
                yield Lab(smu, station)
            finally:
                smu.line.clear_faults()
                await station.close("the end of the test")


@EVERY_DRIVER
@pytest.mark.parametrize("phase_s", [0.0, 0.3, 0.6, 0.95])
def test_a_link_that_gives_nothing_is_an_alarm_in_time_whenever_it_begins(
    driver: str, phase_s: float, tmp_path: Path
) -> None:
    async def scene() -> float:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(3):
                await one.next_row()
            await real_sleep(phase_s)
            one.fall_silent()
            return await one.until(lambda: one.state() is ChannelState.CANNOT_DEENERGISE)

    assert 0.5 < leap(scene()) <= ALARM_S


@EVERY_DRIVER
@pytest.mark.parametrize("messages", [1, 2, 3])
def test_silence_while_a_setpoint_is_applied_is_an_alarm_in_time(driver: str, messages: int, tmp_path: Path) -> None:
    async def scene() -> float:
        async with lab(driver, tmp_path) as one:
            await one.start()
            await one.fall_silent_after(messages * (1 if driver == "palmsens-emstat4" else 4))
            return await one.until(lambda: one.state() is ChannelState.CANNOT_DEENERGISE)

    assert 0.5 < leap(scene()) <= ALARM_S


@EVERY_DRIVER
@pytest.mark.parametrize("kind", ["drop", "truncate", "garble"])
def test_one_lost_answer_ends_no_run_however_long_it_was_waited_for(driver: str, kind: str, tmp_path: Path) -> None:
    async def scene() -> ChannelState:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(3):
                await one.next_row()
            one.smu.line.inject(LineFault(kind))
            await one.until(lambda: bool(one.smu.line.hits.get(kind)))
            for _ in range(3):
                await one.next_row()
            return one.state()

    assert leap(scene()) is ChannelState.RUNNING


@EVERY_DRIVER
def test_no_driver_waits_longer_for_an_answer_than_a_second(driver: str) -> None:
    """Of each call to a link (reliability F47); with more, one lost answer would look like lost contact."""
    assert load_driver(driver).link.timeout_s <= 1.0
