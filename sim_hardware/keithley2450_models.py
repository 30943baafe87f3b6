"""The 2450 family as data: ranges, limits and what holds after a reset.

2450: SPEC-2450 Rev. A and reference manual 2450-901-01 Rev. B p. 6-71 to 6-76. 2460 and 2461: manual 2461-901-01 Rev. A
p. 6-93 to 6-98 (the 2460 is taken to be alike). 2470: manual 2470-901-01 Rev. A p. 12-78; its ranges are from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VOLT, CURR, RES = "VOLT", "CURR", "RES"
DECADES_A = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@dataclass(frozen=True, slots=True)
class Limit:
    """Of a source's other quantity, bipolar: the values it may have, and which it has after a reset."""

    lowest: float
    highest: float
    reset: float


@dataclass(frozen=True, slots=True)
class Model:
    """``ranges`` by quantity, ascending; ``limits`` by the quantity that is limited."""

    name: str
    ranges: Mapping[str, tuple[float, ...]]
    limits: Mapping[str, Limit]


M2450 = Model(
    "2450",
    {VOLT: (0.02, 0.2, 2.0, 20.0, 200.0), CURR: (1e-8, 1e-7, *DECADES_A)},
    {VOLT: Limit(0.02, 210.0, 21.0), CURR: Limit(1e-9, 1.05, 105e-6)},
)
M2460 = Model(
    "2460",
    {VOLT: (0.2, 2.0, 7.0, 10.0, 20.0, 100.0), CURR: (*DECADES_A, 4.0, 5.0, 7.0)},
    {VOLT: Limit(0.2, 105.0, 7.35), CURR: Limit(1e-6, 7.35, 105e-6)},
)
M2461 = Model("2461", {VOLT: M2460.ranges[VOLT], CURR: (*M2460.ranges[CURR], 10.0)}, M2460.limits)
M2470 = Model(
    "2470",
    {VOLT: (0.2, 2.0, 20.0, 200.0, 1000.0), CURR: (1e-8, 1e-7, *DECADES_A[:4], 0.02, 0.1, 1.0)},
    {VOLT: Limit(0.02, 1100.0, 0.21), CURR: Limit(1e-9, 1.05, 105e-6)},
)
FAMILY: Mapping[str, Model] = {model.name: model for model in (M2450, M2460, M2461, M2470)}
