"""A channel on an ordinary day: a real run on an instrument that is only as bad as good ones are, in virtual time.

Its meter is off by what its maker allows, with noise and digits; cables pick up the mains, contacts age a little, the
room breathes, an answer comes late and now and then one is lost. Nothing of that is a reason to end a run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from math import pi, sin
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest
import virtual_loop
from virtual_loop import LoopClock

from cycler_ctl.channels.contact import Contact
from cycler_ctl.clock import real_sleep
from cycler_ctl.config import ChannelSettings, Config, InstrumentSettings, Limits, StationSettings
from cycler_ctl.errors import CyclerError, LinkTimeout
from cycler_ctl.guard import Guard
from cycler_ctl.instrument import Channel, Identity, Measurement, Reading, Sensor
from cycler_ctl.runner import Runner
from cycler_ctl.running.fittings import End, Fittings
from cycler_ctl.running.start import Order, Prepared, Spot, prepare
from cycler_ctl.store.writer import Pending
from cycler_ctl.watching.lease import NoLease
from cycler_ctl.watching.register import SafeOffEntry
from drivers import keithley_2400
from drivers.keithley_2400_ratings import ratings
from protocols.model import ConstantCurrent, ConstantVoltage, Setpoint
from protocols.reading.documents import Document
from protocols.record import EventKind, EventRecord, Outcome
from sim_hardware.nmc import NmcCell

DAY_S = 86_400.0
LOST_EACH, LATE_EACH, SPIKE_EACH, HUM_EACH = 400, 50, 500, 300
"""Of so many readings one is lost, late, or carries a spike; with so many the mains begin to be heard for a while."""
APART = 6  # lost readings stand alone: three of five would be a reason
SPIKE_V, HUM_V, HUM_READINGS = 4e-3, 1.5e-3, 60
CONTACT_OHM, CONTACT_EACH_S = (0.2, 3.0), 3600.0
SENSOR_EVERY_S, SENSOR_FAILS_EACH = 14.0, 200
DIGIT_V, DIGIT_K = 10.0 / 65536.0, 0.1
STEP_S = 5.0  # how finely a cell is followed whose current is not the one that was set
WITHIN = Limits(voltage_V=(2.5, 4.4), current_A=10e-3, temperature_degC=(10.0, 45.0), step_charge_Ah=5e-3, power_W=0.02)
CHANNEL = ChannelSettings(
    instrument="smu1",
    limits=WITHIN,
    temperature="oven1",
    v_short_V=0.5,
    r_max_ohm=60.0,
    slew_max_V_s=0.03,
    temperature_slew_max_K_s=2.0 / 60.0,
    temperature_stuck_s=3600.0,
)  # every limit that a channel may set, as somebody sets it who knows the cell
PROTOCOL = """
protocol: 1
name: An ordinary day
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
record: every 60 s
safety: {voltage: 2.6 V to 4.35 V, current: 4 mA, temperature: 15 °C to 40 °C}
steps:
  - repeat:
      times: 500
      steps:
        - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 3 h}
        - rest: 20 min
        - discharge: {at: 1C, until: 2.8 V}
        - rest: 20 min
        - gitt: {charge: {at: C/5, for: 10 min}, rest: 10 min, until: 4.2 V, pulses: 6}
        - hold: {at: 3.9 V, current_limit: 1 mA, until: C/20, for: 4 h}
        - discharge: {at: C/5, until: 3.0 V or 6 h}
