"""What must hold for every program, every cell and every interruption."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from protocols.engine import (
    Action,
    Apply,
    Decided,
    Event,
    Faulted,
    Finish,
    Interrupted,
    Paused,
    Phase,
    RecordEvent,
    RecordRow,
    RecordStep,
    Resumed,
    Sampled,
    Skipped,
    Started,
    State,
    Stopped,
    Tripped,
    TurnOff,
    advance,
    begin,
    decide,
    from_json,
    live_row,
    progress,
    resume_setpoint,
    to_json,
)
from protocols.model import Program, Record, RepeatStep, Step, Verb, Watched
from protocols.record import EventKind, Mark, Outcome, Row
from tests.unit.engine.bench import Bench, Engine, run
from tests.unit.engine.conftest import MA, clause, lithiate, program, rest, time
from tests.unit.engine.random_programs import CELLS, INTERRUPTIONS, INTERVALS, programs, recording

Property = Callable[[Bench], None]
ForAll = Callable[[Property], None]
EXAMPLES, CAMPAIGN_EXAMPLES = 100, 3000
KINDS_SEEN = 300
"""Examples until every kind of step and of end was among them."""


@st.composite
def benches(draw: st.DrawFn, engine: Engine = advance) -> Bench:
    """A run from its start to its end."""
    return run(Bench(draw(programs()), draw(CELLS), engine), draw(INTERVALS), draw(INTERRUPTIONS))


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    return CAMPAIGN_EXAMPLES if request.config.getoption("--campaign") else EXAMPLES


@pytest.fixture(scope="module")
def drawn() -> list[Bench]:
    """Runs that all properties look at, for to make one takes far longer than to look at it; the same ones each time."""
    found: list[Bench] = []

    @settings(max_examples=KINDS_SEEN, deadline=None, database=None, derandomize=True, phases=[Stage.generate])
    @given(benches())
    def gather(bench: Bench) -> None:
        found.append(bench)

    gather()
    return found


@pytest.fixture
def for_all(examples: int, drawn: list[Bench]) -> ForAll:
    """The campaign draws its own for each property; so does a property that is broken, down to the smallest run."""

    def check(holds: Property) -> None:
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large]

        @settings(max_examples=examples, deadline=None, suppress_health_check=slow)
        @given(benches())
        def check_one(bench: Bench) -> None:
            holds(bench)

        try:
            for bench in drawn[:EXAMPLES]:
                holds(bench)
        except AssertionError:
            check_one()
            raise
        if examples > EXAMPLES:
            check_one()

    return check


def record_is_whole(bench: Bench) -> None:
    rows, steps = bench.rows, bench.steps
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert all(a.time_s < b.time_s for a, b in pairwise(rows))
    assert [step.step_count for step in steps] == list(range(1, len(steps) + 1))
    assert sum(isinstance(action, Finish) for action in bench.actions) == 1
    for step in steps:
        own = [row for row in rows if row.step_count == step.step_count]
        assert {row.step_id for row in own} <= {step.step_id}
        marks = [row.mark for row in own if row.mark is not Mark.PAUSED]
        assert bool(marks) == (step.start_voltage_V is not None)
        assert all(mark is Mark.NONE for mark in marks[1:-1])
        assert not marks or marks[0] is Mark.START or marks == [Mark.END]


def test_every_run_ends_once_and_its_record_is_whole(for_all: ForAll) -> None:
    for_all(record_is_whole)


def rows_are_samples(bench: Bench) -> None:
    measured = {each.at_s: each for each in bench.events if isinstance(each, Sampled)}
    for row in bench.rows:
        sample = measured[row.time_s]
        assert (row.voltage_V, row.current_A) == (sample.voltage_V, sample.current_A)


def test_every_row_is_a_real_sample(for_all: ForAll) -> None:
    for_all(rows_are_samples)


def off_first_and_on_last(bench: Bench) -> None:
    for answer in bench.answers:
        assert not any(isinstance(action, TurnOff) for action in answer[1:])
        assert not any(isinstance(action, Apply | Finish) for action in answer[:-1])
        if answer and isinstance(answer[-1], Finish):
            assert isinstance(answer[0], TurnOff)


def test_the_output_goes_off_before_anything_is_written_and_on_after_everything(for_all: ForAll) -> None:
    for_all(off_first_and_on_last)


Decide = Callable[[Program, State, Event], Decided]


def decides_as_it_acts(deciding: Decide) -> Property:
    """To conclude it neither changes anything nor decides anything: the second time the same comes out."""

    def holds(bench: Bench) -> None:
        state = begin(bench.program)
        for event, answer in zip(bench.events, bench.answers, strict=True):
            decided = deciding(bench.program, state, event)
            assert decided.turns_off == (TurnOff() in answer)
            after = decided.conclude()
            assert after == decided.conclude()
            state, actions = after
            assert actions == answer
        assert state == bench.state

    return holds


def test_what_is_decided_first_is_what_is_done(for_all: ForAll) -> None:
    for_all(decides_as_it_acts(decide))


def charge_is_true(bench: Bench) -> None:
    """The toy instrument switches at once and holds its current exactly, so nothing may be lost or doubled."""
    for row in bench.rows:
        oxidation_Ah, reduction_Ah, slack_Ah = bench.truth[row.time_s]
        within = 1e-15 + slack_Ah
        assert row.run_total.oxidation_Ah == pytest.approx(oxidation_Ah, rel=1e-9, abs=within)
        assert row.run_total.reduction_Ah == pytest.approx(reduction_Ah, rel=1e-9, abs=within)


def test_every_row_holds_the_true_charge_of_its_moment(for_all: ForAll) -> None:
    for_all(charge_is_true)


def counters_rise(bench: Bench) -> None:
    for before, after in pairwise(bench.rows):
        assert risen(before, after, "run_total")
        assert before.cycle != after.cycle or risen(before, after, "cycle_total")
        assert before.step_count != after.step_count or risen(before, after, "step_total")
        assert before.step_count <= after.step_count
        assert before.cycle <= after.cycle


def risen(before: Row, after: Row, scope: str) -> bool:
    names = ("oxidation_Ah", "reduction_Ah", "oxidation_Wh", "reduction_Wh")
    old, new = getattr(before, scope), getattr(after, scope)
    return all(0 <= getattr(old, name) <= getattr(new, name) for name in names)


def test_counters_never_fall_within_their_scope(for_all: ForAll) -> None:
    for_all(counters_rise)


def cycles_never_fall(bench: Bench) -> None:
    numbers = [step.cycle for step in bench.steps]
    assert all(before <= after for before, after in pairwise([0, *numbers]))
    ended = [cycle.cycle for cycle in bench.cycles]
    assert ended == sorted(set(ended))
    assert all(cycle.lithiation_Ah >= 0 and cycle.delithiation_Ah >= 0 for cycle in bench.cycles)


def test_cycle_numbers_never_fall_and_each_cycle_is_summed_up_once(for_all: ForAll) -> None:
    for_all(cycles_never_fall)


def replay_is_the_run(bench: Bench) -> None:
    """Every state goes through its JSON, so that any cut is a restart from a checkpoint."""
    state = begin(bench.program)
    for event, answer in zip(bench.events, bench.answers, strict=True):
        state, actions = bench.engine(bench.program, from_json(to_json(state)), event)
        assert actions == answer
    assert state == bench.state


def test_replaying_the_events_gives_every_checkpoint_and_every_row(for_all: ForAll) -> None:
    for_all(replay_is_the_run)


def its_clock_does_not_matter(bench: Bench) -> None:
    """The same events weeks after the machine was switched on, at moments of which neither clock loses a digit."""
    first, later = again_from(0.0, bench), again_from(2.0**21, bench)
    assert [(step.step_id, step.end_reason) for step in later.steps] == [
        (step.step_id, step.end_reason) for step in first.steps
    ]
    assert moments(later) == pytest.approx(moments(first), rel=1e-6, abs=1e-6)


def again_from(zero_s: float, bench: Bench) -> Bench:
    again, state = Bench(bench.program, bench.cell, bench.engine), begin(bench.program)
    for event in bench.events:
        at_s = zero_s + round(event.at_s * 1024) / 1024
        state, actions = bench.engine(bench.program, state, replace(event, at_s=at_s))
        again.answers.append(actions)
    return again


def moments(bench: Bench) -> list[float]:
    """When things began, ended and were crossed in a run's own time."""
    found: list[float] = []
    for step in bench.steps:
        found += [step.started_s, step.ended_s, *(() if step.crossing_s is None else (step.crossing_s,))]
    for cycle in bench.cycles:
        found += [cycle.started_s, cycle.ended_s]
    for gap in bench.told(EventKind.GAP):
        found += [float(str(gap.data["from_s"])), float(str(gap.data["to_s"]))]
    return found


