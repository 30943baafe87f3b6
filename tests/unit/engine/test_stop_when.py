"""``stop_when`` and ``for_each``: which cycle ends which repeat, and what stays of it."""

from __future__ import annotations

import pytest

from protocols.engine import Interrupted, from_json, progress, to_json
from protocols.model import RepeatStep, Retention, Step, StopWhen, Verb
from protocols.record import EventKind
from protocols.running.retention import sought
from tests.unit.engine.conftest import (
    MA,
    Trial,
    begun,
    delithiate,
    efficiency,
    for_each,
    gitt,
    lithiate,
    note,
    program,
    repeat,
    rest,
    retention,
    time,
    voltage,
)

A_SECOND = MA / 3600
UP = delithiate(time(2), path="5.1")
BELOW = rest(time(10**6))


def pass_current(trial: Trial, current_A: float) -> None:
    """A step of two seconds, at once after the one before."""
    newest = trial.state.live.sample
    since_s = 0.0 if newest is None else newest.at_s + 1e-6
    for k in range(3):
        trial.sample(since_s + k, current_A=current_A)


def cycle(trial: Trial, up: float = 1.0, down: float = 0.0) -> None:
    """One pass of a delithiation (and a lithiation) of two seconds, with these currents in mA."""
    pass_current(trial, up * MA)
    if down:
        pass_current(trial, -down * MA)


def test_a_repeat_ends_after_the_counted_cycle_that_meets_its_stop_when_and_the_protocol_goes_on_below() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 1.5 * A_SECOND)), BELOW)
    for up in (1.0, 0.9, 0.7):
        cycle(trial, up)
    assert len(trial.cycles) == 3
    assert progress(trial.program, trial.state).step_id == BELOW.path


def test_the_event_says_which_cycle_met_it_and_with_what_value() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 0.8, of_cycle=2)), BELOW)
    for up in (2.0, 1.0, 0.9, 0.7):
        cycle(trial, up)
    (event,) = trial.events(EventKind.REPEAT_ENDED)
    assert event.data["step_id"] == "5"
    assert event.data["cycle"] == 4
    assert event.data["reason"] == "stop_when: delithiate capacity <= 0.8"
    assert event.data["value"] == pytest.approx(1.4 * A_SECOND, rel=1e-5)
    assert event.data["limit"] == pytest.approx(1.6 * A_SECOND, rel=1e-5)


def test_a_reference_cycle_that_is_not_yet_complete_makes_it_false() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 0.8, of_cycle=3)), BELOW)
    for up in (0.1, 0.1, 1.0, 0.9):
        cycle(trial, up)
    assert not trial.events(EventKind.REPEAT_ENDED)
    cycle(trial, 0.7)
    assert trial.events(EventKind.REPEAT_ENDED)


def test_a_reference_cycle_may_be_of_an_earlier_repeat() -> None:
    trial = begun(repeat(2, UP, path="1"), repeat(9, UP, stop_when=retention("<=", 0.8, of_cycle=1)), BELOW)
    for up in (1.0, 0.1, 0.9, 0.7):
        cycle(trial, up)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 4


def test_for_n_cycles_means_so_many_counted_cycles_in_a_row() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 1.5 * A_SECOND, cycles=2)), BELOW)
    for up in (0.7, 1.0, 0.7):
        cycle(trial, up)
    assert not trial.events(EventKind.REPEAT_ENDED)
    cycle(trial, 0.7)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 4


@pytest.mark.parametrize(("given_back", "ends"), [(0.89, True), (0.91, False)])
def test_efficiency_is_what_is_given_back_over_what_was_put_in(given_back: float, ends: bool) -> None:
    down = lithiate(time(2), path="5.2")
    for steps, verb in (((UP, down), Verb.LITHIATE), ((down, UP), Verb.DELITHIATE)):
        trial = begun(repeat(9, *steps, stop_when=efficiency("<=", 0.9, verb=verb)), BELOW)
        sign = 1 if verb is Verb.LITHIATE else -1
        pass_current(trial, sign * MA)
        pass_current(trial, -sign * given_back * MA)
        assert bool(trial.events(EventKind.REPEAT_ENDED)) == ends


def test_an_efficiency_of_a_cycle_into_which_nothing_was_put_is_never_met() -> None:
    trial = begun(repeat(3, UP, stop_when=efficiency(">=", 0.0)), BELOW)
    for _ in range(3):
        cycle(trial)
    assert not trial.events(EventKind.REPEAT_ENDED)


def test_one_line_on_the_outer_repeat_leaves_it_and_the_repeat_inside_it() -> None:
    """The shape of a cycle-life protocol: fifty cycles and a check-up, over and over."""
    inner = repeat(50, UP, path="5.1")
    stop = retention("<=", 0.8, of_cycle=1)
    trial = begun(repeat(20, inner, repeat(1, UP, path="5.2"), counts=False, stop_when=stop), BELOW)
    for up in [1.0] * 53 + [0.7]:
        cycle(trial, up)
    assert trial.state.course.cycle == 54
    assert progress(trial.program, trial.state).step_id == BELOW.path
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["step_id"] == "5"


