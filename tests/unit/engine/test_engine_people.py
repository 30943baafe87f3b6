"""Pauses, skips, stops, faults and gaps: what people and accidents do to a run."""

from __future__ import annotations

import pytest

from protocols.engine import (
    Apply,
    Faulted,
    Finish,
    Paused,
    Phase,
    RecordEvent,
    RecordRow,
    Sampled,
    Tripped,
    TurnOff,
    from_json,
    live_row,
    progress,
    resume_setpoint,
    to_json,
)
from protocols.model import ConstantCurrent, Record, Safety, Settings, Watched
from protocols.record import EventKind, Mark, Mode, Outcome
from tests.unit.engine.conftest import (
    MA,
    WINDOW_V,
    Trial,
    begun,
    clause,
    delithiate,
    lithiate,
    program,
    rest,
    time,
    voltage,
    when,
)

A_SECOND = MA / 3600


def test_a_pause_turns_off_first_and_writes_the_last_sample_before_it() -> None:
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 0.9)
    actions = trial.pause(1.5)
    assert actions[0] == TurnOff()
    assert isinstance(actions[1], RecordRow)
    assert (actions[1].row.time_s, actions[1].row.mark) == (1.0, Mark.NONE)
    assert isinstance(actions[-1], RecordEvent)
    assert actions[-1].event.data == {"action": "pause", "by": "ann"}


def test_step_time_stands_still_in_a_pause_and_goes_on_at_the_resume() -> None:
    trial = begun(lithiate(time(10)))
    trial.voltages(*[1.0] * 5)
    trial.pause(4.5)
    for k in range(100):
        trial.sample(5.0 + k, current_A=0.0)
    trial.resume(104.5)
    trial.sample(109.0)
    trial.sample(109.9)
    assert not trial.steps
    trial.sample(110.1)
    assert trial.steps[0].charge_Ah == pytest.approx(10.1 * A_SECOND)


def test_for_clocks_stand_still_in_a_pause() -> None:
    trial = begun(lithiate(time(999), abort_if=when(voltage("<=", 0.2, for_s=10))))
    trial.voltages(1.0, *[0.1] * 5)
    trial.pause(5.0)
    trial.sample(50.0, 0.1, 0.0)
    trial.resume(100.0)
    trial.sample(105.0, 0.1)
    assert trial.finish is None
    trial.sample(106.0, 0.1)
    assert trial.finish is not None
    assert trial.finish.outcome is Outcome.ABORTED


def test_samples_of_a_pause_are_rows_outside_the_step() -> None:
    trial = begun(lithiate(time(99), record=Record(time_s=10)))
    trial.voltages(1.0, 1.0)
    trial.pause(1.0)
    for k in range(2, 23):
        trial.sample(float(k), 0.5, 0.0)
    paused = [row for row in trial.rows if row.mark is Mark.PAUSED]
    assert [row.time_s for row in paused] == [2.0, 12.0, 22.0]
    assert {(row.mode, row.direction, row.step_time_s) for row in paused} == {(Mode.REST, 0, 1.0)}
    assert paused[-1].step_total == trial.rows[1].step_total


def test_charge_of_a_pause_counts_in_the_run_but_not_in_the_step() -> None:
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 1.0)
    trial.pause(1.0)
    trial.sample(2.0, current_A=-MA)
    trial.sample(3.0, current_A=-MA)
    trial.resume(3.0)
    trial.sample(4.0)
    row = trial.rows[-1]
    assert row.step_total.reduction_Ah == pytest.approx(2 * A_SECOND)
    assert row.run_total.reduction_Ah == pytest.approx(4 * A_SECOND)


def test_a_resume_applies_the_same_setpoint_last_and_empties_the_slope() -> None:
    trial = begun(lithiate(clause(Watched.SLOPE, "<=", 1e-9)))
    trial.voltages(*[1.0] * 60)
    trial.pause(59.0)
    assert resume_setpoint(trial.program, trial.state) == ConstantCurrent(-MA, WINDOW_V)
    assert trial.resume(60.0)[-1] == Apply(ConstantCurrent(-MA, WINDOW_V))
    trial.voltages(*[1.0] * 60, since_s=61.0)
    assert not trial.steps
    trial.sample(121.0)
    assert trial.steps