def test_a_run_is_the_same_whenever_its_clock_began(for_all: ForAll) -> None:
    for_all(its_clock_does_not_matter)


def record_decides_nothing(bench: Bench) -> None:
    """The same events under other records bring the same steps, cycles, events and setpoints."""
    for record in (Record(), Record(time_s=0.0)):
        other = replace(bench.program, steps=recording(bench.program.steps, record))
        state = begin(other)
        for event, answer in zip(bench.events, bench.answers, strict=True):
            state, actions = bench.engine(other, state, event)
            assert decisions(actions) == decisions(answer)


def decisions(actions: tuple[Action, ...]) -> list[Action]:
    return [action for action in actions if not isinstance(action, RecordRow)]


def test_no_sample_decides_differently_because_of_record(for_all: ForAll) -> None:
    for_all(record_decides_nothing)


def a_stop_when_that_ended_its_repeat_was_met(bench: Bench) -> None:
    cycles = {cycle.cycle: cycle for cycle in bench.cycles}
    for event in bench.told(EventKind.REPEAT_ENDED):
        value, limit, number = (event.data[name] for name in ("value", "limit", "cycle"))
        assert isinstance(value, float)
        assert isinstance(limit, float)
        assert isinstance(number, int)
        assert value <= limit if "<=" in str(event.data["reason"]) else value >= limit
        done = cycles[number]
        assert event.data["watched"] != "capacity" or value in (done.lithiation_Ah, done.delithiation_Ah)


