"""The guard while a voltage is held: a normal taper passes, everything that is no regulation ends it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.guard import Ceilings, Guard, GuardLimits, GuardState, Trip
from cycler_ctl.instrument import Flag, Reading
from protocols.model import ConstantVoltage

LIMIT_A = 1.6e-3
HOLD = ConstantVoltage(4.2, LIMIT_A)
LIMITS = GuardLimits(voltage_V=(2.5, 4.3), current_A=10e-3, stale_s=100.0)
CAPACITY_AH = 3.2e-3
CEILINGS = Ceilings(charge_Ah=1.2 * CAPACITY_AH, time_s=1e6)
Point = tuple[float, float]


def at(second: float, voltage_V: float, current_A: float) -> Reading:
    return Reading(voltage_V, current_A, output_on=True, flags=frozenset({Flag.FOUR_WIRE}), at_s=second)


def run(
    points: Iterable[Point], *, every_s: float = 1.0, hold: ConstantVoltage = HOLD, ceilings: Ceilings = CEILINGS
) -> tuple[GuardState, Trip | None, int]:
    """(state, the first trip, readings until then)."""
    guard = Guard(LIMITS)
    state, trip, count = guard.begin_step(hold, ceilings, 0.0), None, 0
    for count, (voltage_V, current_A) in enumerate(points, 1):
        state, trip = guard.check(state, at(count * every_s, voltage_V, current_A), None, count * every_s)
        if trip is not None:
            break
    return state, trip, count


def code(points: Iterable[Point], **more: float) -> str | None:
    trip = run(points, every_s=more.get("every_s", 1.0))[1]
    return None if trip is None else trip.code


def taper(samples: int, decay: float, start_A: float = LIMIT_A) -> list[Point]:
    return [(4.2, start_A * math.exp(-sample / decay)) for sample in range(samples)]


@pytest.mark.parametrize("every_s", [0.2, 1.0, 60.0])
@pytest.mark.parametrize("decay", [2.0, 10.0, 500.0])
def test_a_taper_from_the_limit_to_next_to_nothing_passes(every_s: float, decay: float) -> None:
    wide = Ceilings(charge_Ah=1.0)
    assert run(taper(5000, decay), every_s=every_s, ceilings=wide)[1:] == (None, 5000)


def test_a_long_taper_stays_under_a_ceiling_that_counting_at_the_limit_would_reach() -> None:
    hours, decay_s = 12.0, 3600.0
    samples = int(hours * 60)
    state, trip, _ = run(taper(samples, decay_s / 60), every_s=60.0)
    passed_Ah = LIMIT_A * decay_s / 3600
    assert trip is None
    assert passed_Ah <= state.charge_Ah <= 1.02 * passed_Ah + LIMIT_A * 60 / 3600
    assert LIMIT_A * hours > CEILINGS.charge_Ah  # the control: at its limit the same hold would have been ended


@given(st.lists(st.floats(-LIMIT_A, LIMIT_A), max_size=40), st.floats(0.1, 60.0))
def test_the_charge_counted_is_never_less_than_the_trapezoid_of_what_was_measured(
    currents: list[float], every_s: float
) -> None:
    points = [(4.2, current_A) for current_A in currents]
    guard, true_As, last_A, seen = Guard(LIMITS), 0.0, LIMIT_A, 0
    state = guard.begin_step(HOLD, Ceilings(), 0.0)
    for seen, (voltage_V, current_A) in enumerate(points, 1):
        state, trip = guard.check(state, at(seen * every_s, voltage_V, current_A), None, seen * every_s)
        true_As += 0.5 * (abs(last_A) + abs(current_A)) * every_s
        last_A = current_A
        assert state.charge_Ah >= true_As / 3600 * (1 - 1e-9)
        if trip is not None:
            break


def test_the_ceilings_end_a_hold_whose_current_does_not_fall() -> None:
    _, trip, count = run([(4.2, 1e-3)] * 20_000, every_s=2.0)
    assert trip is not None
    assert trip.code == "charge"
    assert count * 2.0 == pytest.approx(CEILINGS.charge_Ah / 1e-3 * 3600, rel=0.01)
    stuck = run([(4.2, 1e-6)] * 5000, ceilings=Ceilings(time_s=3600.0))[1]
    assert stuck is not None
    assert stuck.code == "time"


def test_a_cell_on_its_way_to_the_voltage_takes_the_limit_for_as_long_as_it_needs() -> None:
    up = [(3.0 + 0.0001 * n, LIMIT_A * (1 + 2e-3 * (-1) ** n)) for n in range(12_000)]
    assert run([*up, *taper(300, 50.0)], every_s=0.2)[1] is None
    down = [(4.29 - 0.00001 * n, -LIMIT_A) for n in range(8000)]
    assert run([*down, *[(v, -i) for v, i in taper(300, 50.0)]], every_s=0.2)[1] is None


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((3.9, 0.3e-3), "not-held"),
        ((4.25, 0.3e-3), "not-held"),
        ((4.25, LIMIT_A), "not-held"),  # away from the voltage
        ((3.9, -LIMIT_A), "not-held"),
        ((4.2, 1.9e-3), "current-limit"),
        ((4.2, -1.9e-3), "current-limit"),
    ],
)
def test_what_is_no_regulation_is_a_fault_after_three_readings(point: Point, expected: str) -> None:
    _, trip, count = run([(4.2, 1e-3), *[point] * 5])
    assert trip is not None
    assert (trip.code, count) == (expected, 4)
    assert "4.2 V with at most 1.6 mA" in trip.reason
    assert run([(4.2, 1e-3), *[point] * 2, *[(4.2, 1e-3)] * 5])[1] is None


def test_a_lifted_lead_is_a_fault_at_the_second_reading_and_never_a_taper() -> None:
    state, trip, _ = run([*[(4.2, 0.5e-3)] * 10, (4.2, 20e-9)])
    assert (trip, state.held.odd) == (None, 1)  # not believed
    _, trip, count = run([*[(4.2, 0.5e-3)] * 10, *[(4.2, 20e-9)] * 2])
    assert trip is not None
    assert (trip.code, count) == ("open-circuit", 12)
    assert "open circuit: 4.2 V and 2e-05 mA where 0.5 mA flowed before" in trip.reason


def test_one_reading_that_is_none_is_forgotten_with_the_next_good_one() -> None:
    for odd in ((4.2, 20e-9), (3.9, 0.1e-3), (4.2, 9e-3), (0.42, 1e-3)):
        wide = replace(LIMITS, voltage_V=(-0.5, 5.0))
        guard = Guard(wide)
        state = guard.begin_step(HOLD, CEILINGS, 0.0)
        believed: list[bool] = []
        for second, point in enumerate([(4.2, 1e-3), (4.2, 1e-3), odd, (4.2, 1e-3)], 1):
            state, trip = guard.check(state, at(second, *point), None, second)
            assert trip is None
            believed.append(state.held.odd == 0)
        assert believed == [True, True, False, True]


def test_a_cell_that_charges_its_surfaces_at_first_is_no_open_circuit() -> None:
    assert code([(4.2, 1.5e-3), (4.2, 20e-6), *[(4.2, 15e-6)] * 10]) is None
    rc = [(4.2, 1.5e-3 * 0.02**n + 1e-7) for n in range(10)]
    assert code(rc) is None


def test_a_current_in_the_noise_that_passes_zero_is_no_open_circuit() -> None:
    assert code([(4.2, (5 - n) * 1e-6) for n in range(11)]) is None
    assert code([(4.2, 1e-8 * (-1) ** n) for n in range(50)]) is None


def test_a_cell_that_breaks_down_while_it_is_held_is_a_fault_though_its_limit_flows() -> None:
    assert code([*taper(20, 10.0), *[(3.2, LIMIT_A)] * 3]) == "not-held"
    assert code([(3.2, LIMIT_A)] * 30) is None  # the control: it was never there


def test_after_a_pause_the_cell_may_need_its_limit_again() -> None:
    guard = Guard(LIMITS)
    state = guard.begin_step(HOLD, CEILINGS, 0.0)
    for second, point in enumerate(taper(5, 5.0), 1):
        state, _ = guard.check(state, at(second, *point), None, second)
    counted_Ah = state.charge_Ah
    state = guard.turned_on(guard.turned_off(state, 5.0), HOLD, 1000.0)
    for second in range(1001, 1010):
        state, trip = guard.check(state, at(second, 4.0, LIMIT_A), None, second)
        assert trip is None
    assert state.charge_Ah == pytest.approx(counted_Ah + LIMIT_A * 9 / 3600)


def test_a_number_that_is_none_ends_a_hold() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        assert code([(bad, 1e-3)]) == "voltage"
        assert code([(4.2, bad)]) == "current"


def test_a_hold_that_was_never_narrowed_fails_closed() -> None:
    for limit_A in (math.inf, math.nan):
        hold = replace(HOLD, current_limit_A=limit_A)
        assert run([(4.0, 1e-3)] * 5, hold=hold)[1] is not None


TOLERANCE_V = 0.010 + 4.2e-3


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((4.2 - TOLERANCE_V + 1e-4, 1e-3), None),
        ((4.2 - TOLERANCE_V - 1e-4, 1e-3), "not-held"),
        ((4.2 + TOLERANCE_V - 1e-4, 1e-3), None),
        ((4.2 + TOLERANCE_V + 1e-4, 1e-3), "not-held"),
        ((4.2, 1.1 * LIMIT_A), None),
        ((4.2, 1.101 * LIMIT_A), "current-limit"),
        ((4.2 - 0.0999, LIMIT_A), None),
        ((4.2 - 0.1001, LIMIT_A), "not-held"),
    ],
)
def test_how_far_a_hold_may_be_off_once_its_voltage_was_reached(point: Point, expected: str | None) -> None:
    assert code([(4.2, 1.2e-3), (4.2, 1.1e-3), point, point, point]) == expected


def test_a_limit_in_the_noise_of_the_lowest_range_is_kept_within_its_offset() -> None:
    small = ConstantVoltage(4.2, 20e-9)
    assert run([(4.2, 29e-9)] * 5, hold=small)[1] is None
    trip = run([(4.2, 31e-9)] * 5, hold=small)[1]
    assert trip is not None
    assert trip.code == "current-limit"
