"""How many pulses a train can have, how long it takes and how many points it leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.model import GittStep, Op, Program, Watched
from protocols.planning.forecast import Forecast, cell_capacity_Ah, forecast, leaves, lone_clauses
from protocols.quantities import format_duration


@dataclass(frozen=True, slots=True)
class Train:
    """``text``: its shape for people, e.g. ``≤ 51 pulses of 30 min + 4 h``."""

    at_most_s: float | None
    expected_s: float
    points: int
    text: str


def train(program: Program, step: GittStep, span_V: float) -> Train:
    """Every pulse and every rest at its longest; as many as it takes to pass the cell's whole capacity."""
    pulse, rest = (forecast(program, leaf, span_V) for leaf in leaves((step,)))
    most = most_pulses(step, cell_capacity_Ah(program), pulse.at_most_s)
    expected = most_pulses(step, program.cell.nominal_capacity_Ah or cell_capacity_Ah(program), pulse.at_most_s) or 1
    return Train(
        at_most_s=_at_most_s(step, most, pulse, rest),
        expected_s=expected * (pulse.expected_s + rest.expected_s),
        points=expected * (pulse.points + rest.points),
        text=_text(step, most, pulse, rest),
    )


def most_pulses(step: GittStep, capacity_Ah: float | None, pulse_s: float | None) -> int | None:
    """Without an ``until`` all of them, whatever the cell holds; None: nothing bounds their number."""
    bounds = [] if step.pulses is None else [step.pulses]
    if step.until and pulse_s:
        pulse_Ah = abs(step.pulse.current_A) * pulse_s / 3600
        charges = [*_bounds(step, Watched.CAPACITY), *(() if capacity_Ah is None else (capacity_Ah,))]
        bounds += [math.ceil(charge_Ah / pulse_Ah - 1e-9) for charge_Ah in charges]
    return max(1, min(bounds)) if bounds else None


def _bounds(step: GittStep, watched: Watched) -> Iterator[float]:
    for clause in lone_clauses(step.until):
        if clause.watched is watched and clause.op is Op.AT_LEAST and clause.reference is None:
            yield clause.value


def _at_most_s(step: GittStep, most: int | None, pulse: Forecast, rest: Forecast) -> float | None:
    if rest.at_most_s is None or pulse.at_most_s is None:
        return None
    # The time of the whole is looked at in pulses only: the last rest still runs.
    bounds = [time_s + rest.at_most_s for time_s in _bounds(step, Watched.TIME)]
    if most is not None:
        bounds.append(most * (pulse.at_most_s + rest.at_most_s))
    return min(bounds, default=None)


def _text(step: GittStep, most: int | None, pulse: Forecast, rest: Forecast) -> str:
    number = "pulses" if most is None else f"{'≤ ' if step.until else ''}{most} pulse{'s' if most > 1 else ''}"
    return f"{number} of {_duration(pulse.at_most_s)} + {_duration(rest.at_most_s)}"


def _duration(seconds: float | None) -> str:
    return "?" if seconds is None else format_duration(seconds)