def test_a_repeat_ends_early_only_with_a_cycle_that_meets_its_stop_when(for_all: ForAll) -> None:
    for_all(a_stop_when_that_ended_its_repeat_was_met)


def parts_follow_each_other(bench: Bench) -> None:
    """A hold only after the voltage of its current, a rest of a train only after its own pulse."""
    for before, after in pairwise([None, *bench.steps]):
        if after is not None and after.step_id.endswith((".cv", "r")):
            assert before is not None
            assert before.step_id == after.step_id.replace(".cv", ".cc").replace("r", "p")
            assert before.cycle == after.cycle
            assert before.label == after.label
            assert after.step_id[-1] == "r" or "voltage <=" in before.end_reason


def test_each_part_of_a_whole_follows_the_part_before_it(for_all: ForAll) -> None:
    for_all(parts_follow_each_other)


NUMBERS = st.floats(-5, 5) | st.sampled_from([float("nan"), float("inf"), 9.9e37, -9.9e37, 0.0])
TIMES = st.floats(0, 1e4)
ANYTHING = st.one_of(
    st.builds(Started, TIMES, TIMES),
    st.builds(Sampled, TIMES | NUMBERS, TIMES, NUMBERS, NUMBERS, st.none() | NUMBERS),
    st.builds(Sampled, TIMES, TIMES, st.floats(0, 2), st.floats(-MA, MA), st.none()),
    st.builds(Paused, TIMES, TIMES, st.just("ann")),
    st.builds(Interrupted, TIMES, TIMES),
    st.builds(Resumed, TIMES, TIMES, st.just("ann")),
    st.builds(Skipped, TIMES, TIMES, st.just("ann")),
    st.builds(Stopped, TIMES, TIMES, st.just("ann")),
    st.builds(Tripped, TIMES, TIMES, st.just("guard")),
    st.builds(Faulted, TIMES, TIMES, st.just("link")),
)


def test_any_event_at_any_moment_has_an_answer(examples: int) -> None:
    @settings(max_examples=2 * examples, deadline=None)
    @given(programs(), st.lists(ANYTHING, max_size=30))
    def holds(chosen: Program, events: list[Event]) -> None:
        state, energised = begin(chosen), False
        for event in events:
            decided = decide(chosen, state, event)
            state, actions = advance(chosen, state, event)
            assert decided.turns_off == (TurnOff() in actions)
            assert decided.conclude() == (state, actions)
            assert from_json(to_json(state)) == state
            for action in actions:
                energised = (energised or isinstance(action, Apply)) and not isinstance(action, TurnOff)
            assert energised == (state.phase is Phase.RUNNING)
            live_row(chosen, state)
            seen = progress(chosen, state)
            assert (seen.outcome is None) == (state.phase is not Phase.ENDED)
            assert (resume_setpoint(chosen, state) is None) == (state.phase is not Phase.PAUSED)

    holds()


FOREIGN = st.text(max_size=50) | st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["phase", "course", "step"]), inner),
    max_leaves=5,
).map(json.dumps)


def test_text_that_is_no_checkpoint_is_refused_with_a_value_error(examples: int) -> None:
    def refused(text: str) -> None:
        with pytest.raises(ValueError, match="validation error"):
            from_json(text)

    @settings(max_examples=examples, deadline=None)
    @given(FOREIGN)
    def holds(text: str) -> None:
        refused(text)

    holds()
    for text in ("", "[" * 100_000, '{"phase": "ready"}', "null", to_json(begin(program()))[:-1]):
        refused(text)


# Negative controls: an engine that does one thing wrong, and the property that says so.


