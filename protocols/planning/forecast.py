"""How long a step can take, how many points it will leave, and where the guard ends it if nothing else does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite

from protocols.model import (
    CccvStep,
    Clause,
    Condition,
    CurrentStep,
    GittStep,
    HoldStep,
    Op,
    Program,
    RepeatStep,
    RestStep,
    Step,
    TimedStep,
    Watched,
    Whole,
)

CHARGE_MARGIN = 1.2
TIME_MARGIN = 2.0
TAPERED = 0.15
"""The share of the capacity that a hold is expected to pass after a constant current."""
RELAXED_V = 0.05
"""How far the voltage is expected to move in a rest, and by its resistance in a pulse."""
RELAXED_S = 1800.0
"""With what time constant it does so in a rest."""

Values = tuple[tuple[str, str], ...]
Ceiling = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One step of the record, the whole it is part of, and the values of ``for_each`` it runs with."""

    step: TimedStep
    whole: Whole | None = None
    values: Values = ()

    @property
    def path(self) -> str:
        """What the step is called in a plan: a train is one step, a current and its hold are two."""
        return self.whole.path if isinstance(self.whole, GittStep) else self.step.path


@dataclass(frozen=True, slots=True)
class Forecast:
    """``at_most_s`` None: nothing bounds the step's time. ``points``: recorded rows expected within ``expected_s``.

    Expected is a full half cycle of the nominal capacity (else the theoretical), a rest of its longest time or until a
    usual relaxation is over. On the simulated cells a whole protocol leaves between a third of these points and one and
    a half times as many, in a third to one and a half times this time.
    """

    at_most_s: float | None
    expected_s: float
    points: int


def leaves(steps: tuple[Step, ...], values: Values = ()) -> Iterator[Leaf]:
    """Every step of the record in file order: the parts of a whole once, a ``for_each`` block once for each value."""
    for step in steps:
        match step:
            case RepeatStep():
                yield from leaves(step.steps, merged(values, step.values))
            case CccvStep(current=first, hold=second) | GittStep(pulse=first, rest=second):
                yield Leaf(first, step, values)
                yield Leaf(second, step, values)
            case RestStep() | CurrentStep() | HoldStep():
                yield Leaf(step, None, values)
            case _:
                pass


def merged(outer: Values, inner: Values) -> Values:
    """A value set inside shadows one of the same name around it."""
    return tuple({**dict(outer), **dict(inner)}.items())


def timed_steps(steps: tuple[Step, ...]) -> Iterator[TimedStep]:
    """The steps of ``leaves``; with ``for_each`` several have one path."""
    return (leaf.step for leaf in leaves(steps))


def lone_clauses(condition: Condition) -> Iterator[Clause]:
    """The clauses that are met or not by themselves."""
    for alternative in condition:
        if len(alternative.clauses) == 1:
            yield alternative.clauses[0]


def cell_capacity_Ah(program: Program) -> float | None:
    """What a full half cycle passes at most: the theoretical capacity, else the nominal one."""
    theoretical_Ah = program.cell.theoretical_capacity_Ah
    return program.cell.nominal_capacity_Ah if theoretical_Ah is None else theoretical_Ah


def named_time_s(step: TimedStep, whole: Whole | None = None) -> float | None:
    """The longest time the step itself, or the whole it is part of, allows."""
    return _least(_times(_ends(step, whole)))


def named_charge_Ah(step: TimedStep, whole: Whole | None = None) -> float | None:
    """The most charge the step itself, or the whole it is part of, allows."""
    return _least(_charges(_ends(step, whole)))


def _ends(step: TimedStep, whole: Whole | None) -> Condition:
    """What ends a step of the record; a train's ``until`` is watched in its pulses only."""
    own = (*step.until, *step.abort_if)
    if whole is None:
        return own
    train = whole.until if isinstance(whole, GittStep) and isinstance(step, CurrentStep) else ()
    return (*own, *train, *whole.abort_if)


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


