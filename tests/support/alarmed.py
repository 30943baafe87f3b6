"""A station with one channel of any driver, with its own time-out, in virtual time: what it says is held against the instrument."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig import LIMITS, protocol
from virtual_loop import LoopClock

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.live import ChannelState, ChannelStatus
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
