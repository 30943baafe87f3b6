"""Hard limits below the engine: every reading passes here first, and what is not provably inside is outside.

Pure decisions on frozen data. Nothing here can switch an output on or widen a limit; a ``Trip`` means off at once.
All comparisons are written ``not (low <= x <= high)``, so that NaN, which compares false with everything, trips.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite

from cycler_ctl.guarding import edges as guard_edges
from cycler_ctl.guarding import hold as guard_hold
from cycler_ctl.guarding import stuck as guard_stuck
from cycler_ctl.guarding import temperature as guard_temperature
from cycler_ctl.guarding.hold import Held, amps
from cycler_ctl.guarding.limits import Ceilings, GuardLimits, spent
from cycler_ctl.guarding.temperature import Warmth
from cycler_ctl.instrument import Flag, Measurement, Reading
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint, Window
from protocols.quick import quick

__all__ = ["Ceilings", "Guard", "GuardLimits", "GuardState", "GuardStep", "Severity", "Trip"]

TEMPERATURE_MAX_AGE_S = 30.0
AT_EDGE_V = 0.010  # half of the 20 mV between cut-off and window edge; more than an SMU's source plus measure error
LOW_SAMPLES = 3
LOW_FRACTION = 0.5  # of the setpoint: bounded constant current has left compliance
HIGH_FACTOR, HIGH_A = 2.0, 10e-9  # of the setpoint, and the offset of the lowest ranges: not what was set
OPEN_FRACTION = 0.01  # of the setpoint: nothing conducts; a cell that fills up falls more slowly than this
FUTURE_S = 1.0  # a reading may be younger than the caller's "now" by one exchange, never by more


class Severity(StrEnum):
    """A limit trips; contact or the instrument faults. Both turn the output off and stay until acknowledged."""

    TRIPPED = "tripped"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class Trip:
    """Output off now. ``reason`` is one sentence for the person at the cell."""

    severity: Severity
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class GuardStep:
    """What is set now. ``setpoint`` None: the output is to be off."""

    setpoint: Setpoint | None
    ceilings: Ceilings
    set_A: float = 0.0
    """Magnitude of the largest current the setpoint allows."""
    high_A: float = inf
    direction: int = 0
    """Of a constant current; what follows is looked at only where there is one."""
    edge_V: Window = (-inf, inf)
    """At or beyond these voltages bounded constant current stands at its window's edge."""
    low_A: float = 0.0
    open_A: float = 0.0


