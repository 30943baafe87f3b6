"""One output of a simulated NGU or NGM: its settings, its terminals, its meter, its protection.

Pessimistic where the pages at hand are silent. ``catch_up`` must have been called before anything is asked of it.
"""

from __future__ import annotations

from random import Random

from sim_hardware.circuit import Disconnected, Terminals
from sim_hardware.loads import Load
from sim_hardware.rs_ngu_abuse import Abuse
from sim_hardware.rs_ngu_models import Model
from sim_hardware.rs_ngu_settings import Errors, Settings, first_range, source_for

OPEN_NOISE_V = 0.05  # what an open relay reads as is not known
CLIPPED = 1.05  # of a measure range: nothing says that more is told apart from it
# Table A-5 of the NGM's manual (-06, p. 166): bits of STATus:QUEStionable:INSTrument:ISUMmary<n>
CONSTANT_CURRENT, CONSTANT_VOLTAGE, OVP_TRIPPED, FUSE_TRIPPED = 1, 2, 512, 1024


class Output:
    """``is_on`` is what the relay does; ``tripped`` holds the names of protections that have."""

    def __init__(self, model: Model, load: Load, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - noise, not secrets
        self._random = random
        self.model = model
        self.terminals = Terminals(load)
        self.abuse = Abuse()
        self.settings = Settings(model)
        self.is_on = False
        self.welded = False
        self.sense_is_open = False
        self.noise = 1.0
        self.stuck = False
        self.tripped: set[str] = set()
        self._last: tuple[float, float] | None = None
        self._errors = Errors(random.uniform(-1e-3, 1e-3), random.uniform(-3e-3, 3e-3))
        self._offset_V = random.uniform(-2e-4, 2e-4)

    def reset(self) -> None:
        self.settings = Settings(self.model)
        self.tripped.clear()

    def connect(self, *, master: bool) -> None:
        """Put the settings on the terminals."""
        self.is_on = self.welded or (master and self.settings.selected and not self.tripped)
        source = source_for(self.settings, self._errors, is_on=self.is_on, sense_is_open=self.sense_is_open)
        if source != self.terminals.source:
            self.terminals.drive(source)

    def protect(self, *, master: bool) -> None:
        """Over-voltage at the terminals opens the output, and it stays so.

        Its level goes from 0 V up only (RsNgx 3.1.0); that a negative voltage is held against it too is assumed, for no
        page at hand says so: a driver must be right either way.
        """
        settings = self.settings
        if not (self.is_on and settings.switches["ovp"]):
            return
        point = self.terminals.operating()
        if abs(point.voltage_V) > settings.ovp_V and not isinstance(self.terminals.source, Disconnected):
            self.trip("ovp", master=master)

    def trip(self, name: str, *, master: bool) -> None:
        self.tripped.add(name)
        self.settings.selected = False
        self.connect(master=master)

    def look(self) -> None:
        four_wires = self.settings.sense == "EXT" or not self.sense_is_open
        self.abuse.look(self.settings, self.terminals, is_on=self.is_on, four_wires=four_wires)

    def advance(self, dt_s: float) -> None:
        before_C = self.terminals.cell_charge_C
        self.terminals.advance(dt_s)
        self.abuse.look_back(self.terminals.cell_charge_C - before_C, is_on=self.is_on)

    def condition(self) -> int:
        bits = (OVP_TRIPPED if "ovp" in self.tripped else 0) | (FUSE_TRIPPED if "fuse" in self.tripped else 0)
        if not self.is_on:
            return bits
        point = self.terminals.operating()
        if not point.limited:
            return bits | CONSTANT_VOLTAGE
        return bits | (CONSTANT_CURRENT if point.current_A else 0)

    def measure(self) -> tuple[float, float]:
        """Voltage and current; what does not fit the range is told as its end, as if it were measured."""
        if self._last is None or not self.stuck:
            self._last = self._measured() if self.is_on else (self._random.gauss(0.0, OPEN_NOISE_V), 0.0)
        voltage_V, current_A = self._last
        return _clipped(voltage_V, self._range_V()), _clipped(current_A, self._range_A(current_A))

    def _measured(self) -> tuple[float, float]:
        gauss, point = self._random.gauss, self.terminals.operating()
        voltage_V = point.voltage_V + self._offset_V + gauss(0.0, 2e-5 * self.noise)
        range_A = self._range_A(point.current_A)
        return voltage_V, point.current_A * (1.0 + 1e-4) + gauss(0.0, 1e-5 * range_A * self.noise)

    def _range_A(self, current_A: float) -> float:
        settings = self.settings
        if not settings.auto["CURR"]:
            return settings.measure_A
        return first_range(self.model.measure_A, min(abs(current_A), self.model.measure_A[-1]))

    def _range_V(self) -> float:
        return self.model.measure_V[-1] if self.settings.auto["VOLT"] else self.settings.measure_V

    def truth(self) -> dict[str, object]:
        point = self.terminals.cell_operating()
        return {
            "output_on": self.is_on,
            "off_mode": "HIMP",
            "relay_closed": not isinstance(self.terminals.source, Disconnected),
            "mode": self.settings.mode,
            "limited": point.limited,
            "current_A": point.current_A,
            "voltage_V": point.voltage_V,
            "charge_C": self.terminals.cell_charge_C,
            "abuse": tuple(self.abuse.acts),
            "cell": self.terminals.load.truth(),
        }


def _clipped(value: float, full_scale: float) -> float:
    return max(-CLIPPED * full_scale, min(CLIPPED * full_scale, value))
