"""What a plan warns of or refuses: ranges, accuracy, records too coarse or too fast, limits that cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import isfinite

from protocols.model import CccvStep, Clause, CurrentStep, GittStep, HoldStep, Op, Program, RestStep, TimedStep, Watched
from protocols.planning.forecast import (
    Leaf,
    default_ceilings,
    forecast,
    leaves,
    lone_clauses,
    named_time_s,
    taper_A,
    voltage_span,
)
from protocols.quantities import format_duration, format_number

FEWEST_POINTS = 50
LARGEST_ERROR = 0.005
"""A current known less well than this deserves a warning, and so does the capacity that follows from it."""
LONG_BEYOND_S = 120.0
"""Noise is over in seconds; a current that flows on beyond its cut-off for longer was hardly meant."""
ROUNDING = 1e-9
"""So much above a range is a rounding of the range's own name."""
LARGEST_END_ERROR = 0.05
"""A hold whose end current is known less well may end anywhere: the range is that of its limit."""


@dataclass(frozen=True, slots=True)
class InstrumentLimits:
    """What a plan needs to know of an output. ``ranges``: (full scale in A, error as part of reading, offset in A).

    A range is used up to ``range_fill`` of its name. Less than ``least_current`` of a range cannot be set on it, nor a
    hold's limit below ``least_limit`` of it; nothing below ``least_A``.
    """

    name: str
    voltage_V: tuple[float, float]
    current_A: float
    ranges: tuple[tuple[float, float, float], ...]
    fastest_sample_s: float
    range_fill: float = 1.0
    least_current: float = 0.0
    least_limit: float = 0.0
    least_A: float = 0.0
    only_charges: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth saying; ``step`` is the path of the step it is about, empty where it is about the whole."""

    code: str
    step: str
    message: str


def advice(program: Program, instrument: InstrumentLimits | None) -> tuple[Finding, ...]:
    """The warnings, in file order; what holds alike for several ``for_each`` values is said once."""
    span_V = voltage_span(program)
    found = [finding for leaf in leaves(program.steps) for finding in _warnings(program, leaf, span_V, instrument)]
    return tuple(dict.fromkeys((*found, *_turned(program))))


def _turned(program: Program) -> Iterator[Finding]:
    """A current turned round that ends where the voltage is already: most often a wrong word, or discharge_means."""
    flowing = [leaf for leaf in leaves(program.steps) if not isinstance(leaf.step, RestStep) and not _holds_on(leaf)]
    for before, after in pairwise(flowing):
        one, other = before.step, after.step
        if not isinstance(one, CurrentStep) or not isinstance(other, CurrentStep) or one.verb is other.verb:
            continue
        for reached, ends in product(_cutoffs(before), _cutoffs(after)):
            if reached.value >= ends.value if ends.op is Op.AT_LEAST else reached.value <= ends.value:
                words = {one.word, other.word} & {"charge", "discharge"}
                ask = "is discharge_means right?" if words else "is the direction right?"
                message = (
                    f"{other.word} is over before it begins: {_said(ends)} holds where {one.word} before it "
                    f"ends, at {_said(reached)}; {ask}"
                )
                yield Finding("turned", after.path, message)


def _holds_on(leaf: Leaf) -> bool:
    """The hold of a CCCV stays where its current came to."""
    return isinstance(leaf.whole, CccvStep) and isinstance(leaf.step, HoldStep)


def _cutoffs(leaf: Leaf) -> Iterator[Clause]:
    train = leaf.whole.until if isinstance(leaf.whole, GittStep) else ()
    return (clause for clause in lone_clauses((*leaf.step.until, *train)) if clause.watched is Watched.VOLTAGE)


def _said(clause: Clause) -> str:
    return f"{clause.op.value} {format_number(clause.value)} V"


def _lingering(leaf: Leaf) -> Iterator[Finding]:
    """'0.2 V for 10 h' is easily written for '0.2 V, at most 10 h', and means ten hours beyond 0.2 V."""
    for alternative in leaf.step.until:
        for clause in alternative.clauses:
            if clause.watched is Watched.VOLTAGE and (clause.for_s or 0.0) > LONG_BEYOND_S:
                time = format_duration(clause.for_s or 0.0)
                message = (
                    f"the current flows on for {time} beyond {format_number(clause.value)} V: "
                    f"that is what {alternative.text} means; for a longest time write 'for: {time}'"
                )
                yield Finding("lingering", leaf.path, message)


def _warnings(program: Program, leaf: Leaf, span_V: float, instrument: InstrumentLimits | None) -> Iterator[Finding]:
    yield from _unreachable(leaf)
    if isinstance(leaf.step, CurrentStep):
        yield from _lingering(leaf)
        yield from _coarse(program, leaf, span_V)
    yield from _without_ceiling(program, leaf)
    if instrument is not None:
        yield from _fast(program, leaf, instrument)
        yield from _inaccurate(leaf, instrument)


def _unreachable(leaf: Leaf) -> Iterator[Finding]:
    """The instrument holds the voltage inside the step's window, so a limit beyond is never seen."""
    if isinstance(leaf.step, HoldStep):
        return
    low, high = leaf.step.window_V
    for alternative in (*leaf.step.abort_if, *(() if leaf.whole is None else leaf.whole.abort_if)):
        for clause in alternative.clauses:
            beyond = clause.value > high if clause.op is Op.AT_LEAST else clause.value < low
            if clause.watched is Watched.VOLTAGE and beyond:
                message = (
                    f"abort_if {alternative.text} is beyond the step's window, which the instrument does not leave"
                )
                yield Finding("unreachable-abort", leaf.path, message)


