"""The numbers a guard goes by: a channel's limits for one run and the ceilings of a step. Nothing can widen them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite, isnan

from protocols.model import Window


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one step may pass at most: charge in Ah, energised time in s.

    ``whole_Ah``: what the parts of a step of several (a current and its hold, a pulse train) may pass together.
    """

    charge_Ah: float = inf
    time_s: float = inf
    whole_Ah: float = inf

    def within(self, outer: Ceilings) -> Ceilings:
        """The lower of each; for a channel a step of several parts is one step."""
        return Ceilings(
            min(self.charge_Ah, outer.charge_Ah),
            min(self.time_s, outer.time_s),
            min(self.whole_Ah, outer.whole_Ah, outer.charge_Ah),
        )


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """A channel's limits for one run, in V, A, degC, Ah, s. ``bounded``: constant current from a voltage source.

    ``open_samples``: readings without current at the window's edge that mean an open circuit; the engine's debounce,
    so that a lifted lead is never taken for a cut-off. ``rest_A``: more than this at rest is no offset any more.
    ``stuck_s``: how long a reading may stay the same in all digits; infinite where the instrument shows no noise.
    What follows it a channel may set: see ``guard_edges`` and ``guard_temperature``; infinite where it does not.
    """

    voltage_V: Window
    current_A: float
    stale_s: float
    temperature_degC: tuple[float, float] | None = None
    step: Ceilings = Ceilings()
    bounded: bool = True
    open_samples: int = 2
    rest_A: float = inf
    stuck_s: float = inf
    power_W: float = inf
    polarity_V: Window = (-inf, inf)
    v_short_V: float = -inf
    r_max_ohm: float = inf
    slew_max_V_s: float = inf
    slew_over_s: float = 0.0
    """The sample period: two readings nearer to each other (one late, one sooner) would make a slope of noise."""
    heating_K_s: float = inf
    temperature_stuck_s: float = inf

    def __post_init__(self) -> None:
        numbers = (*self.voltage_V, self.current_A, self.stale_s, *(self.temperature_degC or ()))
        if not all(map(isfinite, numbers)):
            raise ValueError(f"a guard needs finite limits, not {numbers}")
        optional = (self.power_W, *self.polarity_V, self.v_short_V, self.r_max_ohm, self.slew_max_V_s)
        if any(map(isnan, (*optional, self.heating_K_s, self.temperature_stuck_s, self.rest_A, self.stuck_s))):
            raise ValueError(f"a guard's limits are numbers: {self}")

    def tightened(
        self,
        *,
        voltage_V: Window = (-inf, inf),
        current_A: float = inf,
        temperature_degC: tuple[float, float] = (-inf, inf),
    ) -> GuardLimits:
        """The narrower of these limits and the given ones; nothing can widen."""
        bounds = self.temperature_degC
        return replace(
            self,
            voltage_V=_inside(self.voltage_V, voltage_V),
            current_A=min(self.current_A, current_A),
            temperature_degC=None if bounds is None else _inside(bounds, temperature_degC),
        )


def _inside(outer: Window, inner: Window) -> Window:
    return max(outer[0], inner[0]), min(outer[1], inner[1])


def spent(most: Ceilings, charge_Ah: float, before_Ah: float, time_s: float) -> tuple[str, str] | None:
    """(code, reason) where a step has passed, or lasted, more than it may."""
    if not (charge_Ah <= most.charge_Ah):
        reason = (
            f"the step may have passed {charge_Ah * 1e3:.5g} mAh (counted on the safe side), "
            f"more than its ceiling of {most.charge_Ah * 1e3:.5g} mAh, and no cut-off has ended it"
        )
        return "charge", reason
    if not (before_Ah + charge_Ah <= most.whole_Ah):
        passed = f"{(before_Ah + charge_Ah) * 1e3:.5g} mAh (counted on the safe side)"
        reason = (
            f"the step may have passed {passed} in all its parts, above its ceiling of {most.whole_Ah * 1e3:.5g} mAh"
        )
        return "charge", reason
    if not (time_s <= most.time_s):
        return "time", f"the step has run for {time_s:.6g} s, longer than its ceiling of {most.time_s:.6g} s"
    return None