@quick(frozen=True, slots=True)
class GuardState:
    """What the guard has seen in this step. A trip stays until a new run makes a new state.

    ``held.odd`` > 0: the last reading contradicts what is set, and nobody else should believe it.
    """

    step: GuardStep
    at_s: float
    current_A: float = 0.0
    charge_Ah: float = 0.0
    time_s: float = 0.0
    low: int = 0
    """Readings in a row whose current is not what is set."""
    same: guard_stuck.Same = guard_stuck.NEW
    held: Held = guard_hold.NEW
    before_Ah: float = 0.0
    last: Reading | None = None
    """The newest reading; ``at_edge``: it was read before the setpoint that is set now."""
    at_edge: bool = True
    warmth: Warmth = guard_temperature.NEW
    trip: Trip | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one channel for one run."""

    limits: GuardLimits

    def begin_step(
        self,
        setpoint: Setpoint,
        ceilings: Ceilings,
        now_s: float,
        after: GuardState | None = None,
        *,
        part: bool = False,
    ) -> GuardState:
        """Counting starts at zero; the step's own ceilings only tighten the channel's.

        ``after``: the state before; ``part``: this is another part of the same step.
        """
        step = _step(setpoint, ceilings.within(self.limits.step), self.limits)
        if after is None:
            return GuardState(step, now_s)
        before_Ah = after.before_Ah + self._unread(after, now_s).charge_Ah if part else 0.0
        return GuardState(step, now_s, before_Ah=before_Ah, last=after.last, warmth=after.warmth)

    def turned_off(self, state: GuardState, now_s: float) -> GuardState:
        """The output was turned off within the step: its counts stand still."""
        off, state = GuardStep(None, state.step.ceilings), self._unread(state, now_s)
        return replace(state, step=off, at_s=now_s, current_A=0.0, low=0, same=guard_stuck.NEW)

    def _unread(self, state: GuardState, now_s: float) -> GuardState:
        """Counted on from the newest reading, but no longer than one may be late: then nobody knows what flowed."""
        if state.step.setpoint is None:
            return state
        passed_s = min(max(now_s - state.at_s, 0.0), self.limits.stale_s)
        charge_Ah = state.charge_Ah + _worst_A(state, state.current_A) * passed_s / 3600.0
        return replace(state, charge_Ah=charge_Ah, time_s=state.time_s + passed_s)

    def turned_on(self, state: GuardState, setpoint: Setpoint, now_s: float) -> GuardState:
        """The same step goes on: its counts go on too."""
        step = _step(setpoint, state.step.ceilings, self.limits)
        return replace(state, step=step, at_s=now_s, current_A=0.0, low=0, held=guard_hold.NEW, at_edge=True)

    def overdue(self, state: GuardState, now_s: float) -> Trip | None:
        """For the moment when no reading comes at all: how long may the output stay on unseen?"""
        if state.trip is not None or state.step.setpoint is None:
            return state.trip
        return _stale(now_s - state.at_s, self.limits.stale_s)

    def check(
        self, state: GuardState, reading: Reading, temperature: Measurement | None, now_s: float
    ) -> tuple[GuardState, Trip | None]:
        """Count this reading and judge it. ``temperature`` is the newest value of the channel's sensor."""
        if state.trip is not None:
            return state, state.trip
        step = state.step
        if step.setpoint is None:
            trip = _still_on(reading)
            return (state if trip is None else replace(state, trip=trip)), trip
        after = _counted(self.limits, state, reading, state.warmth.seen(temperature))
        trip = (
            self._untrusted(state, reading, now_s)
            or _outside(self.limits, state, reading)
            or self.wrong_temperature(step.setpoint, temperature, now_s)
            or _found(Severity.FAULTED, guard_temperature.doubtful(self.limits, after.warmth))
            or _found(Severity.TRIPPED, spent(step.ceilings, after.charge_Ah, after.before_Ah, after.time_s))
            or _found(Severity.FAULTED, guard_stuck.stuck(after.same, self.limits.stuck_s))
            or _contact(self.limits, after, reading)
        )
        return (after, None) if trip is None else (replace(after, trip=trip), trip)

    def _untrusted(self, state: GuardState, reading: Reading, now_s: float) -> Trip | None:
        age_s, passed_s = now_s - reading.at_s, reading.at_s - state.at_s
        if age_s < -FUTURE_S or passed_s < 0.0:
            return Trip(Severity.FAULTED, "clock", "the readings' times run backwards, so none of them can be believed")
        return _stale(age_s, self.limits.stale_s) or _stale(passed_s, self.limits.stale_s)

    def wrong_temperature(self, setpoint: Setpoint, temperature: Measurement | None, now_s: float) -> Trip | None:
        """Why this must not be set, or go on, at the newest value of the sensor."""
        bounds = self.limits.temperature_degC
        if bounds is None:
            return None
        if temperature is None or not (-FUTURE_S <= now_s - temperature.at_s <= TEMPERATURE_MAX_AGE_S):
            return _found(Severity.FAULTED, guard_temperature.missing(temperature, now_s, TEMPERATURE_MAX_AGE_S))
        # A cell at rest may still be waiting to be heated: only the upper limit holds then.
        low = -inf if isinstance(setpoint, Rest) else bounds[0]
        if isfinite(temperature.value) and low <= temperature.value <= bounds[1]:
            return None
        limits = f"the limits {bounds[0]:.5g} °C to {bounds[1]:.5g} °C"
        return Trip(Severity.TRIPPED, "temperature", f"temperature {temperature.value:.5g} °C is outside {limits}")


def _step(setpoint: Setpoint, ceilings: Ceilings, limits: GuardLimits) -> GuardStep:
    match setpoint:
        case ConstantCurrent(current_A, (low_V, high_V)):
            set_A, direction = abs(current_A), (current_A > 0) - (current_A < 0)
            edge_V = (low_V + AT_EDGE_V if direction < 0 else -inf, high_V - AT_EDGE_V if direction > 0 else inf)
            low_A, high_A = LOW_FRACTION * set_A, HIGH_FACTOR * set_A + HIGH_A
            return GuardStep(setpoint, ceilings, set_A, high_A, direction, edge_V, low_A, OPEN_FRACTION * set_A)
        case ConstantVoltage(_, limit_A):
            return GuardStep(setpoint, ceilings, limit_A)
        case rest:
            return GuardStep(rest, ceilings, high_A=limits.rest_A)


def _counted(limits: GuardLimits, state: GuardState, reading: Reading, warmth: Warmth) -> GuardState:
    """Charge counted as if the largest current seen or set had flowed all the time: never less than the truth."""
    step, held = state.step, state.held
    current_A, passed_s = abs(reading.current_A), reading.at_s - state.at_s
    worst_A = _worst_A(state, current_A)
    if isinstance(step.setpoint, ConstantVoltage):
        held = guard_hold.seen(held, step.setpoint, reading)
    low = 0 if _as_set(limits, step, reading) else state.low + 1
    charge_Ah, same = state.charge_Ah + worst_A * passed_s / 3600.0, state.same.seen(reading, passed_s)
    return GuardState(
        step=step,
        at_s=reading.at_s,
        current_A=current_A,
        charge_Ah=charge_Ah,
        time_s=state.time_s + passed_s,
        low=low,
        same=same,
        held=held,
        before_Ah=state.before_Ah,
        last=reading,
        at_edge=False,
        warmth=warmth,
    )


