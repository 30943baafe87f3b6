"""CCCV, holds and pulse trains as a researcher sees them, one sample a second."""

from __future__ import annotations

import pytest

from protocols.engine import Apply, Finish, progress, resume_setpoint
from protocols.model import (
    CccvStep,
    ConstantCurrent,
    ConstantVoltage,
    CurrentStep,
    LabelOf,
    OnStartMet,
    PreviousOf,
    Rest,
    Safety,
    Settings,
    Verb,
    Watched,
)
from protocols.record import EventKind, Mark, Mode, Outcome
from tests.unit.engine.conftest import (
    MA,
    WINDOW_V,
    Trial,
    begun,
    capacity,
    cccv,
    clause,
    current,
    delithiate,
    gitt,
    hold,
    lithiate,
    repeat,
    rest,
    time,
    voltage,
    when,
)

A_SECOND = MA / 3600
DOWN = lithiate(voltage("<=", 0.2), time(10))
TAPER = current("<=", 0.1 * MA)
LOW = when(voltage("<=", 0.2, for_s=3))
PULSE = lithiate(time(3))
RELAX = rest(time(2))


def cv(trial: Trial, *currents_mA: float, volts: float = 0.2) -> None:
    """Samples of a hold, one a second."""
    for each in currents_mA:
        trial.samples(1, voltage_V=volts, current_A=-each * MA)


# CCCV


def test_the_voltage_that_ended_the_current_is_held_with_the_current_as_its_limit() -> None:
    trial = begun(cccv(DOWN, TAPER))
    assert trial.voltages(1.0, 0.5, 0.2)[-1] == Apply(ConstantVoltage(0.2, MA))
    cv(trial, 1.0, 0.5, 0.1)
    assert trial.told == ["2.cc voltage <= 0.2", "2.cv current <= 0.0001"]
    assert trial.finish == Finish(Outcome.FINISHED, "the protocol is complete")


def test_current_and_hold_are_two_steps_of_the_record_with_one_cycle_and_one_label() -> None:
    trial = begun(repeat(2, cccv(DOWN, TAPER, label="down")))
    for _ in range(2):
        trial.samples(1)
        trial.samples(1, voltage_V=0.1)
        cv(trial, 1.0, 0.1)
    seen = [(step.step_count, step.step_id, step.cycle, step.label) for step in trial.steps]
    assert seen == [(1, "2.cc", 1, "down"), (2, "2.cv", 1, "down"), (3, "2.cc", 2, "down"), (4, "2.cv", 2, "down")]


def test_a_hold_is_recorded_as_constant_voltage_in_the_direction_of_its_current() -> None:
    trial = begun(cccv(DOWN, TAPER), hold(0.2, time(1)))
    trial.voltages(1.0, 0.1)
    cv(trial, 1.0, 0.1, 0.1, 0.1)
    assert {(row.step_id, row.mode, row.direction) for row in trial.rows} == {
        ("2.cc", Mode.CURRENT, -1),
        ("2.cv", Mode.VOLTAGE, -1),
        ("6", Mode.VOLTAGE, 0),
    }


def test_the_hold_is_skipped_if_the_current_ended_by_another_alternative() -> None:
    trial = begun(cccv(DOWN, TAPER), rest(time(99)))
    trial.samples(11)
    assert trial.told == ["2.cc time >= 10"]
    assert progress(trial.program, trial.state).word == "rest"


def test_of_two_ends_at_one_sample_the_first_written_decides_whether_to_hold() -> None:
    trial = begun(cccv(lithiate(time(2), voltage("<=", 0.2)), TAPER, hold_after=(1,)), rest(time(99)))
    trial.voltages(1.0, 0.5, 0.1)
    assert trial.told == ["2.cc time >= 2"]


