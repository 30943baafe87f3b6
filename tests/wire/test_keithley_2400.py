"""The real driver on the real wire: a simulated 2400 behind TCP and behind a pseudo-terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from judged import Provokes

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keithley_2400 import DRIVER, Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery, Load
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
REST = Rest(WINDOW_V)
ANSWERS_S = 10.0  # in real time: an answer must come, and this machine may be busy
HASTY_S = 0.5  # where none comes
WIRE = replace(DRIVER.link, timeout_s=ANSWERS_S)


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Keithley2400
    line: Line
    link: Link
    instrument: Instrument

    @property
    def channel(self) -> Channel:
        return self.instrument.channels["1"]

    def sent(self) -> list[bytes]:
        return [message.strip() for _, message in self.sim.log]

    def inject(self, kind: str, match: bytes = b"", count: int | None = 1, seconds: float = 0.0) -> None:
        self.line.inject(LineFault(kind, count, match, seconds))

    def is_off(self) -> bool:
        settings = self.sim.smu.settings
        return not settings.output and settings.off_mode == "HIMP"


@asynccontextmanager
async def bench(
    load: Load | None = None,
    options: Options | None = None,
    *,
    timeout_s: float = ANSWERS_S,
    sim_class: type[Keithley2400] = Keithley2400,
) -> AsyncGenerator[Bench]:
    clock = SystemClock()
    sim = sim_class(load or Battery(3.7, 50.0), clock.now)
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, replace(WIRE, timeout_s=timeout_s), clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument)


async def test_a_charge_a_rest_and_a_discharge_are_read_as_they_flow() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        charging = await b.channel.read()
        assert charging.current_A == pytest.approx(200e-6, rel=0.02)
        assert charging.flags == {Flag.COMPLIANCE, Flag.FOUR_WIRE}
        await b.channel.apply(REST)
        resting = await b.channel.read()
        assert abs(resting.current_A) < 2e-9
        assert resting.voltage_V == pytest.approx(3.7, abs=0.01)
        await b.channel.apply(DISCHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(-200e-6, rel=0.02)
        await b.channel.turn_off()
        assert b.is_off()


async def test_connecting_says_off_before_anything_else_and_leaves_it_high_impedance() -> None:
    async with bench() as b:
        assert b.sent()[0] == b":OUTP OFF;:OUTP:SMOD HIMP"
        assert b.is_off()
        assert b.instrument.identity.model == "2400"
        assert b.instrument.identity.serial == "1000001"


async def test_an_output_found_on_is_off_when_connecting_returns(provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    sim.receive(b":SENS:CURR:PROT 1E-3\n:SOUR:VOLT 4\n:OUTP ON\n")
    assert sim.smu.settings.output
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()),
    ):
        assert not sim.smu.settings.output
        assert sim.smu.settings.off_mode == "HIMP"


@pytest.mark.parametrize("left", [b':SENS:FUNC "RES"', b":SENS:FUNC:ALL", b":SENS:FUNC:CONC OFF"])
@pytest.mark.parametrize("setpoint", [REST, CHARGE])
async def test_what_someone_measured_before_does_not_choose_the_source(left: bytes, setpoint: Setpoint) -> None:
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    sim.receive(left + b"\n")  # measuring ohms, a 2400 sources up to 100 mA of its own choice
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        channel = instrument.channels["1"]
        await channel.apply(setpoint)
        wanted_A = 0.0 if setpoint is REST else 200e-6
        assert (await channel.read()).current_A == pytest.approx(wanted_A, rel=0.02, abs=1e-9)
        assert sim.smu.settings.functions == {"VOLT", "CURR"}


@pytest.mark.parametrize(
    ("left", "asked", "held"),
    [
        (b":SENS:AVER:COUN 100;:SENS:AVER ON", b":SENS:AVER?", b"0"),  # a hundred readings ago is no reading of now
        (b":SOUR:CLE:AUTO ON", b":SOUR:CLE:AUTO?", b"0"),
        (b":SYST:RSEN OFF", b":SYST:RSEN?", b"1"),
        (b":SYST:AZER OFF", b":SYST:AZER?", b"1"),
    ],
)
async def test_what_someone_set_before_is_undone_before_the_output_goes_on(
    left: bytes, asked: bytes, held: bytes
) -> None:
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    sim.receive(left + b"\n")
    assert sim.receive(asked + b"\n").strip() != held
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()),
    ):
        assert sim.receive(asked + b"\n").strip() == held


@pytest.mark.parametrize("regulation", ["bounded", "current"])
@pytest.mark.parametrize("setpoint", [REST, CHARGE, DISCHARGE, ConstantVoltage(3.71, 1e-3)])
async def test_a_level_that_another_program_left_pending_is_never_taken(
    regulation: Literal["bounded", "current"], setpoint: Setpoint
) -> None:
    async with bench(Battery(3.7, 50.0), Options(regulation=regulation), sim_class=Peaks) as b:
        assert isinstance(b.sim, Peaks)
        for _ in range(2):
            b.sim.receive(b":SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT:TRIG 20;:SOUR:CURR:RANG:AUTO ON;:SOUR:CURR:TRIG 1\n")
            assert b.sim.receive(b":SOUR:VOLT:TRIG?;:SOUR:CURR:TRIG?\n") == b"2.000000E+01;1.000000E+00\n"
            b.sim.lowest_A = b.sim.highest_A = 0.0
            await b.channel.apply(setpoint)
            await b.channel.read()
            assert b.sim.lowest_A > -210e-6
            assert b.sim.highest_A < 210e-6
            await b.channel.turn_off()


async def test_ohms_chosen_at_the_front_panel_show_in_the_next_reading(provokes: Provokes) -> None:
    provokes("on with a source of the instrument's choice")
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b':SENS:FUNC "RES";:SENS:RES:MODE MAN\n')
        with pytest.raises(BadReply, match="another source or sense"):
            await b.channel.read()


async def test_safe_off_needs_no_connection_state(provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    sim.receive(b":OUTP ON\n:READ?")  # and a question left half asked
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        assert DRIVER.safe_off is not None
        await DRIVER.safe_off(link)
        assert not sim.smu.settings.output
        assert sim.smu.settings.off_mode == "HIMP"


async def test_another_kind_of_instrument_is_refused() -> None:
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    sim.smu.identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2450,04024567,1.7.12b"
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        with pytest.raises(DeviceFault, match="2450"):
            async with DRIVER.connect(link, Options()):
                pass


async def test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        settings = b.sim.smu.settings
        assert (settings.source, settings.level["VOLT"]) == ("VOLT", 4.2)
        assert settings.protection["CURR"] == pytest.approx(200e-6)
        await b.channel.apply(DISCHARGE)
        assert settings.level["VOLT"] == 2.5


async def test_without_the_host_a_bounded_cell_never_leaves_its_window() -> None:
    async with bench(Battery(4.0, 10.0, slope_V_per_C=1000.0)) as b:
        await b.channel.apply(CHARGE)
        async with asyncio.timeout(10):
            while abs(b.sim.smu.truth()["current_A"]) > 20e-6:  # type: ignore[arg-type]
                await b.channel.read()
        assert (await b.channel.read()).voltage_V == pytest.approx(4.2, abs=0.01)


async def test_a_change_of_direction_keeps_the_relay_closed() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        await b.channel.apply(DISCHARGE)
        await b.channel.apply(ConstantCurrent(-150e-6, WINDOW_V))
        assert not [message for message in b.sent()[before:] if b"OUTP" in message]


async def test_another_range_goes_through_off_and_starts_without_current() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        await b.channel.apply(ConstantCurrent(90e-6, WINDOW_V))
        told = b";".join(b.sent()[before:])
        off, on, level = told.index(b":OUTP OFF"), told.index(b":OUTP ON"), told.rindex(b":SOUR:VOLT 4.2")
        assert off < told.index(b":SENS:CURR:RANG 1.000000000e-04") < on < level


class Watched(Keithley2400):
    """Knows what the cell carried just after each switching on."""

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":OUTP ON" in data:
            self.at_once_A = self.smu.terminals.cell_operating().current_A
        return reply


@pytest.mark.parametrize(
    "later", [ConstantCurrent(-5e-3, WINDOW_V), ConstantCurrent(5e-3, WINDOW_V), ConstantVoltage(3.5, 5e-3)]
)
async def test_switching_on_pushes_no_current_through_a_cell_that_relaxed_meanwhile(later: Setpoint) -> None:
    async with bench(Battery(3.7, 500.0), sim_class=Watched) as b:
        await b.channel.apply(CHARGE)  # at 3.8 V under load, 3.7 V without
        await b.channel.apply(later)
        assert isinstance(b.sim, Watched)
        assert abs(b.sim.at_once_A) < 5e-3 * 10e-3  # half a per cent of the range
        limit_A = b.sim.smu.settings.protection["CURR"]
        assert limit_A == pytest.approx(5e-3)


@pytest.mark.parametrize("current_A", [90e-6, 100e-6, 392.7e-6, 5e-3, 0.9, 1e-6])
async def test_every_current_is_reached_from_every_range_on_one_fixed_range(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1)) as b:
        for amperes in (current_A, -0.8, current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.05)
        assert not b.sim.smu.settings.sense_auto["CURR"]


async def test_a_current_source_is_chosen_only_on_request_and_its_limit_lies_beyond_the_window() -> None:
    async with bench(options=Options(regulation="current")) as b:
        await b.channel.apply(DISCHARGE)
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(-200e-6, rel=0.005)
        assert Flag.COMPLIANCE not in reading.flags
        settings = b.sim.smu.settings
        assert settings.source == "CURR"
        assert settings.protection["VOLT"] > WINDOW_V[1]
        assert settings.sense_range["VOLT"] >= settings.protection["VOLT"]
        assert b.channel.ratings.protection == "C"


async def test_bounded_is_class_b_and_says_why() -> None:
    async with bench() as b:
        assert DRIVER.ratings is not None
        assert DRIVER.ratings(Options()) == b.channel.ratings
        assert b.channel.ratings.protection == "B"
        assert "watchdog" in b.channel.ratings.protection_why
        assert "leak" in b.channel.ratings.rest


async def test_a_voltage_is_held() -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(3.702, 1e-3))
        reading = await b.channel.read()
        assert reading.voltage_V == pytest.approx(3.702, abs=0.005)
        assert abs(reading.current_A) < 1e-3


async def test_a_voltage_is_held_after_a_current_without_opening_the_relay() -> None:
    async with bench(Battery(4.0, 500.0)) as b:
        assert await b.channel.apply(ConstantCurrent(200e-6, (2.5, 4.12))) is True
        before = len(b.sent())
        assert await b.channel.apply(ConstantVoltage(4.1, 200e-6)) is False
        told = b";".join(b.sent()[before:])
        assert b"OUTP" not in told
        assert b":SENS:CURR:PROT?" in told
        assert b":SOUR:VOLT?" in told
        reading = await b.channel.read()
        assert reading.voltage_V == pytest.approx(4.1, abs=0.002)
        assert reading.current_A == pytest.approx(200e-6, rel=0.02)
        assert await b.channel.apply(ConstantVoltage(4.05, 200e-6)) is False
        reading = await b.channel.read()
        assert (reading.voltage_V, reading.current_A) == pytest.approx((4.05, 100e-6), abs=0.002)
        assert reading.flags == {Flag.FOUR_WIRE}


class Peaks(Keithley2400):
    """Knows the outermost currents the cell ever carried, after each setting of a message."""

    lowest_A = highest_A = 0.0

    def __init__(self, load: Load, now: Callable[[], float]) -> None:
        super().__init__(load, now)
        rewire = self.smu.rewire

        def watched() -> None:
            rewire()
            current_A = self.smu.terminals.cell_operating().current_A
            self.lowest_A, self.highest_A = min(self.lowest_A, current_A), max(self.highest_A, current_A)

        self.smu.rewire = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("regulation", ["bounded", "current"])
@pytest.mark.parametrize("limit_A", [20e-6, 100e-6, 200e-6, 5e-3])
@pytest.mark.parametrize("voltage_V", [3.5, 3.71, 4.1])
async def test_on_the_way_to_a_held_voltage_flows_nothing_but_the_current_before_and_the_holds_own(
    regulation: Literal["bounded", "current"], limit_A: float, voltage_V: float
) -> None:
    async with bench(Battery(3.7, 0.5), Options(regulation=regulation), sim_class=Peaks) as b:
        assert isinstance(b.sim, Peaks)
        for before, before_A in ((REST, 0.0), (CHARGE, 200e-6), (DISCHARGE, -200e-6)):
            await b.channel.apply(before)
            b.sim.lowest_A = b.sim.highest_A = 0.0
            await b.channel.apply(ConstantVoltage(voltage_V, limit_A))
            held_A = max(-limit_A, min(limit_A, (voltage_V - 3.7) / 0.5))
            low_A, high_A = min(0.0, before_A, held_A), max(0.0, before_A, held_A)
            smallest = next(one for one in (1e-6, 10e-6, 100e-6, 1e-3, 10e-3) if one >= limit_A)
            next_to_nothing_A = 3e-3 * smallest
            assert 1.02 * low_A - next_to_nothing_A <= b.sim.lowest_A
            assert b.sim.highest_A <= 1.02 * high_A + next_to_nothing_A
            settings = b.sim.smu.settings
            assert settings.protection["CURR"] == pytest.approx(limit_A)
            assert (settings.sense_range["CURR"], settings.sense_auto["CURR"]) == (smallest, False)


async def test_a_held_voltage_is_limited_before_the_output_goes_on() -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(4.1, 1e-3))
        told = b";".join(b.sent())
        last_on = told.rindex(b":OUTP ON")
        before_on = told[told.rindex(b"*CLS") : last_on]
        assert before_on.count(b":SENS:CURR:PROT ") == 2  # its range's, then next to nothing
        assert before_on.count(b":SENS:CURR:PROT?") == 2  # each read back
        assert told.index(b":SOUR:VOLT 4.1", last_on) < told.index(b":SENS:CURR:PROT 1.0", last_on)


@pytest.mark.parametrize(
    ("setpoint", "turned"),
    [
        (ConstantVoltage(3.702, 1e-3), b":SOUR:VOLT 3.71"),
        (ConstantVoltage(3.702, 1e-3), b":SENS:CURR:PROT 9e-4"),
        (CHARGE, b":SENS:CURR:PROT 3e-4"),
        (CHARGE, b":SOUR:VOLT 4.25"),
        (REST, b":SOUR:CURR 1e-7"),
        (REST, b":SENS:VOLT:PROT 19"),
    ],
)
async def test_a_level_or_limit_turned_at_the_panel_shows_in_the_next_reading(
    setpoint: Setpoint, turned: bytes
) -> None:
    async with bench() as b:
        await b.channel.apply(setpoint)
        await b.channel.read()
        b.sim.receive(turned + b"\n")
        with pytest.raises(BadReply, match="does not hold any more"):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="does not hold any more"):
            await b.instrument.resync()


async def test_a_digit_of_the_level_that_changed_on_the_way_is_a_bad_reply_and_no_hand_at_the_panel() -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(3.702, 1e-3))
        receive = b.sim.receive
        b.sim.receive = lambda data: receive(data).replace(b";3.702000E", b";3.802000E")  # type: ignore[method-assign]
        with pytest.raises(BadReply, match="does not hold any more"):
            await b.channel.read()
        del b.sim.receive
        await b.instrument.resync()
        assert (await b.channel.read()).voltage_V == pytest.approx(3.702, abs=0.002)


async def test_resync_in_a_hold_finds_another_voltage() -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(3.702, 1e-3))
        await b.instrument.resync()
        b.sim.receive(b":SOUR:VOLT 3.75\n")
        with pytest.raises(DeviceFault, match=":SOUR:VOLT"):
            await b.instrument.resync()


async def test_a_cell_beyond_the_edge_is_not_driven_the_wrong_way() -> None:
    async with bench(Battery(4.3, 50.0)) as b:
        with pytest.raises(DeviceFault, match="beyond the window's edge"):
            await b.channel.apply(CHARGE)
        assert b.is_off()


async def test_a_cell_above_what_the_instrument_can_hold_is_left_alone(provokes: Provokes) -> None:
    provokes("a cell beyond the voltage limit")
    async with bench(Battery(25.0, 50.0)) as b:
        with pytest.raises(InstrumentError, match=r"overflow|the cell is above"):  # what the instrument sinks is open
            await b.channel.apply(REST)
        assert b.is_off()


@pytest.mark.parametrize(
    "setpoint",
    [
        ConstantCurrent(2.0, WINDOW_V),
        ConstantCurrent(float("nan"), WINDOW_V),
        ConstantCurrent(1e-4, (2.5, float("inf"))),
        ConstantCurrent(1e-4, (4.2, 2.5)),
        ConstantCurrent(1e-4, (0.0, 30.0)),
        ConstantVoltage(float("nan"), 1e-3),
        ConstantVoltage(3.7, 0.0),
    ],
)
async def test_what_cannot_be_set_is_refused_and_nothing_stays_on(
    setpoint: ConstantCurrent | ConstantVoltage,
) -> None:
    async with bench() as b:
        with pytest.raises(DeviceFault):
            await b.channel.apply(setpoint)
        assert b.is_off()


async def test_off_is_blind_and_says_so_without_asking() -> None:
    async with bench() as b:
        with pytest.raises(DeviceFault, match="cannot see the cell"):
            await b.channel.read()


async def test_one_reading_is_one_exchange() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        await b.channel.read()
        assert b.sent()[before:] == [b":READ?;:FETC?;:SOUR:VOLT?;:SENS:CURR:PROT?"]


class Stubborn(Keithley2400):
    """Takes every command but one."""

    ignored = b":SOUR:VOLT 2.5"

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(self.ignored, b":SOUR:VOLT 2.6"))


class DeafToRanges(Keithley2400):
    """Each range stays automatic, and may be the one that was wanted: it follows the level."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(re.sub(rb":(SOUR|SENS):(VOLT|CURR):RANG [^;\r\n]*", b"", data))


