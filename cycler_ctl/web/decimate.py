"""Fewer points that look the same: whole rows are kept or dropped, none is averaged or invented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Search = Callable[[Floats, int], NDArray[np.intp]]


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
    missed = np.isnan(values)
    low, high = (np.where(missed, filler, values) for filler in (np.inf, -np.inf)) if missed.any() else (values, values)
    return np.concatenate([_found(low, width, np.argmin), _found(high, width, np.argmax)])


def _found(values: Floats, width: int, search: Search) -> Indices:
    """Where ``search`` finds its value in each run of ``width``, and in what is left over."""
    full = len(values) // width
    starts = np.arange(full, dtype=np.int64) * width
    found: Indices = starts + search(values[: full * width].reshape(full, width), 1)
    rest = values[full * width :]
    return found if not len(rest) else np.append(found, full * width + np.int64(search(rest, 0)))
