"""Decimation keeps whole rows, every extreme, and never more than was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cycler_ctl.web.curves import Basis, choose, curves, samples, significant
from cycler_ctl.web.decimate import keep

values = st.lists(st.floats(-10, 10, allow_nan=False) | st.just(float("nan")), min_size=1, max_size=400)


@given(values, st.integers(4, 60))
@settings(max_examples=300, deadline=None)
def test_kept_rows_are_ascending_bounded_and_hold_the_ends_and_extremes(numbers: list[float], points: int) -> None:
    series = np.array(numbers)
    kept = keep([series], points)
    assert len(kept) <= points
    assert np.all(np.diff(kept) > 0)
    assert kept[0] == 0
    assert kept[-1] == len(series) - 1
    if not np.isnan(series).all():
        assert np.nanmin(series[kept]) == np.nanmin(series)
        assert np.nanmax(series[kept]) == np.nanmax(series)


def test_every_series_keeps_its_own_spike() -> None:
    voltage, current = np.zeros(100_000), np.zeros(100_000)
    voltage[31_234], current[77_777] = 5.0, -2.0
    kept = keep([voltage, current], 100)
    assert {31_234, 77_777} <= set(kept.tolist())
    assert len(kept) <= 100


def test_few_rows_are_all_kept() -> None:
    assert keep([np.arange(5.0)], 6).tolist() == [0, 1, 2, 3, 4]


def test_too_few_points_for_the_extremes_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot hold the extremes"):
        keep([np.arange(50.0), np.arange(50.0)], 5)


def table(cycle: list[int], direction: list[int]) -> dict[str, NDArray[np.float64]]:
    rows = len(cycle)
    filled = {
        name: np.zeros(rows) for name in ("seq", "time_s", "voltage_V", "current_A", "temperature_degC", "step_count")
    }
    filled["seq"] = np.arange(1.0, rows + 1)
    filled["voltage_V"] = np.arange(rows) / 10
    charge_Ah = np.arange(rows) * 1e-3
    return filled | {
        "cycle": np.array(cycle, float),
        "direction": np.array(direction, float),
        "cycle_oxidation_Ah": charge_Ah,
        "cycle_reduction_Ah": charge_Ah * 2,
    }


def test_a_cycle_has_one_lithiation_and_one_delithiation_and_rests_are_left_out() -> None:
    found = curves(table([1, 1, 1, 1, 1, 2], [-1, -1, 0, 1, 1, -1]), Basis("mAh/g", 0.002, "MgH2"), 100, 10)
    assert [(curve.cycle, curve.word, curve.last_seq) for curve in found] == [
        (1, "lithiation", 2),
        (1, "delithiation", 5),
        (2, "lithiation", 6),
    ]
    assert found[0].capacity == [0.0, 1000.0]
    assert found[1].capacity == [1500.0, 2000.0]


def test_a_half_cycle_interrupted_by_a_rest_stays_one_curve() -> None:
    found = curves(table([1, 1, 1, 1], [-1, 0, -1, -1]), Basis("mAh"), 100, 10)
    assert len(found) == 1
    assert found[0].capacity == [0.0, 4.0, 6.0]


def test_of_many_cycles_the_first_and_the_newest_are_shown() -> None:
    assert choose(range(1, 501), 5) == {1, 126, 251, 375, 500}
    assert choose([4], 5) == {4}
    assert choose(range(1, 501), 1) == {1, 500}
    assert choose([], 5) == set()


def test_a_run_of_rests_has_no_curves() -> None:
    assert curves(table([0, 0], [0, 0]), Basis("mAh"), 100, 10) == []


def test_what_was_not_measured_is_null() -> None:
    columns = table([1, 1], [1, 1])
    columns["temperature_degC"] = np.array([np.nan, 120.5])
    assert samples(columns, 10)["temperature_degC"] == [None, 120.5]


@given(st.lists(st.floats(1e-9, 1e5), min_size=1, max_size=20))
def test_rounding_for_drawing_is_finer_than_a_screen(numbers: list[float]) -> None:
    shown = np.array(significant(np.array(numbers)))
    assert np.abs(shown - np.array(numbers)).max() <= 1e-5 * max(numbers) + 1e-12
