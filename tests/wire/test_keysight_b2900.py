"""The real driver on the real wire: simulated B2901, B2902, B2911 and B2912 behind their LAN socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from judged import Provokes

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keysight_b2900 import DRIVER
from drivers.keysight_b2900_output import Options
from drivers.keysight_b2900_ratings import SPECS
from drivers.keysight_b2900_settings import Drive, parse_identity, parse_reading, rest_drive
from drivers.keysight_b2900_wire import safe_off
from sim_hardware.faults import Instrument as Simulated
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.keysightb2900_box import TRIPPED
from sim_hardware.keysightb2900_models import FAMILY
from sim_hardware.loads import Battery, Load
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
REST = Rest(WINDOW_V)
WIRE = replace(DRIVER.link, timeout_s=0.2)  # the simulated instrument answers at once, but this machine may be busy
MODELS = pytest.mark.parametrize("model", FAMILY)
OFF_1 = b":OUTP1 OFF;:OUTP1:OFF:MODE HIZ;:OUTP1 OFF;:OUTP1:ON:AUTO OFF"
OFF_2 = OFF_1.replace(b"OUTP1", b"OUTP2")


@dataclass(frozen=True, slots=True)
class Bench:
    sim: KeysightB2900
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

    def is_off(self, number: int = 1) -> bool:
        channel = self.sim.box.channels[number]
        apart = channel.settings.off_mode == "HIZ" and not channel.truth(0.0)["relay_closed"]
        return apart and not channel.output


def two_cells(
    sim_class: type[KeysightB2900] = KeysightB2900, load: Load | None = None, model: str = "B2902A"
) -> KeysightB2900:
    return sim_class(load or Battery(3.7, 50.0), SystemClock().now, model=model, second=Battery(3.4, 40.0))


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
    model: str = "B2902A",
    sim_class: type[KeysightB2900] = KeysightB2900,
    abuse: tuple[str, ...] | None = (),
) -> AsyncGenerator[Bench]:
    """When left, the host has done nothing to the cells but ``abuse``; None where the test itself did."""
    sim = two_cells(sim_class, load, model)
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, SystemClock()) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument)
    assert abuse is None or sim.truth()["abuse"] == abuse


BOUNDED, CURRENT = Options(), Options(regulation="current")


async def test_a_charge_a_rest_and_a_discharge_say_what_flows_and_how() -> None:
    async with bench() as b:
        assert await b.channel.apply(CHARGE) is True
        charging = await b.channel.read()
        assert charging.current_A == pytest.approx(200e-6, rel=0.005)
        assert charging.flags == {Flag.COMPLIANCE, Flag.FOUR_WIRE}
        await b.channel.apply(REST)
        resting = await b.channel.read()
        assert abs(resting.current_A) < 2e-9
        assert resting.voltage_V == pytest.approx(3.7, abs=0.01)
        await b.channel.apply(DISCHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(-200e-6, rel=0.005)
        await b.channel.turn_off()
        assert b.is_off()


@MODELS
async def test_every_setpoint_runs_on_every_output_of_every_model(model: str) -> None:
    async with bench(model=model) as b:
        assert b.instrument.identity.model == model
        assert len(b.instrument.channels) == int(model[4])
        for channel in b.instrument.channels.values():
            for setpoint in (REST, CHARGE, ConstantVoltage(3.5, 1e-3), DISCHARGE, REST):
                await channel.apply(setpoint)
                await channel.read()


async def test_connecting_says_off_before_anything_else_and_leaves_both_high_impedance() -> None:
    async with bench() as b:
        assert b.sent()[:2] == [OFF_1, OFF_2]
        assert b.is_off(1)
        assert b.is_off(2)
        assert (b.instrument.identity.serial, b.instrument.identity.firmware) == ("MY51140001", "3.4.2011.5100")


@pytest.mark.parametrize("left", ["ZERO", "NORM", "HIZ"])
async def test_outputs_found_on_are_off_when_connecting_returns(left: str, provokes: Provokes) -> None:
    provokes(
        "off, but still connected",
        "on for each reading only",
        "on in two wires",
        "on while a reading could switch it on",
    )
    sim = two_cells()
    sim.receive(f":OUTP:OFF:MODE {left};:OUTP2:OFF:MODE {left};:OUTP ON;:OUTP2 ON\n".encode())
    assert sim.box.channels[2].output
    async with wired(sim):
        assert sim.truth()["output_on"] is False
        assert sim.truth()["relay_closed"] is False


async def test_an_output_left_at_zero_volts_lets_go_of_its_cell() -> None:
    sim = two_cells()
    sim.receive(b":OUTP:OFF:MODE ZERO;:OUTP OFF\n")
    assert sim.truth()["relay_closed"] is True
    async with wired(sim):
        assert sim.truth()["relay_closed"] is False


async def test_nothing_on_the_wire_switches_an_output_on_but_outp_on() -> None:
    """By default readings do."""
    async with bench() as b:
        await b.channel.apply(CHARGE)
        told = b.sent()
        first_on = next(at for at, message in enumerate(told) if b":OUTP1 ON" in message)
        asked = [at for at, message in enumerate(told) if b":MEAS?" in message or b":READ?" in message]
        disarmed = next(at for at, message in enumerate(told) if b":OUTP1:ON:AUTO 0" in message)
        assert disarmed < first_on < asked[0]


async def test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        settings = b.sim.first.settings
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


async def test_a_change_of_direction_keeps_the_switch_closed() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        assert await b.channel.apply(DISCHARGE) is False
        assert await b.channel.apply(ConstantCurrent(-150e-6, WINDOW_V)) is False
        assert not [message for message in b.sent()[before:] if b"OFF;" in message or message.endswith(b" ON")]


@pytest.mark.parametrize(("first_A", "then_A", "first_told"), [(200e-6, -500e-6, ":SOUR"), (-500e-6, 200e-6, "PROT")])
async def test_neither_of_two_currents_is_exceeded_between_them(first_A: float, then_A: float, first_told: str) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantCurrent(first_A, WINDOW_V))
        before = len(b.sent())
        assert await b.channel.apply(ConstantCurrent(then_A, WINDOW_V)) is False
        told = next(message for message in b.sent()[before:] if b"?" not in message and message != b"*CLS").decode()
        at = {"PROT": told.index(":SENS1:CURR:PROT "), ":SOUR": told.index(":SOUR1:VOLT ")}
        assert min(at, key=lambda name: at[name]) == first_told  # the smaller limit first, the larger one last


class Watched(KeysightB2900):
    """Knows what the cell carried just after each switching on."""

    at_once_A: tuple[float, ...] = ()

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":OUTP1 ON" in data:
            self.at_once_A += (self.first.terminals.cell_operating().current_A,)
        return reply


@pytest.mark.parametrize("later", [ConstantCurrent(-5e-3, WINDOW_V), ConstantCurrent(5e-3, WINDOW_V)])
async def test_switching_on_pushes_next_to_no_current_through_a_cell_that_relaxed_meanwhile(
    later: ConstantCurrent,
) -> None:
    async with bench(Battery(3.7, 500.0), sim_class=Watched) as b:
        await b.channel.apply(CHARGE)  # at 3.8 V under load, 3.7 V without
        await b.channel.apply(later)
        assert isinstance(b.sim, Watched)
        # what is left are the offsets of source and meter of 2 mV each over 500 ohm
        assert max(abs(current_A) for current_A in b.sim.at_once_A) < 1e-5
        assert b.sim.first.settings.limit["CURR"] == pytest.approx(5e-3)


@pytest.mark.parametrize("current_A", [90e-6, 100e-6, 105e-6, 106e-6, 392.7e-6, 5e-3, 0.9, 1e-6])
async def test_every_current_is_reached_from_every_range_on_one_fixed_range(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1)) as b:
        for amperes in (current_A, -0.8, current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.02)
        settings = b.sim.first.settings
        assert not settings.sense_auto["CURR"]
        assert not settings.source_auto["VOLT"]


async def test_a_current_source_is_chosen_only_on_request_and_its_limit_lies_beyond_the_window() -> None:
    async with bench(options=Options(regulation="current")) as b:
        await b.channel.apply(DISCHARGE)
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(-200e-6, rel=0.005)
        assert Flag.COMPLIANCE not in reading.flags
        settings = b.sim.first.settings
        assert settings.source == "CURR"
        assert settings.limit["VOLT"] > WINDOW_V[1]
        assert b.channel.ratings.protection == "C"
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.005)


async def test_a_current_source_that_would_put_0_V_on_the_cell_when_switched_off_is_refused() -> None:
    async with bench(options=Options(regulation="current")) as b:
        assert b.channel.ratings.current_A == 0.1
        with pytest.raises(DeviceFault, match=r"up to 0\.1 A so regulated"):
            await b.channel.apply(ConstantCurrent(0.2, WINDOW_V))
        assert b.is_off()


async def test_bounded_is_class_b_and_says_why() -> None:
    async with bench(model="B2901A") as b:
        assert DRIVER.ratings is not None
        assert DRIVER.ratings(Options()) == b.channel.ratings
        assert DRIVER.status == "experimental"
        assert b.channel.ratings.protection == "B"
        assert "watchdog" in b.channel.ratings.protection_why
        assert "leak" in b.channel.ratings.rest


def test_only_the_finer_models_have_a_range_of_10_nA() -> None:
    assert set(SPECS) == set(FAMILY)
    assert {model for model, spec in SPECS.items() if spec[0][0] == 10e-9} == {"B2911A", "B2912A", "B2911B", "B2912B"}


@pytest.mark.parametrize(("voltage_V", "current_A"), [(3.702, 4e-5), (3.698, -4e-5), (4.1, 1e-3), (3.0, -1e-3)])
async def test_a_voltage_is_held_and_its_current_never_passes_the_limit(voltage_V: float, current_A: float) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(voltage_V, 1e-3))
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(current_A, abs=5e-5)
        assert (Flag.COMPLIANCE in reading.flags) is (abs(current_A) == 1e-3)


async def test_a_hold_after_a_charge_with_the_same_limit_keeps_the_switch_closed() -> None:
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
        ConstantVoltage(3.7, 1e-10),
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


async def test_one_reading_is_one_exchange_and_begins_by_forbidding_itself_to_switch_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        before = len(b.sent())
        await b.channel.read()
        (message,) = b.sent()[before:]
        assert message.startswith(b":OUTP1:ON:AUTO 0;")


@pytest.mark.parametrize("name", ["B2901BL", "B2961A", "E36312A"])
async def test_a_sibling_this_driver_does_not_know_is_refused(name: str) -> None:
    sim = two_cells()
    sim.identity = sim.identity.replace("B2902A", name)
    with pytest.raises(DeviceFault, match="not one of B2901A"):
        async with wired(sim):
            pass


async def test_a_2400_at_the_address_is_refused_by_name() -> None:
    with pytest.raises(DeviceFault, match="MODEL 2400"):
        async with wired(Keithley2400(Battery(3.7, 50.0), SystemClock().now)):
            pass


@pytest.mark.parametrize("maker", ["Keysight Technologies", "Agilent Technologies", "AGILENT TECHNOLOGIES"])
def test_an_observed_identity_is_understood(maker: str) -> None:
    identity = parse_identity(f"{maker},B2902A,MY51143745,3.4.2011.5100")
    assert (identity.model, identity.serial, identity.firmware) == ("B2902A", "MY51143745", "3.4.2011.5100")


@pytest.mark.parametrize(
    ("model", "kind"), [("B2901A", ""), ("B2902A", ""), ("B2901A", "delay"), ("B2902A", "drop"), ("B2902A", "garble")]
)
async def test_safe_off_needs_no_connection_state_and_switches_every_output_off(
    model: str, kind: str, provokes: Provokes
) -> None:
    provokes(
        "off, but still connected",
        "on for each reading only",
        "on in two wires",
        "on while a reading could switch it on",
    )
    clock = SystemClock()
    sim = two_cells(model=model)
    sim.receive(b":OUTP ON\n:OUTP2 ON\n")
    line = Line(sim)
    async with serve_tcp(line) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        if kind:
            line.inject(LineFault(kind, 1, b"?", 0.3))
        assert DRIVER.safe_off is not None
        await DRIVER.safe_off(link)
        assert sim.truth()["output_on"] is False
        assert sim.truth()["relay_closed"] is False
        assert b":ABOR (@1)" in [message for _, message in sim.log]


async def test_safe_off_claims_nothing_of_what_cannot_be_asked(provokes: Provokes) -> None:
    provokes(
        "off, but still connected",
        "on for each reading only",
        "on in two wires",
        "on while a reading could switch it on",
    )
    clock = SystemClock()
    sim = two_cells()
    sim.receive(b":OUTP2 ON\n")
    sim.set_fault("welded", value=True)
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        with pytest.raises(DeviceFault, match=r"output 1 .* could not .*; output 2 .* could not be confirmed off"):
            await safe_off(link)


LEFT = (
    b":SENS:FUNC:OFF:ALL",
    b":SENS:RES:MODE AUTO",
    b":SOUR:VOLT:MODE SWE;:SOUR:CURR:MODE LIST",
    b":SOUR:FUNC:SHAP PULS",
    b":FORM:ELEM:SENS TIME",
    b":OUTP:PROT ON",
    b":OUTP:OFF:AUTO ON;:OUTP:ON:AUTO ON",
    b":SOUR:FUNC:MODE CURR;:SOUR:CURR:RANG 1;:SOUR:CURR 0.5;:SENS:VOLT:RANG 0.2;:SENS:VOLT:PROT 0.1",
    b":SOUR:VOLT:RANG 200;:SOUR:VOLT 150;:SENS:CURR:RANG 0.1",
    b":SOUR:VOLT 5;:SENS:CURR:PROT 3",
)


@pytest.mark.parametrize("left", LEFT)
async def test_what_someone_set_before_changes_nothing(left: bytes) -> None:
    sim = two_cells()
    sim.receive(left + b"\n")
    assert len(sim.box.errors) == 0
    async with wired(sim) as instrument:
        channel = instrument.channels["1"]
        for setpoint, current_A in ((REST, 0.0), (CHARGE, 200e-6)):
            await channel.apply(setpoint)
            reading = await channel.read()
            assert reading.current_A == pytest.approx(current_A, rel=0.02, abs=2e-9)
            assert reading.voltage_V == pytest.approx(3.7, abs=0.02)
    assert sim.truth()["abuse"] == ()


@pytest.mark.parametrize(
    "act",
    [b":OUTP OFF", b":SENS:REM OFF", b":SOUR:VOLT 3.9", b":FORM:ELEM:SENS VOLT,CURR", b':SENS:FUNC:OFF "CURR"'],
)
async def test_what_someone_does_meanwhile_shows_in_the_next_reading(act: bytes) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(act + b"\n")
        with pytest.raises(InstrumentError, match=r"not by us|another source or level|not VOLT,CURR|not measured"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_a_limit_that_somebody_turned_ends_the_run_with_the_next_reading() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":SENS:CURR:PROT 9e-4\n")
        with pytest.raises(DeviceFault, match="does not hold any more"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


@pytest.mark.parametrize("fault", [("output", False), ("trip", True)])
async def test_an_output_that_went_off_by_itself_is_found_and_goes_on_only_when_told(fault: tuple[str, bool]) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault(*fault)
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="is off, but not by us: front panel, protection"):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="cannot see the cell"):
            await b.channel.read()
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_a_trip_is_told_with_the_instruments_own_words() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("trip", value=True)
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="over temperature"):
            await b.channel.read()


async def test_one_output_that_went_off_is_no_fault_of_the_other() -> None:
    async with bench() as b:
        other = b.instrument.channels["2"]
        await b.channel.apply(CHARGE)
        await other.apply(CHARGE)
        b.sim.box.channels[2].press(on=False)
        await b.instrument.resync()
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)
        b.sim.box.fail(TRIPPED)  # what the other output has to complain of stands in the one queue
        await b.channel.apply(ConstantCurrent(300e-6, WINDOW_V))
        assert (await b.channel.read()).current_A == pytest.approx(300e-6, rel=0.02)
        with pytest.raises(DeviceFault, match=r"output 2 .* is off, but not by us"):
            await other.read()


async def test_the_protection_that_shorts_first_is_off_whenever_an_output_is_on() -> None:
    async with bench() as b:
        b.sim.receive(b":OUTP:PROT ON;:OUTP2:PROT ON\n")
        await b.channel.apply(CHARGE)
        assert not b.sim.first.settings.protection
        b.sim.receive(b":OUTP:PROT ON\n")  # someone else, at the limit
        with pytest.raises(DeviceFault, match="not by us: front panel, protection"):
            await b.channel.read()


async def test_a_rebooted_instrument_is_found_and_no_reading_ever_switches_it_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.power_cycle()  # and it would switch itself on for the next reading
        with pytest.raises(DeviceFault, match="power failure"):
            await b.channel.read()
        assert b.is_off() or not b.sim.truth()["output_on"]
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b";".join(b.sent()[before:])
        off, sense, on = (told.index(part) for part in (b":OUTP1:OFF:MODE HIZ", b":SENS1:REM 1", b":OUTP1 ON"))
        assert off < sense < on


async def test_a_reboot_that_swallows_a_reading_is_found_by_the_next() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot", b":MEAS?")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.channel.read()


async def test_a_reset_that_was_switched_on_again_shows_in_the_next_reading(provokes: Provokes) -> None:
    provokes(
        "0 V on the cell on its way off",
        "off, but still connected",
        "on for each reading only",
        "on in two wires",
        "on while a reading could switch it on",
    )
    async with bench(abuse=None) as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b"*RST\n:OUTP ON\n")
        with pytest.raises(BadReply, match=r"not VOLT,CURR,STAT,SOUR|another source or level"):
            await b.channel.read()


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench() as b:
        b.sim.identity = b.sim.identity.replace("MY51140001", "MY51149999")
        with pytest.raises(DeviceFault, match="MY51149999"):
            await b.instrument.resync()


class Stubborn(KeysightB2900):
    """Takes every command but one."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b":SOUR1:VOLT 2.5", b":SOUR1:VOLT 2.6"))


