"""Seeded faults on the wire of a 2600 with both outputs in use: no wrong number is believed, and off is off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Instrument, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keithley_2600 import DRIVER, Options
from sim_hardware.circuit import Terminals
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_meter import Meter, Sample
from sim_hardware.keithley2600_settings import Settings
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp
from sim_hardware.simtime import SimTime

WINDOW_V = (2.5, 4.2)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    ConstantCurrent(200e-6, WINDOW_V),
    ConstantCurrent(-200e-6, WINDOW_V),
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(3.75, 1e-3),
)
KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "reboot", "flood", "front panel", "silence")
HASTY_S = 0.1
OFF_S = 5.0
DEAD_MAN_S = 30.0
RUNS, CAMPAIGN_RUNS = 10, 1000
OUTPUT_OCV_V = {"a": 3.7, "b": 3.6}


class NumberedMeter(Meter):
    """The digits of the voltage below 0.1 V are the number of the measurement: n times 0.1 mV."""

    def __init__(self, seed: int, ocv_V: float) -> None:
        super().__init__(seed)
        self.lies_V = 0.0
        self._asked = 0
        self._ocv_V = ocv_V

    @property
    def newest_V(self) -> float:
        return self._ocv_V + self._asked % 500 * 1e-4

    def sample(self, settings: Settings, terminals: Terminals) -> Sample:
        self._asked += 1
        return Sample(super().sample(settings, terminals).current_A, self.newest_V + self.lies_V)


class Numbered(Keithley2600):
    """Its readings can be told from each other."""

    def __init__(self, now: SimTime, seed: int) -> None:
        super().__init__([Battery(ocv_V, 50.0) for ocv_V in OUTPUT_OCV_V.values()], now, seed=seed)
        self.meters = {output: NumberedMeter(seed, ocv_V) for output, ocv_V in OUTPUT_OCV_V.items()}
        for output, smu in self.smus.items():
            smu.meter = self.meters[output]


@dataclass(slots=True)
class Bench:
    sim: Numbered
    line: Line
    instrument: Instrument
    time: SimTime
    believed: int = 0

    async def read(self, output: str) -> None:
        """A reading that is believed is the newest one of its own output, whole."""
        reading = await self.instrument.channels[output].read()
        assert reading.voltage_V == pytest.approx(self.sim.meters[output].newest_V, abs=1e-7)
        assert abs(reading.current_A) < 2e-3
        self.believed += 1


@asynccontextmanager
async def numbered(seed: int) -> AsyncGenerator[Bench]:
    clock = SystemClock()
    time = SimTime(clock.now)
    sim = Numbered(time, seed)
    line = Line(sim, seed)
    wire = replace(DRIVER.link, timeout_s=HASTY_S)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, clock) as link,
        DRIVER.connect(link, Options(dead_man_s=DEAD_MAN_S)) as instrument,
    ):
        yield Bench(sim, line, instrument, time)


def spoil(b: Bench, random: Random) -> str:
    kind = random.choice(KINDS)
    if kind == "flood":
        b.sim.receive(b"nonsense(\n" * 1100)
    elif kind == "front panel":
        b.sim.set_fault(random.choice(("output", "b.output")), value=False)
    else:
        match = b"" if kind in {"reboot", "silence"} else random.choice((b"print", b"measure.iv", b"smub", b"abort"))
        count = None if kind == "silence" else random.choice((1, 2))
        b.line.inject(LineFault(kind, count, match, random.uniform(0.02, 2.5 * HASTY_S)))
    return kind


async def live(b: Bench, output: str, random: Random) -> None:
    """A few setpoints and readings, as a run takes them; after a time-out in step again, or off."""
    for _ in range(3):
        try:
            await b.instrument.channels[output].apply(random.choice(SETPOINTS))
            for _ in range(3):
                await b.read(output)
        except LinkTimeout:
            with suppress(InstrumentError):
                await b.instrument.resync()
                await b.read(output)
        except InstrumentError:
            continue


async def both_off(b: Bench) -> None:
    for channel in b.instrument.channels.values():
        await channel.turn_off()


def check_off(b: Bench, seed: int) -> None:
    truth = b.sim.truth()
    assert not truth["output_on"], seed
    assert not truth["relay_closed"], seed
    assert truth["abuse"] == (), seed


async def end(b: Bench, kind: str, seed: int) -> None:
    """Where the link allows it, off within 5 s; where it does not, an error at once, and the dead man's off later."""
    if kind == "silence":
        was_on = b.sim.truth()["output_on"]
        with pytest.raises(InstrumentError):
            async with asyncio.timeout(OFF_S):
                await both_off(b)
        b.time.jump(DEAD_MAN_S)
        if was_on:
            check_off(b, seed)
        b.line.clear_faults()
    b.line.clear_faults()
    async with asyncio.timeout(OFF_S):
        await both_off(b)
    check_off(b, seed)


@pytest.mark.timeout(1800)  # of the campaign
async def test_no_wrong_number_is_believed_and_off_is_off(request: pytest.FixtureRequest) -> None:
    runs = CAMPAIGN_RUNS if request.config.getoption("--campaign") else RUNS
    believed = 0
    for seed in range(runs):
        random = Random(seed)
        async with numbered(seed) as b:
            if random.random() < 0.5:  # at rest before, so that the fault strikes a running output too
                await asyncio.gather(*(channel.apply(SETPOINTS[1]) for channel in b.instrument.channels.values()))
            kind = spoil(b, random)
            await asyncio.gather(live(b, "a", random), live(b, "b", random))
            await end(b, kind, seed)
            believed += b.believed
    assert believed > 3 * runs


async def test_a_harness_that_believes_a_wrong_number_is_noticed() -> None:
    async with numbered(0) as b:
        await b.instrument.channels["a"].apply(SETPOINTS[1])
        await b.read("a")
        b.sim.meters["a"].lies_V = 1e-4
        with pytest.raises(AssertionError):
            await b.read("a")
        await both_off(b)
