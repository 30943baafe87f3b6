"""What people, the guard and accidents do to a run: pauses, skips, stops, trips and faults."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from protocols.charge import plus
from protocols.conditions import watches_slope
from protocols.events import (
    Action,
    Apply,
    Faulted,
    Interrupted,
    Paused,
    RecordEvent,
    Resumed,
    Skipped,
    Stopped,
    Tripped,
    TurnOff,
)
from protocols.model import CurrentStep, Program, RestStep, TimedStep
from protocols.record import EventKind, Mark, Outcome
from protocols.running.place import doing, step_at
from protocols.running.sampling import counted, tail
from protocols.running.state import Course, Execution, Live, Phase, SlopeWindow, State
from protocols.running.steps import Decided, Result, close, course_after, depart, finish, unchanged, write
from protocols.running.view import setpoint
from protocols.running.written import Closing, told

LONG_PAUSE_S = 600.0


def halt(program: Program, state: State, event: Paused | Interrupted) -> Decided:
    """Off, and the step waits for somebody who goes on with it."""
    step, execution = step_at(program, state.course.place), state.step
    if step is None or execution is None:
        return unchanged(state)
    if isinstance(event, Interrupted):
        return Decided(turns_off=True, conclude=partial(_interrupt, step, execution, state))
    return Decided(turns_off=True, conclude=partial(_pause, program, step, execution, state, event))


def _pause(program: Program, step: TimedStep, execution: Execution, state: State, event: Paused) -> Result:
    """The last sample of before is written, and the step's clock stops here (after a gap: at that sample)."""
    passed, gaps = tail(program, step, state, event)
    state, rows = write(step, state, Mark.NONE)
    stopped_s = _last_known_s(execution, state.live) if gaps else event.at_s
    live, course, clock_s = state.live, _later(state.course, event.at_s - stopped_s), 0.0
    course = replace(course, cycle_torn=course.cycle_torn or bool(gaps))
    if execution.first is None:
        course = counted(course, passed)
    else:
        clock_s = stopped_s - execution.zero_s
        live = live._replace(step_total=plus(live.step_total, passed))
    execution = replace(execution, applied_s=event.at_s, fresh=True, clock_s=clock_s)
    paused = told(course, event, EventKind.OPERATOR, action="pause", by=event.by)
    state = State(Phase.PAUSED, course, execution, live)
    return state, (TurnOff(), *rows, *gaps, paused)


def _last_known_s(execution: Execution, live: Live) -> float:
    """Until when somebody watched: the newest sample, or the setpoint if none has come since."""
    return execution.applied_s if execution.fresh or live.seen is None else live.seen.at_s


def _interrupt(step: TimedStep, execution: Execution, state: State) -> Result:
    """Paused since the newest sample, after which nobody measured: no charge, no step time, no crossing since then."""
    state, rows = write(step, state, Mark.NONE)
    sample, seen, live = state.live.sample, state.live.seen, state.live._replace(beyond=())
    if not execution.fresh and sample is not None and seen is not None:
        execution = replace(execution, applied_s=sample.at_s, fresh=True, clock_s=seen.time_s)
    torn = state.course.cycle_torn or not isinstance(step, RestStep)
    course = replace(state.course, cycle_torn=torn)
    return State(Phase.PAUSED, course, execution, live), (TurnOff(), *rows)


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
    course = _later(counted(state.course, passed), paused_s)
    execution = replace(execution, applied_s=event.at_s, fresh=True, zero_s=zero_s)
    live = state.live._replace(window=SlopeWindow() if watches_slope(step) else None)
    state = State(Phase.RUNNING, course, execution, live)
    return state, (*rows, *told_of, Apply(setpoint(step)))


def _later(course: Course, by_s: float) -> Course:
    """The clock of the whole stood still for so long."""
    if course.whole is None:
        return course
    return replace(course, whole=replace(course.whole, zero_s=course.whole.zero_s + by_s))


def skip(program: Program, state: State, event: Skipped) -> Decided:
    """On to the next step (past a whole one, not to its next part); in a pause that step waits for the resume."""
    what = doing(program, state.course.place)
    if what is None:
        return unchanged(state)
    passed, gaps = tail(program, what.step, state, event)
    closing = Closing(f"skipped by {event.by}")
    skipped = told(state.course, event, EventKind.OPERATOR, action="skip", by=event.by)
    torn = state.course.cycle_skipped or what.whole is not None or not isinstance(what.step, RestStep)
    course = replace(counted(course_after(what, state, closing), passed), cycle_skipped=torn)
    return depart(program, what, state, event, closing=closing, course=course, before=gaps, then=(skipped,))


def break_off(program: Program, state: State, event: Stopped | Tripped | Faulted) -> Result:
    """A person, the guard or a fault ends the run, in whatever phase it is."""
    if state.phase is Phase.READY:
        state = replace(state, course=replace(state.course, started_s=event.at_s))
    what, (outcome, reason) = doing(program, state.course.place), _why(event)
    written: tuple[Action, ...] = ()
    if what is not None:
        _, gaps = tail(program, what.step, state, event)
        closing = Closing(reason)
        state, written = close(what, state, event, closing, course_after(what, state, closing))
        written = (*gaps, *written)
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
