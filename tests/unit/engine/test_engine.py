"""Steps, ends, cycles and records, each as the language's semantics say."""

from __future__ import annotations

import math

import pytest

from protocols.engine import Apply, Finish, Phase, RecordEvent, RecordRow, RecordStep, TurnOff, advance, begin, progress
from protocols.events import Action, Sampled
from protocols.model import (
    ConstantCurrent,
    LabelOf,
    OnStartMet,
    PreviousOf,
    Record,
    Rest,
    Safety,
    Settings,
    Verb,
    Watched,
)
from protocols.record import Counters, EventKind, Mark, Mode, Outcome
from tests.unit.engine.conftest import (
    MA,
    WINDOW_V,
    Trial,
    begun,
    clause,
    delithiate,
    lithiate,
    note,
    program,
    repeat,
    rest,
    time,
    voltage,
    when,
)

LITHIATION = lithiate(voltage("<=", 0.2))
DELITHIATION = delithiate(voltage(">=", 1.2))


def kinds(actions: tuple[Action, ...]) -> list[str]:
    return [each.event.kind if isinstance(each, RecordEvent) else type(each).__name__ for each in actions]


def test_a_started_run_applies_its_first_step_last_of_all() -> None:
    trial = Trial(program(LITHIATION))
    assert trial.start() == tuple(trial.actions)
    assert kinds(tuple(trial.actions)) == ["run_started", "step_started", "Apply"]
    assert trial.actions[-1] == Apply(ConstantCurrent(-MA, WINDOW_V))


def test_a_rest_applies_no_current() -> None:
    assert begun(rest(time(10))).actions[-1] == Apply(Rest(WINDOW_V))


def test_the_end_of_a_step_and_the_next_setpoint_come_with_the_same_sample() -> None:
    trial = begun(LITHIATION, DELITHIATION)
    actions = trial.voltages(1.0, 0.5, 0.1)
    assert kinds(actions) == ["RecordRow", "RecordStep", "step_ended", "step_started", "Apply"]
    assert actions[-1] == Apply(ConstantCurrent(MA, WINDOW_V))


def test_the_last_step_ends_the_run_with_the_output_off_first() -> None:
    actions = begun(LITHIATION).voltages(1.0, 0.1)
    assert kinds(actions) == ["TurnOff", "RecordRow", "RecordStep", "step_ended", "run_ended", "Finish"]
    assert actions[-1] == Finish(Outcome.FINISHED, "the protocol is complete")


@pytest.mark.parametrize("steps", [(), (note("only words"),), (repeat(3),), (repeat(10**5, repeat(10**5, note("x"))),)])
def test_a_program_in_which_nothing_takes_time_is_over_at_once(steps: tuple[()]) -> None:
    trial = begun(*steps)
    assert trial.finish is not None
    assert isinstance(trial.actions[0], TurnOff)
    assert not any(isinstance(each, Apply) for each in trial.actions)


def test_step_time_and_step_charge_are_zero_at_the_first_sample_of_a_step() -> None:
    trial = begun(rest(time(5)), LITHIATION)
    for second in range(8):
        trial.sample(0.5 + second)
    first = next(row for row in trial.rows if row.mark is Mark.START and row.step_count == 2)
    assert (first.step_time_s, first.step_total) == (0.0, Counters())


def test_the_last_sample_of_the_old_step_belongs_to_the_old_one_only() -> None:
    trial = begun(LITHIATION, DELITHIATION)
    trial.voltages(1.0, 0.1)
    trial.sample(2.0, 0.4)
    assert [(row.time_s, row.step_count, row.mark) for row in trial.rows] == [
        (0.0, 1, Mark.START),
        (1.0, 1, Mark.END),
        (2.0, 2, Mark.START),
    ]


def test_a_row_says_how_the_step_regulates_and_which_way() -> None:
    trial = begun(rest(time(1)), LITHIATION, DELITHIATION)
    for at_s, volts in enumerate((1.0, 1.0, 1.0, 0.1, 1.0, 1.3)):
        trial.sample(at_s, volts)
    assert {(row.step_count, row.mode, row.direction) for row in trial.rows} == {
        (1, Mode.REST, 0),
        (2, Mode.CURRENT, -1),
        (3, Mode.CURRENT, 1),
    }


