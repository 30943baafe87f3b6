"""The engine: ``advance`` turns a state and an event into the next state; pure, total and JSON-able.

It never sleeps, reads a clock, logs or knows a driver: events carry their time, actions say what must happen.
Actions come in the order they must be done: the output off first, then what is written, then a new setpoint.
An event that makes no sense in the present phase changes nothing. ``at_s`` is one clock through a whole run: whoever
goes on with a checkpoint after a restart goes on with its clock too, by ``Interrupted`` and then ``Resumed``.
After ``Amended`` the program is that event's, where ``amended`` gives a state for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from protocols.charge import throughput_Ah
from protocols.conditions import due
from protocols.events import (
    Action,
    Amended,
    Apply,
    Event,
    Faulted,
    Finish,
    Interrupted,
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
from protocols.model import Program, TimedStep
from protocols.record import Mark
from protocols.running.amending import amend, amended
from protocols.running.ends import abort, end, trip
from protocols.running.people import break_off, halt, resume, skip
from protocols.running.place import Doing, doing
from protocols.running.retention import sought
from protocols.running.sampling import OVERFLOW, measured, observe, observe_pause, unreadable
from protocols.running.state import Course, Live, Phase, State, from_json, to_json
from protocols.running.steps import Decided, Result, enter, unchanged, write
from protocols.running.view import Progress, live_row, progress, resume_setpoint
from protocols.running.way import go_on
from protocols.running.written import run_started

__all__ = [
    "Action",
    "Amended",
    "Apply",
    "Decided",
    "Event",
    "Faulted",
    "Finish",
    "Interrupted",
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
    "amended",
    "begin",
    "decide",
    "from_json",
    "live_row",
    "progress",
    "resume_setpoint",
    "to_json",
]

JITTER = 0.25  # of a sample period: how early a reading may come and still be the one that is due


def begin(program: Program) -> State:
    """A run that has not started."""
    del program  # every run begins alike; what it needs of its program it looks up in it
    return State(Phase.READY, Course(), None, Live())


def advance(program: Program, state: State, event: Event) -> Result:
    """The state after the event, and what must be done now, in this order."""
    return decide(program, state, event).conclude()


def decide(program: Program, state: State, event: Event) -> Decided:
    """``advance`` in two parts: whether the output goes off is known first, the rest is made when it is asked for."""
    match event:
        case Sampled():
            return _sampled(program, state, event)
        case Started() if state.phase is Phase.READY:
            return _started(program, state, event)
        case Paused() | Interrupted() if state.phase is Phase.RUNNING:
            return halt(program, state, event)
        case Resumed() if state.phase is Phase.PAUSED:
            return Decided(turns_off=False, conclude=partial(resume, program, state, event))
        case Skipped() | Amended() if state.phase in (Phase.RUNNING, Phase.PAUSED):
            if isinstance(event, Skipped):
                return skip(program, state, event)
            return Decided(turns_off=False, conclude=partial(amend, program, state, event))
        case Stopped() | Tripped() | Faulted() if state.phase is not Phase.ENDED:
            return Decided(turns_off=True, conclude=partial(break_off, program, state, event))
        case _:
            return unchanged(state)


def _started(program: Program, state: State, event: Started) -> Decided:
    course = replace(state.course, started_s=event.at_s, sought=sought(program))
    state, told = replace(state, phase=Phase.RUNNING, course=course), (run_started(program, course, event),)
    arrival = go_on(program, course, event)
    return Decided(arrival.at_end, partial(enter, program, state, event, arrival, told))


def _sampled(program: Program, state: State, event: Sampled) -> Decided:
    what = doing(program, state.course.place)
    if what is None or state.step is None:
        return unchanged(state)
    problem = unreadable(event, state.live.sample)
    if problem is not None:
        fault = Faulted(_time(event, state), event.utc_s, problem)
        return Decided(turns_off=True, conclude=partial(break_off, program, state, fault))
    if state.phase is Phase.PAUSED:
        return _sampled_in_pause(program, what, state, measured(event))
    return _sampled_in_step(program, what, state, measured(event))


def _time(event: Sampled, state: State) -> float:
    """The event's time, or the newest sample's if it is not later or no time at all."""
    last_s = state.course.started_s if state.live.sample is None else state.live.sample.at_s
    return event.at_s if last_s < event.at_s < OVERFLOW else last_s


def _sampled_in_step(program: Program, what: Doing, before: State, sample: Sampled) -> Decided:
    state, verdict = observe(program, what, before, sample)
    if verdict.limits:
        return Decided(turns_off=True, conclude=partial(trip, program, what, state, verdict, sample))
    if verdict.abort:
        return Decided(turns_off=True, conclude=partial(abort, what, state, verdict, sample))
    if verdict.until:
        return end(program, what, state, verdict, sample)
    return Decided(
        turns_off=False, conclude=partial(_goes_on, program, what.step, before, state, gaps=verdict.gaps, sample=sample)
    )


def _goes_on(
    program: Program, step: TimedStep, before: State, state: State, *, gaps: tuple[Action, ...], sample: Sampled
) -> Result:
    if before.step is not None and before.step.fresh:
        begun = before.step.first is None
        state, rows = write(step, state, Mark.START if begun else Mark.NONE)
        return state, (*gaps, *rows)
    if _is_due(program, step, state, sample):
        state, rows = write(step, state, Mark.NONE)
        return state, (*gaps, *rows)
    return state, gaps


def _is_due(program: Program, step: TimedStep, state: State, sample: Sampled) -> bool:
    recorded, course = state.live.recorded, state.course
    if recorded is None:
        return True
    charge_Ah = throughput_Ah(course.run_total) + throughput_Ah(state.live.step_total)
    slack_s = JITTER * program.settings.sample_every_s
    return due(step.record, recorded, sample.at_s - course.started_s, sample, charge_Ah, slack_s=slack_s)


def _sampled_in_pause(program: Program, what: Doing, before: State, sample: Sampled) -> Decided:
    state, verdict = observe_pause(program, before, sample)
    if verdict.limits:
        return Decided(turns_off=True, conclude=partial(trip, program, what, state, verdict, sample))
    return Decided(turns_off=False, conclude=partial(_stays_paused, program, what.step, before, state, sample))


def _stays_paused(program: Program, step: TimedStep, before: State, state: State, sample: Sampled) -> Result:
    if (before.step is not None and before.step.fresh) or _is_due(program, step, state, sample):
        return write(step, state, Mark.PAUSED)
    return state, ()
