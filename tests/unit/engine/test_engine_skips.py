"""Skips at every awkward moment: only what comes next in the file is set, and nothing of what was left goes on."""

from __future__ import annotations

import pytest

from protocols.engine import Action, Apply, Phase, TurnOff, from_json, progress, to_json
from protocols.model import ConstantCurrent, ConstantVoltage, Safety, Step
from protocols.record import EventKind
from tests.unit.engine.conftest import (
    MA,
    WINDOW_V,
    Trial,
    begun,
    capacity,
    cccv,
    current,
    delithiate,
    gitt,
    hold,
    lithiate,
    program,
    repeat,
    rest,
    time,
    voltage,
    when,
)

DOWN = lithiate(voltage("<=", 0.2), time(10))
TAPER = current("<=", 0.1 * MA)
PULSE, RELAX = lithiate(time(3)), rest(time(2))
UP = ConstantCurrent(MA, WINDOW_V)
BACK = ConstantCurrent(-MA, WINDOW_V)
A_SECOND = MA / 3600


def applied(actions: tuple[Action, ...]) -> list[object]:
    return [action.setpoint for action in actions if isinstance(action, Apply)]


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_a_skip_in_the_current_of_a_cccv_never_begins_its_hold(samples: int) -> None:
    trial = begun(cccv(DOWN, TAPER), delithiate(time(9)))
    trial.samples(samples)
    assert applied(trial.skip(samples + 0.5)) == [UP]
    assert [told.split()[0] for told in trial.told] == ["2.cc"]
    assert trial.state.course.whole is None


@pytest.mark.parametrize("step", [PULSE, RELAX])
def test_a_skip_in_either_part_of_a_train_begins_no_other_pulse(step: Step) -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=9), delithiate(time(9)))
    trial.samples(2 if step is PULSE else 5)
    assert applied(trial.skip(4.5)) == [UP]


def test_a_skip_in_the_last_step_of_a_pass_begins_the_next_pass_and_in_the_last_pass_what_follows() -> None:
    trial = begun(repeat(2, lithiate(time(3)), delithiate(time(9))), hold(0.5, time(9), limit_A=MA))
    trial.samples(5)
    assert applied(trial.skip(4.5)) == [BACK]
    assert progress(trial.program, trial.state).cycle == 2
    trial.samples(5)
    assert applied(trial.skip(9.5)) == [ConstantVoltage(0.5, MA)]


def test_two_skips_at_once_leave_two_steps_and_set_each_next_one_for_no_time() -> None:
    trial = begun(cccv(DOWN, TAPER), lithiate(time(9)), delithiate(time(9)))
    trial.samples(2)
    assert applied(trial.skip(1.5)) == [BACK]
    assert applied(trial.skip(1.5)) == [UP]
    assert [step.charge_Ah for step in trial.steps] == pytest.approx([A_SECOND, 0.0])
    assert [step.end_reason for step in trial.steps] == ["skipped by ann"] * 2


def test_two_skips_in_a_pause_set_nothing_and_the_resume_sets_only_what_they_lead_to() -> None:
    trial = begun(cccv(DOWN, TAPER), hold(0.5, time(9), limit_A=MA), delithiate(time(9)))
    trial.samples(2)
    trial.pause(1.5)
    assert applied(trial.skip(2.5)) == applied(trial.skip(2.5)) == []
    assert trial.state.phase is Phase.PAUSED
    assert applied(trial.resume(4.0)) == [UP]


def test_skips_past_the_end_in_a_pause_end_the_run_off_and_a_resume_sets_nothing_any_more() -> None:
    trial = begun(lithiate(time(9)), delithiate(time(9)))
    trial.samples(2)
    trial.pause(1.5)
    trial.skip(2.0)
    actions = trial.skip(2.0)
    assert actions[0] == TurnOff()
    assert applied(actions) == applied(trial.resume(3.0)) == applied(trial.skip(3.0)) == []


def test_a_skip_before_the_run_has_begun_is_nothing() -> None:
    trial = Trial(program(DOWN))
    assert trial.skip(0.0) == ()
    assert trial.state.phase is Phase.READY


def test_what_an_abort_had_waited_for_is_not_waited_for_by_the_next_pass_of_the_same_step() -> None:
    aborts = when(voltage("<=", 0.5, for_s=4))
    for step in lithiate(time(99), abort_if=aborts), cccv(lithiate(voltage("<=", 0.2)), TAPER, abort_if=aborts):
        trial = begun(repeat(3, step))
        trial.samples(4, voltage_V=0.4)
        trial.skip(3.5)
        trial.samples(4, voltage_V=0.4)
        assert trial.finish is None
        trial.samples(2, voltage_V=0.4)
        assert trial.finish is not None


def test_the_charge_of_a_skipped_step_is_none_of_the_next_ones() -> None:
    """Neither for its own end nor for the safety of a step, of a whole as of one part."""
    safety = Safety(step_charge_Ah=5.5 * A_SECOND)
    for step in lithiate(capacity(4.5 * A_SECOND)), cccv(lithiate(voltage("<=", 0.2)), TAPER):
        trial = begun(repeat(3, step), safety=safety)
        trial.samples(5)
        trial.skip(4.2)
        trial.samples(4)
        assert trial.finish is None
        assert len(trial.steps) == 1


def test_a_pause_with_a_skip_that_was_kept_on_disk_goes_on_with_the_step_it_led_to() -> None:
    trial = begun(cccv(DOWN, TAPER), delithiate(time(2)))
    trial.samples(2)
    trial.pause(1.5)
    trial.skip(2.0)
    trial.state = from_json(to_json(trial.state))
    assert applied(trial.resume(9.0)) == [UP]
    (told,) = trial.events(EventKind.OPERATOR)[-1:]
    assert told.data["action"] == "resume"
