"""What must hold before an output may go on: limits inside limits, ceilings for every step, an accepted risk.

Cut-off inside the run's safety, inside the channel's limits, inside the instrument's ratings; what does not nest is
refused with a sentence each. The guard's own limits for the run are made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf, isfinite

from cycler_ctl.guard import Ceilings
from cycler_ctl.guarding.for_a_run import (
    BEYOND_CUTOFF_V,
    OWN_ERROR,
    UNMONITORED,
    contains,
    inside_guard,
    milliamps,
    span,
    wider,
)
from cycler_ctl.instrument import Protection, Ratings
from cycler_ctl.settings import ChannelSettings
from protocols.model import (
    CurrentStep,
    GittStep,
    HoldStep,
    Op,
    Program,
    RestStep,
    Safety,
    TimedStep,
    Watched,
    Whole,
)
from protocols.planning.forecast import (
    CHARGE_MARGIN,
    Leaf,
    cell_capacity_Ah,
    default_ceilings,
    leaves,
    lone_clauses,
    named_charge_Ah,
    named_time_s,
)

ACCEPT_B_ABOVE_AH = 5.0
ROUND_OFF_V = 1e-6
HOLD_ROOM_V, HOLD_ROOM = 0.004, 5e-4  # what a held voltage may be set and read off by: SPEC-2400, 20 V range
# The guard counts at the highest current and stops a little later than the engine should have done.
CHARGE_SLACK = 1.05
HOLD_CHARGE_SLACK = (
    1.3  # counting a falling current at the larger end of each interval: 27 % more at two samples a decay
)
TIME_SLACK, TIME_SLACK_S = 1.02, 60.0


def check_nesting(program: Program, channel: ChannelSettings, ratings: Ratings) -> tuple[str, ...]:
    """Why this program's limits do not lie inside the channel's and the instrument's; empty where they do."""
    return (
        *_channel_in_instrument(channel, ratings),
        *_safety_in_channel(program.safety, channel),
        # with for_each the same may be said of several values: once is enough
        *dict.fromkeys(inside_guard(program, channel)),
        *dict.fromkeys(reason for leaf in leaves(program.steps) for reason in _leaf_in_channel(program, leaf, channel)),
    )


def _channel_in_instrument(channel: ChannelSettings, ratings: Ratings) -> Iterator[str]:
    limits = channel.limits
    if not (limits.current_A <= ratings.current_A):
        yield f"the channel's current limit {milliamps(limits.current_A)} is above the instrument's {milliamps(ratings.current_A)}"
    if not contains(ratings.voltage_V, limits.voltage_V):
        yield f"the channel's voltage limits {span(limits.voltage_V)} reach beyond the instrument's {span(ratings.voltage_V)}"
    if not (channel.sample_every_s >= ratings.fastest_sample_s):
        yield f"sample_every {channel.sample_every_s:.4g} s is faster than the instrument's {ratings.fastest_sample_s:.4g} s"
    if not (channel.sample_every_s <= ratings.slowest_sample_s):
        yield (
            f"sample_every {channel.sample_every_s:.4g} s is slower than {ratings.slowest_sample_s:.4g} s, and asked more "
            "rarely the instrument lets go of the cell by itself: sample more often, or give it more time in its options "
            "(dead_man_s, lease_s)"
        )


def _safety_in_channel(safety: Safety, channel: ChannelSettings) -> Iterator[str]:
    limits = channel.limits
    if safety.voltage_V is not None and not contains(limits.voltage_V, safety.voltage_V):
        yield f"safety voltage {span(safety.voltage_V)} reaches beyond the channel's limits {span(limits.voltage_V)}"
    if safety.current_A is not None and not (safety.current_A <= limits.current_A):
        yield f"safety current {milliamps(safety.current_A)} is above the channel's limit {milliamps(limits.current_A)}"
    wanted = safety.temperature_degC
    if wanted is not None and limits.temperature_degC is not None and not contains(limits.temperature_degC, wanted):
        outer = f"{limits.temperature_degC[0]:.4g} °C to {limits.temperature_degC[1]:.4g} °C"
        yield f"safety temperature {wanted[0]:.4g} °C to {wanted[1]:.4g} °C reaches beyond the channel's limits {outer}"


