"""Every sentence of the language's semantics that the engine answers for, and the tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SENTENCES: dict[str, tuple[str, ...]] = {
    "positive current oxidises the working electrode; the recorded current is always this": (
        "a_started_run_applies_its_first_step_last_of_all",
        "a_row_says_how_the_step_regulates_and_which_way",
    ),
    "capacity is the trapezoid of |I| on measured current, energy that of |I·V|": (
        "net_charge_is_the_trapezoid_whatever_the_signs",
        "energy_is_a_magnitude_below_zero_volts_too",
        "every_row_holds_the_true_charge_of_its_moment",
    ),
    "record conditions never influence control": ("no_sample_decides_differently_because_of_record",),
    "dV/dt is |slope| of a least-squares line over the last 60 s, at least 10 samples": (
        "the_slope_of_a_noisy_line_is_the_least_squares_one",
        "the_slope_kept_up_sample_by_sample_does_not_drift",
        "the_window_keeps_ten_samples_when_they_come_slowly",
    ),
    "dV/dt is undefined, hence false, before that": (
        "the_slope_is_false_before_its_window_is_full",
        "the_slope_needs_ten_samples_when_they_come_slowly",
    ),
    "the lower limit of the temperature is not watched in a rest, the upper one always is": (
        "a_rest_may_wait_for_the_cell_to_be_heated_but_a_current_step_may_not",
        "a_hold_is_no_rest_for_the_lower_limit_of_the_temperature",
    ),
    "1 faults, 2 safety, 3 abort_if, 4 until, 5 recording; a lower rule is not looked at once a higher one fires": (
        "safety_beats_abort_and_abort_beats_until_and_each_lists_the_lower_ones",
        "a_reading_that_is_no_number_is_a_fault_and_no_row",
    ),
    "safety limits, each true continuously for safety.for": (
        "safety_trips_only_when_a_limit_is_broken_for_its_whole_time",
        "the_clock_of_a_safety_limit_goes_on_through_a_step_change",
    ),
    "1 to 3 turn the output off, then write the record": (
        "the_output_goes_off_before_anything_is_written_and_on_after_everything",
    ),
    "two cutoffs at once: the first in written order is the end reason, the others are listed in also_met": (
        "two_cutoffs_at_once_end_the_step_with_the_first_written_and_list_the_other",
    ),
    "x for 5 s must hold at every sample of an unbroken 5 s": (
        "a_persistent_condition_starts_again_when_it_fails_once",
    ),
    "in an AND each clause keeps its own clock": ("in_an_and_each_clause_keeps_its_own_clock",),
    "an until that already holds at sample 0 is a step of zero charge, its reason prefixed, with a warning": (
        "a_current_step_already_at_its_end_is_skipped_with_a_warning_and_no_charge",
        "a_current_that_is_already_at_its_voltage_is_recorded_without_charge_and_the_hold_runs",
        "a_current_already_at_another_end_is_skipped_with_its_hold",
    ),
    "or aborts": (
        "a_step_may_ask_to_abort_when_it_is_already_at_its_end",
        "a_current_that_may_not_be_at_its_end_aborts_before_the_hold",
    ),
    "a rest or hold just ends": ("a_hold_or_a_rest_whose_end_holds_at_its_first_sample_just_ends",),
    "time alternatives are never already met": ("time_alternatives_are_never_already_met",),
    "a repeat pass in which every step was skipped ends the repeat with a warning": (
        "a_pass_in_which_every_step_was_skipped_ends_its_repeat_with_a_warning",
        "a_train_and_a_whole_with_nothing_to_do_do_not_hang_their_repeat",
        "a_hold_that_does_something_keeps_its_repeat_going",
    ),
    "first and last sample of every step are always recorded, flagged start and end": (
        "first_and_last_samples_are_rows_whatever_record_says",
        "every_run_ends_once_and_its_record_is_whole",
    ),
    "between: when any condition is met relative to the last recorded point": (
        "a_row_is_due_when_anything_moved_far_enough_from_the_last_one",
        "a_row_is_due_after_a_charge_of_either_sign",
    ),
    "the end point is a real sample; no synthetic point is ever written": ("every_row_is_a_real_sample",),
    "the crossing is estimated linearly between the last sample not meeting and the first meeting it": (
        "the_crossing_lies_on_the_line_between_the_samples_on_either_side",
        "the_crossing_of_a_trains_cutoff_is_in_the_time_and_charge_of_its_pulse",
    ),
    "with for, ANDs or noise-crossed thresholds no crossing is given": (
        "no_crossing_is_given_for_other_ends",
        "no_crossing_is_given_when_noise_crossed_the_threshold_before",
    ),
    "a voltage needs two consecutive samples when the interval is at most 1 s, unless for is given": (
        "a_voltage_needs_two_samples_in_a_row_while_they_come_every_second",
        "a_voltage_needs_one_sample_when_they_come_more_slowly",
        "a_time_of_its_own_replaces_the_second_sample",
    ),
    "the next setpoint is sent in the same control period": (
        "the_end_of_a_step_and_the_next_setpoint_come_with_the_same_sample",
    ),
    "t_step and q_step are 0 at the first sample; the last sample of the old step belongs to the old one only": (
        "step_time_and_step_charge_are_zero_at_the_first_sample_of_a_step",
        "the_last_sample_of_the_old_step_belongs_to_the_old_one_only",
    ),
    "CCCV: two steps in the record, n.cc and n.cv, the same cycle and label": (
        "current_and_hold_are_two_steps_of_the_record_with_one_cycle_and_one_label",
        "each_part_of_a_whole_follows_the_part_before_it",
    ),
    "the hold starts at the cutoff voltage with current limit = at": (
        "the_voltage_that_ended_the_current_is_held_with_the_current_as_its_limit",
    ),
    "if CC ended by another alternative, the hold is skipped": (
        "the_hold_is_skipped_if_the_current_ended_by_another_alternative",
    ),
    "% of refers to their sum": ("a_share_refers_to_the_sum_of_current_and_hold",),
    "taper conditions look at |I| after 1 s or 5 samples of hold": (
        "taper_conditions_look_at_the_current_after_one_second_of_hold",
        "taper_conditions_look_at_the_current_after_five_samples_of_hold",
    ),
    "GITT: the cutoff is watched during pulses only": ("the_cutoff_of_a_train_is_not_watched_in_its_rests",),
    "when met, the pulse ends, its rest still runs, the train ends": (
        "a_cutoff_met_under_load_ends_the_pulse_its_rest_still_runs_and_the_train_ends",
    ),
    "dV/dt clauses count only after 60 s": ("the_slope_in_a_rest_of_a_train_counts_only_after_its_sixty_seconds",),
    "one train is one step with sub-steps n.1p, n.1r, n.2p": (
        "a_pulse_is_followed_by_its_rest_and_both_carry_their_number",
        "rows_and_progress_name_the_very_pulse_and_its_path_in_the_file",
    ),
    "its capacity is the sum of the pulses": ("the_capacity_of_a_train_is_the_sum_of_its_pulses",),
    "it never changes the cycle number": ("a_train_never_changes_the_cycle_number",),
    "cycle number: 0 until the first counted pass, +1 at the start of each, never resets, never falls": (
        "cycles_count_from_the_first_counted_pass_and_stay_after_the_repeat",
        "cycle_numbers_never_fall_and_each_cycle_is_summed_up_once",
    ),
    "step count rises by one per executed step; step id is the path, the same in every pass": (
        "every_run_ends_once_and_its_record_is_whole",
        "a_step_has_the_same_id_in_every_pass",
    ),
    "q_step resets at every step, q_cycle at each cycle start, q_net never": (
        "cycle_totals_start_at_zero_with_each_cycle_and_the_summary_holds_both_ways",
        "counters_never_fall_within_their_scope",
    ),
    "previous lithiate is the last completed one (CC + CV; a train counts), across cycles": (
        "the_previous_lithiate_is_found_across_cycles",
        "a_share_of_an_earlier_step_means_its_last_completed_execution",
        "a_hold_by_itself_is_a_previous_step_but_no_previous_lithiate",
    ),
    "skipped steps do not count": ("steps_skipped_by_a_person_or_already_over_are_not_the_previous_one",),
    "if none has run yet the alternative is false": ("a_share_of_a_step_that_never_completed_is_never_met",),
    "a label means its last completed execution": ("a_label_means_its_last_completed_execution",),
    "% of cycle 3 is false until that cycle is complete": (
        "a_reference_cycle_that_is_not_yet_complete_makes_it_false",
        "a_reference_cycle_in_which_a_step_was_skipped_is_never_complete_and_the_log_says_so",
    ),
    "stop_when is evaluated after each completed counted cycle inside its repeat, nested ones included": (
        "a_repeat_ends_after_the_counted_cycle_that_meets_its_stop_when_and_the_protocol_goes_on_below",
        "one_line_on_the_outer_repeat_leaves_it_and_the_repeat_inside_it",
    ),
    "when met, that repeat ends at once, and the repeats inside it with it": (
        "the_outermost_repeat_whose_line_is_met_ends_with_those_inside_it",
        "an_inner_repeat_that_ends_lets_the_outer_one_go_on",
    ),
    "for n cycles = n counted cycles in a row": ("for_n_cycles_means_so_many_counted_cycles_in_a_row",),
    "pause: off at a sample, step clock and for clocks stop, q kept, paused points outside the step": (
        "a_pause_turns_off_first_and_writes_the_last_sample_before_it",
        "step_time_stands_still_in_a_pause_and_goes_on_at_the_resume",
        "for_clocks_stand_still_in_a_pause",
        "samples_of_a_pause_are_rows_outside_the_step",
        "time_of_a_whole_is_run_time_and_a_pause_is_not_part_of_it",
    ),
    "resume: same setpoint, dV/dt window emptied, abort clocks go on": (
        "a_resume_applies_the_same_setpoint_last_and_empties_the_slope",
        "a_pause_in_the_hold_is_followed_by_the_same_voltage",
    ),
    "after a pause > 10 min a resumed CC step is flagged": (
        "a_current_step_resumed_after_more_than_ten_minutes_is_flagged",
    ),
    "skip: end_reason `skipped by NAME`, not the previous one": (
        "a_skip_names_who_did_it_and_goes_on_at_once",
        "a_skip_leaves_the_whole_step_and_its_part_counts_as_no_previous_one",
        "a_skip_leaves_the_whole_train",
    ),
    "stop: open circuit, `stopped`": ("a_stop_ends_a_run_in_any_phase",),
    "the journal holds step path, pass counters, q and clocks; continue behaves as resume with the gap shown": (
        "replaying_the_events_gives_every_checkpoint_and_every_row",
        "a_run_paused_long_after_its_last_sample_counts_nothing_but_says_the_most",
    ),
    "a gap > 5 intervals during current flow is an event; its charge is I_set·Δt, inferred": (
        "a_gap_while_current_flows_is_told_and_its_charge_inferred_from_the_setpoint",
        "a_gap_in_a_rest_is_no_gap",
        "the_charge_of_a_gap_in_a_hold_is_inferred_from_the_current_last_measured",
    ),
}


@pytest.fixture(scope="module")
def written() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^def test_(\w+)", text, re.MULTILINE)}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_is_held_by_tests_that_exist(sentence: str, written: set[str]) -> None:
    assert set(SENTENCES[sentence]) <= written
