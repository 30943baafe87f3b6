"""Where exactly the guard draws each line: a limit itself is inside, the next number beyond it is not.

The numbers are sums of powers of two wherever a computed value must meet its limit to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cycler_ctl.guard import Ceilings, Guard, GuardLimits, GuardState, Trip
from cycler_ctl.guarding import hold as guard_hold
from cycler_ctl.guarding.edges import beyond, changed
from cycler_ctl.guarding.hold import Held, amps, contact, seen
from cycler_ctl.guarding.limits import spent
from cycler_ctl.guarding.stuck import STUCK_S
from cycler_ctl.guarding.temperature import NEW, doubtful
from cycler_ctl.instrument import Measurement, Reading
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint

INF = math.inf
LIMITS = GuardLimits(voltage_V=(-5.0, 5.0), current_A=1.0, stale_s=3.0)
WINDOW = (0.0, 1.0)
UP, DOWN = ConstantCurrent(1e-3, WINDOW), ConstantCurrent(-1e-3, WINDOW)
BEGAN_S = 1000.0


def read(at_s: float, voltage_V: float = 0.5, current_A: float = 1e-3) -> Reading:
    return Reading(voltage_V, current_A, output_on=True, flags=frozenset(), at_s=at_s)


def begun(setpoint: Setpoint = UP, limits: GuardLimits = LIMITS) -> GuardState:
    return Guard(limits).begin_step(setpoint, Ceilings(), BEGAN_S)


def judged(reading: Reading, now_s: float, temperature: Measurement | None = None) -> Trip | None:
    limits = LIMITS if temperature is None else replace(LIMITS, temperature_degC=(20.0, 60.0))
    return Guard(limits).check(begun(limits=limits), reading, temperature, now_s)[1]


def codes(voltage_V: float, current_A: float, setpoint: Setpoint = UP, count: int = 3) -> list[str | None]:
    guard, state, found = Guard(LIMITS), begun(setpoint), list[str | None]()
    for n in range(1, count + 1):
        state, trip = guard.check(state, read(BEGAN_S + n, voltage_V, current_A), None, BEGAN_S + n)
        found.append(None if trip is None else trip.code)
    return found


FINE: list[str | None] = [None, None, None]


@pytest.mark.parametrize(
    ("at_s", "now_s", "code"),
    [
        (0.0, 0.0, None),  # no time has passed since the setpoint
        (-0.001, 0.0, "clock"),
        (3.0, 3.0, None),
        (3.001, 3.001, "stale"),
        (0.0, 3.0, None),
        (0.0, 3.001, "stale"),
        (1.0, 0.0, None),  # one exchange younger than the caller's now
        (1.125, 0.0, "clock"),
        (-1.5, -3.0, "clock"),
    ],
)
def test_a_reading_is_as_young_and_as_near_to_the_one_before_as_allowed(
    at_s: float, now_s: float, code: str | None
) -> None:
    trip = judged(read(BEGAN_S + at_s), BEGAN_S + now_s)
    assert (None if trip is None else trip.code) == code


def test_how_old_a_reading_is_or_how_long_none_came_is_said() -> None:
    old, late = judged(read(BEGAN_S), BEGAN_S + 3.5), judged(read(BEGAN_S + 3.5), BEGAN_S + 3.5)
    for trip in (old, late):
        assert trip is not None
        assert trip.reason == "no fresh reading for 3.5 s (at most 3 s are allowed)"


def test_silence_is_counted_from_the_newest_reading() -> None:
    guard, state = Guard(LIMITS), begun()
    assert guard.overdue(state, BEGAN_S + 3.0) is None
    assert guard.overdue(state, BEGAN_S + 3.001) is not None


@pytest.mark.parametrize(
    ("value", "code"), [(20.0, None), (60.0, None), (19.99, "temperature"), (60.01, "temperature")]
)
def test_both_limits_of_the_temperature_are_inside(value: float, code: str | None) -> None:
    trip = judged(read(BEGAN_S), BEGAN_S, Measurement(value, BEGAN_S))
    assert (None if trip is None else trip.code) == code


@pytest.mark.parametrize(
    ("age_s", "code"), [(30.0, None), (30.001, "temperature-missing"), (-1.0, None), (-1.125, "temperature-missing")]
)
def test_a_temperature_may_be_half_a_minute_old(age_s: float, code: str | None) -> None:
    trip = judged(read(BEGAN_S), BEGAN_S, Measurement(40.0, BEGAN_S - age_s))
    assert (None if trip is None else trip.code) == code


@pytest.mark.parametrize(("voltage_V", "current_A"), [(5.0, 1e-3), (-5.0, 1e-3), (0.5, 1.0), (0.5, -1.0)])
def test_a_channels_own_limit_is_inside_and_the_next_number_is_not(voltage_V: float, current_A: float) -> None:
    assert judged(read(BEGAN_S, voltage_V, current_A), BEGAN_S) is None
    is_voltage = voltage_V != 0.5
    further_V = math.nextafter(voltage_V, math.copysign(INF, voltage_V)) if is_voltage else voltage_V
    further_A = current_A if is_voltage else math.nextafter(current_A, math.copysign(INF, current_A))
    trip = judged(read(BEGAN_S, further_V, further_A), BEGAN_S)
    assert trip is not None
    assert trip.code == ("voltage" if is_voltage else "current")


def test_twice_the_current_the_wrong_way_round_is_told_as_its_direction() -> None:
    most_A = 2.0 * 1e-3 + 10e-9
    assert codes(0.5, -most_A) == [None, None, "direction"]
    assert codes(0.5, -math.nextafter(most_A, INF)) == [None, None, "not-as-set"]


def test_half_of_the_current_at_the_windows_edge_is_not_yet_too_little() -> None:
    for setpoint, edge_V, sign in ((UP, 1.0, 1.0), (DOWN, 0.0, -1.0)):
        assert codes(edge_V, sign * 0.5e-3, setpoint) == FINE
        assert codes(edge_V, sign * 0.499e-3, setpoint) == [None, None, "window"]
        assert codes(0.5, sign * 0.1e-3, setpoint) == FINE  # within the window it is the engine's matter


def test_the_windows_edge_is_ten_millivolts_wide() -> None:
    assert codes(0.989, 0.1e-3) == FINE
    assert codes(0.991, 0.1e-3) == [None, None, "window"]
    assert codes(0.011, -0.1e-3, DOWN) == FINE
    assert codes(0.009, -0.1e-3, DOWN) == [None, None, "window"]
    for edge_V, current_A, setpoint in ((1.0 - 0.010, 0.1e-3, UP), (0.010, -0.1e-3, DOWN)):
        assert codes(edge_V, current_A, setpoint) == [None, None, "window"]


def test_a_hundredth_of_the_current_conducts() -> None:
    assert codes(1.0, 10.5e-6) == [None, None, "window"]
    assert codes(1.0, 1e-5) == [None, "open-circuit", "open-circuit"]


def test_more_than_twice_the_current_and_ten_nanoampere_is_not_what_was_set() -> None:
    assert codes(0.5, 2e-3) == FINE
    assert codes(0.5, 2.1e-3) == [None, None, "not-as-set"]
    tiny = ConstantCurrent(10e-9, WINDOW)
    assert codes(0.5, 29.5e-9, tiny) == FINE
    assert codes(0.5, 31e-9, tiny) == [None, None, "not-as-set"]


def test_half_of_the_current_the_wrong_way_round_is_the_wrong_direction() -> None:
    assert codes(0.5, -0.5e-3) == [None, None, "direction"]
    assert codes(1.0, -0.499e-3) == [None, None, "window"]
    assert codes(0.5, -0.499e-3) == FINE


def test_a_constant_current_of_nothing_has_no_direction() -> None:
    nothing = ConstantCurrent(0.0, WINDOW)
    for edge_V in WINDOW:
        for current_A in (-5e-9, 5e-9):
            assert codes(edge_V, current_A, nothing) == FINE
    assert codes(0.5, 2e-8, nothing) == [None, None, "not-as-set"]


def test_another_step_counts_from_zero_and_another_part_goes_on() -> None:
    guard = Guard(LIMITS)
    before = replace(begun(), charge_Ah=0.25, before_Ah=0.5)
    assert guard.begin_step(UP, Ceilings(), 0.0, before).before_Ah == 0.0
    assert guard.begin_step(UP, Ceilings(), 0.0, before, part=True).before_Ah == 0.75


def test_off_and_on_again_leave_nothing_of_what_flows() -> None:
    guard = Guard(LIMITS)
    state = replace(begun(), current_A=0.9, low=2, charge_Ah=0.25, at_s=7.0)
    for after in (guard.turned_off(state, 7.0), guard.turned_on(state, DOWN, 7.0)):
        assert (after.current_A, after.low, after.at_s, after.charge_Ah) == (0.0, 0, 7.0, 0.25)


TAPERING = ConstantVoltage(0.5, 1e-3)


@pytest.mark.parametrize(
    ("setpoint", "current_A", "worst_A"),
    [(UP, 0.9e-3, 1e-3), (UP, 1.5e-3, 1.5e-3), (TAPERING, 0.25e-3, 0.25e-3), (Rest(WINDOW), 5e-9, 5e-9)],
)
def test_what_flowed_from_the_last_reading_until_the_output_was_off_counts_and_so_does_its_time(
    setpoint: Setpoint, current_A: float, worst_A: float
) -> None:
    guard = Guard(LIMITS)
    began = replace(begun(setpoint), at_s=5.0)
    state = replace(began, current_A=current_A, held=Held(current_A), charge_Ah=0.25, before_Ah=0.5, time_s=64.0)
    off = guard.turned_off(state, 7.0)
    assert off.charge_Ah - 0.25 == pytest.approx(worst_A * 2.0 / 3600.0)
    assert (off.time_s, off.at_s, off.before_Ah) == (66.0, 7.0, 0.5)
    again = guard.turned_off(off, 9.0)
    assert (again.charge_Ah, again.time_s, again.at_s) == (off.charge_Ah, 66.0, 9.0)
    part = guard.begin_step(UP, Ceilings(), 7.0, state, part=True)
    assert part.before_Ah == 0.5 + off.charge_Ah
    assert (part.charge_Ah, part.time_s) == (0.0, 0.0)


def test_a_hold_that_was_turned_off_before_its_first_reading_counts_with_its_limit() -> None:
    off = Guard(LIMITS).turned_off(begun(TAPERING), BEGAN_S + 2.0)
    assert off.charge_Ah == pytest.approx(1e-3 * 2.0 / 3600.0)


def test_of_the_time_that_nobody_watched_no_more_counts_than_a_reading_may_be_late() -> None:
    """A computer that slept: nobody knows whether anything flowed, and the run waits for a person who is told so."""
    off = Guard(LIMITS).turned_off(begun(), BEGAN_S + 1e5)
    assert off.time_s == LIMITS.stale_s
    assert off.charge_Ah == pytest.approx(1e-3 * LIMITS.stale_s / 3600.0)
    assert Guard(LIMITS).turned_off(begun(), BEGAN_S - 1.0).charge_Ah == 0.0


def test_a_clock_that_tells_no_time_when_the_output_goes_off_ends_the_step_at_its_next_reading() -> None:
    guard = Guard(LIMITS)
    on = guard.turned_on(guard.turned_off(begun(), math.nan), UP, BEGAN_S)
    _, trip = guard.check(on, read(BEGAN_S + 1.0), None, BEGAN_S + 1.0)
    assert trip is not None
    assert trip.code == "charge"


def test_an_output_that_stays_on_after_off_stays_a_fault_and_one_that_is_off_changes_nothing() -> None:
    guard = Guard(LIMITS)
    off = guard.turned_off(begun(), BEGAN_S)
    state, trip = guard.check(off, read(BEGAN_S), None, BEGAN_S)
    assert trip is not None
    assert state.trip == trip
    assert guard.check(off, replace(read(BEGAN_S), output_on=False), None, BEGAN_S)[0] is off


def test_limits_that_are_not_given_tighten_nothing_and_those_inside_are_taken_as_they_are() -> None:
    warm = replace(LIMITS, temperature_degC=(20.0, 60.0))
    assert warm.tightened() == warm
    inside = warm.tightened(voltage_V=(2.0, 4.0), current_A=0.5, temperature_degC=(30.0, 50.0))
    assert (inside.voltage_V, inside.current_A, inside.temperature_degC) == ((2.0, 4.0), 0.5, (30.0, 50.0))


def test_a_ceiling_may_be_reached_and_not_passed() -> None:
    most = Ceilings(charge_Ah=0.5, time_s=8.0, whole_Ah=0.75)
    assert spent(most, 0.5, 0.25, 8.0) is None
    for charge_Ah, before_Ah, time_s, code in (
        (0.501, 0.0, 0.0, "charge"),
        (0.5, 0.251, 0.0, "charge"),
        (0, 0, 8.1, "time"),
    ):
        found = spent(most, charge_Ah, before_Ah, time_s)
        assert found is not None
        assert found[0] == code


def edge(before: tuple[float, float], after: tuple[float, float], apart_s: float = 1.0) -> str | None:
    """With (voltage, current) before and after a setpoint; 64 ohm are allowed."""
    first, then = read(BEGAN_S, *before), read(BEGAN_S + apart_s, *after)
    found = changed(replace(LIMITS, r_max_ohm=64.0), first, then, at_edge=True)
    return None if found is None else found[0]


def test_the_resistance_that_is_allowed_is_allowed() -> None:
    assert edge((3.5, 0.0), (4.0, 0.5**7)) is None
    assert edge((3.5, 0.0), (4.0 + 2.0**-40, 0.5**7)) == "resistance"


def test_an_edge_says_nothing_after_twelve_seconds_or_for_a_twentieth_of_the_current() -> None:
    assert edge((3.5, 0.0), (4.5, 0.5**7), 12.0) == "resistance"
    assert edge((3.5, 0.0), (4.5, 0.5**7), 12.5) is None
    assert edge((3.5, 1.0e-3), (4.5, 1.06e-3)) == "resistance"
    assert edge((3.5, 1.0e-3), (4.5, 1.0515e-3)) is None  # 5.15 % of the smaller, 4.9 % of the larger
    assert edge((3.5, 0.0), (4.5, 0.0)) is None


def test_the_slew_that_is_allowed_is_allowed() -> None:
    limits = replace(LIMITS, slew_max_V_s=0.5)
    assert changed(limits, read(BEGAN_S, 3.5), read(BEGAN_S + 1.0, 4.0), at_edge=False) is None
    assert changed(limits, read(BEGAN_S, 3.5), read(BEGAN_S + 1.0, 4.0 + 2.0**-40), at_edge=False) is not None


@pytest.mark.parametrize(("power_W", "text"), [(0.1, "0.1 W"), (0.11, "0.11 W"), (0.09, "90 mW")])
def test_a_tenth_of_a_watt_is_said_in_watts(power_W: float, text: str) -> None:
    found = beyond(replace(LIMITS, power_W=0.0), read(BEGAN_S, 1.0, power_W))
    assert found is not None
    assert found[1].startswith(f"power {text} is")


@pytest.mark.parametrize(("current_A", "text"), [(0.1, "0.1 A"), (0.11, "0.11 A"), (-0.1, "-0.1 A"), (0.09, "90 mA")])
def test_a_tenth_of_an_ampere_is_said_in_amperes(current_A: float, text: str) -> None:
    assert amps(current_A) == text


HOLD = ConstantVoltage(4.0, 1.0)


@pytest.mark.parametrize(
    ("before_A", "last_A", "current_A", "is_open"),
    [
        (0.5, 0.5, 0.025, True),  # a twentieth
        (0.5, 0.5, 0.0251, False),
        (0.5, 0.5, 0.022, True),
        (1.0, 0.5, 0.0, True),  # it was falling, no faster than by half
        (1.01, 0.5, 0.0, False),
        (0.01, 0.01, 0.0, True),  # a hundredth of the limit is above the noise
        (0.0099, 0.0099, 0.0, False),
        (None, 0.5, 0.0, False),
        (0.5, None, 0.0, False),
    ],
)
def test_a_lead_is_open_when_a_steady_current_falls_to_a_twentieth(
    before_A: float | None, last_A: float | None, current_A: float, *, is_open: bool
) -> None:
    after = seen(Held(last_A, before_A, reached=True), HOLD, read(BEGAN_S, 4.0, current_A))
    assert (after.odd == 1) == is_open
    odd = Held(last_A, before_A, reached=True, odd=2)
    assert (contact(odd, HOLD, read(BEGAN_S, 4.0, current_A)) is not None) == is_open


@pytest.mark.parametrize(
    ("voltage_V", "current_A", "reached", "good"),
    [
        (3.0, 0.9, False, True),  # on its way, at nine tenths of its limit
        (3.0, 0.89, False, False),
        (5.0, -0.9, False, True),
        (5.0, -0.89, False, False),
        (5.0, 0.9, False, False),
        (3.0, 0.9, True, False),
    ],
)
def test_a_cell_on_its_way_takes_nine_tenths_of_its_limit(
    voltage_V: float, current_A: float, *, reached: bool, good: bool
) -> None:
    assert (seen(Held(reached=reached), HOLD, read(BEGAN_S, voltage_V, current_A)).odd == 0) == good


def test_the_edges_of_a_held_voltage_belong_to_it() -> None:
    zero = ConstantVoltage(0.0, 1.0)
    assert seen(guard_hold.NEW, zero, read(BEGAN_S, 0.010, 0.0)).reached
    assert seen(guard_hold.NEW, zero, read(BEGAN_S, 0.0101, 0.0)).odd == 1
    tenth = ConstantVoltage(0.1, 1.0)
    assert seen(Held(reached=True), tenth, read(BEGAN_S, 0.0, 1.0)).odd == 0
    assert seen(Held(reached=True), tenth, read(BEGAN_S, -0.001, 1.0)).odd == 1


def felt(limits: GuardLimits, *values: tuple[float, float]) -> list[str | None]:
    """Of (time, temperature), the first time being late in a run."""
    warmth, found = NEW, list[str | None]()
    for at_s, value in values:
        warmth = warmth.seen(Measurement(value, BEGAN_S + at_s))
        what = doubtful(limits, warmth)
        found.append(None if what is None else what[0])
    return found


def test_the_slope_of_a_temperature_that_is_allowed_is_allowed() -> None:
    limits = replace(LIMITS, heating_K_s=0.0625)
    assert felt(limits, (0.0, 60.0), (16.0, 61.0)) == [None, None]
    assert felt(limits, (0.0, 60.0), (16.0, 61.001)) == [None, "heating"]
    assert felt(limits, (0.0, 60.0), (1.0, 60.625)) == [None, None]  # as over ten seconds
    assert felt(limits, (0.0, 60.0), (1.0, 60.7)) == [None, "heating"]


def test_a_temperature_that_moved_too_fast_did_so_until_a_newer_one_comes() -> None:
    limits = replace(LIMITS, heating_K_s=0.0625)
    assert felt(limits, (0.0, 60.0), (16.0, 62.0), (16.0, 62.0)) == [None, "heating", "heating"]


def test_a_temperature_stands_still_for_less_than_its_limit() -> None:
    limits = replace(LIMITS, temperature_stuck_s=60.0)
    assert felt(limits, (0.0, 60.0), (59.9, 60.0)) == [None, None]
    assert felt(limits, (0.0, 60.0), (60.0, 60.0)) == [None, "temperature-stuck"]


def test_half_an_hour_is_what_stuck_means() -> None:
    assert STUCK_S == 1800.0


def test_at_rest_a_current_on_either_side_is_an_offset_up_to_its_limit() -> None:
    limits = replace(LIMITS, rest_A=2.0**-10)
    for current_A in (2.0**-10, -(2.0**-10)):
        state = begun(Rest(WINDOW), limits)
        for n in (1, 2, 3, 4):
            state, trip = Guard(limits).check(state, read(BEGAN_S + n, 0.5, current_A), None, BEGAN_S + n)
            assert trip is None
