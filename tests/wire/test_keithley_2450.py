"""The real driver on the real wire: a simulated 2450 (2460, 2461, 2470) behind its LAN socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest
from judged import Provokes

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout, NotAsLeft
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keithley_2450 import DRIVER, Options
from drivers.keithley_2450_settings import parse_identity, parse_reading, rest_drive
from drivers.keithley_2450_wire import safe_off
from sim_hardware.faults import Instrument as Simulated
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2450_models import FAMILY
from sim_hardware.loads import Battery, Load
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
REST = Rest(WINDOW_V)
WIRE = replace(DRIVER.link, timeout_s=0.2)  # the simulated instrument answers at once, but this machine may be busy
MODELS = pytest.mark.parametrize("model", FAMILY)


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Keithley2450
    line: Line
    link: Link
    instrument: Instrument

    @property
    def channel(self) -> Channel:
        return self.instrument.channels["1"]

    def sent(self) -> list[bytes]:
        return [message for _, message in self.sim.log]

    def inject(self, kind: str, match: bytes = b"", count: int | None = 1, seconds: float = 0.0) -> None:
        self.line.inject(LineFault(kind, count, match, seconds))

    def is_off(self) -> bool:
        settings = self.sim.smu.settings
        return not settings.output and set(settings.off_mode.values()) == {"HIMP"}


@asynccontextmanager
async def wired(sim: Simulated, options: Options | None = None) -> AsyncGenerator[Instrument]:
    clock = SystemClock()
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield instrument


@asynccontextmanager
async def bench(
    load: Load | None = None,
    options: Options | None = None,
    *,
    model: str = "2450",
    sim_class: type[Keithley2450] = Keithley2450,
    abuse: tuple[str, ...] | None = (),
) -> AsyncGenerator[Bench]:
    """When left, the host has done nothing to the cell but ``abuse``; None where the test itself did."""
    clock = SystemClock()
    sim = sim_class(load or Battery(3.7, 50.0), clock.now, model=model)
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument)
    assert abuse is None or sim.truth()["abuse"] == abuse


async def test_a_charge_a_rest_and_a_discharge_say_what_flows_and_how() -> None:
    async with bench() as b:
        assert await b.channel.apply(CHARGE) is True
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


@MODELS
async def test_every_setpoint_runs_on_every_model(model: str) -> None:
    async with bench(model=model) as b:
        assert b.instrument.identity.model == model
        for setpoint in (REST, CHARGE, ConstantVoltage(3.702, 1e-3), DISCHARGE, REST):
            await b.channel.apply(setpoint)
            await b.channel.read()


async def test_connecting_says_off_before_anything_else_and_leaves_it_high_impedance() -> None:
    async with bench() as b:
        assert b.sent()[0] == b":OUTP OFF;:OUTP:SMOD HIMP"
        assert b.is_off()
        assert b.instrument.identity.serial == "04024567"
        assert b.instrument.identity.firmware == "1.7.12b"


async def test_an_output_found_on_is_off_when_connecting_returns(provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    sim = Keithley2450(Battery(3.7, 50.0), SystemClock().now)
    sim.receive(b":SOUR:VOLT 4\n:OUTP ON\n")
    assert sim.smu.settings.output
    async with wired(sim):
        assert not sim.smu.settings.output
        assert sim.truth()["relay_closed"] is False


async def test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        settings = b.sim.smu.settings
        assert (settings.source, settings.level["VOLT"]) == ("VOLT", 4.2)
        assert settings.limit["CURR"] == pytest.approx(200e-6)
        await b.channel.apply(DISCHARGE)
        assert settings.level["VOLT"] == 2.5


async def test_without_the_host_a_bounded_cell_never_leaves_its_window() -> None:
    async with bench(Battery(4.0, 10.0, slope_V_per_C=5000.0)) as b:
        await b.channel.apply(CHARGE)
        async with asyncio.timeout(10):
            while abs(float(str(b.sim.truth()["current_A"]))) > 20e-6:
                await b.channel.read()
        assert (await b.channel.read()).voltage_V == pytest.approx(4.2, abs=0.01)


async def test_a_change_of_direction_keeps_the_relay_closed() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        assert await b.channel.apply(DISCHARGE) is False
        assert await b.channel.apply(ConstantCurrent(-150e-6, WINDOW_V)) is False
        assert not [message for message in b.sent()[before:] if b"OUTP" in message]


@pytest.mark.parametrize(("first_A", "then_A", "first_told"), [(200e-6, -500e-6, ":SOUR"), (-500e-6, 200e-6, "ILIM")])
async def test_neither_of_two_currents_is_exceeded_between_them(first_A: float, then_A: float, first_told: str) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantCurrent(first_A, WINDOW_V))
        before = len(b.sent())
        assert await b.channel.apply(ConstantCurrent(then_A, WINDOW_V)) is False
        told = next(message for message in b.sent()[before:] if b"?" not in message).decode()
        at = {"ILIM": told.index(":SOUR:VOLT:ILIM "), ":SOUR": told.index(":SOUR:VOLT ")}
        assert min(at, key=lambda name: at[name]) == first_told  # the smaller limit first, the larger one last


class Watched(Keithley2450):
    """Knows what the cell carried just after each switching on."""

    at_once_A: tuple[float, ...] = ()

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":OUTP ON" in data:
            self.at_once_A += (self.smu.terminals.cell_operating().current_A,)
        return reply


@pytest.mark.parametrize("later", [ConstantCurrent(-5e-3, WINDOW_V), ConstantCurrent(5e-3, WINDOW_V)])
async def test_switching_on_pushes_next_to_no_current_through_a_cell_that_relaxed_meanwhile(
    later: ConstantCurrent,
) -> None:
    async with bench(Battery(3.7, 500.0), sim_class=Watched) as b:
        await b.channel.apply(CHARGE)  # at 3.8 V under load, 3.7 V without
        await b.channel.apply(later)
        assert isinstance(b.sim, Watched)
        # what is left is the voltage source's own offset of 1 mV over 500 ohm
        assert max(abs(current_A) for current_A in b.sim.at_once_A) < 5e-6
        assert b.sim.smu.settings.limit["CURR"] == pytest.approx(5e-3)


class Jumping(Watched):
    """Its cell falls by 0.3 V in the moment before a voltage source goes on."""

    def receive(self, data: bytes) -> bytes:
        if b":OUTP ON" in data and self.smu.settings.source == "VOLT":
            self.smu.terminals.load = Battery(3.4, 50.0)
        return super().receive(data)


async def test_a_voltage_goes_on_with_as_little_current_as_the_range_allows() -> None:
    async with bench(sim_class=Jumping) as b:
        await b.channel.apply(ConstantCurrent(5e-3, WINDOW_V))
        assert isinstance(b.sim, Jumping)
        assert b.sim.at_once_A[-1] == pytest.approx(1.1e-3, rel=0.01)  # 11 % of the range, where 6 mA might flow
        assert (await b.channel.read()).current_A == pytest.approx(5e-3, rel=0.01)


@pytest.mark.parametrize("deaf_to", [b"SOUR", b"SENS"])
@pytest.mark.parametrize("setpoint", [REST, CHARGE, ConstantVoltage(3.8, 200e-6)])
async def test_nothing_goes_on_while_a_range_is_still_automatic(setpoint: Setpoint, deaf_to: bytes) -> None:
    """It may be the one that was wanted, for it follows the level."""

    class Deaf(Keithley2450):
        def receive(self, data: bytes) -> bytes:
            return super().receive(re.sub(rb":%b:(VOLT|CURR):RANG [^;\r\n]*" % deaf_to, b"", data))

    async with bench(sim_class=Deaf) as b:
        with suppress(DeviceFault):
            await b.channel.apply(setpoint)
        settings = b.sim.smu.settings
        source, measured = settings.source, "VOLT" if settings.source == "CURR" else "CURR"
        assert not (settings.output and (settings.source_auto[source] or settings.sense_auto[measured]))


@pytest.mark.parametrize("current_A", [90e-6, 100e-6, 103e-6, 392.7e-6, 5e-3, 0.9, 1e-6])
async def test_every_current_is_reached_from_every_range_on_one_fixed_range(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1)) as b:
        for amperes in (current_A, -0.8, current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.05)
        assert not b.sim.smu.settings.sense_auto["CURR"]


async def test_a_current_that_falls_between_two_ranges_is_refused_with_the_numbers() -> None:
    async with bench() as b:
        with pytest.raises(DeviceFault, match=r"0\.000105 A falls between two ranges: 0\.000107 A is the least"):
            await b.channel.apply(ConstantCurrent(105e-6, WINDOW_V))
        assert b.is_off()
    async with bench(options=Options(regulation="current")) as b:
        await b.channel.apply(ConstantCurrent(105e-6, WINDOW_V))
        assert (await b.channel.read()).current_A == pytest.approx(105e-6, rel=0.01)


async def test_a_current_source_is_chosen_only_on_request_and_its_limit_lies_beyond_the_window() -> None:
    async with bench(options=Options(regulation="current")) as b:
        await b.channel.apply(DISCHARGE)
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(-200e-6, rel=0.005)
        assert Flag.COMPLIANCE not in reading.flags
        settings = b.sim.smu.settings
        assert settings.source == "CURR"
        assert settings.limit["VOLT"] > WINDOW_V[1]
        assert settings.sense_range["VOLT"] >= settings.limit["VOLT"]
        assert b.channel.ratings.protection == "C"
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.005)


async def test_bounded_is_class_b_and_says_why() -> None:
    async with bench() as b:
        assert DRIVER.ratings is not None
        assert DRIVER.ratings(Options()) == b.channel.ratings
        assert DRIVER.status == "experimental"
        assert b.channel.ratings.protection == "B"
        assert "watchdog" in b.channel.ratings.protection_why
        assert "leak" in b.channel.ratings.rest


@pytest.mark.parametrize(("voltage_V", "current_A"), [(3.702, 4e-5), (3.698, -4e-5), (4.1, 1e-3), (3.0, -1e-3)])
async def test_a_voltage_is_held_and_its_current_never_passes_the_limit(voltage_V: float, current_A: float) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(voltage_V, 1e-3))
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(current_A, abs=3e-5)
        assert (Flag.COMPLIANCE in reading.flags) is (abs(current_A) == 1e-3)


async def test_a_hold_after_a_charge_with_the_same_limit_keeps_the_relay_closed() -> None:
    async with bench(Battery(4.0, 10.0, slope_V_per_C=5000.0)) as b:
        await b.channel.apply(CHARGE)
        assert await b.channel.apply(ConstantVoltage(4.2, 200e-6)) is False
        async with asyncio.timeout(10):
            while abs((await b.channel.read()).current_A) > 20e-6:
                pass
        assert (await b.channel.read()).voltage_V == pytest.approx(4.2, abs=0.01)


async def test_a_cell_beyond_the_edge_is_not_driven_the_wrong_way() -> None:
    async with bench(Battery(4.3, 50.0)) as b:
        with pytest.raises(DeviceFault, match="beyond the window's edge"):
            await b.channel.apply(CHARGE)
        assert b.is_off()


async def test_a_cell_above_what_the_instrument_can_hold_is_left_alone(provokes: Provokes) -> None:
    provokes("a cell beyond the voltage limit")
    async with bench(Battery(25.0, 50.0), abuse=("a cell beyond the voltage limit",)) as b:
        with pytest.raises(InstrumentError, match=r"overflow|the cell is above"):
            await b.channel.apply(REST)
        assert b.is_off()


async def test_an_open_lead_is_seen_at_0_A() -> None:
    async with bench() as b:
        b.sim.set_fault("lead", "open")
        with pytest.raises(InstrumentError, match=r"lead is open|overflow"):
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
        ConstantVoltage(3.7, float("inf")),
    ],
)
async def test_what_cannot_be_set_is_refused_and_nothing_stays_on(setpoint: Setpoint) -> None:
    async with bench() as b:
        with pytest.raises(DeviceFault):
            await b.channel.apply(setpoint)
        assert b.is_off()


async def test_off_is_blind_and_says_so_without_asking() -> None:
    async with bench() as b:
        before = len(b.sent())
        with pytest.raises(DeviceFault, match="cannot see the cell"):
            await b.channel.read()
        assert len(b.sent()) == before


async def test_one_reading_is_one_exchange() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        await b.channel.read()
        assert len(b.sent()) == before + 1


@pytest.mark.parametrize("language", ["TSP", "SCPI2400"])
async def test_another_command_set_is_refused_with_what_to_do(language: str) -> None:
    sim = Keithley2450(Battery(3.7, 50.0), SystemClock().now, language=language)
    sim.smu.settings.output = True
    with pytest.raises(DeviceFault, match=rf"command set {language}: choose SCPI .* \*LANG SCPI, and restart it"):
        async with wired(sim):
            pass
    assert not sim.smu.settings.output


@pytest.mark.parametrize("language", ["TSP", "SCPI2400"])
async def test_safe_off_never_claims_an_output_it_cannot_ask(language: str) -> None:
    clock = SystemClock()
    sim = Keithley2450(Battery(3.7, 50.0), clock.now, language=language)
    sim.smu.settings.output = True
    wire = replace(WIRE, timeout_s=0.1)
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, wire, clock) as link:
        with pytest.raises(DeviceFault, match=language):
            await safe_off(link)
    assert not sim.smu.settings.output


async def test_a_2400_at_the_address_is_refused_by_name() -> None:
    clock = SystemClock()
    wire = replace(WIRE, timeout_s=0.1)
    async with (
        serve_tcp(Line(Keithley2400(Battery(3.7, 50.0), clock.now))) as endpoint,
        open_link(endpoint.address, wire, clock) as link,
    ):
        with pytest.raises(DeviceFault, match="MODEL 2400"):
            async with DRIVER.connect(link, Options()):
                pass


async def test_a_sibling_this_driver_does_not_know_is_refused() -> None:
    sim = Keithley2450(Battery(3.7, 50.0), SystemClock().now)
    sim.identity = "KEITHLEY INSTRUMENTS,MODEL DMM6500,04024567,1.7.12b"
    with pytest.raises(BadReply, match="not a Keithley 2450"):
        async with wired(sim):
            pass


@pytest.mark.parametrize("maker", ["KEITHLEY INSTRUMENTS INC.", "KEITHLEY INSTRUMENTS"])
def test_the_manuals_identity_is_understood(maker: str) -> None:
    identity = parse_identity(f"{maker},MODEL 2450,01234567,1.0.0i")  # p. B-5
    assert (identity.model, identity.serial, identity.firmware) == ("2450", "01234567", "1.0.0i")


async def test_safe_off_needs_no_connection_state(provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2450(Battery(3.7, 50.0), clock.now)
    sim.receive(b":OUTP ON\n")
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        assert DRIVER.safe_off is not None
        await DRIVER.safe_off(link)
        assert sim.truth()["relay_closed"] is False
        assert b":ABOR" in [message for _, message in sim.log]


@pytest.mark.parametrize("kind", ["drop", "garble"])
async def test_safe_off_needs_no_answer_about_the_language(kind: str, provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2450(Battery(3.7, 50.0), clock.now)
    sim.receive(b":OUTP ON\n")
    line = Line(sim)
    async with serve_tcp(line) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        line.inject(LineFault(kind, 1, b"*LANG?"))
        await safe_off(link)
    assert sim.truth()["relay_closed"] is False


LEFT = (
    b':SENS:FUNC "RES"',
    b":SENS:VOLT:REL 1;:SENS:VOLT:REL:STAT ON",
    b":CALC:VOLT:MATH:STAT ON",
    b":SOUR:VOLT:READ:BACK OFF;:SOUR:CURR:READ:BACK OFF",
    b":ROUT:TERM REAR",
    b":SOUR:VOLT:PROT PROT2",  # below the cell
    b":FORM:ASC:PREC 3",
    b":SOUR:FUNC CURR;:SOUR:CURR:RANG 1;:SOUR:CURR 0.5;:SENS:VOLT:RANG 0.2",
    b":SOUR:VOLT:RANG 200;:SOUR:VOLT 150;:SENS:CURR:RANG 1",
)


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("setpoint", [REST, CHARGE])
async def test_what_someone_set_before_changes_nothing(left: bytes, setpoint: Setpoint) -> None:
    sim = Keithley2450(Battery(3.7, 50.0), SystemClock().now)
    sim.receive(left + b"\n")
    assert sim.smu.log.errors() == 0
    async with wired(sim) as instrument:
        channel = instrument.channels["1"]
        await channel.apply(setpoint)
        reading = await channel.read()
        assert reading.current_A == pytest.approx(0.0 if setpoint is REST else 200e-6, rel=0.02, abs=2e-9)
        assert reading.voltage_V == pytest.approx(3.7, abs=0.02)
    assert sim.truth()["abuse"] == ()


class Coupled(Keithley2450):
    """Each choice of a measure function chooses a voltage source: the manual only says that it may (2461 p. 2-100)."""

    def receive(self, data: bytes) -> bytes:
        told, separator, rest = data.partition(b";:SOUR:FUNC ")
        before, reply = self.smu.settings.measure, super().receive(told + b"\n" * bool(separator))
        settings = self.smu.settings
        if settings.measure != before:
            settings.source = "VOLT"
        return reply + (super().receive(separator + rest) if separator else b"")


async def test_a_measure_function_that_chooses_the_source_is_told_first() -> None:
    async with bench(sim_class=Coupled) as b:
        for setpoint in (CHARGE, REST, DISCHARGE):
            await b.channel.apply(setpoint)
            assert b.sim.smu.settings.source == ("CURR" if setpoint is REST else "VOLT")


@pytest.mark.parametrize("act", [b':SENS:FUNC "RES"', b":OUTP OFF", b":ROUT:TERM REAR", b":SENS:CURR:RSEN OFF"])
async def test_what_someone_does_at_the_front_panel_shows_in_the_next_reading(act: bytes) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(act + b"\n")
        with pytest.raises(InstrumentError, match=r"not by us|not two functions|another source"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


@pytest.mark.parametrize("act", [b":SOUR:VOLT 4.3", b":SOUR:VOLT:ILIM 9e-4", b":SOUR:VOLT 2.9"])
async def test_a_level_or_limit_that_somebody_turned_ends_the_run_with_the_next_reading(act: bytes) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(act + b"\n")
        with pytest.raises(DeviceFault, match="does not hold any more"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_a_reading_that_is_not_of_the_source_is_no_reading() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":SOUR:VOLT:READ:BACK OFF\n")
        with pytest.raises(BadReply, match="source not measured"):
            await b.channel.read()


async def test_an_output_switched_off_at_the_front_panel_is_found_by_resync_too() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("output", value=False)
        with pytest.raises(DeviceFault, match="is off, but not by us"):
            await b.instrument.resync()
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_a_setting_changed_at_the_front_panel_is_not_as_it_was_left() -> None:
    """As of a 2400: it pauses a run, and ends none."""
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":SENS:CURR:NPLC 2\n")
        with pytest.raises(NotAsLeft, match="does not hold any more"):
            await b.instrument.resync()


async def test_a_rebooted_instrument_is_found_and_never_just_switched_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot", b":READ?")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.instrument.resync()
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b";".join(b.sent()[before:])
        off, sense, on = (told.index(part) for part in (b":OUTP:SMOD HIMP", b":SENS:CURR:RSEN 1", b":OUTP ON"))
        assert off < sense < on


async def test_a_reset_that_was_switched_on_again_shows_in_the_next_reading(provokes: Provokes) -> None:
    provokes("charge while off", "off, but still connected", "on in two wires")
    async with bench(abuse=None) as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b"*RST\n:OUTP ON\n")
        with pytest.raises(BadReply, match=r"overflow|not in four wires"):
            await b.channel.read()


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench() as b:
        b.sim.identity = b.sim.identity.replace("04024567", "04099999")
        with pytest.raises(DeviceFault, match="04099999"):
            await b.instrument.resync()


class Stubborn(Keithley2450):
    """Takes every command but one."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b":SOUR:VOLT 2.5", b":SOUR:VOLT 2.6"))


