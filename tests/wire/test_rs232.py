"""A 2400 on RS-232: every way in which its menu and the host's port may disagree, over a real pseudo-terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import DeviceFault, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, Instrument, Link, Rest
from cycler_ctl.link.opening import open_link
from drivers.keithley_2400 import DRIVER, Options
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.rs232 import XOFF, XON, Menu, Rs232
from sim_hardware.server import serve_pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
QUICK = replace(DRIVER.link, timeout_s=0.2)
STRICT = Menu(queue=200, busy_s=0.03)
"""Little more than one message fits, and it is busy with each for longer than a host needs to send the next."""
OVERRUN, FRAMING, PARITY = -363, -362, -361


@dataclass(frozen=True, slots=True)
class Wire:
    sim: Keithley2400
    serial: Rs232
    link: Link

    def errors(self) -> set[int]:
        errors = self.sim.smu.errors
        return {int(errors.pop().partition(",")[0]) for _ in range(len(errors))}


@asynccontextmanager
async def wired(
    menu: Menu | None = None, options: str = "", terminator: bytes = b"\n", timeout_s: float = 0.2
) -> AsyncGenerator[Wire]:
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now, terminator=terminator)
    serial = Rs232(menu or Menu(), sim.smu.fail, clock.now)
    async with serve_pty(Line(sim, serial=serial)) as endpoint:
        port = endpoint.address.removeprefix("ASRL").removesuffix("::INSTR")
        async with open_link(f"serial://{port}{options}", replace(QUICK, timeout_s=timeout_s), clock) as link:
            yield Wire(sim, serial, link)


async def cycle(instrument: Instrument) -> None:
    channel = instrument.channels["1"]
    for setpoint, current_A in ((CHARGE, 200e-6), (Rest(WINDOW_V), 0.0), (ConstantCurrent(-5e-3, WINDOW_V), -5e-3)):
        await channel.apply(setpoint)
        assert (await channel.read()).current_A == pytest.approx(current_A, rel=0.05, abs=1e-8)
    await instrument.resync()
    await channel.turn_off()


async def in_a_row(link: Link, times: int) -> None:
    """As no driver of ours does: nothing is waited for."""
    for _ in range(times):
        await link.write(b":SOUR:VOLT:RANG 20;:SOUR:VOLT 0")


async def refused(w: Wire) -> str:
    """What connecting says."""
    with pytest.raises(DeviceFault) as caught:
        async with DRIVER.connect(w.link, Options()):
            pass
    assert "could not be confirmed off" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("terminator", [b"\n", b"\r\n", b"\n\r"])
async def test_a_cycle_runs_with_every_terminator_that_has_a_line_feed(terminator: bytes) -> None:
    async with wired(terminator=terminator, timeout_s=1.0) as w, DRIVER.connect(w.link, Options()) as instrument:
        await cycle(instrument)


async def test_answers_that_end_in_cr_only_are_told_with_the_cure() -> None:
    async with wired(terminator=b"\r") as w:
        assert "set the instrument's terminator to LF or CR+LF" in await refused(w)


async def test_an_instrument_that_is_slow_and_has_room_for_one_message_loses_nothing_of_ours() -> None:
    async with wired(STRICT, timeout_s=1.0) as w, DRIVER.connect(w.link, Options()) as instrument:
        await cycle(instrument)
        assert not {OVERRUN, FRAMING, PARITY} & w.errors()
        assert w.serial.fullest <= 0.75 * Menu().queue, "an XOFF would come in the middle of a message"


async def test_what_is_sent_without_waiting_is_lost_without_flow_control() -> None:
    """The control: the instrument of the test above does lose what it is not ready for."""
    async with wired(STRICT) as w:
        await in_a_row(w.link, 12)
        with pytest.raises(LinkTimeout):
            await w.link.query(b"*IDN?")
        assert OVERRUN in w.errors()


@pytest.mark.parametrize("options", ["", "?flow=xonxoff"])
async def test_a_cycle_runs_with_flow_control_on_the_instrument_on_both_sides_or_one(options: str) -> None:
    async with wired(Menu(flow="XON/XOFF"), options, timeout_s=1.0) as w:
        async with DRIVER.connect(w.link, Options()) as instrument:
            await cycle(instrument)
        assert not {OVERRUN, FRAMING, PARITY} & w.errors()


async def test_a_line_held_by_xoff_is_a_time_out_that_says_so() -> None:
    async with wired(Menu(flow="XON/XOFF", queue=200, busy_s=30.0), "?flow=xonxoff") as w:
        with pytest.raises(LinkTimeout, match="XOFF"):
            await in_a_row(w.link, 100_000)  # what was on the way still comes, and a busy kernel passes an XOFF on late


class Babbling(Keithley2400):
    """It sends XON and XOFF though the host takes no notice: some adapters pass them on."""

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        return XOFF + XON + reply if reply else reply


async def test_flow_control_characters_in_answers_are_told_with_the_cure() -> None:
    clock = SystemClock()
    sim = Babbling(Battery(3.7, 50.0), clock.now)
    async with serve_pty(Line(sim)) as endpoint, open_link(endpoint.address, QUICK, clock) as link:
        with pytest.raises(DeviceFault, match="flow=xonxoff"):
            async with DRIVER.connect(link, Options()):
                pass


async def test_an_echo_on_the_way_is_told_with_the_cure() -> None:
    async with wired(Menu(echo=True)) as w:
        assert "switch its echo off" in await refused(w)


@pytest.mark.parametrize(
    ("menu", "error"), [(Menu(baud=57600), FRAMING), (Menu(baud=300), FRAMING), (Menu(parity="E"), PARITY)]
)
async def test_another_baud_rate_or_parity_is_told_as_what_it_looks_like(menu: Menu, error: int) -> None:
    async with wired(menu) as w:
        assert "baud rate" in await refused(w)
        assert error in w.errors()


@pytest.mark.parametrize("baud", [300, 9600, 57600])
async def test_a_cycle_runs_at_the_baud_rate_of_the_address(baud: int) -> None:
    at_baud = wired(Menu(baud=baud), f"?baudrate={baud}", timeout_s=1.0)
    async with at_baud as w, DRIVER.connect(w.link, Options()) as instrument:
        await cycle(instrument)


@pytest.mark.parametrize("abort", [b"\x03", b"\x18"])
async def test_an_abort_forgets_half_a_message_and_is_heard_by_one_that_is_busy(abort: bytes) -> None:
    async with wired(STRICT, timeout_s=1.0) as w:
        await w.link.write(b":SOUR:VOLT 0;" * 12)
        w.sim.receive(b":OUTP:SMOD NO" + abort)
        await w.link.clear()
        assert (await w.link.query(b":OUTP:SMOD?;*IDN?")).startswith(b"NORM;KEITHLEY")
