"""What must hold for every program, every cell and every interruption."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.engine import (
    Action,
    Apply,
    Event,
    Faulted,
    Finish,
    Paused,
    Phase,
    RecordRow,
    RecordStep,
    Resumed,
    Sampled,
    Skipped,
    Started,
    Stopped,
    Tripped,
    TurnOff,
    advance,
    begin,
    from_json,
    live_row,
    progress,
    resume_setpoint,
    to_json,
)
from protocols.model import (
    Clause,
    ConstantCurrent,
    NoteStep,
    PreviousOf,
    Program,
    Record,
    RepeatStep,
    Safety,
    Settings,
    Step,
    Verb,
    Watched,
)
from protocols.record import Mark, Outcome, Row
from tests.unit.engine.conftest import MA, clause, delithiate, lithiate, program, repeat, rest, time, voltage

DURATIONS = st.sampled_from([1.0, 2.5, 7.0, 20.0])
RECORDS = st.builds(
    Record,
    time_s=st.none() | st.sampled_from([2.0, 5.0]),
    voltage_V=st.none() | st.sampled_from([0.01, 0.1]),
    charge_Ah=st.none() | st.just(3 * MA / 3600),
)


@st.composite
def ends(draw: st.DrawFn, threshold: Clause) -> tuple[Clause | tuple[Clause, ...], ...]:
    """Always a time, so that every step ends; perhaps something sooner."""
    share = clause(Watched.CAPACITY, ">=", draw(st.sampled_from([0.5, 1.2])), None, PreviousOf(None))
    slope = clause(Watched.SLOPE, "<=", 1e-3)
    others: list[Clause | tuple[Clause, ...]] = [
        threshold,
        share,
        slope,
        (threshold, time(2)),
        clause(Watched.ENERGY, ">=", 5 * MA / 3600),
    ]
    return (*draw(st.lists(st.sampled_from(others), max_size=2)), time(draw(DURATIONS)))


@st.composite
def lithiations(draw: st.DrawFn) -> Step:
    threshold = voltage("<=", draw(st.sampled_from([0.6, 0.9, 1.1])), draw(st.none() | st.sampled_from([0.0, 3.0])))
    return lithiate(*draw(ends(threshold)), record=draw(RECORDS), label=draw(st.none() | st.just("down")))


@st.composite
def delithiations(draw: st.DrawFn) -> Step:
    return delithiate(*draw(ends(voltage(">=", draw(st.sampled_from([0.95, 1.2]))))), record=draw(RECORDS))


@st.composite
def rests(draw: st.DrawFn) -> Step:
    return rest(time(draw(DURATIONS)), record=draw(RECORDS))


@st.composite
def repeats(draw: st.DrawFn, inner: st.SearchStrategy[Step]) -> Step:
    return repeat(draw(st.integers(1, 3)), *draw(st.lists(inner, max_size=3)), counts=draw(st.booleans()))


LEAVES = st.one_of(lithiations(), delithiations(), rests(), st.just(NoteStep("8", "note")))
STEPS: st.SearchStrategy[Step] = st.recursive(LEAVES, repeats, max_leaves=5)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    steps = draw(st.lists(STEPS, max_size=4))
    chosen = Settings(sample_every_s=1.0, debounce=draw(st.integers(1, 3)), slope_window_s=10.0)
    safety = draw(st.sampled_from([Safety(), Safety(voltage_V=(0.0, 2.0), current_A=2 * MA, for_s=1.0)]))
    return program(*steps, safety=safety, settings=chosen)


@dataclass
class Bench:
    """A cell behind an instrument that switches at once, so that the true charge is known exactly."""

    program: Program
    now_s: float = 0.0
    current_A: float = 0.0
    net_Ah: float = 0.0
    passed_Ah: list[float] = field(default_factory=lambda: [0.0, 0.0])
    events: list[Event] = field(default_factory=list[Event])
    answers: list[tuple[Action, ...]] = field(default_factory=list[tuple[Action, ...]])
    truth: dict[float, tuple[float, float]] = field(default_factory=dict[float, tuple[float, float]])

    def __post_init__(self) -> None:
        self.state = begin(self.program)

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        charge_Ah = self.current_A * duration_s / 3600
        self.net_Ah += charge_Ah
        self.passed_Ah[0 if charge_Ah > 0 else 1] += abs(charge_Ah)

    def sampled(self) -> Sampled:
        voltage_V = 1.0 + self.net_Ah * 3600 / MA * 0.02 + self.current_A * 50
        self.truth[self.now_s] = (self.passed_Ah[0], self.passed_Ah[1])
        return Sampled(self.now_s, self.now_s, voltage_V, self.current_A, None)

    def tell(self, event: Event) -> None:
        self.state, actions = advance(self.program, self.state, event)
        self.events.append(event)
        self.answers.append(actions)
        for action in actions:
            if isinstance(action, TurnOff):
                self.current_A = 0.0
            if isinstance(action, Apply):
                point = action.setpoint
                self.current_A = point.current_A if isinstance(point, ConstantCurrent) else 0.0

    @property
    def ended(self) -> bool:
        return self.state.phase is Phase.ENDED

    @property
    def actions(self) -> list[Action]:
        return [action for answer in self.answers for action in answer]

    @property
    def rows(self) -> list[Row]:
        return [action.row for action in self.actions if isinstance(action, RecordRow)]


def interruption(name: str, now_s: float) -> Event:
    match name:
        case "pause":
            return Paused(now_s, now_s, "ann")
        case "resume":
            return Resumed(now_s, now_s, "ann")
        case "skip":
            return Skipped(now_s, now_s, "ann")
        case "stop":
            return Stopped(now_s, now_s, "ann")
        case _:
            return Tripped(now_s, now_s, "guard")


INTERRUPTIONS = st.dictionaries(
    st.integers(1, 60),
    st.sampled_from(["pause", "pause", "pause", "skip", "skip", "resume", "stop", "trip"]),
    max_size=4,
)
INTERVALS = st.lists(st.sampled_from([0.25, 0.9, 1.0, 1.1, 3.0]), min_size=1, max_size=7)


def run(chosen: Program, intervals_s: list[float], interruptions: dict[int, str]) -> Bench:
    """The whole run; a pause is ended by somebody after five samples."""
    bench = Bench(chosen)
    bench.tell(Started(0.0, 0.0))
    paused = 0
    for number in range(20_000):
        if bench.ended:
            return bench
        interval_s = intervals_s[number % len(intervals_s)]
        bench.wait(interval_s / 2)
        paused = paused + 1 if bench.state.phase is Phase.PAUSED else 0
        name = "resume" if paused > 5 else interruptions.get(number)
        if name is not None:
            bench.tell(interruption(name, bench.now_s))
        bench.wait(interval_s / 2)
        if not bench.ended:
            bench.tell(bench.sampled())
    raise AssertionError("the run never ended")


@settings(max_examples=150, deadline=None)
@given(programs(), INTERVALS, INTERRUPTIONS)
def test_every_run_ends_once_and_its_record_is_whole(
    chosen: Program, intervals_s: list[float], interruptions: dict[int, str]
) -> None:
    bench = run(chosen, intervals_s, interruptions)
    rows, actions = bench.rows, bench.actions
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert all(a.time_s < b.time_s for a, b in pairwise(rows))
    steps = [action.step for action in actions if isinstance(action, RecordStep)]
    assert [step.step_count for step in steps] == list(range(1, len(steps) + 1))
    assert sum(isinstance(action, Finish) for action in actions) == 1
    assert not any(isinstance(action, RecordRow | RecordStep | Apply) for action in bench.answers[-1][-1:])
    for step in steps:
        marks = [row.mark for row in rows if row.step_count == step.step_count and row.mark is not Mark.PAUSED]
        assert bool(marks) == (step.start_voltage_V is not None)
        assert all(mark is Mark.NONE for mark in marks[1:-1])
        assert not marks or marks[0] is Mark.START or marks == [Mark.END]


@settings(max_examples=150, deadline=None)
@given(programs(), INTERVALS, INTERRUPTIONS)
def test_the_output_goes_off_before_anything_is_written_and_on_after_everything(
    chosen: Program, intervals_s: list[float], interruptions: dict[int, str]
) -> None:
    for answer in run(chosen, intervals_s, interruptions).answers:
        assert not any(isinstance(action, TurnOff) for action in answer[1:])
        assert not any(isinstance(action, Apply | Finish) for action in answer[:-1])
        if answer and isinstance(answer[-1], Finish):
            assert isinstance(answer[0], TurnOff)


@settings(max_examples=150, deadline=None)
@given(programs(), INTERVALS, INTERRUPTIONS)
def test_every_row_holds_the_true_charge_of_its_moment(
    chosen: Program, intervals_s: list[float], interruptions: dict[int, str]
) -> None:
    """The toy instrument switches at once and holds its current exactly, so nothing may be lost or doubled."""
    bench = run(chosen, intervals_s, interruptions)
    for row in bench.rows:
        oxidation_Ah, reduction_Ah = bench.truth[row.time_s]
        assert row.run_total.oxidation_Ah == pytest.approx(oxidation_Ah, rel=1e-9, abs=1e-15)
        assert row.run_total.reduction_Ah == pytest.approx(reduction_Ah, rel=1e-9, abs=1e-15)


@settings(max_examples=150, deadline=None)
@given(programs(), INTERVALS, INTERRUPTIONS)
def test_counters_never_fall_within_their_scope(
    chosen: Program, intervals_s: list[float], interruptions: dict[int, str]
) -> None:
    for before, after in pairwise(run(chosen, intervals_s, interruptions).rows):
        assert risen(before, after, "run_total")
        assert before.cycle != after.cycle or risen(before, after, "cycle_total")
        assert before.step_count != after.step_count or risen(before, after, "step_total")
        assert before.step_count <= after.step_count
        assert before.cycle <= after.cycle


def risen(before: Row, after: Row, scope: str) -> bool:
    names = ("oxidation_Ah", "reduction_Ah", "oxidation_Wh", "reduction_Wh")
    old, new = getattr(before, scope), getattr(after, scope)
    return all(0 <= getattr(old, name) <= getattr(new, name) for name in names)


@settings(max_examples=100, deadline=None)
@given(programs(), INTERVALS, INTERRUPTIONS)
def test_replaying_the_events_gives_every_checkpoint_and_every_row(
    chosen: Program, intervals_s: list[float], interruptions: dict[int, str]
) -> None:
    bench = run(chosen, intervals_s, interruptions)
    state = begin(chosen)
    for event, answer in zip(bench.events, bench.answers, strict=True):
        state, actions = advance(chosen, from_json(to_json(state)), event)
        assert actions == answer
        assert from_json(to_json(state)) == state
    assert state == bench.state


NUMBERS = st.floats(-5, 5) | st.sampled_from([float("nan"), float("inf"), 9.9e37, -9.9e37, 0.0])
TIMES = st.floats(0, 1e4)
ANYTHING = st.one_of(
    st.builds(Started, TIMES, TIMES),
    st.builds(Sampled, TIMES | NUMBERS, TIMES, NUMBERS, NUMBERS, st.none() | NUMBERS),
    st.builds(Sampled, TIMES, TIMES, st.floats(0, 2), st.floats(-MA, MA), st.none()),
    st.builds(Paused, TIMES, TIMES, st.just("ann")),
    st.builds(Resumed, TIMES, TIMES, st.just("ann")),
    st.builds(Skipped, TIMES, TIMES, st.just("ann")),
    st.builds(Stopped, TIMES, TIMES, st.just("ann")),
    st.builds(Tripped, TIMES, TIMES, st.just("guard")),
    st.builds(Faulted, TIMES, TIMES, st.just("link")),
)


@settings(max_examples=300, deadline=None)
@given(programs(), st.lists(ANYTHING, max_size=30))
def test_any_event_at_any_moment_has_an_answer(chosen: Program, events: list[Event]) -> None:
    state, energised = begin(chosen), False
    for event in events:
        state, actions = advance(chosen, state, event)
        assert from_json(to_json(state)) == state
        for action in actions:
            energised = (energised or isinstance(action, Apply)) and not isinstance(action, TurnOff)
        assert energised == (state.phase is Phase.RUNNING)
        live_row(chosen, state)
        seen = progress(chosen, state)
        assert (seen.outcome is None) == (state.phase is not Phase.ENDED)
        assert (resume_setpoint(chosen, state) is None) == (state.phase is not Phase.PAUSED)


def test_the_bench_would_notice_a_lost_sample() -> None:
    """The negative control of the charge balance: leave out one sample and the record is short."""
    bench = Bench(program(lithiate(time(20)), rest(time(2)), settings=Settings(sample_every_s=0.1, debounce=1)))
    bench.tell(Started(0.0, 0.0))
    while not bench.ended:
        bench.wait(0.1)
        reading = bench.sampled()
        bench.tell(reading if bench.now_s < 10 or bench.current_A == 0 else halved(reading))
    assert bench.rows[-1].run_total.reduction_Ah < 0.8 * bench.truth[bench.rows[-1].time_s][1]


def halved(reading: Sampled) -> Sampled:
    return Sampled(reading.at_s, reading.utc_s, reading.voltage_V, reading.current_A / 2, None)


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
    bench = run(program(rest(time(2)), lithiate(time(2), clause(Watched.CAPACITY, ">=", 1.0))), [1.0], {})
    assert bench.state.ending is not None
    assert bench.state.ending.outcome is Outcome.FINISHED
    assert Verb.LITHIATE in {step.step.word for step in bench.actions if isinstance(step, RecordStep)}
