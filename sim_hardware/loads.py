"""What may hang on an instrument's terminals: the contract every simulated cell keeps, and trivial ones for tests.

Positive current flows into the load's positive terminal and, in a cell, oxidises the working electrode.
"""

from __future__ import annotations

import math
from typing import Protocol


class Load(Protocol):
    """Anything two-terminal whose voltage never falls when its current rises."""

    def set_temperature(self, temperature_K: float) -> None: ...

    def advance(self, dt_s: float, current_A: float) -> None:
        """Let ``dt_s`` pass at this constant current; any ``dt_s`` is right, long ones are divided."""
        ...

    def voltage(self, current_A: float) -> float:
        """Terminal voltage at this current, now."""
        ...

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        """The current within ``±limit_A`` at which the terminals show ``voltage_V``, or the nearer limit."""
        ...

    def save(self) -> tuple[float, ...]: ...
    def restore(self, state: tuple[float, ...]) -> None: ...
    def truth(self) -> dict[str, float]: ...


class Battery:
    """A constant voltage behind a resistance, with an optional linear change of voltage with charge.

    0 V makes it a resistor; 1e12 Ω an open lead; 0 V and 1e-3 Ω a short. ``slope_V_per_C`` > 0 makes a capacitor.
    """

    def __init__(self, ocv_V: float, resistance_ohm: float, *, slope_V_per_C: float = 0.0) -> None:
        self._ocv_V = ocv_V
        self._resistance_ohm = resistance_ohm
        self._slope_V_per_C = slope_V_per_C
        self._charge_C = 0.0

    def set_temperature(self, temperature_K: float) -> None:
        """It has the same voltage at any."""

    def advance(self, dt_s: float, current_A: float) -> None:
        self._charge_C += current_A * dt_s

    def voltage(self, current_A: float) -> float:
        return self._ocv_V + self._slope_V_per_C * self._charge_C + current_A * self._resistance_ohm

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        current_A = (voltage_V - self.voltage(0.0)) / self._resistance_ohm
        return max(-limit_A, min(limit_A, current_A))

    def save(self) -> tuple[float, ...]:
        return (self._charge_C,)

    def restore(self, state: tuple[float, ...]) -> None:
        (self._charge_C,) = state

    def truth(self) -> dict[str, float]:
        return {"charge_C": self._charge_C, "ocv_V": self.voltage(0.0)}


class InSeries:
    """A load behind a bad contact."""

    def __init__(self, load: Load, resistance_ohm: float) -> None:
        self.load = load
        self.resistance_ohm = resistance_ohm
        self._guess_A = 0.0

    def set_temperature(self, temperature_K: float) -> None:
        self.load.set_temperature(temperature_K)

    def advance(self, dt_s: float, current_A: float) -> None:
        self.load.advance(dt_s, current_A)

    def voltage(self, current_A: float) -> float:
        return self.load.voltage(current_A) + current_A * self.resistance_ohm

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        self._guess_A = bracketed_current(self, voltage_V, limit_A, self._guess_A)
        return self._guess_A

    def save(self) -> tuple[float, ...]:
        return (self._guess_A, *self.load.save())

    def restore(self, state: tuple[float, ...]) -> None:
        self._guess_A = state[0]
        self.load.restore(state[1:])

    def truth(self) -> dict[str, float]:
        return self.load.truth()


def resistor(resistance_ohm: float) -> Battery:
    return Battery(0.0, resistance_ohm)


def open_lead() -> Battery:
    return Battery(0.0, 1e12)


def short() -> Battery:
    return Battery(0.0, 1e-3)


def bracketed_current(load: Load, voltage_V: float, limit_A: float, guess_A: float) -> float:
    """Solve ``load.voltage(i) == voltage_V`` within ``±limit_A`` for any rising, perhaps kinked curve.

    Secant steps from the last answer, kept inside a bracket (Illinois variant), so it always ends.
    """
    low_A, high_A = -limit_A, limit_A
    low_V, high_V = load.voltage(low_A) - voltage_V, load.voltage(high_A) - voltage_V
    if low_V >= 0.0:
        return low_A
    if high_V <= 0.0:
        return high_A
    current_A = guess_A if low_A < guess_A < high_A else 0.0
    for _ in range(200):
        error_V = load.voltage(current_A) - voltage_V
        if abs(error_V) < 1e-7 or high_A - low_A < 1e-15:
            break
        if error_V < 0.0:
            low_A, low_V, high_V = current_A, error_V, high_V * 0.5
        else:
            high_A, high_V, low_V = current_A, error_V, low_V * 0.5
        current_A = _inside(low_A, high_A, low_V, high_V)
    return current_A


def _inside(low_A: float, high_A: float, low_V: float, high_V: float) -> float:
    secant_A = (low_A * high_V - high_A * low_V) / (high_V - low_V)
    margin_A = 1e-3 * (high_A - low_A)
    if not math.isfinite(secant_A):
        return 0.5 * (low_A + high_A)
    return max(low_A + margin_A, min(high_A - margin_A, secant_A))
