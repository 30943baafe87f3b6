"""A dry run: what a program will do to a cell on an instrument, before anything is switched on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.advice import Finding, InstrumentLimits, advice, range_errors, range_of
from protocols.forecast import default_ceilings, forecast, voltage_span
from protocols.model import Alternative, Condition, NoteStep, Program, RepeatStep, RestStep, Step, TimedStep, Watched
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
    """One step. ``current_A`` is signed, + oxidises; None where none is set. ``at_most_s`` None: no longest time.

    ``ceiling_charge_Ah`` and ``ceiling_time_s``: where the guard stops a step that names no such ceiling itself.
    """

    path: str
    what: str
    cycles: Cycles
    times: int
    current_A: float | None
    ends_at: tuple[str, ...]
    at_most_s: float | None
    points: int
    range_A: float | None = None
    ceiling_charge_Ah: float | None = None
    ceiling_time_s: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PlanRepeat:
    """A repeat's row: ``cycles`` None where its passes are not counted as cycles."""

    path: str
    times: int
    cycles: Cycles | None


PlanRow = PlanStep | PlanRepeat


@dataclass(frozen=True, slots=True)
class Plan:
    """A program's plan. ``at_most_s`` is the least upper bound known; ``bounded`` False: a step has none."""

    program: Program
    instrument: InstrumentLimits | None
    rows: tuple[PlanRow, ...]
    at_most_s: float
    bounded: bool
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
            rows.append(_plan_step(around, step, position))
    return _Walk(tuple(rows), position.cycle)


def _repeat(around: _Around, step: RepeatStep, at: _Position) -> _Walk:
    times = at.times * step.times
    if step.counts and not _counts_inside(step.steps):
        cycles = Cycles(at.cycle + 1, at.cycle + step.times, at.rounds)
        inside = _rows(around, step.steps, replace(at, times=times, counted=cycles))
        return _Walk((PlanRepeat(step.path, step.times, cycles), *inside.rows), cycles.last)
    # Cycles of repeats inside follow each other within one pass; the pass itself may be one more.
    own = 1 if step.counts else 0
    start = replace(at, cycle=at.cycle + own, times=times, rounds=at.rounds * step.times)
    inside = _rows(around, step.steps, start)
    last = at.cycle + (inside.cycle - at.cycle) * step.times
    return _Walk((PlanRepeat(step.path, step.times, None), *inside.rows), last)


def _counts_inside(steps: tuple[Step, ...]) -> bool:
    return any(isinstance(step, RepeatStep) and (step.counts or _counts_inside(step.steps)) for step in steps)


def _plan_step(around: _Around, step: TimedStep | NoteStep, at: _Position) -> PlanStep:
    cycles = at.counted or Cycles(at.cycle, at.cycle, at.rounds)
    if isinstance(step, NoteStep):
        return PlanStep(step.path, "note", cycles, at.times, None, (), 0.0, 0, note=step.text)
    seen = forecast(around.program, step, around.span_V)
    ends = ends_at(step.until)
    if isinstance(step, RestStep):
        return PlanStep(step.path, "rest", cycles, at.times, None, ends, seen.at_most_s, seen.points)
    charge_Ah, time_s = default_ceilings(around.program, step)
    return PlanStep(
        path=step.path,
        what=step.word,
        cycles=cycles,
        times=at.times,
        current_A=step.current_A,
        ends_at=ends,
        at_most_s=seen.at_most_s,
        points=seen.points,
        range_A=None if around.instrument is None else range_of(step.current_A, around.instrument),
        ceiling_charge_Ah=charge_Ah,
        ceiling_time_s=time_s,
    )


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
