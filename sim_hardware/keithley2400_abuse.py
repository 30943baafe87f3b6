"""What a host did to the cell on a simulated 2400 that no host may do: a list that must stay empty.

Only the host's own acts count: a power failure or someone at the front panel leads to none.
"""

from __future__ import annotations

from sim_hardware.abuse import Acts
from sim_hardware.circuit import CurrentSource, Terminals
from sim_hardware.keithley2400_settings import Settings, compliance

TWO_WIRES = "on in two wires"
NOT_APART = "off, but still connected"
AUTO_CLEAR = "on for each reading only"
OHMS = "on with a source of the instrument's choice"
RANGE_COMPLIANCE = "on within range compliance"
DUMPED = "a cell beyond the voltage limit"
CONFIGURED = "switched on by MEASure or CONFigure"
CHARGE_WHILE_OFF = "charge while off"


class Abuse:
    """``acts`` is what was done. ``let_go`` is True once the host has said HIMP."""

    def __init__(self) -> None:
        self.acts = Acts()
        self.let_go = False

    def add(self, act: str) -> None:
        self.acts.add(act)

    def forgive(self) -> None:
        """The host could not know: the instrument lost power, or someone touched it."""
        self.let_go = False

    def look(self, settings: Settings, terminals: Terminals) -> None:
        """After a command of the host."""
        if settings.output:
            self._look_at_on(settings, terminals)
        elif settings.off_mode == "HIMP":
            self.let_go = True
        elif self.let_go:
            self.add(NOT_APART)

    def _look_at_on(self, settings: Settings, terminals: Terminals) -> None:
        source = terminals.source
        dumped = isinstance(source, CurrentSource) and terminals.lead == "good" and terminals.operating().limited
        acts = {
            TWO_WIRES: not settings.remote_sense,
            NOT_APART: settings.off_mode != "HIMP",
            AUTO_CLEAR: settings.auto_clear,
            OHMS: settings.auto_ohms,
            RANGE_COMPLIANCE: compliance(settings)[1] == "range",
            DUMPED: dumped,
        }
        for act, done in acts.items():
            if done:
                self.add(act)

    def look_back(self, settings: Settings, charge_C: float) -> None:
        """After time has passed, in which ``charge_C`` flowed."""
        if charge_C and self.let_go and not settings.output:
            self.add(CHARGE_WHILE_OFF)