def test_a_share_refers_to_the_sum_of_current_and_hold() -> None:
    for reference in (PreviousOf(Verb.LITHIATE), PreviousOf(None), LabelOf("down")):
        trial = begun(cccv(DOWN, TAPER, label="down"), delithiate(capacity(1.0, reference)))
        trial.voltages(1.0, *[0.5] * 5, 0.2)
        cv(trial, 1.0, 1.0, 1.0, 0.1)
        trial.samples(20)
        down_Ah = trial.steps[0].charge_Ah + trial.steps[1].charge_Ah
        assert trial.steps[2].charge_Ah == pytest.approx(down_Ah, abs=A_SECOND)


def test_taper_conditions_look_at_the_current_after_one_second_of_hold() -> None:
    trial = begun(hold(0.2, TAPER))
    for at_s in (0.0, 0.3, 0.6, 0.9):
        trial.sample(at_s, 0.2, 0.0)
    assert not trial.steps
    trial.sample(1.0, 0.2, 0.0)
    assert trial.told == ["6 current <= 0.0001"]


def test_taper_conditions_look_at_the_current_after_five_samples_of_hold() -> None:
    trial = begun(hold(0.2, TAPER, abort_if=when(current(">=", 2 * MA))))
    for k in range(5):
        trial.sample(0.1 * k, 0.2, 0.0 if k % 2 else 3 * MA)
    assert not trial.steps
    trial.sample(0.5, 0.2, 0.0)
    assert trial.told == ["6 current <= 0.0001"]


def test_taper_conditions_wait_again_after_a_pause() -> None:
    trial = begun(hold(0.2, TAPER))
    cv(trial, *[1.0] * 7)
    trial.pause(6.5)
    trial.resume(10.0)
    for at_s in (10.1, 10.4, 10.8):
        trial.sample(at_s, 0.2, 0.0)
    assert not trial.steps
    trial.sample(11.2, 0.2, 0.0)
    assert trial.steps


def test_a_current_that_is_already_at_its_voltage_is_recorded_without_charge_and_the_hold_runs() -> None:
    trial = begun(cccv(DOWN, TAPER, label="down"))
    actions = trial.sample(0.0, 0.1)
    assert trial.told == ["2.cc already: voltage <= 0.2"]
    assert trial.steps[0].charge_Ah == 0.0
    assert actions[-1] == Apply(ConstantVoltage(0.2, MA))
    cv(trial, 1.0, 1.0, 0.1)
    assert trial.state.course.past.lithiate_Ah == trial.steps[1].charge_Ah > 0


def test_a_current_already_at_its_voltage_needs_no_second_reading_to_go_on_to_its_hold() -> None:
    trial = begun(cccv(DOWN, TAPER), settings=Settings(debounce=2))
    trial.samples(1, voltage_V=0.1)
    assert trial.told == ["2.cc already: voltage <= 0.2"]


def test_a_current_already_at_another_end_is_skipped_with_its_hold() -> None:
    trial = begun(lithiate(time(2)), cccv(lithiate(voltage("<=", 0.2), voltage("<=", 1.5)), TAPER))
    trial.voltages(1.0, 1.0, 1.0)
    before = trial.state.course.past
    trial.samples(1)
    assert trial.told[1:] == ["2.cc already: voltage <= 1.5"]
    assert trial.state.course.past == before


def test_a_current_that_may_not_be_at_its_end_aborts_before_the_hold() -> None:
    trial = begun(cccv(lithiate(voltage("<=", 0.2), on_start_met=OnStartMet.ABORT), TAPER))
    trial.sample(0.0, 0.1)
    assert trial.finish == Finish(Outcome.ABORTED, "already: voltage <= 0.2")


def test_abort_if_is_watched_through_current_and_hold_with_their_time_and_charge_together() -> None:
    for limit in (when(time(6)), when(capacity(4.9 * A_SECOND))):
        trial = begun(cccv(DOWN, TAPER, abort_if=limit))
        trial.voltages(1.0, 0.5, 0.5, 0.2)
        cv(trial, 1.0, 1.0)
        assert trial.finish is None
        cv(trial, 1.0)
        assert trial.finish is not None
        assert trial.finish.outcome is Outcome.ABORTED
        assert trial.steps[-1].step_id == "2.cv"


