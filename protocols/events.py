"""What the engine is told and what it answers: events carry their time, actions say what must happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.model import Program, Setpoint
from protocols.quick import quick
from protocols.record import JSON, CycleSummary, EventRecord, Outcome, Row, StepSummary


@dataclass(frozen=True, slots=True)
class Started:
    at_s: float
    utc_s: float


@quick(frozen=True, slots=True)
class Sampled:
    """A reading the guard has passed. ``temperature_degC`` None: no sensor, or its value is missing."""

    at_s: float
    utc_s: float
    voltage_V: float
    current_A: float
    temperature_degC: float | None


@dataclass(frozen=True, slots=True)
class Paused:
    at_s: float
    utc_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Resumed:
    at_s: float
    utc_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Whoever drove the run is gone, and with it the current; told by whoever goes on, at the moment of the next event.

    What was on from the newest sample until the output went off is unknown, and counts for nothing.
    """

    at_s: float
    utc_s: float


@dataclass(frozen=True, slots=True)
class Skipped:
    at_s: float
    utc_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Stopped:
    at_s: float
    utc_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Tripped:
    """The guard has stopped the run; the output is being turned off already."""

    at_s: float
    utc_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Faulted:
    """Contact or the instrument failed; the run cannot go on."""

    at_s: float
    utc_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Amended:
    """From here on the run has this program; ``data``: what its record says of it."""

    at_s: float
    utc_s: float
    by: str
    program: Program
    data: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


Event = Started | Sampled | Paused | Resumed | Interrupted | Skipped | Stopped | Tripped | Faulted | Amended


@dataclass(frozen=True, slots=True)
class Apply:
    """Send this setpoint now; the next sample, once settled, is the first of the new step."""

    setpoint: Setpoint


@dataclass(frozen=True, slots=True)
class TurnOff:
    """Output off before anything else is done."""


@quick(frozen=True, slots=True)
class RecordRow:
    row: Row


@dataclass(frozen=True, slots=True)
class RecordEvent:
    event: EventRecord


@dataclass(frozen=True, slots=True)
class RecordStep:
    step: StepSummary


@dataclass(frozen=True, slots=True)
class RecordCycle:
    cycle: CycleSummary


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over; always comes with TurnOff. ``reason`` is one sentence for people."""

    outcome: Outcome
    reason: str


Action = Apply | TurnOff | RecordRow | RecordEvent | RecordStep | RecordCycle | Finish
