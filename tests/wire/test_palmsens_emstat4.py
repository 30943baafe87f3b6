"""The real driver on the real wire: a simulated EmStat4 (LR, HR, Multi) or Nexus on a serial port, or behind a server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from judged import Provokes
from pydantic import ValidationError

from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Channel, ConstantCurrent, ConstantVoltage, Flag, Instrument, Link, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.palmsens_emstat4 import DRIVER, Options
from sim_hardware.faults import Line, LineFault
from sim_hardware.loads import Battery, Load
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
CHARGE = ConstantCurrent(200e-6, WINDOW_V)
DISCHARGE = ConstantCurrent(-200e-6, WINDOW_V)
REST = Rest(WINDOW_V)
WIRE = replace(DRIVER.link, timeout_s=0.5)  # the simulated instrument answers at once, but this machine may be busy


@dataclass(frozen=True, slots=True)
class Bench:
    sim: EmStat4
    line: Line
    link: Link
    instrument: Instrument

    @property
    def channel(self) -> Channel:
        return self.instrument.channels["1"]

    def sent(self) -> list[bytes]:
        return [line for _, line in self.sim.log]

    def inject(self, kind: str, match: bytes = b"Y", count: int | None = 1, seconds: float = 0.0) -> None:
        self.line.inject(LineFault(kind, count, match, seconds))

    def is_off(self) -> bool:
        truth = self.sim.truth()
        return not truth["output_on"] and not truth["relay_closed"] and not truth["running"]


@asynccontextmanager
async def bench(
    load: Load | None = None,
    options: Options | None = None,
    *,
    model: str = "emstat4-hr",
    sim_class: type[EmStat4] = EmStat4,
    abuse: tuple[str, ...] = (),
) -> AsyncGenerator[Bench]:
    """When left, the host has done nothing to the cell but ``abuse``."""
    clock = SystemClock()
    sim = sim_class(load or Battery(3.7, 50.0), clock.now, model=model, deaf_s=0.05)
    line = Line(sim)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, clock) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield Bench(sim, line, link, instrument)
    assert sim.truth()["abuse"] == abuse


async def test_a_charge_a_rest_and_a_discharge_say_what_flows_and_how() -> None:
    async with bench() as b:
        assert await b.channel.apply(CHARGE) is False
        charging = await b.channel.read()
        assert charging.current_A == pytest.approx(200e-6, rel=0.01)
        assert charging.voltage_V == pytest.approx(3.71, abs=2e-3)
        assert charging.output_on
        assert charging.flags == {Flag.COMPLIANCE}
        assert await b.channel.apply(REST) is True
        resting = await b.channel.read()
        assert (resting.current_A, resting.output_on) == (0.0, False)
        assert resting.voltage_V == pytest.approx(3.7, abs=2e-3)
        assert await b.channel.apply(DISCHARGE) is False
        assert (await b.channel.read()).current_A == pytest.approx(-200e-6, rel=0.01)
        await b.channel.turn_off()
        assert b.is_off()


async def test_connecting_aborts_and_opens_the_cell_before_anything_else(provokes: Provokes) -> None:
    provokes("a cell left on with no script running")
    sim = EmStat4(Battery(3.7, 50.0), SystemClock().now)
    sim.receive(b"e\nset_pgstat_mode 3\nset_e 3700m\ncell_on\nwait 1000\n\n")
    assert sim.truth()["output_on"]
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, SystemClock()) as link:
        before = len(sim.log)
        async with DRIVER.connect(link, Options()) as instrument:
            said = [line for _, line in sim.log][before:]
            assert said[:4] == [b"", b"Z", b"Z", b"e"]
            assert said.index(b"cell_off") < said.index(b"t")
            assert not sim.truth()["output_on"]
            assert (instrument.identity.model, instrument.identity.serial) == ("EmStat4 HR", "ES4HR20B0008")
            assert instrument.identity.firmware == "1.5.00"


async def test_a_cell_goes_on_only_when_the_script_has_told_back_what_it_was_given() -> None:
    async with bench() as b:
        before = len(b.sent())
        await b.channel.apply(CHARGE)
        told = b.sent()[before:]
        script, word = told[1:-1], told[-1]
        assert word == b"Y"
        assert script.index(b'send_string "armed"') < script.index(b"cell_on")
        assert script[-1] == b""
        assert script[-3:-1] == [b"on_finished:", b"cell_off"]


class Misheard(EmStat4):
    """Takes another number than it was told."""

    def receive(self, data: bytes) -> bytes:
        return super().receive(data.replace(b"store_var lim 200u", b"store_var lim 900u"))


async def test_a_number_that_was_not_taken_is_found_before_the_cell_is_on() -> None:
    async with bench(sim_class=Misheard) as b:
        with pytest.raises(DeviceFault, match="not taken as it was sent"):
            await b.channel.apply(CHARGE)
        assert b.is_off()
        assert b.sim.truth()["charge_C"] == 0.0


@pytest.mark.parametrize("lost", [b"cell_off", b"endloop", b"if w == 0i", b"store_var w 0i ja"])
async def test_a_script_that_arrived_without_one_line_never_runs_unwatched(lost: bytes) -> None:
    class Lossy(EmStat4):
        def receive(self, data: bytes) -> bytes:
            return super().receive(data.replace(lost + b"\n", b"", 1) if b"armed" in data else data)

    async with bench(sim_class=Lossy) as b:
        try:
            await b.channel.apply(CHARGE)
        except InstrumentError:
            assert b.is_off()
        else:
            assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.01)


@pytest.mark.parametrize(
    ("setpoint", "current_A", "voltage_V"),
    [
        (ConstantVoltage(3.705, 1e-3), 1e-4, 3.705),
        (ConstantVoltage(3.695, 1e-3), -1e-4, 3.695),
        (ConstantVoltage(4.1, 1e-3), 1e-3, 3.75),
        (ConstantVoltage(3.0, 1e-3), -1e-3, 3.65),
    ],
)
async def test_a_voltage_is_held_and_its_current_never_passes_the_limit(
    setpoint: Setpoint, current_A: float, voltage_V: float
) -> None:
    async with bench() as b:
        await b.channel.apply(setpoint)
        reading = await b.channel.read()
        assert reading.current_A == pytest.approx(current_A, abs=2e-5)
        assert reading.voltage_V == pytest.approx(voltage_V, abs=2e-3)
        assert (Flag.COMPLIANCE in reading.flags) is (abs(current_A) == 1e-3)


class Sags(Battery):
    """A cell whose voltage can be moved while it is held."""

    sag_V = 0.0

    def voltage(self, current_A: float) -> float:
        return super().voltage(current_A) - self.sag_V


@pytest.mark.parametrize(("sag_V", "is_let_go"), [(0.0, False), (0.045, False), (0.06, True)])
async def test_a_hold_that_takes_more_than_its_limit_is_let_go_by_the_instrument(
    sag_V: float, *, is_let_go: bool
) -> None:
    """Held, a potentiostat has no limit of its own: at 1 mA, 1.05 mA goes on and 1.3 mA does not."""
    cell = Sags(3.7, 50.0)
    async with bench(cell, Options(interval_s=0.05)) as b:
        await b.channel.apply(ConstantVoltage(3.7075, 1e-3))
        async with asyncio.timeout(10):
            while Flag.COMPLIANCE in (await b.channel.read()).flags:
                await real_sleep(0.01)
        cell.sag_V = sag_V
        await real_sleep(0.3)
        if is_let_go:
            with pytest.raises(DeviceFault, match="could not be held within the limit"):
                await b.channel.read()
        else:
            await b.channel.read()
        assert b.sim.truth()["output_on"] is not is_let_go


@pytest.mark.parametrize(("start", "edge_V"), [(CHARGE, 4.2), (DISCHARGE, 2.5)])
async def test_a_cell_at_the_windows_edge_is_held_there_by_the_instrument(
    start: ConstantCurrent, edge_V: float
) -> None:
    began_V = edge_V - 0.02 * start.current_A / 2e-4
    async with bench(Battery(began_V, 50.0, slope_V_per_C=200.0), Options(interval_s=0.05)) as b:
        await b.channel.apply(start)
        async with asyncio.timeout(10):
            while abs((await b.channel.read()).current_A) > 100e-6:
                await real_sleep(0.01)
        reading = await b.channel.read()
        assert reading.voltage_V == pytest.approx(edge_V, abs=2e-3)
        assert Flag.COMPLIANCE not in reading.flags


async def read_for_ever(channel: Channel) -> None:
    async with asyncio.timeout(10):
        while True:
            await channel.read()


async def test_regulated_as_a_current_the_instrument_opens_the_cell_at_the_edge_and_says_why() -> None:
    options = Options(regulation="current", interval_s=0.05)
    async with bench(Battery(4.18, 50.0, slope_V_per_C=200.0), options) as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r"opened the cell switch by itself at 4\.2\d* V: the window's edge"):
            await read_for_ever(b.channel)
        assert not b.sim.truth()["output_on"]
        await b.channel.turn_off()
        assert b.is_off()


@pytest.mark.parametrize("setpoint", [CHARGE, ConstantVoltage(3.705, 1e-3), REST])
async def test_without_the_host_the_cell_is_open_when_the_lease_is_over(setpoint: Setpoint) -> None:
    now = [0.0]

    class Clock(SystemClock):
        def now(self) -> float:
            return now[0]

    sim = EmStat4(Battery(3.7, 50.0), lambda: now[0])
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, Clock()) as link,
        DRIVER.connect(link, Options(lease_s=30.0)) as instrument,
    ):
        channel = instrument.channels["1"]
        await channel.apply(setpoint)
        now[0] += 29.0
        assert (await channel.read()).output_on is (setpoint != REST)
        now[0] += 29.0
        assert sim.truth()["output_on"] is (setpoint != REST)
        now[0] += 2.0
        assert not sim.truth()["output_on"]
        with pytest.raises(DeviceFault, match="longer than its lease"):
            await channel.read()
    assert sim.truth()["abuse"] == ()


async def test_an_armed_script_that_gets_no_word_never_closes_the_switch() -> None:
    async with bench() as b:
        b.inject("lose", b"Y\n", count=None)
        with pytest.raises(LinkTimeout):
            await b.channel.apply(CHARGE)
        b.line.clear_faults()
        assert b.is_off()
        assert b.sim.truth()["charge_C"] == 0.0


async def test_a_cell_beyond_the_edge_or_the_window_is_not_connected() -> None:
    for voltage_V, why in ((4.3, "outside the window"), (4.2004, "outside the window|edge of"), (2.0, "outside")):
        async with bench(Battery(voltage_V, 50.0)) as b:
            with pytest.raises(DeviceFault, match=why):
                await b.channel.apply(CHARGE)
            assert b.is_off()
            assert b.sim.truth()["charge_C"] == 0.0


@pytest.mark.parametrize(
    "setpoint",
    [
        ConstantCurrent(0.2, WINDOW_V),
        ConstantCurrent(float("nan"), WINDOW_V),
        ConstantCurrent(1e-4, (2.5, float("inf"))),
        ConstantCurrent(1e-4, (4.2, 2.5)),
        ConstantCurrent(1e-4, (0.0, 6.5)),
        ConstantVoltage(float("nan"), 1e-3),
        ConstantVoltage(3.7, 0.0),
        ConstantVoltage(7.0, 1e-3),
    ],
)
async def test_what_cannot_be_set_is_refused_and_off(setpoint: Setpoint) -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        with pytest.raises(DeviceFault, match=r"cannot be|window|goes to"):
            await b.channel.apply(setpoint)
        assert b.is_off()


async def test_an_lr_says_that_it_does_not_reach_a_cell_of_four_volts() -> None:
    async with bench(Battery(2.9, 50.0), model="emstat4-lr") as b:
        with pytest.raises(DeviceFault, match="EmStat4 LR goes to 3 V only"):
            await b.channel.apply(CHARGE)
        assert b.channel.ratings.voltage_V == (-3.0, 3.0)


@pytest.mark.parametrize("current_A", [90e-9, 1e-6, 100e-6, 392.7e-6, 5e-3, 0.1])
async def test_every_current_is_set_on_one_fixed_range(current_A: float) -> None:
    async with bench(Battery(3.3, 0.1)) as b:
        for amperes in (current_A, -current_A):
            await b.channel.apply(ConstantCurrent(amperes, WINDOW_V))
            assert (await b.channel.read()).current_A == pytest.approx(amperes, rel=0.02)


async def test_a_script_that_fails_leaves_the_cell_on_until_the_driver_turns_it_off(provokes: Provokes) -> None:
    provokes("a cell left on with no script running")
    async with bench(abuse=("a cell left on with no script running",)) as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("script", value=True)
        await real_sleep(0.15)
        assert b.sim.truth()["output_on"]
        assert not b.sim.truth()["running"]
        with pytest.raises(DeviceFault, match="its script, after 'Y', failed: 7FFF: Line"):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="no script looks at the cell"):
            await b.channel.read()
        await b.channel.turn_off()
        assert b.is_off()


async def test_leaving_an_instrument_whose_script_has_failed_opens_the_cell(provokes: Provokes) -> None:
    provokes("a cell left on with no script running")
    sim = EmStat4(Battery(3.7, 50.0), SystemClock().now)
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, SystemClock()) as link:
        async with DRIVER.connect(link, Options()) as instrument:
            await instrument.channels["1"].apply(CHARGE)
            sim.set_fault("script", value=True)
            await real_sleep(0.15)
            with pytest.raises(DeviceFault, match="7FFF"):
                await instrument.channels["1"].read()
            assert sim.truth()["output_on"]
        assert not sim.truth()["output_on"]


async def test_a_cell_that_cannot_be_opened_is_never_called_off() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.sim.set_fault("welded", value=True)
        with pytest.raises(DeviceFault, match=r"could not be confirmed off.*the cell is on"):
            await b.channel.turn_off()
        b.sim.set_fault("welded", value=False)


async def test_a_rebooted_instrument_is_found_and_never_just_switched_on() -> None:
    async with bench() as b:
        await b.channel.apply(CHARGE)
        b.inject("reboot")
        with pytest.raises(LinkTimeout):
            await b.channel.read()
        with pytest.raises(DeviceFault, match="power failure"):
            await b.instrument.resync()
        assert not b.sim.truth()["output_on"]
        await b.channel.apply(CHARGE)
        assert (await b.channel.read()).current_A == pytest.approx(200e-6, rel=0.01)


async def test_another_instrument_behind_the_same_address_is_a_fault() -> None:
    async with bench() as b:
        b.sim.serial = "ES4HR99Z9999"
        with pytest.raises(DeviceFault, match="ES4HR99Z9999"):
            await b.instrument.resync()


@pytest.mark.parametrize("bits", ["CC", "C0", "CG"])
async def test_an_instrument_that_cannot_be_asked_while_it_runs_is_refused(bits: str) -> None:
    sim = EmStat4(Battery(3.7, 50.0), SystemClock().now)
    sim.capable["CC"] = bits[1:]
    async with serve_tcp(Line(sim)) as endpoint, open_link(endpoint.address, WIRE, SystemClock()) as link:
        with pytest.raises(InstrumentError, match=r"does not know|not a valid answer"):
            async with DRIVER.connect(link, Options()):
                pass


async def test_an_answer_from_before_the_question_is_no_reading() -> None:
    class Old(EmStat4):
        kept = b""

        def receive(self, data: bytes) -> bytes:
            reply = super().receive(data)
            if data == b"Y\n" and reply.count(b"P") == 2:
                self.kept, reply = reply, self.kept or reply
            return reply

    async with bench(sim_class=Old) as b:
        await b.channel.apply(CHARGE)
        await b.channel.read()
        with pytest.raises(BadReply, match="earlier question"):
            await b.channel.read()
        await real_sleep(0.1)
        with pytest.raises(BadReply, match="earlier question"):  # counted on, but told before it was asked
            await b.channel.read()


class Live(asyncio.Protocol):
    """A line on which the instrument speaks when it has something to say, asked or not."""

    def __init__(self, sim: EmStat4, group: asyncio.TaskGroup) -> None:
        self._sim, self._group = sim, group
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._task = self._group.create_task(self._speak())

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._sim.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _speak(self) -> None:
        while True:
            await real_sleep(0.005)
            self._transport.write(self._sim.receive(b""))


async def test_an_instrument_that_takes_its_time_and_speaks_unasked_is_understood() -> None:
    """Its loops have their first point after an interval, and it changes from driving to holding between two readings."""
    clock = SystemClock()
    sim = EmStat4(Battery(4.17, 50.0, slope_V_per_C=400.0), clock.now, deaf_s=0.05, lead=1.0)
    async with asyncio.TaskGroup() as group:
        server = await asyncio.get_running_loop().create_server(lambda: Live(sim, group), "127.0.0.1", 0)
        address = f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
        async with (
            open_link(address, DRIVER.link, clock) as link,
            DRIVER.connect(link, Options(interval_s=0.05)) as instrument,
        ):
            channel = instrument.channels["1"]
            for setpoint in (REST, CHARGE):
                await channel.apply(setpoint)
                first = await channel.read()
                assert first.voltage_V == pytest.approx(4.18, abs=0.02)
            async with asyncio.timeout(10):
                while abs((await channel.read()).current_A) > 100e-6:
                    await real_sleep(0.02)
            held = await channel.read()
            assert held.voltage_V == pytest.approx(4.2, abs=2e-3)
            await instrument.resync()
        server.close()
    assert sim.truth()["abuse"] == ()
    assert not sim.truth()["output_on"]


async def test_after_days_in_one_step_the_time_is_told_in_seconds_and_readings_are_believed() -> None:
    now = [0.0]

    class Clock(SystemClock):
        def now(self) -> float:
            return now[0]

    sim = EmStat4(Battery(3.7, 50.0), lambda: now[0])
    async with (
        serve_tcp(Line(sim)) as endpoint,
        open_link(endpoint.address, WIRE, Clock()) as link,
        DRIVER.connect(link, Options(interval_s=0.5, lease_s=600.0)) as instrument,
    ):
        channel = instrument.channels["1"]
        await channel.apply(REST)
        while now[0] < 1.4e5:  # past 2^27 ms, where milliseconds no longer fit its number
            now[0] += 583.7
            assert (await channel.read()).at_s == now[0]


def test_what_is_said_of_it() -> None:
    assert DRIVER.ratings is not None
    ratings = DRIVER.ratings(Options())
    assert (DRIVER.status, ratings.protection) == ("experimental", "A")
    assert "30 s without a reading" in ratings.protection_why
    assert "open circuit" in ratings.rest
    assert (ratings.fastest_sample_s, ratings.slowest_sample_s) == (0.2, 27.0)


@pytest.mark.parametrize("options", [{"interval_s": 0.6}, {"lease_s": 4.0}, {"lease_s": 1e4}, {"interval_s": math.nan}])
def test_what_could_not_be_answered_in_time_or_would_hold_a_cell_for_too_long_is_refused(
    options: dict[str, float],
) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(options)
