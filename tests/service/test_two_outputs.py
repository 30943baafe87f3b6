"""Instruments with two outputs: what befalls one is tried in place first, and ends the other's run only with the link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from virtual_loop import LoopClock, leap

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.running.escalation import TRIES_IN_PLACE
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from protocols.record import Row
from sim_hardware.bench import BenchInstrument, Place, open_bench
from sim_hardware.faults import LineFault

CHARGE = """
protocol: 1
name: Trial
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
steps:
  - charge: {at: 1 mA, until: voltage >= 4.2 V}
"""
LIMITS = Limits(voltage_V=(2.5, 4.4), current_A=10e-3, step_charge_Ah=20e-3)


@dataclass(frozen=True, slots=True)
class Box:
    """``is_off`` begins what asks whether the first output is off; ``inside`` names it in the simulator's truth."""

    model: str
    driver: str
    outputs: tuple[str, str]
    is_off: bytes
    inside: str = ""


BOXES = {
    "2602B": Box("keithley-2602b", "keithley-2600", ("a", "b"), b"print(n, smua.source.output, smua.source.offmode"),
    "B2902A": Box("keysight-b2902a", "keysight-b2900", ("1", "2"), b":OUTP1?;:OUTP1:OFF:MODE?", "channels"),
    "NGM202": Box("rs-ngm202", "rs-ngu", ("1", "2"), b":INST:NSEL 1;:INST:NSEL?;*ESE?;:OUTP?;:OUTP?", "outputs"),
}
EVERY_BOX = pytest.mark.parametrize("name", BOXES)
DRIVER_TRIES = 3


@dataclass
class Lab:
    """Channels ``a1`` and ``a2`` on the two outputs of one instrument, each sampled once a second."""

    box: Box
    smu: BenchInstrument
    station: Station
    told: list[ChannelStatus] = field(default_factory=list)
    lies: list[ChannelStatus] = field(default_factory=list)

    def channel_changed(self, status: ChannelStatus) -> None:
        self.told.append(status)
        if status.energised is False and self.is_on(status.channel):
            self.lies.append(status)

    def durable(self, run: str) -> None:
        """Nobody waits for rows here."""

    def is_on(self, channel: str) -> bool:
        truth = self.smu.truth()
        each = truth[self.box.inside] if self.box.inside else truth
        assert isinstance(each, dict)
        return bool(each[self.box.outputs[int(channel[1]) - 1]]["output_on"])

    def status(self, channel: str) -> ChannelStatus:
        return next(one for one in self.station.channels() if one.channel == channel)

    async def until(self, holds: Callable[[], bool], limit_s: float = 30.0) -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not holds():
            assert loop.time() - began_s < limit_s, self.station.channels()
            await real_sleep(0.01)
        return loop.time() - began_s

    async def both_run(self) -> None:
        for channel in ("a1", "a2"):
            await self.station.begin(channel, Order(Document("trial.yaml", CHARGE)))
        for channel in ("a1", "a2"):
            await self.next_rows(channel, 2)
            assert self.is_on(channel)

    async def next_rows(self, channel: str, count: int) -> None:
        for _ in range(count):
            await self.until(partial(self.is_newer, channel, self.station.latest(channel)))

    def is_newer(self, channel: str, before: tuple[str, Row] | None) -> bool:
        return self.station.latest(channel) != before

    def spoil(self, kind: str, count: int | None) -> None:
        """What is answered to the question whether the first output is off."""
        self.smu.line.inject(LineFault(kind, count, self.box.is_off))


@asynccontextmanager
async def lab(name: str, data: Path) -> AsyncGenerator[Lab]:
    clock, box = LoopClock(), BOXES[name]
    async with open_bench(1, clock.now, [Place("smu1", box.model, "nmc", serial="1")]) as bench:
        smu = bench["smu1"]
        config = Config(
            station=StationSettings(name="rig", data_dir=data),
            http=HttpSettings(enabled=False),
            instruments={"smu1": InstrumentSettings(driver=box.driver, address=smu.address)},
            channels={
                channel: ChannelSettings(
                    instrument="smu1", output=output, sample_every_s=1.0, limits=LIMITS, temperature="unmonitored"
                )
                for channel, output in zip(("a1", "a2"), box.outputs, strict=True)
            },
        )
        async with asyncio.TaskGroup() as group:
            station = Station(config, clock, NoLease())
            await station.open(group)
            await station.first_tries()
            opened = Lab(box, smu, station)
            station.observe(opened)
            try:
                yield opened
                assert opened.lies == []
            finally:
                smu.line.clear_faults()
                await station.close("the end of the test")


@EVERY_BOX
@pytest.mark.parametrize("spoilt", [1, DRIVER_TRIES, 2 * DRIVER_TRIES])
def test_an_output_whose_off_is_answered_badly_is_tried_in_place_and_the_neighbours_run_goes_on(
    name: str, spoilt: int, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with lab(name, tmp_path) as one:
            await one.both_run()
            one.spoil("garble", spoilt)
            stopping = asyncio.ensure_future(one.station.stop("a1", by="K. Abe"))
            await one.until(stopping.done)
            await stopping
            assert not one.is_on("a1")
            alarmed = any(status.state is ChannelState.CANNOT_DEENERGISE for status in one.told)
            assert alarmed == (spoilt >= DRIVER_TRIES)  # said while it was so, then taken back
            assert one.smu.line.hits["garble"] == spoilt
            await one.next_rows("a2", 3)
            assert one.status("a2").state is ChannelState.RUNNING
            assert one.is_on("a2")
            assert one.station.instruments()[0].link == "connected"

    leap(scene())


@EVERY_BOX
def test_when_no_try_in_place_helps_both_go_off_and_the_neighbour_is_told_whose_trouble_it_was(
    name: str, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with lab(name, tmp_path) as one:
            await one.both_run()
            one.spoil("garble", (1 + TRIES_IN_PLACE) * DRIVER_TRIES)
            stopping = asyncio.ensure_future(one.station.stop("a1", by="K. Abe"))
            await one.until(lambda: one.status("a2").state is not ChannelState.RUNNING)
            await asyncio.wait({stopping})
            await one.until(lambda: one.status("a2").state is ChannelState.FAULTED)
            assert not one.is_on("a1")
            assert not one.is_on("a2")
            assert "the connection to smu1 was given up: channel a1:" in one.status("a2").reason
            assert one.status("a1").state is ChannelState.FAULTED

    leap(scene())


@EVERY_BOX
def test_a_lost_link_is_an_alarm_for_both_outputs_and_both_are_off_once_it_is_healed(name: str, tmp_path: Path) -> None:
    async def scene() -> tuple[float, float]:
        async with lab(name, tmp_path) as one:
            await one.both_run()
            one.smu.line.inject(LineFault("silence", None))
            alarm_s = await one.until(
                lambda: all(one.status(c).state is ChannelState.CANNOT_DEENERGISE for c in ("a1", "a2"))
            )
            assert all("may still be energised at 1 mA, ceiling" in one.status(c).reason for c in ("a1", "a2"))
            assert one.is_on("a1")
            assert one.is_on("a2")
            one.smu.line.clear_faults()
            healed_s = await one.until(lambda: all(one.status(c).state is ChannelState.FAULTED for c in ("a1", "a2")))
            assert not one.is_on("a1")
            assert not one.is_on("a2")
            return alarm_s, healed_s

    alarm_s, healed_s = leap(scene())
    assert alarm_s <= 5.0
    assert healed_s <= 5.0
