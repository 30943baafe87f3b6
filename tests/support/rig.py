"""A station in this process against simulated instruments on real sockets, judged by the instruments' own truth."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.clock import Clock, SystemClock, real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import Order
from cycler_ctl.station import Station
from cycler_ctl.store.reader import open_run
from cycler_ctl.watching.lease import GuardianLease, Leases
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register
from protocols.reading.documents import Document
from protocols.record import EventRecord, Row
from sim_hardware.bench import Bench, BenchInstrument, Place, open_bench
from sim_hardware.faults import LineFault

SOON_S = 15.0
TIMEOUT_S = 0.3  # of one exchange: the simulated instruments answer at once
HEAD = """
protocol: 1
name: Trial
cell:
  name: MG-0142
  diameter: 10 mm
  electrode_mass: 2.0 mg
  composition: {MgH2: 70 %, AB: 30 %}
  active_material: MgH2
  theoretical_capacity: 2038 mAh/g
record: every 0.2 s
"""
LITHIATE = "  - lithiate: {at: 0.5 mA/cm2, until: voltage <= 0.05 V}\n"
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)


def protocol(*steps: str, safety: str = "") -> str:
    """A protocol of these step lines; by default one long lithiation."""
    return HEAD + safety + "steps:\n" + ("".join(steps) or LITHIATE)


async def until(holds: Callable[[], bool], seconds: float = SOON_S) -> float:
    """Wait until a condition holds; returns how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not holds():
        if loop.time() - began_s > seconds:
            pytest.fail(f"not within {seconds} s")
        await real_sleep(0.005)
    return loop.time() - began_s


@dataclass
class Guardian:
    """The guardian's end of the lease pipe: ``lapsed`` is when it would have killed the station."""

    reading: int
    leases: Leases = field(default_factory=Leases)
    lines: list[bytes] = field(default_factory=list)
    lapsed: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        loop, rest = asyncio.get_running_loop(), b""
        while True:
            with suppress(BlockingIOError):
                *lines, rest = (rest + os.read(self.reading, 65536)).split(b"\n")
                for line in lines:
                    assert self.leases.hear(line, loop.time()), line
                self.lines += lines
            self.lapsed += self.leases.lapsed(loop.time())
            await real_sleep(0.01)


@dataclass
class Rig:
    """Channel ``a1`` on instrument ``smu1`` and ``a2`` on ``smu2``; ``seen`` is every status that was told."""

    bench: Bench
    station: Station
    lease: GuardianLease
    guardian: Guardian
    data: Path
    seen: list[ChannelStatus] = field(default_factory=list)
    lies: list[ChannelStatus] = field(default_factory=list)
    """What was said to be off while the instrument knew better."""

    def channel_changed(self, status: ChannelStatus) -> None:
        self.seen.append(status)
        if status.energised is False and self.truth(status.instrument)["output_on"]:
            self.lies.append(status)

    def durable(self, run: str) -> None:
        """Nobody waits for rows here."""

    def smu(self, name: str = "smu1") -> BenchInstrument:
        return self.bench[name]

    def truth(self, name: str = "smu1") -> dict[str, Any]:
        return dict(self.smu(name).truth())

    def is_off(self, name: str = "smu1") -> bool:
        truth = self.truth(name)
        return not truth["output_on"] and truth["off_mode"] == "HIMP"

    def flows(self, name: str = "smu1") -> bool:
        return bool(self.truth(name)["output_on"]) and abs(self.truth(name)["current_A"]) > 1e-4

    def inject(self, kind: str, match: bytes = b"", count: int | None = 1, seconds: float = 0.0) -> None:
        self.smu().line.inject(LineFault(kind, count, match, seconds))

    def heal(self) -> None:
        self.smu().line.clear_faults()

    def status(self, channel: str = "a1") -> ChannelStatus:
        return next(one for one in self.station.channels() if one.channel == channel)

    async def start(self, text: str = "", channel: str = "a1") -> str:
        return await self.station.begin(channel, Order(Document("trial.yaml", text or protocol())))

    async def flowing(self, channel: str = "a1") -> str:
        """A run whose current flows and of which some rows were read."""
        run = await self.start(channel=channel)
        smu = self.station.config.channels[channel].instrument
        await until(lambda: self.flows(smu) and self.station.latest(channel) is not None)
        return run

    async def ends(self, channel: str = "a1", seconds: float = SOON_S) -> ChannelStatus:
        async with asyncio.timeout(seconds):
            await self.station.ended(channel)
        return self.status(channel)

    async def pauses(self, channel: str = "a1", seconds: float = SOON_S) -> ChannelStatus:
        """The run waits for a person, with its output off, read back."""
        paused = ChannelState.PAUSED
        await until(lambda: (self.status(channel).state, self.status(channel).energised) == (paused, False), seconds)
        return self.status(channel)

    def rows(self, run: str) -> list[Row]:
        with open_run(self.data / "runs" / run) as reader:
            return list(reader.rows())

    def events(self, run: str) -> list[EventRecord]:
        with open_run(self.data / "runs" / run) as reader:
            return list(reader.events())

    def registered(self) -> set[str]:
        return set(read_register(self.data))

    def states(self, channel: str = "a1") -> list[ChannelState]:
        """The states as they were told, without repetitions."""
        told = [status.state for status in self.seen if status.channel == channel]
        return [state for at, state in enumerate(told) if at == 0 or told[at - 1] is not state]


