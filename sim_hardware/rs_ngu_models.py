"""The R&S instruments as data: quadrants, ranges, what they may be set to.

Ranges of the NGU: the vendor-independent drivers of PyMeasure (NGU201, NGU401) and SweepMe!, both used on hardware; of
the NGM: RsNgx 3.1.0 (SENSe ranges) and a driver for the NGM202 by JxR. The smallest settings are those of users' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """``has_sink_limit``: CURRent:NEGative; without it nobody could say what limits a sunk current, so nothing does."""

    name: str
    outputs: int
    lowest_V: float
    smallest_A: float
    measure_A: tuple[float, ...]
    measure_V: tuple[float, ...]
    source_A: tuple[float, ...] = ()
    source_V: tuple[float, ...] = ()
    has_sink_limit: bool = False
    has_resistance: bool = True

    @property
    def has_priority(self) -> bool:
        return self.has_sink_limit


HIGHEST_V = 20.05
MOST_A = 10.0
NGU_A, NGU_V = (10e-6, 1e-3, 10e-3, 100e-3, 3.0, 10.0), (6.0, 20.0)
NGU_SOURCE_A = (10e-3, 100e-3, 3.0, 8.0)
NGM_A, NGM_V = (10e-3, 100e-3, 1.0, 10.0), (5.0, 20.0)

NGU201 = Model("ngu201", 1, 0.0, 1e-6, NGU_A, NGU_V, NGU_SOURCE_A, NGU_V, has_sink_limit=True)
NGU401 = Model(
    "ngu401", 1, -HIGHEST_V, 1e-6, NGU_A, NGU_V, NGU_SOURCE_A, NGU_V, has_sink_limit=True, has_resistance=False
)
NGM201 = Model("ngm201", 1, 0.0, 1e-3, NGM_A, NGM_V)
NGM202 = Model("ngm202", 2, 0.0, 1e-3, NGM_A, NGM_V)
FAMILY: Mapping[str, Model] = {model.name: model for model in (NGU201, NGU401, NGM201, NGM202)}
