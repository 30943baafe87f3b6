"""A station in this process in virtual time: simulated instruments on real wires, and a test that stops the clock to act."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.running.start import Order
from cycler_ctl.settings import Acceptance
from cycler_ctl.station import Station
from cycler_ctl.store.reader import open_run
from cycler_ctl.testing.stepclock import StepClock
from cycler_ctl.watching.lease import NoLease
from protocols.reading.documents import Document
from protocols.record import EventKind, EventRecord, Row, StepSummary
from sim_hardware.bench import BenchInstrument, Place, open_bench
from sim_hardware.loads import Load

Answer = TypeVar("Answer")
LIMITS = Limits(voltage_V=(2.5, 4.4), current_A=10e-3, step_charge_Ah=20e-3)
CELL = """
protocol: 1
name: Trial
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
record: every 60 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}
"""


@dataclass
class Virtual:
    """Channel ``a1`` on ``smu1``. Time stands still but while a method of this is awaited."""

    smu: BenchInstrument
    station: Station
    clock: StepClock
    data: Path
    member: ExitStack
    group: asyncio.TaskGroup
    run: str = ""
    highest_A: list[float] = field(default_factory=list[float])
    """What the cell really carried after each setting, as a magnitude."""

    def truth(self) -> dict[str, Any]:
        return dict(self.smu.truth())

    def is_off(self) -> bool:
        truth = self.truth()
        return not truth["output_on"] and not truth["relay_closed"]

    def status(self) -> ChannelStatus:
        return self.station.channels()[0]

    def fault(self, name: str, value: str | float) -> None:
        self.smu.line.instrument.set_fault(name, value)

    def load(self) -> Load:
        """The cell that is on the leads."""
        terminals: Any = self.smu.line.instrument
        load: Load = terminals.smu.terminals.load
        return load

    def commands(self) -> list[tuple[float, bytes]]:
        return self.smu.command_log()

    def swap(self, cell: Load) -> None:
        """Another cell is on the leads now."""
        terminals: Any = self.smu.line.instrument
        terminals.smu.terminals.load = cell
        terminals.smu.terminals.set_lead("good")

    async def start(self, steps: str, head: str = CELL) -> None:
        self.run = await self.station.begin("a1", Order(Document("trial.yaml", f"{head}steps:\n{steps}"), by="K. Abe"))

    async def at(self, run_s: float) -> None:
        """Let the run go on until this many seconds after its start."""
        await self.clock.sleep_until(run_s)

    async def until_step(self, step_id: str, limit_s: float = 1e6) -> None:
        """Let the run go on until it has had some readings of this step."""
        row = None
        while row is None or row.step_id != step_id or row.step_time_s <= 0:
            assert self.clock.now() < limit_s, f"step {step_id} did not come: {self.status()}"
            assert self.status().state is ChannelState.RUNNING, self.status()
            await self.clock.sleep_until(self.clock.now() + 5.0)
            latest = self.station.latest("a1")
            row = None if latest is None else latest[1]

    async def dies(self, away_s: float) -> None:
        """The station is gone in the middle of its run; when it was away so long another takes its place."""
        await self.closes_unheard()
        await self.clock.sleep_until(self.clock.now() + away_s)
        await self.another_station()

    async def closes_unheard(self) -> None:
        """As a process that was killed, as far as the run's record can tell."""
        slot = self.station._slots["a1"]
        assert slot.task is not None
        slot.task.cancel()
        await asyncio.wait({slot.task})
        await self.closes("death")

    async def closes(self, by: str) -> None:
        """Every output is off, and the instruments are nobody's, as when a process has ended."""
        assert await self.station.close(by)
        await asyncio.wait(self.station._own)

    async def another_station(self) -> None:
        """In the place of the one that was closed, once that has let go of its instruments."""
        await asyncio.wait(self.station._own)
        self.station = Station(self.station.config, self.clock, NoLease())
        await self.station.open(self.group)
        await self.station.first_tries()

    async def acting(self, action: Coroutine[object, object, Answer], tick_s: float = 0.1) -> Answer:
        """What a person does while the run goes on: here time passes until it is done, by a tick each real millisecond."""
        doing = asyncio.ensure_future(action)
        while not doing.done():
            await self.clock.sleep_until(self.clock.now() + tick_s)
            await real_sleep(0.001)
        return await doing

    async def ends(self) -> ChannelStatus:
        """Leave the clock to the run; when it is over, time stands still again."""
        self.member.close()
        await self.station.ended("a1")
        self.member.enter_context(self.clock.member())
        return self.status()

    def rows(self, step_id: str = "") -> list[Row]:
        with open_run(self.data / "runs" / self.run) as reader:
            return [row for row in reader.rows() if step_id in {"", row.step_id}]

    def events(self, *kinds: EventKind) -> list[EventRecord]:
        with open_run(self.data / "runs" / self.run) as reader:
            return [event for event in reader.events() if not kinds or event.kind in kinds]

    def steps(self) -> list[StepSummary]:
        with open_run(self.data / "runs" / self.run) as reader:
            return list(reader.steps())


@asynccontextmanager
async def open_virtual(
    data: Path,
    *,
    cell: str = "nmc",
    listen: str = "127.0.0.1:0",
    sample_every_s: float = 30.0,
    regulation: str = "bounded",
    limits: Limits = LIMITS,
    temperature: str = "unmonitored",
    **more: object,
) -> AsyncGenerator[Virtual]:
    """When left, the output is off and no harm was done to the cell on the way."""
    clock = StepClock()
    channel = ChannelSettings(
        instrument="smu1",
        sample_every_s=sample_every_s,
        limits=limits,
        temperature=temperature,
        regulation=regulation,
        accept_class_c=Acceptance(who="K. Abe", when="2026-11-22"),
    ).model_copy(update=more)
    places = [Place("smu1", cell=cell, listen=listen, serial="1")]
    async with open_bench(1, clock.now, places) as bench, asyncio.TaskGroup() as group:
        smu = bench["smu1"]
        config = Config(
            station=StationSettings(name="test", data_dir=data),
            http=HttpSettings(enabled=False),
            instruments={"smu1": InstrumentSettings(driver=smu.model, address=smu.address)},
            channels={"a1": channel},
        )
        station = Station(config, clock, NoLease())
        lab = Virtual(smu, station, clock, data, ExitStack(), group)
        _watch(lab)
        with lab.member:
            lab.member.enter_context(clock.member())
            await station.open(group)
            await station.first_tries()
            yield lab
            assert await lab.station.close("the end of the test")
        assert lab.is_off()
        assert lab.truth()["abuse"] == ()


def _watch(lab: Virtual) -> None:
    """Look at the cell itself after each setting the instrument takes."""
    instrument: Any = lab.smu.line.instrument
    smu = instrument.smu
    rewire = smu.rewire

    def watched() -> None:
        rewire()
        lab.highest_A.append(abs(smu.terminals.cell_operating().current_A))

    smu.rewire = watched