def config_of(bench: Bench, data: Path, channel: ChannelSettings | None = None, **more: Any) -> Config:
    first = channel or ChannelSettings(instrument="smu1", sample_every_s=0.2, limits=LIMITS, temperature="unmonitored")
    return Config(
        station=StationSettings(name="rig", data_dir=data),
        http=HttpSettings(enabled=False),
        instruments={
            one.name: InstrumentSettings(driver=one.model, address=one.address) for one in bench.instruments.values()
        },
        channels={"a1": first, "a2": first.model_copy(update={"instrument": "smu2"})},
        **more,
    )


PLACES = (Place("smu1", cell="c", serial="1"), Place("smu2", cell="c", serial="2"))


@asynccontextmanager
async def open_rig(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    channel: ChannelSettings | None = None,
    places: tuple[Place, ...] = PLACES,
    clock: Clock | None = None,
    left_over: tuple[str, ...] = (),
    before: Callable[[Bench], None] = lambda _bench: None,
    wait_s: float = SOON_S,
    timeout_s: float = TIMEOUT_S,
) -> AsyncGenerator[Rig]:
    """The bench, the lease pipe and the station; when left, the station was closed and every output is off."""
    quick_links(monkeypatch, timeout_s)
    clock = clock or SystemClock()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    try:
        async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
            before(bench)
            entries = {name: SafeOffEntry("smu1", "keithley-2400", bench["smu1"].address) for name in left_over}
            write_register(data, entries)
            guardian = Guardian(reading)
            watching = group.create_task(guardian.watch(), name="guardian")
            async with GuardianLease(data, writing) as lease, asyncio.TaskGroup() as inner:
                station = Station(config_of(bench, data, channel), clock, lease)
                rig = Rig(bench, station, lease, guardian, data)
                station.observe(rig)
                try:
                    await station.open(inner)
                    await until(
                        lambda: all(one.link != "absent" for one in station.instruments()) or not wait_s, wait_s
                    )
                    yield rig
                finally:
                    await station.close("the end of the test")
            watching.cancel()
    finally:
        os.close(reading)
        os.close(writing)


def quick_links(monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
    """Real drivers, but a lost answer costs less of a test's time than the second it may take in a lab."""

    def quick(name: str) -> Any:
        spec = load_driver(name)
        return replace(spec, link=replace(spec.link, timeout_s=timeout_s))

    monkeypatch.setattr("cycler_ctl.station.load_driver", quick)
