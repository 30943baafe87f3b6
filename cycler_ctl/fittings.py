"""What a run is made of and connected to: the data between station, slot and runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cycler_ctl.clock import Clock
from cycler_ctl.errors import CyclerError
from cycler_ctl.guard import Ceilings, Guard
from cycler_ctl.instrument import Channel, Instrument, Measurement
from cycler_ctl.lease import Lease
from cycler_ctl.register import SafeOffEntry
from cycler_ctl.store.writer import Pending
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint, Window
from protocols.record import CycleSummary, EventRecord, Outcome, Row, StepSummary


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
    def pending(self) -> Pending: ...
    @property
    def failed(self) -> CyclerError | None: ...


@dataclass(frozen=True, slots=True)
class Fittings:
    """What a run is connected to; everything here is owned by the station."""

    name: str
    channel: Channel
    instrument: Instrument
    clock: Clock
    guard: Guard
    ceilings: Mapping[str, Ceilings]
    """What each step (by its path) may pass at most."""
    recorder: Recorder
    temperature: Callable[[], Measurement | None]
    limits_V: Window
    sample_every_s: float
    lease: Lease
    safe_off: SafeOffEntry
    """How the guardian reaches this output when we are gone."""
    changed: Callable[[], None]
    """Called when the state a person sees has changed."""


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended and whether off was confirmed by read-back."""

    outcome: Outcome
    reason: str
    off_confirmed: bool


def narrowed(setpoint: Setpoint, limits_V: Window) -> Setpoint:
    """The setpoint with its window inside the channel's limits."""
    match setpoint:
        case Rest() | ConstantCurrent():
            low_V, high_V = setpoint.window_V
            return replace(setpoint, window_V=(max(low_V, limits_V[0]), min(high_V, limits_V[1])))
        case ConstantVoltage():
            return setpoint
