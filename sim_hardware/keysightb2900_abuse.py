"""What a host did to the cell on one channel of a simulated B2900 that no host may do: a list that must stay empty.

Only the host's own acts count: a power failure or someone at the front panel leads to none.
"""

from __future__ import annotations

from sim_hardware.abuse import Acts
from sim_hardware.circuit import CurrentSource, Disconnected, Terminals
from sim_hardware.keithley2400_abuse import (
    AUTO_CLEAR,
    CHARGE_WHILE_OFF,
    DUMPED,
    NOT_APART,
    OHMS,
    RANGE_COMPLIANCE,
    TWO_WIRES,
)
from sim_hardware.keithley2450_abuse import SWITCHED_LIVE
from sim_hardware.keysightb2900_settings import Settings, compliance

AUTO_ON = "on while a reading could switch it on"
SWITCHED_ON_BY_READING = "switched on by a reading"
PROTECTION = "on with a protection that puts 0 V on the cell"
THROUGH_ZERO = "0 V on the cell on its way off"
MOVING = "on with a source that moves by itself"


class Abuse:
    """``acts`` is what was done. ``let_go`` is True once the host has said HIZ."""

    def __init__(self) -> None:
        self.acts = Acts()
        self.let_go = False
        self._wiring: tuple[object, ...] | None = None

    def add(self, act: str) -> None:
        self.acts.add(act)

    def forgive(self) -> None:
        """The host could not know: the instrument lost power, or someone touched it."""
        self.let_go = False
        self._wiring = None

    def look(self, settings: Settings, terminals: Terminals, *, is_on: bool) -> None:
        """After a command of the host."""
        if is_on:
            self._look_at_on(settings, terminals)
            return
        self._wiring = None
        apart = settings.off_mode == "HIZ" and isinstance(terminals.source, Disconnected)
        if apart:
            self.let_go = True
        elif self.let_go:
            self.add(NOT_APART)

    def through_zero(self, terminals: Terminals) -> None:
        """The host switched off, and the cell saw 0 V for a moment."""
        if self.let_go and terminals.lead == "good":
            self.add(THROUGH_ZERO)

    def _look_at_on(self, settings: Settings, terminals: Terminals) -> None:
        source = terminals.source
        wiring = (settings.source, *settings.source_range.values(), *settings.sense_range.values())
        acts = {
            TWO_WIRES: not settings.remote,
            NOT_APART: settings.off_mode != "HIZ",
            AUTO_ON: settings.auto_on,
            AUTO_CLEAR: settings.auto_off,
            PROTECTION: settings.protection,
            OHMS: settings.has_own_source,
            MOVING: settings.source_mode[settings.source] != "FIX",
            RANGE_COMPLIANCE: compliance(settings)[1] == "range",
            DUMPED: isinstance(source, CurrentSource) and terminals.lead == "good" and terminals.operating().limited,
            SWITCHED_LIVE: self._wiring not in (None, wiring),
        }
        self._wiring = wiring
        for act, done in acts.items():
            if done:
                self.add(act)

    def look_back(self, charge_C: float, *, was_on: bool) -> None:
        """After time has passed, in which ``charge_C`` flowed."""
        if charge_C and self.let_go and not was_on:
            self.add(CHARGE_WHILE_OFF)