"""


class Cell:
    """An NMC cell behind a contact, followed exactly while its current is constant."""

    def __init__(self, random: Random) -> None:
        self.nmc = NmcCell()
        self.contact_ohm = 1.0
        self._random = random
        self._next_s = 0.0

    def ages(self, now_s: float) -> None:
        if now_s >= self._next_s:
            self._next_s = now_s + CONTACT_EACH_S
            low, high = CONTACT_OHM
            self.contact_ohm = min(high, max(low, self.contact_ohm + self._random.uniform(-0.3, 0.3)))

    def voltage(self, current_A: float) -> float:
        return self.nmc.voltage(current_A) + current_A * self.contact_ohm

    def current_A(self, setpoint: Setpoint | None) -> float:
        match setpoint:
            case ConstantCurrent(current_A, (low_V, high_V)):
                edge_V = high_V if current_A > 0 else low_V
                beyond = (self.voltage(current_A) - edge_V) * current_A > 0
                return self._towards(edge_V, abs(current_A)) if beyond else current_A
            case ConstantVoltage(voltage_V, limit_A):
                return self._towards(voltage_V, limit_A)
            case _:
                return 0.0

    def _towards(self, voltage_V: float, limit_A: float) -> float:
        ohm = self.voltage(1.0) - self.voltage(0.0)
        return max(-limit_A, min(limit_A, (voltage_V - self.voltage(0.0)) / ohm))

    def passes(self, seconds: float, setpoint: Setpoint | None) -> None:
        before, current_A = self.nmc.save(), self.current_A(setpoint)
        self.nmc.advance(seconds, current_A)
        if self.current_A(setpoint) == current_A:
            return
        self.nmc.restore(before)
        while seconds > 0.0:
            self.nmc.advance(min(seconds, STEP_S), self.current_A(setpoint))
            seconds -= STEP_S


class Wire:
    """A link on which nothing is wrong for long."""

    address = "nowhere"

    def __init__(self, random: Random, seen: Counter[str]) -> None:
        self._random = random
        self._seen = seen
        self._since_lost = 0
        self._clock = LoopClock()

    def now(self) -> float:
        return self._clock.now()

    async def write(self, message: bytes) -> None:
        """Taken at once."""

    async def clear(self) -> None:
        """Nothing is kept back."""

    async def query(self, message: bytes) -> bytes:
        self._since_lost += 1
        if self._since_lost > APART and not self._random.randrange(LOST_EACH):
            self._since_lost = 0
            self._seen["lost"] += 1
            await real_sleep(1.0)
            raise LinkTimeout("lost")
        if not self._random.randrange(LATE_EACH):
            self._seen["late"] += 1
            await real_sleep(self._random.uniform(0.05, 0.9))
        return b""


class Room:
    """What the sensor shows: a day's course, an oven that switches, noise, digits, and a reading that fails."""

    def __init__(self, random: Random, seen: Counter[str]) -> None:
        self._random = random
        self._seen = seen
        self._clock = LoopClock()
        self._due_s = self._clock.now()
        self._newest: Measurement | None = None

    def newest(self) -> Measurement | None:
        now_s = self._clock.now()
        if now_s >= self._due_s:
            at_s = now_s - (now_s - self._due_s) % SENSOR_EVERY_S
            self._due_s = at_s + SENSOR_EVERY_S
            fails = now_s < at_s + 2.0 and self._newest is not None and not self._random.randrange(SENSOR_FAILS_EACH)
            self._seen["sensor fails"] += fails
            if fails and self._newest is not None and self._newest.at_s >= at_s - SENSOR_EVERY_S:
                self._due_s = at_s + 2.0  # as Sensing tries again
            else:
                self._newest = Measurement(self._shown(at_s), at_s)
        return self._newest

    def _shown(self, at_s: float) -> float:
        course_K = 2.0 * sin(2 * pi * at_s / DAY_S) + 0.3 * sin(2 * pi * at_s / 1200.0)
        return round((25.0 + course_K + self._random.gauss(0.0, 0.04)) / DIGIT_K) * DIGIT_K


class Smu:
    """One output and its meter. ``seen`` counts what was borne."""

    identity = Identity("", "2400", "", "")
    ratings = ratings("2400", "bounded", 1.0)

    def __init__(self, contact: Contact, random: Random, seen: Counter[str]) -> None:
        self._link = contact
        self._random = random
        self._seen = seen
        self.cell = Cell(random)
        self._setpoint: Setpoint | None = None
        self._at_s = contact.now()
        self._hum = 0
        self._offset_V, self._gain, self._offset_A = random.gauss(0, 5e-4), random.gauss(1, 1e-4), random.gauss(0, 2e-7)

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": self}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        await self._link.clear()
        await self._link.query(b"*IDN?")

    async def apply(self, setpoint: Setpoint) -> None:
        self._follow()
        self._setpoint = setpoint

    async def turn_off(self) -> None:
        self._follow()
        self._setpoint = None

    async def read(self) -> Reading:
        await self._link.query(b"READ?")
        self._follow()
        self._seen["readings"] += 1
        current_A = self.cell.current_A(self._setpoint)
        voltage_V = self.cell.voltage(current_A) + self._offset_V + self._picked_up_V() + self._random.gauss(0.0, 5e-5)
        told_A = current_A * self._gain + (self._offset_A if current_A else 0.0) + self._random.gauss(0.0, 2e-7)
        digits_V = round(voltage_V / DIGIT_V) * DIGIT_V
        return Reading(digits_V, told_A, self._setpoint is not None, frozenset(), self._at_s)

    def _follow(self) -> None:
        now_s = self._link.now()
        self.cell.passes(now_s - self._at_s, self._setpoint)
        self.cell.ages(now_s)
        self._at_s = now_s

    def _picked_up_V(self) -> float:
        if not self._random.randrange(SPIKE_EACH):
            self._seen["spikes"] += 1
            return self._random.uniform(-SPIKE_V, SPIKE_V)
        if not self._hum and not self._random.randrange(HUM_EACH):
            self._seen["hums"] += 1
            self._hum = HUM_READINGS
        self._hum -= self._hum > 0
        return HUM_V * sin(2 * pi * self._random.random()) if self._hum else 0.0