def test_the_outermost_repeat_whose_line_is_met_ends_with_those_inside_it() -> None:
    low = retention("<=", 1.5 * A_SECOND)
    middle = repeat(5, repeat(5, UP, path="5.1.1"), path="5.1", counts=False, stop_when=low)
    both = begun(repeat(5, middle, counts=False, stop_when=low), BELOW)
    cycle(both, 0.7)
    assert progress(both.program, both.state).step_id == BELOW.path
    assert [event.data["step_id"] for event in both.events(EventKind.REPEAT_ENDED)] == ["5"]


def test_an_inner_repeat_that_ends_lets_the_outer_one_go_on() -> None:
    low = retention("<=", 1.5 * A_SECOND)
    trial = begun(repeat(2, repeat(5, UP, path="5.1", stop_when=low), counts=False), BELOW)
    for up in (1.0, 0.7, 0.7):
        cycle(trial, up)
    assert [event.data["cycle"] for event in trial.events(EventKind.REPEAT_ENDED)] == [2, 3]
    assert progress(trial.program, trial.state).step_id == BELOW.path


def test_a_row_of_cycles_goes_on_through_passes_of_the_outer_repeat_but_not_of_the_inner_one() -> None:
    low = retention("<=", 1.5 * A_SECOND, cycles=3)
    outer = begun(repeat(5, repeat(2, UP, path="5.1"), counts=False, stop_when=low), BELOW)
    inner = begun(repeat(2, repeat(2, UP, path="5.1", stop_when=low), counts=False), BELOW)
    for trial in (outer, inner):
        for _ in range(4):
            cycle(trial, 0.7)
    assert outer.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 3
    assert not inner.events(EventKind.REPEAT_ENDED)


def test_a_cycle_that_ends_where_an_inner_one_begins_may_end_the_outer_repeat() -> None:
    low = retention("<=", 2.5 * A_SECOND)
    trial = begun(repeat(5, UP, repeat(2, UP, path="5.2"), stop_when=low), BELOW)
    cycle(trial, 0.7)
    assert [each.cycle for each in trial.cycles] == [1]
    assert progress(trial.program, trial.state).step_id == BELOW.path


def test_only_the_cycles_some_stop_when_refers_to_are_remembered() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 0.1, of_cycle=3)), BELOW)
    for _ in range(6):
        cycle(trial)
    assert [each.cycle for each in trial.state.course.cycles] == [3]
    assert from_json(to_json(trial.state)) == trial.state


def test_every_cycle_referred_to_is_known_from_the_start() -> None:
    inner = repeat(2, UP, stop_when=retention("<=", 0.8, of_cycle=7))
    nested = repeat(2, inner, note("x"), stop_when=retention("<=", 0.8, of_cycle=4), counts=False)
    assert sought(program(nested, repeat(2, UP, stop_when=retention("<=", 1.0)))) == (4, 7)


def test_a_cycle_in_which_a_person_skipped_a_step_is_not_judged() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 1.5 * A_SECOND)), BELOW)
    cycle(trial)
    trial.samples(1)
    trial.skip(3.5)
    assert [each.cycle for each in trial.cycles] == [1, 2]
    assert not trial.events(EventKind.REPEAT_ENDED)
    cycle(trial, 0.7)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 3


def test_a_skipped_rest_leaves_its_cycle_a_measure_of_the_cell() -> None:
    trial = begun(repeat(9, UP, rest(time(50), path="5.2"), stop_when=retention("<=", 1.5 * A_SECOND)), BELOW)
    cycle(trial, 0.7)
    trial.samples(1)
    trial.skip(3.5)
    assert trial.events(EventKind.REPEAT_ENDED)


def test_a_train_left_in_one_of_its_rests_leaves_a_cycle_that_is_not_judged() -> None:
    trial = begun(repeat(9, gitt(UP, rest(time(9)), pulses=2), stop_when=retention("<=", 2.5 * A_SECOND)), BELOW)
    trial.samples(5)
    trial.skip(4.5)
    assert len(trial.cycles) == 1
    assert not trial.events(EventKind.REPEAT_ENDED)


def test_a_reference_cycle_in_which_a_step_was_skipped_is_never_complete_and_the_log_says_so() -> None:
    trial = begun(repeat(9, UP, stop_when=retention("<=", 0.8, of_cycle=1)), BELOW)
    trial.samples(1)
    trial.skip(0.5)
    assert "cycle 1 was skipped" in str(trial.events(EventKind.WARNING)[0].data["message"])
    for up in (1.0, 0.1):
        cycle(trial, up)
    assert not trial.events(EventKind.REPEAT_ENDED)


def test_a_train_in_a_cycle_counts_in_its_capacity() -> None:
    pulses = gitt(UP, rest(time(1)), pulses=2, path="5.1")
    trial = begun(repeat(9, pulses, stop_when=retention(">=", 3.9 * A_SECOND)), BELOW)
    for _ in range(2):
        trial.samples(3)
        trial.samples(2)
    assert trial.events(EventKind.REPEAT_ENDED)


