"""Seeded faults on the wire of a 2450: no wrong number is believed, and whoever asks for off gets it or an error."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Instrument, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keithley_2450 import DRIVER, Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.loads import Battery
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    ConstantCurrent(200e-6, WINDOW_V),
    ConstantCurrent(-200e-6, WINDOW_V),
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(3.75, 1e-3),
)
KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "reboot", "flood", "front panel")
HASTY_S = 0.1
RUNS, CAMPAIGN_RUNS = 10, 1000


class Numbered(Keithley2450):
    """The digits of its voltage below 0.1 V are the number of the question: 3.7 V and n times 0.1 mV."""

    asked = 0
    believed = 0

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":READ?" not in data or not reply:
            return reply
        self.asked += 1
        *before, reading, level, limit = reply.decode().split(";")
        fields = reading.split(",")
        at = 0 if self.smu.settings.source == "VOLT" else 1
        fields[at] = fields[at + 4] = f"{self.newest_V:.6E}"
        return ";".join([*before, ",".join(fields), level, limit]).encode()  # its end of line is still there

    @property
    def newest_V(self) -> float:
        return 3.7 + self.asked % 500 * 1e-4


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Numbered
    line: Line
    instrument: Instrument

    async def read(self) -> None:
        """A reading that is believed is the newest one, whole."""
        reading = await self.instrument.channels["1"].read()
        assert reading.voltage_V == pytest.approx(self.sim.newest_V, abs=1e-7)
        assert abs(reading.current_A) < 2e-3
        self.sim.believed += 1


@asynccontextmanager
async def numbered(seed: int) -> AsyncGenerator[Bench]:
    clock = SystemClock()
    sim = Numbered(Battery(3.7, 50.0), clock.now, seed=seed)
    line = Line(sim, seed)
    wire = replace(DRIVER.link, timeout_s=HASTY_S)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, clock) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        yield Bench(sim, line, instrument)


def spoil(b: Bench, random: Random) -> None:
    kind = random.choice(KINDS)
    if kind == "flood":
        b.sim.receive(b":NONSENSE\n" * 1100)
    elif kind == "front panel":
        b.sim.set_fault("output", value=False)
    else:
        b.line.inject(LineFault(kind, 1, b"?" if kind != "reboot" else b"", random.uniform(0.02, 2.5 * HASTY_S)))


async def live(b: Bench, random: Random) -> None:
    """A few setpoints and readings, as a run takes them; after a time-out in step again, or off."""
    for _ in range(3):
        try:
            await b.instrument.channels["1"].apply(random.choice(SETPOINTS))
            for _ in range(3):
                await b.read()
        except LinkTimeout:
            with suppress(InstrumentError):
                await b.instrument.resync()
                await b.read()
        except InstrumentError:
            continue


async def test_no_wrong_number_is_believed_and_off_is_off(request: pytest.FixtureRequest) -> None:
    runs = CAMPAIGN_RUNS if request.config.getoption("--campaign") else RUNS
    believed = 0
    for seed in range(runs):
        random = Random(seed)
        async with numbered(seed) as b:
            spoil(b, random)
            await live(b, random)
            b.line.clear_faults()
            await b.instrument.channels["1"].turn_off()
            truth = b.sim.truth()
            assert not truth["output_on"], seed
            assert not truth["relay_closed"], seed
            assert truth["abuse"] == (), seed
            believed += b.sim.believed
    assert believed > 3 * runs
