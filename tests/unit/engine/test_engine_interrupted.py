"""A run whose driver died goes on where it was: nothing is counted that nobody measured, and its clocks stood still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.engine import Apply, Interrupted, Phase, TurnOff, from_json, to_json
from protocols.model import ConstantCurrent, RepeatStep, Safety
from protocols.record import EventKind, Mark
from tests.unit.engine.conftest import (
    MA,
    Trial,
    begun,
    delithiate,
    gitt,
    lithiate,
    program,
    repeat,
    rest,
    time,
    voltage,
)

A_SECOND = MA / 3600.0


def reborn(trial: Trial, now_s: float) -> Trial:
    """What another process makes of the checkpoint."""
    again = Trial(trial.program)
    again.state = from_json(to_json(trial.state))
    again.tell(Interrupted(now_s, 1000.0 + now_s))
    return again


def test_a_step_goes_on_with_its_charge_and_its_clock_and_counts_nothing_of_the_gap() -> None:
    trial = begun(lithiate(time(6)))
    trial.voltages(1.0, 0.9, 0.8)
    again = reborn(trial, 7200.0)
    assert isinstance(again.actions[0], TurnOff)
    assert again.state.phase is Phase.PAUSED
    (apply,) = [action for action in again.resume(7200.0) if isinstance(action, Apply)]
    assert isinstance(apply.setpoint, ConstantCurrent)
    for second in range(4):
        again.sample(7201.0 + second, 0.8)
    row = again.rows[-1]
    assert row.step_total.reduction_Ah == pytest.approx(6 * A_SECOND)  # 2 s before and 4 s after
    assert row.step_time_s == pytest.approx(6.0)
    assert row.time_s == 7204.0
    assert [step.end_reason for step in again.steps] == ["time >= 6"]
    assert not again.events(EventKind.GAP)
    (resumed,) = again.events(EventKind.OPERATOR)
    assert (resumed.data["action"], resumed.data["paused_s"]) == ("resume", 7198.0)


def test_a_sample_that_was_not_recorded_before_is_recorded_with_its_own_time() -> None:
    trial = begun(lithiate(time(6)))
    trial.voltages(1.0, 0.9)
    trial.state = replace(trial.state, live=trial.state.live._replace(unwritten=True))
    again = reborn(trial, 500.0)
    assert [(row.time_s, row.mark) for row in again.rows] == [(1.0, Mark.NONE)]


def test_an_interruption_before_the_first_sample_of_a_step_begins_it_again() -> None:
    trial = begun(lithiate(time(3)), delithiate(time(3)))
    for second in range(4):
        trial.sample(float(second))
    again = reborn(trial, 100.0)
    again.resume(100.0)
    again.sample(101.0)
    assert (again.rows[-1].mark, again.rows[-1].step_time_s, again.rows[-1].step_id) == (Mark.START, 0.0, "2")


def test_an_interruption_in_a_pause_leaves_it_a_pause() -> None:
    trial = begun(lithiate(time(9)))
    trial.voltages(1.0, 0.9)
    trial.pause(2.0)
    again = reborn(trial, 50.0)
    assert again.state == trial.state
    again.resume(60.0)
    again.sample(61.0)
    assert again.rows[-1].step_time_s == pytest.approx(3.0)


def test_two_interruptions_in_a_row_count_no_time_twice() -> None:
    trial = begun(lithiate(time(9)))
    trial.voltages(1.0, 0.9)
    again = reborn(trial, 50.0)
    again.resume(50.0)
    third = reborn(again, 100.0)  # died before its first sample
    third.resume(100.0)
    third.sample(101.0)
    assert third.rows[-1].step_time_s == pytest.approx(2.0)
    assert third.rows[-1].step_total.reduction_Ah == pytest.approx(2 * A_SECOND)


def test_the_passes_of_repeats_are_intact() -> None:
    block: RepeatStep = repeat(3, lithiate(time(2)), rest(time(2)))
    trial = begun(block)
    for second in range(5):
        trial.sample(float(second))
    uncut = begun(block)
    for second in range(5):
        uncut.sample(float(second))
    again = reborn(trial, 1000.0)
    again.resume(1000.0)
    for second in range(1, 20):
        again.sample(1000.0 + second)
        uncut.sample(4.0 + second)
    assert again.told == uncut.told[len(trial.steps) :]
    assert (again.finish, again.state.course.cycle) == (uncut.finish, 3)


def test_the_clock_of_a_train_stands_still_too() -> None:
    train = gitt(lithiate(time(2)), rest(time(2)), time(7))
    trial = begun(train)
    for second in range(4):
        trial.sample(float(second))
    again = reborn(trial, 1000.0)
    again.resume(1000.0)
    steps = 0
    while again.finish is None and steps < 50:
        steps += 1
        again.sample(1000.0 + steps)
    uncut = begun(train)
    while uncut.finish is None:
        uncut.samples(1)
    assert again.told == uncut.told[len(trial.steps) :]


def test_a_safety_limits_patience_begins_anew() -> None:
    trial = Trial(program(lithiate(voltage("<=", -1.0)), safety=Safety(voltage_V=(0.5, 2.0), for_s=5.0)))
    trial.start()
    trial.voltages(1.0, 0.4, 0.4)
    again = reborn(trial, 1000.0)
    again.resume(1000.0)
    again.sample(1001.0, 0.4)
    assert again.finish is None
    again.sample(1007.0, 0.4)
    assert again.finish is not None
