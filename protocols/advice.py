"""What a plan warns of or refuses: ranges, accuracy, records too coarse or too fast, limits that cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.forecast import default_ceilings, forecast, named_time_s, timed_steps, voltage_span
from protocols.model import Clause, CurrentStep, Op, Program, TimedStep, Watched
from protocols.quantities import format_number

FEWEST_POINTS = 50
LARGEST_ERROR = 0.005
"""A current known less well than this deserves a warning, and so does the capacity that follows from it."""


@dataclass(frozen=True, slots=True)
class InstrumentLimits:
    """What a plan needs to know of an output. ``ranges``: (full scale in A, error as part of reading, offset in A)."""

    name: str
    voltage_V: tuple[float, float]
    current_A: float
    ranges: tuple[tuple[float, float, float], ...]
    fastest_sample_s: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a step worth saying; ``step`` is its path."""

    code: str
    step: str
    message: str


def advice(program: Program, instrument: InstrumentLimits | None) -> tuple[Finding, ...]:
    """The warnings, in file order."""
    span_V = voltage_span(program)
    return tuple(
        finding for step in timed_steps(program.steps) for finding in _warnings(program, step, span_V, instrument)
    )


def _warnings(
    program: Program, step: TimedStep, span_V: float, instrument: InstrumentLimits | None
) -> Iterator[Finding]:
    yield from _unreachable(step)
    if isinstance(step, CurrentStep):
        yield from _coarse(program, step, span_V)
        yield from _without_ceiling(program, step)
    if instrument is not None:
        yield from _fast(step, instrument)
        yield from _inaccurate(step, instrument)


def _unreachable(step: TimedStep) -> Iterator[Finding]:
    """The instrument holds the voltage inside the step's window, so a limit beyond is never seen."""
    low, high = step.window_V
    for alternative in step.abort_if:
        for clause in alternative.clauses:
            beyond = clause.value > high if clause.op is Op.AT_LEAST else clause.value < low
            if clause.watched is Watched.VOLTAGE and beyond:
                message = (
                    f"abort_if {alternative.text} is beyond the step's window, which the instrument does not leave"
                )
                yield Finding("unreachable-abort", step.path, message)


def _coarse(program: Program, step: CurrentStep, span_V: float) -> Iterator[Finding]:
    seen = forecast(program, step, span_V)
    if seen.at_most_s is not None and seen.points < FEWEST_POINTS:
        message = f"about {seen.points} points expected, fewer than {FEWEST_POINTS}: record more often"
        yield Finding("coarse-record", step.path, message)


def _without_ceiling(program: Program, step: CurrentStep) -> Iterator[Finding]:
    if named_time_s(step) is None and default_ceilings(program, step) == (None, None):
        message = "nothing bounds its charge or time: add for:, abort_if: or the cell's nominal_capacity"
        yield Finding("no-ceiling", step.path, message)


def _fast(step: TimedStep, instrument: InstrumentLimits) -> Iterator[Finding]:
    every_s = step.record.time_s
    if every_s is not None and every_s < instrument.fastest_sample_s:
        message = (
            f"record every {format_number(every_s)} s, but {instrument.name} samples "
            f"every {format_number(instrument.fastest_sample_s)} s"
        )
        yield Finding("fast-record", step.path, message)


def _inaccurate(step: TimedStep, instrument: InstrumentLimits) -> Iterator[Finding]:
    """How well the current is known on the range it takes."""
    if not isinstance(step, CurrentStep):
        return
    chosen = next((each for each in instrument.ranges if each[0] >= abs(step.current_A)), None)
    if chosen is None:
        return
    range_A, gain, offset_A = chosen
    error = gain + offset_A / abs(step.current_A)
    if error > LARGEST_ERROR:
        current, percent = format_number(abs(step.current_A) * 1000), format_number(error * 100, 2)
        message = f"{current} mA on the {range_text(range_A)} range is known to ±{percent} % (so is the capacity)"
        yield Finding("range-accuracy", step.path, message)


def range_of(current_A: float, instrument: InstrumentLimits) -> float | None:
    """The smallest range that holds the current, in A."""
    return min((each[0] for each in instrument.ranges if each[0] >= abs(current_A)), default=None)


def range_text(range_A: float) -> str:
    for limit_A, factor, unit in ((9.99e-7, 1e9, "nA"), (9.99e-5, 1e6, "µA"), (0.999, 1e3, "mA")):
        if range_A < limit_A:
            return f"{format_number(range_A * factor)} {unit}"
    return f"{format_number(range_A)} A"


def range_errors(program: Program, instrument: InstrumentLimits) -> tuple[Finding, ...]:
    """What the instrument cannot do."""
    return tuple(
        Finding("instrument-range", step.path, message)
        for step in timed_steps(program.steps)
        for message in (*_current_beyond(step, instrument), *_voltages_beyond(step, instrument))
    )


def _current_beyond(step: TimedStep, instrument: InstrumentLimits) -> Iterator[str]:
    widest_A = max((each[0] for each in instrument.ranges), default=instrument.current_A)
    largest_A = min(instrument.current_A, widest_A)
    if isinstance(step, CurrentStep) and abs(step.current_A) > largest_A:
        current = format_number(abs(step.current_A) * 1000)
        yield f"{current} mA is above the largest current of {instrument.name}, {format_number(largest_A * 1000)} mA"


def _voltages_beyond(step: TimedStep, instrument: InstrumentLimits) -> Iterator[str]:
    low, high = instrument.voltage_V
    clauses: tuple[Clause, ...] = tuple(clause for each in (*step.until, *step.abort_if) for clause in each.clauses)
    for clause in clauses:
        if clause.watched is Watched.VOLTAGE and not low <= clause.value <= high:
            voltage = format_number(clause.value)
            yield f"{voltage} V is outside {instrument.name}, {format_number(low)} to {format_number(high)} V"