def test_two_cutoffs_at_once_end_the_step_with_the_first_written_and_list_the_other() -> None:
    trial = begun(lithiate(time(2), voltage("<=", 0.2), clause(Watched.CAPACITY, ">=", 9.0)))
    trial.voltages(1.0, 0.5, 0.1)
    assert (trial.steps[0].end_reason, trial.steps[0].also_met) == ("time >= 2", ("voltage <= 0.2",))


def test_an_and_needs_all_its_clauses_at_one_sample() -> None:
    trial = begun(lithiate((voltage("<=", 0.2), time(3))))
    trial.voltages(1.0, 0.1, 0.1)
    assert not trial.steps
    trial.sample(3.0, 0.1)
    assert trial.steps[0].end_reason == "voltage <= 0.2 and time >= 3"


def test_a_decimal_sample_interval_does_not_cost_a_sample_at_a_time_end() -> None:
    trial = begun(rest(time(10)))
    assert 182 * 0.1 - 82 * 0.1 < 10  # binary fractions
    for k in range(82, 184):
        trial.sample(k * 0.1)
    assert trial.steps[0].ended_s == pytest.approx(18.2)


def test_a_voltage_needs_two_samples_in_a_row_while_they_come_every_second() -> None:
    trial = begun(LITHIATION, settings=Settings(debounce=2))
    trial.voltages(1.0, 0.1, 0.5, 0.1)
    assert not trial.steps
    trial.sample(4.0, 0.1)
    assert trial.steps[0].ended_s == 4.0


def test_a_voltage_needs_one_sample_when_they_come_more_slowly() -> None:
    trial = begun(LITHIATION, settings=Settings(sample_every_s=2.0, debounce=2))
    trial.voltages(1.0, 0.1)
    assert trial.steps


def test_a_time_of_its_own_replaces_the_second_sample() -> None:
    trial = begun(lithiate(voltage("<=", 0.2, for_s=0.0)), settings=Settings(debounce=2))
    trial.voltages(1.0, 0.1)
    assert trial.steps


def test_a_persistent_condition_starts_again_when_it_fails_once() -> None:
    trial = begun(lithiate(voltage("<=", 0.2, for_s=3)))
    trial.voltages(0.1, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1)
    assert not trial.steps
    trial.sample(7.0, 0.1)
    assert trial.steps[0].ended_s == 7.0


def test_a_current_step_already_at_its_end_is_skipped_with_a_warning_and_no_charge() -> None:
    trial = begun(LITHIATION, DELITHIATION)
    actions = trial.sample(1.0, 0.1)
    assert kinds(actions) == ["RecordRow", "RecordStep", "step_ended", "warning", "step_started", "Apply"]
    assert (trial.steps[0].end_reason, trial.steps[0].charge_Ah) == ("already: voltage <= 0.2", 0.0)
    assert [(row.mark, row.seq) for row in trial.rows] == [(Mark.END, 1)]


def test_already_at_its_end_needs_no_second_sample() -> None:
    trial = begun(LITHIATION, DELITHIATION, settings=Settings(debounce=2))
    trial.sample(1.0, 0.1)
    assert trial.steps[0].end_reason == "already: voltage <= 0.2"


def test_a_step_may_ask_to_abort_when_it_is_already_at_its_end() -> None:
    trial = begun(lithiate(voltage("<=", 0.2), on_start_met=OnStartMet.ABORT), DELITHIATION)
    trial.sample(1.0, 0.1)
    assert trial.finish == Finish(Outcome.ABORTED, "already: voltage <= 0.2")


def test_time_alternatives_are_never_already_met() -> None:
    trial = begun(lithiate(time(0), (voltage("<=", 0.2), time(0))))
    trial.sample(1.0, 0.1)
    assert not trial.steps
    trial.sample(2.0, 0.1)
    assert trial.steps[0].end_reason == "time >= 0"


