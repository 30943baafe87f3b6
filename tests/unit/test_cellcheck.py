"""What a cell may show at rest before an interrupted run passes current through it again."""

from __future__ import annotations

import math

import pytest

from cycler_ctl.errors import DeviceFault, RefusedError
from cycler_ctl.running.cellcheck import LastSeen, last_seen, not_begun, objection, plausible_V
from protocols import engine
from protocols.events import Faulted, Interrupted, Paused, Sampled, Started, Tripped
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    CurrentStep,
    Op,
    Program,
    Record,
    RestStep,
    Safety,
    TimedStep,
    Verb,
    Watched,
)
from protocols.running.state import State

DAY = (Alternative((Clause(Watched.TIME, Op.AT_LEAST, 86400.0),), "time >= 24 h"),)
CURRENT = CurrentStep("1", "charge", Verb.DELITHIATE, 1e-3, DAY, (), Record(), (2.5, 4.3))
REST = RestStep("1", DAY, (), Record(), (2.5, 4.3))


def after(step: TimedStep, *samples: tuple[float, float]) -> tuple[Program, State]:
    """A run of this step with these (time, current) samples at 3.7 V."""
    program = Program("p", Cell("c"), Safety(), (step,))
    state, _ = engine.advance(program, engine.begin(program), Started(0.0, 0.0))
    for at_s, current_A in samples:
        state, _ = engine.advance(program, state, Sampled(at_s, at_s, 3.7, current_A, None))
    return program, state


@pytest.mark.parametrize(("pull", "window_V"), [(1, (3.2, 3.8)), (-1, (3.6, 4.2)), (0, (3.6, 3.8)), (None, (3.2, 4.2))])
def test_a_cell_relaxes_back_from_where_a_current_pulled_it(pull: int | None, window_V: tuple[float, float]) -> None:
    last = LastSeen(3.7, pull)
    assert plausible_V(last) == pytest.approx(window_V)
    for inside_V in (window_V[0] + 1e-6, window_V[1] - 1e-6):
        assert objection(inside_V, last, None) is None
    for outside_V in (window_V[0] - 1e-6, window_V[1] + 1e-6, math.nan, math.inf, -3.7):
        assert "is it the same cell" in str(objection(outside_V, last, None))


def test_the_runs_own_safety_holds_for_a_cell_at_rest_too() -> None:
    assert "outside the run's 3.65 V to 4.2 V" in str(objection(3.64, LastSeen(3.7, 0), (3.65, 4.2)))
    assert "outside the run's" in str(objection(4.21, None, (3.65, 4.2)))
    assert "outside the run's" in str(objection(math.nan, None, (3.65, 4.2)))
    assert objection(3.65, None, (3.65, 4.2)) is None
    assert objection(9.9, None, None) is None  # never seen, no safety: the guard's own limits are all there is


def test_a_run_that_never_saw_its_cell_expects_nothing_of_it() -> None:
    assert last_seen(*after(CURRENT)) is None


@pytest.mark.parametrize(("current_A", "pull"), [(1e-3, 1), (-1e-3, -1), (0.0, 0)])
def test_the_last_current_tells_from_which_side_the_cell_comes(current_A: float, pull: int) -> None:
    assert last_seen(*after(CURRENT, (1.0, current_A))) == LastSeen(3.7, pull)


@pytest.mark.parametrize(("rested_s", "pull"), [(3599.0, None), (3601.0, 0)])
def test_only_after_an_hour_of_rest_a_voltage_stands_still(rested_s: float, pull: int | None) -> None:
    assert last_seen(*after(REST, (0.0, 0.0), (rested_s, 0.0))) == LastSeen(3.7, pull)


@pytest.mark.parametrize("event", [Interrupted(4001.0, 4001.0), Paused(4001.0, 4001.0, "K. Abe")])
def test_a_pause_or_a_resume_that_was_refused_makes_nobody_expect_more(event: Interrupted | Paused) -> None:
    for step, current_A in ((CURRENT, 1e-3), (REST, 0.0)):
        program, state = after(step, (0.0, current_A), (4000.0, current_A))
        paused, _ = engine.advance(program, state, event)
        assert last_seen(program, paused) == last_seen(program, state) == LastSeen(3.7, 1 if current_A else 0)


def test_a_run_that_is_not_begun_ends_by_its_cell_or_by_its_instrument_and_says_which() -> None:
    by_cell = not_begun(RefusedError("the cell has 1 V"), 3.0, 1.7e9)
    assert by_cell == Tripped(3.0, 1.7e9, "no current was let through: the cell has 1 V")
    by_instrument = not_begun(DeviceFault("a lead is open"), 3.0, 1.7e9)
    assert by_instrument == Faulted(3.0, 1.7e9, "no current was let through: a lead is open")
    silent = not_begun(TimeoutError(), 3.0, 1.7e9)
    assert silent == Faulted(3.0, 1.7e9, "no current was let through: the instrument took longer than 10 s")