async def test_a_setting_that_was_not_taken_is_found_by_reading_back() -> None:
    async with bench(sim_class=Stubborn) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r":SOUR:VOLT 2.5.* was not taken: the instrument answers"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


async def test_a_limit_that_a_range_raised_is_never_left_so() -> None:
    """The instrument's warning is in no error queue: only the limit itself, told last and read back, shows it."""
    async with bench() as b:
        await b.channel.apply(ConstantCurrent(9e-6, WINDOW_V))
        await b.channel.apply(ConstantCurrent(0.9, WINDOW_V))
        await b.channel.apply(ConstantCurrent(9e-6, WINDOW_V))
        assert b.sim.smu.settings.limit["CURR"] == pytest.approx(9e-6)


HELD = "0.000000E+00;2.000000E+01"


def test_no_lost_or_changed_byte_of_a_reading_goes_unseen() -> None:
    part = "-1.234567E-09,3.700123E+00,200,8"
    whole = f'CURR;"VOLT:DC";{HELD};{part},{part};{HELD}'.encode()
    assert parse_reading(whole, rest_drive(), "front").voltage_V == 3.700123
    for at in range(len(whole)):
        mangled = {
            whole[:at] + whole[at + 1 :],
            *(whole[:at] + bytes([whole[at] ^ 1 << b]) + whole[at + 1 :] for b in range(7)),
        }
        for raw in mangled:
            with pytest.raises(BadReply):
                parse_reading(raw, rest_drive(), "front")


