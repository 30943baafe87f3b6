"""The real driver on the real wire: a simulated 2600 with two outputs behind its LAN socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from judged import Provokes
from pydantic import ValidationError

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkClosed, LinkTimeout
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.keithley_2600 import DRIVER, Options
from drivers.keithley_2600_settings import MEASURED, parse_identity, parse_reading
from sim_hardware.faults import Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_models import FAMILY
from sim_hardware.loads import Battery, Load
from sim_hardware.server import serve_pty, serve_tcp
from sim_hardware.simtime import SimTime

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
REST = Rest(WINDOW_V)
WIRE = replace(DRIVER.link, timeout_s=0.5)  # the simulated instrument answers at once, but this machine may be busy
OUTPUTS = pytest.mark.parametrize("output", ["a", "b"])
DEAD_MAN_S = 15.0


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Keithley2600
    line: Line
    link: Link
    instrument: Instrument
    time: SimTime

    @property
    def channel(self) -> Channel:
        return self.instrument.channels["a"]

    @property
    def other(self) -> Channel:
        return self.instrument.channels["b"]

    def sent(self) -> list[bytes]:
        return [message for _, message in self.sim.log]

    def inject(self, kind: str, match: bytes = b"", count: int | None = 1, seconds: float = 0.0) -> None:
        self.line.inject(LineFault(kind, count, match, seconds))

    def is_off(self, output: str = "a") -> bool:
        truth = dict(self.sim.smus[output].truth(self.time()))
        return not truth["output_on"] and not truth["relay_closed"] and truth["off_mode"] == "HIMP"

    def current_A(self, output: str) -> float:
        self.sim.truth()
        return float(str(self.sim.smus[output].truth(self.time())["current_A"]))


def loads(model: str, load: Load | None = None) -> tuple[Load, ...]:
    return (load or Battery(3.7, 50.0), Battery(3.6, 80.0))[: len(FAMILY[model].outputs)]


@asynccontextmanager
async def bench(
    load: Load | None = None,
    options: Options | None = None,
    *,
    model: str = "2602B",
    sim_class: type[Keithley2600] = Keithley2600,
    abuse: tuple[str, ...] | None = (),
) -> AsyncGenerator[Bench]:
    """When left, the host has done nothing to the cells but ``abuse``; None where the test itself did."""
    clock = SystemClock()
    time = SimTime(clock.now)
    sim = sim_class(loads(model, load), time, model=model)
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument, time)
    assert abuse is None or sim.truth()["abuse"] == abuse


@OUTPUTS
async def test_a_charge_a_rest_and_a_discharge_run_on_either_output(output: str) -> None:
    async with bench() as b:
        channel = b.instrument.channels[output]
        assert await channel.apply(CHARGE) is True
        charging = await channel.read()
        assert charging.current_A == pytest.approx(200e-6, rel=0.01)
        assert charging.flags == {Flag.COMPLIANCE, Flag.FOUR_WIRE}
        await channel.apply(REST)
        resting = await channel.read()
        assert abs(resting.current_A) < 1e-9
        assert resting.voltage_V == pytest.approx({"a": 3.7, "b": 3.6}[output], abs=0.01)
        await channel.apply(DISCHARGE)
        assert (await channel.read()).current_A == pytest.approx(-200e-6, rel=0.01)
        await channel.turn_off()
        assert b.is_off(output)


async def test_connecting_says_off_before_anything_else_and_leaves_both_high_impedance() -> None:
    async with bench() as b:
        assert b.sent()[0] == b"abort"
        assert b.sent()[1].startswith(b"smua.source.offmode = smua.OUTPUT_HIGH_Z smua.source.output = smua.OUTPUT_HIGH")
        assert b.is_off("a")
        assert b.is_off("b")
        assert (b.instrument.identity.model, b.instrument.identity.serial) == ("2602B", "1219110")


async def test_outputs_found_on_with_a_script_running_are_off_when_connecting_returns(provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2600(loads("2602B"), clock.now)
    sim.receive(b"smua.source.levelv = 4 smua.source.output = 1 smub.source.output = 1\ndelay(1000)\n")
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()),
    ):
        assert sim.truth()["relay_closed"] is False


# The dead-man's switch


async def test_when_the_host_falls_silent_every_output_goes_off_by_itself() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(DISCHARGE)
        b.time.jump(DEAD_MAN_S - 1.0)
        assert b.current_A("a") == pytest.approx(200e-6, rel=0.01)
        assert b.current_A("b") == pytest.approx(-200e-6, rel=0.01)
        b.time.jump(1.0)
        b.sim.truth()
        assert b.is_off("a")
        assert b.is_off("b")


async def gone(time: SimTime, *, closing_aborts: bool) -> Keithley2600:
    """An hour after the connection was cut while a cell is charged; nothing is said, nobody comes back."""
    sim = Keithley2600(loads("2602B", Battery(4.0, 50.0, slope_V_per_C=0.5)), time)
    sim.closing_aborts = closing_aborts
    line = Line(sim)
    async with serve_tcp(line) as endpoint:
        with pytest.raises(LinkClosed):
            await run_until_the_connection_breaks(line, endpoint.address)
        assert sim.truth()["output_on"]
        time.jump(3600.0)
    return sim


async def test_a_host_that_is_gone_leaves_no_cell_energised_and_each_lost_no_more_than_the_time() -> None:
    sim = await gone(SimTime(SystemClock().now), closing_aborts=False)
    truth = sim.truth()
    assert (truth["output_on"], truth["relay_closed"], truth["abuse"]) == (False, False, ())
    assert sim.smus["a"].terminals.cell_charge_C == pytest.approx(200e-6 * DEAD_MAN_S, rel=0.05)


async def test_where_closing_the_connection_ends_the_script_a_bounded_cell_is_held_at_the_windows_edge() -> None:
    """Which is why the class over a LAN is not A."""
    truth = (await gone(SimTime(SystemClock().now), closing_aborts=True)).truth()
    assert (truth["output_on"], truth["abuse"]) == (True, ())
    assert truth["voltage_V"] == pytest.approx(4.2, abs=0.02)


@OUTPUTS
async def test_one_outputs_readings_keep_both_on(output: str) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(CHARGE)
        for _ in range(5):
            b.time.jump(0.9 * DEAD_MAN_S)
            await b.instrument.channels[output].read()
        await b.channel.read()
        await b.other.read()


async def test_readings_that_come_too_seldom_say_why_the_output_is_off() -> None:
    async with bench(options=Options(dead_man_s=5.0)) as b:
        await b.channel.apply(CHARGE)
        b.time.jump(5.5)
        with pytest.raises(DeviceFault, match=r"off, but not by us.*nothing was asked for 5 s \(dead_man_s\)"):
            await b.channel.read()


async def test_each_message_while_an_output_may_be_on_leaves_the_switch_behind() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.channel.read()
        await b.channel.apply(DISCHARGE)
        await b.instrument.resync()
        sent = b.sent()
        last = max(at for at, message in enumerate(sent) if b"source.output = 1.0" in message)
        late = [message for message in sent[last:] if b"print" in message]
        tail = b" delay(15) smua.source.output = smua.OUTPUT_HIGH_Z smub.source.output = smub.OUTPUT_HIGH_Z"
        assert len(late) > 3
        assert all(message.endswith(tail) for message in late)


class Deaf(Keithley2600):
    """Takes an abort for a command like any other."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b"abort\n", b""))


