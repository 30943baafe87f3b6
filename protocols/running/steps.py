"""Beginning and ending: from one step to the next, through the passes of repeats, to the end of the run."""

from __future__ import annotations

from dataclasses import replace

from protocols.charge import plus
from protocols.conditions import watches_slope
from protocols.events import Action, Apply, Event, Finish, RecordRow, RecordStep, TurnOff
from protocols.model import Program, TimedStep
from protocols.record import Counters, EventKind, Mark, Outcome
from protocols.running.place import Doing, moved, step_at
from protocols.running.state import Ending, Execution, Phase, SlopeWindow, State
from protocols.running.view import setpoint
from protocols.running.way import go_on
from protocols.running.wholes import settled
from protocols.running.written import Closing, row, step_ended, step_started, summary, told

Result = tuple[State, tuple[Action, ...]]


def write(step: TimedStep, state: State, mark: Mark) -> Result:
    """The newest sample as a row, unless it is one already: no sample is written twice."""
    live, execution = state.live, state.step
    if not live.unwritten or live.sample is None or execution is None:
        return state, ()
    recorded = row(step, state, execution, live.sample, mark)
    live = live._replace(recorded=recorded, unwritten=False)
    return State(state.phase, state.course, execution, live, state.ending), (RecordRow(recorded),)


def close(what: Doing, state: State, event: Event, closing: Closing) -> Result:
    """End the present step: its last sample, its summary, its charge into the totals."""
    execution = state.step
    if execution is None:
        return state, ()
    state, rows = write(what.step, state, Mark.PAUSED if state.phase is Phase.PAUSED else Mark.END)
    course, live = state.course, state.live
    done = summary(what, state, execution, event.at_s - course.started_s, closing)
    course = replace(
        course,
        place=moved(course.place, what.whole) if closing.moved else course.place,
        run_total=plus(course.run_total, live.step_total),
        cycle_total=plus(course.cycle_total, live.step_total),
    )
    course = settled(what, course, done, closing)
    abort = () if course.whole is None else live.abort  # the clocks of a whole go on from part to part
    live = live._replace(seen=None, step_total=Counters(), until=(), train=(), abort=abort, window=None)
    state = replace(state, course=course, step=None, live=live)
    return state, (*rows, RecordStep(done), step_ended(done, course, event))


def enter(program: Program, state: State, event: Event, written: tuple[Action, ...]) -> Result:
    """Go on to the next timed step, after ``written``, or to the end of the run."""
    arrival = go_on(program, state.course, event)
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
