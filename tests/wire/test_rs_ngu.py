"""The real driver on the real wire: a simulated NGU201, NGU401 or NGM202 behind its LAN socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from judged import Provokes
from pydantic import ValidationError

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from cycler_ctl.testing.contract import Case, check_safe_off
from drivers.rs_ngu import DRIVER, Options
from drivers.rs_ngu_settings import SOURCE, Drive, parse_identity, parse_reading
from sim_hardware.circuit import VoltageSource
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery, Load
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
CHARGE_MA = ConstantCurrent(5e-3, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
BIG_CHARGE = ConstantCurrent(5e-3, WINDOW_V)
REST = Rest(WINDOW_V)
WIRE = replace(DRIVER.link, timeout_s=0.5)  # the simulated instrument answers at once, but this machine may be busy
NGUS = pytest.mark.parametrize("model", ["ngu201", "ngu401"])


@pytest.fixture(autouse=True)
def _fresh_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated instrument's readings are never old, so nobody waits for a newer one."""
    monkeypatch.setattr("drivers.rs_ngu_output.SETTLE_S", (0.01,))


@dataclass(frozen=True, slots=True)
class Bench:
    sim: RsNgu
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
        return not self.sim.truth()["output_on"]


@asynccontextmanager
async def bench(
    load: Load | None = None,
    options: Options | None = None,
    *,
    model: str = "ngu401",
    sim_class: type[RsNgu] = RsNgu,
    abuse: tuple[str, ...] | None = (),
) -> AsyncGenerator[Bench]:
    """When left, the host has done nothing to a cell but ``abuse``; None where the test itself did."""
    clock = SystemClock()
    sim = sim_class(load or Battery(3.7, 50.0), clock.now, model=model, second=Battery(3.3, 50.0))
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument)
    assert abuse is None or sim.truth()["abuse"] == abuse


async def test_safe_off_ends_what_somebody_left_on_an_ngm202() -> None:
    clock = SystemClock()
    sim = RsNgu(Battery(3.7, 5.0), clock.now, model="ngm202", second=Battery(3.3, 5.0))
    case = Case(Options(), current_A=20e-3, window_V=WINDOW_V)
    async with serve_tcp(Line(sim)) as endpoint:
        await check_safe_off(DRIVER, lambda: open_link(endpoint.address, WIRE, clock), case)
    assert not sim.truth()["output_on"]


@pytest.mark.parametrize(
    ("setpoint", "driven"),
    [
        (CHARGE, VoltageSource(3.6, 1e-3)),  # the cell is discharged while it is to be charged
        (DISCHARGE, VoltageSource(3.8, 1e-3)),
        (CHARGE, VoltageSource(4.2, 900e-6)),  # more than the limit that it holds
    ],
)
async def test_a_current_that_the_mode_forbids_is_no_reading(setpoint: Setpoint, driven: VoltageSource) -> None:
    async with bench() as b:
        await b.channel.apply(setpoint)
        assert await b.channel.read()
        b.sim.frame.outputs[0].terminals.drive(driven)
        with pytest.raises(BadReply, match=r"more than .* up to 0\.0002 A allows"):
            await b.channel.read()


@NGUS
async def test_every_setpoint_runs_on_both_ngus(model: str) -> None:
    async with bench(model=model) as b:
        assert b.instrument.identity.model == model.upper()
        for setpoint, current_A in (
            (REST, 0.0),
            (CHARGE, 200e-6),
            (REST, 0.0),
            (ConstantVoltage(3.75, 1e-3), 1e-3),
            (DISCHARGE, -200e-6),
            (REST, 0.0),
            (ConstantVoltage(3.65, 1e-3), -1e-3),
        ):
            await b.channel.apply(setpoint)
            assert (await b.channel.read()).current_A == pytest.approx(current_A, rel=0.05, abs=1e-6)