async def test_an_instrument_whose_waits_no_abort_ends_is_refused_before_anything_goes_on() -> None:
    sim = Deaf(loads("2602B"), SystemClock().now)
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, SystemClock()) as link:
        with pytest.raises(DeviceFault, match="abort does not end a script's wait"):
            async with DRIVER.connect(link, Options()):
                pass
    assert not sim.truth()["output_on"]
    assert not [message for _, message in sim.log if b"output = 1" in message]


async def test_an_instrument_that_is_off_is_not_kept_waiting() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.channel.turn_off()
        await b.instrument.resync()
        assert b"delay" not in b.sent()[-1]


async def test_over_a_lan_the_class_is_that_of_an_instrument_without_a_watchdog() -> None:
    async with bench() as b:
        assert DRIVER.ratings is not None
        assert DRIVER.ratings(Options()) == b.channel.ratings
        assert (DRIVER.status, b.channel.ratings.protection) == ("experimental", "B")
        assert "15 s after the last exchange" in b.channel.ratings.protection_why
        assert "a connection that is closed may end that script" in b.channel.ratings.protection_why
    async with bench(options=Options(regulation="current")) as b:
        assert b.channel.ratings.protection == "C"


async def test_on_a_serial_port_the_class_is_a_and_says_where_it_ends() -> None:
    pytest.importorskip("pty")
    sim = Keithley2600(loads("2602B"), SystemClock().now)
    async with (
        serve_pty(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, SystemClock()) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        ratings = instrument.channels["a"].ratings
    assert ratings.protection == "A"
    assert "Not tried on hardware" in ratings.protection_why


def test_the_switch_gives_a_lost_answer_time_before_the_next_sample() -> None:
    assert DRIVER.ratings is not None
    assert DRIVER.ratings(Options()).slowest_sample_s == 12.0
    with pytest.raises(ValidationError):
        Options(dead_man_s=4.0)


# Two outputs, one processor


async def test_off_on_one_output_leaves_the_other_running() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(DISCHARGE)
        await b.channel.turn_off()
        assert b.is_off("a")
        assert (await b.other.read()).current_A == pytest.approx(-200e-6, rel=0.01)
        b.time.jump(DEAD_MAN_S)
        b.sim.truth()
        assert b.is_off("b")


async def test_both_outputs_are_read_at_once_without_taking_each_others_answers() -> None:
    async with bench() as b:
        await asyncio.gather(b.channel.apply(CHARGE), b.other.apply(DISCHARGE))
        for _ in range(20):
            one, two = await asyncio.gather(b.channel.read(), b.other.read())
            assert one.current_A == pytest.approx(200e-6, rel=0.01)
            assert two.current_A == pytest.approx(-200e-6, rel=0.01)


async def test_a_fault_of_one_output_is_not_told_to_the_other() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(CHARGE)
        b.sim.set_fault("b.output", value=False)
        await b.instrument.resync()
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.01)
        with pytest.raises(DeviceFault, match=r"output b of .* is off, but not by us"):
            await b.other.read()
        assert (await b.channel.read()).output_on