async def test_a_setting_that_was_not_taken_is_found_by_reading_back() -> None:
    async with bench(sim_class=Stubborn) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r":SOUR1:VOLT 2.5.* was not taken: the instrument answers"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


PART = "+3.700123E+00,-1.234567E-09,+1.000000E+00,+0.000000E+00"
WHOLE = f"1;CURR;1;+2.000000E+01;{PART};{PART};+2.000000E+01;1".encode()


def test_no_lost_or_changed_byte_of_a_reading_goes_unseen() -> None:
    assert parse_reading(WHOLE, rest_drive(1)).voltage_V == 3.700123
    for at in range(len(WHOLE)):
        mangled = {
            WHOLE[:at] + WHOLE[at + 1 :],
            *(WHOLE[:at] + bytes([WHOLE[at] ^ 1 << b]) + WHOLE[at + 1 :] for b in range(7)),
        }
        for raw in mangled:
            with pytest.raises(BadReply):
                parse_reading(raw, rest_drive(1))


@pytest.mark.parametrize(
    ("good", "bad", "why"),
    [
        ("1;CURR;1", "1;VOLT;1", "another source"),
        ("1;CURR;1", "1;CURR;0", "two wires"),
        ("+1.000000E+00", "+0.000000E+00", "another source"),
        ("+1.000000E+00", "+3.300000E+01", "too hot"),
        ("+1.000000E+00", "+8.193000E+03", "overflow"),
        ("+3.700123E+00", "+9.910000E+37", "not measured"),
        ("+3.700123E+00", "-9.900000E+37", "overflow"),
        (",+0.000000E+00", ",+1.000000E-07", "another source or level"),
    ],
)
def test_a_reading_in_doubt_is_an_error_never_a_number(good: str, bad: str, why: str) -> None:
    with pytest.raises(BadReply, match=why):
        parse_reading(WHOLE.decode().replace(good, bad).encode(), rest_drive(1))


