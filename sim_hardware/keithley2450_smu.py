"""The measuring part of a simulated 2450: settings, terminals, meter, event log.

Pessimistic where the manuals are silent: what might harm a cell does. Time comes from ``now``; the cell is advanced to
``now()`` before anything else happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sim_hardware.circuit import Disconnected, Terminals
from sim_hardware.keithley2450_abuse import Abuse
from sim_hardware.keithley2450_events import ERROR, WARNING, EventLog
from sim_hardware.keithley2450_meter import Meter, Sample
from sim_hardware.keithley2450_models import Model
from sim_hardware.keithley2450_settings import Settings, source_when_off, source_when_on
from sim_hardware.loads import Load

EVENT_POWER_ON, EVENT_COMMAND, EVENT_EXECUTION, EVENT_DEVICE = 128, 32, 16, 8
TRIGGER_STEP_S = 1.0  # of a trigger model that somebody left running
THERMAL_STEP_S = 30.0  # how often the cell follows its oven

FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good"',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "stuck": "true: the same voltage and current for ever",
    "output": "someone presses the OUTPUT key: on or off",
    "welded": "true: the output cannot be switched off any more, and says so",
    "trigger_model": "true: one that somebody started switches the output on each second, until :ABORt",
}


class Smu:
    """One instrument with one load on whichever terminals are selected."""

    def __init__(
        self, model: Model, load: Load, now: Callable[[], float], seed: int, oven_K: Callable[[], float] | None
    ) -> None:
        self.model = model
        self.meter = Meter(seed)
        self.terminals = Terminals(load)
        self.log = EventLog()
        self.abuse = Abuse()
        self.settings = Settings(model)
        self._now = now
        self.welded = False
        self._oven_K = oven_K
        self._warmed_K = 0.0
        self._triggers_at_s = math.inf
        self.at_s = self._oven_at_s = now()
        self.power_cycle()

    def power_cycle(self) -> None:
        """Nothing survives it but the cell and the language: output off, NORMAL, limits at their defaults."""
        self.catch_up()
        self.settings = Settings(self.model)
        self.log.clear()
        self.events = EVENT_POWER_ON
        self.last: Sample | None = None
        self.abort()
        self._booted_s = self.at_s
        self.abuse.forgive()
        self._connect()

    def rewire(self) -> None:
        """Put the settings on the terminals; called after every change of one by the host."""
        self._connect()
        self.abuse.look(self.settings, self.terminals)

    def _connect(self) -> None:
        settings = self.settings
        settings.output = settings.output or self.welded
        on = source_when_on(settings, self.meter.source_errors) if settings.output else source_when_off(settings)
        if on != self.terminals.source:
            self.terminals.drive(on)

    def truth(self) -> dict[str, object]:
        """What really is now, as no driver can ask it; asking changes nothing, not even the steps of the cell."""
        now_s = self._now()
        settings = self.settings
        with self.terminals.ahead(now_s - self.at_s):
            point = self.terminals.cell_operating()
            return {
                "output_on": settings.output,
                "off_mode": settings.off_mode[settings.source],
                "relay_closed": not isinstance(self.terminals.source, Disconnected),
                "source": settings.source,
                "limited": point.limited,
                "current_A": point.current_A,
                "voltage_V": point.voltage_V,
                "charge_C": self.terminals.cell_charge_C,
                "at_s": now_s,
                "errors": self.log.errors(),
                "abuse": tuple(self.abuse.acts),
                "cell": self.terminals.load.truth(),
            }

    def set_fault(self, name: str, value: str | float) -> None:
        """From now on; see FAULTS."""
        self.catch_up()
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
                self.settings.output = value
            case "welded", bool():
                self.welded = value
            case "trigger_model", bool():
                self._triggers_at_s = self.at_s + TRIGGER_STEP_S if value else math.inf
            case _:
                raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")
        self.abuse.forgive()
        self._connect()

    def abort(self) -> None:
        self._triggers_at_s = math.inf

    def measure(self) -> Sample:
        """With the output off as well: then it shows what an open relay shows (the manuals are silent)."""
        self.last = self.meter.sample(self.settings, self.terminals, self.at_s - self._booted_s)
        return self.last

    def fail(self, code: int) -> None:
        self.log.push(code, ERROR, self.at_s)
        if -200 < code <= -100:
            self.events |= EVENT_COMMAND
        else:
            self.events |= EVENT_EXECUTION if -300 < code <= -200 else EVENT_DEVICE

    def warn(self, code: int) -> None:
        self.log.push(code, WARNING, self.at_s)

    def catch_up(self) -> None:
        now_s = self._now()
        dt_s = now_s - self.at_s
        if dt_s > 0.0:
            before_C = self.terminals.cell_charge_C
            self.terminals.advance(dt_s)
            self.abuse.look_back(self.settings, self.terminals.cell_charge_C - before_C)
            self.at_s = now_s
            if self._oven_K is not None and now_s - self._oven_at_s >= THERMAL_STEP_S:
                self._oven_at_s = now_s
                self._warm(self._oven_K())

        if now_s >= self._triggers_at_s:
            self._triggers_at_s = now_s + TRIGGER_STEP_S
            self.settings.output = True  # SOURCE-OUTPUT, a block of its own (2461-901-01 p. 6-182, 6-208)
            self._connect()

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            self.terminals.set_temperature(temperature_K)
