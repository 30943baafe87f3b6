"""What was found against what the instrument's maker states: pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from cycler_ctl.instrument import Accuracy, VoltageAccuracy
from cycler_ctl.verify.points import VOLTAGE_GAIN, VOLTAGE_OFFSET_V, Kind, Point, Resistor

STRANGE = 0.2  # beyond this share of what must be there, it is not the resistor that was said
LEAST_V, LEAST_A = 0.02, 1e-7


@dataclass(frozen=True, slots=True)
class Seen:
    """The median of a few readings at a point."""

    point: Point
    voltage_V: float
    current_A: float


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: ``error`` and ``allowed`` in ``unit``."""

    what: str
    set: float
    found: float
    error: float
    allowed: float
    unit: str

    @property
    def passed(self) -> bool:
        return isfinite(self.error) and abs(self.error) <= self.allowed


def measuring_A(row: Accuracy, current_A: float) -> float:
    return row.measure_gain * abs(current_A) + row.measure_offset_A


def sourcing_A(row: Accuracy, current_A: float) -> float:
    return row.source_gain * abs(current_A) + row.source_offset_A


def measuring_V(row: VoltageAccuracy | None, voltage_V: float) -> float:
    if row is None:
        return VOLTAGE_GAIN * abs(voltage_V) + VOLTAGE_OFFSET_V
    return row.measure_gain * abs(voltage_V) + row.measure_offset_V


def sourcing_V(row: VoltageAccuracy | None, voltage_V: float) -> float:
    """Nothing more where nothing is stated: what stands in for it holds for both."""
    return 0.0 if row is None else row.source_gain * abs(voltage_V) + row.source_offset_V


def rows(seen: Sequence[Seen], resistor: Resistor) -> Iterator[Row]:
    """Two of each point: is what was set there, and do current and voltage belong to this resistor?"""
    for one in seen:
        yield _setting(one)
        yield _resistance(one, resistor)


def _setting(seen: Seen) -> Row:
    """The meter judges the source, so both may be off."""
    point = seen.point
    if point.kind is Kind.CURRENT:
        allowed_A = sourcing_A(point.accuracy, point.value) + measuring_A(point.accuracy, seen.current_A)
        return Row("current set", point.value, seen.current_A, seen.current_A - point.value, allowed_A, "A")
    allowed_V = sourcing_V(point.voltage, point.value) + measuring_V(point.voltage, seen.voltage_V)
    return Row("voltage set", point.value, seen.voltage_V, seen.voltage_V - point.value, allowed_V, "V")


def _resistance(seen: Seen, resistor: Resistor) -> Row:
    """The resistor judges the meters: the current it must carry at the voltage that was read."""
    must_A = seen.voltage_V / resistor.resistance_ohm
    by_voltage_A = measuring_V(seen.point.voltage, seen.voltage_V) / resistor.resistance_ohm
    allowed_A = measuring_A(seen.point.accuracy, must_A) + by_voltage_A + resistor.tolerance * abs(must_A)
    return Row("current through it", must_A, seen.current_A, seen.current_A - must_A, allowed_A, "A")


def no_resistor(seen: Seen, resistor: Resistor) -> str | None:
    """Why this is something else than the resistor: an open lead, a short, another value, a cell. None: it may be it."""
    point = seen.point
    must_V = point.value * resistor.resistance_ohm if point.kind is Kind.CURRENT else point.value
    must_A = point.value if point.kind is Kind.CURRENT else point.value / resistor.resistance_ohm
    room_V = STRANGE * abs(must_V) + LEAST_V
    room_A = STRANGE * abs(must_A) + max(LEAST_A, 2 * measuring_A(point.accuracy, must_A))
    if abs(seen.voltage_V - must_V) <= room_V and abs(seen.current_A - must_A) <= room_A:
        return None
    return (
        f"at {must_A * 1e3:.4g} mA a resistor of {resistor.resistance_ohm:.4g} ohm shows {must_V:.4g} V, and here are "
        f"{seen.current_A * 1e3:.4g} mA and {seen.voltage_V:.4g} V: another value, an open lead, or a cell"
    )


def cell_at_rest(voltage_V: float, room_V: float) -> str | None:
    """A resistor has no voltage of its own."""
    if abs(voltage_V) <= room_V:
        return None
    return f"{voltage_V:.4g} V at 0 A: a cell is connected, not a resistor; take it off first"