def halves_its_current(chosen: Program, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    wrong = replace(event, current_A=event.current_A / 2) if isinstance(event, Sampled) else event
    return advance(chosen, state, wrong)


def writes_before_it_turns_off(chosen: Program, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    state, actions = advance(chosen, state, event)
    return state, tuple(sorted(actions, key=lambda action: isinstance(action, TurnOff)))


def counts_no_step(chosen: Program, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    after, actions = advance(chosen, state, event)
    return replace(after, course=replace(after.course, step_count=max(1, after.course.step_count - 1))), actions


def decides_by_what_is_recorded(chosen: Program, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    """Ends a step at the first row that is neither its first nor its last."""
    state, actions = advance(chosen, state, event)
    if any(isinstance(action, RecordRow) and action.row.mark is Mark.NONE for action in actions):
        return advance(chosen, state, Skipped(event.at_s, event.utc_s, "the record"))
    return state, actions


@pytest.mark.parametrize(
    ("engine", "broken"),
    [
        (halves_its_current, charge_is_true),
        (writes_before_it_turns_off, off_first_and_on_last),
        (counts_no_step, record_is_whole),
        (decides_by_what_is_recorded, record_decides_nothing),
    ],
)
def test_an_engine_that_does_one_thing_wrong_is_caught_by_its_property(engine: Engine, broken: Property) -> None:
    @settings(max_examples=300, deadline=None, phases=[Stage.generate], report_multiple_bugs=False, database=None)
    @given(benches(engine))
    def check_one(bench: Bench) -> None:
        broken(bench)

    with pytest.raises(AssertionError):
        check_one()


def turns_off_where_a_step_ends(chosen: Program, state: State, event: Event) -> Decided:
    """Between two steps the relay would open and close (F46)."""
    decided = decide(chosen, state, event)
    return decided._replace(turns_off=any(isinstance(each, RecordStep | TurnOff) for each in decided.conclude()[1]))


def turns_off_after_the_last_step_of_the_file(chosen: Program, state: State, event: Event) -> Decided:
    """Whatever repeats it, or goes on in it."""
    decided = decide(chosen, state, event)
    last = bool(state.course.place) and state.course.place[0].index == len(chosen.steps) - 1
    ends = any(isinstance(each, RecordStep) for each in decided.conclude()[1])
    return decided._replace(turns_off=decided.turns_off or (last and ends))


def leaves_on_what_ends_by_itself(chosen: Program, state: State, event: Event) -> Decided:
    decided = decide(chosen, state, event)
    return decided._replace(turns_off=decided.turns_off and not isinstance(event, Sampled))


@pytest.mark.parametrize(
    "deciding",
    [turns_off_where_a_step_ends, turns_off_after_the_last_step_of_the_file, leaves_on_what_ends_by_itself],
)
def test_a_decision_that_is_not_what_is_done_is_caught(deciding: Decide, drawn: list[Bench]) -> None:
    holds = decides_as_it_acts(deciding)

    def each_holds() -> None:
        for bench in drawn:
            holds(bench)

    with pytest.raises(AssertionError):
        each_holds()


def test_a_million_steps_of_repeats_take_no_memory_of_their_own() -> None:
    nested: Step = rest(time(0))
    for _ in range(3):
        nested = RepeatStep("5", 100, True, (nested,))
    chosen = program(nested)
    bench = Bench(chosen)
    bench.tell(Started(0.0, 0.0))
    for _ in range(2000):
        bench.wait(1.0)
        bench.tell(bench.sampled())
    assert len(to_json(bench.state)) < 4000
    assert bench.state.course.step_count == 1001


def test_a_run_that_finishes_says_so() -> None:
    bench = run(Bench(program(rest(time(2)), lithiate(time(2), clause(Watched.CAPACITY, ">=", 1.0)))), [1.0], {})
    assert bench.state.ending is not None
    assert bench.state.ending.outcome is Outcome.FINISHED
    assert Verb.LITHIATE in {step.step.word for step in bench.actions if isinstance(step, RecordStep)}


def test_the_generated_programs_reach_every_kind_of_step_and_of_end(drawn: list[Bench]) -> None:
    """Properties say little about what is never generated."""
    seen: set[str] = set()
    for bench in drawn:
        seen.update(step.word for step in bench.steps)
        seen.update(step.step_id[-2:].lstrip("0123456789.") for step in bench.steps)
        seen.update(each.event.kind.value for each in bench.actions if isinstance(each, RecordEvent))
        seen.update(each.outcome.value for each in bench.actions if isinstance(each, Finish))
        seen.update("already" for step in bench.steps if step.end_reason.startswith("already"))
    assert seen >= {"lithiate", "delithiate", "rest", "hold", "cc", "cv", "p", "r", "repeat_ended", "cycle_ended"}
    assert seen >= {"finished", "stopped", "aborted", "tripped", "already", "warning", "operator"}