def test_time_of_a_whole_is_run_time_and_a_pause_is_not_part_of_it() -> None:
    trial = begun(cccv(DOWN, TAPER, abort_if=when(time(8))))
    trial.voltages(1.0, 0.5, 0.2)
    cv(trial, 1.0, 1.0)
    trial.pause(4.5)
    trial.samples(20, current_A=0.0)
    trial.resume(24.5)
    cv(trial, 1.0, 1.0, 1.0)
    assert trial.finish is None
    cv(trial, 1.0)
    assert trial.finish is not None
    assert trial.steps[-1].ended_s == pytest.approx(28.0)


def test_the_clock_of_an_abort_goes_on_from_the_current_to_the_hold() -> None:
    trial = begun(cccv(DOWN, TAPER, abort_if=when(voltage("<=", 0.5, for_s=4))))
    trial.voltages(1.0, 0.5, 0.4, 0.2)
    cv(trial, 1.0)
    assert trial.finish is None
    cv(trial, 1.0)
    assert trial.finish is not None


def test_a_skip_leaves_the_whole_step_and_its_part_counts_as_no_previous_one() -> None:
    trial = begun(cccv(DOWN, TAPER, label="down"), delithiate(time(99)))
    trial.voltages(1.0, 0.5, 0.2)
    cv(trial, 1.0, 1.0)
    trial.skip(4.5)
    assert trial.told == ["2.cc voltage <= 0.2", "2.cv skipped by ann"]
    assert progress(trial.program, trial.state).word == "delithiate"
    past = trial.state.course.past
    assert (past.lithiate_Ah, past.either_Ah, past.labels) == (None, None, ())


def test_a_pause_in_the_hold_is_followed_by_the_same_voltage() -> None:
    trial = begun(cccv(DOWN, TAPER))
    trial.voltages(1.0, 0.2)
    trial.pause(1.5)
    assert resume_setpoint(trial.program, trial.state) == ConstantVoltage(0.2, MA)
    assert trial.resume(5.0)[-1] == Apply(ConstantVoltage(0.2, MA))
    cv(trial, 1.0, 1.0, 0.1)
    assert trial.finish is not None


# Hold


def test_progress_names_the_part_and_the_voltage_it_holds() -> None:
    trial = begun(cccv(DOWN, TAPER, label="down"))
    seen = progress(trial.program, trial.state)
    assert (seen.step_id, seen.path, seen.setpoint_A, seen.setpoint_V, seen.label) == (
        "2.cc",
        "2.cc",
        -MA,
        None,
        "down",
    )
    trial.voltages(1.0, 0.2)
    seen = progress(trial.program, trial.state)
    assert (seen.step_id, seen.path, seen.setpoint_A, seen.setpoint_V) == ("2.cv", "2.cv", None, 0.2)
    trial.pause(2.0)
    assert progress(trial.program, trial.state).setpoint_V is None


def test_the_start_of_a_hold_tells_its_voltage() -> None:
    trial = begun(hold(0.4, time(1)), rest(time(1)))
    trial.samples(2)
    first, second = trial.events(EventKind.STEP_STARTED)
    assert first.data["voltage_V"] == 0.4
    assert first.data["current_A"] is None
    assert "voltage_V" not in second.data


def test_a_hold_or_a_rest_whose_end_holds_at_its_first_sample_just_ends() -> None:
    trial = begun(lithiate(time(2)), hold(0.4, voltage("<=", 0.5)), rest(voltage("<=", 0.5)), rest(time(9)))
    trial.voltages(1.0, 1.0, 1.0, 0.4, 0.4)
    assert trial.told[1:] == ["6 voltage <= 0.5", "9 voltage <= 0.5"]
    assert not trial.events(EventKind.WARNING)
    assert trial.state.course.past.either_Ah == trial.steps[0].charge_Ah


