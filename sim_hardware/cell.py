"""A lumped model of the five MgH2 half cells of Fig. S3 (Inoishi et al., Supporting Information), in pure Python.

Composition and current density are from the Supporting Information; every resistance and loss is assumed and chosen
to give the picture of a self-forming mixed conductor. What it prints is a model's output, never a measurement.
Cells c and d share every parameter: what tells them apart must come from their currents.

State: x converted share of MgH2, y Li per Mg alloyed, x_pk largest x so far, v1 and v2 slow over-voltages,
h side of the hysteresis, d share that lost contact. Current > 0 oxidises the working electrode (delithiates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import asinh, exp, log

from sim_hardware.loads import bracketed_current

FARADAY_C_PER_MOL = 96485.33
GAS_J_PER_MOL_K = 8.314463
MGH2_G_PER_MOL = 26.321
SEPARATOR_CM = 0.05
LIBH4_TRANSITION_K = 388.0  # orthorhombic below, hexagonal above: Matsuo et al., APL 91 (2007) 224103
ALLOY_SEEN = 1e-3  # less alloy than this does not show at the terminals
STEP_X = 5e-4  # largest conversion in one inner step
SPENT_X = 0.01  # with less than this converted, what is left to give back runs out
REST_A_PER_CM2 = 1e-6  # below this a current has no direction worth a hysteresis


@dataclass(frozen=True, slots=True)
class Parameters:
    """Resistances in Ω·cm2, exchange current in A/cm2, the rest are shares."""

    mgh2_share: float
    nucleation_ohm_cm2: float
    nucleation_x: float
    front_ohm_cm2: float
    wiring_ohm_cm2: float
    wiring_x: float
    exchange_A_per_cm2: float
    trapped: float
    contact_ohm_cm2: float
    fade: float
    x_max: float
    side: float
    composite_g: float = 2.0e-3
    area_cm2: float = math.pi * 0.25  # a 10 mm die


_MOSTLY_MGH2 = Parameters(0.99, 320.0, 0.040, 330.0, 120.0, 0.06, 0.12e-3, 0.26, 12.0, 0.030, 0.86, 0.50)
CELLS: dict[str, Parameters] = {
    "a": Parameters(0.70, 160.0, 0.020, 170.0, 5.0, 0.03, 0.25e-3, 0.14, 6.0, 0.012, 0.92, 0.45),
    "b": Parameters(0.95, 260.0, 0.030, 260.0, 40.0, 0.05, 0.16e-3, 0.20, 9.0, 0.020, 0.88, 0.45),
    "c": _MOSTLY_MGH2,
    "d": _MOSTLY_MGH2,
    "e": Parameters(0.30, 25.0, 0.010, 45.0, 5.0, 0.03, 0.60e-3, 0.08, 4.0, 0.006, 0.95, 0.45),
}


def separator_ohm_cm2(temperature_K: float) -> float:
    """LiBH4 pellet and contacts; the pellet conducts a thousand times worse below its phase transition."""
    activation = 53_000.0 / GAS_J_PER_MOL_K * (1.0 / temperature_K - 1.0 / 393.15)
    conductivity = 2e-3 * exp(-activation) * (1.0 if temperature_K >= LIBH4_TRANSITION_K else 1e-3)
    return SEPARATOR_CM / conductivity + 15.0


class MgH2Cell:
    """One half cell against Li. Fresh (never lithiated) and at 120 °C unless told otherwise."""

    __slots__ = (
        "_cached_A", "_cached_V", "_dead", "_guess_A", "_h", "_p", "_q_C", "_rest_U", "_separator", "_side", "_temp_K",
        "_thermal_V", "_u0_V", "_v1", "_v2", "_x", "_x_pk", "_y", "capacity_C", "parameters",
    )  # fmt: skip

    def __init__(self, parameters: Parameters, temperature_K: float = 393.15) -> None:
        self.parameters = parameters
        moles = parameters.composite_g * parameters.mgh2_share / MGH2_G_PER_MOL
        self.capacity_C = 2.0 * FARADAY_C_PER_MOL * moles
        self._x = self._y = self._x_pk = self._v1 = self._v2 = self._h = self._dead = self._side = self._q_C = 0.0
        self._guess_A = self._cached_V = 0.0
        self.set_temperature(temperature_K)

    def set_temperature(self, temperature_K: float) -> None:
        self._temp_K = temperature_K
        self._u0_V = 0.545 - 0.086e-3 * (temperature_K - 298.15)
        self._thermal_V = 2.0 * GAS_J_PER_MOL_K * temperature_K / FARADAY_C_PER_MOL
        self._separator = separator_ohm_cm2(temperature_K)
        self._refresh()

    def _refresh(self) -> None:
        """Recompute what depends on the state alone: the path formed and the voltage without current."""
        x = self._x
        fresh = exp(-self._x_pk / self.parameters.nucleation_x)
        self._p = 1.0 - fresh
        rest_U = self._u0_V + 0.008 * log((1.002 - x) / (x + 0.002)) + 0.005 * self._h
        if fresh > 1e-9 and x < 0.1:
            rest_U += 0.9 * exp(-x / 0.004) * fresh
        self._rest_U = rest_U
        self._cached_A = math.inf

    def voltage(self, current_A: float) -> float:
        if current_A == self._cached_A:
            return self._cached_V
        voltage_V = self._conversion_V(current_A)
        if self._y > ALLOY_SEEN:
            voltage_V = self._with_alloy_V(current_A, voltage_V)
        self._cached_A = current_A
        self._cached_V = voltage_V
        return voltage_V

    def _conversion_V(self, current_A: float) -> float:
        cell, x = self.parameters, self._x
        j = current_A / cell.area_cm2
        ohm_cm2: float = self._separator + cell.nucleation_ohm_cm2 * (1.0 - self._p)
        ohm_cm2 += cell.front_ohm_cm2 * math.pow(x, 1.5) / max(cell.x_max + 0.03 - x, 1e-3)
        if x < 10.0 * cell.wiring_x:
            ohm_cm2 += cell.wiring_ohm_cm2 * exp(-x / cell.wiring_x)
        if current_A > 0.0:
            ohm_cm2 += cell.contact_ohm_cm2 / self._contact(x)
        return (
            self._rest_U
            + j * ohm_cm2
            + self._thermal_V * asinh(0.5 * j / cell.exchange_A_per_cm2)
            + self._v1
            + self._v2
        )

    def _contact(self, x: float) -> float:
        """What share of the converted material current can still reach on the way back; a slow one also what is trapped."""
        peak = self._x_pk
        share = max((x - self.parameters.trapped * peak - self._dead) / peak, 1e-3) if peak > 0.0 else 1e-3
        return share if x >= SPENT_X or peak == 0.0 else share * max(x / SPENT_X, 1e-3)

    def _alloy_V(self, current_A: float) -> float:
        y = self._y
        j = current_A / self.parameters.area_cm2
        return 0.16 - 0.08 * y + 0.012 * log(max(1.02 - y, 1e-6) / (y + 0.02)) + j * (self._separator + 60.0) + self._v1

    def _with_alloy_V(self, current_A: float, conversion_V: float) -> float:
        alloy_V = self._alloy_V(current_A)
        return min(alloy_V, conversion_V) if alloy_V < 0.30 else max(conversion_V, 0.30)

    def advance(self, dt_s: float, current_A: float) -> None:
        if dt_s <= 0.0:
            return
        steps = math.ceil(abs(current_A) * dt_s / (STEP_X * self.capacity_C)) or 1
        step_s = dt_s / steps
        for _ in range(steps):
            self._step(step_s, current_A)

    def _step(self, dt_s: float, current_A: float) -> None:
        old_x = self._x
        if current_A != 0.0:
            self._convert(dt_s, current_A)
        self._relax(dt_s, current_A, 0.5 * (old_x + self._x))
        self._refresh()

    def _convert(self, dt_s: float, current_A: float) -> None:
        share = -current_A * dt_s / self.capacity_C
        self._q_C += current_A * dt_s
        to_alloy = self._alloyed(current_A, share)
        self._y += 2.0 * to_alloy
        rest = share - to_alloy
        if share > 0.0 and self._x >= self._x_pk:
            lost = rest * self.parameters.side * exp(-self._x / 0.15)  # side charge, on new territory only
            self._side += lost
            rest -= lost
        wanted = self._x + rest
        self._x = min(max(wanted, 0.0), self.parameters.x_max + 0.029)
        self._side += wanted - self._x  # forced beyond either end: it decomposes something else
        self._x_pk = max(self._x_pk, self._x)
        self._dead += self.parameters.fade * 0.25 * self._x_pk * abs(share)

    def _alloyed(self, current_A: float, share: float) -> float:
        """How much of ``share`` (charge over capacity, > 0 lithiates) the Mg-Li alloy takes or gives."""
        seen = self._y > ALLOY_SEEN
        if share < 0.0:
            gives = seen and self._alloy_V(current_A) < 0.30
            return max(share, -0.5 * self._y) if gives else 0.0
        conversion_V = self._conversion_V(current_A) if seen else self.voltage(current_A)
        if conversion_V > 0.35:
            return 0.0
        room = 0.5 * max(1.0 - self._y, 0.0)
        local_V = conversion_V - self._v1 - self._v2  # at the grains, without the slow gradients
        if seen and self._alloy_V(current_A) < conversion_V:
            return min(share, room)
        return min(share / (1.0 + exp(min((local_V - 0.10) / 0.012, 700.0))), room)

    def _relax(self, dt_s: float, current_A: float, x: float) -> None:
        """Exact exponentials, so any ``dt_s`` will do."""
        j = current_A / self.parameters.area_cm2
        target = 25.0 * j
        self._v1 = target + (self._v1 - target) * exp(-dt_s / 15.0)
        target = (60.0 + 0.5 * self.parameters.front_ohm_cm2 * x) * j
        self._v2 = target + (self._v2 - target) * exp(-dt_s / 1500.0)
        if abs(j) > REST_A_PER_CM2:
            side = 1.0 if j > 0.0 else -1.0
            self._h = side + (self._h - side) * exp(-dt_s / 600.0)
        else:
            self._h *= exp(-dt_s / 36000.0)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        self._guess_A = bracketed_current(self, voltage_V, limit_A, self._guess_A)
        return self._guess_A

    def save(self) -> tuple[float, ...]:
        return (
            self._x, self._y, self._x_pk, self._v1, self._v2, self._h, self._dead, self._guess_A, self._side, self._q_C
        )  # fmt: skip

    def restore(self, state: tuple[float, ...]) -> None:
        self._x, self._y, self._x_pk, self._v1, self._v2, self._h = state[:6]
        self._dead, self._guess_A, self._side, self._q_C = state[6:]
        self._refresh()

    def truth(self) -> dict[str, float]:
        """The state by name; ``charge_C`` is the integral of the current since the cell was made."""
        return {
            "x": self._x, "y": self._y, "x_peak": self._x_pk, "dead": self._dead, "side": self._side,
            "charge_C": self._q_C, "capacity_C": self.capacity_C, "ocv_V": self.voltage(0.0),
            "mgh2_g": self.parameters.composite_g * self.parameters.mgh2_share, "temperature_K": self._temp_K,
        }  # fmt: skip


def make_cell(name: str, temperature_K: float = 393.15) -> MgH2Cell:
    return MgH2Cell(CELLS[name], temperature_K)
