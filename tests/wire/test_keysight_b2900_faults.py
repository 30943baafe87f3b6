"""Seeded faults on the wire of a two-channel B2900: no wrong number is believed, off is off, and in time."""

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
from drivers.keysight_b2900 import DRIVER
from drivers.keysight_b2900_output import Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.keysightb2900 import KeysightB2900
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
KINDS = (
    "drop",
    "delay",
    "garble",
    "truncate",
    "split",
    "merge",
    "lose",
    "disconnect",
    "reboot",
    "flood",
    "panel",
    "trip",
)
HASTY_S = 0.1
OFF_WITHIN_S = 5.0
RUNS, CAMPAIGN_RUNS = 10, 1000


class Numbered(KeysightB2900):
    """The digits of its voltages below 0.1 V are the number of the question: 3.7 V and n times 0.1 mV."""

    asked = 0
    believed = 0

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":MEAS?" not in data or not reply:
            return reply
        self.asked += 1
        fields = reply.decode().split(";")
        for at in (4, 5):
            fields[at] = ",".join([f"{self.newest_V:+.6E}", *fields[at].split(",")[1:]])
        return ";".join(fields).encode()  # its end of line is still there

    @property
    def newest_V(self) -> float:
        return 3.7 + self.asked % 500 * 1e-4


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Numbered
    line: Line
    instrument: Instrument

    async def read(self, output: str) -> None:
        """A reading that is believed is the newest one, whole."""
        reading = await self.instrument.channels[output].read()
        assert reading.voltage_V == pytest.approx(self.sim.newest_V, abs=1e-7)
        assert abs(reading.current_A) < 2e-3
        self.sim.believed += 1


@asynccontextmanager
async def numbered(line: Line) -> AsyncGenerator[Bench]:
    sim = line.instrument
    assert isinstance(sim, Numbered)
    wire = replace(DRIVER.link, timeout_s=HASTY_S)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, SystemClock()) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        yield Bench(sim, line, instrument)


def spoil(b: Bench, random: Random) -> None:
    kind = random.choice(KINDS)
    if kind == "flood":
        b.sim.receive(b":NONSENSE\n" * 120)
    elif kind == "panel":
        b.sim.set_fault("output", value=False)
    elif kind == "trip":
        b.sim.set_fault("trip", value=True)
    else:
        b.line.inject(LineFault(kind, 1, b"?" if kind != "reboot" else b"", random.uniform(0.02, 2.5 * HASTY_S)))


async def live(b: Bench, random: Random) -> None:
    """A few setpoints and readings, as a run takes them; after a time-out in step again, or off."""
    output = random.choice("12")
    for number in range(3):
        if number == 1:
            spoil(b, random)
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


async def off_in_time(b: Bench) -> None:
    b.line.clear_faults()
    async with asyncio.timeout(OFF_WITHIN_S):
        for channel in b.instrument.channels.values():
            await channel.turn_off()


async def reconnected(line: Line) -> None:
    """To connect is to have turned every output off, and read that back."""
    async with asyncio.timeout(OFF_WITHIN_S), numbered(line):
        pass


async def one_run(seed: int) -> int:
    random = Random(seed)
    sim = Numbered(Battery(3.7, 50.0), SystemClock().now, seed=seed, model="B2902A", second=Battery(3.7, 50.0))
    line = Line(sim, seed)
    try:
        async with numbered(line) as b:
            await live(b, random)
            await off_in_time(b)
    except InstrumentError:  # the connection is gone: nothing was said of the output
        assert line.hits.get("disconnect"), seed
        await reconnected(line)
    truth = sim.truth()
    assert not truth["output_on"], seed
    assert not truth["relay_closed"], seed
    assert truth["abuse"] == (), seed
    return sim.believed


@pytest.mark.timeout(1200)  # a campaign takes minutes
async def test_no_wrong_number_is_believed_and_off_is_off_in_time(request: pytest.FixtureRequest) -> None:
    runs = CAMPAIGN_RUNS if request.config.getoption("--campaign") else RUNS
    believed = [await one_run(seed) for seed in range(runs)]
    assert sum(believed) > 3 * runs


async def test_an_output_that_cannot_be_reached_is_never_said_to_be_off() -> None:
    """What raises the alarm: whoever asks for off is told that it was not confirmed."""
    sim = Numbered(Battery(3.7, 50.0), SystemClock().now, model="B2901A")
    line = Line(sim)
    async with numbered(line) as b:
        await b.instrument.channels["1"].apply(SETPOINTS[1])
        line.inject(LineFault("silence", None))
        async with asyncio.timeout(OFF_WITHIN_S):
            with pytest.raises(InstrumentError, match="could not be confirmed off"):
                await b.instrument.channels["1"].turn_off()
        assert sim.truth()["output_on"] is True
        line.clear_faults()
