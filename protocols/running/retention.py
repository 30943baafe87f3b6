"""``stop_when``: what each counted cycle makes of it, and which repeat it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from protocols.model import Op, Program, RepeatStep, Retention, Step, StopWhen, Verb
from protocols.record import CycleSummary
from protocols.running.place import repeat_around
from protocols.running.state import Course, CycleCharge, Place


@dataclass(frozen=True, slots=True)
class Stop:
    """A repeat is over: the frame at ``depth`` of the place is its own."""

    repeat: RepeatStep
    stop_when: StopWhen
    depth: int
    value: float
    limit: float


def sought(program: Program) -> tuple[int, ...]:
    """Numbers of the cycles that some ``stop_when`` refers to."""
    return tuple(sorted({each.of_cycle for each in _stop_whens(program.steps) if each.of_cycle is not None}))


def _stop_whens(steps: Iterable[Step]) -> Iterator[StopWhen]:
    for step in steps:
        if isinstance(step, RepeatStep):
            if step.stop_when is not None:
                yield step.stop_when
            yield from _stop_whens(step.steps)


def remembered(course: Course, done: CycleSummary) -> Course:
    """The course with this cycle's capacities, if some ``stop_when`` will ask for them."""
    if done.cycle not in course.sought:
        return course
    return replace(course, cycles=(*course.cycles, _charge(done)))


def _charge(done: CycleSummary) -> CycleCharge:
    return CycleCharge(done.cycle, done.lithiation_Ah, done.delithiation_Ah)


def judged(program: Program, course: Course, done: CycleSummary) -> tuple[Place, Stop | None]:
    """Every repeat around a completed cycle counts it; the outermost that has seen enough ends."""
    place, ended = list(course.place), None
    for depth in range(1, len(place)):
        repeat = repeat_around(program, course.place[: depth + 1])
        if repeat.stop_when is None:
            continue
        value, limit = _value(repeat.stop_when, _charge(done)), _limit(repeat.stop_when, course.cycles)
        met = place[depth].met + 1 if _meets(repeat.stop_when, value, limit) else 0
        place[depth] = replace(place[depth], met=met)
        if ended is None and met >= repeat.stop_when.cycles and value is not None and limit is not None:
            ended = Stop(repeat, repeat.stop_when, depth, value, limit)
    return tuple(place), ended


def _meets(stop: StopWhen, value: float | None, limit: float | None) -> bool:
    if value is None or limit is None:
        return False
    return value >= limit if stop.op is Op.AT_LEAST else value <= limit


def _value(stop: StopWhen, cycle: CycleCharge) -> float | None:
    back_Ah = _capacity_Ah(cycle, stop.verb)
    if stop.watched is Retention.CAPACITY:
        return back_Ah
    put_in_Ah = _capacity_Ah(cycle, Verb.DELITHIATE if stop.verb is Verb.LITHIATE else Verb.LITHIATE)
    return back_Ah / put_in_Ah if put_in_Ah > 0 else None


def _limit(stop: StopWhen, cycles: tuple[CycleCharge, ...]) -> float | None:
    """None while the cycle it refers to is not complete, and if that one gave nothing."""
    if stop.of_cycle is None:
        return stop.value
    referred_Ah = next((_capacity_Ah(each, stop.verb) for each in cycles if each.cycle == stop.of_cycle), 0.0)
    return stop.value * referred_Ah if referred_Ah > 0 else None


def _capacity_Ah(cycle: CycleCharge, verb: Verb) -> float:
    return cycle.lithiation_Ah if verb is Verb.LITHIATE else cycle.delithiation_Ah