async def test_connecting_says_off_before_anything_else_and_resets_only_then() -> None:
    async with bench() as b:
        assert b.sent()[0] == b":OUTP:GEN 0;:OUTP 0"
        assert b.sent().index(b"*RST;*CLS") > [b"OUTP?" in message for message in b.sent()].index(True)
        assert b.is_off()
        assert b.instrument.identity.serial == "3638.4472k03/101403"


async def test_a_charge_is_a_source_at_the_upper_edge_and_a_discharge_a_sink_at_the_lower() -> None:
    async with bench() as b:
        settings = b.sim.frame.outputs[0].settings
        await b.channel.apply(CHARGE)
        charging = await b.channel.read()
        assert charging.flags == {Flag.COMPLIANCE}
        assert (settings.mode, settings.level_V, settings.limit_A) == ("SOUR", 4.2, 200e-6)
        assert settings.negative_A == pytest.approx(-20e-6)
        assert await b.channel.apply(DISCHARGE) is True
        assert (settings.mode, settings.level_V, settings.negative_A) == ("SINK", 2.5, -200e-6)
        assert settings.limit_A == pytest.approx(20e-6)


@pytest.mark.parametrize(("current_A", "edge_V"), [(200e-6, 4.2), (-200e-6, 2.5)])
async def test_without_the_host_a_cell_never_leaves_its_window(current_A: float, edge_V: float) -> None:
    start_V = 4.0 if current_A > 0 else 2.7
    async with bench(Battery(start_V, 10.0, slope_V_per_C=5000.0)) as b:
        await b.channel.apply(ConstantCurrent(current_A, WINDOW_V))
        async with asyncio.timeout(10):
            while abs(float(str(b.sim.truth()["current_A"]))) > 20e-6:
                await asyncio.to_thread(lambda: None)
        assert float(str(b.sim.truth()["voltage_V"])) == pytest.approx(edge_V, abs=0.01)


async def test_a_rest_between_pulses_keeps_the_relay_closed_whichever_way_they_go() -> None:
    async with bench() as b:
        for pulse in (CHARGE, DISCHARGE):
            await b.channel.apply(pulse)
            before = len(b.sent())
            for setpoint in (REST, pulse, REST, pulse):
                assert await b.channel.apply(setpoint) is False
            assert not [message for message in b.sent()[before:] if b":OUTP 1" in message or b":OUTP 0" in message]


@pytest.mark.parametrize("mode", [CHARGE, DISCHARGE])
async def test_at_rest_nothing_flows_and_the_cell_is_seen(mode: Setpoint) -> None:
    async with bench() as b:
        await b.channel.apply(mode)
        await b.channel.apply(REST)
        charge_C = b.sim.truth()["charge_C"]
        reading = await b.channel.read()
        assert reading.voltage_V == pytest.approx(3.7, abs=2e-3)
        assert abs(reading.current_A) < 1e-6
        assert b.sim.truth()["charge_C"] == charge_C


class Leaky(RsNgu):
    """Its SOURce mode sinks as well: what the driver must find out rather than believe."""

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data.replace(b":OUTP:MODE SOUR", b":OUTP:MODE AUTO"))
        return reply.replace(b"AUTO", b"SOUR")


async def test_a_mode_that_does_not_do_as_it_says_is_found_at_the_smallest_current_there_is(provokes: Provokes) -> None:
    provokes("on with leave to source and to sink")
    async with bench(sim_class=Leaky, abuse=None) as b:
        with pytest.raises(DeviceFault, match="does not do as its mode says"):
            await b.channel.apply(REST)
        assert b.is_off()
        assert abs(float(str(b.sim.truth()["charge_C"]))) < 21e-6 * 3  # 20 uA for less than 3 s


