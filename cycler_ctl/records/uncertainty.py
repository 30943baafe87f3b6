"""How well the charge of a step is known, stated as JCGM 100:2008 (the "GUM") asks: what is combined, and how.

Each component is a limit that is not exceeded, taken as a rectangular distribution (its standard uncertainty is the limit
over the root of three, GUM 4.3.7); they are combined as the root of the sum of squares (5.1.2) and multiplied by a
coverage factor of 2 (6.2). Instruments' errors are systematic within a step and a cycle: those of gain and offset are
added up, never averaged away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from math import sqrt

from protocols.record import StepSummary

COVERAGE_FACTOR = 2.0
CLOCK_SHARE = 1e-4  # of a computer's quartz; a time server's slewing is allowed to change it by five times that
DEFINITION = (
    "U = 2 u (about 95 %): u is the root of the sum of squares of limit / sqrt(3) of five limits. "
    "Instrument: reading gain x charge + reading offset x time, of the range used, from its data sheet. "
    "Time: 100 ppm of the charge. "
    "Edge: the step's first current x the time since the last sample before it, in which the current began. "
    "Cut-off: what passed between the interpolated crossing of the voltage and the end, or in one sample period where "
    "none is known. Gaps: the charge inferred. "
    "Not included: an instrument outside its calibration period or temperature, bends of the current between samples."
)
CYCLE_DEFINITION = "A cycle's is the sum of its steps' in that direction: errors of one instrument go the same way."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a step beside its summary. ``gain`` and ``offset_A``: the reading's error on its range."""

    gain: float
    offset_A: float
    edge_A: float
    edge_s: float
    sample_every_s: float
    inferred_Ah: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the error of a step's charge, each in Ah, never negative."""

    instrument_Ah: float
    time_Ah: float
    edge_Ah: float
    cutoff_Ah: float
    gaps_Ah: float


def limits(step: StepSummary, known: Known) -> Limits:
    return Limits(
        instrument_Ah=known.gain * step.charge_Ah + known.offset_A * duration_s(step) / 3600,
        time_Ah=CLOCK_SHARE * step.charge_Ah,
        edge_Ah=abs(known.edge_A) * known.edge_s / 3600,
        cutoff_Ah=_cutoff_Ah(step, known.sample_every_s),
        gaps_Ah=known.inferred_Ah,
    )


def expanded_Ah(found: Limits) -> float:
    """With the coverage factor: the charge is within this of what is stated, in about 95 cases of 100."""
    return COVERAGE_FACTOR * sqrt(_squares(astuple(found)) / 3)


def duration_s(step: StepSummary) -> float:
    return max(0.0, step.ended_s - step.started_s)


def _squares(values: Iterable[float]) -> float:
    return sum(value * value for value in values)


def _cutoff_Ah(step: StepSummary, sample_every_s: float) -> float:
    if step.crossing_charge_Ah is not None:
        return abs(step.charge_Ah - step.crossing_charge_Ah)
    lasted_s = duration_s(step)
    if not step.end_reason.startswith("voltage") or not lasted_s:
        return 0.0
    return step.charge_Ah * min(1.0, sample_every_s / lasted_s)
