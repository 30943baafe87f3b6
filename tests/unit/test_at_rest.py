"""The look at a cell at 0 A: what lets current through, and every way in which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from virtual_loop import LoopClock
from virtually import virtually

from cycler_ctl.channels.contact import Contact
from cycler_ctl.errors import BadReply, CyclerError, DeviceFault, InstrumentError, LinkTimeout, RefusedError
from cycler_ctl.guard import Ceilings, Guard, GuardLimits, GuardState
from cycler_ctl.instrument import Channel, Identity, Measurement, Protection, Ratings, Reading, Sensor, Setpoint
from cycler_ctl.running.cellcheck import AtRest, LastSeen, at_rest, floating, last_seen, objection, recounted
from cycler_ctl.running.fittings import Fittings
from cycler_ctl.running.output import Output
from cycler_ctl.store.writer import Pending
from cycler_ctl.watching.lease import NoLease
from cycler_ctl.watching.register import SafeOffEntry
from protocols import engine
from protocols.events import Sampled, Started
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    CurrentStep,
    Op,
    Program,
    Record,
    Rest,
    RestStep,
    Safety,
    TimedStep,
    Verb,
    Watched,
)
from protocols.running.state import State, Together

LIMITS = GuardLimits(voltage_V=(2.0, 5.0), current_A=0.010, stale_s=3.0, rest_A=1e-5)
WARM_LIMITS = replace(LIMITS, temperature_degC=(20.0, 60.0))
DAY = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 86400.0),), "time >= 24 h"),)
CHARGE = CurrentStep("1", "charge", Verb.DELITHIATE, 1e-3, DAY, (), Record(), (2.5, 4.3))
REST = RestStep("1", DAY, (), Record(), (2.5, 4.3))
RATINGS = Ratings((-5.0, 5.0), 0.1, (), 0.05, Protection.B, "", "")
NOBODY = Identity("", "", "", "")
Look = Reading | InstrumentError


@dataclass
class Bench:
    """An instrument that answers with ``looks``, one after the other, and is everything else that a run is fitted to."""

    looks: Iterator[Look]
    ratings: Ratings = RATINGS
    temperature: Measurement | None = None
    limits: GuardLimits = LIMITS
    set_to: list[Setpoint] = field(default_factory=list[Setpoint])
    read_at_s: list[float] = field(default_factory=list[float])
    resyncs: int = 0
    identity: Identity = NOBODY
    address: str = "nowhere"
    failed: CyclerError | None = None

    async def read(self) -> Reading:
        now_s = LoopClock().now()
        self.read_at_s.append(now_s)
        look = next(self.looks)
        if isinstance(look, InstrumentError):
            raise look
        return replace(look, at_s=now_s)

    async def apply(self, setpoint: Setpoint) -> bool | None:
        self.set_to.append(setpoint)
        return None

    async def turn_off(self) -> None:
        raise NotImplementedError

    async def resync(self) -> None:
        self.resyncs += 1

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": self}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    def append(self, *_: object) -> None:
        raise NotImplementedError

    def hurry(self) -> None:
        raise NotImplementedError

    def pending(self) -> Pending:
        raise NotImplementedError

    def now(self) -> float:
        raise NotImplementedError

    async def write(self, message: bytes) -> None:
        raise NotImplementedError

    async def clear(self) -> None:
        raise NotImplementedError

    async def query(self, message: bytes) -> bytes:
        raise NotImplementedError

    def fittings(self) -> Fittings:
        return Fittings(
            name="a1",
            channel=self,
            instrument=self,
            contact=Contact(self),
            clock=LoopClock(),
            guard=Guard(self.limits),
            ceilings={},
            recorder=self,
            temperature=lambda: self.temperature,
            limits_V=(2.0, 5.0),
            hold_limit_A=0.010,
            sample_every_s=1.0,
            lease=NoLease(),
            safe_off=SafeOffEntry("smu1", "keithley-2400", "nowhere"),
            changed=lambda: None,
        )


def volts(*seen: float, current_A: float = 0.0, output_on: bool = True) -> Bench:
    return Bench(iter([Reading(one, current_A, output_on, frozenset(), 0.0) for one in seen]))


def begun(*steps: TimedStep, safety: Safety = Safety()) -> tuple[Program, State]:  # noqa: B008
    program = Program("p", Cell("c"), safety, steps or (CHARGE,))
    return program, engine.begin(program)


async def looked(
    bench: Bench,
    run: tuple[Program, State] | None = None,
    *,
    last: LastSeen | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> AtRest:
    fit = bench.fittings()
    return await at_rest(fit, Output(fit), *(run or begun()), stopping, last=last)


@virtually
async def test_a_good_cell_is_seen_three_times_at_no_current_and_its_voltage_is_the_middle_one() -> None:
    bench = volts(3.70, 3.72, 3.71)
    found = await looked(bench, last=LastSeen(3.75, 0))
    assert (found.voltage_V, found.last_V) == (3.71, 3.75)
    assert bench.set_to == [Rest((2.0, 5.0))]
    assert found.guarded.last is not None
    assert found.guarded.last.voltage_V == 3.71
    assert next(bench.looks, None) is None


@virtually
async def test_a_run_that_never_saw_its_cell_has_no_last_voltage() -> None:
    assert (await looked(volts(3.7, 3.7, 3.7))).last_V is None


@pytest.mark.parametrize(("fastest_s", "apart_s"), [(0.05, 0.1), (0.4, 0.4)])
def test_the_looks_are_apart_by_what_a_setting_needs_to_settle_or_the_instrument_to_read(
    fastest_s: float, apart_s: float
) -> None:
    @virtually
    async def look() -> None:
        bench, began_s = volts(3.7, 3.7, 3.7), LoopClock().now()
        bench.ratings = replace(RATINGS, fastest_sample_s=fastest_s)
        await looked(bench)
        times_s = [began_s, *bench.read_at_s]
        assert [b - a for a, b in pairwise(times_s)] == pytest.approx([apart_s] * 3, abs=0.01)

    look()


@virtually
async def test_a_stop_meanwhile_is_heard_before_the_next_look() -> None:
    bench = volts(3.7, 3.7, 3.7)
    with pytest.raises(RefusedError, match="a stop was asked for"):
        await looked(bench, stopping=lambda: len(bench.read_at_s) == 1)
    assert len(bench.read_at_s) == 1


@virtually
async def test_two_lost_readings_are_asked_for_again_once_the_link_is_in_step() -> None:
    good = Reading(3.7, 0.0, output_on=True, flags=frozenset(), at_s=0.0)
    bench = Bench(iter([LinkTimeout("silence"), good, BadReply("?", b"x", "no number"), good, good]))
    assert (await looked(bench)).voltage_V == 3.7
    assert bench.resyncs == 2


@virtually
async def test_the_third_lost_reading_ends_the_look() -> None:
    bench = Bench(iter([LinkTimeout("one"), LinkTimeout("two"), LinkTimeout("three")]))
    with pytest.raises(LinkTimeout, match="three"):
        await looked(bench)
    assert bench.resyncs == 2


@virtually
async def test_an_instrument_that_is_broken_is_not_asked_again() -> None:
    bench = Bench(iter([DeviceFault("its output is open")]))
    with pytest.raises(DeviceFault, match="its output is open"):
        await looked(bench)
    assert bench.resyncs == 0


@virtually
async def test_a_cell_outside_the_limits_is_refused_at_its_first_look() -> None:
    bench = volts(5.1, 3.7, 3.7)
    with pytest.raises(RefusedError, match=r"voltage 5\.1 V is outside"):
        await looked(bench)
    assert len(bench.read_at_s) == 1


@virtually
async def test_a_current_that_flows_at_rest_is_a_fault_of_the_connection() -> None:
    with pytest.raises(DeviceFault, match="does not do what it was set to"):
        await looked(volts(3.7, 3.7, 3.7, current_A=1e-3))


@virtually
async def test_a_voltage_that_does_not_stand_still_is_an_open_lead() -> None:
    with pytest.raises(DeviceFault, match="does not stand still"):
        await looked(volts(3.0, 3.3, 3.0))


def test_a_quarter_of_a_volt_between_looks_is_a_cell_that_relaxes_and_no_more() -> None:
    assert floating([3.0, 3.25, 3.0]) is None
    assert floating([3.0, 3.26]) == (
        "the voltage at rest does not stand still (3 V, 3.26 V): a lead is open, or its contact bad"
    )
    assert floating([3.0, float("nan")]) is not None


@virtually
async def test_another_cell_than_was_there_before_gets_no_current() -> None:
    with pytest.raises(RefusedError, match="is it the same cell"):
        await looked(volts(3.4, 3.4, 3.4), last=LastSeen(3.7, 0))


@virtually
async def test_a_cell_outside_the_runs_own_safety_gets_no_current() -> None:
    with pytest.raises(RefusedError, match=r"4\.4 V at rest, outside the run's 2\.5 V to 4\.3 V"):
        await looked(volts(4.4, 4.4, 4.4), begun(safety=Safety(voltage_V=(2.5, 4.3))))


@virtually
async def test_each_look_is_work_done_and_renews_the_lease() -> None:
    bench = volts(3.7, 3.7, 3.7)
    renewed: list[str] = []

    class Counting(NoLease):
        def renew(self, channel: str, _lease_s: float, /) -> None:
            renewed.append(channel)

    fit = replace(bench.fittings(), lease=Counting())
    await at_rest(fit, Output(fit), *begun(), lambda: False)
    assert renewed == ["a1"] * 4  # when it is set, and at each look


def test_after_an_hour_of_rest_to_the_second_a_voltage_stands_still() -> None:
    program, state = begun(REST)
    state, _ = engine.advance(program, state, Started(0.0, 0.0))
    for at_s in (0.0, 3600.0):
        state, _ = engine.advance(program, state, Sampled(at_s, at_s, 3.7, 0.0, None))
    assert last_seen(program, state) == LastSeen(3.7, 0)


def test_the_farthest_that_a_cell_relaxes_is_where_it_may_be() -> None:
    assert objection(3.0, LastSeen(3.5, 1), None) is None
    assert objection(4.0, LastSeen(3.5, -1), None) is None


@pytest.mark.parametrize("found_V", [2.5, 4.3])
def test_a_cell_at_the_very_edge_of_its_safety_is_inside(found_V: float) -> None:
    assert objection(found_V, None, (2.5, 4.3)) is None


@pytest.mark.parametrize(("found_V", "well"), [(3.5, True), (3.49, False), (3.75, True), (3.76, False)])
def test_both_ends_of_where_a_cell_may_have_relaxed_to_are_inside(found_V: float, *, well: bool) -> None:
    assert (objection(found_V, LastSeen(3.625, 0), None) is None) == (abs(found_V - 3.625) <= 0.1)
    assert (objection(found_V, LastSeen(4.0, 1), (3.5, 3.75)) is None) == well


async def _warm(degC: float | None, run: tuple[Program, State], limits: GuardLimits = WARM_LIMITS) -> AtRest:
    bench = volts(3.7, 3.7, 3.7)
    bench.limits = limits
    bench.temperature = None if degC is None else Measurement(degC, LoopClock().now())
    return await looked(bench, run)


@virtually
async def test_a_cell_that_is_too_cold_to_be_driven_may_rest() -> None:
    with pytest.raises(RefusedError, match="temperature 10 °C is outside the limits"):
        await _warm(10.0, begun(CHARGE))
    assert (await _warm(10.0, begun(REST))).voltage_V == 3.7
    assert (await _warm(20.0, begun(CHARGE))).voltage_V == 3.7


@virtually
async def test_the_runs_own_limits_of_temperature_hold_before_it_is_driven() -> None:
    run = begun(CHARGE, safety=Safety(temperature_degC=(30.0, 40.0)))
    for degC in (29.0, 41.0):
        with pytest.raises(RefusedError, match="is outside the run's 30 °C to 40 °C"):
            await _warm(degC, run)
    for degC in (30.0, 40.0):
        assert (await _warm(degC, run)).voltage_V == 3.7
    assert (await _warm(None, run, LIMITS)).voltage_V == 3.7  # an unmonitored channel
    assert (await _warm(29.0, begun(REST, safety=Safety(temperature_degC=(30.0, 40.0))))).voltage_V == 3.7


@virtually
async def test_what_counts_is_the_step_that_comes_next_and_not_the_programs_first() -> None:
    program, state = begun(REST, CHARGE)
    started, _ = engine.advance(program, state, Started(0.0, 0.0))
    in_charge, _ = engine.advance(program, replace(started), Sampled(0.0, 0.0, 3.7, 0.0, None))
    in_charge, _ = engine.advance(program, in_charge, Sampled(86400.0, 86400.0, 3.7, 0.0, None))
    assert in_charge.course.place[-1].index == 1
    assert (await _warm(10.0, (program, started))).voltage_V == 3.7
    with pytest.raises(RefusedError, match="temperature 10 °C"):
        await _warm(10.0, (program, in_charge))


@virtually
async def test_a_program_in_which_nothing_takes_time_drives_nothing() -> None:
    program = Program("p", Cell("c"), Safety(), ())
    assert (await _warm(10.0, (program, engine.begin(program)))).voltage_V == 3.7


def test_the_counts_of_a_guard_that_is_gone_go_on() -> None:
    program, state = begun(CHARGE)
    state, _ = engine.advance(program, state, Started(0.0, 0.0))
    for at_s in (0.0, 1.0, 2.0, 3.0):
        state, _ = engine.advance(program, state, Sampled(at_s, at_s, 3.7, 1e-3, None))
    fresh = Guard(LIMITS).begin_step(Rest((2.0, 5.0)), Ceilings(), 0.0)
    guarded = recounted(fresh, state, Ceilings(charge_Ah=1.0))
    assert guarded.step.ceilings == Ceilings(charge_Ah=1.0)
    assert guarded.step.setpoint == fresh.step.setpoint
    assert guarded.charge_Ah == pytest.approx(3e-3 / 3600)
    assert guarded.time_s == 3.0
    assert guarded.before_Ah == 0.0
    whole = replace(state, course=replace(state.course, whole=Together(0.0, 2e-3)))
    assert recounted(fresh, whole, Ceilings()).before_Ah == 2e-3


def test_a_run_without_a_sample_yet_counts_from_nothing() -> None:
    _, state = begun(CHARGE)
    guarded: GuardState = recounted(Guard(LIMITS).begin_step(Rest((2.0, 5.0)), Ceilings(), 0.0), state, Ceilings())
    assert (guarded.charge_Ah, guarded.time_s, guarded.before_Ah) == (0.0, 0.0, 0.0)
