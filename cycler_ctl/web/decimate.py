"""Fewer points that look the same: whole rows are kept or dropped, none is averaged or invented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]


def keep(series: Sequence[Floats], points: int) -> Indices:
    """Ascending indices of at most ``points`` rows, with the first, the last and every series' extremes among them.

    Each bucket of neighbouring rows keeps the lowest and the highest row of each series. NaN (not measured) is never
    an extreme.
    """
    rows = len(series[0])
    if rows <= points:
        return np.arange(rows, dtype=np.int64)
    buckets = (points - 2) // (2 * len(series))
    if buckets < 1:
        raise ValueError(f"{points} points cannot hold the extremes of {len(series)} series")
    ends = np.array([0, rows - 1], dtype=np.int64)
    kept: Indices = np.unique(np.concatenate([ends, *(_extremes(values, buckets) for values in series)]))
    return kept


def _extremes(values: Floats, buckets: int) -> Indices:
    """Index of the lowest and of the highest value in each of ``buckets`` runs of equal length (the last: shorter)."""
    width = -(-len(values) // buckets)
    used = -(-len(values) // width)
    missing = used * width - len(values)
    starts = np.arange(used, dtype=np.int64) * width
    lowest = _table(values, missing, used, np.inf).argmin(axis=1)
    highest = _table(values, missing, used, -np.inf).argmax(axis=1)
    found: Indices = np.concatenate([starts + lowest, starts + highest]).astype(np.int64)
    return found


def _table(values: Floats, missing: int, used: int, filler: float) -> Floats:
    """One line a bucket; NaN and the places beyond the end hold ``filler``, which no search prefers."""
    padded = np.pad(values, (0, missing), constant_values=filler)
    return np.where(np.isnan(padded), filler, padded).reshape(used, -1)
