"""Is this still the cell, and connected as it was? Asked at 0 A, before a run that was interrupted passes current again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from statistics import median

from cycler_ctl.errors import RefusedError
from cycler_ctl.fittings import SETTLE_S, Fittings, ceilings_of, fresh, narrowed
from cycler_ctl.guard import GuardState
from cycler_ctl.output import Output
from protocols.charge import throughput_Ah
from protocols.model import Program, Rest, RestStep, Window
from protocols.running.place import path_at, step_at
from protocols.running.state import State
from protocols.running.view import setpoint

LOOKS = 3
AS_IT_WAS_V = 0.100
RELAXED_V = 0.500
"""How far a cell's voltage may go back once no current drives it: overpotential and resistance, in hours."""
RESTED_S = 3600.0
"""After a rest of this length the voltage is taken to stand still."""


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The last sample before the interruption. ``pull``: -1 where a current pulled the voltage down, +1 up, 0 neither.

    ``None``: the cell rested, but not for long, so nobody knows from which side it comes.
    """

    voltage_V: float
    pull: int | None


def last_seen(program: Program, state: State) -> LastSeen | None:
    """None: the run never had a sample."""
    sample, step = state.live.sample, step_at(program, state.course.place)
    if sample is None:
        return None
    if isinstance(step, RestStep):
        rested_s = 0.0 if state.live.seen is None else state.live.seen.time_s
        return LastSeen(sample.voltage_V, 0 if rested_s >= RESTED_S else None)
    return LastSeen(sample.voltage_V, (sample.current_A > 0) - (sample.current_A < 0))


def plausible_V(last: LastSeen) -> Window:
    """Within 100 mV of the last voltage; up to 500 mV the way it relaxes when the current that pulled it is gone.

    A cell with its leads swapped, another cell, an open or shorted lead lie outside for most chemistries, not for all.
    """
    back = 0 if last.pull is None else -last.pull
    down_V = RELAXED_V if last.pull is None or back < 0 else AS_IT_WAS_V
    up_V = RELAXED_V if last.pull is None or back > 0 else AS_IT_WAS_V
    return last.voltage_V - down_V, last.voltage_V + up_V


def _too_cold(fit: Fittings, program: Program, state: State) -> str | None:
    """A cell at rest may be cold, one that is driven not: what comes next would end the run at its first reading."""
    step, temperature, now_s = step_at(program, state.course.place), fit.temperature(), fit.clock.now()
    if step is None or isinstance(step, RestStep):
        return None
    trip = fit.guard.wrong_temperature(setpoint(step), temperature, now_s)
    if trip is not None:
        return trip.reason
    wanted, found = program.safety.temperature_degC, fresh(temperature, now_s)
    if wanted is None or found is None or wanted[0] <= found <= wanted[1]:
        return None
    return f"temperature {found:.5g} °C is outside the run's {wanted[0]:.5g} °C to {wanted[1]:.5g} °C"


def objection(found_V: float, last: LastSeen | None, safety_V: Window | None) -> str | None:
    """Why no current may flow, None if it may."""
    if safety_V is not None and not (safety_V[0] <= found_V <= safety_V[1]):
        return f"the cell has {found_V:.4g} V at rest, outside the run's {safety_V[0]:.4g} V to {safety_V[1]:.4g} V"
    if last is None:
        return None
    low_V, high_V = plausible_V(last)
    if low_V <= found_V <= high_V:
        return None
    return (
        f"the cell has {found_V:.4g} V at rest, after {last.voltage_V:.4g} V when it was last seen only "
        f"{low_V:.4g} V to {high_V:.4g} V would be expected: is it the same cell, connected the same way?"
    )


@dataclass(frozen=True, slots=True)
class AtRest:
    """What was found. ``guarded``: the guard's counts, which go on from the engine's, because its own are gone."""

    guarded: GuardState
    voltage_V: float
    last_V: float | None


async def at_rest(fit: Fittings, output: Output, program: Program, state: State, asked: Callable[[], bool]) -> AtRest:
    """The cell at 0 A, with the output on. Raises what ``Output.apply`` does, and RefusedError for a cell that is not as it must be."""
    rest = narrowed(Rest((-inf, inf)), fit.limits_V, fit.hold_limit_A)
    ceilings = ceilings_of(fit, path_at(program, state.course.place))
    await output.apply(rest)
    guarded = replace(
        fit.guard.begin_step(rest, ceilings, fit.clock.now()),
        charge_Ah=throughput_Ah(state.live.step_total),
        time_s=0.0 if state.live.seen is None else state.live.seen.time_s,
        before_Ah=0.0 if state.course.whole is None else state.course.whole.charge_Ah,
    )
    seen: list[float] = []
    while len(seen) < LOOKS:
        await fit.clock.sleep_until(fit.clock.now() + max(SETTLE_S, fit.channel.ratings.fastest_sample_s))
        if asked():
            raise RefusedError("something else was asked of the channel meanwhile")
        reading = await fit.channel.read()
        guarded, trip = fit.guard.check(guarded, reading, fit.temperature(), fit.clock.now())
        if trip is not None:
            raise RefusedError(trip.reason)
        output.renew()
        seen.append(reading.voltage_V)
    last, found_V = last_seen(program, state), median(seen)
    why_not = objection(found_V, last, program.safety.voltage_V) or _too_cold(fit, program, state)
    if why_not is not None:
        raise RefusedError(why_not)
    return AtRest(guarded, found_V, None if last is None else last.voltage_V)
