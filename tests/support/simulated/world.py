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
from cycler_ctl.errors import CyclerError
from cycler_ctl.station import Station
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Load
from simulated import patched
from simulated.broker import Broker
from simulated.cells import MoodyOven, hang, partly_charged, true_voltage
from simulated.disk import Disk
from simulated.faults import KINDS, rates
from simulated.healing import Healing
from simulated.judge import Judge
from simulated.loop import START_S, DeadlockError, SimLoop
from simulated.people import People
from simulated.records import Records
from simulated.seats import Seat
from simulated.service import Service
from simulated.stationed import PORTS, config_of
from simulated.wires import Moody, Wire, Wires

UTC_S = 1_795_342_500.0
LOOK_S = 5.0
OFTEN = 30.0  # an hour
MOST_WAITING, MOST_KEPT, MOST_IN_FLIGHT, MOST_MAIL = 5000, 5256, 20, 16
MOST_TASKS = 30 + MOST_IN_FLIGHT  # of station and guardian: 24 were the most, and one for each message on its way
MOST_ANSWERS = 256  # single bytes, where an answer comes in pieces
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
    def __init__(self, seed: int, folder: Path, *, keep_trace: bool = False, sample_every_s: float = 0.0) -> None:
        self.loop = SimLoop()
        asyncio.set_event_loop(self.loop)
        self.seed = seed
        self.utc_step_s = self.suspended_s = 0.0
        self.hits: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._digest = hashlib.sha256()
        self.trace: list[str] | None = [] if keep_trace else None
        self._folder = str(folder)
        self.cures: list[Callable[[], None]] = []
        self._failed: asyncio.Future[None] = self.loop.create_future()
        self.judge = Judge(self.loop.time, self._judged)
        self.records = Records(self.judge)
        self.disk = Disk(self._committed, self.judge.broke)
        self.broker = Broker(self.random("broker"), self.disk.durable, self.judge.broke)
        self.locks = patched.Locks()
        patched.on_time(self.elapsed_s, self.utc_s)
        patched.on_disk(self.disk, self.locks)
        patched.on_rows(self.records)
        patched.on_chance(self.random("secrets"))
        patched.empty(folder)
        os.environ["CYCLER_CTL_LOCKS"] = str(folder / "locks")
        random = self.random("world")
        self.sample_every_s = {name: sample_every_s or random.choice(SAMPLES_S) for name in ("c1", "c2")}
        self.wires = Wires()
        self.loop.network = self.wires
        self.oven = MoodyOven(self.elapsed_s, seed=seed, setpoint_C=25.0)
        self.cells: dict[str, Load] = {}
        self.moods: dict[str, Moody] = {}
        self._put_oven()
        for number, name in enumerate(("c1", "c2"), start=1):
            self._put_channel(name, f"smu{number}", random)
        self.serials_are_named = random.random() < 0.5
        config = config_of(folder / "data", self.sample_every_s, serials_are_named=self.serials_are_named)
        self.service = Service(config, self.judge.told, self._lease_heard)
        self.service.on_station = self._station_changed
        self.service.ended = self.judge.ended
        patched.on_service(self.service, self.broker, lambda text: self.say("guardian", text))
        self.people = People(self, self.random("people"), random.choice((60.0, 180.0, 600.0)), folder)
        self.rates = rates(random)

    def only(self, kinds: tuple[str, ...], people_every_s: float) -> None:
        """These faults, often."""
        self.rates = dict.fromkeys(kinds, OFTEN)
        self.people.every_s = people_every_s

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
        """Then the fault is over, or before, when everything is healed: a cable that is plugged in later still would be a fault."""
        timer = self.loop.call_later(delay_s, heal)

        def cure() -> None:
            timer.cancel()
            heal()

        self.cures.append(cure)

    def any_wire(self, random: Random) -> Wire:
        return self.wires.by_port[random.choice((1, 1, 2, 2, 3))]

    def any_seat(self, random: Random) -> Seat:
        return self.judge.seats[random.choice(("smu1", "smu2"))]

    def hang(self, seat: Seat, load: Load) -> None:
        self.look()
        hang(seat.smu.terminals, load)
        seat.smu.set_fault("lead", seat.smu.terminals.lead)

    def put_lead(self, seat: Seat, kind: str) -> None:
        """What flowed until now is judged by how it was until now."""
        self.look()
        seat.smu.set_fault("lead", kind)

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
        mood = Moody(instrument, self.random(f"{place} ignores"))
        wire = Wire(place, Line(mood, self.seed), self.random(place), self.judge.exchanged)
        terminals: Any = instrument.smu.terminals
        self.cells[name], self.moods[name] = cell, mood
        self.wires.by_port[PORTS[place]] = wire
        self.judge.seats[place] = Seat(
            name, instrument.smu, wire, true_voltage(terminals, cell), self.sample_every_s[name],
            hindered=lambda: self.service.helpless,
        )  # fmt: skip

    def _station_changed(self, station: Station | None) -> None:
        """Another process: what the last one held is the system's again."""
        if station is None:
            self.disk.close_all()
            self.locks.release_all()
            self.judge.died()
        for seat in self.judge.seats.values():
            seat.slot = None if station is None else station._slots[seat.channel]
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
        if "suspend" not in self.rates:
            patched.never_suspended()
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
        await Healing(self).progress()

    async def _striking(self, name: str) -> None:
        random, an_hour = self.random(name), self.rates[name]
        while True:
            await real_sleep(random.expovariate(an_hour / 3600.0))
            if not self.rates:
                return
            self.say("fault", name)
            self.hits[name] += KINDS[name].strike(self, random) is not False

    async def _looking(self) -> None:
        """Also where nothing happens."""
        while True:
            await real_sleep(LOOK_S)
            self.look()
            self._count()

    def look(self) -> None:
        for seat in self.judge.seats.values():
            seat.smu.catch_up()
            self.judge.look(seat)

    def _count(self) -> None:
        """(h): nothing grows without bound."""
        count = self.judge.count
        count("tasks", self.loop.living_tasks(), MOST_TASKS)
        for seat in self.judge.seats.values():
            if seat.runner is not None:
                writer = seat.slot._current.writer
                count("rows that wait for the disk", writer.pending().rows, MOST_WAITING)
                count("durable rows kept in memory", len(writer._files._kept._rows), MOST_KEPT)
                count("requests that wait for a run", len(seat.runner._inbox._waiting), MOST_MAIL)
        for wire in self.wires.by_port.values():
            count("answers on their way", 0 if wire.owner is None else len(wire.owner.waiting), MOST_ANSWERS)
        if self.service.publisher is not None:
            if (failure := self.service.publisher.failure()) is not None:
                self.judge.broke("liveness", f"the publisher failed: {failure!r}")
            count("messages on their way", self.service.publisher.in_flight(), MOST_IN_FLIGHT)
            count("channels in the mailbox", len(self.service.publisher._mailbox._channels), len(self.judge.seats))