@pytest.mark.parametrize(("first_A", "then_A", "first_told"), [(200e-6, 900e-6, ":VOLT "), (900e-6, 200e-6, ":CURR ")])
async def test_neither_of_two_currents_is_exceeded_between_them(first_A: float, then_A: float, first_told: str) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantCurrent(first_A, WINDOW_V))
        before = len(b.sent())
        assert await b.channel.apply(ConstantCurrent(then_A, WINDOW_V)) is False
        told = next(message for message in b.sent()[before:] if b"?" not in message and message != b"*CLS").decode()
        at = {word: told.index(word) for word in (":VOLT ", ":CURR ")}
        assert min(at, key=lambda word: at[word]) == first_told


class Watched(RsNgu):
    """Knows what the cell carried just after each switching on."""

    at_once_A: tuple[float, ...] = ()

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":OUTP 1" in data:
            self.at_once_A += tuple(output.terminals.operating().current_A for output in self.frame.outputs)
        return reply


@pytest.mark.parametrize("current_A", [25e-6, 90e-6, 393e-6, 1e-3, -5e-3, 0.5, -2.0])
async def test_every_current_is_reached_on_one_fixed_range_and_switching_on_pushes_none(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1), sim_class=Watched) as b:
        for amperes in (current_A, -0.8, current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.02)
        assert isinstance(b.sim, Watched)
        assert set(b.sim.at_once_A) == {0.0}
        assert not b.sim.frame.outputs[0].settings.auto["CURR"]


@pytest.mark.parametrize(("voltage_V", "current_A"), [(3.702, 4e-5), (3.698, -4e-5), (4.1, 1e-3), (3.0, -1e-3)])
async def test_a_voltage_is_held_from_either_side_and_its_current_never_passes_the_limit(
    voltage_V: float, current_A: float
) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(voltage_V, 1e-3))
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(current_A, abs=3e-5)
        assert (Flag.COMPLIANCE in reading.flags) is (abs(current_A) == 1e-3)


async def test_a_hold_after_a_charge_keeps_the_relay_closed() -> None:
    async with bench(Battery(4.0, 10.0, slope_V_per_C=5000.0)) as b:
        await b.channel.apply(CHARGE)
        assert await b.channel.apply(ConstantVoltage(4.2, 200e-6)) is False
        async with asyncio.timeout(10):
            while abs((await b.channel.read()).current_A) > 20e-6:
                pass
        assert (await b.channel.read()).voltage_V == pytest.approx(4.2, abs=0.01)


@pytest.mark.parametrize(
    ("volts", "setpoint"), [(4.3, CHARGE), (2.4, DISCHARGE), (2.4, REST), (2.4, CHARGE), (4.3, DISCHARGE)]
)
async def test_a_cell_outside_its_window_is_left_alone(volts: float, setpoint: Setpoint) -> None:
    async with bench(Battery(volts, 50.0)) as b:
        with pytest.raises(DeviceFault, match=r"outside|beyond|not within"):
            await b.channel.apply(setpoint)
        assert b.is_off()
        assert abs(float(str(b.sim.truth()["charge_C"]))) < 21e-6 * 3


async def test_an_open_lead_is_seen_at_rest() -> None:
    async with bench() as b:
        b.sim.set_fault("lead", "open")
        with pytest.raises(DeviceFault, match="a lead is open"):
            await b.channel.apply(REST)
        assert b.is_off()


@pytest.mark.parametrize(
    "setpoint",
    [
        ConstantCurrent(4.0, WINDOW_V),
        ConstantCurrent(10e-6, WINDOW_V),
        ConstantCurrent(float("nan"), WINDOW_V),
        ConstantCurrent(1e-4, (2.5, float("inf"))),
        ConstantCurrent(1e-4, (4.2, 2.5)),
        ConstantCurrent(1e-4, (0.0, 30.0)),
        ConstantVoltage(float("nan"), 1e-3),
        ConstantVoltage(3.7, 0.0),
        ConstantVoltage(3.7, float("inf")),
        ConstantVoltage(25.0, 1e-3),
    ],
)
async def test_what_cannot_be_set_is_refused_and_nothing_stays_on(setpoint: Setpoint) -> None:
    async with bench() as b:
        with pytest.raises(DeviceFault):
            await b.channel.apply(setpoint)
        assert b.is_off()


