"""Another program for a run under way: never what was executed, never the step in progress."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.engine import Amended, Phase, RecordEvent, Started, advance, amended, from_json, to_json
from protocols.model import Program, RepeatStep, Step, StopWhen
from protocols.record import EventKind
from protocols.running.place import doing
from protocols.running.retention import sought
from tests.unit.engine.bench import Bench, ToyCell
from tests.unit.engine.conftest import MA, delithiate, lithiate, program, repeat, rest, retention, time, voltage
from tests.unit.engine.random_programs import CELLS, STEPS, programs

EXAMPLES, CAMPAIGN_EXAMPLES = 50, 3000
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
FIRST, SECOND, LAST = (rest(time(5), path=path) for path in ("1", "2", "3"))


def at(bench: Bench, seconds: float) -> Bench:
    """The run after so many samples, one a second, or at its end."""
    bench.tell(Started(0.0, 0.0))
    while bench.now_s < seconds and not bench.ended:
        bench.wait(1.0)
        bench.tell(bench.sampled())
    return bench


def run_of(*steps: Step) -> Bench:
    return Bench(program(*steps))


def refused(bench: Bench, *steps: Step) -> str:
    return why_not(bench, program(*steps))


def why_not(bench: Bench, new: Program) -> str:
    found = amended(bench.program, bench.state, new)
    assert isinstance(found, str), found
    return found


def accepted(bench: Bench, *steps: Step) -> Bench:
    new = program(*steps)
    bench.tell(Amended(bench.now_s, bench.now_s, "K. Abe", new, {"changes": []}))
    bench.program = new
    return bench


def test_what_follows_the_step_in_progress_may_be_anything() -> None:
    bench = at(run_of(FIRST, SECOND, LAST), 7.0)
    longer = replace(LAST, until=rest(time(50)).until)
    accepted(bench, FIRST, SECOND, longer, rest(time(1), path="4"))
    told = bench.told(EventKind.OPERATOR)
    assert [(each.data["action"], each.data["by"]) for each in told] == [("amend", "K. Abe")]
    while not bench.ended:
        bench.wait(1.0)
        bench.tell(bench.sampled())
    assert [each.step_id for each in bench.steps] == ["1", "2", "3", "4"]
    assert bench.steps[2].ended_s - bench.steps[2].started_s == pytest.approx(50.0)


def test_a_step_that_is_done_or_in_progress_stays_as_it_is() -> None:
    bench = at(run_of(FIRST, SECOND, LAST), 7.0)
    other = replace(FIRST, note="another")
    assert refused(bench, other, SECOND, LAST) == "step 1 is done: it stays as it was"
    assert refused(bench, FIRST, other, LAST) == "step 2 is in progress: it stays as it is"
    assert refused(bench, FIRST) == "step 2 is in progress: it cannot be taken out"


def test_what_the_run_was_begun_with_stays_as_it_was() -> None:
    bench = at(run_of(FIRST, SECOND), 2.0)
    was = bench.program
    assert "its cell" in why_not(bench, replace(was, cell=replace(was.cell, area_cm2=2.0)))
    assert "its safety section" in why_not(bench, replace(was, safety=replace(was.safety, current_A=MA)))
    assert "settings" in why_not(bench, replace(was, settings=replace(was.settings, debounce=3)))


def test_a_run_that_has_not_begun_or_is_over_cannot_be_amended() -> None:
    assert refused(run_of(FIRST), FIRST, SECOND) == "the run has not begun yet: try again in a moment"
    assert refused(at(run_of(FIRST), 9.0), FIRST, SECOND) == "the run is over"


def cycles(times: int, *later: Step, stop: StopWhen | None = None) -> Step:
    return repeat(times, rest(time(5), path="1.1"), *later, counts=True, stop_when=stop)


def test_cycles_are_added_and_none_that_has_begun_is_taken_back() -> None:
    bench = at(run_of(cycles(3)), 7.0)
    assert bench.state.course.cycle == 2
    assert refused(bench, cycles(1)) == "step 5: pass 2 is in progress, it cannot end after 1"
    accepted(bench, cycles(5))
    while not bench.ended:
        bench.wait(1.0)
        bench.tell(bench.sampled())
    assert len(bench.cycles) == 5


def test_of_the_repeat_in_progress_only_what_follows_in_it_can_change() -> None:
    before, after = rest(time(5), path="1.1"), rest(time(5), path="1.2")
    bench = at(run_of(cycles(3, after)), 7.0)  # in 1.2 of the first cycle
    assert "1.1 is done" in refused(bench, repeat(3, rest(time(6), path="1.1"), after, counts=True))
    assert "1.2 is in progress" in refused(bench, repeat(3, before, rest(time(6), path="1.2"), counts=True))
    assert "only times, stop_when and what follows" in refused(bench, repeat(3, before, after, counts=False))
    accepted(bench, cycles(3, after, rest(time(1), path="1.3")))
    assert bench.told(EventKind.OPERATOR)


def test_a_stop_when_cannot_refer_to_a_cycle_that_is_over_and_was_not_kept() -> None:
    bench = at(run_of(cycles(4)), 12.0)
    assert bench.state.course.cycle == 3
    assert "refers to cycle 2, which is over" in refused(bench, cycles(4, stop=retention("<=", 0.8, of_cycle=2)))
    accepted(bench, cycles(4, stop=retention("<=", 0.8, of_cycle=3)))
    assert bench.state.course.sought == (3,)


def test_another_stop_when_counts_its_cycles_from_the_amendment_on() -> None:
    def steps(stop: StopWhen) -> Step:
        down, up = lithiate(time(5), path="1.1"), delithiate(time(5), path="1.2")
        return repeat(9, down, up, counts=True, stop_when=stop)

    bench = at(run_of(steps(retention("<=", 9.0, cycles=5))), 23.0)
    assert bench.state.course.place[1].met == 1
    accepted(bench, steps(retention("<=", 8.0, cycles=5)))
    assert bench.state.course.place[1].met == 0


@st.composite
def edited(draw: st.DrawFn, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps, some of them changed, left out or added to."""
    kept: list[Step] = []
    for step in steps:
        what = draw(st.sampled_from(["same", "same", "same", "other", "gone", "inside"]))
        if what == "inside" and isinstance(step, RepeatStep):
            inner = draw(edited(step.steps))
            kept.append(replace(step, times=max(1, step.times + draw(st.integers(-2, 2))), steps=inner))
        elif what == "other":
            kept.append(draw(STEPS))
        elif what != "gone":
            kept.append(step)
    return (*kept, *draw(st.lists(STEPS, max_size=2)))


