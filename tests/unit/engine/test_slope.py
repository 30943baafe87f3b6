"""The slope of the voltage, against the line through the very samples."""

from __future__ import annotations

import random
from statistics import linear_regression

import pytest

from protocols.running.slope import extend, slope_V_s
from protocols.running.state import SlopeWindow

CHECKS = 200


def test_the_window_keeps_its_span_and_no_more() -> None:
    window = SlopeWindow()
    for k in range(200):
        window = extend(window, float(k), 1.0, 60.0)
    assert (window.times_s[0], window.times_s[-1], len(window.times_s)) == (139.0, 199.0, 61)


def test_the_window_keeps_ten_samples_when_they_come_slowly() -> None:
    window = SlopeWindow()
    for k in range(50):
        window = extend(window, 30.0 * k, 1.0, 60.0)
    assert len(window.times_s) == 10


def test_the_slope_of_a_noisy_line_is_the_least_squares_one() -> None:
    times = [float(k) for k in range(11)]
    voltages = [3.0 - 0.01 * t + (0.002 if k % 2 else -0.002) for k, t in enumerate(times)]
    # numpy.polyfit(times, voltages, 1)[0]
    assert slope_V_s(SlopeWindow(tuple(times), tuple(voltages)), 10.0) == pytest.approx(0.01, rel=1e-9)


def test_the_slope_is_a_magnitude_that_keeps_its_digits_late_in_a_long_step() -> None:
    window = SlopeWindow()
    for k in range(61):
        window = extend(window, 5e6 + k, 2.0 - 1e-7 * k, 60.0)
    assert slope_V_s(window, 60.0) == pytest.approx(1e-7, rel=1e-6)


def test_there_is_no_slope_before_span_and_samples_are_there_or_when_time_stood_still() -> None:
    assert slope_V_s(SlopeWindow(tuple(map(float, range(9))), (1.0,) * 9), 5.0) is None
    assert slope_V_s(SlopeWindow(tuple(map(float, range(10))), (1.0,) * 10), 60.0) is None
    assert slope_V_s(SlopeWindow((3.0,) * 10, (1.0,) * 10), 0.0) is None


@pytest.mark.parametrize("every_s", [0.1, 1.0])
def test_the_slope_kept_up_sample_by_sample_does_not_drift(every_s: float, request: pytest.FixtureRequest) -> None:
    """A relaxation with noise and, now and then, a jump of a volt that must leave nothing behind."""
    count = 1_000_000 if request.config.getoption("--campaign") else 50_000
    chance, window, checked = random.Random(3), SlopeWindow(), 0
    for k in range(count):
        jump = 1.0 if k % 7001 == 0 else 0.0
        voltage_V = 0.4 - 3e-7 * k * every_s + chance.gauss(0, 1e-6) + jump
        window = extend(window, k * every_s, voltage_V, 60.0)
        if k % (count // CHECKS) == 0 and k * every_s > 60:
            times, volts = (list(each) for each in (window.times_s, window.voltages_V))
            exact = linear_regression([t - times[0] for t in times], [v - volts[0] for v in volts]).slope
            assert slope_V_s(window, 60.0) == pytest.approx(abs(exact), rel=1e-9, abs=1e-16)
            checked += 1
    assert checked > CHECKS // 2


def test_the_window_is_summed_anew_as_often_as_it_has_been_replaced() -> None:
    window, updates = SlopeWindow(), set[int]()
    for k in range(500):
        window = extend(window, float(k), 1.0, 60.0)
        assert window.sums is not None
        updates.add(window.sums.updates)
    assert max(updates) == 61