def test_a_rest_already_at_its_end_just_ends() -> None:
    trial = begun(rest(voltage(">=", 0.5)), LITHIATION)
    trial.sample(1.0, 1.0)
    assert trial.steps[0].end_reason == "voltage >= 0.5"
    assert not trial.events(EventKind.WARNING)


def test_a_pass_in_which_every_step_was_skipped_ends_its_repeat_with_a_warning() -> None:
    trial = begun(repeat(1000, LITHIATION, note("round")), DELITHIATION)
    trial.sample(1.0, 0.1)
    assert [event.data["message"] for event in trial.events(EventKind.WARNING)] == [
        "lithiate skipped, already: voltage <= 0.2",
        "every step of pass 1 of 1000 was over before it began: the repeat ends here",
    ]
    assert progress(trial.program, trial.state).word == "delithiate"


def test_a_pass_with_one_real_step_lets_its_repeat_go_on() -> None:
    trial = begun(repeat(2, LITHIATION, rest(time(1))), DELITHIATION)
    trial.voltages(0.1, 0.1, 0.1)
    assert trial.state.course.cycle == 2
    assert progress(trial.program, trial.state).word == "lithiate"


def test_a_repeat_in_its_last_pass_needs_no_one_to_end_it() -> None:
    trial = begun(repeat(1, LITHIATION), DELITHIATION)
    trial.sample(0.0, 0.1)
    messages = [event.data["message"] for event in trial.events(EventKind.WARNING)]
    assert messages == ["lithiate skipped, already: voltage <= 0.2"]


def test_a_pass_of_rests_that_take_no_time_gets_nowhere() -> None:
    trial = begun(repeat(9, rest(voltage(">=", 0.5))), DELITHIATION)
    trial.sample(0.0, 1.0)
    assert progress(trial.program, trial.state).word == "delithiate"


def test_an_inner_repeat_that_gets_nowhere_does_not_end_an_outer_pass_that_does() -> None:
    trial = begun(repeat(2, rest(time(1)), repeat(2, LITHIATION)), DELITHIATION)
    trial.voltages(0.1, 0.1, 0.1)
    assert progress(trial.program, trial.state).word == "rest"


def test_cycles_count_from_the_first_counted_pass_and_stay_after_the_repeat() -> None:
    one_s = rest(time(1))
    trial = begun(one_s, repeat(2, repeat(2, one_s, path="2.1"), one_s, path="2", counts=False), one_s)
    for k in range(16):
        trial.sample(float(k))
    assert [step.cycle for step in trial.steps] == [0, 1, 2, 2, 3, 4, 4, 4]
    assert [step.step_count for step in trial.steps] == list(range(1, 9))
    assert [cycle.cycle for cycle in trial.cycles] == [1, 2, 3, 4]


def test_a_cycle_that_holds_a_cycle_ends_where_the_inner_one_begins() -> None:
    trial = begun(repeat(2, repeat(1, rest(time(1)))))
    for k in range(4):
        trial.sample(float(k))
    assert [cycle.cycle for cycle in trial.cycles] == [1, 2, 3, 4]


def test_cycle_totals_start_at_zero_with_each_cycle_and_the_summary_holds_both_ways() -> None:
    trial = begun(repeat(2, lithiate(time(3600)), delithiate(time(1800))), settings=Settings(sample_every_s=1800))
    for k in range(9):
        trial.sample(1800.0 * k, 0.5)
    first = trial.cycles[0]
    assert (first.lithiation_Ah, first.delithiation_Ah) == pytest.approx((MA, MA))
    assert first.lithiation_Wh == pytest.approx(0.5 * MA)
    start = next(row for row in trial.rows if row.cycle == 2)
    assert start.cycle_total.reduction_Ah == pytest.approx(0.5 * MA)
    assert start.run_total.reduction_Ah == pytest.approx(1.5 * MA)


@pytest.mark.parametrize("reference", [PreviousOf(Verb.LITHIATE), PreviousOf(None), LabelOf("down")])
def test_a_share_of_an_earlier_step_means_its_last_completed_execution(reference: PreviousOf | LabelOf) -> None:
    share = clause(Watched.CAPACITY, ">=", 1.5, None, reference)
    trial = begun(lithiate(time(10), label="down"), rest(time(1)), delithiate(share))
    for k in range(32):
        trial.sample(float(k))
    assert trial.steps[2].charge_Ah == pytest.approx(1.5 * trial.steps[0].charge_Ah)


