"""A dry run: what a program will do to a cell on an instrument, before anything is switched on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from protocols.model import (
    Alternative,
    CccvStep,
    Condition,
    CurrentStep,
    GittStep,
    HoldStep,
    NoteStep,
    Program,
    RepeatStep,
    Step,
    TimedStep,
    Watched,
)
from protocols.planning.advice import Finding, InstrumentLimits, advice, range_errors, range_of
from protocols.planning.forecast import Leaf, Values, default_ceilings, forecast, leaves, merged, voltage_span
from protocols.planning.pulses import train
from protocols.quantities import format_duration

__all__ = ["Cycles", "Finding", "InstrumentLimits", "Plan", "PlanRepeat", "PlanStep", "default_ceilings", "plan"]


@dataclass(frozen=True, slots=True)
class Cycles:
    """The counted cycles of a step: in one pass of what encloses it, and how many such passes there are."""

    first: int
    last: int
    rounds: int = 1

    @property
    def text(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of one ``for_each`` value: a train is one, a current and the hold after it are two.

    ``current_A`` is signed, + oxidises; None where none is set. ``hold_V`` and ``limit_A`` are those of a hold, the
    limit None where the channel decides. ``at_most_s`` None: no longest time. ``ceiling_charge_Ah`` and
    ``ceiling_time_s``: where the guard stops a step (a pulse, in a train) that names no such ceiling itself.
    """

    path: str
    what: str
    cycles: Cycles
    times: int
    current_A: float | None
    ends_at: tuple[str, ...]
    at_most_s: float | None
    points: int
    expected_s: float = 0.0
    for_each: Values = ()
    hold_V: float | None = None
    limit_A: float | None = None
    train: str | None = None
    range_A: float | None = None
    ceiling_charge_Ah: float | None = None
    ceiling_time_s: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PlanRepeat:
    """A repeat's row: ``cycles`` None where its passes are not counted as cycles.

    ``choices``: how many values of which names its blocks run with in turn; ``values``: those of this block.
    """

    path: str
    times: int
    cycles: Cycles | None
    values: Values = ()
    choices: tuple[int, tuple[str, ...]] | None = None
    stop_when: str | None = None


PlanRow = PlanStep | PlanRepeat


@dataclass(frozen=True, slots=True)
class Plan:
    """A program's plan. ``at_most_s`` is the least upper bound known; ``bounded`` False: a step has none."""

    program: Program
    instrument: InstrumentLimits | None
    rows: tuple[PlanRow, ...]
    at_most_s: float
    bounded: bool
    expected_s: float
    expected_rows: int
    warnings: tuple[Finding, ...]
    errors: tuple[Finding, ...]

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        return tuple(row for row in self.rows if isinstance(row, PlanStep))


def plan(program: Program, instrument: InstrumentLimits | None = None) -> Plan:
    """Number the cycles, choose ranges, bound durations and points, and say what deserves attention."""
    around = _Around(program, instrument, voltage_span(program))
    rows = _rows(around, program.steps, _Position(0, 1, 1)).rows
    steps = [row for row in rows if isinstance(row, PlanStep)]
    return Plan(
        program=program,
        instrument=instrument,
        rows=rows,
        at_most_s=sum(step.times * (step.at_most_s or 0.0) for step in steps),
        bounded=all(step.at_most_s is not None for step in steps),
        expected_s=sum(step.times * step.expected_s for step in steps),
        expected_rows=sum(step.times * step.points for step in steps),
        warnings=advice(program, instrument),
        errors=() if instrument is None else range_errors(program, instrument),
    )


@dataclass(frozen=True, slots=True)
class _Around:
    """What is the same for every step."""

    program: Program
    instrument: InstrumentLimits | None
    span_V: float


@dataclass(frozen=True, slots=True)
class _Position:
    """Where the plan is: cycles so far, passes of all repeats around, and of those that hold several cycles."""

    cycle: int
    times: int
    rounds: int
    counted: Cycles | None = None
    values: Values = ()


@dataclass(frozen=True, slots=True)
class _Walk:
    rows: tuple[PlanRow, ...]
    cycle: int


def _rows(around: _Around, steps: tuple[Step, ...], start: _Position) -> _Walk:
    """The rows of a block in its first pass, and the last cycle of that pass."""
    rows: list[PlanRow] = []
    position = start
    for step in steps:
        if isinstance(step, RepeatStep):
            walk = _repeat(around, step, position)
            rows.extend(walk.rows)
            position = replace(position, cycle=walk.cycle)
        else:
            rows.extend(_plan_steps(around, step, position))
    return _Walk(tuple(rows), position.cycle)