def test_the_last_sample_of_a_pause_is_a_row_and_so_is_the_first_after_it() -> None:
    trial = begun(lithiate(time(99)))
    trial.sample(0.0)
    trial.pause(1.0)
    for at_s in (2.0, 3.0, 4.0):
        trial.sample(at_s, current_A=0.0, temperature_degC=float("nan"))
    trial.resume(5.0)
    trial.sample(6.0)
    assert [(row.time_s, row.mark) for row in trial.rows[1:]] == [
        (2.0, Mark.PAUSED),
        (4.0, Mark.PAUSED),
        (6.0, Mark.NONE),
    ]
    assert trial.rows[2].temperature_degC is None


def test_a_pause_without_a_sample_passes_no_charge_and_one_that_leaks_is_counted_to_its_end() -> None:
    for leak_A, passed_Ah in ((None, 2 * A_SECOND), (-MA / 10, 12 * A_SECOND)):
        trial = begun(lithiate(time(99)))
        trial.voltages(1.0, 1.0)
        trial.pause(1.0)
        if leak_A is not None:
            trial.sample(2.0, current_A=leak_A)
        trial.resume(101.0)
        trial.sample(102.0)
        assert trial.rows[-1].run_total.reduction_Ah == pytest.approx(passed_Ah)
        assert not trial.events(EventKind.GAP)


def test_a_current_step_resumed_after_more_than_ten_minutes_is_flagged() -> None:
    for paused_s, warnings in ((600.0, 0), (601.0, 1)):
        trial = begun(lithiate(time(99)))
        trial.sample(0.0)
        trial.pause(1.0)
        trial.resume(1.0 + paused_s)
        assert len(trial.events(EventKind.WARNING)) == warnings


def test_no_crossing_is_drawn_across_a_pause() -> None:
    trial = begun(lithiate(voltage("<=", 0.2)))
    trial.voltages(1.0, 0.9)
    trial.pause(1.5)
    trial.resume(2.0)
    trial.sample(3.0, 0.1)
    assert trial.steps[0].crossing_s is None


def test_a_step_paused_before_its_first_sample_begins_at_the_resume() -> None:
    trial = begun(lithiate(time(3)))
    trial.pause(0.1)
    trial.sample(0.5, current_A=0.0)
    trial.resume(50.0)
    trial.voltages(1.0, 1.0, 1.0, 1.0, since_s=50.5)
    assert [row.mark for row in trial.rows] == [Mark.PAUSED, Mark.START, Mark.END]
    assert trial.steps[0].started_s == 50.5


def test_safety_is_watched_in_a_pause() -> None:
    trial = begun(lithiate(time(99)), safety=Safety(voltage_V=(0.0, 2.0)))
    trial.sample(0.0)
    trial.pause(1.0)
    actions = trial.sample(2.0, 2.1, 0.0)
    assert actions[0] == TurnOff()
    assert trial.finish == Finish(Outcome.TRIPPED, "voltage 2.1 V is outside 0 V to 2 V")
    assert trial.rows[-1].mark is Mark.PAUSED


def test_a_cell_may_cool_down_in_a_pause_but_not_get_too_hot() -> None:
    trial = begun(lithiate(time(99)), safety=Safety(temperature_degC=(110, 135)))
    trial.sample(0.0, temperature_degC=120.0)
    trial.pause(1.0)
    trial.sample(2.0, current_A=0.0, temperature_degC=25.0)
    assert trial.finish is None
    trial.sample(3.0, current_A=0.0, temperature_degC=136.0)
    assert trial.finish is not None


