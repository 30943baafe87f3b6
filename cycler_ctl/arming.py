"""What must hold before an output may go on: limits inside limits, ceilings for every step, an accepted risk.

Cut-off inside the run's safety, inside the channel's limits, inside the instrument's ratings; what does not nest is
refused with a sentence each. The guard's own limits for the run are made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite

from cycler_ctl.guard import Ceilings, GuardLimits
from cycler_ctl.instrument import Protection, Ratings
from cycler_ctl.settings import ChannelSettings
from protocols.forecast import cell_capacity_Ah, default_ceilings, named_charge_Ah, named_time_s
from protocols.model import CurrentStep, Program, RepeatStep, RestStep, Safety, Step, TimedStep, Window

UNMONITORED = "unmonitored"
ACCEPT_B_ABOVE_AH = 5.0
BEYOND_CUTOFF_V = 0.020  # the window's edge stands this far outside the cut-off
ROUND_OFF_V = 1e-6
# The guard counts at the highest current and stops a little later than the engine should have done.
CHARGE_SLACK = 1.05
TIME_SLACK, TIME_SLACK_S = 1.02, 60.0
# The engine watches the run's safety, and for how long; the guard stands behind it and knows no patience.
BEHIND_SAFETY_V, BEHIND_SAFETY_A, BEHIND_SAFETY_K = 0.050, 1.05, 5.0


def check_nesting(program: Program, channel: ChannelSettings, ratings: Ratings) -> tuple[str, ...]:
    """Why this program's limits do not lie inside the channel's and the instrument's; empty where they do."""
    return (
        *_channel_in_instrument(channel, ratings),
        *_safety_in_channel(program.safety, channel),
        *(reason for step in timed_steps(program.steps) for reason in _step_in_channel(program, step, channel)),
    )


def _channel_in_instrument(channel: ChannelSettings, ratings: Ratings) -> Iterator[str]:
    limits = channel.limits
    if not (limits.current_A <= ratings.current_A):
        yield f"the channel's current limit {_mA(limits.current_A)} is above the instrument's {_mA(ratings.current_A)}"
    if not _contains(ratings.voltage_V, limits.voltage_V):
        yield f"the channel's voltage limits {_span(limits.voltage_V)} reach beyond the instrument's {_span(ratings.voltage_V)}"
    if not (channel.sample_every_s >= ratings.fastest_sample_s):
        yield f"sample_every {channel.sample_every_s:.4g} s is faster than the instrument's {ratings.fastest_sample_s:.4g} s"


def _safety_in_channel(safety: Safety, channel: ChannelSettings) -> Iterator[str]:
    limits = channel.limits
    if safety.voltage_V is not None and not _contains(limits.voltage_V, safety.voltage_V):
        yield f"safety voltage {_span(safety.voltage_V)} reaches beyond the channel's limits {_span(limits.voltage_V)}"
    if safety.current_A is not None and not (safety.current_A <= limits.current_A):
        yield f"safety current {_mA(safety.current_A)} is above the channel's limit {_mA(limits.current_A)}"
    wanted = safety.temperature_degC
    if wanted is not None and limits.temperature_degC is not None and not _contains(limits.temperature_degC, wanted):
        outer = f"{limits.temperature_degC[0]:.4g} °C to {limits.temperature_degC[1]:.4g} °C"
        yield f"safety temperature {wanted[0]:.4g} °C to {wanted[1]:.4g} °C reaches beyond the channel's limits {outer}"


def _step_in_channel(program: Program, step: TimedStep, channel: ChannelSettings) -> Iterator[str]:
    limits, safety = channel.limits, program.safety
    for edge_V in filter(isfinite, step.window_V):
        if not _contains(limits.voltage_V, (edge_V, edge_V)):
            outer = f"the channel's limits {_span(limits.voltage_V)}"
            yield f"step {step.path}: its window (20 mV beyond the cut-off) reaches {edge_V:.4g} V, outside {outer}"
        elif not _contains(_wider(safety.voltage_V, BEYOND_CUTOFF_V + ROUND_OFF_V), (edge_V, edge_V)):
            outer = f"the safety voltage {_span(safety.voltage_V or (-inf, inf))}"
            yield f"step {step.path}: its window reaches {edge_V:.4g} V, and with it its cut-off lies outside {outer}"
    if isinstance(step, RestStep):
        return
    current_A = abs(step.current_A)
    if not (current_A <= 0.98 * limits.current_A):
        room = "set must leave 2 % for the instrument's own error"
        yield f"step {step.path}: {_mA(current_A)} is too much for the channel's limit {_mA(limits.current_A)}; what is {room}"
    ceilings = step_ceilings(program, step)
    own = (ceilings.charge_Ah, limits.step_charge_Ah or inf), (ceilings.time_s, limits.step_time_s or inf)
    if min(own[0]) == inf or min(own[1]) == inf:
        yield (
            f"step {step.path} has no ceiling of charge or time if its cut-off is never seen: give it 'for' or "
            "'abort_if', the cell a capacity, or the channel step_capacity and step_time"
        )