def _coarse(program: Program, leaf: Leaf, span_V: float) -> Iterator[Finding]:
    seen = forecast(program, leaf, span_V)
    if seen.at_most_s is not None and seen.points < FEWEST_POINTS:
        where = " in a pulse" if isinstance(leaf.whole, GittStep) else ""
        message = f"about {seen.points} points expected{where}, fewer than {FEWEST_POINTS}: record more often"
        yield Finding("coarse-record", leaf.path, message)


def _without_ceiling(program: Program, leaf: Leaf) -> Iterator[Finding]:
    step, whole = leaf.step, leaf.whole
    if isinstance(step, RestStep) or named_time_s(step, whole) is not None:
        return
    if default_ceilings(program, step, whole)[1] is None:
        add = "for: or abort_if:" if isinstance(step, HoldStep) else "for:, abort_if: or the cell's nominal_capacity"
        yield Finding("no-ceiling", leaf.path, f"nothing bounds its charge or time: add {add}")


def _fast(program: Program, leaf: Leaf, instrument: InstrumentLimits) -> Iterator[Finding]:
    every_s, settings = leaf.step.record.time_s, program.settings
    if every_s is None or every_s >= max(instrument.fastest_sample_s, settings.sample_every_s):
        return
    who, sample_s = instrument.name, instrument.fastest_sample_s
    if every_s >= sample_s:
        who, sample_s = "the channel", settings.sample_every_s
    message = f"record every {format_number(every_s)} s, but {who} samples every {format_number(sample_s)} s"
    yield Finding("fast-record", leaf.path, message)


def _inaccurate(leaf: Leaf, instrument: InstrumentLimits) -> Iterator[Finding]:
    """How well the current is known on the range it takes; of a hold the current that ends it."""
    match leaf.step:
        case CurrentStep() as step:
            current_A, largest, what = abs(step.current_A), LARGEST_ERROR, ""
        case HoldStep() as step:
            current_A, largest, what = taper_A(step) or 0.0, LARGEST_END_ERROR, "its end, "
        case RestStep():
            return
    range_A = range_of(leaf.step, instrument)
    chosen = next((each for each in instrument.ranges if each[0] == range_A), None)
    if chosen is None or not current_A:
        return
    _, gain, offset_A = chosen
    error = gain + offset_A / current_A
    if error > largest:
        current, percent = format_number(current_A * 1000), format_number(error * 100, 2)
        so = " (so is the capacity)" if isinstance(leaf.step, CurrentStep) else ""
        message = f"{what}{current} mA on the {range_text(chosen[0])} range is known to ±{percent} %{so}"
        yield Finding("range-accuracy", leaf.path, message)


def range_of(step: TimedStep, instrument: InstrumentLimits) -> float | None:
    """The smallest range that holds the step's current, or a hold's current limit, in A; fixed through the step."""
    match step:
        case CurrentStep():
            current_A = abs(step.current_A)
        case HoldStep():
            # Without a limit of its own a hold has the channel's, which is at most the instrument's.
            current_A = min(step.current_limit_A, _largest_A(instrument))
        case RestStep():
            return None
    return _range_holding(current_A, instrument)


