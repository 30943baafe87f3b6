"""One seed's world: two channels, an oven, a disk, a broker, people, and everything that can go wrong; then healed."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import (
    ChannelSettings,
    Config,
    HttpSettings,
    InstrumentSettings,
    Limits,
    MqttSettings,
    StationSettings,
)
from cycler_ctl.errors import CyclerError
from cycler_ctl.live import ChannelState
from cycler_ctl.settings import Acceptance
from cycler_ctl.station import Station
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Load
from sim_hardware.nmc import NmcCell
from simulated import patched
from simulated.broker import Broker
from simulated.cells import MoodyOven, hang, partly_charged, true_voltage
from simulated.disk import Disk
from simulated.faults import KINDS, rates
from simulated.judge import CELL_V, MOST_A, MOST_IN_FLIGHT, MOST_TASKS, MOST_WAITING, Judge, Seat
from simulated.loop import START_S, DeadlockError, SimLoop, living_tasks
from simulated.people import LATCHED, People
from simulated.service import Service
from simulated.wires import Moody, Wire, Wires

UTC_S = 1_795_342_500.0
LOOK_S = 5.0
HEALED_S = 120.0
RUNS = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
OFTEN = 12.0  # an hour
HEALTHY_V = (2.7, 4.3)
CALM = frozenset({ChannelState.RUNNING, ChannelState.PAUSED, ChannelState.IDLE, ChannelState.FINISHED})
PORTS = {"smu1": 1, "smu2": 2, "oven1": 3}
SAMPLES_S = (1.0, *[5.0] * 3, *[10.0] * 12, *[20.0] * 12, *[30.0] * 12)


@dataclass
class Result:
    seed: int
    broken: list[str]
    hits: dict[str, int]
    virtual_s: float
    trace: str
    counts: dict[str, int] = field(default_factory=dict[str, int])
    cpu_s: float = 0.0


class World:
    def __init__(self, seed: int, folder: Path, *, keep_trace: bool = False) -> None:
        self.loop = SimLoop()
        asyncio.set_event_loop(self.loop)
        self.seed = seed
        self.utc_step_s = self.suspended_s = 0.0
        self.hits: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._digest = hashlib.sha256()
        self.trace: list[str] | None = [] if keep_trace else None
        self._folder = str(folder)
        self._healing: list[Callable[[], None]] = []
        self._failed: asyncio.Future[None] = self.loop.create_future()
        self.judge = Judge(self.loop.time, self._judged)
        self.disk = Disk(self._committed, self.judge.broke)
        self.broker = Broker(self.random("broker"), self.disk.durable, self.judge.broke)
        self.locks = patched.Locks()
        patched.on_time(self.elapsed_s, self.utc_s)
        patched.on_disk(self.disk, self.locks)
        patched.on_chance(self.random("secrets"))
        patched.empty(folder)
        os.environ["CYCLER_CTL_LOCKS"] = str(folder / "locks")
        random = self.random("world")
        self.sample_every_s = {name: random.choice(SAMPLES_S) for name in ("c1", "c2")}
        self.wires = Wires()
        self.loop.network = self.wires
        self.oven = MoodyOven(self.elapsed_s, seed=seed, setpoint_C=25.0)
        self.cells: dict[str, Load] = {}
        self.moods: dict[str, Moody] = {}
        self._put_oven()
        for number, name in enumerate(("c1", "c2"), start=1):
            self._put_channel(name, f"smu{number}", random)
        self.service = Service(self._config(folder / "data"), self.judge.told, self._lease_heard)
        self.service.on_station = self._station_changed
        patched.on_service(self.service, self.broker, lambda text: self.say("guardian", text))
        self.people = People(self, self.random("people"), random.choice((60.0, 180.0, 600.0)))
        self.rates = rates(random)

    def only(self, kinds: tuple[str, ...]) -> None:
        """These faults, often, under people who are always there."""
        self.rates = dict.fromkeys(kinds, OFTEN)
        self.people.every_s = 60.0

    def random(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def elapsed_s(self) -> float:
        """Goes on while the computer is suspended; its loop's time does not."""
        return self.loop.time() + self.suspended_s

    def utc_s(self) -> float:
        return UTC_S + self.elapsed_s() + self.utc_step_s

    def say(self, kind: str, text: str) -> None:
        line = f"{self.loop.time():.6f} {kind} {text}\n".replace(self._folder, "<folder>")
        self._digest.update(line.encode())
        if self.trace is not None:
            self.trace.append(line)

    def _judged(self, kind: str, text: str) -> None:
        self.say(kind, text)
        if kind == "BROKEN" and not self._failed.done():
            self._failed.set_result(None)

    def after(self, delay_s: float, heal: Callable[[], None]) -> None:
        """Then the fault is over, or before, when everything is healed."""
        self._healing.append(heal)
        self.loop.call_later(delay_s, heal)

    def any_wire(self, random: Random) -> Wire:
        return self.wires.by_port[random.choice((1, 1, 2, 2, 3))]

    def any_seat(self, random: Random) -> Seat:
        return self.judge.seats[random.choice(("smu1", "smu2"))]

    def hang(self, seat: Seat, load: Load) -> None:
        seat.smu.catch_up()
        hang(seat.smu.terminals, load)
        seat.smu.set_fault("lead", seat.smu.terminals.lead)

    def _committed(self, run: str, epoch: int, seq: int) -> None:
        self.say("durable", f"{run} {epoch} {seq}")

    def _lease_heard(self, line: bytes) -> None:
        self.judge.leases.hear(line, self.loop.time())

    def _put_oven(self) -> None:
        wire = Wire("oven1", Line(self.oven, self.seed), self.random("oven1"), self.judge.exchanged)
        self.wires.by_port[PORTS["oven1"]] = wire

    def _put_channel(self, name: str, place: str, random: Random) -> None:
        cell = partly_charged(random)
        instrument = Keithley2400(cell, self.elapsed_s, seed=random.getrandbits(32), serial=place)
        mood = Moody(instrument)
        wire = Wire(place, Line(mood, self.seed), self.random(place), self.judge.exchanged)
        terminals: Any = instrument.smu.terminals
        self.cells[name], self.moods[name] = cell, mood
        self.wires.by_port[PORTS[place]] = wire
        self.judge.seats[place] = Seat(
            name, instrument.smu, wire, true_voltage(terminals, cell), self.sample_every_s[name]
        )

    def _config(self, data: Path) -> Config:
        limits = Limits(voltage_V=CELL_V, current_A=MOST_A, step_charge_Ah=20e-3)
        warm = limits.model_copy(update={"temperature_degC": (10.0, 60.0)})
        who = Acceptance(who="K. Abe", when="2026-11-22")
        smu, oven = "keithley-2400", "eurotherm"
        drivers = {"smu1": smu, "smu2": smu, "oven1": oven}
        return Config(
            station=StationSettings(name="sim", data_dir=data),
            http=HttpSettings(enabled=False),
            mqtt=MqttSettings(url=("mqtt://broker:1883",)),
            instruments={
                name: InstrumentSettings(driver=driver, address=f"TCPIP0::127.0.0.1::{PORTS[name]}::SOCKET")
                for name, driver in drivers.items()
            },
            channels={
                "c1": ChannelSettings(
                    instrument="smu1", sample_every_s=self.sample_every_s["c1"], limits=warm, temperature="oven1",
                    accept_class_b=who,
                ),
                "c2": ChannelSettings(
                    instrument="smu2", sample_every_s=self.sample_every_s["c2"], limits=limits,
                    temperature="unmonitored", accept_class_b=who,
                ),
            },
        )  # fmt: skip

    def _station_changed(self, station: Station | None) -> None:
        """Another process: what the last one held is the system's again."""
        if station is None:
            self.disk.close_all()
            self.locks.release_all()
            self.judge.leases = type(self.judge.leases)()
        for seat in self.judge.seats.values():
            slot = None if station is None else station._slots[seat.channel]
            seat.live = None if slot is None else slot.status
            seat.energised = None if slot is None else slot._energised
        if station is not None:
            for status in station.channels():
                self.judge.told(status)

    def run(self, hours: float) -> Result:
        try:
            self.loop.run_until_complete(self._live(hours * 3600.0))
        except DeadlockError:
            self.judge.broke("liveness", "nothing is left to do, ever")
        except CyclerError as error:
            self.judge.broke("error", repr(error))
        hits = self.hits | self.disk.hits | self.broker.hits
        for wire in self.wires.by_port.values():
            for kind, count in wire.line.hits.items():
                hits[kind] = hits.get(kind, 0) + count
        for mood in self.moods.values():
            for kind, count in mood.hits.items():
                hits[kind] = hits.get(kind, 0) + count
        counts = self.people.done | {
            "station lives": self.service.lives,
            "rows at the broker": len(self.broker.rows),
            "durable rows": sum(self.disk.durable.values()),
            "looks": self.judge.checks,
            "events": self.loop.handled,
        }
        virtual_s = self.loop.time() - START_S
        return Result(self.seed, self.judge.broken, hits, virtual_s, self._digest.hexdigest(), counts)

    async def _live(self, duration_s: float) -> None:
        tasks = [
            asyncio.ensure_future(work)
            for work in (self.service.keep(), self.people.live(), self._looking(), *map(self._striking, self.rates))
        ]
        story = asyncio.ensure_future(self._story(duration_s))
        await asyncio.wait({story, self._failed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in (story, *tasks):
            if task.done() and task.exception() is not None:
                task.result()

    async def _story(self, duration_s: float) -> None:
        await real_sleep(duration_s)
        self.rates.clear()
        self.say("world", "healed")
        self.heal()
        await self._progress()

    async def _striking(self, name: str) -> None:
        random, an_hour = self.random(name), self.rates[name]
        while True:
            await real_sleep(random.expovariate(an_hour / 3600.0))
            if not self.rates:
                return
            self.say("fault", name)
            self.hits[name] += 1
            KINDS[name].strike(self, random)

    async def _looking(self) -> None:
        """Also where nothing happens."""
        while True:
            await real_sleep(LOOK_S)
            for seat in self.judge.seats.values():
                seat.smu.catch_up()
                self.judge.look(seat)
            self._count()

    def _count(self) -> None:
        """(h): nothing grows without bound."""
        self.judge.count("tasks", living_tasks(self.loop), MOST_TASKS)
        station, publisher = self.service.station, self.service.publisher
        if station is None or publisher is None:
            return
        for slot in station._slots.values():
            if slot._current is not None:
                self.judge.count("rows that wait for the disk", slot._current.writer.pending().rows, MOST_WAITING)
        self.judge.count("messages on their way", publisher.in_flight(), MOST_IN_FLIGHT)

    def heal(self) -> None:
        for heal in self._healing:
            heal()
        for wire in self.wires.by_port.values():
            wire.line.clear_faults()
        for mood in self.moods.values():
            mood.ignore = mood.sentinel = 0
        for seat in self.judge.seats.values():
            self._mend_cell(seat)

    def _mend_cell(self, seat: Seat) -> None:
        """A cell that a short has emptied would rightly be refused; a person puts it right."""
        cell = self.cells[seat.channel]
        seat.smu.catch_up()
        if not (seat.smu.settings.output or HEALTHY_V[0] < cell.voltage(0.0) < HEALTHY_V[1]):
            cell.restore((0.5 * NmcCell().capacity_C, 0.0))

    async def _progress(self) -> None:
        """Phase 2: with everything healed, each channel comes to a true word, runs again, and all that is durable goes out."""
        self.people.gone = True
        half_s = HEALED_S / 2
        await real_sleep(half_s)
        for seat in self.judge.seats.values():
            await self._set_going(seat)
        await real_sleep(half_s)
        for seat in self.judge.seats.values():
            self._judge_healed(seat)
        publisher = self.service.publisher
        waiting = {} if publisher is None else publisher.status().rows_waiting
        if publisher is None or sum(waiting.values()) > MOST_IN_FLIGHT:
            self.judge.broke(
                "liveness", f"{HEALED_S:.0f} s after all was healed these rows are not at the broker: {waiting}"
            )

    async def _set_going(self, seat: Seat) -> None:
        if seat.live is None:
            return
        state = seat.live().state
        if state in LATCHED or state is ChannelState.INTERRUPTED:
            await self.people.act(seat, "acknowledge")
        if seat.live is not None and seat.live().state not in RUNS:
            await self.people.act(seat, "begin")

    def _judge_healed(self, seat: Seat) -> None:
        status = None if seat.live is None else seat.live()
        if status is None or status.state not in CALM or status.energised is None:
            said = "no station" if status is None else f"{status.state}, energised={status.energised}: {status.reason}"
            self.judge.broke("liveness", f"{HEALED_S:.0f} s after all was healed {seat.channel} is still {said}")
        elif bool(status.energised) != bool(seat.smu.settings.output):
            self.judge.broke("d", f"{seat.channel} says energised={status.energised}")