async def test_a_discharge_that_ends_below_0_V_is_for_the_four_quadrants_of_an_ngu401() -> None:
    below = ConstantCurrent(-200e-6, (-0.5, 4.2))
    async with bench(model="ngu201") as b:
        with pytest.raises(DeviceFault, match=r"edge of -0.5 V cannot be held: a NGU201 does 0 to 20 V"):
            await b.channel.apply(below)
        await b.channel.apply(Rest((-0.5, 4.2)))  # nothing is driven there
    async with bench(Battery(0.3, 50.0), model="ngu401") as b:
        await b.channel.apply(below)
        assert (await b.channel.read()).current_A == pytest.approx(-200e-6, rel=0.02)


@pytest.mark.parametrize("volts", [-4.1, -3.9])
async def test_a_cell_wired_the_other_way_round_is_driven_and_held_below_0_V_without_a_trip(volts: float) -> None:
    """Over-voltage protection may be held against a voltage of either sign; its own level goes from 0 V up."""
    window_V = (-4.3, -2.5)
    settings: list[Setpoint] = [
        ConstantVoltage(-3.97, 1e-3),
        *(ConstantCurrent(way * 200e-6, window_V) for way in (1, -1)),
    ]
    async with bench(Battery(volts, 50.0), model="ngu401") as b:
        for setpoint in (*settings, Rest(window_V), settings[0]):
            await b.channel.apply(setpoint)
            assert (await b.channel.read()).output_on
        told = [m for m in b.sent() if b":VOLT:PROT:LEV " in m]
        assert told
        assert not any(b":VOLT:PROT:LEV -" in m for m in told)


@pytest.mark.parametrize("setpoint", [ConstantCurrent(-20e-3, WINDOW_V), ConstantVoltage(3.0, 20e-3)])
async def test_an_ngm_never_sinks_for_no_page_says_what_limits_it(setpoint: Setpoint) -> None:
    async with bench(model="ngm202") as b:
        with pytest.raises(DeviceFault, match="only charges here"):
            await b.channel.apply(setpoint)
        assert b.is_off()
        await b.channel.apply(ConstantVoltage(3.72, 20e-3))
        assert (await b.channel.read()).current_A == pytest.approx(4e-4, rel=0.1)


async def test_the_two_outputs_of_an_ngm202_live_their_own_lives() -> None:
    async with bench(model="ngm202") as b:
        one, two = b.instrument.channels["1"], b.instrument.channels["2"]
        await asyncio.gather(one.apply(BIG_CHARGE), two.apply(Rest(WINDOW_V)))
        readings = await asyncio.gather(*(channel.read() for channel in (one, two) * 5))
        for first, second in zip(readings[::2], readings[1::2], strict=True):
            assert first.voltage_V == pytest.approx(3.95, abs=0.01)
            assert second.voltage_V == pytest.approx(3.3, abs=0.01)
        await two.turn_off()
        assert (await one.read()).output_on
        assert b.sim.frame.outputs[1].is_on is False
        await one.turn_off()
        assert b.is_off()


