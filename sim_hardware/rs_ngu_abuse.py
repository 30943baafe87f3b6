"""What a host did to a cell on a simulated NGU or NGM that no host may do: a list that must stay empty.

Only the host's own acts count: a power failure or someone at the front panel leads to none.
"""

from __future__ import annotations

from sim_hardware.abuse import Acts
from sim_hardware.circuit import CurrentSource, Terminals
from sim_hardware.keithley2400_abuse import CHARGE_WHILE_OFF, DUMPED, TWO_WIRES
from sim_hardware.keithley2450_abuse import SWITCHED_LIVE
from sim_hardware.rs_ngu_settings import Settings

BOTH_WAYS = "on with leave to source and to sink"
SHAPED = "on with a ramp, a delay, a resistance or a fast response"
UNBOUNDED = "sinking without a known limit"
UNPROTECTED = "on without over-voltage protection"
FUSED = "on with a fuse that trips at the limit"
SHAPES = ("ramp", "delay", "impedance", "resistance", "fast", "modulation", "triggered")


class Abuse:
    """``acts`` is what was done."""

    def __init__(self) -> None:
        self.acts = Acts()
        self._wiring: tuple[object, ...] | None = None
        self._was_let_go = False

    def add(self, act: str) -> None:
        self.acts.add(act)

    def forgive(self) -> None:
        """The host could not know: the instrument lost power, or someone touched it."""
        self._wiring = None

    def look(self, settings: Settings, terminals: Terminals, *, is_on: bool, four_wires: bool) -> None:
        """After a command of the host."""
        if not is_on:
            self._wiring = None
            self._was_let_go = True
            return
        switches, mode = settings.switches, settings.mode
        wiring = (settings.priority, mode, settings.range_A, settings.range_V, settings.measure_A, settings.measure_V)
        current_A = terminals.operating().current_A
        acts = {
            TWO_WIRES: not four_wires,
            BOTH_WAYS: mode == "AUTO",
            SHAPED: any(switches[name] for name in SHAPES),
            UNBOUNDED: not settings.model.has_sink_limit and current_A < -1e-9,
            UNPROTECTED: not switches["ovp"],
            FUSED: switches["fuse"],
            DUMPED: isinstance(terminals.source, CurrentSource) and terminals.operating().limited,
            SWITCHED_LIVE: self._wiring not in (None, wiring),
        }
        self._wiring = wiring
        for act, done in acts.items():
            if done:
                self.add(act)

    def look_back(self, charge_C: float, *, is_on: bool) -> None:
        """After time has passed, in which ``charge_C`` flowed."""
        if charge_C and self._was_let_go and not is_on:
            self.add(CHARGE_WHILE_OFF)