@st.composite
def amendments(draw: st.DrawFn) -> tuple[Bench, Program]:
    was = draw(programs())
    bench = at(Bench(was, draw(CELLS)), draw(st.sampled_from([1.0, 4.0, 9.0, 17.0, 40.0])))
    return bench, replace(was, steps=draw(edited(was.steps)))


def test_an_amendment_never_changes_what_is_done_nor_the_step_in_progress(request: pytest.FixtureRequest) -> None:
    examples = CAMPAIGN_EXAMPLES if request.config.getoption("--campaign") else EXAMPLES

    @settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)
    @given(amendments())
    def holds(case: tuple[Bench, Program]) -> None:
        changes_nothing_done(*case)

    holds()


def changes_nothing_done(bench: Bench, new: Program) -> None:
    before, found = bench.state, amended(bench.program, bench.state, new)
    event = Amended(bench.now_s, bench.now_s, "K. Abe", new)
    state, actions = advance(bench.program, before, event)
    if isinstance(found, str):
        assert (state, actions) == (before, ())
        return
    assert state == found == from_json(to_json(found))
    assert [each.event.data["action"] for each in actions if isinstance(each, RecordEvent)] == ["amend"]
    assert len(actions) == 1  # no setpoint, no row: nothing is done to the cell
    assert doing(new, state.course.place) == doing(bench.program, before.course.place)
    assert (state.phase, state.step, state.live, state.ending) == (before.phase, before.step, before.live, None)
    unmet = tuple(replace(frame, met=0) for frame in state.course.place)
    assert unmet == tuple(replace(frame, met=0) for frame in before.course.place)
    same = replace(state.course, place=before.course.place, sought=before.course.sought)
    assert same == before.course
    assert state.course.sought == sought(new)
    goes_on_to_its_end(bench, new, state.phase)


def goes_on_to_its_end(bench: Bench, new: Program, phase: Phase) -> None:
    """The place means something in the new program whatever comes."""
    assert phase is Phase.RUNNING
    count = len(bench.steps)
    bench.tell(Amended(bench.now_s, bench.now_s, "K. Abe", new))
    bench.program = new
    for _ in range(400):
        if bench.ended:
            break
        bench.wait(1.0)
        bench.tell(bench.sampled())
    assert [step.step_count for step in bench.steps] == list(range(1, len(bench.steps) + 1))
    assert len(bench.steps) >= count


def test_some_amendments_of_each_kind_come_up() -> None:
    """Else the property would hold of nothing."""
    seen: set[str] = set()

    @settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW)
    @given(amendments())
    def look(case: tuple[Bench, Program]) -> None:
        bench, new = case
        found = amended(bench.program, bench.state, new)
        seen.add(found.split(":")[-1].strip()[:20] if isinstance(found, str) else f"ok {new != bench.program}")

    look()
    assert "ok True" in seen
    assert len(seen) >= 4


def test_a_cell_that_was_charged_keeps_its_charge_over_an_amendment() -> None:
    down = lithiate(time(10), path="1")
    bench = at(Bench(program(down), ToyCell()), 5.0)
    accepted(bench, down, delithiate(voltage(">=", 2.0), time(4), path="2"))
    while not bench.ended:
        bench.wait(1.0)
        bench.tell(bench.sampled())
    assert bench.steps[0].charge_Ah == pytest.approx(10 * MA / 3600, rel=1e-6)
