"""Every driver with its own time-out, in virtual time: a link that gives nothing is an alarm in time, one lost answer is none.

What was said is held against the instrument's own truth at every message it takes and every moment that is told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rig import LIMITS, protocol
from virtual_loop import LoopClock, leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.errors import InstrumentError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from sim_hardware.bench import BenchInstrument, Place, open_bench
from sim_hardware.faults import LineFault

ALARM_S = 4.5  # of the 5 s that are promised
HEALED_S = 5.0  # from the first answer that may come to off, read back
DRIVERS = {
    "keithley-2400": "keithley-2400",
    "keithley-2450": "keithley-2450",
    "keithley-2600": "keithley-2601b",
    "keysight-b2900": "keysight-b2901a",
    "rs-ngu": "rs-ngu401",
    "palmsens-emstat4": "palmsens-emstat4",
}
OUTPUTS = {"keithley-2600": "a"}
BOUND = r"at (0 A|\S+ \S+A, (ceiling|floor) \S+ V)"  # of a rest, the look at a cell before its first current, 0 A is it
SAID = re.compile(rf"the cell may still be energised {BOUND}( or {BOUND})*\. ")
EVERY_DRIVER = pytest.mark.parametrize("driver", DRIVERS)


@dataclass
class Lab:
    """Channel ``a1``, sampled once a second. ``lies`` are told statuses, ``again`` messages that put the output on."""

    smu: BenchInstrument
    station: Station
    lies: list[ChannelStatus] = field(default_factory=list)
    again: list[bytes] = field(default_factory=list)
    left: int | None = None
    """How many messages the instrument takes before it falls silent."""

    def channel_changed(self, status: ChannelStatus) -> None:
        """An output that is on is never said to be off; one that may be on says so, and with what bounds it."""
        off = status.energised is False and bool(self.smu.truth()["output_on"])
        alarm = status.state is ChannelState.CANNOT_DEENERGISE
        if off or (alarm and not SAID.search(status.reason)):
            self.lies.append(status)

    def durable(self, run: str) -> None:
        """Nobody waits for rows here."""

    def watch(self) -> None:
        self.station.observe(self)
        line = self.smu.line
        taken = line.receive

        def taking(data: bytes) -> bytes:
            if self.left is not None:
                self.left -= 1
                if self.left <= 0:
                    self.left = None
                    self.fall_silent()
                    return b""
            before = self.smu.truth()["output_on"]
            reply = taken(data)
            if self.smu.truth()["output_on"] and not before:
                self.again.append(data)
            return reply

        line.receive = taking  # type: ignore[method-assign]

    def state(self) -> ChannelState:
        status = self.station.channels()[0]
        self.channel_changed(status)
        return status.state

    async def until(self, holds: Callable[[], bool], limit_s: float = 30.0) -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not holds():
            assert loop.time() - began_s < limit_s, self.station.channels()
            await real_sleep(0.01)
        return loop.time() - began_s

    async def alarm(self) -> float:
        return await self.until(lambda: self.state() is ChannelState.CANNOT_DEENERGISE)

    async def start(self) -> None:
        await self.station.begin("a1", Order(Document("trial.yaml", protocol().replace("record: every 0.2 s", ""))))

    async def next_row(self) -> None:
        before = self.station.latest("a1")
        await self.until(lambda: self.station.latest("a1") != before)

    def fall_silent(self) -> None:
        self.smu.line.inject(LineFault("silence", None))

    async def fall_silent_after(self, messages: int) -> None:
        """Return when the instrument has taken so many more and says nothing from then on."""
        self.left = messages
        await self.until(lambda: bool(self.smu.line.faults))

    async def heal(self) -> float:
        """How long it takes from here until off was read back and is said; nothing was switched on meanwhile."""
        self.again.clear()
        self.smu.line.clear_faults()
        took_s = await self.until(lambda: self.state() is not ChannelState.CANNOT_DEENERGISE)
        assert self.state() is ChannelState.FAULTED
        assert not self.smu.truth()["output_on"]
        assert self.again == []
        return took_s


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
            opened = Lab(smu, station)
            opened.watch()
            try:
                yield opened
                assert opened.lies == []
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
            return await one.alarm()

    assert 0.5 < leap(scene()) <= ALARM_S


@EVERY_DRIVER
@pytest.mark.parametrize("away_s", [0.0, 0.7, 40.0])
def test_once_a_link_is_healed_the_output_is_off_in_time_and_stays_off(
    driver: str, away_s: float, tmp_path: Path
) -> None:
    async def scene() -> float:
        async with lab(driver, tmp_path) as one:
            await one.start()
            for _ in range(2):
                await one.next_row()
            one.fall_silent()
            await one.alarm()
            await real_sleep(away_s)
            return await one.heal()

    assert leap(scene()) <= HEALED_S


@EVERY_DRIVER
@pytest.mark.parametrize("messages", [1, 2, 3])
def test_silence_while_a_setpoint_is_applied_is_an_alarm_in_time(driver: str, messages: int, tmp_path: Path) -> None:
    """And a healed one is off in time, whether or not the output had been switched on by then."""

    async def scene() -> tuple[float, float]:
        async with lab(driver, tmp_path) as one:
            await one.start()
            await one.fall_silent_after(messages * (1 if driver == "palmsens-emstat4" else 4))
            return await one.alarm(), await one.heal()

    alarm_s, healed_s = leap(scene())
    assert 0.5 < alarm_s <= ALARM_S
    assert healed_s <= HEALED_S


@EVERY_DRIVER
def test_a_paused_run_whose_cable_was_pulled_is_an_alarm_in_time_when_it_is_resumed(
    driver: str, tmp_path: Path
) -> None:
    """Off was read back at the pause; the first message of the resume may have undone that."""

    async def scene() -> tuple[float, str, float]:
        async with lab(driver, tmp_path) as one:
            await one.start()
            await one.next_row()
            await one.station.pause("a1", "K. Abe")
            assert one.station.channels()[0].energised is False
            one.fall_silent()
            resuming = asyncio.ensure_future(one.station.resume("a1", "K. Abe"))
            alarm_s = await one.alarm()
            reason = one.station.channels()[0].reason
            with pytest.raises(InstrumentError):
                await resuming
            return alarm_s, reason, await one.heal()

    alarm_s, reason, healed_s = leap(scene())
    assert 0.5 < alarm_s <= ALARM_S
    assert reason.startswith("not gone on with: contact lost: ")
    assert healed_s <= HEALED_S


def test_the_judge_of_what_is_said_sees_a_lie(tmp_path: Path) -> None:
    """The negative control."""

    async def scene() -> tuple[int, bool]:
        async with lab("keithley-2400", tmp_path) as one:
            await one.start()
            await one.next_row()
            told = one.station.channels()[0]
            one.channel_changed(replace(told, energised=False))
            one.channel_changed(replace(told, state=ChannelState.CANNOT_DEENERGISE, energised=None, reason="lost"))
            seen, one.lies = len(one.lies), []
            return seen, bool(one.again)

    assert leap(scene()) == (2, True)


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