def _leaf_in_channel(program: Program, leaf: Leaf, channel: ChannelSettings) -> Iterator[str]:
    match leaf.step:
        case RestStep() as step:
            yield from _window_in_channel(program, step, channel)
        case CurrentStep() as step:
            yield from _window_in_channel(program, step, channel)
            yield from _current_in_channel(step.path, abs(step.current_A), channel)
            yield from _without_ceiling(program, leaf, channel)
        case step:
            yield from _hold_in_channel(program, step, channel)
            yield from _without_ceiling(program, leaf, channel)


def _window_in_channel(program: Program, step: RestStep | CurrentStep, channel: ChannelSettings) -> Iterator[str]:
    limits, safety = channel.limits, program.safety
    for edge_V in filter(isfinite, step.window_V):
        if not contains(limits.voltage_V, (edge_V, edge_V)):
            outer = f"the channel's limits {span(limits.voltage_V)}"
            yield f"step {step.path}: its window (20 mV beyond the cut-off) reaches {edge_V:.4g} V, outside {outer}"
        elif not contains(wider(safety.voltage_V, BEYOND_CUTOFF_V + ROUND_OFF_V), (edge_V, edge_V)):
            outer = f"the safety voltage {span(safety.voltage_V or (-inf, inf))}"
            yield f"step {step.path}: its window reaches {edge_V:.4g} V, and with it its cut-off lies outside {outer}"


def _hold_in_channel(program: Program, step: HoldStep, channel: ChannelSettings) -> Iterator[str]:
    """A limit right at the voltage held would trip by noise, and one the protocol leaves open is the channel's."""
    room_V = HOLD_ROOM_V + HOLD_ROOM * abs(step.voltage_V)
    held_V = step.voltage_V - room_V, step.voltage_V + room_V
    outer = {"the channel's limits": channel.limits.voltage_V, "the safety voltage": program.safety.voltage_V}
    for whose, limits_V in outer.items():
        if limits_V is not None and not contains(limits_V, held_V):
            needs = f"a voltage held needs {room_V * 1e3:.1f} mV of room on either side"
            yield f"step {step.path}: {step.voltage_V:.4g} V is not inside {whose} {span(limits_V)}; {needs}"
    if step.current_limit_A != inf:
        yield from _current_in_channel(step.path, step.current_limit_A, channel)


def _current_in_channel(path: str, current_A: float, channel: ChannelSettings) -> Iterator[str]:
    most_A = channel.limits.current_A
    if not (current_A <= OWN_ERROR * most_A):
        room = "set must leave 2 % for the instrument's own error"
        yield f"step {path}: {milliamps(current_A)} is too much for the channel's limit {milliamps(most_A)}; what is {room}"


def _without_ceiling(program: Program, leaf: Leaf, channel: ChannelSettings) -> Iterator[str]:
    limits, ceilings = channel.limits, leaf_ceilings(program, leaf, hold_limit_A(channel, program.safety))
    charge_Ah = min(ceilings.charge_Ah, limits.step_charge_Ah or inf)
    if isinstance(leaf.whole, GittStep) and leaf.whole.pulses is None:  # the next pulse would be counted from zero
        charge_Ah = min(ceilings.whole_Ah, limits.step_charge_Ah or inf)
    if charge_Ah == inf or min(ceilings.time_s, limits.step_time_s or inf) == inf:
        yield (
            f"step {leaf.step.path} has no ceiling of charge or time if its cut-off is never seen: give it 'for' or "
            "'abort_if', the cell a capacity, or the channel step_capacity and step_time"
        )