@pytest.mark.parametrize("reference", [PreviousOf(Verb.DELITHIATE), PreviousOf(None), LabelOf("nothing")])
def test_a_share_of_a_step_that_never_completed_is_never_met(reference: PreviousOf | LabelOf) -> None:
    trial = begun(lithiate(clause(Watched.CAPACITY, ">=", 0.0, None, reference)))
    trial.voltages(1.0, 1.0, 1.0)
    assert not trial.steps


def test_steps_skipped_by_a_person_or_already_over_are_not_the_previous_one() -> None:
    trial = begun(lithiate(time(10)), lithiate(time(99)), LITHIATION, DELITHIATION)
    for k in range(14):
        trial.sample(float(k), 0.1)
    trial.skip(14.0)
    trial.sample(15.0, 0.1)
    assert [step.end_reason for step in trial.steps] == ["time >= 10", "skipped by ann", "already: voltage <= 0.2"]
    assert trial.state.course.past.lithiate_Ah == trial.steps[0].charge_Ah


def test_the_slope_is_false_before_its_window_is_full() -> None:
    trial = begun(rest(clause(Watched.SLOPE, "<=", 1e-6)))
    for k in range(60):
        trial.sample(float(k), 1.0)
    assert not trial.steps
    trial.sample(60.0, 1.0)
    assert trial.steps[0].ended_s == 60.0


def test_the_slope_needs_ten_samples_when_they_come_slowly() -> None:
    trial = begun(rest(clause(Watched.SLOPE, "<=", 1e-6)), settings=Settings(sample_every_s=30))
    for k in range(9):
        trial.sample(30.0 * k)
    assert not trial.steps
    trial.sample(270.0)
    assert trial.steps


def test_first_and_last_samples_are_rows_whatever_record_says() -> None:
    trial = begun(LITHIATION)
    trial.voltages(1.0, 0.9, 0.8, 0.1)
    assert [(row.time_s, row.mark) for row in trial.rows] == [(0.0, Mark.START), (3.0, Mark.END)]


@pytest.mark.parametrize(
    ("record", "times_s"),
    [
        (Record(time_s=4), [0, 4, 8]),
        (Record(voltage_V=0.299), [0, 3, 6, 9]),
        (Record(current_A=2 * MA), [0, 5]),
        (Record(temperature_K=5), [0, 5]),
        (Record(time_s=6, voltage_V=0.399), [0, 4, 8]),
    ],
)
def test_a_row_is_due_when_anything_moved_far_enough_from_the_last_one(record: Record, times_s: list[float]) -> None:
    trial = begun(lithiate(time(99), record=record))
    for k in range(10):
        trial.sample(float(k), 2 - 0.1 * k, -3 * MA if k > 4 else -MA, 30.0 if k > 4 else 25.0)
    assert [row.time_s for row in trial.rows] == times_s


def test_a_reading_that_comes_a_little_early_is_still_the_one_that_is_due() -> None:
    jitter_s = (0.0, 1.002, 2.001, 2.998, 4.003, 4.999, 6.0, 6.99)
    each, second = (begun(rest(time(100.0), record=Record(time_s=every_s))) for every_s in (1.0, 2.0))
    for trial in (each, second):
        for at_s in jitter_s:
            trial.sample(at_s)
    assert [row.time_s for row in each.rows] == list(jitter_s)
    assert [row.time_s for row in second.rows] == [0.0, 2.001, 4.003, 6.0]


def test_a_row_is_due_after_a_charge_of_either_sign() -> None:
    trial = begun(lithiate(time(99), record=Record(charge_Ah=2.9 * MA / 3600)))
    for k in range(10):
        trial.sample(float(k))
    assert [row.time_s for row in trial.rows] == [0, 3, 6, 9]