@pytest.mark.parametrize("status", ["200,8", "2.000000E+02,8.000000E+00"])
def test_a_status_may_be_spelled_as_a_whole_number_or_not(status: str) -> None:
    part = f"-1.234567E-09,3.700123E+00,{status}"  # 2470 12-122 and 2461 6-162
    sample = parse_reading(f'CURR;"VOLT:DC";{HELD};{part},{part};{HELD}'.encode(), rest_drive(), "front")
    assert sample.flags == {Flag.FOUR_WIRE}
    assert sample.output_on


@pytest.mark.parametrize("status", ["200,0", "200,9", "216,8", "136,8", "192,8"])
def test_a_reading_of_another_wiring_or_in_doubt_is_an_error(status: str) -> None:
    """Rear terminals, questionable, too hot, two wires, source not measured."""
    part = f"-1.234567E-09,3.700123E+00,{status}"
    with pytest.raises(BadReply, match=r"questionable|not in four wires"):
        parse_reading(f'CURR;"VOLT:DC";{HELD};{part},{part};{HELD}'.encode(), rest_drive(), "front")


@pytest.mark.parametrize("functions", ['VOLT;"VOLT:DC"', 'VOLT;"CURR:DC"', 'CURR;"CURR:DC"'])
def test_a_reading_of_another_function_is_an_error(functions: str) -> None:
    part = "-1.234567E-09,3.700123E+00,200,8"
    with pytest.raises(BadReply, match="another source or measure function"):
        parse_reading(f"{functions};{HELD};{part},{part};{HELD}".encode(), rest_drive(), "front")


@pytest.mark.parametrize("value", ["9.900000E+37", "9.910000E+37", "-9.900000E+37"])
def test_an_overflow_is_an_error_never_a_number(value: str) -> None:
    part = f"{value},3.700123E+00,200,8"
    with pytest.raises(BadReply, match="overflow"):
        parse_reading(f'CURR;"VOLT:DC";{HELD};{part},{part};{HELD}'.encode(), rest_drive(), "front")


class Spelled(Keithley2450):
    """Answers *ESE? with the name before it, as an example in the manual does (p. B-3)."""

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        return b"*ESE " + reply if b"*ESE?" in data and reply else reply


async def test_the_manuals_other_spelling_of_a_register_is_in_step_too() -> None:
    async with bench(sim_class=Spelled) as b:
        await b.instrument.resync()


async def test_a_full_event_log_is_told_in_part_and_gone() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":NONSENSE\n" * 1200)
        with pytest.raises(DeviceFault, match="refuses; it reports -113"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        assert not [message for message in b.sent()[before:] if message == b":SYST:ERR?"]


async def test_resync_leaves_no_error_behind() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":NONSENSE\n" * 20)
        await b.instrument.resync()
        assert b.sim.smu.log.errors() == 0
