"""Charge, energy and crossings against integrals done by hand."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.charge import (
    add_constant,
    add_trapezoid,
    crossing,
    plus,
    throughput_Ah,
    throughput_Wh,
)
from protocols.events import Sampled
from protocols.record import Counters
from protocols.running.state import Crossing, Seen

FINITE = st.floats(-10, 10)


def sample(at_s: float, voltage_V: float, current_A: float) -> Sampled:
    return Sampled(at_s, at_s, voltage_V, current_A, None)


def seen(time_s: float, voltage_V: float, charge_Ah: float) -> Seen:
    return Seen(100 + time_s, time_s, voltage_V, 0.0, charge_Ah, 0.0, None, None)


def test_oxidation_and_reduction_are_counted_apart() -> None:
    total = add_trapezoid(Counters(), sample(0, 2.0, 1.0), sample(3600, 2.0, 3.0))
    total = add_trapezoid(total, sample(3600, 1.0, -1.0), sample(7200, 1.0, -1.0))
    assert total == Counters(2.0, 1.0, 4.0, 1.0)


def test_energy_is_a_magnitude_below_zero_volts_too() -> None:
    assert add_trapezoid(Counters(), sample(0, -0.5, -1.0), sample(3600, -0.5, -1.0)) == Counters(0, 1, 0, 0.5)


def test_a_current_that_turns_on_the_way_gives_each_direction_its_triangle() -> None:
    total = add_trapezoid(Counters(), sample(0, 1.0, 3.0), sample(3600, 1.0, -1.0))
    assert total.oxidation_Ah == pytest.approx(0.75 * 3 / 2)
    assert total.reduction_Ah == pytest.approx(0.25 * 1 / 2)
    assert throughput_Wh(total) == pytest.approx(throughput_Ah(total))


@example(1.28125, -3.5e-92, 1.5, 0.0, 1.0)
@given(FINITE, FINITE, st.floats(0, 1e4), FINITE, FINITE)
def test_net_charge_is_the_trapezoid_whatever_the_signs(
    first_A: float, last_A: float, duration_s: float, first_V: float, last_V: float
) -> None:
    total = add_trapezoid(Counters(), sample(0, first_V, first_A), sample(duration_s, last_V, last_A))
    net_Ah = total.oxidation_Ah - total.reduction_Ah
    assert net_Ah == pytest.approx((first_A + last_A) / 2 * duration_s / 3600, rel=1e-9, abs=1e-12)
    assert min(total.oxidation_Ah, total.reduction_Ah, total.oxidation_Wh, total.reduction_Wh) >= 0


def test_no_charge_passes_in_a_time_below_zero() -> None:
    assert add_constant(Counters(), 1.0, 1.0, -5.0) == Counters()


def test_counters_add_field_by_field() -> None:
    assert plus(Counters(1, 2, 3, 4), Counters(10, 20, 30, 40)) == Counters(11, 22, 33, 44)


def test_a_crossing_lies_on_the_line_between_two_samples() -> None:
    assert crossing(seen(10, 1.0, 2.0), seen(20, 0.0, 3.0), 0.25) == Crossing(17.5, 2.75)
