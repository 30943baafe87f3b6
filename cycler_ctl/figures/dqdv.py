"""Differential capacity, by a method whose area is the capacity whatever the noise.

The charge between two rows of a step is spread evenly over the voltages between them and collected in bins of 5 mV;
the bins are smoothed with a Gaussian. Nothing is divided by a measured difference of voltages, so that a plateau, or a
reading that goes back by its noise, gives no spike and no wrong sign. Held voltages are left out: their charge belongs
to one voltage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

BIN_V = 5e-3
SIGMA_V = 5e-3
FINER = 4
"""A pair of rows further apart than a bin's fourth is cut so fine."""
METHOD = (
    f"dQ/dV: charge in voltage bins of {BIN_V * 1e3:g} mV, smoothed with a Gaussian of σ = {SIGMA_V * 1e3:g} mV; "
    "held voltages left out"
)


def differential(
    voltage_V: NDArray[float64], capacity: NDArray[float64], step_count: NDArray[float64]
) -> tuple[NDArray[float64], NDArray[float64]]:
    """(middle of each bin in V, capacity a volt); the capacity's unit is kept. Empty without two rows of one step."""
    import numpy as np

    inside = np.flatnonzero(np.diff(step_count) == 0)
    if len(inside) == 0:
        return np.empty(0), np.empty(0)
    at_V, passed = _spread(voltage_V, capacity, inside)
    margin = 5 * SIGMA_V
    first = np.floor((at_V.min() - margin) / BIN_V)
    count = int(np.ceil((at_V.max() + margin) / BIN_V) - first)
    edges_V = (first + np.arange(count + 1)) * BIN_V
    bins, _ = np.histogram(at_V, edges_V, weights=passed)
    return (edges_V[:-1] + edges_V[1:]) / 2, _smoothed(bins) / BIN_V


def _spread(
    voltage_V: NDArray[float64], capacity: NDArray[float64], inside: NDArray[intp]
) -> tuple[NDArray[float64], NDArray[float64]]:
    import numpy as np

    begin_V, way_V = voltage_V[inside], np.diff(voltage_V)[inside]
    passed = np.maximum(np.diff(capacity)[inside], 0.0)
    parts = np.maximum(np.ceil(np.abs(way_V) / (BIN_V / FINER)), 1).astype(np.intp)
    pair = np.repeat(np.arange(len(inside)), parts)
    number = np.arange(len(pair)) - np.repeat(np.cumsum(parts) - parts, parts)
    return begin_V[pair] + way_V[pair] * (number + 0.5) / parts[pair], passed[pair] / parts[pair]


def _smoothed(bins: NDArray[float64]) -> NDArray[float64]:
    """The margin of empty bins holds what the Gaussian moves outwards, so that no charge is lost."""
    import numpy as np

    reach = int(np.ceil(5 * SIGMA_V / BIN_V))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * BIN_V / SIGMA_V) ** 2)
    return np.convolve(bins, weights / weights.sum(), mode="same").astype(np.float64)
