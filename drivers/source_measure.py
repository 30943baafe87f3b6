"""What drivers of source-measure units share: which range for what, and which windows and cells are refused. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cycler_ctl.errors import DeviceFault
from cycler_ctl.instrument import ConstantCurrent, Setpoint, Window, held_by

HIGHEST_V = 20.0  # every model carries its current at least so far; above it is nothing a cell needs
CLAMP_MARGIN_V = 0.5  # a current source's voltage limit lies so far beyond the window: a cell above it is dumped


def current_range(current_A: float, ranges_A: Iterable[float], fill: float = 1.0) -> float:
    """The first range that holds this current when each is used up to ``fill`` of its name."""
    ranges_A = tuple(ranges_A)
    if not (current_A and held_by(ranges_A[-1], abs(current_A))):
        raise DeviceFault(f"{current_A} A cannot be set: this driver does up to {ranges_A[-1]} A so regulated")
    return next(range_A for range_A in ranges_A if held_by(range_A, abs(current_A), fill))


def voltage_range(voltages_V: Iterable[float], ranges_V: Iterable[float]) -> float:
    """The first range that holds all of them."""
    most_V = max(abs(voltage_V) for voltage_V in voltages_V)
    if not most_V <= HIGHEST_V:
        raise DeviceFault(f"{most_V} V cannot be set: this driver goes up to {HIGHEST_V} V")
    return next(range_V for range_V in ranges_V if most_V <= range_V)


def clamp_V(window_V: Window) -> float:
    """The voltage limit of a current source, beyond the window on both sides."""
    return min(max(abs(edge_V) for edge_V in window_V) + CLAMP_MARGIN_V, HIGHEST_V)


def check_window(window_V: Window) -> None:
    low_V, high_V = window_V
    if not (math.isfinite(low_V) and math.isfinite(high_V) and low_V < high_V):
        raise DeviceFault(f"a current needs a voltage window with two finite edges, not {low_V} V to {high_V} V")
    if not max(abs(low_V), abs(high_V)) <= HIGHEST_V:
        raise DeviceFault(f"a window of {low_V} V to {high_V} V cannot be set: this driver goes up to {HIGHEST_V} V")


def check_below_limit(seen_V: float, limit_V: float) -> None:
    """DeviceFault for a cell that would be dumped into a current source."""
    if abs(seen_V) >= limit_V:
        raise DeviceFault(f"the cell at {seen_V:g} V is beyond the limit of {limit_V:g} V: not connected")


def check_way(setpoint: Setpoint, level_V: float, seen_V: float) -> None:
    """DeviceFault for a cell beyond the edge it is to be driven to: the current would go the other way."""
    if isinstance(setpoint, ConstantCurrent) and (level_V - seen_V) * setpoint.current_A <= 0:
        raise DeviceFault(
            f"the cell at {seen_V:g} V is beyond the window's edge of {level_V:g} V: the current would flow back"
        )
