"""The state of a run as a small tree of frozen data, and its JSON: the checkpoint is the state itself.

Only ``Live`` changes at every sample, so that one sample rebuilds little. Times named ``at_s`` are the clock's, those
of rows and summaries are counted from the run's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from pydantic import TypeAdapter

from protocols.events import Sampled
from protocols.quick import quick
from protocols.record import Counters, Outcome, Row


class Phase(StrEnum):
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


@quick(frozen=True, slots=True)
class Frame:
    """Where a block stands: the step it is at, its pass (from 1), and whether this pass has got anywhere yet.

    In a step of several parts ``index`` is the part (0 or 1) and ``passes`` the pulse of a train.
    """

    index: int
    passes: int = 1
    moved: bool = False
    met: int = 0
    """Counted cycles in a row that met the ``stop_when`` of this repeat."""


Place = tuple[Frame, ...]
"""One frame for the program, one for each repeat around the present step, outermost first, and one for its parts."""


@quick(frozen=True, slots=True)
class Past:
    """Charges in Ah of the last completed steps, for ``% of``; None: none has been completed."""

    lithiate_Ah: float | None = None
    delithiate_Ah: float | None = None
    either_Ah: float | None = None
    labels: tuple[tuple[str, float], ...] = ()


@quick(frozen=True, slots=True)
class Together:
    """A step of several parts under way: what its finished parts make together."""

    zero_s: float
    """Clock reading at which its run time was, or without pauses would have been, zero."""
    charge_Ah: float = 0.0
    """Of a train the sum of its pulses: its rests do not count."""
    energy_Wh: float = 0.0
    moved: bool = False
    """One of its parts did more than begin."""
    ending: str | None = None
    """The alternative that ends a train: no pulse follows."""


@dataclass(frozen=True, slots=True)
class CycleCharge:
    """A completed cycle that some ``stop_when`` refers to."""

    cycle: int
    lithiation_Ah: float
    delithiation_Ah: float


NO_CHARGE = Counters()
NO_PAST = Past()


@quick(frozen=True, slots=True)
class Course:
    """What changes from step to step. The totals hold everything but the step being executed."""

    started_s: float = 0.0
    place: Place = ()
    step_count: int = 0
    cycle: int = 0
    cycle_started_s: float | None = None
    """Run time at which the open cycle began; None: no cycle is open."""
    run_total: Counters = NO_CHARGE
    cycle_total: Counters = NO_CHARGE
    past: Past = NO_PAST
    whole: Together | None = None
    sought: tuple[int, ...] = ()
    """Numbers of the cycles that some ``stop_when`` of the program refers to."""
    cycles: tuple[CycleCharge, ...] = ()
    """Those of them that are complete."""
    cycle_skipped: bool = False
    """A person skipped a step of the open cycle: its charge says nothing about the cell."""
    cycle_torn: bool = False
    """For a while nobody measured the current of the open cycle: some of its charge may be missing."""


@quick(frozen=True, slots=True)
class Execution:
    """One execution of a timed step, fixed between its first sample and its end but for pauses."""

    applied_s: float
    """When the output was last told something: a setpoint, or off at a pause."""
    fresh: bool = True
    """No sample has come since then."""
    clock_s: float = 0.0
    """Step time at ``applied_s``."""
    zero_s: float = 0.0
    """Clock reading at which the step time was, or without pauses would have been, zero."""
    first: Sampled | None = None


class Seen(NamedTuple):
    """What conditions look at: one sample within its step; current, charge, energy and slope are magnitudes.

    ``current_A`` None: the voltage has just been applied, and the current is not yet the cell's.
    """

    at_s: float
    time_s: float
    voltage_V: float
    current_A: float | None
    charge_Ah: float
    energy_Wh: float
    temperature_degC: float | None
    slope_V_s: float | None
    number: int = 0
    """Samples since the setpoint was applied."""
    against_verb: bool = False
    """The current of a hold flows the other way than the current step it follows."""


@quick(frozen=True, slots=True)
class Crossing:
    """The estimated moment (step time) and step charge at which a voltage threshold was crossed."""

    time_s: float
    charge_Ah: float


@quick(frozen=True, slots=True)
class Streak:
    """Consecutive samples at which a clause held, since a step time. No samples: it held once and failed again."""

    since_s: float
    samples: int
    crossing: Crossing | None = None


Streaks = tuple[Streak | None, ...]
"""One for each clause of a condition, in written order; empty: none has ever held."""


class Limit(StrEnum):
    VOLTAGE = "voltage"
    TEMPERATURE = "temperature"
    CURRENT = "current"
    CHARGE = "step charge"


Beyond = tuple[tuple[Limit, float], ...]
"""The safety limits exceeded at the newest sample and the clock reading since when, without a break."""


class Sums(NamedTuple):
    """Of a window's samples, counted from an origin near them. ``updates``: samples since they were summed anew."""

    origin_s: float
    origin_V: float
    t: float
    v: float
    tt: float
    tv: float
    updates: int = 0


@dataclass(frozen=True, slots=True)
class SlopeWindow:
    """Step times and voltages from which dV/dt is taken; kept only while a clause of the step watches it."""

    times_s: tuple[float, ...] = ()
    voltages_V: tuple[float, ...] = ()
    sums: Sums | None = None


class Live(NamedTuple):
    """What changes with every sample; a tuple, because one is made for each."""

    sample: Sampled | None = None
    seen: Seen | None = None
    """The newest sample of the step itself, none of a pause; None before its first."""
    step_total: Counters = NO_CHARGE
    until: Streaks = ()
    train: Streaks = ()
    """Of the ``until`` of a train, in its run time; those of ``until`` are the pulse's own."""
    abort: Streaks = ()
    """Of a step of several parts in its run time, from part to part."""
    beyond: Beyond = ()
    window: SlopeWindow | None = None
    recorded: Row | None = None
    unwritten: bool = False
    """The newest sample is not the recorded row."""


@dataclass(frozen=True, slots=True)
class Ending:
    outcome: Outcome
    reason: str


@quick(frozen=True, slots=True)
class State:
    phase: Phase
    course: Course
    step: Execution | None
    live: Live
    ending: Ending | None = None


@cache
def _adapter() -> TypeAdapter[State]:
    return TypeAdapter(State)


def to_json(state: State) -> str:
    """The whole state as text; floats come back bit by bit."""
    return _adapter().dump_json(state).decode()


def from_json(text: str) -> State:
    """The state that ``to_json`` wrote; any other text raises ``ValueError``."""
    return _adapter().validate_json(text)
