"""Seeded faults on the wire of an NGU401: no wrong number is believed, and whoever asks for off gets it or an error."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Instrument, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.rs_ngu import DRIVER, Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.loads import Battery
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    ConstantCurrent(200e-6, WINDOW_V),
    ConstantCurrent(-200e-6, WINDOW_V),
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(4.1, 1e-3),
)
KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "reboot", "flood", "front panel", "trip")
HASTY_S = 0.1
RUNS, CAMPAIGN_RUNS = 10, 1000
READING = re.compile(rb"[+-]?\d\.\d{7}E[+-]\d\d,")
OFF_WITHIN_S = 5.0


class Numbered(RsNgu):
    """Its voltage is the number of the question: 3 V and n times 10 mV, which is more than a changed digit may do."""

    asked = 0
    believed = 0

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":READ?" not in data or not reply:
            return reply
        self.asked += 1
        return READING.sub(f"{self.newest_V:.7E},".encode(), reply)

    @property
    def newest_V(self) -> float:
        return 3.6 + self.asked % 20 * 1e-2


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Numbered
    line: Line
    instrument: Instrument
    now: Callable[[], float]

    async def read(self) -> None:
        """A reading that is believed is the newest one, but for a digit within the instrument's error."""
        reading = await self.instrument.channels["1"].read()
        assert reading.voltage_V == pytest.approx(self.sim.newest_V, abs=2e-3)
        assert abs(reading.current_A) < 3e-3
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
        yield Bench(sim, line, instrument, clock.now)


def spoil(b: Bench, random: Random) -> None:
    kind = random.choice(KINDS)
    if kind == "flood":
        b.sim.receive(b"NONSENSE\n" * 1100)
    elif kind == "front panel":
        b.sim.set_fault("output", value=False)
    elif kind == "trip":
        b.sim.set_fault("trip", random.choice(("ovp", "fuse", "opp")))
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
            asked_s = b.now()
            await b.instrument.channels["1"].turn_off()
            assert b.now() - asked_s < OFF_WITHIN_S, seed
            truth = b.sim.truth()
            assert not truth["output_on"], seed
            assert not truth["relay_closed"], seed
            assert truth["abuse"] == (), seed
            believed += b.sim.believed
    assert believed > 3 * runs