def _range_holding(current_A: float, instrument: InstrumentLimits) -> float | None:
    """The largest is used up to its name at least."""
    fill, largest_A = instrument.range_fill, max((each[0] for each in instrument.ranges), default=0.0)
    reach_A = {each[0]: each[0] * (max(fill, 1.0) if each[0] == largest_A else fill) for each in instrument.ranges}
    return min((name for name, up_to_A in reach_A.items() if current_A <= up_to_A * (1.0 + ROUNDING)), default=None)


def _largest_A(instrument: InstrumentLimits) -> float:
    return min(instrument.current_A, max((each[0] for each in instrument.ranges), default=instrument.current_A))


def range_text(range_A: float) -> str:
    for limit_A, factor, unit in ((9.99e-7, 1e9, "nA"), (9.99e-5, 1e6, "µA"), (0.999, 1e3, "mA")):
        if range_A < limit_A:
            return f"{format_number(range_A * factor)} {unit}"
    return f"{format_number(range_A)} A"


def range_errors(program: Program, instrument: InstrumentLimits) -> tuple[Finding, ...]:
    """What the instrument cannot do."""
    found = (
        Finding("instrument-range", leaf.path, message)
        for leaf in leaves(program.steps)
        for message in (
            *_current_beyond(leaf.step, instrument),
            *_current_between(leaf.step, instrument),
            *_voltages_beyond(leaf, instrument),
        )
    )
    return tuple(dict.fromkeys(found))


def _current_beyond(step: TimedStep, instrument: InstrumentLimits) -> Iterator[str]:
    match step:
        case CurrentStep():
            current_A, what = abs(step.current_A), ""
        case HoldStep() if isfinite(step.current_limit_A):
            current_A, what = step.current_limit_A, "the current limit, "
        case _:
            return
    largest_A = _largest_A(instrument)
    if current_A > largest_A * (1.0 + ROUNDING):
        current = f"{what}{format_number(current_A * 1000)} mA{',' if what else ''}"
        yield f"{current} is above the largest current of {instrument.name}, {format_number(largest_A * 1000)} mA"


def _current_between(step: TimedStep, instrument: InstrumentLimits) -> Iterator[str]:
    """What is too small for the range that holds it and too large for the one below, or too small for all."""
    match step:
        case CurrentStep():
            current_A, least, what = abs(step.current_A), instrument.least_current, ""
            if instrument.only_charges and step.current_A < 0:
                yield f"{instrument.name} only charges here: a negative current cannot be set"
        case HoldStep() if isfinite(step.current_limit_A):
            current_A, least, what = step.current_limit_A, instrument.least_limit, "the current limit, "
        case _:
            return
    least_A, comma = max(least * (_range_holding(current_A, instrument) or 0.0), instrument.least_A), "," * bool(what)
    if 0 < current_A < least_A:
        said, needed = (f"{format_number(each_A * 1000)} mA" for each_A in (current_A, least_A))
        yield (
            f"{what}{said}{comma} cannot be set on {instrument.name}: its ranges leave a gap up to {needed}"
            if least_A > instrument.least_A
            else f"{what}{said}{comma} is below the smallest current of {instrument.name}, {needed}"
        )


def _voltages_beyond(leaf: Leaf, instrument: InstrumentLimits) -> Iterator[str]:
    low, high = instrument.voltage_V
    for voltage_V in _voltages(leaf):
        if not low <= voltage_V <= high:
            voltage = format_number(voltage_V)
            yield f"{voltage} V is outside {instrument.name}, {format_number(low)} to {format_number(high)} V"


def _voltages(leaf: Leaf) -> Iterator[float]:
    """Every voltage it holds or waits for."""
    whole = leaf.whole
    around = () if whole is None else (*(whole.until if isinstance(whole, GittStep) else ()), *whole.abort_if)
    if isinstance(leaf.step, HoldStep):
        yield leaf.step.voltage_V
    for alternative in (*leaf.step.until, *leaf.step.abort_if, *around):
        yield from (clause.value for clause in alternative.clauses if clause.watched is Watched.VOLTAGE)
