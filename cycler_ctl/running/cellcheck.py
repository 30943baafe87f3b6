"""Is there a cell, the right one, and connected as it must be? Asked at 0 A, whenever an output goes on, before current flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from cycler_ctl.errors import DeviceFault, InstrumentError, RefusedError, StoreError
from cycler_ctl.guard import Ceilings, GuardState, Severity, Trip
from cycler_ctl.guarding.losses import TOLERANT, TOLERATED
from cycler_ctl.running.fittings import SETTLE_S, Fittings, fresh, rest_of
from cycler_ctl.running.output import Output, said
from protocols.charge import throughput_Ah
from protocols.events import Faulted, Tripped
from protocols.model import Program, RestStep, Setpoint, TimedStep, Window
from protocols.planning.forecast import leaves
from protocols.record import JSON
from protocols.running.place import step_at
from protocols.running.state import State
from protocols.running.view import setpoint

BEFORE = "the cell at rest, before any current"
LOOKS = 3
FLOATING_V = 0.250
"""Between looks 0.1 s apart: a cell whose current has just stopped moves less, the bias current of an open input more."""
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


def _too_cold(fit: Fittings, program: Program, step: TimedStep | None) -> str | None:
    """A cell at rest may be cold, one that is driven not: what comes next would end the run at its first reading."""
    temperature, now_s = fit.temperature(), fit.clock.now()
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
        f"{low_V:.4g} V to {high_V:.4g} V would be expected: is it the same cell, connected the same way? Put that one "
        "back and resume, or end this run: 'cycler-ctl stop' if it is paused, 'cycler-ctl acknowledge' if interrupted"
    )


def floating(seen_V: Sequence[float]) -> str | None:
    """Why these are no cell's: an input that hangs in the air is charged by its own bias current."""
    if all(abs(one_V - other_V) <= FLOATING_V for one_V in seen_V for other_V in seen_V):
        return None
    looks = ", ".join(f"{one_V:.4g} V" for one_V in seen_V)
    return f"the voltage at rest does not stand still ({looks}): a lead is open, or its contact bad"


@dataclass(frozen=True, slots=True)
class AtRest:
    """What was found. ``guarded``: what the guard has seen; the output is on, at 0 A."""

    guarded: GuardState
    voltage_V: float
    last_V: float | None

    def told(self) -> Mapping[str, JSON]:
        """For the record."""
        return {"text": BEFORE, "voltage_V": self.voltage_V, "last_voltage_V": self.last_V}


async def looked(
    fit: Fittings,
    output: Output,
    program: Program,
    state: State,
    stopping: Callable[[], bool],
    *,
    last: LastSeen | None = None,
) -> AtRest | Exception:
    """The cell at 0 A; or why no current may flow, with the output perhaps on."""
    try:
        fit.switches.on(fit.clock.now())
        async with fit.contact.patience():
            return await at_rest(fit, output, program, state, stopping, last=last)
    except (InstrumentError, RefusedError, StoreError, TimeoutError) as error:
        return error


async def at_rest(
    fit: Fittings,
    output: Output,
    program: Program,
    state: State,
    stopping: Callable[[], bool],
    *,
    last: LastSeen | None = None,
) -> AtRest:
    """The cell at 0 A, before current flows. ``last``: as it was before nobody watched it.

    Raises what ``Output.apply`` and ``Channel.read`` do, DeviceFault for a connection that is none, and RefusedError for
    a cell that is not as it must be, or a stop meanwhile. Whatever comes of it: nothing but 0 A was set.
    """
    guarded, seen = await _looks(fit, output, rest_of(fit), stopping)
    if (open_lead := floating(seen)) is not None:
        raise DeviceFault(open_lead)
    found_V = median(seen)
    first = (
        step_at(program, state.course.place)
        if state.step
        else next((leaf.step for leaf in leaves(program.steps)), None)
    )
    why_not = objection(found_V, last, program.safety.voltage_V) or _too_cold(fit, program, first)
    if why_not is not None:
        raise RefusedError(why_not)
    return AtRest(guarded, found_V, None if last is None else last.voltage_V)


async def _looks(
    fit: Fittings, output: Output, rest: Setpoint, stopping: Callable[[], bool]
) -> tuple[GuardState, list[float]]:
    """What the guard knows after some good readings at 0 A, and their voltages."""
    await output.apply(rest)
    guarded = fit.guard.begin_step(rest, Ceilings(), fit.clock.now())
    seen: list[float] = []
    lost = 0
    while len(seen) < LOOKS:
        await fit.clock.sleep_until(fit.clock.now() + max(SETTLE_S, fit.channel.ratings.fastest_sample_s))
        if stopping():
            raise RefusedError("a stop was asked for meanwhile")
        try:
            reading = await fit.channel.read()
        except TOLERANT:
            lost += 1
            if lost >= TOLERATED:
                raise
            output.renew()  # what is lost is the instrument's answer, not the station
            await fit.instrument.resync()
            continue
        guarded, trip = fit.guard.check(guarded, reading, fit.temperature(), fit.clock.now())
        if trip is not None:
            raise _refusal(trip)
        output.renew()
        seen.append(reading.voltage_V)
    return guarded, seen


def _refusal(trip: Trip) -> RefusedError | DeviceFault:
    return RefusedError(trip.reason) if trip.severity is Severity.TRIPPED else DeviceFault(trip.reason)


def not_begun(found: Exception, at_s: float, utc_s: float) -> Tripped | Faulted:
    """How a run ends whose cell got no current: by its cell, or by its instrument."""
    ends = Tripped if isinstance(found, RefusedError) else Faulted
    return ends(at_s, utc_s, f"no current was let through: {said(found)}")


def recounted(guarded: GuardState, state: State, ceilings: Ceilings) -> GuardState:
    """The counts of a guard that is gone go on from the engine's; ``guarded`` is what was seen at rest."""
    return replace(
        guarded,
        step=replace(guarded.step, ceilings=ceilings),
        charge_Ah=throughput_Ah(state.live.step_total),
        time_s=0.0 if state.live.seen is None else state.live.seen.time_s,
        before_Ah=0.0 if state.course.whole is None else state.course.whole.charge_Ah,
    )
