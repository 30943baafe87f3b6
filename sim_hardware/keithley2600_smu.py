"""One SMU of a simulated 2600: its settings, terminals and meter, and the names TSP has for them.

The cell is advanced to a moment before anything happens in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim_hardware.circuit import Disconnected, Source, Terminals, VoltageSource
from sim_hardware.keithley2600_abuse import Abuse
from sim_hardware.keithley2600_meter import Meter, Sample
from sim_hardware.keithley2600_models import Model
from sim_hardware.keithley2600_settings import AMPS, OFF, ON, VOLTS, Settings, range_for, source_of
from sim_hardware.loads import Load

THERMAL_STEP_S = 30.0  # how often the cell follows its oven
SINK_ERROR = 0.1  # of the limit's range, SPEC-2602B note 10
OFF_MODES = ("NORM", "ZERO", "HIMP")

FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good"',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "stuck": "true: the same voltage and current for ever",
    "output": "someone presses the OUTPUT key: on or off",
    "welded": "true: the output cannot be switched off any more, and says so",
}


class Smu:
    """One output with one load."""

    def __init__(self, model: Model, load: Load, at_s: float, seed: int, oven_K: Callable[[], float] | None) -> None:
        self.model = model
        self.meter = Meter(seed)
        self.terminals = Terminals(load)
        self.abuse = Abuse()
        self.settings = Settings(model)
        self.welded = False
        self._wanted: tuple[Source, bool] | None = None
        self._oven_K = oven_K
        self._warmed_K = 0.0
        self.at_s = self._oven_at_s = at_s
        self.power_cycle()

    def power_cycle(self) -> None:
        """Nothing survives it but the cell."""
        self.settings = Settings(self.model)
        self.abuse.forgive()
        self._connect()

    def reset(self) -> None:
        """By the host, who answers for a cell that is still connected."""
        self.settings = Settings(self.model)
        self.rewire()

    def rewire(self) -> None:
        """Put the settings on the terminals; called after every change of one by the host."""
        self._connect()
        self.abuse.look(self.settings, self.terminals)

    def _connect(self) -> None:
        if self.welded:
            self.settings.output = ON
        sinks = bool(self.settings.plain.get("sink", 0.0))
        wanted = (source_of(self.settings, self.meter.source_errors), sinks)
        if wanted != self._wanted:
            self._wanted = wanted
            self.terminals.drive(wanted[0])
            if self._is_inaccurate(sinks=sinks):
                self.terminals.drive(self._with_inaccurate_limit())

    def _is_inaccurate(self, *, sinks: bool) -> bool:
        """Without sink mode the limit is wrong in quadrants II and IV, with it in I and III (2600AS-901-01 p. 19-140)."""
        if not (self.settings.is_on and self.settings.function == VOLTS and self.model.name[4:]):
            return False
        point = self.terminals.operating()
        return point.limited and (point.voltage_V * point.current_A < 0.0) is not sinks

    def _with_inaccurate_limit(self) -> VoltageSource:
        limit_A = self.settings.limit[AMPS]
        error_A = SINK_ERROR * range_for(self.model, AMPS, limit_A)
        return VoltageSource(self.settings.level[VOLTS], limit_A + error_A)

    def measure(self) -> Sample:
        return self.meter.sample(self.settings, self.terminals)

    def is_limited(self) -> bool:
        """Whether the limit decides now (Rev. B p. 7-220)."""
        return self.settings.is_on and self.terminals.operating().limited

    def truth(self, now_s: float) -> Mapping[str, object]:
        """What really is now, as no driver can ask it; asking changes nothing."""
        settings = self.settings
        with self.terminals.ahead(now_s - self.at_s):
            point = self.terminals.cell_operating()
            return {
                "output_on": settings.is_on,
                "off_mode": OFF_MODES[settings.off_mode],
                "relay_closed": not isinstance(self.terminals.source, Disconnected),
                "source": "VOLT" if settings.function == VOLTS else "CURR",
                "limited": point.limited,
                "current_A": point.current_A,
                "voltage_V": point.voltage_V,
                "charge_C": self.terminals.cell_charge_C,
                "at_s": now_s,
                "abuse": tuple(self.abuse.acts),
                "cell": self.terminals.load.truth(),
            }

    def set_fault(self, name: str, value: str | float) -> None:
        """From now on; see FAULTS."""
        match name, value:
            case "lead", "open" | "short" | "good":
                self.terminals.set_lead(str(value))
            case "contact_ohm", int() | float():
                self.terminals.set_contact(float(value))
            case "noise", int() | float():
                self.meter.noise = float(value)
            case "stuck", bool():
                self.meter.stuck = value
            case "output", bool():
                self.settings.output = ON if value else OFF
            case "welded", bool():
                self.welded = value
            case _:
                raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")
        self.abuse.forgive()
        self._connect()

    def catch_up(self, now_s: float) -> None:
        dt_s = now_s - self.at_s
        if dt_s <= 0.0:
            return
        before_C = self.terminals.cell_charge_C
        self.terminals.advance(dt_s)
        self.abuse.look_back(self.settings, self.terminals.cell_charge_C - before_C)
        self.at_s = now_s
        if self._oven_K is not None and now_s - self._oven_at_s >= THERMAL_STEP_S:
            self._oven_at_s = now_s
            self._warm(self._oven_K())

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            self.terminals.set_temperature(temperature_K)
