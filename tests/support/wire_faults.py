"""Seeded faults between a driver and its simulated instrument: one campaign, to which each driver brings its own table.

In each life of a driver one fault strikes while it sets, reads and gets into step again as a run does. No reading may be
believed that is not the newest one, whole; and at the end the output is off within 5 s, read back, without harm to a cell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

import pytest
from pydantic import BaseModel

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, DriverSpec, Instrument, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from sim_hardware import faults
from sim_hardware.faults import Line, LineFault
from sim_hardware.server import serve_pty, serve_tcp

WINDOW_V = (2.5, 4.2)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    ConstantCurrent(200e-6, WINDOW_V),
    ConstantCurrent(-200e-6, WINDOW_V),
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(3.75, 1e-3),
)
LINE_KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "lose byte", "disconnect", "reboot")
HASTY_S = 0.1
OFF_WITHIN_S = 5.0
SEEDS, CAMPAIGN_SEEDS = 10, 1000
CAMPAIGN_S = 1800  # a life takes a fraction of a second of waiting for what does not come; the lot, half an hour


class Numbered(faults.Instrument, Protocol):
    """A simulated instrument whose voltages tell which question they answer."""

    def newest_V(self, output: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Table:
    """What is one driver's own. ``own``: its instrument's mishaps by name, beside those of the line."""

    driver: DriverSpec
    options: BaseModel
    make: Callable[[int], Numbered]
    own: Mapping[str, Callable[[Numbered, Random], None]] = field(
        default_factory=dict[str, Callable[[Numbered, Random], None]]
    )
    outputs: tuple[str, ...] = ("1",)
    terminal: Callable[[int], bool] = lambda _seed: False
    """Which lives are led on a pseudo-terminal instead of TCP."""


@dataclass(slots=True)
class Life:
    table: Table
    sim: Numbered
    line: Line
    instrument: Instrument
    believed: int = 0

    async def read(self, output: str) -> None:
        reading = await self.instrument.channels[output].read()
        assert reading.voltage_V == pytest.approx(self.sim.newest_V(output), abs=1e-7)
        assert abs(reading.current_A) < 2e-3
        self.believed += 1

    def spoil(self, random: Random) -> None:
        kind = random.choice((*LINE_KINDS, *self.table.own))
        if kind in self.table.own:
            self.table.own[kind](self.sim, random)
            return
        match = b"" if kind in {"reboot", "lose byte"} else b"?"
        self.line.inject(LineFault(kind, 1, match, random.uniform(0.02, 2.5 * HASTY_S)))


@asynccontextmanager
async def living(table: Table, line: Line, sim: Numbered, *, terminal: bool = False) -> AsyncGenerator[Life]:
    wire = replace(table.driver.link, timeout_s=HASTY_S)
    async with (
        serve_pty(line) if terminal else serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, SystemClock()) as link,
        table.driver.connect(link, table.options) as instrument,
    ):
        yield Life(table, sim, line, instrument)


async def live(life: Life, random: Random) -> None:
    """A few setpoints and readings, as a run takes them; after a time-out in step again, or off."""
    output, struck = random.choice(life.table.outputs), random.randrange(3)
    for number in range(3):
        if number == struck:
            life.spoil(random)
        try:
            await life.instrument.channels[output].apply(random.choice(SETPOINTS))
            for _ in range(3):
                await life.read(output)
        except LinkTimeout:
            with suppress(InstrumentError):
                await life.instrument.resync()
                await life.read(output)
        except InstrumentError:
            continue


async def one_life(table: Table, seed: int) -> int:
    """How many readings were believed."""
    random, sim = Random(seed), table.make(seed)
    line, believed = Line(sim, seed), 0
    try:
        async with living(table, line, sim, terminal=table.terminal(seed)) as life:
            await live(life, random)
            believed = life.believed
            line.clear_faults()
            async with asyncio.timeout(OFF_WITHIN_S):
                for channel in life.instrument.channels.values():
                    await channel.turn_off()
    except InstrumentError:  # the connection is gone, and nothing was said of the output: to connect is to turn it off
        assert line.hits.get("disconnect"), seed
        async with asyncio.timeout(OFF_WITHIN_S), living(table, line, sim):
            pass
    truth = sim.truth()
    assert (truth["output_on"], truth["relay_closed"], truth["abuse"]) == (False, False, ()), seed
    return believed


async def lives(table: Table, request: pytest.FixtureRequest) -> None:
    """Ten of them, or a thousand in a campaign."""
    seeds = CAMPAIGN_SEEDS if request.config.getoption("--campaign") else SEEDS
    believed = [await one_life(table, seed) for seed in range(seeds)]
    assert sum(believed) > 3 * seeds
