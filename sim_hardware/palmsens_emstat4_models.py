"""The instruments that speak MethodSCRIPT and have a galvanostat, as far as a simulation needs to know them.

Identifiers and range numbers: MethodSCRIPT_Examples bd1a44a, palmsens/instrument.py and mscript.py. Potentials: the
MethodSCRIPT manual v1.8, appendix B, as quoted by labmcp-palmsens 0.1.3. Largest currents and compliance are from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """``ranges``: full scale in A by the number a package shows. ``code`` begins the answer to ``t``."""

    code: str
    highest_V: float
    compliance_V: float
    most_A: float
    ranges: Mapping[int, float]

    def range_for(self, current_A: float) -> int | None:
        """The lowest range that holds this current."""
        fitting = [(full_A, number) for number, full_A in self.ranges.items() if abs(current_A) <= full_A * (1 + 1e-6)]
        return min(fitting)[1] if fitting else None


def _decades(first: int, step: int, lowest: int, highest: int) -> dict[int, float]:
    return {first + step * at: float(f"1e{lowest + at}") for at in range(highest - lowest + 1)}


LR = _decades(3, 3, -9, -2)
HR = _decades(9, 3, -7, -1)
NEXUS = {16: 1e-10, **_decades(0, 1, -9, -4), **_decades(8, 1, -3, 0)}
MODELS = {
    "emstat4-lr": Model("es4_lr", 3.0, 5.0, 30e-3, LR),
    "emstat4-hr": Model("es4_hr", 6.0, 8.0, 200e-3, HR),
    "multiemstat4-lr": Model("mes4lr", 3.0, 5.0, 30e-3, LR),
    "multiemstat4-hr": Model("mes4hr", 6.0, 8.0, 200e-3, HR),
    "nexus": Model("nexus1", 10.0, 12.0, 1.0, NEXUS),
}