def test_a_hold_by_itself_is_a_previous_step_but_no_previous_lithiate() -> None:
    trial = begun(lithiate(time(2)), delithiate(time(5)), hold(0.4, time(3), label="held"))
    trial.samples(9)
    cv(trial, 1.0, 1.0, 1.0, 1.0)
    past, (down, up, held) = trial.state.course.past, trial.steps
    assert (past.lithiate_Ah, past.delithiate_Ah, past.either_Ah) == (down.charge_Ah, up.charge_Ah, held.charge_Ah)
    assert past.labels == (("held", held.charge_Ah),)


def test_a_hold_is_no_rest_for_the_lower_limit_of_the_temperature() -> None:
    trial = begun(hold(0.4, time(9)), safety=Safety(temperature_degC=(110, 135)))
    trial.sample(0.0, temperature_degC=25.0)
    assert trial.finish is not None
    assert trial.finish.outcome is Outcome.TRIPPED


def test_the_charge_of_a_gap_in_a_hold_is_inferred_from_the_current_last_measured() -> None:
    trial = begun(hold(0.4, time(99)))
    cv(trial, 3.0, 2.0)
    trial.sample(11.0, 0.4, -MA)
    gap = trial.events(EventKind.GAP)[0]
    assert gap.data["inferred_Ah"] == pytest.approx(20 * A_SECOND)
    trial.stop(11.5)
    assert trial.steps[0].charge_Ah == pytest.approx(22.5 * A_SECOND)


def test_a_gap_at_the_start_of_a_hold_takes_its_first_current() -> None:
    trial = begun(rest(time(1)), hold(0.4, time(99)))
    trial.samples(2)
    trial.sample(11.0, 0.4, -MA)
    assert trial.events(EventKind.GAP)[0].data["inferred_Ah"] == pytest.approx(10 * A_SECOND)


@pytest.mark.parametrize(("limit_A", "at_most_Ah"), [(MA, 20 * A_SECOND), (float("inf"), None)])
def test_a_hold_paused_after_a_gap_says_the_most_that_can_have_passed(limit_A: float, at_most_Ah: float | None) -> None:
    trial = begun(hold(0.4, time(99), limit_A=limit_A))
    cv(trial, 1.0)
    trial.pause(20.0)
    assert trial.events(EventKind.GAP)[0].data["at_most_Ah"] == pytest.approx(at_most_Ah)


def test_the_charge_up_to_a_skip_before_a_holds_first_sample_takes_the_current_last_measured() -> None:
    trial = begun(cccv(DOWN, TAPER), rest(time(99)))
    trial.voltages(1.0, 0.2)
    trial.skip(2.0)
    trial.samples(1, current_A=0.0)
    assert trial.rows[-1].run_total.reduction_Ah == pytest.approx(2 * A_SECOND)


# GITT


def test_a_pulse_is_followed_by_its_rest_and_both_carry_their_number() -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=2))
    setpoints = [each.setpoint for each in trial.actions if isinstance(each, Apply)]
    trial.samples(14)
    setpoints = [each.setpoint for each in trial.actions if isinstance(each, Apply)]
    assert trial.told == ["3.1p time >= 3", "3.1r time >= 2", "3.2p time >= 3", "3.2r time >= 2"]
    assert setpoints == [ConstantCurrent(-MA, WINDOW_V), Rest(WINDOW_V)] * 2
    assert [step.step_count for step in trial.steps] == [1, 2, 3, 4]
    assert trial.finish is not None


