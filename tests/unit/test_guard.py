"""The guard: what is not provably inside its limits is outside."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.guard import Ceilings, Guard, GuardLimits, GuardState, Severity, Trip
from cycler_ctl.instrument import Flag, Measurement, Reading
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint

LIMITS = GuardLimits(
    voltage_V=(-0.5, 5.0),
    current_A=0.010,
    stale_s=3.0,
    temperature_degC=(20.0, 140.0),
    step=Ceilings(charge_Ah=0.020, time_s=86400.0),
)
WINDOW = (0.18, 1.22)
LITHIATE = ConstantCurrent(-0.4e-3, WINDOW)
DELITHIATE = ConstantCurrent(0.4e-3, WINDOW)
GOOD = Reading(voltage_V=0.6, current_A=-0.4e-3, output_on=True, flags=frozenset({Flag.COMPLIANCE}), at_s=1.0)
REST = Rest(WINDOW)
WARM = Measurement(120.0, 0.5)
NAN = math.nan


def begun(setpoint: Setpoint = LITHIATE, limits: GuardLimits = LIMITS, ceilings: Ceilings = Ceilings()) -> GuardState:  # noqa: B008
    return Guard(limits).begin_step(setpoint, ceilings, 0.0)


def trip_of(
    reading: Reading,
    *,
    setpoint: Setpoint = LITHIATE,
    limits: GuardLimits = LIMITS,
    temperature: Measurement | None = WARM,
    now_s: float | None = None,
) -> Trip | None:
    now_s = reading.at_s if now_s is None else now_s
    return Guard(limits).check(begun(setpoint, limits), reading, temperature, now_s)[1]


def feed(readings: list[Reading], setpoint: Setpoint = LITHIATE, limits: GuardLimits = LIMITS) -> list[str | None]:
    state, guard = begun(setpoint, limits), Guard(limits)
    codes: list[str | None] = []
    for reading in readings:
        state, trip = guard.check(state, reading, replace(WARM, at_s=reading.at_s), reading.at_s)
        codes.append(None if trip is None else trip.code)
    return codes


def at(second: float, voltage_V: float, current_A: float) -> Reading:
    return replace(GOOD, at_s=second, voltage_V=voltage_V, current_A=current_A)


def test_a_good_reading_passes() -> None:
    assert trip_of(GOOD) is None


@pytest.mark.parametrize(
    ("reading", "code"),
    [
        (replace(GOOD, voltage_V=5.001), "voltage"),
        (replace(GOOD, voltage_V=-0.501), "voltage"),
        (replace(GOOD, current_A=0.01001), "current"),
        (replace(GOOD, current_A=-0.01001), "current"),
        (replace(GOOD, output_on=False), "output"),
        (replace(GOOD, flags=frozenset({Flag.OVERVOLTAGE_PROTECTION})), "ovp"),
        (replace(GOOD, at_s=-0.1), "clock"),
        (replace(GOOD, at_s=3.1), "stale"),
    ],
)
def test_one_reading_outside_any_limit_trips(reading: Reading, code: str) -> None:
    trip = trip_of(reading)
    assert trip is not None
    assert trip.code == code


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_trips(bad: float) -> None:
    assert trip_of(replace(GOOD, voltage_V=bad)) is not None
    assert trip_of(replace(GOOD, current_A=bad)) is not None
    assert trip_of(replace(GOOD, at_s=bad), now_s=1.0) is not None


def test_a_current_that_is_no_number_is_a_current_beyond_its_limit() -> None:
    trip = trip_of(replace(GOOD, current_A=NAN))
    assert trip is not None
    assert trip.code == "current"


@pytest.mark.parametrize("now_s", [math.nan, math.inf, -math.inf, -0.5])
def test_a_clock_that_tells_no_time_trips(now_s: float) -> None:
    assert trip_of(GOOD, now_s=now_s) is not None


@pytest.mark.parametrize(
    ("temperature", "code"),
    [
        (None, "temperature-missing"),
        (Measurement(120.0, -29.5), "temperature-missing"),
        (Measurement(120.0, NAN), "temperature-missing"),
        (Measurement(120.0, 3.0), "temperature-missing"),
        (Measurement(NAN, 1.0), "temperature"),
        (Measurement(math.inf, 1.0), "temperature"),
        (Measurement(140.1, 1.0), "temperature"),
        (Measurement(19.9, 1.0), "temperature"),
    ],
)
def test_a_missing_old_or_wrong_temperature_trips(temperature: Measurement | None, code: str) -> None:
    trip = trip_of(GOOD, temperature=temperature)
    assert trip is not None
    assert trip.code == code


def test_a_channel_without_temperature_limits_needs_no_sensor() -> None:
    assert trip_of(GOOD, temperature=None, limits=replace(LIMITS, temperature_degC=None)) is None


def test_a_resting_cell_may_be_cold_but_never_hot_or_unseen() -> None:
    rest, reading = Rest(WINDOW), replace(GOOD, current_A=0.0, output_on=False)
    assert trip_of(reading, setpoint=rest, temperature=Measurement(15.0, 1.0)) is None
    for temperature in (Measurement(141.0, 1.0), Measurement(-math.inf, 1.0), Measurement(NAN, 1.0), None):
        assert trip_of(reading, setpoint=rest, temperature=temperature) is not None


@given(
    voltage_V=st.floats() | st.floats(-1.0, 6.0),
    current_A=st.floats() | st.floats(-0.02, 0.02),
    at_s=st.floats() | st.floats(-1.0, 4.0),
    value=st.floats() | st.floats(0.0, 150.0),
    now_s=st.floats() | st.floats(-3.0, 8.0),
    setpoint=st.sampled_from([LITHIATE, DELITHIATE, Rest(WINDOW), ConstantVoltage(1.2, 0.4e-3)]),
)
def test_no_reading_outside_the_limits_ever_passes(
    *, voltage_V: float, current_A: float, at_s: float, value: float, now_s: float, setpoint: Setpoint
) -> None:
    reading = Reading(voltage_V, current_A, output_on=True, flags=frozenset(), at_s=at_s)
    trip = trip_of(reading, setpoint=setpoint, temperature=Measurement(value, at_s), now_s=now_s)
    inside = -0.5 <= voltage_V <= 5.0 and abs(current_A) <= 0.010 and value <= 140.0 and 0.0 <= at_s <= 3.0
    fresh = -1.0 <= now_s - at_s <= 3.0
    assert trip is not None or (inside and fresh)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(-0.01, 0.01)), max_size=30))
def test_the_guards_charge_is_never_less_than_the_true_one(samples: list[tuple[float, float]]) -> None:
    guard, state, time_s, charge_As, last_A = Guard(LIMITS), begun(), 0.0, 0.0, 0.0
    for passed_s, current_A in samples:
        time_s += passed_s
        charge_As += max(abs(current_A), abs(last_A)) * passed_s
        last_A = current_A
        state, trip = guard.check(state, at(time_s, 0.6, current_A), replace(WARM, at_s=time_s), time_s)
        if trip is not None:
            break
        assert state.charge_Ah >= charge_As / 3600 * (1 - 1e-9)


def test_the_charge_ceiling_ends_a_step_that_no_cut_off_ends() -> None:
    guard = Guard(LIMITS)
    state = guard.begin_step(LITHIATE, Ceilings(charge_Ah=0.4e-3 * 10 / 3600), 0.0)
    codes: list[str | None] = []
    for second in range(1, 13):
        state, trip = guard.check(state, at(second, 0.6, 0.0), replace(WARM, at_s=second), second)
        codes.append(None if trip is None else trip.code)
    assert codes == [None] * 10 + ["charge"] * 2  # a reading of 0 A does not hide what was set


def test_the_time_ceiling_ends_a_step_and_a_pause_does_not_count() -> None:
    guard = Guard(replace(LIMITS, temperature_degC=None))
    state = guard.begin_step(LITHIATE, Ceilings(time_s=4.0), 0.0)
    state, _ = guard.check(state, at(2.0, 0.6, -0.4e-3), None, 2.0)
    state = guard.turned_on(guard.turned_off(state, 2.0), LITHIATE, 1000.0)
    state, trip = guard.check(state, at(1002.0, 0.6, -0.4e-3), None, 1002.0)
    assert trip is None
    assert state.time_s == pytest.approx(4.0)
    _, trip = guard.check(state, at(1002.1, 0.6, -0.4e-3), None, 1002.1)
    assert trip is not None
    assert trip.code == "time"


def test_a_step_cannot_widen_the_channels_ceilings() -> None:
    state = begun(ceilings=Ceilings(charge_Ah=1.0, time_s=1e9))
    assert state.step.ceilings == Ceilings(0.020, 86400.0, whole_Ah=0.020)


def test_the_parts_of_a_step_are_counted_together_and_each_for_itself() -> None:
    guard, ceilings = Guard(replace(LIMITS, temperature_degC=None)), Ceilings(charge_Ah=1e-3, whole_Ah=1.5e-3)
    state, codes = None, []
    for part in range(4):
        state = guard.begin_step(LITHIATE, ceilings, 0.0, state, part=True)
        state, trip = guard.check(state, at(3.0, 0.6, -0.4e-3), None, 3.0)
        codes.append(None if trip is None else trip.code)
        assert state.before_Ah == pytest.approx(part * 0.4e-3 * 3 / 3600)
    assert codes == [None] * 4
    late = replace(state, before_Ah=1.4998e-3) if state is not None else begun()
    late, trip = guard.check(replace(late, charge_Ah=0.0, at_s=3.0), at(6.0, 0.6, -0.4e-3), None, 6.0)
    assert trip is not None
    assert "in all its parts, above its ceiling of 1.5 mAh" in trip.reason
    assert guard.begin_step(LITHIATE, ceilings, 0.0).before_Ah == 0.0


def test_a_lifted_lead_faults_before_the_engine_could_take_it_for_a_cut_off() -> None:
    readings = [at(1.0, 0.6, -0.4e-3), at(2.0, 0.18, -1e-9), at(3.0, 0.18, 1e-9)]
    assert feed(readings) == [None, None, "open-circuit"]
    assert feed(readings, limits=replace(LIMITS, open_samples=1)) == [None, "open-circuit", "open-circuit"]


def test_a_window_reached_without_its_cut_off_faults_after_three_samples() -> None:
    up = [at(n, 1.22, 0.15e-3) for n in (1, 2, 3)]
    assert feed(up, DELITHIATE) == [None, None, "window"]
    down = [at(n, 0.181, -0.15e-3) for n in (1, 2, 3)]
    assert feed(down) == [None, None, "window"]


def test_two_low_samples_with_a_good_one_between_are_no_fault() -> None:
    low, good = (0.18, -0.1e-3), (0.2, -0.4e-3)
    assert feed([at(n, *pair) for n, pair in enumerate([low, low, good, low, low, good], 1)]) == [None] * 6


def test_a_low_current_inside_the_window_is_not_the_windows_edge() -> None:
    assert feed([at(n, 0.6, -0.1e-3) for n in range(1, 9)]) == [None] * 8


def test_a_current_the_wrong_way_round_faults_after_three_samples() -> None:
    assert feed([at(n, 0.6, 0.4e-3) for n in (1, 2, 3)]) == [None, None, "direction"]


def test_with_a_plain_current_source_compliance_itself_is_the_fault() -> None:
    limits = replace(LIMITS, bounded=False)
    assert feed([at(1.0, 1.22, -0.4e-3)], limits=limits) == ["compliance"]
    plain = replace(GOOD, flags=frozenset())
    assert trip_of(plain, limits=limits) is None


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize(
    ("current_A", "code"), [(-0.9e-3, "not-as-set"), (0.9e-3, "not-as-set"), (0.3e-3, "direction")]
)
def test_a_current_that_is_not_what_was_set_faults_after_three_samples(
    current_A: float, code: str, *, bounded: bool
) -> None:
    limits = replace(LIMITS, bounded=bounded)
    readings = [replace(at(0.5 * n, 0.6, current_A), flags=frozenset()) for n in range(1, 4)]
    assert feed(readings, limits=limits) == [None, None, code]
    readings[1] = replace(readings[1], current_A=-0.4e-3)
    assert feed(readings, limits=limits) == [None, None, None]


def test_at_rest_no_current_may_flow_but_the_instruments_offset() -> None:
    limits = replace(LIMITS, rest_A=0.1e-3)
    for current_A in (0.11e-3, -0.11e-3):
        assert feed([at(0.5 * n, 0.6, current_A) for n in (1, 2, 3)], REST, limits) == [None, None, "not-as-set"]
    assert feed([at(0.5 * n, 0.6, 0.1e-3) for n in (1, 2, 3)], REST, limits) == [None, None, None]


def stands(seconds: range, setpoint: Setpoint = LITHIATE, stuck_s: float = 1800.0) -> list[str | None]:
    readings = [at(second, 0.6, -0.4e-3) for second in seconds]
    return feed(readings, setpoint, replace(LIMITS, stale_s=400.0, stuck_s=stuck_s))


@pytest.mark.parametrize("setpoint", [LITHIATE, Rest(WINDOW), ConstantVoltage(0.6, 0.4e-3)])
def test_readings_the_same_in_every_digit_for_half_an_hour_are_stuck(setpoint: Setpoint) -> None:
    codes = stands(range(1, 1802), setpoint)
    assert codes[-1] == "stuck"
    assert set(codes[:-1]) == {None}
    assert set(stands(range(1, 3600), setpoint, math.inf)) == {None}  # an instrument that shows no noise


def test_a_few_slow_readings_may_be_the_same_by_chance() -> None:
    assert stands(range(300, 300 * 12, 300)) == [None] * 10 + ["stuck"]


@pytest.mark.parametrize("other", [at(900, 0.6000001, -0.4e-3), at(900, 0.6, -0.40001e-3)])
def test_one_digit_that_moves_shows_that_somebody_measures(other: Reading) -> None:
    limits = replace(LIMITS, stuck_s=1800.0)
    readings = [other if second == 900 else at(second, 0.6, -0.4e-3) for second in range(1, 2600)]
    assert set(feed(readings, limits=limits)) == {None}


def test_a_trip_stays_until_a_new_run_begins() -> None:
    guard = Guard(LIMITS)
    state, trip = guard.check(begun(), at(1.0, 9.0, -0.4e-3), WARM, 1.0)
    again, same = guard.check(state, GOOD, WARM, 1.0)
    assert trip is not None
    assert same == trip
    assert again == state
    assert guard.overdue(state, 1.0) == trip


def test_silence_longer_than_the_stale_limit_is_overdue_only_while_energised() -> None:
    guard, state = Guard(LIMITS), begun()
    assert guard.overdue(state, 3.0) is None
    trip = guard.overdue(state, 3.01)
    assert trip is not None
    assert trip.severity is Severity.FAULTED
    assert guard.overdue(state, NAN) is not None
    assert guard.overdue(guard.turned_off(state, 0.0), 1e6) is None


def test_an_output_that_stays_on_after_off_is_a_fault() -> None:
    guard = Guard(LIMITS)
    off = guard.turned_off(begun(), 0.0)
    assert guard.check(off, replace(GOOD, output_on=False, voltage_V=9.0), None, 1.0)[1] is None
    trip = guard.check(off, GOOD, None, 1.0)[1]
    assert trip is not None
    assert trip.code == "output"


@given(low=st.floats(allow_infinity=False), high=st.floats(allow_infinity=False), most=st.floats(0, math.inf))
def test_a_run_can_only_tighten(low: float, high: float, most: float) -> None:
    tight = LIMITS.tightened(voltage_V=(low, high), current_A=most, temperature_degC=(low, high))
    assert tight.voltage_V[0] >= -0.5
    assert tight.voltage_V[1] <= 5.0
    assert tight.current_A <= 0.010
    assert tight.temperature_degC is not None
    assert tight.temperature_degC[0] >= 20.0
    assert tight.temperature_degC[1] <= 140.0


def test_limits_that_are_no_numbers_are_refused() -> None:
    for voltage_V, current_A, stale_s in (
        ((-math.inf, 5.0), 1.0, 3.0),
        ((0.0, 5.0), NAN, 3.0),
        ((0, 1), 1.0, math.inf),
    ):
        with pytest.raises(ValueError, match="finite"):
            GuardLimits(voltage_V=voltage_V, current_A=current_A, stale_s=stale_s)


def test_reasons_are_sentences_with_numbers_and_units() -> None:
    high = trip_of(replace(GOOD, voltage_V=5.3))
    hot = trip_of(GOOD, temperature=Measurement(151.0, 1.0))
    assert high is not None
    assert high.reason == "voltage 5.3 V is outside the channel's limits -0.5 V to 5 V"
    assert hot is not None
    assert hot.reason == "temperature 151 °C is outside the limits 20 °C to 140 °C"
    assert trip_of(GOOD, temperature=Measurement(140.0, 1.0)) is None
    old = trip_of(replace(GOOD, at_s=2.0), temperature=Measurement(120.0, -29.0))
    assert old is not None
    assert old.reason == "the temperature is 31 s old (at most 30 s are allowed)"
    much = Guard(LIMITS).check(begun(ceilings=Ceilings(charge_Ah=1e-7)), at(2.0, 0.6, -0.4e-3), WARM, 2.0)[1]
    assert much is not None
    assert much.reason.startswith("the step may have passed 0.00022222 mAh (counted on the safe side), more than its")
