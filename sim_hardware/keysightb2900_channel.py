"""One channel of a simulated B2900: settings, terminals, meter, and what happens when it goes on and off.

Pessimistic where the manuals are silent: what might harm a cell does. Pages as in the settings.
"""

from __future__ import annotations

from sim_hardware.circuit import Disconnected, Source, Terminals, VoltageSource
from sim_hardware.keysightb2900_abuse import SWITCHED_ON_BY_READING, Abuse
from sim_hardware.keysightb2900_meter import OVERCURRENT, OVERVOLTAGE, Meter, Sample
from sim_hardware.keysightb2900_models import CURR, VOLT, Model
from sim_hardware.keysightb2900_settings import (
    Settings,
    forget_setup,
    keeps_setup,
    source_when_off,
    source_when_on,
)
from sim_hardware.loads import Load

ZERO_S = 1e-3  # how long a switch takes to open after 0 V was set; a guess


class Channel:
    """``output`` is what ``:OUTP?`` answers. ``welded``: it cannot be switched off any more, and says so."""

    def __init__(self, model: Model, load: Load, seed: int) -> None:
        self.model = model
        self.meter = Meter(seed)
        self.terminals = Terminals(load)
        self.abuse = Abuse()
        self.settings = Settings(model)
        self.welded = False
        self.output = False
        self.last = Sample()
        self._off: Source = Disconnected()

    def power_cycle(self) -> None:
        """Nothing survives it but the cell: off, with the switch open, and ready to switch itself on."""
        self.reset()
        self.meter.alarm = 0
        self.abuse.forgive()
        self._connect()

    def reset(self) -> None:
        self.settings = Settings(self.model)
        self.output = False
        self.last = Sample()
        self._off = Disconnected()

    def rewire(self) -> None:
        """Put the settings on the terminals; called after every command of the host."""
        self._connect()
        if self.output and self.settings.protection and self.terminals.operating().limited:
            self._trip()
        self.abuse.look(self.settings, self.terminals, is_on=self.output)

    def switch(self, *, on: bool) -> None:
        """The off-mode counts when OFF is said (UG 6-13): changed later, it changes nothing before the next OFF."""
        if on:
            self.output = True
            self.meter.alarm = 0
            return
        if not keeps_setup(self.settings):
            if self.output:
                self._pass_zero()
                self.abuse.through_zero(self.terminals)
            forget_setup(self.settings)
        self.output = False
        self._off = source_when_off(self.settings.off_mode)

    def emergency(self, alarm: int) -> None:
        """At once 0 V, and then the switch opens, whatever the off-mode is (UG 6-13)."""
        if self.output:
            self._pass_zero()
        self.meter.alarm = alarm
        self.output = False
        self._off = Disconnected()
        self._connect()

    def press(self, *, on: bool) -> None:
        """Someone at the front panel."""
        self.abuse.forgive()
        self.switch(on=on)
        self.abuse.forgive()
        self._connect()

    def before_reading(self) -> None:
        """Automatic output on: by :INITiate and :READ (2961 4-67), and as users saw it, by :MEASure too."""
        if self.settings.auto_on and not self.output:
            self.output = True
            self.abuse.add(SWITCHED_ON_BY_READING)
            self.rewire()

    def after_triggered(self) -> None:
        """Automatic output off: when what a trigger began is over; a spot measurement is not of that kind."""
        if self.settings.auto_off and self.output:
            self.switch(on=False)
            self.rewire()

    def measure(self, time_s: float) -> Sample:
        self.before_reading()
        self.last = self.meter.sample(self.settings, self.terminals, time_s)
        return self.last

    def is_limited(self, quantity: str) -> bool:
        """Whether it is in compliance *now* (2961 4-91)."""
        return self.output and self.settings.limited == quantity and self.terminals.operating().limited

    def advance(self, dt_s: float) -> None:
        before_C, was_on = self.terminals.cell_charge_C, self.output
        self.terminals.advance(dt_s)
        self.abuse.look_back(self.terminals.cell_charge_C - before_C, was_on=was_on)
        if self.output and self.settings.protection and self.terminals.operating().limited:
            self._trip()

    def truth(self, ahead_s: float) -> dict[str, object]:
        """What really is, ``ahead_s`` from now; asking changes nothing, not even the steps of the cell."""
        with self.terminals.ahead(ahead_s):
            point = self.terminals.cell_operating()
            return {
                "output_on": self.output,
                "off_mode": self.settings.off_mode,
                "relay_closed": not isinstance(self.terminals.source, Disconnected),
                "source": self.settings.source,
                "limited": point.limited,
                "current_A": point.current_A,
                "voltage_V": point.voltage_V,
                "charge_C": self.terminals.cell_charge_C,
                "abuse": tuple(self.abuse.acts),
                "cell": self.terminals.load.truth(),
            }

    def _connect(self) -> None:
        self.output = self.output or self.welded
        wanted = source_when_on(self.settings, self.meter.source_errors) if self.output else self._off
        if wanted != self.terminals.source:
            self.terminals.drive(wanted)

    def _trip(self) -> None:
        self.emergency(OVERVOLTAGE if self.settings.limited == VOLT else OVERCURRENT)

    def _pass_zero(self) -> None:
        limit_A = self.settings.limit[CURR]
        self.terminals.drive(VoltageSource(0.0, limit_A))
        self.terminals.advance(ZERO_S)