def test_rows_and_progress_name_the_very_pulse_and_its_path_in_the_file() -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=20, label="train"))
    trial.samples(11 * 7 + 1)
    seen = progress(trial.program, trial.state)
    assert (seen.step_id, seen.path, seen.word, seen.label) == ("3.12p", "3.p", "lithiate", "train")
    assert trial.rows[-1].step_id == "3.12p"
    trial.samples(4)
    seen = progress(trial.program, trial.state)
    assert (seen.step_id, seen.path, seen.word) == ("3.12r", "3.r", "rest")


def test_a_cutoff_met_under_load_ends_the_pulse_its_rest_still_runs_and_the_train_ends() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)), rest(time(99)))
    trial.samples(7)
    trial.samples(1, voltage_V=0.5)
    trial.samples(1, voltage_V=0.1)
    assert trial.told[2:] == ["3.2p voltage <= 0.2"]
    trial.samples(3, voltage_V=0.4)
    assert trial.told[3:] == ["3.2r time >= 2"]
    assert progress(trial.program, trial.state).step_id == "9"


def test_the_cutoff_of_a_train_is_not_watched_in_its_rests() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2), pulses=2))
    trial.samples(4)
    trial.samples(3, voltage_V=0.1)
    trial.samples(7)
    assert trial.told == ["3.1p time >= 3", "3.1r time >= 2", "3.2p time >= 3", "3.2r time >= 2"]


def test_the_cutoff_of_a_train_and_the_time_of_its_pulse_at_one_sample_end_the_train() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)))
    trial.voltages(1.0, 0.5, 0.5, 0.1)
    trial.samples(3)
    assert (trial.steps[0].end_reason, trial.steps[0].also_met) == ("voltage <= 0.2", ("time >= 3",))
    assert trial.finish is not None


def test_a_pulse_that_begins_beyond_the_cutoff_is_no_already_and_ends_its_train_after_its_rest() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)), settings=Settings(debounce=2))
    trial.samples(1, voltage_V=0.1)
    assert not trial.steps
    trial.samples(1, voltage_V=0.1)
    trial.samples(3)
    assert trial.told == ["3.1p voltage <= 0.2", "3.1r time >= 2"]
    assert not trial.events(EventKind.WARNING)
    assert trial.finish is not None


def test_the_crossing_of_a_trains_cutoff_is_in_the_time_and_charge_of_its_pulse() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)))
    trial.samples(7)
    trial.samples(1, voltage_V=0.6)
    trial.samples(1, voltage_V=0.1)
    pulse = trial.steps[2]
    assert pulse.crossing_s == pytest.approx(7.8)
    assert pulse.crossing_charge_Ah == pytest.approx(0.8 * A_SECOND)
    assert pulse.overshoot_V == pytest.approx(0.1)


def test_the_capacity_of_a_train_is_the_sum_of_its_pulses() -> None:
    for reference in (PreviousOf(Verb.LITHIATE), PreviousOf(None), LabelOf("train")):
        trial = begun(gitt(PULSE, RELAX, pulses=3, label="train"), delithiate(capacity(1.0, reference)))
        for _ in range(3):
            trial.samples(4)
            trial.samples(3, current_A=-0.5 * MA)
        trial.samples(12)
        assert trial.steps[-1].charge_Ah == pytest.approx(9 * A_SECOND)


def test_until_of_a_train_counts_the_capacity_of_all_its_pulses() -> None:
    trial = begun(gitt(PULSE, RELAX, capacity(6.9 * A_SECOND)))
    trial.samples(7 * 3)
    assert [step.step_id for step in trial.steps] == ["3.1p", "3.1r", "3.2p", "3.2r", "3.3p", "3.3r"]
    assert trial.steps[4].charge_Ah == pytest.approx(A_SECOND)


def test_until_of_a_train_counts_its_time_with_its_rests() -> None:
    trial = begun(gitt(PULSE, RELAX, time(9)))
    trial.samples(13)
    assert trial.steps[2].end_reason == "time >= 9"
    assert trial.steps[2].ended_s == 9.0


