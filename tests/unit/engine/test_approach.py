"""Where the next reading belongs: computed where the rate is known, drawn on where it is a curve, and never a decision."""

from __future__ import annotations

from math import inf

import pytest

from cycler_ctl.running.pacing import Ahead, Pace
from protocols.model import Safety, Settings
from protocols.running.approach import CAUTION, remembered, until_met_s
from protocols.running.state import Seen
from tests.unit.engine.conftest import (
    MA,
    Trial,
    begun,
    capacity,
    cccv,
    current,
    gitt,
    hold,
    lithiate,
    program,
    rest,
    time,
    voltage,
)


def looked(trial: Trial, *samples: tuple[float, float], current_A: float | None = None) -> float:
    """Seconds to the next reading after these (time, voltage)."""
    seen: tuple[Seen, ...] = ()
    for at_s, voltage_V in samples:
        before = trial.state
        trial.sample(at_s, voltage_V, current_A)
        seen = remembered(seen, before, trial.state)
    return until_met_s(trial.program, trial.state, seen)


def test_a_time_is_known_exactly() -> None:
    assert looked(begun(rest(time(100))), (0.0, 1.0), (30.0, 1.0)) == pytest.approx(70.0, abs=0.01)


def test_a_capacity_is_known_from_the_current() -> None:
    trial = begun(lithiate(capacity(100 * MA / 3600)))
    assert looked(trial, (0.0, 1.0), (40.0, 1.0)) == pytest.approx(60.0, abs=0.01)


def test_a_straight_voltage_is_met_where_the_line_says_and_half_of_the_way_is_gone() -> None:
    assert looked(begun(lithiate(voltage("<=", 0.2))), (0.0, 1.0), (10.0, 0.9)) == pytest.approx(CAUTION * 70.0)


def test_a_voltage_that_falls_ever_faster_is_expected_earlier_than_the_line_says() -> None:
    bent = looked(begun(lithiate(voltage("<=", 0.2))), (0.0, 1.0), (10.0, 0.95), (20.0, 0.80))
    assert 0 < bent < CAUTION * 40.0
    truth_s = 20.0 * (0.8 / 0.2) ** 0.5 - 20.0  # of 1 - 0.0005 t^2
    assert bent <= truth_s


def test_a_voltage_that_moves_away_is_never_met() -> None:
    assert looked(begun(lithiate(voltage("<=", 0.2))), (0.0, 0.8), (10.0, 0.9)) == inf


def test_two_samples_close_together_do_not_hide_the_way_before() -> None:
    trial = begun(lithiate(voltage("<=", 0.2)))
    assert looked(trial, (0.0, 1.0), (30.0, 0.21), (30.2, 0.21)) < 1.0


def test_the_sample_that_a_debounce_wants_comes_at_once() -> None:
    trial = Trial(program(lithiate(voltage("<=", 0.2)), settings=Settings(sample_every_s=1.0, debounce=2)))
    trial.start()
    assert looked(trial, (0.0, 1.0), (1.0, 0.19)) == 0.0
    assert trial.finish is None


def test_a_clause_with_for_is_looked_at_when_its_time_is_over() -> None:
    trial = begun(rest((voltage("<=", 0.2, for_s=60.0)), time(9999)))
    assert looked(trial, (0.0, 1.0), (10.0, 0.1), (20.0, 0.1)) == pytest.approx(50.0, abs=0.01)


def test_of_clauses_that_must_all_hold_the_last_counts_and_of_alternatives_the_first() -> None:
    both = begun(lithiate((time(100), capacity(200 * MA / 3600))))
    assert looked(both, (0.0, 1.0), (10.0, 1.0)) == pytest.approx(190.0, abs=0.01)
    either = begun(lithiate(time(100), capacity(200 * MA / 3600)))
    assert looked(either, (0.0, 1.0), (10.0, 1.0)) == pytest.approx(90.0, abs=0.01)


def test_a_tapering_current_is_drawn_on_but_not_before_it_is_the_cells() -> None:
    trial = begun(hold(0.5, current("<=", 1e-4), time(9999)))
    assert looked(trial, (0.0, 0.5), current_A=2e-3) == pytest.approx(9999.0, abs=0.01)
    seen: tuple[Seen, ...] = ()
    for at_s, current_A in ((10.0, 1.0e-3), (20.0, 0.8e-3)):
        before = trial.state
        trial.sample(at_s, 0.5, current_A)
        seen = remembered(seen, before, trial.state)
    assert until_met_s(trial.program, trial.state, seen) == pytest.approx(CAUTION * 35.0)


def test_the_time_of_a_whole_counts_from_its_first_part() -> None:
    train = begun(gitt(lithiate(time(50)), rest(time(50)), time(120)))
    for at_s in (0.0, 50.0, 51.0, 101.0):
        train.sample(at_s)
    assert train.state.course.whole is not None
    assert looked(train, (102.0, 1.0)) == pytest.approx(18.0, abs=0.5)
    whole = begun(cccv(lithiate(voltage("<=", 0.2)), time(500)))
    assert looked(whole, (0.0, 1.0), (10.0, 0.9)) == pytest.approx(CAUTION * 70.0)


def test_the_runs_own_limits_are_looked_at_too() -> None:
    trial = Trial(program(lithiate(time(9999)), safety=Safety(voltage_V=(0.5, 2.0))))
    trial.start()
    assert looked(trial, (0.0, 1.0), (10.0, 0.9)) == pytest.approx(CAUTION * 40.0)


def test_another_step_and_a_pause_remember_nothing_of_before() -> None:
    trial = begun(lithiate(time(20)), rest(voltage("<=", 0.2), time(9999)))
    assert looked(trial, (0.0, 1.0), (10.0, 0.6), (20.0, 0.3)) == inf  # the rest has begun and has no sample yet
    assert looked(trial, (21.0, 0.9)) == pytest.approx(9999.0, abs=0.01)
    trial.pause(25.0)
    assert until_met_s(trial.program, trial.state, ()) == inf


@pytest.mark.parametrize("every_s", [0.1, 1.0, 10.0, 60.0])
def test_wherever_between_two_readings_a_cut_off_falls_it_is_met_at_the_instrument_s_speed(every_s: float) -> None:
    """A reading of the grid that comes just before the one planned for the cut-off must not make it forgotten."""
    late_s = [_late_s(every_s, (7 + phase / 7) * every_s) for phase in range(0, 400, 3)]
    assert max(late_s) <= FASTEST_S + 1e-9


FASTEST_S = 0.05


def _late_s(every_s: float, crossing_s: float) -> float:
    """How long after it a falling voltage's crossing is read."""
    trial, pace, at_s = begun(lithiate(voltage("<=", 0.2))), Pace(every_s), 0.0
    ahead = Ahead(trial.program, FASTEST_S)
    pace.settle(-0.1)
    while True:
        before = trial.state
        trial.sample(at_s, 1.0 - 0.8 * at_s / crossing_s)
        if at_s >= crossing_s:
            return at_s - crossing_s
        pace.read(at_s, at_s)
        pace.sooner(at_s + ahead.soon_s(before, trial.state))
        at_s = pace.due_s