def _repeat(around: _Around, step: RepeatStep, at: _Position) -> _Walk:
    times, values = at.times * step.times, merged(at.values, step.values)
    row = PlanRepeat(
        path=step.path,
        times=step.times,
        cycles=None,
        values=step.values,
        choices=_choices(step),
        stop_when=None if step.stop_when is None else step.stop_when.text,
    )
    if step.counts and not _counts_inside(step.steps):
        cycles = Cycles(at.cycle + 1, at.cycle + step.times, at.rounds)
        inside = _rows(around, step.steps, replace(at, times=times, counted=cycles, values=values))
        return _Walk((replace(row, cycles=cycles), *inside.rows), cycles.last)
    # Cycles of repeats inside follow each other within one pass; the pass itself may be one more.
    own = 1 if step.counts else 0
    start = replace(at, cycle=at.cycle + own, times=times, rounds=at.rounds * step.times, values=values)
    inside = _rows(around, step.steps, start)
    last = at.cycle + (inside.cycle - at.cycle) * step.times
    return _Walk((row, *inside.rows), last)


def _choices(step: RepeatStep) -> tuple[int, tuple[str, ...]] | None:
    """How many values of which names, of a repeat that is one pass over blocks of its own path."""
    blocks = [inner for inner in step.steps if isinstance(inner, RepeatStep) and inner.path == step.path]
    return (len(blocks), tuple(name for name, _ in blocks[0].values)) if blocks else None


def _counts_inside(steps: tuple[Step, ...]) -> bool:
    return any(isinstance(step, RepeatStep) and (step.counts or _counts_inside(step.steps)) for step in steps)


def _plan_steps(around: _Around, step: TimedStep | CccvStep | GittStep | NoteStep, at: _Position) -> Iterator[PlanStep]:
    cycles = at.counted or Cycles(at.cycle, at.cycle, at.rounds)
    if isinstance(step, NoteStep):
        yield PlanStep(step.path, "note", cycles, at.times, None, (), 0.0, 0, note=step.text)
    elif isinstance(step, GittStep):
        yield _train_step(around, step, cycles, at)
    else:
        for leaf in leaves((step,), at.values):
            yield _leaf_step(around, leaf, cycles, at)


def _leaf_step(around: _Around, leaf: Leaf, cycles: Cycles, at: _Position) -> PlanStep:
    step, seen = leaf.step, forecast(around.program, leaf, around.span_V)
    planned = PlanStep(
        path=step.path,
        what="rest",
        cycles=cycles,
        times=at.times,
        current_A=None,
        ends_at=ends_at(step.until),
        at_most_s=seen.at_most_s,
        points=seen.points,
        expected_s=seen.expected_s,
        for_each=leaf.values,
    )
    match step:
        case CurrentStep():
            planned = replace(planned, what=step.word, current_A=step.current_A)
        case HoldStep():
            limit_A = step.current_limit_A if step.current_limit_A < inf else None
            planned = replace(planned, what="hold", hold_V=step.voltage_V, limit_A=limit_A)
        case _:
            return planned
    return _guarded(around, planned, leaf)


def _guarded(around: _Around, planned: PlanStep, leaf: Leaf) -> PlanStep:
    """With its range and the guard's ceilings."""
    charge_Ah, time_s = default_ceilings(around.program, leaf.step, leaf.whole)
    range_A = None if around.instrument is None else range_of(leaf.step, around.instrument)
    return replace(planned, range_A=range_A, ceiling_charge_Ah=charge_Ah, ceiling_time_s=time_s)


def _train_step(around: _Around, step: GittStep, cycles: Cycles, at: _Position) -> PlanStep:
    seen = train(around.program, step, around.span_V)
    planned = PlanStep(
        path=step.path,
        what="gitt",
        cycles=cycles,
        times=at.times,
        current_A=step.pulse.current_A,
        ends_at=ends_at(step.until),
        at_most_s=seen.at_most_s,
        points=seen.points,
        expected_s=seen.expected_s,
        for_each=at.values,
        train=seen.text,
    )
    return _guarded(around, planned, next(leaves((step,))))


def ends_at(until: Condition) -> tuple[str, ...]:
    """The alternatives as people read them, plain times first."""
    times = [time for alternative in until if (time := plain_time_s(alternative)) is not None]
    others = [alternative.text for alternative in until if plain_time_s(alternative) is None]
    return (*(format_duration(time) for time in times), *others)


def plain_time_s(alternative: Alternative) -> float | None:
    """The time of an alternative that is nothing but a time."""
    first, *more = alternative.clauses
    is_time = first.watched is Watched.TIME and first.for_s is None and not more
    return first.value if is_time else None