@dataclass
class Forgetful:
    """The record of a run, of which only what would worry a person is kept."""

    failed: CyclerError | None = None
    told: list[EventRecord] = field(default_factory=list[EventRecord])

    def append(self, _rows: object, events: tuple[EventRecord, ...], *_: object) -> None:
        self.told += (one for one in events if one.kind in {EventKind.TRIP, EventKind.FAULT, EventKind.OPERATOR})

    def hurry(self) -> None:
        """Nothing waits here."""

    def pending(self) -> Pending:
        return Pending(0, 0.0)


@dataclass(frozen=True, slots=True)
class Life:
    """How a day, or more of them, ended; ``end.outcome`` is STOPPED where it was the test that ended it."""

    end: End
    seen: Counter[str]
    lasted_s: float

    @property
    def tripped(self) -> bool:
        return self.end.outcome is not Outcome.STOPPED


def prepared(channel: ChannelSettings) -> Prepared:
    """As a station does it, from the text of the protocol to the guard."""
    smu = InstrumentSettings(driver="keithley-2400", address="nowhere")
    oven = InstrumentSettings(driver="eurotherm", address="elsewhere")
    config = Config(
        station=StationSettings(name="rig", data_dir=Path()),
        instruments={"smu1": smu, "oven1": oven},
        channels={"a1": channel},
    )
    spot = Spot("a1", config, keithley_2400.DRIVER, Smu.identity, Smu.ratings)
    return prepare(Order(Document("day.yaml", PROTOCOL)), spot, 0.0)


def fittings(smu: Smu, contact: Contact, ready: Prepared, room: Room, channel: ChannelSettings) -> Fittings:
    return Fittings(
        name="a1",
        channel=smu,
        instrument=smu,
        contact=contact,
        clock=LoopClock(),
        guard=Guard(ready.guard.limits),
        ceilings=ready.ceilings,
        recorder=Forgetful(),
        temperature=room.newest,
        limits_V=channel.limits.voltage_V,
        hold_limit_A=ready.hold_limit_A,
        sample_every_s=channel.sample_every_s,
        lease=NoLease(),
        safe_off=SafeOffEntry("smu1", "keithley-2400", "nowhere"),
        changed=lambda: None,
    )


async def lived(seed: int, days: float, sample_every_s: float, channel: ChannelSettings = CHANNEL) -> Life:
    """So many days of one channel with an ordinary cell, or until its run ends."""
    random, seen, channel = Random(seed), Counter[str](), replace_period(channel, sample_every_s)
    contact, ready = Contact(Wire(random, seen)), prepared(channel)
    smu, room = Smu(contact, random, seen), Room(random, seen)
    run = Runner(ready.program, fittings(smu, contact, ready, room, channel))
    began_s = contact.now()
    task = asyncio.ensure_future(run.run())
    await asyncio.wait({task}, timeout=days * DAY_S)
    lasted_s = contact.now() - began_s
    if not task.done():
        run.ask("stop", "the end of the test")
    return Life(await task, seen, lasted_s)


def replace_period(channel: ChannelSettings, sample_every_s: float) -> ChannelSettings:
    return channel.model_copy(update={"sample_every_s": sample_every_s})


def life_of(seed: int, days: float, sample_every_s: float, channel: ChannelSettings = CHANNEL) -> Life:
    """In virtual time, and with nothing that could come from anywhere else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(virtual_loop, "GRACE_S", 0.0)
        return virtual_loop.leap(lived(seed, days, sample_every_s, channel))


def many(lives: Sequence[tuple[int, float, float]], jobs: int) -> list[Life]:
    """Each a process's, for one has but one core."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return [one.result() for one in [pool.submit(life_of, *life) for life in lives]]