def test_abort_if_of_a_train_is_watched_in_its_rests_too() -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=9, abort_if=when(time(12))))
    trial.samples(13)
    assert trial.finish == Finish(Outcome.ABORTED, "abort_if: time >= 12")
    assert trial.steps[-1].step_id == "3.2r"


def test_the_limit_on_the_charge_of_a_step_holds_for_a_whole_train() -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=9), safety=Safety(step_charge_Ah=7.5 * A_SECOND))
    trial.samples(7 * 2 + 2)
    assert trial.finish is None
    trial.samples(1)
    assert trial.finish is not None
    assert trial.finish.reason.startswith("step charge 2.22222e-06")


def test_the_slope_in_a_rest_of_a_train_counts_only_after_its_sixty_seconds() -> None:
    flat = rest(clause(Watched.SLOPE, "<=", 1e-6), time(200))
    trial = begun(gitt(PULSE, flat, pulses=1))
    trial.samples(4 + 60)
    assert len(trial.steps) == 1
    trial.samples(1)
    assert trial.told[1].startswith("3.1r dV/dt")


def test_a_train_never_changes_the_cycle_number() -> None:
    trial = begun(repeat(2, gitt(PULSE, RELAX, pulses=2)))
    trial.samples(28)
    assert [step.cycle for step in trial.steps] == [1] * 4 + [2] * 4


def test_a_skip_leaves_the_whole_train() -> None:
    trial = begun(gitt(PULSE, RELAX, pulses=9, label="train"), delithiate(time(9)))
    trial.samples(5)
    trial.skip(4.5)
    assert trial.told == ["3.1p time >= 3", "3.1r skipped by ann"]
    assert progress(trial.program, trial.state).word == "delithiate"
    assert trial.state.course.past.labels == ()


@pytest.mark.parametrize("at_s", [0.5, 2.5, 3.5, 5.5])
def test_a_pause_anywhere_in_a_train_moves_only_its_clock(at_s: float) -> None:
    trial = begun(gitt(PULSE, RELAX, time(8), pulses=9))
    for k in range(40):
        if k == int(at_s) + 1:
            trial.pause(at_s)
        if k == int(at_s) + 11:
            trial.resume(at_s + 10)
        trial.sample(float(k), current_A=0.0 if "paused" in str(trial.state.phase) else None)
    assert trial.told[0] == "3.1p time >= 3"
    assert trial.told[2] == "3.2p time >= 8"
    assert trial.steps[0].charge_Ah == pytest.approx(3 * A_SECOND, rel=0.2)
    assert next(row.mark for row in trial.rows if row.mark is not Mark.PAUSED) is Mark.START


def test_a_train_and_a_whole_with_nothing_to_do_do_not_hang_their_repeat() -> None:
    trial = begun(repeat(1000, cccv(DOWN, voltage("<=", 0.5))), rest(time(9)))
    trial.voltages(0.1, 0.1)
    assert trial.events(EventKind.WARNING)[-1].data["message"] == (
        "every step of pass 1 of 1000 was over before it began: the repeat ends here"
    )
    assert progress(trial.program, trial.state).word == "rest"


def test_a_hold_that_does_something_keeps_its_repeat_going() -> None:
    trial = begun(repeat(2, cccv(DOWN, time(1))))
    trial.samples(6, voltage_V=0.1, current_A=-MA)
    assert trial.told == ["2.cc already: voltage <= 0.2", "2.cv time >= 1"] * 2


def test_a_stop_in_any_part_ends_the_run_with_its_row_and_its_name() -> None:
    for count, path in ((2, "3.1p"), (5, "3.1r"), (8, "3.2p")):
        trial = begun(gitt(PULSE, RELAX, pulses=9))
        trial.samples(count)
        trial.stop(count - 0.5)
        assert trial.told[-1] == f"{path} stopped by ann"
        assert progress(trial.program, trial.state).step_id == path


# What steps remember of each other


