"""What people, the guard and accidents do to a run: pauses, skips, stops, trips and faults."""

from __future__ import annotations

from dataclasses import replace

from protocols.charge import plus
from protocols.conditions import watches_slope
from protocols.events import (
    Action,
    Apply,
    Faulted,
    Paused,
    RecordEvent,
    Resumed,
    Skipped,
    Stopped,
    Tripped,
    TurnOff,
)
from protocols.model import CurrentStep, Program, RestStep
from protocols.place import doing, step_at
from protocols.record import EventKind, Mark, Outcome
from protocols.sampling import counted, tail
from protocols.state import Course, Execution, Phase, SlopeWindow, State
from protocols.steps import Result, close, enter, finish, write
from protocols.view import setpoint
from protocols.written import Closing, told

LONG_PAUSE_S = 600.0


def pause(program: Program, state: State, event: Paused) -> Result:
    """Off; the last sample of before is written, and the step's clock stops here (after a gap: at that sample)."""
    step, execution = step_at(program, state.course.place), state.step
    if step is None or execution is None:
        return state, ()
    passed, gaps = tail(program, step, state, event)
    state, rows = write(step, state, Mark.NONE)
    live, course, clock_s = state.live, state.course, 0.0
    if execution.first is None:
        course = counted(course, passed)
    else:
        clock_s = live.seen.time_s if gaps and live.seen is not None else event.at_s - execution.zero_s
        live = live._replace(step_total=plus(live.step_total, passed))
    execution = replace(execution, applied_s=event.at_s, fresh=True, clock_s=clock_s)
    paused = told(course, event, EventKind.OPERATOR, action="pause", by=event.by)
    state = State(Phase.PAUSED, course, execution, live)
    return state, (TurnOff(), *rows, *gaps, paused)


def interrupt(program: Program, state: State) -> Result:
    """Paused since the newest sample, after which nobody measured: no charge, no step time, no crossing since then."""
    step, execution = step_at(program, state.course.place), state.step
    if step is None or execution is None:
        return state, ()
    state, rows = write(step, state, Mark.NONE)
    sample, seen, live = state.live.sample, state.live.seen, state.live._replace(beyond=())
    if not execution.fresh and sample is not None and seen is not None:
        execution = replace(execution, applied_s=sample.at_s, fresh=True, clock_s=seen.time_s)
    return replace(state, phase=Phase.PAUSED, step=execution, live=live), (TurnOff(), *rows)


def resume(program: Program, state: State, event: Resumed) -> Result:
    """The same setpoint again; charge and clocks go on from where they were, dV/dt begins anew."""
    step, execution = step_at(program, state.course.place), state.step
    if step is None or execution is None:
        return state, ()
    passed, _ = tail(program, step, state, event)
    state, rows = write(step, state, Mark.PAUSED)
    paused_s = event.at_s - execution.applied_s
    told_of = [told(state.course, event, EventKind.OPERATOR, action="resume", by=event.by, paused_s=paused_s)]
    if paused_s > LONG_PAUSE_S and isinstance(step, CurrentStep) and execution.first is not None:
        text = f"{step.word} goes on after a pause of {paused_s / 60:.0f} min"
        told_of.append(told(state.course, event, EventKind.WARNING, step_id=step.path, message=text))
    zero_s = event.at_s - execution.clock_s
    course = _later(counted(state.course, passed), execution, event)
    execution = replace(execution, applied_s=event.at_s, fresh=True, zero_s=zero_s)
    live = state.live._replace(window=SlopeWindow() if watches_slope(step) else None)
    state = State(Phase.RUNNING, course, execution, live)
    return state, (*rows, *told_of, Apply(setpoint(step)))


def _later(course: Course, paused: Execution, event: Resumed) -> Course:
    """The clock of the whole stood still for as long as that of its part."""
    if course.whole is None:
        return course
    stopped_s = paused.applied_s if paused.first is None else paused.zero_s + paused.clock_s
    return replace(course, whole=replace(course.whole, zero_s=course.whole.zero_s + event.at_s - stopped_s))


def skip(program: Program, state: State, event: Skipped) -> Result:
    """On to the next step (past a whole one, not to its next part); in a pause that step waits for the resume."""
    what = doing(program, state.course.place)
    if what is None:
        return state, ()
    passed, gaps = tail(program, what.step, state, event)
    paused = state.step if state.phase is Phase.PAUSED else None
    state, written = close(what, state, event, Closing(f"skipped by {event.by}"))
    skipped = told(state.course, event, EventKind.OPERATOR, action="skip", by=event.by)
    partial = state.course.cycle_skipped or what.whole is not None or not isinstance(what.step, RestStep)
    course = replace(counted(state.course, passed), cycle_skipped=partial)
    state = replace(state, course=course, step=paused)
    return enter(program, state, event, (*gaps, *written, skipped))


def break_off(program: Program, state: State, event: Stopped | Tripped | Faulted) -> Result:
    """A person, the guard or a fault ends the run, in whatever phase it is."""
    if state.phase is Phase.READY:
        state = replace(state, course=replace(state.course, started_s=event.at_s))
    what, (outcome, reason) = doing(program, state.course.place), _why(event)
    written: tuple[Action, ...] = ()
    if what is not None:
        state, written = close(what, state, event, Closing(reason))
    return finish(state, event, outcome, reason, (*written, _log(state, event)))


def _why(event: Stopped | Tripped | Faulted) -> tuple[Outcome, str]:
    match event:
        case Stopped(by=by):
            return Outcome.STOPPED, f"stopped by {by}"
        case Tripped(reason=reason):
            return Outcome.TRIPPED, reason
        case Faulted(reason=reason):
            return Outcome.FAULTED, reason


def _log(state: State, event: Stopped | Tripped | Faulted) -> RecordEvent:
    match event:
        case Stopped(by=by):
            return told(state.course, event, EventKind.OPERATOR, action="stop", by=by)
        case Tripped(reason=reason):
            return told(state.course, event, EventKind.TRIP, reason=reason)
        case Faulted(reason=reason):
            return told(state.course, event, EventKind.FAULT, reason=reason)
