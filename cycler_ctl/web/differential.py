"""Differential capacity of a run's cycles for the page: the method of the figures, on the page's own columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cycler_ctl.figures.dqdv import METHOD, differential
from cycler_ctl.web.curves import Basis, Columns, choose, significant
from cycler_ctl.web.decimate import Indices

__all__ = ["METHOD", "Differential", "differentials"]


@dataclass(frozen=True, slots=True)
class Differential:
    """``capacity_per_V`` in the basis' unit a volt; below zero where it lithiates."""

    cycle: int
    word: str
    voltage_V: list[float]
    capacity_per_V: list[float]


def differentials(columns: Columns, basis: Basis, cycles: int) -> list[Differential]:
    """At most ``cycles`` cycles (first, newest and evenly between), both directions of each."""
    flowing = np.unique(columns["cycle"][columns["direction"] != 0])
    shown = sorted(choose([int(cycle) for cycle in flowing], cycles))
    found = (_one(columns, basis, cycle, direction) for cycle in shown for direction in (-1, 1))
    return [each for each in found if each.voltage_V]


def _one(columns: Columns, basis: Basis, cycle: int, direction: int) -> Differential:
    rows = _rows(columns, cycle, direction)
    capacity = columns["cycle_oxidation_Ah" if direction > 0 else "cycle_reduction_Ah"][rows] * basis.per_Ah()
    at_V, found = differential(columns["voltage_V"][rows], capacity, columns["step_count"][rows])
    return Differential(
        cycle,
        "delithiation" if direction > 0 else "lithiation",
        [float(value) for value in at_V.round(6)],
        significant(direction * found),
    )


def _rows(columns: Columns, cycle: int, direction: int) -> Indices:
    """Cycles follow one another; held voltages have no part in it."""
    begin, end = np.searchsorted(columns["cycle"], (cycle, cycle + 1))
    chosen = (columns["direction"][begin:end] == direction) & (columns["held"][begin:end] == 0)
    found: Indices = np.flatnonzero(chosen).astype(np.int64) + int(begin)
    return found