def test_a_step_that_passed_too_much_trips_in_a_pause_too() -> None:
    trial = begun(lithiate(time(99)), safety=Safety(step_charge_Ah=1.5 * A_SECOND, for_s=5))
    trial.voltages(1.0, 1.0, 1.0)
    trial.pause(2.5)
    for at_s in (3.0, 7.0):
        trial.sample(at_s, current_A=0.0)
    assert trial.finish is not None
    assert trial.finish.reason.startswith("step charge")


def test_a_skip_names_who_did_it_and_goes_on_at_once() -> None:
    trial = begun(lithiate(time(99)), delithiate(time(99)))
    trial.voltages(1.0, 0.9)
    actions = trial.skip(1.5)
    assert trial.steps[0].end_reason == "skipped by ann"
    assert actions[-1] == Apply(ConstantCurrent(MA, WINDOW_V))
    trial.sample(2.0)
    assert [row.mark for row in trial.rows] == [Mark.START, Mark.END, Mark.START]


def test_a_skip_in_a_pause_turns_nothing_on_until_the_resume() -> None:
    trial = begun(lithiate(time(99)), delithiate(time(2)))
    trial.voltages(1.0, 0.9)
    trial.pause(1.5)
    trial.sample(2.0, current_A=0.0)
    assert not any(isinstance(each, Apply) for each in trial.skip(2.5))
    assert trial.state.phase is Phase.PAUSED
    trial.sample(3.0, current_A=0.0)
    waiting = live_row(trial.program, trial.state)
    assert waiting is not None
    assert (waiting.step_count, waiting.step_time_s, waiting.mark) == (2, 0.0, Mark.PAUSED)
    assert trial.resume(4.0)[-1] == Apply(ConstantCurrent(MA, WINDOW_V))
    trial.voltages(1.0, 1.0, 1.0, since_s=5.0)
    assert trial.finish == Finish(Outcome.FINISHED, "the protocol is complete")
    assert trial.steps[1].charge_Ah == pytest.approx(2 * A_SECOND)


def test_a_leak_in_a_pause_is_counted_once_when_its_step_is_skipped() -> None:
    trial = begun(lithiate(time(99)), delithiate(time(99)))
    trial.sample(0.0, current_A=0.0)
    trial.pause(0.0)
    for at_s in (1.0, 2.0, 3.0):
        trial.sample(at_s, current_A=MA)
        trial.skip(at_s + 0.5) if at_s == 2.0 else None
    assert trial.state.course.run_total.oxidation_Ah == pytest.approx(3 * A_SECOND)


def test_a_step_paused_for_long_before_its_first_sample_is_not_flagged() -> None:
    trial = begun(lithiate(time(99)))
    trial.pause(0.5)
    trial.resume(5000.0)
    assert not trial.events(EventKind.WARNING)


def test_a_skip_of_the_last_step_ends_the_run_with_the_output_off() -> None:
    trial = begun(lithiate(time(99)))
    assert trial.skip(1.0)[0] == TurnOff()
    assert trial.finish is not None


@pytest.mark.parametrize(
    ("event", "outcome", "kind"),
    [
        (Tripped(9.0, 9.0, "too hot"), Outcome.TRIPPED, EventKind.TRIP),
        (Faulted(9.0, 9.0, "link lost"), Outcome.FAULTED, EventKind.FAULT),
    ],
)
@pytest.mark.parametrize("phase", list(Phase))
def test_the_guard_and_faults_end_a_run_in_any_phase(
    event: Tripped | Faulted, outcome: Outcome, kind: EventKind, phase: Phase
) -> None:
    trial = in_phase(phase)
    actions = trial.tell(event)
    if phase is Phase.ENDED:
        assert actions == ()
        return
    assert actions[0] == TurnOff()
    assert actions[-1] == Finish(outcome, event.reason)
    assert len(trial.events(kind)) == 1
    assert trial.state.phase is Phase.ENDED


