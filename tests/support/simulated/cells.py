"""What hangs on the leads: a real cell's model behind whatever may be wrong with its connection."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from sim_hardware.loads import Load
from sim_hardware.nmc import NmcCell
from sim_hardware.oven import Oven


class Wrapped:
    """A load that shows itself otherwise than it is."""

    def __init__(self, cell: Load) -> None:
        self.cell = cell

    def set_temperature(self, temperature_K: float) -> None:
        self.cell.set_temperature(temperature_K)

    def advance(self, dt_s: float, current_A: float) -> None:
        self.cell.advance(dt_s, current_A)

    def voltage(self, current_A: float) -> float:
        return self.cell.voltage(current_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return self.cell.current_for(voltage_V, limit_A)

    def save(self) -> tuple[float, ...]:
        return self.cell.save()

    def restore(self, state: tuple[float, ...]) -> None:
        self.cell.restore(state)

    def truth(self) -> dict[str, float]:
        return self.cell.truth()


class Reversed(Wrapped):
    def advance(self, dt_s: float, current_A: float) -> None:
        self.cell.advance(dt_s, -current_A)

    def voltage(self, current_A: float) -> float:
        return -self.cell.voltage(-current_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return -self.cell.current_for(-voltage_V, limit_A)


class SenseOff(Wrapped):
    """A sense lead hangs in the air: the instrument sees a share of the voltage, and drives the cell for the rest."""

    share = 0.6

    def voltage(self, current_A: float) -> float:
        return self.share * self.cell.voltage(current_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return self.cell.current_for(voltage_V / self.share, limit_A)


class Endless(Wrapped):
    """The cell stands aside: the current goes where nothing ever changes the voltage that is measured."""

    voltage_V = 3.7

    def advance(self, dt_s: float, current_A: float) -> None:
        del current_A
        self.cell.advance(dt_s, 0.0)

    def voltage(self, current_A: float) -> float:
        return self.voltage_V + 1e-3 * current_A

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return max(-limit_A, min(limit_A, 1e3 * (voltage_V - self.voltage_V)))


class MoodyOven(Oven):
    """Its sensor may stop (the same for ever) or jump."""

    stopped_C: float | None = None
    jump_C = 0.0

    def temperature_C(self) -> float:
        return (super().temperature_C() if self.stopped_C is None else self.stopped_C) + self.jump_C


def partly_charged(random: Random) -> NmcCell:
    cell = NmcCell()
    cell.advance(1.0, random.uniform(0.15, 0.85) * cell.capacity_C)
    cell.advance(3600.0, 0.0)
    return cell


def hang(terminals: Any, load: Load) -> None:
    """On the leads from now on."""
    terminals.load = load
    terminals.set_lead(terminals.lead)


def true_voltage(terminals: Any, cell: Load) -> Callable[[float], float]:
    """The cell's own voltage at a current of the instrument, as it hangs now."""

    def voltage(current_A: float) -> float:
        if isinstance(terminals.load, Reversed):
            return -cell.voltage(-current_A)
        return cell.voltage(current_A)

    return voltage