def taper_A(step: HoldStep) -> float | None:
    """The current at which a hold ends at the latest; None where none does."""
    found = [
        clause.value
        for clause in lone_clauses(step.until)
        if clause.watched is Watched.CURRENT and clause.op is Op.AT_MOST
    ]
    return max((value for value in found if value > 0), default=None)


def default_ceilings(program: Program, step: TimedStep, whole: Whole | None = None) -> Ceiling:
    """(charge in Ah, time in s) at which the guard stops a step that names no such ceiling; None where it does.

    1.2 times the cell's capacity (in a pulse no more than 1.2 times what it should pass); of a current twice the time
    that takes, of a hold the time it takes at its end current. Where the cell's capacity is not known one ceiling
    follows from the other; (None, None) for a step that names neither means that nothing is known.
    """
    charge_Ah, time_s = named_charge_Ah(step, whole), named_time_s(step, whole)
    match step:
        case CurrentStep():
            current_A, slowest_A = abs(step.current_A), abs(step.current_A) / TIME_MARGIN
        case HoldStep():
            current_A, slowest_A = step.current_limit_A, taper_A(step) or 0.0
        case RestStep():
            return None, None
    most_Ah = charge_Ah if charge_Ah is not None else _default_charge_Ah(program, current_A, time_s)
    if charge_Ah is None and most_Ah is not None and isinstance(whole, GittStep) and time_s is not None:
        most_Ah = min(most_Ah, CHARGE_MARGIN * current_A * time_s / 3600)
    default_s = None if most_Ah is None or not slowest_A else most_Ah / slowest_A * 3600
    return (most_Ah if charge_Ah is None else None), (default_s if time_s is None else None)


def _default_charge_Ah(program: Program, current_A: float, time_s: float | None) -> float | None:
    capacity_Ah = cell_capacity_Ah(program)
    if capacity_Ah is not None:
        return CHARGE_MARGIN * capacity_Ah
    return None if time_s is None or not isfinite(current_A) else CHARGE_MARGIN * current_A * time_s / 3600


def ceilings_by_path(program: Program) -> dict[str, Ceiling]:
    """The default ceilings of each path of the record, the largest where ``for_each`` gives it several."""
    found: dict[str, Ceiling] = {}
    for leaf in leaves(program.steps):
        charge_Ah, time_s = default_ceilings(program, leaf.step, leaf.whole)
        before_Ah, before_s = found.get(leaf.step.path, (None, None))
        found[leaf.step.path] = _larger(before_Ah, charge_Ah), _larger(before_s, time_s)
    return found


def _larger(one: float | None, other: float | None) -> float | None:
    return max((each for each in (one, other) if each is not None), default=None)


def longest_s(program: Program, leaf: Leaf) -> float | None:
    """The time the step can take by its own ends, and for a current the time to pass the cell's whole capacity.

    An abort is no end that is planned for: its time counts only where nothing else bounds the step.
    """
    return _lasting_s(leaf, cell_capacity_Ah(program))


def _lasting_s(leaf: Leaf, capacity_Ah: float | None) -> float | None:
    step = leaf.step
    bounds = list(_times(step.until))
    slowest_A = abs(step.current_A) if isinstance(step, CurrentStep) else None
    if isinstance(step, HoldStep):
        slowest_A = taper_A(step)
    if slowest_A is not None:
        charges = [_least(_charges(step.until)), capacity_Ah]
        bounds += [charge / slowest_A * 3600 for charge in charges if charge is not None]
    return min(bounds) if bounds else named_time_s(step, leaf.whole)


def forecast(program: Program, leaf: Leaf, span_V: float) -> Forecast:
    """``span_V``: how far the voltage travels in a half cycle."""
    at_most_s = longest_s(program, leaf)
    expected_s = _expected_s(program, leaf, at_most_s or 0.0)
    return Forecast(at_most_s, expected_s, _points(program, leaf, expected_s, span_V))


