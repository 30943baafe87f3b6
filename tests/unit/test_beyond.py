"""Which current waits for which cell."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from cycler_ctl.guarding.beyond import NEAR_V, beyond, is_ending, no_current
from protocols import engine
from protocols.events import Started
from protocols.model import (
    Alternative,
    Cell,
    Clause,
    Condition,
    ConstantCurrent,
    ConstantVoltage,
    CurrentStep,
    GittStep,
    Op,
    Program,
    Record,
    Rest,
    RestStep,
    Safety,
    Step,
    Verb,
    Watched,
)
from protocols.running.state import Limit, Live, State, Streak, Streaks

WINDOW_V = (2.98, 4.22)
DOWN, UP = ConstantCurrent(-1e-3, WINDOW_V), ConstantCurrent(1e-3, WINDOW_V)


@pytest.mark.parametrize(
    ("current", "voltage_V", "waits"),
    [
        (ConstantCurrent(1e-3, (0.0, 0.0)), -0.002, True),  # within two millivolts it is there
        (ConstantCurrent(-1e-3, (0.0, 0.0)), 0.002, True),
        (ConstantCurrent(1e-3, (0.0, 0.0)), -0.0021, False),
        (ConstantCurrent(-1e-3, (0.0, 0.0)), 0.0021, False),
        (DOWN, 2.84, True),
        (DOWN, 2.98 + NEAR_V / 2, True),
        (DOWN, 2.98 + 2 * NEAR_V, False),
        (DOWN, 3.7, False),
        (DOWN, 4.3, False),  # it leads back
        (UP, 4.3, True),
        (UP, 4.22 - NEAR_V / 2, True),
        (UP, 4.22 - 2 * NEAR_V, False),
        (UP, 2.84, False),
        (DOWN, nan, True),
        (UP, nan, True),
        (DOWN, None, False),
        (ConstantCurrent(0.0, WINDOW_V), 2.84, False),
        (ConstantCurrent(-1e-3, (-inf, inf)), -5.0, False),
    ],
)
def test_a_current_waits_where_the_cell_is_past_the_edge_it_would_be_driven_to(
    current: ConstantCurrent, voltage_V: float | None, *, waits: bool
) -> None:
    assert beyond(current, voltage_V) is waits


def test_nothing_but_a_current_waits() -> None:
    assert not beyond(Rest((3.0, 4.0)), 2.0)
    assert not beyond(ConstantVoltage(4.2, 1e-3), 4.5)


def test_what_is_said_names_the_cells_voltage_and_the_edge() -> None:
    assert no_current(DOWN, 2.84).startswith("the cell has 2.84 V at 0 A, at or beyond the 2.98 V")
    assert "4.22 V" in no_current(UP, 4.3)


LOW = Alternative((Clause(Watched.VOLTAGE, Op.AT_MOST, 3.0, 10.0),), "voltage <= 3 V for 10 s")
LATE = Alternative((Clause(Watched.TIME, Op.AT_LEAST, 60.0),), "time >= 1 min")
BOTH = Alternative((*LOW.clauses, *LATE.clauses), "voltage <= 3 V for 10 s and time >= 1 min")
HOLDS, HELD = Streak(5.0, 1), Streak(5.0, 0)


def discharge(*until: Alternative) -> CurrentStep:
    return CurrentStep("1", "discharge", Verb.LITHIATE, -1e-3, until, (), Record(), WINDOW_V)


def train(until: Condition, *own: Alternative) -> GittStep:
    rest = RestStep("1.r", (LATE,), (), Record(), WINDOW_V)
    return GittStep("1", replace(discharge(*own), path="1.p"), rest, until, None, ())


def begun(step: Step, live: Live) -> tuple[Program, State]:
    program = Program("p", Cell("c"), Safety(), (step,))
    state, _ = engine.advance(program, engine.begin(program), Started(0.0, 0.0))
    return program, replace(state, live=live)


@pytest.mark.parametrize(
    ("until", "streaks", "ends"),
    [
        ((LOW,), (HOLDS,), True),
        ((LOW,), (HELD,), False),  # it held once, and failed again
        ((LOW,), (None,), False),
        ((LOW,), (), False),
        ((LATE,), (HOLDS,), False),  # it is no matter of the voltage
        ((BOTH,), (HOLDS, None), False),
        ((BOTH,), (HOLDS, HOLDS), False),
        ((LATE, LOW), (None, HOLDS), True),
        ((BOTH, LOW), (None, None, HOLDS), True),
    ],
)
def test_a_step_is_ending_where_nothing_but_a_voltage_holds_that_is_to_hold_longer(
    until: Condition, streaks: Streaks, *, ends: bool
) -> None:
    assert is_ending(*begun(discharge(*until), Live(until=streaks))) is ends


def test_a_pulse_is_ending_by_its_trains_condition_or_by_its_own() -> None:
    assert is_ending(*begun(train((LOW,), LATE), Live(train=(HOLDS,), until=(None,))))
    assert is_ending(*begun(train((LATE,), LOW), Live(train=(None,), until=(HOLDS,))))
    assert not is_ending(*begun(train((LATE,), LOW), Live(train=(HOLDS,), until=(None,))))
    assert not is_ending(*begun(train((LOW,), LATE), Live(train=(None,), until=(HOLDS,))))


def test_a_run_beyond_a_limit_of_its_safety_is_ending_and_one_before_its_first_step_is_not() -> None:
    assert is_ending(*begun(discharge(LATE), Live(beyond=((Limit.VOLTAGE, 0.0),))))
    program = Program("p", Cell("c"), Safety(), (discharge(LATE),))
    state = replace(engine.begin(program), live=Live(beyond=((Limit.VOLTAGE, 0.0),)))
    assert not is_ending(program, state)