@pytest.mark.parametrize("setpoint", [REST, CHARGE, ConstantVoltage(3.8, 200e-6)])
async def test_nothing_goes_on_while_a_range_is_still_automatic(setpoint: Setpoint) -> None:
    async with bench(sim_class=DeafToRanges) as b:
        with suppress(DeviceFault):
            await b.channel.apply(setpoint)
        settings, limited = b.sim.smu.settings, b.sim.smu.settings.limited
        automatic = settings.source_auto[settings.source] or settings.sense_auto[limited]
        assert not (settings.output and automatic)


async def test_a_setting_that_was_not_taken_is_found_by_reading_back() -> None:
    async with bench(sim_class=Stubborn) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r":SOUR:VOLT 2.5.* was not taken: the instrument answers"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


async def test_a_reading_in_single_bytes_is_whole() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("split", b":READ?")
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_an_output_switched_off_at_the_front_panel_is_a_fault_after_resync() -> None:
    async with bench(timeout_s=HASTY_S) as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":OUTP OFF\n")
        with pytest.raises(
            (BadReply, LinkTimeout)
        ):  # it refuses to measure, and tells an earlier reading if it has one
            await b.channel.read()
        with pytest.raises(DeviceFault, match="is off, but not by us"):
            await b.instrument.resync()
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_a_rebooted_instrument_is_found_and_never_just_switched_on() -> None:
    async with bench(timeout_s=HASTY_S) as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot", b":READ?")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.instrument.resync()
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b";".join(b.sent()[before:])
        assert told.index(b":OUTP:SMOD HIMP") < told.index(b":SYST:RSEN 1") < told.index(b":OUTP ON")


async def test_a_reset_that_was_switched_on_again_shows_in_the_next_reading(provokes: Provokes) -> None:
    provokes("charge while off", "off, but still connected", "on in two wires")
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b'*RST\n:FORM:ELEM VOLT,CURR,STAT\n:SENS:FUNC "VOLT","CURR"\n:OUTP ON\n')
        with pytest.raises(BadReply, match="another source or sense"):
            await b.channel.read()


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench() as b:
        b.sim.smu.identity = b.sim.smu.identity.replace("1000001", "7654321")
        with pytest.raises(DeviceFault, match="7654321"):
            await b.instrument.resync()