@pytest.mark.parametrize("phase", [Phase.READY, Phase.RUNNING, Phase.PAUSED])
def test_a_stop_ends_a_run_in_any_phase(phase: Phase) -> None:
    trial = in_phase(phase)
    assert trial.stop(9.0)[0] == TurnOff()
    assert trial.finish == Finish(Outcome.STOPPED, "stopped by ann")


def in_phase(phase: Phase) -> Trial:
    trial = Trial(program(lithiate(time(99))))
    if phase is not Phase.READY:
        trial.start()
        trial.voltages(1.0, 0.9)
    if phase is Phase.PAUSED:
        trial.pause(2.0)
    if phase is Phase.ENDED:
        trial.stop(2.0)
    assert trial.state.phase is phase
    return trial


def test_the_last_sample_is_the_end_row_when_a_person_stops() -> None:
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 0.9, 0.8)
    trial.stop(2.5)
    assert [(row.time_s, row.mark) for row in trial.rows] == [(0.0, Mark.START), (2.0, Mark.END)]
    assert (trial.steps[0].end_reason, trial.steps[0].ended_s) == ("stopped by ann", 2.0)


def test_no_sample_is_written_twice() -> None:
    trial = begun(lithiate(time(99)))
    trial.sample(0.0)
    trial.stop(0.5)
    assert [(row.seq, row.mark) for row in trial.rows] == [(1, Mark.START)]


def test_a_fault_long_after_the_last_sample_says_the_most_that_can_have_passed_since() -> None:
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 0.9)
    actions = trial.tell(Faulted(61.0, 61.0, "link lost"))
    assert actions[0] == TurnOff()
    assert trial.events(EventKind.GAP)[0].data["at_most_Ah"] == pytest.approx(60 * A_SECOND)
    assert trial.steps[0].charge_Ah == pytest.approx(A_SECOND)


def test_a_stop_in_a_pause_keeps_the_end_of_the_step_where_the_current_ended() -> None:
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 0.9)
    trial.pause(1.5)
    trial.sample(60.0, 1.4, 0.0)
    trial.stop(70.0)
    assert (trial.steps[0].ended_s, trial.steps[0].end_voltage_V) == (1.0, 0.9)


def test_a_step_that_never_had_a_sample_is_summed_up_without_voltages() -> None:
    trial = begun(lithiate(time(99)))
    trial.stop(0.5)
    step = trial.steps[0]
    assert (step.start_voltage_V, step.end_voltage_V, step.charge_Ah) == (None, None, 0.0)
    assert not trial.rows


def test_a_gap_while_current_flows_is_told_and_its_charge_inferred_from_the_setpoint() -> None:
    trial = begun(lithiate(time(99)))
    trial.sample(0.0, current_A=-2 * MA)
    trial.sample(5.0, current_A=-2 * MA)
    assert not trial.events(EventKind.GAP)
    trial.sample(15.0, current_A=-2 * MA)
    gap = trial.events(EventKind.GAP)[0]
    assert gap.data["inferred_Ah"] == pytest.approx(10 * A_SECOND)
    assert (gap.data["from_s"], gap.data["to_s"]) == (5.0, 15.0)
    trial.stop(16.0)
    assert trial.steps[0].charge_Ah == pytest.approx(20 * A_SECOND)


def test_a_gap_in_a_rest_is_no_gap() -> None:
    trial = begun(rest(time(999)))
    trial.sample(0.0)
    trial.sample(100.0)
    assert not trial.events(EventKind.GAP)


def test_a_gap_before_the_first_sample_of_a_step_is_told_too() -> None:
    trial = begun(lithiate(time(99)))
    trial.sample(20.0)
    assert trial.events(EventKind.GAP)[0].data["inferred_Ah"] == pytest.approx(20 * A_SECOND)
    assert trial.rows[0].run_total.reduction_Ah == pytest.approx(20 * A_SECOND)
    assert trial.rows[0].step_total.reduction_Ah == 0.0