def test_the_previous_lithiate_is_found_across_cycles() -> None:
    up = delithiate(capacity(1.0, PreviousOf(Verb.LITHIATE)), time(9))
    trial = begun(repeat(2, up, lithiate(time(4))))
    trial.samples(10 + 5 + 5 + 5)
    assert [step.end_reason for step in trial.steps] == ["time >= 9", "time >= 4", "capacity >= 1", "time >= 4"]


def test_a_label_means_its_last_completed_execution() -> None:
    labelled = delithiate(voltage(">=", 1.5), label="up")
    trial = begun(repeat(3, labelled, lithiate(capacity(1.0, LabelOf("up")), time(99))))
    for seconds in (3, 5):
        trial.samples(seconds)
        trial.samples(1, voltage_V=1.6)
        trial.samples(seconds + 1)
    trial.samples(2)
    trial.skip(21.5)
    trial.samples(6)
    ups = [step.charge_Ah for step in trial.steps if step.word == "delithiate"]
    downs = [step.charge_Ah for step in trial.steps if step.word == "lithiate"]
    assert downs[:2] == pytest.approx(ups[:2])
    assert downs[2] == pytest.approx(ups[1])


def test_a_step_has_the_same_id_in_every_pass() -> None:
    trial = begun(repeat(3, lithiate(time(1), path="5.1"), gitt(PULSE, RELAX, pulses=2, path="5.2")))
    trial.samples(3 * (2 + 2 * 7))
    ids = [step.step_id for step in trial.steps]
    assert ids == ["5.1", "5.2.1p", "5.2.1r", "5.2.2p", "5.2.2r"] * 3


def test_time_in_which_nobody_watched_is_no_time_of_a_whole_whose_part_had_no_sample_yet() -> None:
    """The station died between current and hold; what it missed must not abort the hold when it goes on."""
    trial = begun(cccv(DOWN, TAPER, abort_if=when(time(20))))
    trial.voltages(1.0, 0.5, 0.2)
    trial.pause(3602.0)
    trial.resume(3610.0)
    trial.sample(3611.0, 0.2, -MA)
    assert trial.finish is None
    for at_s in range(3612, 3628):
        trial.sample(float(at_s), 0.2, -MA)
    assert trial.finish is None
    trial.sample(3629.0, 0.2, -MA)
    assert trial.finish is not None


def test_a_hold_never_tapers_against_its_verb_but_ends_at_its_first_look() -> None:
    """The cell is beyond the voltage: holding it would delithiate in a lithiation until the current fades."""
    trial = begun(cccv(DOWN, TAPER, time(99)), hold(0.2, TAPER))
    trial.samples(1, voltage_V=0.1)
    trial.samples(2, voltage_V=0.2, current_A=MA)
    assert trial.told == ["2.cc already: voltage <= 0.2", "2.cv current <= 0.0001"]
    trial.samples(9, voltage_V=0.2, current_A=MA)
    assert progress(trial.program, trial.state).step_id == "6"


def test_a_current_against_the_verb_of_a_hold_still_aborts_by_its_magnitude() -> None:
    trial = begun(cccv(DOWN, time(99), abort_if=when(current(">=", 0.9 * MA))))
    trial.samples(1, voltage_V=0.1, current_A=0.0)
    trial.samples(2, voltage_V=0.2, current_A=MA)
    assert trial.finish == Finish(Outcome.ABORTED, "abort_if: current >= 0.0009")


def test_a_current_after_a_gap_in_a_hold_counts_at_once() -> None:
    trial = begun(hold(0.2, TAPER))
    cv(trial, 1.0, 1.0)
    trial.sample(20.0, 0.2, 0.0)
    assert trial.told == ["6 current <= 0.0001"]


