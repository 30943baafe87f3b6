"""Beginning and ending: from one step to the next, through the passes of repeats, to the end of the run."""

from __future__ import annotations

from dataclasses import replace

from protocols.charge import plus
from protocols.conditions import watches_slope
from protocols.events import Action, Apply, Event, Finish, RecordCycle, RecordRow, RecordStep, TurnOff
from protocols.model import CurrentStep, NoteStep, Program, TimedStep, Verb
from protocols.place import Landmark, PassBegan, PassEnded, Stuck, following, moved, step_at
from protocols.record import Counters, EventKind, Mark, Outcome
from protocols.state import Course, Ending, Execution, Past, Phase, SlopeWindow, State
from protocols.view import setpoint
from protocols.written import Closing, cycle_ended, cycle_summary, row, step_ended, step_started, summary, told

Result = tuple[State, tuple[Action, ...]]


def write(step: TimedStep, state: State, mark: Mark) -> Result:
    """The newest sample as a row, unless it is one already: no sample is written twice."""
    live, execution = state.live, state.step
    if not live.unwritten or live.sample is None or execution is None:
        return state, ()
    recorded = row(step, state, execution, live.sample, mark)
    return replace(state, live=replace(live, recorded=recorded, unwritten=False)), (RecordRow(recorded),)


def close(step: TimedStep, state: State, event: Event, closing: Closing) -> Result:
    """End the present step: its last sample, its summary, its charge into the totals."""
    execution = state.step
    if execution is None:
        return state, ()
    state, rows = write(step, state, Mark.PAUSED if state.phase is Phase.PAUSED else Mark.END)
    course, live = state.course, state.live
    done = summary(step, state, execution, event.at_s - course.started_s, closing)
    course = replace(
        course,
        place=moved(course.place) if closing.moved else course.place,
        run_total=plus(course.run_total, live.step_total),
        cycle_total=plus(course.cycle_total, live.step_total),
        past=_past(step, course.past, done.charge_Ah) if closing.completed else course.past,
    )
    live = replace(live, seen=None, step_total=Counters(), until=(), abort=(), window=None)
    state = replace(state, course=course, step=None, live=live)
    return state, (*rows, RecordStep(done), step_ended(done, course, event))


def _past(step: TimedStep, past: Past, charge_Ah: float) -> Past:
    if step.label is not None:
        others = tuple((label, charge) for label, charge in past.labels if label != step.label)
        past = replace(past, labels=(*others, (step.label, charge_Ah)))
    if not isinstance(step, CurrentStep):
        return past
    if step.verb is Verb.LITHIATE:
        return replace(past, lithiate_Ah=charge_Ah, either_Ah=charge_Ah)
    return replace(past, delithiate_Ah=charge_Ah, either_Ah=charge_Ah)


def enter(program: Program, state: State, event: Event, written: tuple[Action, ...]) -> Result:
    """Go on to the next timed step, after ``written``, or to the end of the run."""
    place, trail = following(program, state.course.place)
    course = state.course
    for landmark in trail:
        course, passed = _pass(landmark, course, event)
        written = (*written, *passed)
    if place is None:
        return finish(replace(state, course=course), event, Outcome.FINISHED, "the protocol is complete", written)
    course = replace(course, place=place, step_count=course.step_count + 1)
    step = step_at(program, place)
    if step is None:
        return replace(state, course=course), written
    window = SlopeWindow() if watches_slope(step) else None
    state = replace(state, course=course, step=_execution(state, event), live=replace(state.live, window=window))
    begun = (*written, step_started(step, course, event))
    return state, begun if state.phase is Phase.PAUSED else (*begun, Apply(setpoint(step)))


def _execution(state: State, event: Event) -> Execution:
    """A step skipped to during a pause waits for the resume; nothing is applied for it yet."""
    if state.phase is Phase.PAUSED and state.step is not None:
        return replace(state.step, clock_s=0.0, first=None)
    return Execution(applied_s=event.at_s)


def _pass(landmark: Landmark, course: Course, event: Event) -> tuple[Course, tuple[Action, ...]]:
    match landmark:
        case NoteStep(path=path, text=text):
            return course, (told(course, event, EventKind.NOTE, step_id=path, text=text),)
        case PassBegan(repeat) if repeat.counts:
            course, ended = _end_cycle(course, event)
            began_s = event.at_s - course.started_s
            return replace(course, cycle=course.cycle + 1, cycle_started_s=began_s, cycle_total=Counters()), ended
        case PassEnded(repeat) if repeat.counts:
            return _end_cycle(course, event)
        case Stuck(repeat, passes):
            text = f"every step of pass {passes} of {repeat.times} was over before it began: the repeat ends here"
            return course, (told(course, event, EventKind.WARNING, step_id=repeat.path, message=text),)
        case _:
            return course, ()


def _end_cycle(course: Course, event: Event) -> tuple[Course, tuple[Action, ...]]:
    if course.cycle_started_s is None:
        return course, ()
    done = cycle_summary(course, course.cycle_started_s, event.at_s - course.started_s)
    return replace(course, cycle_started_s=None), (RecordCycle(done), cycle_ended(done, course, event))


def finish(state: State, event: Event, outcome: Outcome, reason: str, written: tuple[Action, ...]) -> Result:
    """The end of the run: off first, then what is to be written."""
    ended = told(state.course, event, EventKind.RUN_ENDED, outcome=outcome.value, reason=reason)
    state = replace(state, phase=Phase.ENDED, step=None, ending=Ending(outcome, reason))
    return state, (TurnOff(), *written, ended, Finish(outcome, reason))