@pytest.mark.parametrize("number", ["1", "2"])
async def test_a_selection_that_was_not_taken_never_reaches_the_other_output(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "2" if number == "1" else "1"
    async with bench(model="ngm202") as b:
        await b.instrument.channels[other].apply(REST)
        kept = str(b.sim.frame.outputs[int(other) - 1].settings)

        def deaf(data: bytes, hear: object = b.sim.receive) -> bytes:
            assert callable(hear)
            reply = hear(data.replace(f":INST:NSEL {number};".encode(), b":INST:NSEL 9;"))
            assert isinstance(reply, bytes)
            return reply

        monkeypatch.setattr(b.sim, "receive", deaf)
        with pytest.raises(InstrumentError):
            await b.instrument.channels[number].apply(BIG_CHARGE)
        assert str(b.sim.frame.outputs[int(other) - 1].settings) == kept or b.is_off()
        assert abs(b.sim.frame.outputs[int(other) - 1].terminals.cell_charge_C) < 1e-9
        assert not b.sim.frame.outputs[int(number) - 1].is_on
        monkeypatch.undo()  # leaving must be able to confirm both off


async def test_someone_who_selects_the_other_output_at_the_panel_changes_nothing() -> None:
    async with bench(model="ngm202") as b:
        await b.channel.apply(BIG_CHARGE)
        b.sim.receive(b"INST:NSEL 2\n")
        assert (await b.channel.read()).voltage_V == pytest.approx(3.95, abs=0.01)
        b.sim.receive(b"INST:NSEL 2\n")
        await b.channel.apply(ConstantCurrent(8e-3, WINDOW_V))
        assert b.sim.frame.outputs[0].settings.limit_A == 8e-3
        assert b.sim.frame.outputs[1].settings.limit_A != 8e-3
        b.sim.receive(b"INST:NSEL 2\n")
        await b.channel.turn_off()
        assert b.is_off()


def test_ratings_say_which_cells_which_currents_and_how_a_rest_is_kept() -> None:
    assert DRIVER.ratings is not None
    assert DRIVER.status == "experimental"
    for name, lowest_V in (("NGU401", -20.0), ("NGU201", 0.0), ("NGM202", 0.0)):
        rated = DRIVER.ratings(Options.model_validate({"model": name}))
        assert rated.voltage_V == (lowest_V, 20.0)
        assert rated.protection == "B"
        assert "watchdog" in rated.protection_why
        assert ("no discharge" in rated.protection_why) is name.startswith("NGM")
        assert "window" in rated.rest or "below the cell" in rated.rest


def test_a_plain_current_source_is_not_offered() -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"regulation": "current"})


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


async def test_another_instrument_at_the_address_is_refused_by_name() -> None:
    clock = SystemClock()
    wire = replace(WIRE, timeout_s=0.1)
    async with (
        serve_tcp(Line(Keithley2400(Battery(3.7, 50.0), clock.now))) as endpoint,
        open_link(endpoint.address, wire, clock) as link,
    ):
        with pytest.raises(BadReply, match="not an R&S NGU201"):
            async with DRIVER.connect(link, Options()):
                pass


@pytest.mark.parametrize("model", ["NGM202", "NGU201"])
def test_the_identity_seen_on_an_ngm202_is_understood(model: str) -> None:
    identity = parse_identity(f"Rohde&Schwarz,{model},3638.4472k03/101403,03.068")
    assert (identity.model, identity.serial, identity.firmware) == (model, "3638.4472k03/101403", "03.068")
    with pytest.raises(BadReply):
        parse_identity("Rohde&Schwarz,NGP804,5601.4007k04/101403,02.015")


LEFT = (
    b"VOLT:RAMP 1;:OUTP:FTR 1;:OUTP:DEL 1",
    b"OUTP:IMP:STAT 1;:OUTP:TRIG 1",
    b"FUSE 1;:POW:PROT 1",
    b"VOLT 18;:CURR 2;:CURR:NEG -2",
    b"SOUR:PRI CURR;:CURR -1;:VOLT 20",
    b"SENS:CURR:RANG 1e-5;:SENS:VOLT:RANG 6",
    b"VOLT:PROT 1;:VOLT:PROT:LEV 1",
    b"VOLT:RANG 6;:CURR:RANG 0.1",
    b"OUTP:MODE SINK;:SOUR:MOD 1",
)


@pytest.mark.parametrize("left", LEFT)
async def test_what_someone_set_before_changes_nothing(left: bytes) -> None:
    clock = SystemClock()
    sim = RsNgu(Battery(3.7, 50.0), clock.now)
    sim.receive(left + b"\n")
    assert len(sim.frame.errors) == 0
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        channel = instrument.channels["1"]
        for setpoint, current_A in ((REST, 0.0), (CHARGE, 200e-6), (DISCHARGE, -200e-6)):
            sim.receive(left + b"\n")  # and again, after the reset on connecting
            sim.frame.errors.clear()
            await channel.apply(setpoint)
            reading = await channel.read()
            assert reading.current_A == pytest.approx(current_A, rel=0.02, abs=1e-6)
            assert reading.voltage_V == pytest.approx(3.7, abs=0.02)
            await channel.turn_off()
    assert sim.truth()["abuse"] == ()