async def test_a_refused_setpoint_turns_off_its_own_output_only() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(CHARGE)
        with pytest.raises(DeviceFault):
            await b.other.apply(ConstantCurrent(99.0, WINDOW_V))
        assert b.is_off("b")
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.01)


async def test_a_timeout_of_one_output_leaves_both_as_they_are() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        await b.other.apply(DISCHARGE)
        b.inject("drop", b"smub.measure")
        with pytest.raises(LinkTimeout):
            await b.other.read()
        await b.instrument.resync()
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.01)
        assert (await b.other.read()).current_A == pytest.approx(-200e-6, rel=0.01)


async def test_a_2601_has_one_output() -> None:
    async with bench(model="2601A") as b:
        assert list(b.instrument.channels) == ["a"]
        await b.channel.apply(CHARGE)
        assert not [message for message in b.sent() if b"delay" in message and b"smub" in message]


# Setpoints


async def test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        settings = b.sim.smus["a"].settings
        assert (settings.function, settings.level["v"]) == ("v", 4.2)
        assert settings.limit["i"] == pytest.approx(200e-6)
        await b.channel.apply(DISCHARGE)
        assert settings.level["v"] == 2.5


async def test_without_the_host_a_bounded_cell_never_leaves_its_window() -> None:
    async with bench(Battery(4.0, 50.0, slope_V_per_C=20.0), Options(dead_man_s=3600.0)) as b:
        await b.channel.apply(CHARGE)
        b.time.jump(600.0)
        assert (await b.channel.read()).voltage_V == pytest.approx(4.2, abs=0.01)
        assert abs(b.current_A("a")) < 20e-6