@pytest.mark.parametrize(
    ("status", "flags"), [("+2", {"compliance"}), ("4", {"compliance"}), ("+2.400000E+01", {"ovp"})]
)
def test_every_sign_of_the_limit_is_a_flag_however_it_is_spelled(status: str, flags: set[str]) -> None:
    part = f"+3.700123E+00,+1.234567E-04,{status},+4.200000E+00"
    drive = Drive(1, "VOLT", 20.0, 1e-3, 4.2, 2e-4)
    assert parse_reading(f"1;VOLT;1;+2.000000E-04;{part};{part};+2.000000E-04;1".encode(), drive).flags == {
        *flags,
        "four_wire",
    }


async def test_a_full_error_queue_of_others_stops_nothing_and_is_gone() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b":NONSENSE\n" * 120)
        await b.channel.apply(DISCHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(DISCHARGE.current_A, rel=0.02)
        assert len(b.sim.box.errors) == 0


class Refusing(KeysightB2900):
    """Complains of every change of a level, however right it is."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data) + super().receive(b":NONSENSE\n" * (b":SOUR1:VOLT 2.5" in data))


async def test_a_setting_that_is_complained_of_is_refused_with_the_instruments_own_words() -> None:
    async with bench(sim_class=Refusing) as b:
        with pytest.raises(DeviceFault, match="refuses; it reports -113"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


async def test_both_outputs_run_at_once_and_one_goes_off_while_the_other_is_being_set() -> None:
    async with bench() as b:
        one, two = b.instrument.channels["1"], b.instrument.channels["2"]
        await asyncio.gather(one.apply(CHARGE), two.apply(DISCHARGE))
        first, second = await asyncio.gather(one.read(), two.read())
        assert first.current_A == pytest.approx(200e-6, rel=0.02)
        assert second.current_A == pytest.approx(-200e-6, rel=0.02)
        await asyncio.gather(one.apply(REST), two.turn_off())
        assert b.is_off(2)
        assert (await one.read()).voltage_V == pytest.approx(3.7, abs=0.01)


async def test_one_output_refused_leaves_the_other_running() -> None:
    async with bench() as b:
        one, two = b.instrument.channels["1"], b.instrument.channels["2"]
        await one.apply(CHARGE)
        with pytest.raises(DeviceFault):
            await two.apply(ConstantCurrent(5.0, WINDOW_V))
        assert b.is_off(2)
        assert (await one.read()).current_A == pytest.approx(200e-6, rel=0.02)
        await b.instrument.resync()
