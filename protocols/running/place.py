"""Where a run stands in its program: the step it executes, what is around it, and what comes next there."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from protocols.model import (
    CccvStep,
    Condition,
    CurrentStep,
    GittStep,
    HoldStep,
    Program,
    RepeatStep,
    RestStep,
    Step,
    TimedStep,
    Whole,
)
from protocols.running.state import Frame, Place

TIMED = (RestStep, CurrentStep, HoldStep)  # a tuple: this is asked at every sample, and a union would be made each time


class Doing(NamedTuple):
    """The step being executed and the whole it is a part of; it has the label, note and ``abort_if`` of its whole."""

    step: TimedStep
    whole: Whole | None


def doing(program: Program, place: Place) -> Doing | None:
    """What is executed at a place; None before the first step."""
    block: tuple[Step, ...] = program.steps
    for frame in place:
        step = block[frame.index]
        if isinstance(step, TIMED):
            return Doing(step, None)
        if isinstance(step, RepeatStep):
            block = step.steps
        elif isinstance(step, CccvStep | GittStep):
            return Doing(_as_part(step, place[-1]), step)
    return None


def step_at(program: Program, place: Place) -> TimedStep | None:
    what = doing(program, place)
    return None if what is None else what.step


def path_at(program: Program, place: Place) -> str:
    """The path of the timed step in the file: the same for every pulse of a train (3.p). Empty before the first."""
    what = doing(program, place)
    if what is None:
        return ""
    return what.step.path if what.whole is None else parts(what.whole)[place[-1].index].path


def parts(whole: Whole) -> tuple[CurrentStep, HoldStep | RestStep]:
    return (whole.current, whole.hold) if isinstance(whole, CccvStep) else (whole.pulse, whole.rest)


def _as_part(whole: Whole, frame: Frame) -> TimedStep:
    label, note, abort_if = whole.label, whole.note, whole.abort_if
    if isinstance(whole, CccvStep):
        return replace(parts(whole)[frame.index], label=label, note=note, abort_if=abort_if)
    if frame.index == 1:
        path = f"{whole.path}.{frame.passes}r"
        return replace(whole.rest, path=path, label=label, note=note, abort_if=abort_if)
    path, until = f"{whole.path}.{frame.passes}p", whole.until + whole.pulse.until
    return replace(whole.pulse, path=path, label=label, note=note, abort_if=abort_if, until=until)


def block(program: Program, place: Place) -> tuple[Step, ...]:
    """The steps among which the last frame counts."""
    if len(place) == 1:
        return program.steps
    around = _around(program, place)
    return around.steps if isinstance(around, RepeatStep) else parts(around)


def repeat_around(program: Program, place: Place) -> RepeatStep:
    """The repeat whose steps the last frame counts."""
    around = _around(program, place)
    if isinstance(around, RepeatStep):
        return around
    raise ValueError("this state does not belong to this program")


def _around(program: Program, place: Place) -> RepeatStep | Whole:
    found: RepeatStep | Whole | None = None
    steps: tuple[Step, ...] = program.steps
    for frame in place[:-1]:
        step = steps[frame.index]
        if not isinstance(step, RepeatStep | CccvStep | GittStep):
            break
        found, steps = step, step.steps if isinstance(step, RepeatStep) else ()
    if found is None:
        raise ValueError("this state does not belong to this program")
    return found


def train_until(what: Doing) -> Condition:
    """Of the alternatives of a pulse's ``until`` the first ones: those of its train, in the train's time and charge."""
    pulse = isinstance(what.step, CurrentStep)
    return what.whole.until if pulse and isinstance(what.whole, GittStep) else ()


def moved(place: Place, whole: Whole | None) -> Place:
    """The place after its step has done something: the pass around it has got somewhere."""
    depth = len(place) - (1 if whole is None else 2)
    return (*place[:depth], replace(place[depth], moved=True), *place[depth + 1 :])


def beyond(place: Place) -> Place:
    """On to the next step of the same block."""
    return (*place[:-1], replace(place[-1], index=place[-1].index + 1))


def left(place: Place, depth: int = -1) -> Place:
    """Out of the block of the frame at ``depth``, and beyond it; what moved in it has moved what is around it."""
    outer, inner = place[:depth], place[depth:]
    somewhere = any(frame.moved for frame in (outer[-1], *inner))
    return beyond((*outer[:-1], replace(outer[-1], moved=somewhere)))


def next_place(program: Program, place: Place, *, whole_goes_on: bool) -> Place:
    """Past the step at ``place``: to the next part of its whole, the next pulse, or out of it."""
    if not place:
        return (Frame(0),)
    what = doing(program, place)
    if what is None or what.whole is None:
        return beyond(place)
    if not whole_goes_on:
        return beyond(place[:-1])
    last = place[-1]
    return beyond(place) if last.index == 0 else (*place[:-1], Frame(0, last.passes + 1))