def test_the_crossing_lies_on_the_line_between_the_samples_on_either_side() -> None:
    trial = begun(LITHIATION)
    trial.voltages(1.0, 0.6, 0.1, since_s=5.0)
    step = trial.steps[0]
    assert step.crossing_s == pytest.approx(6.8)
    assert step.crossing_charge_Ah == pytest.approx(MA * 1.8 / 3600)
    assert step.overshoot_V == pytest.approx(0.1)
    assert step.charge_Ah == pytest.approx(MA * 2 / 3600)


def test_a_debounced_crossing_is_where_the_unbroken_streak_began() -> None:
    trial = begun(LITHIATION, settings=Settings(debounce=2))
    trial.voltages(1.0, 0.6, 0.1, 0.0)
    assert trial.steps[0].crossing_s == pytest.approx(1.8)
    assert trial.steps[0].overshoot_V == pytest.approx(0.2)


@pytest.mark.parametrize(
    "until", [voltage("<=", 0.2, for_s=0), (voltage("<=", 0.2), time(1)), time(3), (time(1), voltage("<=", 0.2))]
)
def test_no_crossing_is_given_for_other_ends(until: tuple[()]) -> None:
    trial = begun(lithiate(until))
    trial.voltages(1.0, 0.6, 0.3, 0.1)
    assert (trial.steps[0].crossing_s, trial.steps[0].overshoot_V) == (None, None)


def test_no_crossing_is_given_when_noise_crossed_the_threshold_before() -> None:
    trial = begun(LITHIATION, settings=Settings(debounce=2))
    trial.voltages(1.0, 0.1, 0.3, 0.1, 0.1)
    assert trial.steps[0].crossing_s is None


def test_safety_beats_abort_and_abort_beats_until_and_each_lists_the_lower_ones() -> None:
    step = lithiate(voltage("<=", 0.2), abort_if=when(voltage("<=", 0.1)))
    trial = begun(step, safety=Safety(voltage_V=(0.0, 2.0)))
    actions = trial.voltages(1.0, -0.1)
    assert kinds(actions) == ["TurnOff", "RecordRow", "RecordStep", "step_ended", "trip", "run_ended", "Finish"]
    assert trial.steps[0].end_reason == "safety: voltage -0.1 V is outside 0 V to 2 V"
    assert trial.steps[0].also_met == ("voltage <= 0.1", "voltage <= 0.2")
    other = begun(step)
    other.voltages(1.0, -0.1)
    assert other.finish == Finish(Outcome.ABORTED, "abort_if: voltage <= 0.1")
    assert other.steps[0].also_met == ("voltage <= 0.2",)


def test_safety_trips_only_when_a_limit_is_broken_for_its_whole_time() -> None:
    trial = begun(lithiate(time(99)), safety=Safety(voltage_V=(0.0, 2.0), current_A=2 * MA, for_s=2))
    for k, (volts, amperes) in enumerate([(1, -1), (3, -1), (3, -1), (1, -3), (1, -3), (3, -1), (3, -1)]):
        trial.sample(float(k), volts, amperes * MA)
    assert trial.finish is None
    trial.sample(7.0, 3.0)
    assert trial.finish == Finish(Outcome.TRIPPED, "voltage 3 V is outside 0 V to 2 V")


def test_the_clock_of_a_safety_limit_goes_on_through_a_step_change() -> None:
    trial = begun(rest(time(1)), DELITHIATION, safety=Safety(current_A=2 * MA, for_s=3))
    for k in range(4):
        trial.sample(float(k), 1.0, 5 * MA)
    assert trial.finish is not None


def test_each_safety_limit_trips_with_its_own_words() -> None:
    safety = Safety(current_A=2 * MA, step_charge_Ah=MA / 7200, temperature_degC=(10, 60))
    for amperes, degC, words in [(3, 20.0, "current"), (1, 61.0, "temperature 61"), (1, 20.0, "step charge")]:
        trial = begun(DELITHIATION, safety=safety)
        trial.sample(0.0, 1.0, MA, 20.0)
        trial.sample(1.0, 1.0, amperes * MA, degC)
        assert trial.finish is not None
        assert trial.finish.reason.startswith(words)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 9.9e37])