def test_one_reading_beyond_the_cutoff_ends_a_train_of_slow_samples_and_is_no_already() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)), settings=Settings(sample_every_s=2.0))
    trial.samples(1, voltage_V=0.1)
    assert trial.told == ["3.1p voltage <= 0.2"]
    assert not trial.events(EventKind.WARNING)
    trial.samples(3, voltage_V=0.1)
    assert trial.told[1:] == ["3.1r time >= 2"]
    assert trial.state.course.past.lithiate_Ah is None


def test_each_pulse_looks_for_the_cutoff_of_its_train_anew() -> None:
    for cutoff in (voltage("<=", 0.2), voltage("<=", 0.2, for_s=2)):
        trial = begun(gitt(PULSE, RELAX, cutoff, pulses=2), settings=Settings(debounce=3))
        trial.voltages(1.0, 1.0, 0.1, 0.1, 0.5, 0.5, 0.5, 0.1, 0.1, 1.0, 1.0)
        assert trial.told == ["3.1p time >= 3", "3.1r time >= 2", "3.2p time >= 3"]


@pytest.mark.parametrize("second", [lithiate(time(9), abort_if=LOW), cccv(DOWN, TAPER, abort_if=LOW)])
def test_the_clock_of_an_abort_begins_anew_in_the_next_step(second: CurrentStep | CccvStep) -> None:
    trial = begun(lithiate(time(3), abort_if=LOW), second)
    trial.voltages(1.0, 1.0, 0.2, 0.2)
    trial.samples(3, voltage_V=0.2, current_A=-MA)
    assert trial.finish is None
    trial.samples(1, voltage_V=0.2, current_A=-MA)
    assert trial.finish == Finish(Outcome.ABORTED, "abort_if: voltage <= 0.2 for 3 s")


def test_the_first_reading_of_a_whole_needs_no_second_one_to_abort_but_that_of_a_later_part_does() -> None:
    whole = cccv(DOWN, time(9), abort_if=when(voltage("<=", 0.1)))
    first, later = (begun(whole, settings=Settings(debounce=2)) for _ in range(2))
    first.samples(1, voltage_V=0.1)
    assert first.finish is not None
    later.voltages(1.0, 0.2, 0.2, 0.1)
    assert later.finish is None
    later.samples(1, voltage_V=0.1)
    assert later.finish is not None


def test_a_train_left_by_a_skip_leaves_nothing_of_its_cutoff_to_the_next() -> None:
    train = gitt(PULSE, RELAX, voltage("<=", 0.2))
    trial = begun(train, train, settings=Settings(debounce=2))
    trial.voltages(1.0, 0.1)
    trial.skip(1.5)
    trial.samples(1, voltage_V=0.1)
    assert trial.told == ["3.1p skipped by ann"]


def test_a_step_that_never_had_a_sample_has_no_voltage_of_the_step_before_it() -> None:
    trial = begun(lithiate(time(2)), delithiate(time(9)))
    trial.samples(3)
    trial.stop(2.5)
    assert (trial.steps[1].start_voltage_V, trial.steps[1].end_voltage_V, trial.steps[1].ended_s) == (None, None, 2.5)


def test_a_train_that_ends_at_the_first_reading_of_a_pulse_keeps_the_charge_of_those_before_it() -> None:
    trial = begun(gitt(PULSE, RELAX, voltage("<=", 0.2)), delithiate(time(9)))
    trial.samples(7)
    trial.samples(4, voltage_V=0.1)
    assert trial.told == ["3.1p time >= 3", "3.1r time >= 2", "3.2p voltage <= 0.2", "3.2r time >= 2"]
    assert trial.state.course.past.lithiate_Ah == trial.steps[0].charge_Ah > 0


def test_each_label_is_remembered_once_with_its_last_charge() -> None:
    trial = begun(repeat(3, lithiate(time(2), label="a"), delithiate(time(3), label="b")))
    trial.samples(21)
    assert dict(trial.state.course.past.labels) == pytest.approx({"a": 2 * A_SECOND, "b": 3 * A_SECOND})
    assert len(trial.state.course.past.labels) == 2
