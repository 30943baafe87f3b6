"""The guard's limits for one run, and what of a program they would end: the channel's, the instrument's, the run's own.

The guard's hard limit lies inside the channel's and the instrument's, just behind the run's safety.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

from cycler_ctl.guard import Ceilings, GuardLimits
from cycler_ctl.guarding.stuck import STUCK_S
from cycler_ctl.instrument import Ratings
from cycler_ctl.settings import ChannelSettings
from protocols.model import CurrentStep, HoldStep, Program, Safety, TimedStep, Window
from protocols.planning.forecast import leaves

ANY_DEGC = (-273.15, 2000.0)
UNMONITORED = "unmonitored"
BEYOND_CUTOFF_V = 0.020  # the window's edge stands this far outside the cut-off
OWN_ERROR = 0.98  # what is set must leave room for the instrument's own error, or a limit right above it trips
REST_SHARE, REST_OFFSETS = 0.02, 3.0  # of the channel's limit; of the offsets of the range that holds it
# The engine watches the run's safety, and for how long; the guard stands behind it and knows no patience.
BEHIND_SAFETY_V, BEHIND_SAFETY_A, BEHIND_SAFETY_K = 0.050, 1.05, 5.0


def guard_limits(channel: ChannelSettings, ratings: Ratings, safety: Safety) -> GuardLimits:
    """The channel's limits inside the instrument's, tightened to just behind the run's safety."""
    limits = channel.limits
    hard = GuardLimits(
        voltage_V=limits.voltage_V,
        current_A=limits.current_A,
        stale_s=max(2.0, 3.0 * channel.sample_every_s),
        temperature_degC=_temperature_degC(channel),
        step=Ceilings(limits.step_charge_Ah or inf, limits.step_time_s or inf),
        bounded=channel.regulation == "bounded",
        open_samples=channel.debounce if channel.sample_every_s <= 1.0 else 1,
        rest_A=_rest_A(limits.current_A, ratings),
        stuck_s=STUCK_S if ratings.shows_noise else inf,
        power_W=limits.power_W or inf,
        polarity_V=polarity_V(channel, safety) or (-inf, inf),
        v_short_V=-inf if channel.v_short_V is None else channel.v_short_V,
        r_max_ohm=channel.r_max_ohm or inf,
        slew_max_V_s=channel.slew_max_V_s or inf,
        slew_over_s=channel.sample_every_s,
        heating_K_s=channel.temperature_slew_max_K_s or inf,
        temperature_stuck_s=channel.temperature_stuck_s or inf,
    ).tightened(voltage_V=ratings.voltage_V, current_A=ratings.current_A)
    return hard.tightened(
        voltage_V=wider(safety.voltage_V, BEHIND_SAFETY_V),
        current_A=inf if safety.current_A is None else safety.current_A * BEHIND_SAFETY_A,
        temperature_degC=wider(safety.temperature_degC, BEHIND_SAFETY_K),
    )


def _temperature_degC(channel: ChannelSettings) -> Window | None:
    """None: not watched. Where only its slope is limited, a sensor that is lost still ends the run."""
    if channel.temperature == UNMONITORED:
        return None
    moving = channel.temperature_slew_max_K_s is not None or channel.temperature_stuck_s is not None
    return channel.limits.temperature_degC or (ANY_DEGC if moving else None)


def polarity_V(channel: ChannelSettings, safety: Safety) -> Window | None:
    """Where the cell's voltage must be, or its leads are swapped; by itself only where all of its range is positive."""
    if channel.polarity_V is not None or safety.voltage_V is None:
        return channel.polarity_V
    return (0.0, inf) if safety.voltage_V[0] > 0 else None


def _rest_A(current_A: float, ratings: Ratings) -> float:
    """What may flow at rest: the instrument's offset, or so small a share of the limit that it harms no cell."""
    offsets_A = [one.measure_offset_A + one.source_offset_A for one in ratings.ranges if one.range_A >= current_A]
    return max(REST_SHARE * current_A, REST_OFFSETS * offsets_A[0] if offsets_A else 0.0)


def inside_guard(program: Program, channel: ChannelSettings) -> Iterator[str]:
    """Limits that would end the run where its own safety or cut-off should."""
    outer_V = channel.polarity_V or (-inf, inf)
    low_V = outer_V[0] if channel.v_short_V is None else max(outer_V[0], channel.v_short_V)
    which = f"the polarity window and v_short {span((low_V, outer_V[1]))}"
    safety_V = program.safety.voltage_V
    if safety_V is not None and not contains((low_V, outer_V[1]), safety_V):
        yield f"safety voltage {span(safety_V)} reaches beyond {which}"
    for leaf in leaves(program.steps):
        for aim_V, most_A in _aims(leaf.step):
            if not low_V <= aim_V <= outer_V[1]:
                yield f"step {leaf.step.path} goes to {aim_V:.4g} V, outside {which}"
            power_W, limit_W = abs(aim_V) * most_A, channel.limits.power_W
            if limit_W is not None and not (power_W <= OWN_ERROR * limit_W):
                yield f"step {leaf.step.path} takes {power_W:.4g} W at {aim_V:.4g} V; the channel's limit is {limit_W:.4g} W"


def _aims(step: TimedStep) -> Iterator[tuple[float, float]]:
    """The voltages a step goes to, and the current it may have there; a current's window is 20 mV wider than its cut-off."""
    if isinstance(step, HoldStep):
        yield step.voltage_V, step.current_limit_A if isfinite(step.current_limit_A) else 0.0
    elif isinstance(step, CurrentStep):
        low_V, high_V = step.window_V
        edge_V = high_V - BEYOND_CUTOFF_V if step.current_A > 0 else low_V + BEYOND_CUTOFF_V
        if isfinite(edge_V):
            yield edge_V, abs(step.current_A)


def wider(window: Window | None, by: float) -> Window:
    return (-inf, inf) if window is None else (window[0] - by, window[1] + by)


def contains(outer: Window, inner: Window) -> bool:
    return outer[0] <= inner[0] <= inner[1] <= outer[1]


def span(window_V: Window) -> str:
    return f"{window_V[0]:.4g} V to {window_V[1]:.4g} V"


def milliamps(current_A: float) -> str:
    return f"{current_A * 1e3:.4g} mA"
