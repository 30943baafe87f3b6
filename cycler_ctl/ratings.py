"""What an output can do, how well, and what protects a cell on it, in SI: for drivers to say and for everybody to ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from math import inf

from protocols.model import Window


class Protection(StrEnum):
    """What bounds the cell when the host is gone.

    A: limits or watchdog inside the instrument. B: bounded mode only (the cell is held at the window's edge).
    C: neither.
    """

    A = "A"
    B = "B"
    C = "C"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One current range: full scale in A and its error as fraction of reading plus offset in A.

    Where sinking is worse than sourcing the figures are those of sinking, and ``sourcing`` is (gain, offset in A) of what
    is set while the instrument only sources.
    """

    range_A: float
    source_gain: float
    source_offset_A: float
    measure_gain: float
    measure_offset_A: float
    sourcing: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class VoltageAccuracy:
    """One voltage range: full scale in V and its error as fraction of value plus offset in V, set and read."""

    range_V: float
    source_gain: float
    source_offset_V: float
    measure_gain: float
    measure_offset_V: float


ROUNDING = 1e-9
"""A current this much above a range, as a fraction, is a rounding of the range's own name."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """What an output can do. Currents in A, voltages in V, times in s; ``ranges`` ascending."""

    voltage_V: Window
    current_A: float
    ranges: tuple[Accuracy, ...]
    fastest_sample_s: float
    protection: Protection
    protection_why: str
    rest: str
    """How a rest sees the cell and what it may leak, in words."""
    slowest_sample_s: float = inf
    """Asked more rarely, the instrument would let go of the cell by itself (a watchdog, a lease)."""
    shows_noise: bool = False
    """Its noise moves at least a digit of each reading: readings that stand still are stuck."""
    voltage_ranges: tuple[VoltageAccuracy, ...] = ()
    """Ascending; empty where nothing is known."""
    voltage_from: str = "not known"
    """Which page ``voltage_ranges`` is from, or that it is from memory."""
    range_fill: float = 1.0
    """A range is used up to this part of its name."""
    least_current: float = 0.0
    """A smaller part than this of the range that holds a current cannot be set: the step is refused."""
    least_limit: float = 0.0
    """The same of the current limit of a held voltage."""
    least_A: float = 0.0
    """Nothing smaller can be set at all."""
    only_charges: bool = False

    def range_for(self, current_A: float) -> Accuracy | None:
        """The range on which this current is set and measured, fixed within a step; the last is used up to its name."""
        held = (one for one in self.ranges if held_by(one.range_A, abs(current_A), self.range_fill))
        last = (one for one in self.ranges[-1:] if held_by(one.range_A, abs(current_A)))
        return next(chain(held, last), None)

    def limit_within(self, most_A: float) -> float:
        """The largest limit of a held voltage that can be set and is no more than this."""
        held = self.range_for(most_A)
        if held is None or most_A >= self.least_limit * held.range_A:
            return most_A
        below = [one.range_A * self.range_fill for one in self.ranges if one.range_A < held.range_A]
        return max(below, default=most_A)

    def voltage_range_for(self, voltage_V: float) -> VoltageAccuracy | None:
        return next((one for one in self.voltage_ranges if abs(voltage_V) <= one.range_V), None)


def held_by(range_A: float, current_A: float, fill: float = 1.0) -> bool:
    """Whether a range that is used up to ``fill`` of its name holds this current."""
    return current_A <= range_A * fill * (1.0 + ROUNDING)
