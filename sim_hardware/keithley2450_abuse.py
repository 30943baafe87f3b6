"""What a host did to the cell on a simulated 2450 that no host may do: a list that must stay empty.

Only the host's own acts count: a power failure or someone at the front panel leads to none.
"""

from __future__ import annotations

from sim_hardware.abuse import Acts
from sim_hardware.circuit import CurrentSource, Terminals
from sim_hardware.keithley2400_abuse import (
    CHARGE_WHILE_OFF,
    DUMPED,
    NOT_APART,
    OHMS,
    RANGE_COMPLIANCE,
    TWO_WIRES,
)
from sim_hardware.keithley2450_models import RES
from sim_hardware.keithley2450_settings import Settings, compliance

SWITCHED_LIVE = "another function or range with the output on"


class Abuse:
    """``acts`` is what was done. ``let_go`` is True once the host has said HIMP."""

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

    def look(self, settings: Settings, terminals: Terminals) -> None:
        """After a command of the host."""
        if settings.output:
            self._look_at_on(settings, terminals)
            return
        self._wiring = None
        if settings.off_mode[settings.source] == "HIMP":
            self.let_go = True
        elif self.let_go:
            self.add(NOT_APART)

    def _look_at_on(self, settings: Settings, terminals: Terminals) -> None:
        source = terminals.source
        wiring = (settings.source, settings.measure, *settings.source_range.values(), *settings.sense_range.values())
        acts = {
            TWO_WIRES: not settings.is_remote,
            NOT_APART: settings.off_mode[settings.source] != "HIMP",
            OHMS: settings.measure == RES,
            RANGE_COMPLIANCE: compliance(settings)[1] == "range",
            DUMPED: isinstance(source, CurrentSource) and terminals.lead == "good" and terminals.operating().limited,
            SWITCHED_LIVE: self._wiring not in (None, wiring),
        }
        self._wiring = wiring
        for act, done in acts.items():
            if done:
                self.add(act)

    def look_back(self, settings: Settings, charge_C: float) -> None:
        """After time has passed, in which ``charge_C`` flowed."""
        if charge_C and self.let_go and not settings.output:
            self.add(CHARGE_WHILE_OFF)
