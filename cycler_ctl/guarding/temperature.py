"""A temperature that moves too fast, or does not move at all: the sensor is off the cell, broken, or the cell heats itself.

Both are limits a channel may set: a controller that shows whole degrees may rightly show one for hours. Pure decisions
on frozen data, part of ``guard.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from cycler_ctl.guarding.limits import GuardLimits
from cycler_ctl.instrument import Measurement

LOOK_BACK_S = 10.0
"""A sensor's digit over a shorter time would be a slope."""

Found = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Warmth:
    """The newest value and the one before it, and since when the value has been the same in all digits."""

    newest: Measurement | None = None
    before: Measurement | None = None
    same_since_s: float = 0.0

    def seen(self, temperature: Measurement | None) -> Warmth:
        """What is known with the newest value of the sensor, which may be the one that is known already."""
        if temperature is None or (self.newest is not None and temperature.at_s <= self.newest.at_s):
            return self
        moved = self.newest is None or temperature.value != self.newest.value
        return Warmth(temperature, self.newest, temperature.at_s if moved else self.same_since_s)


NEW = Warmth()


def doubtful(limits: GuardLimits, warmth: Warmth) -> Found | None:
    """Why the temperature is not believed, or not harmless; None where it is."""
    newest, before = warmth.newest, warmth.before
    if newest is None or before is None:
        return None
    change_K, over_s = newest.value - before.value, max(newest.at_s - before.at_s, LOOK_BACK_S)
    if not (abs(change_K) <= limits.heating_K_s * over_s):
        numbers = f"the temperature went from {before.value:.5g} °C to {newest.value:.5g} °C in {over_s:.3g} s"
        return "heating", f"{numbers}, faster than {limits.heating_K_s * 60:.4g} K/min (temperature_slew_max)"
    same_s = newest.at_s - warmth.same_since_s
    if not (same_s < limits.temperature_stuck_s):
        what = f"the temperature has stood at {newest.value:.5g} °C for {same_s / 60:.3g} min"
        return "temperature-stuck", f"{what} (temperature_stuck): is the sensor frozen?"
    return None


def missing(temperature: Measurement | None, now_s: float, most_s: float) -> Found:
    reason = "the channel has temperature limits and its sensor gives no value"
    if temperature is not None:
        reason = f"the temperature is {now_s - temperature.at_s:.3g} s old (at most {most_s:.0f} s are allowed)"
    return "temperature-missing", reason
