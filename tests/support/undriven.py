"""A station with one simulated instrument in virtual time, for what happens to outputs that nobody drives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rig import LIMITS, protocol
from virtual_loop import LoopClock, leap

from cycler_ctl.channels.idle import EVERY_S, LOOK_S
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, StationSettings
from cycler_ctl.live import ChannelStatus, InstrumentStatus
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from sim_hardware.bench import BenchInstrument, Place, open_bench

NOTICED_S = EVERY_S + LOOK_S
BACK_S = 40.0  # a lost instrument is tried at least twice a minute


@dataclass(frozen=True, slots=True)
class Kind:
    """``panel``: what somebody at its panel would do, as the message of the same effect. ``off``: begins each off."""

    model: str
    driver: str
    outputs: tuple[str, ...]
    panel: bytes = b""
    off: bytes = b""


KINDS = {
    "2400": Kind("keithley-2400", "keithley-2400", ("1",), b":OUTP ON\r", b":OUTP OFF"),
    "2450": Kind("keithley-2450", "keithley-2450", ("1",), b":OUTP ON\n", b":OUTP OFF"),
    "2602B": Kind("keithley-2602b", "keithley-2600", ("a", "b"), b"smua.source.output = 1\n", b"smua.source.offmode ="),
    "B2902A": Kind("keysight-b2902a", "keysight-b2900", ("1", "2"), b":OUTP1 ON\n", b":OUTP1 OFF"),
    "NGU401": Kind("rs-ngu401", "rs-ngu", ("1",), b":OUTP:MODE SOUR;:OUTP 1\n", b":OUTP 0"),
    "EmStat4": Kind("palmsens-emstat4", "palmsens-emstat4", ("1",)),
}
EVERY_KIND = pytest.mark.parametrize("name", KINDS)
ASKED = pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.panel])
"""Those that say of an idle output whether it is on. An EmStat4's cell is on by a script only, and is told off again."""


@dataclass
class Lab:
    """Channels ``a1``, and ``a2`` where there are two outputs; ``told`` is every status of the instrument's link."""

    kind: Kind
    smu: BenchInstrument
    station: Station
    group: asyncio.TaskGroup
    told: list[str] = field(default_factory=list)

    def channel_changed(self, _status: ChannelStatus) -> None:
        link = self.instrument().link
        if self.told[-1:] != [link]:
            self.told.append(link)

    def durable(self, run: str) -> None:
        """Nobody waits for rows here."""

    def instrument(self) -> InstrumentStatus:
        return self.station.instruments()[0]

    def status(self, channel: str = "a1") -> ChannelStatus:
        return next(one for one in self.station.channels() if one.channel == channel)

    def is_on(self) -> bool:
        return on_in(self.smu.truth())

    async def until(self, holds: Callable[[], bool], limit_s: float) -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not holds():
            assert loop.time() - began_s < limit_s, (self.station.channels(), self.instrument())
            await real_sleep(0.05)
        return loop.time() - began_s

    async def start(self, channel: str = "a1") -> None:
        text = protocol().replace("record: every 0.2 s", "")
        await self.station.begin(channel, Order(Document("trial.yaml", text)))

    async def flows(self, channel: str = "a1") -> None:
        await self.start(channel)
        await self.until(lambda: self.station.latest(channel) is not None, 30.0)

    async def restarts(self) -> None:
        """Another station in the place of this one, which has let go of its instrument."""
        assert await self.station.close("a restart")
        await asyncio.wait(self.station._own)
        self.station = Station(self.station.config, LoopClock(), NoLease())
        await self.station.open(self.group)
        await self.station.first_tries()

    def press(self) -> None:
        self.smu.line.instrument.receive(self.kind.panel)
        assert self.is_on(), self.smu.truth()

    def messages(self) -> list[bytes]:
        return [message for _, message in self.smu.command_log()]


def on_in(truth: Mapping[str, Any]) -> bool:
    """Whether any output is on; instruments with two tell of each in a part of its own."""
    parts = [part for part in truth.values() if isinstance(part, Mapping)]
    return bool(truth.get("output_on", False)) or any(map(on_in, parts))


@asynccontextmanager
async def lab(name: str, data: Path) -> AsyncGenerator[Lab]:
    clock, kind = LoopClock(), KINDS[name]
    async with open_bench(1, clock.now, [Place("smu1", kind.model, "c", serial="1")]) as bench:
        smu = bench["smu1"]
        plain = ChannelSettings(instrument="smu1", sample_every_s=1.0, limits=LIMITS, temperature="unmonitored")
        config = Config(
            station=StationSettings(name="rig", data_dir=data),
            http=HttpSettings(enabled=False),
            instruments={"smu1": InstrumentSettings(driver=kind.driver, address=smu.address)},
            channels={
                f"a{number}": plain.model_copy(update={"output": output})
                for number, output in enumerate(kind.outputs, start=1)
            },
        )
        async with asyncio.TaskGroup() as group:
            station = Station(config, clock, NoLease())
            await station.open(group)
            await station.first_tries()
            opened = Lab(kind, smu, station, group)
            station.observe(opened)
            try:
                yield opened
            finally:
                smu.line.clear_faults()
                await opened.station.close("the end of the test")
        assert not opened.is_on()


def scene(name: str, data: Path, act: Callable[[Lab], Coroutine[object, object, None]]) -> None:
    async def played() -> None:
        async with lab(name, data) as one:
            await act(one)

    leap(played())