def _worst_A(state: GuardState, current_A: float) -> float:
    """The most that may have flowed since the newest reading; ``current_A`` flows now."""
    if isinstance(state.step.setpoint, ConstantVoltage):
        return guard_hold.worst_A(state.held, state.step.setpoint, current_A)
    return max(current_A, state.current_A, state.step.set_A)


def _as_set(limits: GuardLimits, step: GuardStep, reading: Reading) -> bool:
    """Whether the current is that of the setpoint; less of it within the window is the engine's matter."""
    along_A = reading.current_A * step.direction
    if not abs(reading.current_A) <= step.high_A:
        return False
    if not step.direction or along_A >= step.low_A:
        return True
    within = not limits.bounded or step.edge_V[0] < reading.voltage_V < step.edge_V[1]
    return within and along_A > -step.low_A


def _stale(age_s: float, stale_s: float) -> Trip | None:
    if age_s <= stale_s:
        return None
    return Trip(Severity.FAULTED, "stale", f"no fresh reading for {age_s:.3g} s (at most {stale_s:.3g} s are allowed)")


def _still_on(reading: Reading) -> Trip | None:
    if reading.output_on is False:
        return None
    return Trip(Severity.FAULTED, "output", "the instrument says its output is on although it was turned off")


def _found(severity: Severity, found: tuple[str, str] | None) -> Trip | None:
    return None if found is None else Trip(severity, *found)


def _outside(limits: GuardLimits, state: GuardState, reading: Reading) -> Trip | None:
    low_V, high_V = limits.voltage_V
    numbers = isfinite(reading.voltage_V) and isfinite(reading.current_A)
    if numbers and (why := guard_edges.beyond(limits, reading)) is not None:
        return Trip(Severity.TRIPPED, *why)  # says more than that a limit was passed
    if not (low_V <= reading.voltage_V <= high_V):
        inside = f"the channel's limits {low_V:.5g} V to {high_V:.5g} V"
        return Trip(Severity.TRIPPED, "voltage", f"voltage {reading.voltage_V:.5g} V is outside {inside}")
    if not (-limits.current_A <= reading.current_A <= limits.current_A):
        reason = f"current {amps(reading.current_A)} is beyond the channel's limit of {amps(limits.current_A)}"
        return Trip(Severity.TRIPPED, "current", reason)
    return _found(Severity.FAULTED, guard_edges.changed(limits, state.last, reading, at_edge=state.at_edge))


def _contact(limits: GuardLimits, state: GuardState, reading: Reading) -> Trip | None:
    step = state.step
    if reading.output_on is not True and not isinstance(step.setpoint, Rest):
        return Trip(Severity.FAULTED, "output", "the instrument says its output is off although it should be on")
    if Flag.OVERVOLTAGE_PROTECTION in reading.flags:
        return Trip(Severity.FAULTED, "ovp", "the instrument's over-voltage protection has acted")
    if isinstance(step.setpoint, ConstantVoltage):
        return _found(Severity.FAULTED, guard_hold.contact(state.held, step.setpoint, reading))
    if step.direction and not limits.bounded and Flag.COMPLIANCE in reading.flags:
        at = f"{reading.voltage_V:.5g} V and {amps(reading.current_A)}"
        return Trip(Severity.FAULTED, "compliance", f"the instrument has reached its voltage compliance, at {at}")
    return _low_current(limits, state, reading) if state.low else None


def _low_current(limits: GuardLimits, state: GuardState, reading: Reading) -> Trip | None:
    """Not the current that was set: an open circuit, a window reached unseen, or another setting than ours."""
    step = state.step
    numbers = f"{amps(reading.current_A)} flow instead of {amps(step.set_A * step.direction)}"
    if step.direction and abs(reading.current_A) <= step.open_A and state.low >= limits.open_samples:
        reason = f"open circuit: {numbers} at {reading.voltage_V:.5g} V; check the leads and the cell's contacts"
        return Trip(Severity.FAULTED, "open-circuit", reason)
    if state.low < LOW_SAMPLES:
        return None
    if not abs(reading.current_A) <= step.high_A:
        reason = f"{numbers}: the instrument does not do what it was set to"
        return Trip(Severity.FAULTED, "not-as-set", reason)
    if reading.current_A * step.direction <= -step.low_A:
        reason = f"the current flows the wrong way: {numbers}; check the polarity of the cell"
        return Trip(Severity.FAULTED, "direction", reason)
    unseen = "the edge of the window was reached without its cut-off being seen"
    return Trip(Severity.FAULTED, "window", f"{numbers} at {reading.voltage_V:.5g} V: {unseen}")
