"""The way from one timed step to the next: through notes, the passes of repeats and the cycles they count."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.events import Action, Event, RecordCycle
from protocols.model import CccvStep, GittStep, NoteStep, Program, RepeatStep
from protocols.record import Counters, EventKind
from protocols.running.place import beyond, block, left, next_place, repeat_around
from protocols.running.retention import judged, remembered
from protocols.running.state import Course, Frame
from protocols.running.written import cycle_ended, cycle_summary, repeat_ended, told


@dataclass(frozen=True, slots=True)
class Arrival:
    """The course at the next timed step (``at_end``: there is none), and what was passed on the way."""

    course: Course
    passed: tuple[Action, ...]
    at_end: bool = False


NOTHING: tuple[Action, ...] = ()
Stretch = tuple[Course, tuple[Action, ...]]


def go_on(program: Program, course: Course, event: Event) -> Arrival:
    """From the step that is over to the next one that takes time."""
    place = next_place(program, course.place, whole_goes_on=course.whole is not None)
    course = replace(course, place=place)
    passed: list[Action] = []
    while True:
        steps, index = block(program, course.place), course.place[-1].index
        if index < len(steps):
            step = steps[index]
            if isinstance(step, CccvStep | GittStep):
                return Arrival(replace(course, place=(*course.place, Frame(0))), tuple(passed))
            if not isinstance(step, NoteStep | RepeatStep):
                return Arrival(course, tuple(passed))
            course, more = _pass_by(program, step, course, event)
        elif len(course.place) == 1:
            return Arrival(course, tuple(passed), at_end=True)
        else:
            course, more = _end_pass(program, course, event)
        passed.extend(more)


def _pass_by(program: Program, step: NoteStep | RepeatStep, course: Course, event: Event) -> Stretch:
    if isinstance(step, NoteStep):
        note = told(course, event, EventKind.NOTE, step_id=step.path, text=step.text)
        return replace(course, place=beyond(course.place)), (note,)
    if step.times < 1:
        return replace(course, place=beyond(course.place)), ()
    return _begin_pass(program, step, course, event, Frame(0))


def _values(repeat: RepeatStep, course: Course, event: Event, frame: Frame) -> tuple[Action, ...]:
    """The values a repeat over a list runs with from now on."""
    if not repeat.values or frame.passes > 1:
        return ()
    text = ", ".join(f"{name}: {value}" for name, value in repeat.values)
    return (told(course, event, EventKind.NOTE, step_id=repeat.path, text=f"now with {text}"),)


def _begin_pass(program: Program, repeat: RepeatStep, course: Course, event: Event, frame: Frame) -> Stretch:
    """``course`` stands at the repeat. A cycle that is still open ends here, and may end a repeat around this one."""
    if not repeat.counts:
        return replace(course, place=(*course.place, frame)), _values(repeat, course, event, frame)
    course, ended, stopped = _end_cycle(program, course, event)
    if stopped:
        return course, ended
    course = replace(
        course,
        place=(*course.place, frame),
        cycle=course.cycle + 1,
        cycle_started_s=event.at_s - course.started_s,
        cycle_total=Counters(),
        cycle_skipped=False,
        cycle_torn=False,
    )
    return course, (*ended, *_values(repeat, course, event, frame))


def _end_pass(program: Program, course: Course, event: Event) -> Stretch:
    """Begin the next pass, or go on below the repeat."""
    repeat, ended = repeat_around(program, course.place), NOTHING
    if repeat.counts:
        course, ended, stopped = _end_cycle(program, course, event)
        if stopped:
            return course, ended
    done = course.place[-1]
    if done.passes >= repeat.times or not done.moved:
        return replace(course, place=left(course.place)), (*ended, *_stuck(repeat, done, course, event))
    outer = replace(course.place[-2], moved=True)
    course = replace(course, place=(*course.place[:-2], outer))
    course, begun = _begin_pass(program, repeat, course, event, Frame(0, done.passes + 1, met=done.met))
    return course, (*ended, *begun)


def _stuck(repeat: RepeatStep, done: Frame, course: Course, event: Event) -> tuple[Action, ...]:
    """Every step of this pass was over before it began: further passes would never progress either."""
    if done.passes >= repeat.times:
        return ()
    text = f"every step of pass {done.passes} of {repeat.times} was over before it began: the repeat ends here"
    return (told(course, event, EventKind.WARNING, step_id=repeat.path, message=text),)


def _end_cycle(program: Program, course: Course, event: Event) -> tuple[Course, tuple[Action, ...], bool]:
    """True: a ``stop_when`` was met, and the course is beyond its repeat already."""
    if course.cycle_started_s is None:
        return course, (), False
    done = cycle_summary(course, course.cycle_started_s, event.at_s - course.started_s)
    ended = (RecordCycle(done), cycle_ended(done, course, event))
    course = replace(course, cycle_started_s=None)
    if course.cycle_skipped:
        return course, (*ended, *_unusable(course, event)), False
    course = remembered(course, done)
    if course.cycle_torn:
        return course, ended, False
    place, stop = judged(program, course, done)
    if stop is None:
        return replace(course, place=place), ended, False
    over = repeat_ended(stop.repeat, stop.stop_when, course, event, value=stop.value, limit=stop.limit)
    return replace(course, place=left(place, stop.depth)), (*ended, over), True


def _unusable(course: Course, event: Event) -> tuple[Action, ...]:
    """A cycle in which a person skipped a step is no measure of the cell, and never becomes one."""
    if course.cycle not in course.sought:
        return ()
    text = f"a step of cycle {course.cycle} was skipped: a stop_when that refers to this cycle is never met"
    return (told(course, event, EventKind.WARNING, step_id="", message=text),)
