"""The engine: ``advance`` turns a state and an event into the next state; pure, total and JSON-able.

It never sleeps, reads a clock, logs or knows a driver: events carry their time, actions say what must happen.
Actions come in the order they must be done: the output off first, then what is written, then a new setpoint.
An event that makes no sense in the present phase changes nothing. ``at_s`` is one clock through a whole run: whoever
goes on with a checkpoint after a restart must go on with its clock too.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.charge import plus, throughput_Ah
from protocols.conditions import due, watches_slope
from protocols.events import (
    Action,
    Apply,
    Event,
    Faulted,
    Finish,
    Paused,
    RecordCycle,
    RecordEvent,
    RecordRow,
    RecordStep,
    Resumed,
    Sampled,
    Skipped,
    Started,
    Stopped,
    Tripped,
    TurnOff,
)
from protocols.model import CurrentStep, OnStartMet, Program, TimedStep
from protocols.place import step_at
from protocols.record import EventKind, Mark, Outcome
from protocols.sampling import OVERFLOW, Verdict, counted, measured, observe, observe_pause, tail, unreadable
from protocols.state import Course, Live, Phase, SlopeWindow, State, from_json, to_json
from protocols.steps import Result, close, enter, finish, write
from protocols.view import Progress, live_row, progress, resume_setpoint, setpoint
from protocols.written import Closing, run_started, told, trip_reason

__all__ = [
    "Action",
    "Apply",
    "Event",
    "Faulted",
    "Finish",
    "Paused",
    "Phase",
    "Progress",
    "RecordCycle",
    "RecordEvent",
    "RecordRow",
    "RecordStep",
    "Resumed",
    "Sampled",
    "Skipped",
    "Started",
    "State",
    "Stopped",
    "Tripped",
    "TurnOff",
    "advance",
    "begin",
    "from_json",
    "live_row",
    "progress",
    "resume_setpoint",
    "to_json",
]

LONG_PAUSE_S = 600.0
JITTER = 0.25  # of a sample period: how early a reading may come and still be the one that is due


def begin(program: Program) -> State:
    """A run that has not started."""
    del program  # every run begins alike; what it needs of its program it looks up in it
    return State(Phase.READY, Course(), None, Live())


def advance(program: Program, state: State, event: Event) -> Result:
    """The state after the event, and what must be done now, in this order."""
    match event:
        case Sampled():
            return _sampled(program, state, event)
        case Started() if state.phase is Phase.READY:
            course = replace(state.course, started_s=event.at_s)
            state = replace(state, phase=Phase.RUNNING, course=course)
            return enter(program, state, event, (run_started(program, course, event),))
        case Paused() if state.phase is Phase.RUNNING:
            return _pause(program, state, event)
        case Resumed() if state.phase is Phase.PAUSED:
            return _resume(program, state, event)
        case Skipped() if state.phase in (Phase.RUNNING, Phase.PAUSED):
            return _skip(program, state, event)
        case Stopped() | Tripped() | Faulted() if state.phase is not Phase.ENDED:
            return _break_off(program, state, event)
        case _:
            return state, ()


def _sampled(program: Program, state: State, event: Sampled) -> Result:
    step = step_at(program, state.course.place)
    if step is None or state.step is None:
        return state, ()
    problem = unreadable(event, state.live.sample)
    if problem is not None:
        return _break_off(program, state, Faulted(_time(event, state), event.utc_s, problem))
    if state.phase is Phase.PAUSED:
        return _sampled_in_pause(program, step, state, measured(event))
    return _sampled_in_step(program, step, state, measured(event))


def _time(event: Sampled, state: State) -> float:
    """The event's time, or the newest sample's if it is not later or no time at all."""
    last_s = state.course.started_s if state.live.sample is None else state.live.sample.at_s
    return event.at_s if last_s < event.at_s < OVERFLOW else last_s


def _sampled_in_step(program: Program, step: TimedStep, before: State, sample: Sampled) -> Result:
    state, verdict = observe(program, step, before, sample)
    if verdict.limits:
        return _trip(program, step, state, verdict, sample)
    if verdict.abort:
        return _abort(step, state, verdict, sample)
    if verdict.until:
        return _end(program, step, state, verdict, sample)
    if before.step is not None and before.step.fresh:
        begun = before.step.first is None
        state, rows = write(step, state, Mark.START if begun else Mark.NONE)
        return state, (*verdict.gaps, *rows)
    if _is_due(program, step, state, sample):
        state, rows = write(step, state, Mark.NONE)
        return state, (*verdict.gaps, *rows)
    return state, verdict.gaps


def _is_due(program: Program, step: TimedStep, state: State, sample: Sampled) -> bool:
    recorded, course = state.live.recorded, state.course
    if recorded is None:
        return True
    charge_Ah = throughput_Ah(course.run_total) + throughput_Ah(state.live.step_total)
    slack_s = JITTER * program.settings.sample_every_s
    return due(step.record, recorded, sample.at_s - course.started_s, sample, charge_Ah, slack_s=slack_s)


def _sampled_in_pause(program: Program, step: TimedStep, before: State, sample: Sampled) -> Result:
    state, verdict = observe_pause(program, before, sample)
    if verdict.limits:
        return _trip(program, step, state, verdict, sample)
    if (before.step is not None and before.step.fresh) or _is_due(program, step, state, sample):
        return write(step, state, Mark.PAUSED)
    return state, ()


def _texts(step: TimedStep, verdict: Verdict) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(step.abort_if[n].text for n in verdict.abort), tuple(step.until[n].text for n in verdict.until)


def _trip(program: Program, step: TimedStep, state: State, verdict: Verdict, sample: Sampled) -> Result:
    charge_Ah = throughput_Ah(state.live.step_total)
    reason, *others = (trip_reason(limit, program.safety, sample, charge_Ah) for limit in verdict.limits)
    aborts, ends = _texts(step, verdict)
    also_met = (*others, *aborts, *ends)
    state, written = close(step, state, sample, Closing(f"safety: {reason}", also_met))
    tripped = told(state.course, sample, EventKind.TRIP, reason=reason, also_met=list(also_met))
    return finish(state, sample, Outcome.TRIPPED, reason, (*verdict.gaps, *written, tripped))


def _abort(step: TimedStep, state: State, verdict: Verdict, sample: Sampled) -> Result:
    (reason, *others), ends = _texts(step, verdict)
    state, written = close(step, state, sample, Closing(f"abort_if: {reason}", (*others, *ends)))
    return finish(state, sample, Outcome.ABORTED, f"abort_if: {reason}", (*verdict.gaps, *written))


def _end(program: Program, step: TimedStep, state: State, verdict: Verdict, sample: Sampled) -> Result:
    _, (reason, *others) = _texts(step, verdict)
    at_start = state.step is not None and state.step.first is sample
    if at_start and isinstance(step, CurrentStep):
        return _already(program, step, state, verdict, sample)
    closing = Closing(reason, tuple(others), verdict.until[0], completed=True, moved=not at_start)
    state, written = close(step, state, sample, closing)
    return enter(program, state, sample, (*verdict.gaps, *written))


def _already(program: Program, step: CurrentStep, state: State, verdict: Verdict, sample: Sampled) -> Result:
    """A current step whose end was reached before it began: no charge is its own."""
    _, (first, *others) = _texts(step, verdict)
    reason = f"already: {first}"
    state, written = close(step, state, sample, Closing(reason, tuple(others), moved=False))
    if step.on_start_met is OnStartMet.ABORT:
        return finish(state, sample, Outcome.ABORTED, reason, (*verdict.gaps, *written))
    text = f"{step.word} skipped, {reason}"
    warning = told(state.course, sample, EventKind.WARNING, step_id=step.path, message=text)
    return enter(program, state, sample, (*verdict.gaps, *written, warning))


def _pause(program: Program, state: State, event: Paused) -> Result:
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
        live = replace(live, step_total=plus(live.step_total, passed))
    execution = replace(execution, applied_s=event.at_s, fresh=True, clock_s=clock_s)
    paused = told(course, event, EventKind.OPERATOR, action="pause", by=event.by)
    state = State(Phase.PAUSED, course, execution, live)
    return state, (TurnOff(), *rows, *gaps, paused)


def _resume(program: Program, state: State, event: Resumed) -> Result:
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
    execution = replace(execution, applied_s=event.at_s, fresh=True, zero_s=zero_s)
    live = replace(state.live, window=SlopeWindow() if watches_slope(step) else None)
    state = State(Phase.RUNNING, counted(state.course, passed), execution, live)
    return state, (*rows, *told_of, Apply(setpoint(step)))


def _skip(program: Program, state: State, event: Skipped) -> Result:
    """On to the next step; in a pause the next step waits for the resume."""
    step = step_at(program, state.course.place)
    if step is None:
        return state, ()
    passed, gaps = tail(program, step, state, event)
    paused = state.step if state.phase is Phase.PAUSED else None
    state, written = close(step, state, event, Closing(f"skipped by {event.by}"))
    skipped = told(state.course, event, EventKind.OPERATOR, action="skip", by=event.by)
    state = replace(state, course=counted(state.course, passed), step=paused)
    return enter(program, state, event, (*gaps, *written, skipped))


def _break_off(program: Program, state: State, event: Stopped | Tripped | Faulted) -> Result:
    """A person, the guard or a fault ends the run, in whatever phase it is."""
    if state.phase is Phase.READY:
        state = replace(state, course=replace(state.course, started_s=event.at_s))
    step, (outcome, reason) = step_at(program, state.course.place), _why(event)
    written: tuple[Action, ...] = ()
    if step is not None:
        state, written = close(step, state, event, Closing(reason))
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
