"""What a run is made of and connected to: the data between station, slot and runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Protocol

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.switches import Switches
from cycler_ctl.clock import Clock
from cycler_ctl.errors import CyclerError, RefusedError
from cycler_ctl.guard import Ceilings, Guard
from cycler_ctl.instrument import Channel, Instrument, Measurement
from cycler_ctl.store.writer import Pending
from cycler_ctl.watching.lease import Lease
from cycler_ctl.watching.register import SafeOffEntry
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint, Window
from protocols.record import CycleSummary, EventRecord, Outcome, Row, StepSummary

STALE_TEMPERATURE_S = 30.0
SETTLE_S = 0.1  # a new setpoint's first sample is taken when it has settled: 100 ms or 3 sample periods


class Recorder(Protocol):
    """The run's writer, as far as a run needs it."""

    def append(
        self,
        rows: tuple[Row, ...],
        events: tuple[EventRecord, ...],
        steps: tuple[StepSummary, ...],
        cycles: tuple[CycleSummary, ...],
        checkpoint: Callable[[], str],
    ) -> None: ...
    def hurry(self) -> None: ...
    def pending(self) -> Pending: ...
    @property
    def failed(self) -> CyclerError | None: ...


@dataclass(frozen=True, slots=True)
class Fittings:
    """What a run is connected to; everything here is owned by the station."""

    name: str
    channel: Channel
    instrument: Instrument
    contact: Contact
    """The connection they are reached by, which other runs may share."""
    clock: Clock
    guard: Guard
    ceilings: Mapping[str, Ceilings]
    """What each step (by its path in the file) may pass at most."""
    recorder: Recorder
    temperature: Callable[[], Measurement | None]
    limits_V: Window
    hold_limit_A: float
    """The most a voltage held may take."""
    sample_every_s: float
    lease: Lease
    safe_off: SafeOffEntry
    """How the guardian reaches this output when we are gone."""
    changed: Callable[[], None]
    """Called when the state a person sees has changed."""
    started_by: str = ""
    """Who asked for the run, for its record."""
    switches: Switches = field(default_factory=Switches)
    """The channel's, over all its runs."""
    let_go: Callable[[str], None] = lambda _why: None
    """Gives up the connection, why, so that it is made anew."""


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended and whether off was confirmed by read-back. ``outcome`` None: it stays interrupted."""

    outcome: Outcome | None
    reason: str
    off_confirmed: bool


def goes_on(before: str, step_id: str) -> bool:
    """Whether these are two parts of one execution of a step: n.cc and n.cv, or a train's n.1p, n.1r, n.2p ..."""
    (whole, _, was), (same, _, part) = before.rpartition("."), step_id.rpartition(".")
    if whole != same or was.isdecimal() or part.isdecimal():
        return False
    return part not in {"cc", "1p"}


def fresh(temperature: Measurement | None, now_s: float) -> float | None:
    """An old value is a missing one, and so is one of no known age or that is no number."""
    if temperature is None or not (now_s - temperature.at_s <= STALE_TEMPERATURE_S) or not isfinite(temperature.value):
        return None
    return temperature.value


def rest_of(fit: Fittings) -> Setpoint:
    """0 A, wherever within the channel's limits the cell is."""
    return narrowed(Rest((-inf, inf)), fit.limits_V, fit.hold_limit_A)


def narrowed(setpoint: Setpoint, limits_V: Window, hold_limit_A: float) -> Setpoint:
    """The setpoint inside the channel's limits. RefusedError for a voltage outside: holding another is no narrowing."""
    match setpoint:
        case Rest() | ConstantCurrent():
            low_V, high_V = setpoint.window_V
            return replace(setpoint, window_V=(max(low_V, limits_V[0]), min(high_V, limits_V[1])))
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            if not limits_V[0] <= voltage_V <= limits_V[1]:
                raise RefusedError(
                    f"{voltage_V:g} V is outside the channel's limits {limits_V[0]:g} V to {limits_V[1]:g} V"
                )
            return setpoint if limit_A <= hold_limit_A else replace(setpoint, current_limit_A=hold_limit_A)