async def test_an_output_found_on_is_off_when_connecting_returns(provokes: Provokes) -> None:
    provokes("on with leave to source and to sink", "on without over-voltage protection")
    clock = SystemClock()
    sim = RsNgu(Battery(3.7, 50.0), clock.now, model="ngm202", second=Battery(3.3, 50.0))
    sim.receive(b"INST:NSEL 2;:VOLT 3.4;:OUTP 1;:INST:NSEL 1\n")
    assert sim.truth()["output_on"]
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()),
    ):
        assert not sim.truth()["output_on"]


async def test_sense_leads_are_switched_on_and_only_left_to_the_instrument_on_request() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        assert b.sim.frame.outputs[0].settings.sense == "EXT"
    async with bench(options=Options(sense="auto")) as b:
        await b.channel.apply(CHARGE)
        assert b.sim.frame.outputs[0].settings.sense == "AUTO"


@pytest.mark.parametrize("trip", ["ovp", "fuse", "opp"])
async def test_a_protection_that_trips_ends_the_output_and_wants_a_person(trip: str) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("trip", trip)
        with pytest.raises(DeviceFault, match="a protection that tripped"):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="find out why, then clear it at its panel"):
            await b.channel.apply(CHARGE)
        assert b.is_off()
        b.sim.receive(b"VOLT:PROT:CLE;:FUSE:TRIP:CLE;:POW:PROT:CLE\n")
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_an_open_sense_lead_trips_the_protection_before_it_harms_the_cell() -> None:
    async with bench(Battery(3.7, 5e4)) as b:
        await b.channel.apply(ConstantCurrent(20e-6, (2.5, 5.0)))
        b.sim.set_fault("sense", "open")
        b.sim.set_fault("contact_ohm", 1e6)
        with pytest.raises(InstrumentError, match=r"not by us|does not agree|do not agree"):
            await b.channel.read()
        assert b.is_off()


@pytest.mark.parametrize("act", [b"OUTP 0", b"OUTP:GEN 0", b"OUTP:MODE AUTO", b"*RST"])
async def test_what_someone_does_at_the_front_panel_shows_in_the_next_reading(act: bytes, provokes: Provokes) -> None:
    if act == b"OUTP:MODE AUTO":
        provokes("another function or range with the output on", "on with leave to source and to sink")
    async with bench(abuse=None) as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(act + b"\n")
        with pytest.raises(InstrumentError, match=r"not by us|in mode AUTO"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_an_output_switched_off_at_the_front_panel_is_found_after_resync_too() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("output", value=False)
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="is off, but not by us"):
            await b.channel.read()
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.02)


async def test_one_output_that_went_off_is_no_fault_of_the_other() -> None:
    async with bench(model="ngm202") as b:
        other = b.instrument.channels["2"]
        await b.channel.apply(CHARGE_MA)
        await other.apply(CHARGE_MA)
        b.sim.receive(b":INST:NSEL 2;:OUTP 0\n")  # someone at the panel
        await b.instrument.resync()
        assert (await b.channel.read()).current_A == pytest.approx(5e-3, rel=0.02)
        b.sim.receive(b":NONSENSE\n")  # in the one queue stands what neither has done
        await b.channel.apply(ConstantCurrent(6e-3, WINDOW_V))
        assert (await b.channel.read()).current_A == pytest.approx(6e-3, rel=0.02)
        with pytest.raises(DeviceFault, match=r"output 2 .* is off, but not by us"):
            await other.read()


