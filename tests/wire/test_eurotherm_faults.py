"""Seeded faults on the wires of a temperature controller: no temperature is believed that is not the newest one."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

import pytest
from wire_faults import CAMPAIGN_S, CAMPAIGN_SEEDS, HASTY_S, LINE_KINDS, SEEDS

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Instrument
from cycler_ctl.link.opening import open_link
from drivers import modbus
from drivers.eurotherm import DRIVER, Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.oven import BROKEN_C, Oven
from sim_hardware.server import serve_pty, serve_tcp

KINDS = (*LINE_KINDS, "sensor break")
READINGS = 6


class Counted(Oven):
    """Its temperature is the number of the question for it: 100 °C and n tenths."""

    asked = 0

    def receive(self, data: bytes) -> bytes:
        before = len(self.log)
        reply = super().receive(data)
        if not reply or data[1:2] != bytes((modbus.HOLDING,)) or len(self.log) == before:
            return reply
        self.asked += 1
        return self._numbered(reply)

    def _numbered(self, reply: bytes) -> bytes:
        return modbus.sealed(reply[:3] + round(10 * self.newest_C).to_bytes(2, "big")) if len(reply) == 7 else reply

    @property
    def newest_C(self) -> float:
        return 100.0 + self.asked % 500 * 0.1


class Breakable(Counted):
    """A broken sensor shows the top of its curve."""

    def _numbered(self, reply: bytes) -> bytes:
        return reply if self.truth()["sensor_broken"] else super()._numbered(reply)


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Counted
    line: Line
    instrument: Instrument

    async def read(self) -> None:
        """BadReply, LinkTimeout, or the newest temperature."""
        measured = await self.instrument.sensors["1"].read()
        assert measured.value == pytest.approx(self.sim.newest_C, abs=1e-6)
        assert not self.sim.truth()["sensor_broken"]


@asynccontextmanager
async def opened(sim: Counted, seed: int) -> AsyncGenerator[Bench]:
    line = Line(sim, seed)
    wire = replace(DRIVER.link, timeout_s=HASTY_S)
    terminal = sys.platform != "win32" and seed % 2 == 1
    options = Options(decimals=1, highest_degC=BROKEN_C + 1.0)  # so that only the status tells of a broken sensor
    async with (
        serve_pty(line) if terminal else serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, SystemClock()) as link,
        DRIVER.connect(link, options) as instrument,
    ):
        yield Bench(sim, line, instrument)


def spoil(b: Bench, random: Random) -> None:
    kind = random.choice(KINDS)
    if kind == "sensor break":
        b.sim.set_fault("sensor_break", value=True)
    else:
        match = random.choice((b"", bytes((1, modbus.HOLDING)), bytes((1, modbus.INPUT))))
        b.line.inject(LineFault(kind, random.choice((1, 2)), match, random.uniform(0.02, 2.5 * HASTY_S)))


async def one_life(sim: Counted, seed: int) -> int:
    """How many temperatures were believed; as the station reads it, in step again after a time-out."""
    random, believed = Random(seed), 0
    try:
        async with opened(sim, seed) as b:
            struck = random.randrange(READINGS)
            for number in range(READINGS):
                if number == struck:
                    spoil(b, random)
                try:
                    await b.read()
                    believed += 1
                except LinkTimeout:
                    await b.instrument.resync()
                except (BadReply, DeviceFault):
                    continue
            b.line.clear_faults()
    except InstrumentError:  # the line is gone, or did not come into step: nothing was believed of it
        return believed
    return believed


@pytest.mark.timeout(CAMPAIGN_S)
async def test_no_wrong_temperature_is_believed(request: pytest.FixtureRequest) -> None:
    seeds = CAMPAIGN_SEEDS if request.config.getoption("--campaign") else SEEDS
    believed = [await one_life(Breakable(SystemClock().now, decimals=1), seed) for seed in range(seeds)]
    assert sum(believed) > 3 * seeds


class Late(Counted):
    """It tells the temperature before."""

    def _numbered(self, reply: bytes) -> bytes:
        return modbus.sealed(reply[:3] + round(10 * self.newest_C - 1).to_bytes(2, "big"))


async def test_a_wrong_temperature_that_is_believed_is_noticed() -> None:
    with pytest.raises(AssertionError):
        await one_life(Late(SystemClock().now, decimals=1), 0)


def test_no_lost_added_or_changed_byte_of_a_frame_is_believed() -> None:
    request = modbus.read_request(1, modbus.HOLDING, 1, 1)
    whole = modbus.sealed(bytes((1, modbus.HOLDING, 2, 0x04, 0xB0)))
    assert modbus.registers(request, whole) == b"\x04\xb0"
    for at in range(len(whole)):
        bits = [bytes([whole[at] ^ 1 << bit]) for bit in range(8)]
        for changed in (b"", *bits, b"\0" + whole[at : at + 1]):
            with pytest.raises((BadReply, DeviceFault)):
                modbus.registers(request, whole[:at] + changed + whole[at + 1 :])