def test_no_crossing_is_drawn_across_a_gap() -> None:
    trial = begun(lithiate(voltage("<=", 0.2)))
    trial.voltages(1.0, 0.9)
    trial.sample(20.0, 0.1)
    assert trial.steps[0].crossing_s is None


def test_a_run_paused_long_after_its_last_sample_counts_nothing_but_says_the_most() -> None:
    """So does a station that comes back after it died: nobody knows when the current ended."""
    trial = begun(lithiate(time(99)))
    trial.voltages(1.0, 0.9)
    reborn = Trial(trial.program)
    reborn.state = from_json(to_json(trial.state))
    reborn.tell(Paused(3601.0, 0.0, "restart"))
    assert reborn.events(EventKind.GAP)[0].data["at_most_Ah"] == pytest.approx(MA)
    reborn.resume(3610.0)
    reborn.sample(3611.0)
    assert reborn.rows[-1].step_total.reduction_Ah == pytest.approx(2 * A_SECOND)
    assert reborn.rows[-1].step_time_s == pytest.approx(2.0)
    assert [row.seq for row in trial.rows + reborn.rows] == [1, 2, 3]


def test_charge_between_steps_counts_at_the_new_current_in_run_and_cycle_only() -> None:
    trial = begun(lithiate(time(2)), delithiate(time(9)))
    for k in range(4):
        trial.sample(float(k))
    row = trial.rows[-1]
    assert (row.mark, row.time_s) == (Mark.START, 3.0)
    assert row.run_total.reduction_Ah == pytest.approx(2 * A_SECOND)
    assert row.run_total.oxidation_Ah == pytest.approx(A_SECOND)
    assert row.step_total.oxidation_Ah == 0.0


def test_charge_up_to_a_skip_counts_at_the_old_current() -> None:
    trial = begun(lithiate(time(99)), rest(time(99)))
    trial.sample(0.0, current_A=-3 * MA)
    trial.sample(1.0, current_A=-3 * MA)
    trial.skip(1.5)
    trial.sample(2.0)
    assert trial.rows[-1].run_total.reduction_Ah == pytest.approx(4.5 * A_SECOND)


def test_the_live_row_is_the_newest_sample_with_the_last_recorded_number() -> None:
    trial = begun(lithiate(voltage("<=", 0.2)), delithiate(time(99)))
    assert live_row(trial.program, trial.state) is None
    trial.voltages(1.0, 0.9, 0.8)
    row = live_row(trial.program, trial.state)
    assert row is not None
    assert (row.seq, row.time_s, row.voltage_V, row.mark) == (1, 2.0, 0.8, Mark.NONE)
    assert row.step_total.reduction_Ah == pytest.approx(2 * A_SECOND)
    trial.sample(3.0, 0.1)
    assert live_row(trial.program, trial.state) == trial.rows[-1]
    trial.pause(3.5)
    trial.sample(4.0, 0.3, 0.0)
    trial.sample(5.0, 0.4, 0.0)
    paused = live_row(trial.program, trial.state)
    assert paused is not None
    assert (paused.voltage_V, paused.mark) == (0.4, Mark.PAUSED)


def test_progress_says_what_is_applied_and_how_it_ended() -> None:
    trial = begun(lithiate(time(99), label="down"), settings=Settings())
    seen = progress(trial.program, trial.state)
    assert (seen.phase, seen.step_id, seen.word, seen.setpoint_A, seen.label) == (
        Phase.RUNNING,
        "1",
        "lithiate",
        -MA,
        "down",
    )
    assert resume_setpoint(trial.program, trial.state) is None
    trial.pause(1.0)
    assert progress(trial.program, trial.state).setpoint_A is None
    trial.stop(2.0)
    ended = progress(trial.program, trial.state)
    assert (ended.outcome, ended.reason, ended.word) == (Outcome.STOPPED, "stopped by ann", "lithiate")


def test_a_sample_after_the_end_changes_nothing() -> None:
    trial = in_phase(Phase.ENDED)
    assert trial.tell(Sampled(99.0, 99.0, 1.0, 0.0, None)) == ()