def test_a_missing_temperature_counts_as_outside_its_limits_even_in_a_rest(missing: float | None) -> None:
    trial = begun(rest(time(99)), safety=Safety(temperature_degC=(10, 60)))
    trial.sample(0.0, temperature_degC=missing)
    assert trial.finish is not None
    assert trial.finish.outcome is Outcome.TRIPPED
    assert trial.rows[0].temperature_degC is None


def test_a_temperature_nobody_watches_limits_nothing() -> None:
    settings = Settings(temperature_watched=False)
    trial = begun(rest(time(99)), safety=Safety(temperature_degC=(10, 60)), settings=settings)
    trial.sample(0.0)
    trial.sample(1.0, temperature_degC=99.0)
    assert trial.finish is None
    assert trial.events(EventKind.RUN_STARTED)[0].data["temperature_watched"] is False


def test_a_rest_may_wait_for_the_cell_to_be_heated_but_a_current_step_may_not() -> None:
    safety = Safety(temperature_degC=(110, 135))
    waiting, flowing = begun(rest(time(99)), safety=safety), begun(LITHIATION, safety=safety)
    waiting.sample(0.0, temperature_degC=25.0)
    flowing.sample(0.0, temperature_degC=25.0)
    assert waiting.finish is None
    assert flowing.finish is not None
    waiting.sample(1.0, temperature_degC=136.0)
    assert waiting.finish is not None


@pytest.mark.parametrize(("volts", "amperes"), [(math.nan, 0.0), (1.0, math.inf), (9.9e37, 0.0), (1.0, math.nan)])
def test_a_reading_that_is_no_number_is_a_fault_and_no_row(volts: float, amperes: float) -> None:
    trial = begun(LITHIATION)
    trial.sample(0.0)
    actions = trial.sample(1.0, volts, amperes)
    assert isinstance(actions[0], TurnOff)
    assert trial.finish is not None
    assert trial.finish.outcome is Outcome.FAULTED
    assert [row.time_s for row in trial.rows] == [0.0]


@pytest.mark.parametrize("at_s", [4.0, math.nan, math.inf])
def test_a_reading_from_the_past_or_without_a_time_is_a_fault(at_s: float) -> None:
    trial = begun(LITHIATION)
    trial.sample(5.0)
    trial.sample(at_s)
    assert trial.finish is not None
    assert trial.finish.outcome is Outcome.FAULTED


def test_notes_are_told_on_the_way() -> None:
    trial = begun(note("hello"), rest(time(1)), note("bye"))
    trial.voltages(1.0, 1.0)
    assert [event.data["text"] for event in trial.events(EventKind.NOTE)] == ["hello", "bye"]


def test_run_time_is_counted_from_the_start_of_the_run() -> None:
    trial = Trial(program(lithiate(voltage("<=", 0.2), record=Record(time_s=5))))
    trial.start(1e6)
    for second in range(2, 14):
        trial.sample(1e6 + second)
    assert [row.time_s for row in trial.rows] == [2.0, 7.0, 12.0]
    assert trial.rows[0].utc_s == 1_001_002.0


def test_events_that_make_no_sense_now_change_nothing() -> None:
    trial = Trial(program(LITHIATION))
    sample = Sampled(0.0, 0.0, 1.0, 0.0, None)
    assert advance(trial.program, trial.state, sample) == (trial.state, ())
    assert trial.pause(0.0) == trial.resume(0.0) == trial.skip(0.0) == ()
    trial.start()
    assert trial.start(1.0) == trial.resume(2.0) == ()
    trial.stop(3.0)
    assert trial.sample(4.0) == trial.stop(5.0) == trial.pause(6.0) == trial.start(7.0) == ()
    assert trial.state.phase is Phase.ENDED


def test_a_run_begins_ready_with_nothing_to_see() -> None:
    seen = progress(program(LITHIATION), begin(program(LITHIATION)))
    assert (seen.phase, seen.step_id, seen.word, seen.cycle, seen.setpoint_A) == (Phase.READY, "", "", 0, None)


def test_an_end_at_the_only_sample_gives_one_row_and_its_summary_after_it() -> None:
    actions = begun(LITHIATION).sample(0.0, 0.1)
    assert [type(each) for each in actions if isinstance(each, RecordRow | RecordStep)] == [RecordRow, RecordStep]
