"""Beginning and ending: from one step to the next, through the passes of repeats, to the end of the run.

Where a step is over, the course after it and the way on from there say whether the output goes off; its record is
made of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from protocols.charge import plus
from protocols.conditions import watches_slope
from protocols.events import Action, Apply, Event, Finish, RecordRow, RecordStep, TurnOff
from protocols.model import Program, TimedStep
from protocols.record import Counters, EventKind, Mark, Outcome
from protocols.running.place import Doing, moved, step_at
from protocols.running.state import Course, Ending, Execution, Phase, SlopeWindow, State
from protocols.running.view import setpoint
from protocols.running.way import Arrival, go_on
from protocols.running.wholes import settled
from protocols.running.written import Closing, row, step_ended, step_started, summary, told

Result = tuple[State, tuple[Action, ...]]


class Decided(NamedTuple):
    """What an event brings about, worked out as far as it takes to know whether the output goes off.

    ``conclude`` makes the new state and the record of what is decided here; it decides nothing any more.
    """

    turns_off: bool
    conclude: Callable[[], Result]


def unchanged(state: State) -> Decided:
    return Decided(turns_off=False, conclude=lambda: (state, ()))


def write(step: TimedStep, state: State, mark: Mark) -> Result:
    """The newest sample as a row, unless it is one already: no sample is written twice."""
    live, execution = state.live, state.step
    if not live.unwritten or live.sample is None or execution is None:
        return state, ()
    recorded = row(step, state, execution, live.sample, mark)
    live = live._replace(recorded=recorded, unwritten=False)
    return State(state.phase, state.course, execution, live, state.ending), (RecordRow(recorded),)


def course_after(what: Doing, state: State, closing: Closing) -> Course:
    """The course after the present step: its charge is in the totals."""
    course, passed = state.course, state.live.step_total
    if state.step is None:
        return course
    whole, past = settled(what, course, passed, closing)
    return replace(
        course,
        place=moved(course.place, what.whole) if closing.moved else course.place,
        run_total=plus(course.run_total, passed),
        cycle_total=plus(course.cycle_total, passed),
        whole=whole,
        past=past,
    )


def close(what: Doing, state: State, event: Event, closing: Closing, course: Course) -> Result:
    """End the present step: its last sample and its summary. ``course``: the one after it."""
    execution = state.step
    if execution is None:
        return replace(state, course=course), ()
    state, rows = write(what.step, state, Mark.PAUSED if state.phase is Phase.PAUSED else Mark.END)
    live, done = state.live, summary(what, state, execution, event.at_s - course.started_s, closing)
    abort = () if course.whole is None else live.abort  # the clocks of a whole go on from part to part
    live = live._replace(seen=None, step_total=Counters(), until=(), train=(), abort=abort, window=None)
    state = replace(state, course=course, step=None, live=live)
    return state, (*rows, RecordStep(done), step_ended(done, course, event))


def depart(
    program: Program,
    what: Doing,
    state: State,
    event: Event,
    *,
    closing: Closing,
    course: Course,
    before: tuple[Action, ...],
    then: tuple[Action, ...] = (),
) -> Decided:
    """From a step that is over, ``course`` the one after it, to the next one. ``before``, ``then``: around its record."""
    arrival = go_on(program, course, event)

    def conclude() -> Result:
        closed, written = close(what, state, event, closing, course)
        return enter(program, closed, event, arrival, (*before, *written, *then))

    return Decided(arrival.at_end, conclude)


def enter(program: Program, state: State, event: Event, arrival: Arrival, written: tuple[Action, ...]) -> Result:
    """Begin the next timed step, after ``written``, or end the run."""
    course, written = arrival.course, (*written, *arrival.passed)
    if arrival.at_end:
        course = replace(course, place=state.course.place)
        return finish(replace(state, course=course), event, Outcome.FINISHED, "the protocol is complete", written)
    course = replace(course, step_count=course.step_count + 1)
    step = step_at(program, course.place)
    if step is None:
        return replace(state, course=course), written
    window = SlopeWindow() if watches_slope(step) else None
    state = replace(state, course=course, step=Execution(applied_s=event.at_s), live=state.live._replace(window=window))
    # A step skipped to during a pause waits for the resume; nothing is applied for it yet.
    begun = (*written, step_started(step, course, event))
    return state, begun if state.phase is Phase.PAUSED else (*begun, Apply(setpoint(step)))


def finish(state: State, event: Event, outcome: Outcome, reason: str, written: tuple[Action, ...]) -> Result:
    """The end of the run: off first, then what is to be written."""
    ended = told(state.course, event, EventKind.RUN_ENDED, outcome=outcome.value, reason=reason)
    state = replace(state, phase=Phase.ENDED, step=None, ending=Ending(outcome, reason))
    return state, (TurnOff(), *written, ended, Finish(outcome, reason))
