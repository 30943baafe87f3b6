"""Charge and energy from measured samples, and where a voltage was crossed.

Samples are joined by straight lines. Oxidation and reduction are counted apart, so no counter ever falls; energy is
the integral of |I·V| and goes to the direction of its current.
"""

from __future__ import annotations

from protocols.events import Sampled
from protocols.record import Counters
from protocols.running.state import Crossing, Seen

SECONDS_PER_HOUR = 3600.0
TIME_SLACK_S = 1e-6
"""Sums of decimal sample intervals miss a duration by a rounding error; that must not cost a sample."""


def add_trapezoid(total: Counters, first: Sampled, last: Sampled) -> Counters:
    """``total`` and what passed between two consecutive samples."""
    half_h = (last.at_s - first.at_s) / (2 * SECONDS_PER_HOUR)
    first_A, last_A = first.current_A, last.current_A
    if first_A * last_A < 0:
        return _add_turning(total, first, last, half_h)
    charge = (first_A + last_A) * half_h
    energy = (abs(first_A * first.voltage_V) + abs(last_A * last.voltage_V)) * half_h
    return _add(total, charge, energy)


def _add_turning(total: Counters, first: Sampled, last: Sampled, half_h: float) -> Counters:
    """The current changes its sign on the way: each direction gets its triangle up to the zero."""
    before = half_h * first.current_A / (first.current_A - last.current_A)
    after = half_h * last.current_A / (last.current_A - first.current_A)  # half_h - before may be less than nothing
    half_way = _add(total, first.current_A * before, abs(first.current_A * first.voltage_V) * before)
    return _add(half_way, last.current_A * after, abs(last.current_A * last.voltage_V) * after)


def add_constant(total: Counters, current_A: float, voltage_V: float, duration_s: float) -> Counters:
    """``total`` and a constant current for a time; a time below zero counts as none."""
    hours = max(0.0, duration_s) / SECONDS_PER_HOUR
    return _add(total, current_A * hours, abs(current_A * voltage_V) * hours)


def _add(total: Counters, charge_Ah: float, energy_Wh: float) -> Counters:
    if charge_Ah > 0:
        return Counters(
            total.oxidation_Ah + charge_Ah, total.reduction_Ah, total.oxidation_Wh + energy_Wh, total.reduction_Wh
        )
    if charge_Ah < 0:
        return Counters(
            total.oxidation_Ah, total.reduction_Ah - charge_Ah, total.oxidation_Wh, total.reduction_Wh + energy_Wh
        )
    return total


def plus(one: Counters, other: Counters) -> Counters:
    return Counters(
        one.oxidation_Ah + other.oxidation_Ah,
        one.reduction_Ah + other.reduction_Ah,
        one.oxidation_Wh + other.oxidation_Wh,
        one.reduction_Wh + other.reduction_Wh,
    )


def throughput_Ah(total: Counters) -> float:
    """The integral of |I|."""
    return total.oxidation_Ah + total.reduction_Ah


def throughput_Wh(total: Counters) -> float:
    return total.oxidation_Wh + total.reduction_Wh


def crossing(before: Seen, after: Seen, voltage_V: float) -> Crossing:
    """Where the line between two samples on either side of ``voltage_V`` crosses it."""
    fraction = (voltage_V - before.voltage_V) / (after.voltage_V - before.voltage_V)
    return Crossing(
        before.time_s + fraction * (after.time_s - before.time_s),
        before.charge_Ah + fraction * (after.charge_Ah - before.charge_Ah),
    )