@pytest.mark.parametrize("model", ["2602", "2602B"])
async def test_a_change_of_direction_opens_the_relay_only_where_sink_mode_is_switched(model: str) -> None:
    async with bench(model=model) as b:
        await b.channel.apply(CHARGE)
        assert b.sim.smus["a"].settings.plain.get("sink", 0.0) == 0.0
        assert await b.channel.apply(DISCHARGE) is (model == "2602B")
        assert b.sim.smus["a"].settings.plain.get("sink", 0.0) == float(model == "2602B")
        assert await b.channel.apply(ConstantCurrent(-150e-6, WINDOW_V)) is False


async def test_a_hold_above_a_cell_that_was_discharged_is_limited_as_it_says() -> None:
    """In sink mode a limit is wrong by 10 % of range where the instrument sources."""
    async with bench() as b:
        await b.channel.apply(DISCHARGE)
        await b.channel.apply(ConstantVoltage(4.1, 1e-3))
        assert b.current_A("a") == pytest.approx(1e-3, rel=0.01)


async def test_a_hold_after_a_charge_keeps_the_relay_closed() -> None:
    async with bench(Battery(4.18, 50.0, slope_V_per_C=20.0)) as b:
        await b.channel.apply(CHARGE)
        for voltage_V in (4.2, 4.17, 4.19):
            assert await b.channel.apply(ConstantVoltage(voltage_V, 200e-6)) is False


@pytest.mark.parametrize(("first_A", "then_A", "first_told"), [(200e-6, 500e-6, "level"), (-500e-6, -200e-6, "limit")])
async def test_neither_of_two_currents_is_exceeded_between_them(first_A: float, then_A: float, first_told: str) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantCurrent(first_A, WINDOW_V))
        assert await b.channel.apply(ConstantCurrent(then_A, WINDOW_V)) is False
        told = b.sent()[-1].decode()
        at = {"limit": told.index("limiti ="), "level": told.index("levelv =")}
        assert min(at, key=lambda name: at[name]) == first_told


@pytest.mark.parametrize("current_A", [90e-6, 100e-6, 101e-6, 392.7e-6, 5e-3, 0.9, 1e-6, 50e-9])
async def test_every_current_is_reached_from_every_range_on_one_fixed_range(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1)) as b:
        for amperes in (current_A, -0.8, current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.02)
        assert not b.sim.smus["a"].settings.measure_auto["i"]


async def test_a_current_source_is_chosen_only_on_request_and_its_limit_lies_beyond_the_window() -> None:
    async with bench(options=Options(regulation="current")) as b:
        await b.channel.apply(DISCHARGE)
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(-200e-6, rel=0.005)
        assert Flag.COMPLIANCE not in reading.flags
        settings = b.sim.smus["a"].settings
        assert settings.function == "i"
        assert settings.limit["v"] > WINDOW_V[1]


@pytest.mark.parametrize(("voltage_V", "current_A"), [(3.702, 4e-5), (3.698, -4e-5), (4.1, 1e-3), (3.0, -1e-3)])
async def test_a_voltage_is_held_and_its_current_never_passes_the_limit(voltage_V: float, current_A: float) -> None:
    async with bench() as b:
        await b.channel.apply(ConstantVoltage(voltage_V, 1e-3))
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(current_A, abs=3e-5)
        assert (Flag.COMPLIANCE in reading.flags) is (abs(current_A) == 1e-3)


class Watched(Keithley2600):
    """Knows what cell a carried just after each switching on."""

    at_once_A: tuple[float, ...] = ()

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b"smua.source.output = 1.0" in data:
            self.at_once_A += (self.smus["a"].terminals.cell_operating().current_A,)
        return reply


@pytest.mark.parametrize("later", [ConstantCurrent(-5e-3, WINDOW_V), ConstantCurrent(5e-3, WINDOW_V)])
async def test_switching_on_pushes_next_to_no_current_through_a_cell_that_relaxed_meanwhile(
    later: ConstantCurrent,
) -> None:
    async with bench(Battery(3.7, 500.0), sim_class=Watched) as b:
        await b.channel.apply(CHARGE)
        await b.channel.apply(later)
        assert isinstance(b.sim, Watched)
        assert max(abs(current_A) for current_A in b.sim.at_once_A) < 5e-6


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


