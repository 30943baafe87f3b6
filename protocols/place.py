"""Where a run stands in its program, and what it passes on the way to the next step that takes time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.model import CurrentStep, NoteStep, Program, RepeatStep, RestStep, Step, TimedStep
from protocols.state import Frame, Place


@dataclass(frozen=True, slots=True)
class PassBegan:
    repeat: RepeatStep


@dataclass(frozen=True, slots=True)
class PassEnded:
    repeat: RepeatStep


@dataclass(frozen=True, slots=True)
class Stuck:
    """Every step of this pass was over before it began: further passes would never progress either."""

    repeat: RepeatStep
    passes: int


Landmark = NoteStep | PassBegan | PassEnded | Stuck


def step_at(program: Program, place: Place) -> TimedStep | None:
    """The timed step at a place; None before the first one."""
    steps: tuple[Step, ...] = program.steps
    for frame in place:
        step = steps[frame.index]
        if isinstance(step, RepeatStep):
            steps = step.steps
        elif isinstance(step, RestStep | CurrentStep):
            return step
    return None


def moved(place: Place) -> Place:
    """The place after its step has done something: the pass around it has got somewhere."""
    return (*place[:-1], replace(place[-1], moved=True))


def following(program: Program, place: Place) -> tuple[Place | None, tuple[Landmark, ...]]:
    """The next timed step, or None at the program's end, and what is passed on the way to it."""
    stack = [*place[:-1], replace(place[-1], index=place[-1].index + 1)] if place else [Frame(0)]
    trail: list[Landmark] = []
    while True:
        block = _block(program, stack)
        if stack[-1].index < len(block):
            step = block[stack[-1].index]
            if isinstance(step, RestStep | CurrentStep):
                return tuple(stack), tuple(trail)
            _pass_by(step, stack, trail)
        elif len(stack) == 1:
            return None, tuple(trail)
        else:
            _end_pass(_around(program, stack), stack, trail)


def _block(program: Program, stack: list[Frame]) -> tuple[Step, ...]:
    return program.steps if len(stack) == 1 else _around(program, stack).steps


def _around(program: Program, stack: list[Frame]) -> RepeatStep:
    """The repeat whose block the last frame counts in."""
    step = _block(program, stack[:-1])[stack[-2].index]
    match step:
        case RepeatStep():
            return step
        case _:
            raise ValueError("this state does not belong to this program")


def _pass_by(step: NoteStep | RepeatStep, stack: list[Frame], trail: list[Landmark]) -> None:
    if isinstance(step, RepeatStep) and step.times > 0:
        stack.append(Frame(0))
        trail.append(PassBegan(step))
        return
    if isinstance(step, NoteStep):
        trail.append(step)
    stack[-1] = replace(stack[-1], index=stack[-1].index + 1)


def _end_pass(repeat: RepeatStep, stack: list[Frame], trail: list[Landmark]) -> None:
    """Begin the next pass, or go on below the repeat; an inner pass that got somewhere moves the outer one too."""
    done = stack.pop()
    trail.append(PassEnded(repeat))
    stack[-1] = replace(stack[-1], moved=stack[-1].moved or done.moved)
    if done.moved and done.passes < repeat.times:
        stack.append(Frame(0, done.passes + 1))
        trail.append(PassBegan(repeat))
        return
    if done.passes < repeat.times:
        trail.append(Stuck(repeat, done.passes))
    stack[-1] = replace(stack[-1], index=stack[-1].index + 1)
