"""What the engine writes down: rows, step and cycle summaries, events. Frozen, JSON-able, units in the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from protocols.quick import quick

JSON = None | bool | int | float | str | list["JSON"] | Mapping[str, "JSON"]


@quick(frozen=True, slots=True)
class Counters:
    """Charge in Ah and energy in Wh passed in each direction; never negative, never falling within their scope."""

    oxidation_Ah: float = 0.0
    reduction_Ah: float = 0.0
    oxidation_Wh: float = 0.0
    reduction_Wh: float = 0.0


class Mark(StrEnum):
    """Why a row stands out."""

    NONE = ""
    START = "start"
    END = "end"
    PAUSED = "paused"


class Mode(StrEnum):
    """How the step regulates."""

    REST = "rest"
    CURRENT = "cc"
    VOLTAGE = "cv"


@quick(frozen=True, slots=True)
class Row:
    """One recorded sample with the counters of its moment.

    ``seq`` is dense, 1..n, within a run and epoch. ``time_s`` is monotonic time since the run's start, ``utc_s`` a
    label. ``current_A`` is measured, positive = oxidation. ``cycle`` is 0 before the first counted pass;
    ``step_count`` rises by one per executed step, ``step_id`` is the step's path in the file; within a step of several
    parts it names the part: 2.cv, or 3.12p for the twelfth pulse of a train.
    """

    seq: int
    time_s: float
    utc_s: float
    voltage_V: float
    current_A: float
    temperature_degC: float | None
    cycle: int
    step_count: int
    step_id: str
    mode: Mode
    direction: int
    """+1 while the step oxidises, -1 while it reduces, 0 in a rest and in a hold that follows no current."""
    step_time_s: float
    mark: Mark
    run_total: Counters
    cycle_total: Counters
    step_total: Counters


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One executed step. ``charge_Ah`` is at its end point; the crossing is interpolated where it can be, else None."""

    step_count: int
    step_id: str
    word: str
    cycle: int
    label: str | None
    started_s: float
    ended_s: float
    end_reason: str
    also_met: tuple[str, ...]
    charge_Ah: float
    energy_Wh: float
    start_voltage_V: float | None
    end_voltage_V: float | None
    crossing_s: float | None = None
    crossing_charge_Ah: float | None = None
    overshoot_V: float | None = None


@dataclass(frozen=True, slots=True)
class CycleSummary:
    """One completed cycle: capacities in Ah, energies in Wh, mean voltages in V (energy over charge), None if no charge."""

    cycle: int
    lithiation_Ah: float
    delithiation_Ah: float
    lithiation_Wh: float
    delithiation_Wh: float
    started_s: float
    ended_s: float


class EventKind(StrEnum):
    """Kinds of events in a run's record; ``data`` of each is flat JSON."""

    RUN_STARTED = "run_started"
    STEP_STARTED = "step_started"
    STEP_ENDED = "step_ended"
    CYCLE_ENDED = "cycle_ended"
    REPEAT_ENDED = "repeat_ended"
    NOTE = "note"
    WARNING = "warning"
    GAP = "gap"
    TRIP = "trip"
    FAULT = "fault"
    RETRY = "retry"
    """A reading was lost and asked for again; ``count`` of the step so far."""
    OPERATOR = "operator"
    EDGE = "edge"
    """The first sample after a setpoint: resistance, range, what the instrument says of the reading."""
    RUN_ENDED = "run_ended"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened, at run time ``time_s`` and wall clock ``utc_s``."""

    time_s: float
    utc_s: float
    kind: EventKind
    data: Mapping[str, JSON]


class Outcome(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    ABORTED = "aborted"
    TRIPPED = "tripped"
    FAULTED = "faulted"
