"""A generic graphite | NMC full cell in pure Python: an open-circuit curve, a resistance, one slow over-voltage.

It stands for no product: its curve is an expression that rises from 2.8 to 4.3 V as such cells do, it does not age,
loses no charge and knows no temperature. The positive electrode is the working one, so a current > 0 charges the cell.
"""

from __future__ import annotations

from math import exp

SHARE_AT_42 = 0.9577
"""The state of charge at 4.2 V; the capacity of a cell is what lies between 2.8 and 4.2 V."""
OHMIC_V = 0.06  # at 1C
SLOW_V = 0.04  # at 1C, after the slow over-voltage has built up
SLOW_S = 60.0
CAPACITY_AH = 3.0e-3  # a coin cell


def open_circuit_V(charged: float) -> float:
    """2.8 V empty, 4.3 V full, steep at both ends and beyond them; it rises everywhere."""
    empty = 0.65 * exp(min(-charged / 0.035, 50.0))
    full = 0.05 * exp(min((charged - 1.0) / 0.02, 50.0))
    return 3.45 + 0.25 * charged + 0.55 * max(charged, 0.0) ** 2 - empty + full


class NmcCell:
    """As assembled: empty. ``capacity_Ah`` from 2.8 to 4.2 V; resistances follow from it."""

    def __init__(self, capacity_Ah: float = CAPACITY_AH) -> None:
        self.capacity_C = capacity_Ah * 3600.0
        self._whole_C = self.capacity_C / SHARE_AT_42
        self._ohmic_ohm = OHMIC_V / capacity_Ah
        self._slow_ohm = SLOW_V / capacity_Ah
        self._q_C = self._slow_V = 0.0

    def set_temperature(self, temperature_K: float) -> None:
        """It behaves alike at any."""

    def advance(self, dt_s: float, current_A: float) -> None:
        """Exact at a constant current, so any ``dt_s`` will do."""
        self._q_C += current_A * dt_s
        target_V = current_A * self._slow_ohm
        self._slow_V = target_V + (self._slow_V - target_V) * exp(-dt_s / SLOW_S)

    def voltage(self, current_A: float) -> float:
        return open_circuit_V(self._q_C / self._whole_C) + self._slow_V + current_A * self._ohmic_ohm

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        current_A = (voltage_V - self.voltage(0.0)) / self._ohmic_ohm
        return max(-limit_A, min(limit_A, current_A))

    def save(self) -> tuple[float, ...]:
        return self._q_C, self._slow_V

    def restore(self, state: tuple[float, ...]) -> None:
        self._q_C, self._slow_V = state

    def truth(self) -> dict[str, float]:
        """``charge_C`` is the integral of the current since the cell was made."""
        charged = self._q_C / self._whole_C
        return {
            "charged": charged, "charge_C": self._q_C, "capacity_C": self.capacity_C, "ocv_V": open_circuit_V(charged),
        }  # fmt: skip
