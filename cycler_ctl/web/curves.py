"""Voltage against capacity as in Fig. S3: each cycle's lithiation and delithiation drawn from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cycler_ctl.web.decimate import Floats, Indices, keep

COLUMNS = (
    "seq",
    "time_s",
    "voltage_V",
    "current_A",
    "temperature_degC",
    "cycle",
    "step_count",
    "direction",
    "cycle_oxidation_Ah",
    "cycle_reduction_Ah",
)
"""What the web room reads of a run's rows."""

Columns = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Basis:
    """What capacities are divided by: g of ``of`` (mAh/g), or nothing (mAh)."""

    unit: str
    mass_g: float | None = None
    of: str | None = None

    def per_Ah(self) -> float:
        return 1e3 if self.mass_g is None else 1e3 / self.mass_g


@dataclass(frozen=True, slots=True)
class Curve:
    """``capacity`` in the basis' unit, rounded for drawing; ``last_seq`` is the newest row in it."""

    cycle: int
    word: str
    last_seq: int
    capacity: list[float]
    voltage_V: list[float]


def curves(columns: Columns, basis: Basis, points: int, cycles: int) -> list[Curve]:
    """At most ``cycles`` cycles (first, newest and evenly between), each direction at most ``points`` points."""
    pieces: dict[tuple[int, int], list[slice]] = {}
    for piece in _pieces(columns["cycle"], columns["direction"]):
        key = (int(columns["cycle"][piece.start]), int(columns["direction"][piece.start]))
        if key[1] != 0:
            pieces.setdefault(key, []).append(piece)
    shown = choose(sorted({cycle for cycle, _ in pieces}), cycles)
    return [_curve(columns, _rows(parts), key, basis, points) for key, parts in pieces.items() if key[0] in shown]


def choose(cycles: Sequence[int], most: int) -> set[int]:
    """The first, the newest and evenly between."""
    if not cycles:
        return set()
    picks = np.linspace(0, len(cycles) - 1, min(most, len(cycles))).round().astype(np.int64)
    return {cycles[int(pick)] for pick in picks} | {cycles[-1]}


def _pieces(cycle: Floats, direction: Floats) -> list[slice]:
    """Runs of neighbouring rows with one cycle and one direction."""
    if not len(cycle):
        return []
    changes = np.flatnonzero((cycle[1:] != cycle[:-1]) | (direction[1:] != direction[:-1])) + 1
    edges = [0, *(int(change) for change in changes), len(cycle)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _rows(pieces: Sequence[slice]) -> Indices:
    return np.concatenate([np.arange(piece.start, piece.stop, dtype=np.int64) for piece in pieces])


def _curve(columns: Columns, rows: Indices, key: tuple[int, int], basis: Basis, points: int) -> Curve:
    cycle, direction = key
    voltage = columns["voltage_V"][rows]
    kept = keep([voltage], points)
    charge = columns["cycle_oxidation_Ah" if direction > 0 else "cycle_reduction_Ah"][rows[kept]] * basis.per_Ah()
    return Curve(
        cycle=cycle,
        word="delithiation" if direction > 0 else "lithiation",
        last_seq=int(columns["seq"][rows[-1]]),
        capacity=significant(charge),
        voltage_V=[float(value) for value in voltage[kept].round(6)],
    )


def significant(values: Floats) -> list[float]:
    """Six significant digits of the largest: finer than any screen."""
    top = float(np.abs(values).max(initial=0.0))
    digits = 6 if top == 0.0 else max(0, 6 - int(np.ceil(np.log10(top))))
    return [float(value) for value in values.round(min(digits, 12))]


def samples(columns: Columns, points: int) -> dict[str, list[float | int | None]]:
    """Whole rows by column, at most ``points``; the extremes of voltage and current are among them."""
    kept = keep([columns["voltage_V"], columns["current_A"]], points)
    whole = {"seq", "cycle", "step_count", "direction"}
    return {name: _listed(columns[name][kept], name in whole) for name in COLUMNS}


def _listed(values: Floats, whole: bool) -> list[float | int | None]:  # noqa: FBT001 - by position, two lines above
    if whole:
        return list(values.astype(np.int64).tolist())
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN is not measured