def test_each_value_of_a_list_is_walked_in_turn_and_each_pass_is_a_cycle() -> None:
    rates: dict[str, tuple[Step, ...]] = {
        "1 mA": (delithiate(time(2), path="5.1"),),
        "2 mA": (delithiate(time(3), path="5.1"),),
    }
    trial = begun(for_each("rate", rates, times=2), BELOW)
    trial.samples(14)
    assert [(step.step_id, step.cycle, step.end_reason) for step in trial.steps] == [
        ("5.1", 1, "time >= 2"),
        ("5.1", 2, "time >= 2"),
        ("5.1", 3, "time >= 3"),
        ("5.1", 4, "time >= 3"),
    ]
    assert [event.data["text"] for event in trial.events(EventKind.NOTE)] == [
        "now with rate: 1 mA",
        "now with rate: 2 mA",
    ]


def test_a_value_at_which_nothing_happens_gives_way_to_the_next() -> None:
    over = delithiate(voltage(">=", 0.5), path="5.1")
    blocks: dict[str, tuple[Step, ...]] = {"a": (over,), "b": (UP,)}
    trial = begun(for_each("rate", blocks, times=9), BELOW)
    trial.samples(4)
    assert [step.end_reason for step in trial.steps] == ["already: voltage >= 0.5", "time >= 2"]


def test_a_stop_when_on_a_list_ends_all_its_values() -> None:
    blocks: dict[str, tuple[Step, ...]] = {"a": (UP,), "b": (UP,)}
    low = retention("<=", 1.5 * A_SECOND, cycles=2)
    inner = for_each("rate", blocks, times=2)
    trial = begun(RepeatStep("5", 1, False, inner.steps, stop_when=low), BELOW)
    for up in (1.0, 0.7, 0.7):
        cycle(trial, up)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 3
    assert progress(trial.program, trial.state).step_id == BELOW.path


def test_lithiation_is_watched_as_well_as_delithiation() -> None:
    stop = StopWhen(Retention.CAPACITY, Verb.LITHIATE, retention(">=", 0).op, 1.5 * A_SECOND, "x")
    trial = begun(repeat(9, UP, lithiate(time(2), path="5.2"), stop_when=stop), BELOW)
    cycle(trial, 1.0, 1.0)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["value"] == pytest.approx(2 * A_SECOND, rel=1e-5)


def test_a_reference_cycle_that_gave_nothing_is_no_reference() -> None:
    """80 % of nothing would be met by the next nothing."""
    over, down = delithiate(voltage(">=", 1.2), path="5.1"), lithiate(time(2), path="5.2")
    trial = begun(repeat(9, over, down, stop_when=retention("<=", 0.8, of_cycle=1)), BELOW)
    trial.samples(1, voltage_V=1.3)
    trial.samples(3, voltage_V=1.0)
    assert [each.delithiation_Ah for each in trial.cycles] == [0.0]
    assert not trial.events(EventKind.REPEAT_ENDED)


@pytest.mark.parametrize("how", ["pause", "interruption"])
def test_a_cycle_of_which_charge_may_be_missing_is_not_judged_but_may_be_a_reference(how: str) -> None:
    """Nobody watched for an hour, and then the cell was found nearly at its voltage."""
    up = delithiate(voltage(">=", 1.2), path="5.1")
    trial = begun(repeat(9, up, stop_when=retention("<=", 0.8, of_cycle=1)), BELOW)
    for seconds in (9, 2):
        trial.samples(seconds)
        newest = trial.state.live.sample
        assert newest is not None
        at_s = newest.at_s + 3600
        trial.pause(at_s) if how == "pause" else trial.tell(Interrupted(at_s, at_s))
        trial.resume(at_s)
        trial.sample(at_s + 1, 1.3)
    assert trial.cycles[1].delithiation_Ah < 0.5 * trial.cycles[0].delithiation_Ah
    assert not trial.events(EventKind.REPEAT_ENDED)
    trial.samples(2)
    trial.samples(1, voltage_V=1.3)
    assert trial.events(EventKind.REPEAT_ENDED)[0].data["cycle"] == 3


def test_an_interruption_in_a_rest_leaves_its_cycle_a_measure_of_the_cell() -> None:
    trial = begun(repeat(9, UP, rest(time(5), path="5.2"), stop_when=retention("<=", 1.5 * A_SECOND)), BELOW)
    cycle(trial, 0.7)
    trial.samples(1)
    trial.tell(Interrupted(3600.0, 3600.0))
    trial.resume(3600.0)
    trial.samples(1)
    trial.sample(3610.0)
    assert trial.events(EventKind.REPEAT_ENDED)


def test_a_repeat_that_is_stopped_in_the_first_pass_of_its_inner_one_keeps_the_repeat_around_it_going() -> None:
    low = retention("<=", 1.5 * A_SECOND)
    middle = repeat(5, repeat(5, UP, path="5.1.1"), path="5.1", counts=False, stop_when=low)
    trial = begun(repeat(2, middle, counts=False), BELOW)
    for _ in range(2):
        cycle(trial, 0.7)
    assert [event.data["cycle"] for event in trial.events(EventKind.REPEAT_ENDED)] == [1, 2]
    assert not trial.events(EventKind.WARNING)
