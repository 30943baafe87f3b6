"""Another program for a run that is under way: what was executed, and what is being executed, stays as it is.

A place counts its way through the program by numbers. Those mean the same in both programs only where everything up to
the step in progress is the same; what comes after it may be anything.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.events import Action, Amended
from protocols.model import Program, RepeatStep, Step
from protocols.record import EventKind
from protocols.running.retention import sought
from protocols.running.state import Course, Phase, Place, State
from protocols.running.written import told


def amended(program: Program, state: State, new: Program) -> State | str:
    """The state in which ``new`` goes on where ``program`` is; a text: why it cannot."""
    course = state.course
    if state.phase is Phase.ENDED:
        return "the run is over"
    if state.phase is Phase.READY or not course.place:
        return "the run has not begun yet: try again in a moment"
    why_not = _other_run(program, new) or _other_way(program.steps, new.steps, course.place) or _unknown(new, course)
    if why_not is not None:
        return why_not
    place = _counted_anew(program.steps, new.steps, course.place)
    return replace(state, course=replace(course, place=place, sought=sought(new)))


def amend(program: Program, state: State, event: Amended) -> tuple[State, tuple[Action, ...]]:
    """Nothing, where it is refused: whoever tells of it has asked before."""
    found = amended(program, state, event.program)
    if isinstance(found, str):
        return state, ()
    return found, (told(state.course, event, EventKind.OPERATOR, action="amend", by=event.by, **event.data),)


def _other_run(program: Program, new: Program) -> str | None:
    """What the whole run was begun with; limits that watch an output that is on are never moved."""
    named = {
        "its cell is another one": program.cell == new.cell,
        "its safety section is another one": program.safety == new.safety,
        "the channel's settings are other ones": program.settings == new.settings,
    }
    return next((f"{what}: that stays as it was when the run began" for what, same in named.items() if not same), None)


def _other_way(was: tuple[Step, ...], now: tuple[Step, ...], place: Place) -> str | None:
    """Why the place would not mean the same; ``place`` begins with the frame of these steps."""
    index, inner = place[0].index, place[1:]
    for before, after in zip(was[:index], now, strict=False):
        if before != after:
            return f"step {before.path} is done: it stays as it was"
    here = was[index]
    if len(now) <= index:
        return f"step {here.path} is in progress: it cannot be taken out"
    if isinstance(here, RepeatStep) and inner:
        return _other_repeat(here, now[index], inner)
    return None if here == now[index] else f"step {here.path} is in progress: it stays as it is"


def _other_repeat(was: RepeatStep, now: Step, inner: Place) -> str | None:
    if (
        not isinstance(now, RepeatStep)
        or replace(now, times=was.times, stop_when=was.stop_when, steps=was.steps) != was
    ):
        return f"step {was.path} is in progress: of a repeat only times, stop_when and what follows in it can change"
    if now.times < inner[0].passes:
        return f"step {was.path}: pass {inner[0].passes} is in progress, it cannot end after {now.times}"
    return _other_way(was.steps, now.steps, inner)


def _unknown(new: Program, course: Course) -> str | None:
    """Capacities are kept of those cycles only that somebody had asked for."""
    over = course.cycle if course.cycle_started_s is None else course.cycle - 1
    for number in sought(new):
        if number <= over and number not in course.sought:
            return f"a stop_when refers to cycle {number}, which is over and was not kept for that"
    return None


def _counted_anew(was: tuple[Step, ...], now: tuple[Step, ...], place: Place) -> Place:
    """A repeat with another ``stop_when`` has seen no cycle meet it."""
    before, after, inner = was[place[0].index], now[place[0].index], place[1:]
    if not isinstance(before, RepeatStep) or not isinstance(after, RepeatStep) or not inner:
        return place
    if before.stop_when != after.stop_when:
        inner = (replace(inner[0], met=0), *inner[1:])
    return (place[0], *_counted_anew(before.steps, after.steps, inner))