def _expected_s(program: Program, leaf: Leaf, at_most_s: float) -> float:
    step, capacity_Ah = leaf.step, program.cell.nominal_capacity_Ah
    if isinstance(step, HoldStep):
        return min(at_most_s, _settling_s(program, step))
    if isinstance(step, RestStep):
        return min(at_most_s, _relaxing_s(step))
    return at_most_s if capacity_Ah is None else min(at_most_s, _lasting_s(leaf, capacity_Ah) or inf)


def _settling_s(program: Program, step: HoldStep) -> float:
    """A current that falls exponentially and passes a small share of the capacity on its way to the end."""
    capacity_Ah, end_A = program.cell.nominal_capacity_Ah or cell_capacity_Ah(program), taper_A(step)
    if capacity_Ah is None or end_A is None:
        return inf
    begin_A = step.current_limit_A if end_A < step.current_limit_A < inf else 10 * end_A
    return TAPERED * capacity_Ah * math.log(begin_A / end_A) / (begin_A - end_A) * 3600


def _relaxing_s(step: RestStep) -> float:
    """Until an exponential decay is as slow as the step waits for."""
    slopes = [
        clause.value
        for clause in lone_clauses(step.until)
        if clause.watched is Watched.SLOPE and clause.op is Op.AT_MOST and clause.value > 0
    ]
    steepest_V_s = RELAXED_V / RELAXED_S
    return RELAXED_S * math.log(max(steepest_V_s / max(slopes), 1.0)) if slopes else inf


def _points(program: Program, leaf: Leaf, seconds: float, span_V: float) -> int:
    """The differences are all counted from the last point, so the quickest of them sets the pace; plus start and end."""
    record, (current_A, travelled_A, travelled_V) = leaf.step.record, _travelled(program, leaf, seconds, span_V)
    counts = [
        _count(seconds, record.time_s),
        _count(travelled_V, record.voltage_V),
        _count(travelled_A, record.current_A),
        _count(current_A * seconds / 3600, record.charge_Ah),
    ]
    return min(max(counts), _count(seconds, program.settings.sample_every_s)) + 2


def _travelled(program: Program, leaf: Leaf, seconds: float, span_V: float) -> tuple[float, float, float]:
    """(mean current, how far the current goes, how far the voltage goes) in a step that takes so long."""
    match leaf.step:
        case RestStep():
            return 0.0, 0.0, RELAXED_V
        case HoldStep() as step:
            begin_A = step.current_limit_A if isfinite(step.current_limit_A) else 0.0
            end_A = taper_A(step) or 0.0
            return (begin_A + end_A) / 2, abs(begin_A - end_A), 0.0
        case CurrentStep() as step:
            if not isinstance(leaf.whole, GittStep):
                return abs(step.current_A), 0.0, span_V
            passed_Ah, capacity_Ah = abs(step.current_A) * seconds / 3600, cell_capacity_Ah(program)
            share = 1.0 if capacity_Ah is None else min(1.0, passed_Ah / capacity_Ah)
            return abs(step.current_A), 0.0, RELAXED_V + span_V * share


def _count(travelled: float, step: float | None) -> int:
    return 0 if step is None else math.floor(travelled / step + 1e-9)


def voltage_span(program: Program) -> float:
    """Between the outermost voltage cut-offs, else the safety window; 0 where neither is known."""
    cutoffs = {voltage for leaf in leaves(program.steps) for voltage in _cutoffs(leaf)}
    if len(cutoffs) > 1:
        return max(cutoffs) - min(cutoffs)
    window = program.safety.voltage_V
    return 0.0 if window is None else window[1] - window[0]


def _cutoffs(leaf: Leaf) -> Iterator[float]:
    train = leaf.whole.until if isinstance(leaf.whole, GittStep) else ()
    for clause in lone_clauses((*leaf.step.until, *train)):
        if clause.watched is Watched.VOLTAGE:
            yield clause.value
    if isinstance(leaf.step, HoldStep):
        yield leaf.step.voltage_V
