"""What a channel may limit besides voltage and current: what is not provably inside is outside."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from cycler_ctl.guard import Ceilings, Guard, GuardLimits, GuardState, Severity
from cycler_ctl.guarding.edges import EDGE_S, beyond, changed
from cycler_ctl.guarding.temperature import LOOK_BACK_S, NEW, doubtful
from cycler_ctl.instrument import Measurement, Reading
from protocols.model import ConstantCurrent, Rest

NAN, INF = math.nan, math.inf
LIMITS = GuardLimits(voltage_V=(-5.0, 5.0), current_A=0.010, stale_s=30.0)
CHARGE = ConstantCurrent(1e-3, (2.5, 4.3))


def read(at_s: float, voltage_V: float, current_A: float = 0.0) -> Reading:
    return Reading(voltage_V, current_A, output_on=True, flags=frozenset(), at_s=at_s)


def code(found: tuple[str, str] | None) -> str | None:
    return None if found is None else found[0]


@pytest.mark.parametrize(("voltage_V", "seen"), [(2.0, None), (4.5, None), (1.999, "polarity"), (4.501, "polarity"), (-3.7, "polarity"), (NAN, "polarity")])  # fmt: skip
def test_a_voltage_outside_the_polarity_window_is_a_reversed_or_empty_cell(voltage_V: float, seen: str | None) -> None:
    assert code(beyond(replace(LIMITS, polarity_V=(2.0, 4.5)), read(1.0, voltage_V))) == seen


def test_a_window_without_an_upper_end_is_said_so() -> None:
    assert "above 0 V" in str(beyond(replace(LIMITS, polarity_V=(0.0, INF)), read(1.0, -0.1)))
    assert "0 V to 4.5 V" in str(beyond(replace(LIMITS, polarity_V=(0.0, 4.5)), read(1.0, -0.1)))


@pytest.mark.parametrize(("voltage_V", "seen"), [(0.5, None), (0.499, "short"), (-1.0, "short")])
def test_a_voltage_below_v_short_is_a_shorted_cell(voltage_V: float, seen: str | None) -> None:
    assert code(beyond(replace(LIMITS, v_short_V=0.5), read(1.0, voltage_V))) == seen
    assert beyond(LIMITS, read(1.0, voltage_V)) is None  # the control: without the limit it is none


@pytest.mark.parametrize(("reading", "seen"), [((4.0, 1e-3), None), ((4.001, 1e-3), "power"), ((-4.001, 1e-3), "power"), ((4.0, -1.001e-3), "power"), ((4.0, NAN), "power")])  # fmt: skip
def test_a_power_beyond_the_limit_in_either_direction_is_outside(
    reading: tuple[float, float], seen: str | None
) -> None:
    assert code(beyond(replace(LIMITS, power_W=4e-3), read(1.0, *reading))) == seen


def test_a_power_is_said_in_the_unit_that_fits() -> None:
    assert "5 mW" in str(beyond(replace(LIMITS, power_W=4e-3), read(1.0, 5.0, 1e-3)))
    assert "5 W" in str(beyond(replace(LIMITS, power_W=4.0), read(1.0, 5.0, 1.0)))


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ((3.70, 0.0), (3.75, 1e-3), None),  # 50 ohm
        ((3.70, 0.0), (3.7501, 1e-3), "resistance"),
        ((3.75, 1e-3), (3.70, 0.0), None),
        ((3.7501, 1e-3), (3.70, 0.0), "resistance"),
        ((3.70, 0.0), (3.6499, -1e-3), "resistance"),
        ((3.70, 0.0), (3.60, 1e-3), None),  # a voltage that falls at a larger current is no resistance
        ((3.70, 1.00e-3), (3.90, 1.04e-3), None),  # so small a change of the current tells nothing
    ],
)
def test_an_edge_tells_the_resistance(
    before: tuple[float, float], after: tuple[float, float], seen: str | None
) -> None:
    limits = replace(LIMITS, r_max_ohm=50.0)
    assert code(changed(limits, read(1.0, *before), read(2.0, *after), at_edge=True)) == seen
    assert changed(limits, read(1.0, *before), read(1.0 + EDGE_S + 0.1, *after), at_edge=True) is None
    assert changed(LIMITS, read(1.0, *before), read(2.0, *after), at_edge=True) is None
    assert changed(limits, None, read(2.0, *after), at_edge=True) is None


@pytest.mark.parametrize(("passed_s", "moved_V", "seen"), [(0.004, 2.4e-3, None), (0.004, 0.0499, None), (0.004, 0.0501, "slew"), (2.0, 0.0999, None), (2.0, 0.1001, "slew")])  # fmt: skip
def test_noise_between_two_readings_nearer_than_the_sample_period_is_no_slope(
    passed_s: float, moved_V: float, seen: str | None
) -> None:
    """A late reading, and the next at its own time or sooner: a jump ends the run as if it were a period long."""
    limits = replace(LIMITS, slew_max_V_s=0.050, slew_over_s=1.0)
    assert code(changed(limits, read(10.0, 3.7), read(10.0 + passed_s, 3.7 + moved_V), at_edge=False)) == seen


@pytest.mark.parametrize(("moved_V", "seen"), [(0.0, None), (0.0999, None), (-0.0999, None), (0.101, "slew"), (-0.101, "slew")])  # fmt: skip
def test_within_a_step_the_voltage_moves_no_faster_than_its_slew(moved_V: float, seen: str | None) -> None:
    limits = replace(LIMITS, slew_max_V_s=0.050)
    first, then = read(1.0, 3.7), read(3.0, 3.7 + moved_V)
    assert code(changed(limits, first, then, at_edge=False)) == seen
    assert changed(limits, first, then, at_edge=True) is None
    assert changed(LIMITS, first, then, at_edge=False) is None


def test_a_step_of_no_time_lets_no_voltage_move() -> None:
    assert code(changed(replace(LIMITS, slew_max_V_s=1.0), read(1.0, 3.7), read(1.0, 3.701), at_edge=False)) == "slew"


def fed(limits: GuardLimits, *readings: Reading, after: GuardState | None = None) -> str | None:
    guard = Guard(limits)
    state, trip = guard.begin_step(CHARGE, Ceilings(), readings[0].at_s, after), None
    for reading in readings:
        state, trip = guard.check(state, reading, None, reading.at_s)
        if trip is not None:
            return f"{trip.severity}: {trip.code}"
    return None


def test_the_guard_trips_at_the_first_reading_beyond_each_of_them() -> None:
    rest = Guard(LIMITS).begin_step(Rest((-5.0, 5.0)), Ceilings(), 0.0)
    rested, _ = Guard(LIMITS).check(rest, read(1.0, 3.7), None, 1.0)
    assert fed(replace(LIMITS, r_max_ohm=50.0), read(2.0, 3.8, 1e-3), after=rested) == "faulted: resistance"
    assert fed(replace(LIMITS, r_max_ohm=150.0), read(2.0, 3.8, 1e-3), after=rested) is None
    slow = replace(LIMITS, slew_max_V_s=0.05)
    assert fed(slow, read(2.0, 3.8, 1e-3), read(3.0, 3.9, 1e-3), after=rested) == "faulted: slew"
    assert fed(slow, read(2.0, 3.8, 1e-3), read(3.0, 3.84, 1e-3), after=rested) is None
    assert fed(replace(LIMITS, v_short_V=1.0), read(2.0, 0.9, 1e-3)) == "tripped: short"
    assert fed(replace(LIMITS, polarity_V=(0.0, INF)), read(2.0, -0.9, 1e-3)) == "tripped: polarity"
    assert fed(replace(LIMITS, power_W=1e-3), read(2.0, 3.7, 1e-3)) == "tripped: power"


def test_a_step_that_goes_on_after_a_pause_begins_with_an_edge() -> None:
    guard = Guard(replace(LIMITS, slew_max_V_s=0.05))
    state = guard.begin_step(CHARGE, Ceilings(), 0.0)
    state, _ = guard.check(state, read(1.0, 3.7, 1e-3), None, 1.0)
    state = guard.turned_on(guard.turned_off(state, 1.5), CHARGE, 2.0)
    _, trip = guard.check(state, read(2.1, 3.4, 1e-3), None, 2.1)
    assert trip is None


@pytest.mark.parametrize("name", ["power_W", "v_short_V", "r_max_ohm", "slew_max_V_s", "heating_K_s", "temperature_stuck_s", "rest_A", "stuck_s"])  # fmt: skip
def test_no_guard_is_made_of_limits_that_are_no_numbers(name: str) -> None:
    made: Any = {name: NAN}
    with pytest.raises(ValueError, match="numbers"):
        replace(LIMITS, **made)
    with pytest.raises(ValueError, match="numbers"):
        replace(LIMITS, polarity_V=(0.0, NAN))


HEATING = replace(LIMITS, heating_K_s=0.1)


def seen(limits: GuardLimits, *values: tuple[float, float] | None) -> list[str | None]:
    warmth, found = NEW, list[str | None]()
    for one in values:
        warmth = warmth.seen(None if one is None else Measurement(one[1], one[0]))
        found.append(code(doubtful(limits, warmth)))
    return found


def test_a_temperature_that_moves_too_fast_is_not_believed() -> None:
    assert seen(HEATING, (0.0, 60.0), (20.0, 61.9), (40.0, 60.0)) == [None, None, None]
    assert seen(HEATING, (0.0, 60.0), (20.0, 62.1)) == [None, "heating"]
    assert seen(HEATING, (0.0, 60.0), (20.0, 57.9)) == [None, "heating"]
    assert seen(HEATING, (0.0, 60.0), (20.0, NAN)) == [None, "heating"]
    assert seen(LIMITS, (0.0, 60.0), (20.0, 90.0)) == [None, None]


def test_a_digit_that_flips_from_one_value_to_the_next_is_no_slope() -> None:
    assert seen(HEATING, (0.0, 60.0), (0.5, 60.9)) == [None, None]
    assert seen(HEATING, (0.0, 60.0), (0.5, 60.0 + 0.1 * LOOK_BACK_S + 0.01)) == [None, "heating"]


def test_the_same_measurement_seen_again_and_none_at_all_change_nothing() -> None:
    assert seen(HEATING, None, (0.0, 60.0), (0.0, 60.0), None, (20.0, 61.0)) == [None] * 5


def test_a_temperature_that_stands_still_for_too_long_is_a_frozen_sensor() -> None:
    stuck = replace(LIMITS, temperature_stuck_s=60.0)
    assert seen(stuck, *((14.0 * n, 60.0) for n in range(6))) == [None, None, None, None, None, "temperature-stuck"]
    moved = seen(stuck, (0.0, 60.0), (14.0, 60.0), (28.0, 60.1), (42.0, 60.1), (56.0, 60.1), (70.0, 60.1))
    assert moved == [None] * 6


def test_the_guard_faults_on_a_temperature_that_moves_or_stands_still() -> None:
    limits = replace(HEATING, temperature_degC=(-273.15, 2000.0))
    guard, state = Guard(limits), Guard(limits).begin_step(CHARGE, Ceilings(), 0.0)
    state, trip = guard.check(state, read(1.0, 3.7, 1e-3), Measurement(60.0, 1.0), 1.0)
    assert trip is None
    after = guard.begin_step(CHARGE, Ceilings(), 1.0, state)  # another step: what was seen of the sensor stays
    _, trip = guard.check(after, read(15.0, 3.7, 1e-3), Measurement(62.0, 15.0), 15.0)
    assert trip is not None
    assert (trip.severity, trip.code) == (Severity.FAULTED, "heating")