async def test_a_rebooted_instrument_is_found_and_never_just_switched_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot", b":READ?")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.channel.read()
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b";".join(b.sent()[before:])
        off, sense, on = (told.index(part) for part in (b":OUTP 0", b":VOLT:SENS EXT", b":OUTP 1"))
        assert off < sense < on


@pytest.mark.parametrize(
    ("setpoint", "act"), [(CHARGE, b":VOLT 4.5"), (CHARGE, b":CURR 9e-4"), (DISCHARGE, b":CURR:NEG -9e-4")]
)
async def test_a_level_or_limit_that_somebody_turned_ends_the_run_with_the_next_reading(
    setpoint: Setpoint, act: bytes
) -> None:
    async with bench() as b:
        await b.channel.apply(setpoint)
        b.sim.receive(act + b"\n")
        with pytest.raises(DeviceFault, match="does not hold any more"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench() as b:
        b.sim.identity = b.sim.identity.replace("101403", "999999")
        with pytest.raises(DeviceFault, match="999999"):
            await b.instrument.resync()


class Stubborn(RsNgu):
    """Takes every command but one."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b":VOLT 2.500000000e+00", b":VOLT 2.6"))


async def test_a_setting_that_was_not_taken_is_found_by_reading_back() -> None:
    async with bench(sim_class=Stubborn) as b:
        with pytest.raises(DeviceFault, match=r":VOLT 2.5.* was not taken: the instrument answers"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


DRIVE = Drive(SOURCE, 4.2, 200e-6, 2.5, 5.2, 1e-3, 6.0)
HALF = "1;SOUR;1;4.2000;0.0002;3.7100000E+00,2.0000000E-04"


def test_no_lost_or_changed_byte_of_a_reading_makes_a_wrong_number() -> None:
    whole = f"{HALF};{HALF}"
    assert parse_reading("?", whole, DRIVE).voltage_V == 3.71
    for at in range(len(whole)):
        changed = (whole[:at] + chr(ord(whole[at]) ^ 1 << bit) + whole[at + 1 :] for bit in range(7))
        for raw in (whole[:at] + whole[at + 1 :], *changed):
            try:
                sample = parse_reading("?", raw, DRIVE)
            except BadReply:
                continue
            assert sample.output_on
            assert sample.voltage_V == pytest.approx(3.71, abs=2e-3)
            assert sample.current_A == pytest.approx(2e-4, abs=1e-6)


@pytest.mark.parametrize(
    "half",
    [
        "1;SOUR;1;4.2000;0.0002;9.9100000E+37,2.0000000E-04",
        "1;SOUR;1;4.2000;0.0002;3.7100000E+00,9.9000000E+37",
        "1;SOUR;1;4.2000;0.0002;nan,2.0000000E-04",
        "1;SOUR;1;4.2000;0.0002;3.7100000E+00",
        "1;SOUR;17;4.2000;0.0002;3.7100000E+00,2.0000000E-04",
        "1;AUTO;1;4.2000;0.0002;3.7100000E+00,2.0000000E-04",
        "1;SINK;1;4.2000;0.0002;3.7100000E+00,2.0000000E-04",
    ],
)
def test_an_overflow_another_mode_or_a_hot_instrument_is_an_error_never_a_number(half: str) -> None:
    with pytest.raises(BadReply):
        parse_reading("?", f"{half};{half}", DRIVE)


async def test_a_full_error_queue_of_others_stops_nothing_and_is_gone() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b"NONSENSE\n" * 1200)
        await b.channel.apply(DISCHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(DISCHARGE.current_A, rel=0.02)
        assert len(b.sim.frame.errors) == 0


class Refusing(RsNgu):
    """Complains of every change of a level, however right it is."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data) + super().receive(b":NONSENSE\n" * (b":VOLT 2.5" in data))


async def test_a_setting_that_is_complained_of_is_refused_with_the_instruments_own_words() -> None:
    async with bench(sim_class=Refusing) as b:
        with pytest.raises(DeviceFault, match="refuses; it reports -113"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()