def step_ceilings(program: Program, step: TimedStep) -> Ceilings:
    """Where the guard, counting for itself, ends a step that the engine should have ended."""
    charge_Ah, time_s = default_ceilings(program, step)
    if isinstance(step, RestStep):
        return Ceilings(inf, _late(named_time_s(step)))
    named_Ah = named_charge_Ah(step)
    by_name_Ah = inf if named_Ah is None else named_Ah * CHARGE_SLACK
    return Ceilings(
        by_name_Ah if charge_Ah is None else charge_Ah, _late(named_time_s(step)) if time_s is None else time_s
    )


def _late(time_s: float | None) -> float:
    return inf if time_s is None else time_s * TIME_SLACK + TIME_SLACK_S


def class_refusal(protection: Protection, why: str, channel: ChannelSettings, capacity_Ah: float | None) -> str | None:
    """What a person must accept before this protection class may drive a cell of this capacity; None: nothing."""
    if protection is Protection.C and channel.accept_class_c is None:
        return (
            f'its protection class is C ({why}): accept that by \'accept_class_c = {{ who = "...", when = "..." }}\' '
            'in station.toml, or use regulation = "bounded"'
        )
    large = capacity_Ah is not None and not (capacity_Ah <= ACCEPT_B_ABOVE_AH)
    if protection is Protection.B and large and channel.accept_class_b is None:
        return (
            f"the cell has {capacity_Ah:.4g} Ah and the protection class is B ({why}): above {ACCEPT_B_ABOVE_AH:.0f} Ah "
            'that must be accepted by \'accept_class_b = { who = "...", when = "..." }\' in station.toml'
        )
    return None


def largest_capacity_Ah(program: Program) -> float | None:
    """What the class rule goes by; None where the cell says nothing of its size."""
    known = [program.cell.theoretical_capacity_Ah, program.cell.nominal_capacity_Ah, cell_capacity_Ah(program)]
    return max((one for one in known if one is not None), default=None)


def guard_limits(channel: ChannelSettings, ratings: Ratings, safety: Safety) -> GuardLimits:
    """The channel's limits inside the instrument's, tightened to just behind the run's safety."""
    limits = channel.limits
    hard = GuardLimits(
        voltage_V=limits.voltage_V,
        current_A=limits.current_A,
        stale_s=max(2.0, 3.0 * channel.sample_every_s),
        temperature_degC=None if channel.temperature == UNMONITORED else limits.temperature_degC,
        step=Ceilings(limits.step_charge_Ah or inf, limits.step_time_s or inf),
        bounded=channel.regulation == "bounded",
        open_samples=channel.debounce if channel.sample_every_s <= 1.0 else 1,
    ).tightened(voltage_V=ratings.voltage_V, current_A=ratings.current_A)
    return hard.tightened(
        voltage_V=_wider(safety.voltage_V, BEHIND_SAFETY_V),
        current_A=inf if safety.current_A is None else safety.current_A * BEHIND_SAFETY_A,
        temperature_degC=_wider(safety.temperature_degC, BEHIND_SAFETY_K),
    )


def timed_steps(steps: tuple[Step, ...]) -> Iterator[TimedStep]:
    """Every step that takes time, in file order."""
    for step in steps:
        match step:
            case RestStep() | CurrentStep():
                yield step
            case RepeatStep():
                yield from timed_steps(step.steps)
            case _:
                pass


def _wider(window: Window | None, by: float) -> Window:
    return (-inf, inf) if window is None else (window[0] - by, window[1] + by)


def _contains(outer: Window, inner: Window) -> bool:
    return outer[0] <= inner[0] <= inner[1] <= outer[1]


def _span(window_V: Window) -> str:
    return f"{window_V[0]:.4g} V to {window_V[1]:.4g} V"


def _mA(current_A: float) -> str:
    return f"{current_A * 1e3:.4g} mA"