def hold_limit_A(channel: ChannelSettings, safety: Safety) -> float:
    """The most a voltage held may take: where its own limit is higher or open, this one is set in its place."""
    return OWN_ERROR * min(channel.limits.current_A, inf if safety.current_A is None else safety.current_A)


def ceilings_by_path(program: Program, channel: ChannelSettings) -> dict[str, Ceilings]:
    """The ceilings of each path in the file; where ``for_each`` gives a path several values, the largest."""
    found: dict[str, Ceilings] = {}
    for leaf in leaves(program.steps):
        path, own = leaf.step.path, leaf_ceilings(program, leaf, hold_limit_A(channel, program.safety))
        other = found.get(path, own)
        charge_Ah, whole_Ah = max(own.charge_Ah, other.charge_Ah), max(own.whole_Ah, other.whole_Ah)
        found[path] = Ceilings(charge_Ah, max(own.time_s, other.time_s), whole_Ah)
    return found


def leaf_ceilings(program: Program, leaf: Leaf, hold_limit_A: float) -> Ceilings:
    """Where the guard, counting for itself, ends a step that the engine should have ended."""
    step, whole = _with_limit(leaf.step, hold_limit_A), leaf.whole
    charge_Ah, time_s = default_ceilings(program, step, whole)
    named_s = named_time_s(step, whole)
    if isinstance(step, RestStep):
        return Ceilings(inf, _late(named_s))
    named_Ah = named_charge_Ah(step, whole)
    slack = HOLD_CHARGE_SLACK if isinstance(step, HoldStep) else CHARGE_SLACK
    by_name_Ah = inf if named_Ah is None else named_Ah * slack
    whole_Ah = inf if whole is None else _together_Ah(program, whole)
    most_Ah = by_name_Ah if charge_Ah is None else charge_Ah
    return Ceilings(most_Ah, _late(named_s) if time_s is None else time_s, whole_Ah)


def _together_Ah(program: Program, whole: Whole) -> float:
    """What the parts of a step may pass together: what it names, else what the cell holds."""
    train = isinstance(whole, GittStep)
    ends = (*whole.until, *whole.abort_if) if isinstance(whole, GittStep) else whole.abort_if
    named = [
        clause.value
        for clause in lone_clauses(ends)
        if clause.watched is Watched.CAPACITY and clause.op is Op.AT_LEAST and clause.reference is None
    ]
    if named:
        return min(named) * (CHARGE_SLACK if train else HOLD_CHARGE_SLACK)
    capacity_Ah = cell_capacity_Ah(program)
    return inf if capacity_Ah is None else CHARGE_MARGIN * capacity_Ah


def _with_limit(step: TimedStep, hold_limit_A: float) -> TimedStep:
    if isinstance(step, HoldStep) and not step.current_limit_A <= hold_limit_A:
        return replace(step, current_limit_A=hold_limit_A)
    return step


def _late(time_s: float | None) -> float:
    return inf if time_s is None else time_s * TIME_SLACK + TIME_SLACK_S


def unseen_temperatures(program: Program, channel: ChannelSettings) -> Iterator[str]:
    """Steps that wait for a temperature nobody measures: such an end never comes, such an abort never saves a cell."""
    if channel.temperature not in {None, UNMONITORED}:
        return
    watching = [leaf.path for leaf in leaves(program.steps) if any(_watch_temperature(leaf))]
    for path in dict.fromkeys(watching):
        how = "name one with 'temperature = \"oven1\"' in station.toml, or take the condition out"
        yield f"step {path} watches the temperature, and the channel has no sensor: {how}"


def _watch_temperature(leaf: Leaf) -> Iterator[bool]:
    whole = leaf.whole
    ends = () if whole is None else (*whole.abort_if, *(whole.until if isinstance(whole, GittStep) else ()))
    for alternative in (*leaf.step.until, *leaf.step.abort_if, *ends):
        yield any(clause.watched is Watched.TEMPERATURE for clause in alternative.clauses)


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
