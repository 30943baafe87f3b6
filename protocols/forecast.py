"""How long a step can take, how many points it will leave, and where the guard ends it if nothing else does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.model import Clause, Condition, CurrentStep, Op, Program, RepeatStep, Step, TimedStep, Watched

CHARGE_MARGIN = 1.2
TIME_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """``at_most_s`` None: nothing bounds the step's time. ``points``: recorded rows expected."""

    at_most_s: float | None
    points: int


def lone_clauses(condition: Condition) -> Iterator[Clause]:
    """The clauses that are met or not by themselves."""
    for alternative in condition:
        if len(alternative.clauses) == 1:
            yield alternative.clauses[0]


def timed_steps(steps: tuple[Step, ...]) -> Iterator[TimedStep]:
    """Every rest and current step of the file, once."""
    for step in steps:
        if isinstance(step, RepeatStep):
            yield from timed_steps(step.steps)
        elif isinstance(step, TimedStep):
            yield step


def cell_capacity_Ah(program: Program) -> float | None:
    """What a full half cycle passes at most: the theoretical capacity, else the nominal one."""
    theoretical_Ah = program.cell.theoretical_capacity_Ah
    return program.cell.nominal_capacity_Ah if theoretical_Ah is None else theoretical_Ah


def named_time_s(step: TimedStep) -> float | None:
    """The longest time the step itself allows."""
    return _least(_times((*step.until, *step.abort_if)))


def named_charge_Ah(step: TimedStep) -> float | None:
    """The most charge the step itself allows."""
    return _least(_charges((*step.until, *step.abort_if)))


def _times(condition: Condition) -> Iterator[float]:
    for clause in lone_clauses(condition):
        if clause.watched is Watched.TIME and clause.op is Op.AT_LEAST:
            yield clause.value + (clause.for_s or 0.0)


def _charges(condition: Condition) -> Iterator[float]:
    """A share of an earlier step bounds nothing before that has run."""
    for clause in lone_clauses(condition):
        if clause.watched is Watched.CAPACITY and clause.op is Op.AT_LEAST and clause.reference is None:
            yield clause.value


def _least(values: Iterator[float]) -> float | None:
    return min(values, default=None)


def default_ceilings(program: Program, step: TimedStep) -> tuple[float | None, float | None]:
    """(charge in Ah, time in s) at which the guard stops a step that names no such ceiling; None where it does.

    1.2 times the cell's capacity, twice the time that takes. Where the cell's capacity is not known one ceiling
    follows from the other; (None, None) for a current step that names neither means that nothing is known.
    """
    if not isinstance(step, CurrentStep):
        return None, None
    current_A = abs(step.current_A)
    charge_Ah, time_s = named_charge_Ah(step), named_time_s(step)
    most_Ah = charge_Ah if charge_Ah is not None else _default_charge_Ah(program, current_A, time_s)
    default_s = None if most_Ah is None else TIME_MARGIN * most_Ah / current_A * 3600
    return (most_Ah if charge_Ah is None else None), (default_s if time_s is None else None)


def _default_charge_Ah(program: Program, current_A: float, time_s: float | None) -> float | None:
    capacity_Ah = cell_capacity_Ah(program)
    if capacity_Ah is not None:
        return CHARGE_MARGIN * capacity_Ah
    return None if time_s is None else CHARGE_MARGIN * current_A * time_s / 3600


def forecast(program: Program, step: TimedStep, span_V: float) -> Forecast:
    """``span_V``: how far the voltage travels in a half cycle."""
    at_most_s = longest_s(program, step)
    current_A = abs(step.current_A) if isinstance(step, CurrentStep) else 0.0
    record, seconds = step.record, at_most_s or 0.0
    counts = [
        _count(seconds, record.time_s),
        _count(span_V if current_A else 0.0, record.voltage_V),
        _count(current_A * seconds / 3600, record.charge_Ah),
    ]
    # The differences are all counted from the last point, so the quickest of them sets the pace; plus start and end.
    return Forecast(at_most_s, max(counts) + 2)


def _count(travelled: float, step: float | None) -> int:
    return 0 if step is None else math.floor(travelled / step)


def longest_s(program: Program, step: TimedStep) -> float | None:
    """The time the step can take by its own ends, and for a current the time to pass the cell's whole capacity.

    An abort is no end that is planned for: its time counts only where nothing else bounds the step.
    """
    bounds = list(_times(step.until))
    if isinstance(step, CurrentStep):
        charges = [_least(_charges(step.until)), cell_capacity_Ah(program)]
        bounds += [charge / abs(step.current_A) * 3600 for charge in charges if charge is not None]
    return min(bounds) if bounds else named_time_s(step)


def voltage_span(program: Program) -> float:
    """Between the outermost voltage cut-offs, else the safety window; 0 where neither is known."""
    cutoffs = [
        clause.value
        for step in timed_steps(program.steps)
        for clause in lone_clauses(step.until)
        if clause.watched is Watched.VOLTAGE
    ]
    if len(set(cutoffs)) > 1:
        return max(cutoffs) - min(cutoffs)
    window = program.safety.voltage_V
    return 0.0 if window is None else window[1] - window[0]