async def test_a_cell_above_the_measure_range_is_seen_as_overflow_and_nothing_flows() -> None:
    async with bench(Battery(8.0, 50.0)) as b:
        b.sim.smus["a"].terminals.cell_charge_C = 0.0  # until it was first spoken to it drained the cell
        with pytest.raises(BadReply, match="overflow"):
            await b.channel.apply(REST)
        assert b.is_off()
        assert b.sim.smus["a"].terminals.cell_charge_C == pytest.approx(0.0, abs=1e-9)


async def test_an_open_lead_is_seen_at_0_A() -> None:
    async with bench() as b:
        b.sim.set_fault("lead", "open")
        with pytest.raises(InstrumentError, match=r"lead is open|overflow"):
            await b.channel.apply(REST)
        assert b.is_off()


@pytest.mark.parametrize(
    "setpoint",
    [
        ConstantCurrent(4.0, WINDOW_V),
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


# What the instrument does by itself, or somebody at it

LEFT = (
    b"smua.measure.relv.level = 1 smua.measure.relv.enable = 1",
    b"format.asciiprecision = 3",
    b"smua.source.func = 0 smua.source.rangei = 1 smua.source.leveli = 0.5 smua.measure.rangev = 0.1",
    b"smua.source.rangev = 40 smua.source.levelv = 35 smua.measure.rangei = 1",
    b"smua.source.limitp = 1e-3 smua.measure.count = 10",
    b"localnode.prompts = 1",
    b"nonsense(1) also nonsense",
)


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("setpoint", [REST, CHARGE])
async def test_what_someone_set_before_changes_nothing(left: bytes, setpoint: Setpoint) -> None:
    clock = SystemClock()
    sim = Keithley2600(loads("2602B"), clock.now)
    sim.receive(left + b"\n")
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        channel = instrument.channels["a"]
        await channel.apply(setpoint)
        reading = await channel.read()
        assert reading.current_A == pytest.approx(0.0 if setpoint is REST else 200e-6, rel=0.02, abs=2e-9)
        assert reading.voltage_V == pytest.approx(3.7, abs=0.02)
    assert sim.truth()["abuse"] == ()


@pytest.mark.parametrize(
    "act", ["source.output = 0", "sense = 0", "source.levelv = 3.9", "source.limiti = 1e-3", "source.offmode = 0"]
)
async def test_what_someone_does_shows_in_the_next_reading(act: str, provokes: Provokes) -> None:
    provokes(*{"sense = 0": ["on in two wires"], "source.offmode = 0": ["off, but still connected"]}.get(act, ()))
    async with bench(abuse=None) as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(f"abort\nsmua.{act}\n".encode())
        with pytest.raises(DeviceFault, match="not by us"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_a_rebooted_instrument_is_found_and_never_just_switched_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot", b"measure.iv")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        await b.instrument.resync()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.channel.read()
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b";".join(b.sent()[before:])
        off, sense, on = (told.index(part) for part in (b"smua.source.offmode =", b"smua.sense = 1", b"output = 1.0"))
        assert off < sense < on


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench(abuse=None) as b:
        b.sim.serial = "4099999"
        b.sim.power_cycle()
        with pytest.raises(DeviceFault, match="4099999"):
            await b.instrument.resync()


class Stubborn(Keithley2600):
    """Takes every command but one."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b"levelv = 2.500", b"levelv = 2.600"))


async def test_a_setting_that_was_not_taken_is_found_by_reading_back() -> None:
    async with bench(sim_class=Stubborn) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r"levelv = 2.5 was not taken: the instrument answers 2.6"):
            await b.channel.apply(DISCHARGE)
        assert b.is_off()


class Fussy(Keithley2600):
    """Takes no limit for the discharge."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b"limiti = 5.0", b"limiti = 0.0"))


async def test_a_refused_setting_is_told_with_the_instruments_own_words() -> None:
    async with bench(sim_class=Fussy) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r"output a of .* refuses; it reports 1102 'Parameter too small'"):
            await b.channel.apply(ConstantCurrent(-500e-6, WINDOW_V))
        assert b.is_off()


async def test_a_full_error_queue_of_others_stops_nothing_and_is_gone() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.receive(b"abort\n" + b"nonsense(\n" * 1200)
        assert b.sim.truth()["errors"] == 256
        await b.channel.apply(DISCHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(-200e-6, rel=0.01)
        assert b.sim.truth()["errors"] == 0


# The wire


HALF = "1.999980000e-04\t3.700123000e+00\ttrue" + "\t1.000000000e+00" * 6


def test_no_lost_or_changed_byte_of_a_reading_goes_unseen() -> None:
    whole = f"{HALF}\t{HALF}".encode()
    assert len(HALF.split("\t")) == len(MEASURED)
    sample = parse_reading(whole.decode().split("\t"))
    assert sample is not None
    assert sample.voltage_V == 3.700123
    for at in range(len(whole)):
        mangled = {
            whole[:at] + whole[at + 1 :],
            *(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for bit in range(7)),
        }
        for raw in mangled:
            with pytest.raises(BadReply):
                parse_reading(raw.decode("latin-1").split("\t"))


@pytest.mark.parametrize("value", ["9.910000000e+37", "-9.910000000e+37", "nan", "1.99998e-04", "nil"])
def test_an_overflow_or_another_spelling_is_an_error_never_a_number(value: str) -> None:
    half = HALF.replace("1.999980000e-04", value)
    with pytest.raises(BadReply):
        parse_reading(f"{half}\t{half}".split("\t"))


async def test_off_that_is_never_confirmed_is_an_error_and_the_dead_man_ends_it() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("silence", count=None)
        with pytest.raises(DeviceFault, match="could not be confirmed off"):
            await b.channel.turn_off()
        assert not b.is_off()
        b.time.jump(DEAD_MAN_S)
        b.sim.truth()
        assert b.is_off()
        b.line.clear_faults()


async def run_until_the_connection_breaks(line: Line, address: str) -> None:
    clock = SystemClock()
    async with open_link(address, WIRE, clock) as link, DRIVER.connect(link, Options()) as instrument:
        await instrument.channels["a"].apply(CHARGE)
        line.inject(LineFault("disconnect", 1, b"measure.iv"))
        await instrument.channels["a"].read()


@pytest.mark.parametrize("model", ["2602B", "2635A"])
async def test_safe_off_needs_no_connection_state(model: str, provokes: Provokes) -> None:
    provokes("off, but still connected", "on in two wires")
    clock = SystemClock()
    sim = Keithley2600(loads(model), clock.now, model=model)
    sim.receive(b"smua.source.output = 1\ndelay(100)\n")
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        assert DRIVER.safe_off is not None
        await DRIVER.safe_off(link)
        assert sim.truth()["relay_closed"] is False


async def test_an_instrument_that_is_no_2600_is_refused_by_its_name() -> None:
    clock = SystemClock()
    sim = Keithley2400(Battery(3.7, 50.0), clock.now)
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, clock) as link:
        with pytest.raises(BadReply, match="not a Keithley 2601"):
            async with DRIVER.connect(link, Options()):
                pass


@pytest.mark.parametrize("model", ["2602A", "2636B", "2601"])
def test_the_recorded_identity_is_understood(model: str) -> None:
    identity = parse_identity(f"Keithley Instruments Inc., Model {model}, 1219110, 2.2.6")  # pyvisa issue 636
    assert (identity.model, identity.serial, identity.firmware) == (model, "1219110", "2.2.6")


@pytest.mark.parametrize("model", ["2450", "2651A", "2600"])
def test_a_relative_this_driver_does_not_know_is_refused(model: str) -> None:
    with pytest.raises(BadReply, match="not a Keithley 2601"):
        parse_identity(f"Keithley Instruments Inc., Model {model}, 1219110, 2.2.6")
