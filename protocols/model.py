"""What a run does, as frozen data: the program the engine executes, with every quantity in SI, Ah or Wh.

A protocol file becomes a ``Program`` in ``check.py``: variables are replaced, words are resolved to a direction,
densities and rates to amperes. Positive current oxidises (delithiates) the working electrode.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Window = tuple[float, float]
"""Lowest and highest voltage in V the instrument itself allows: the hardware backstop of a setpoint.

In a Program a side may be infinite (the protocol says nothing); the runner narrows it to the channel's limits."""


@dataclass(frozen=True, slots=True)
class Rest:
    """No current; how the cell is still seen is the driver's matter."""

    window_V: Window


@dataclass(frozen=True, slots=True)
class ConstantCurrent:
    """A signed current in A (+ oxidises the working electrode) inside a voltage window."""

    current_A: float
    window_V: Window


@dataclass(frozen=True, slots=True)
class ConstantVoltage:
    """A voltage in V held with at most ``current_limit_A`` (a magnitude)."""

    voltage_V: float
    current_limit_A: float


Setpoint = Rest | ConstantCurrent | ConstantVoltage


class Verb(StrEnum):
    """What a current step does to the working electrode."""

    LITHIATE = "lithiate"
    DELITHIATE = "delithiate"


class Watched(StrEnum):
    """What a clause looks at; all but voltage and temperature are magnitudes."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    TIME = "time"
    CAPACITY = "capacity"
    ENERGY = "energy"
    TEMPERATURE = "temperature"
    SLOPE = "dV/dt"


class Op(StrEnum):
    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True, slots=True)
class PreviousOf:
    """The last completed step of a verb (or of any kind: ``verb`` None), across cycles."""

    verb: Verb | None


@dataclass(frozen=True, slots=True)
class LabelOf:
    """The last completed execution of the step with this label."""

    label: str


Reference = PreviousOf | LabelOf


@dataclass(frozen=True, slots=True)
class Clause:
    """``watched op value [for for_s]``.

    ``value`` is in V, A, s, Ah, Wh, degC or V/s; with a ``reference`` it is a fraction (1.2 for 120 %) of that
    step's capacity in Ah.
    """

    watched: Watched
    op: Op
    value: float
    for_s: float | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Clauses that must all hold; ``text`` is how people read it, e.g. ``voltage <= 0.2 V``."""

    clauses: tuple[Clause, ...]
    text: str


Condition = tuple[Alternative, ...]
"""Alternatives in written order; any one ends the step. Empty: never met."""


@dataclass(frozen=True, slots=True)
class Record:
    """Record a point when any of these differences to the last recorded point is reached; None: not watched."""

    time_s: float | None = None
    voltage_V: float | None = None
    current_A: float | None = None
    charge_Ah: float | None = None
    temperature_K: float | None = None


@dataclass(frozen=True, slots=True)
class Safety:
    """The run's envelope, watched by the engine at every sample; None: not limited by the protocol."""

    voltage_V: Window | None = None
    temperature_degC: tuple[float, float] | None = None
    current_A: float | None = None
    step_charge_Ah: float | None = None
    for_s: float = 0.0


class OnStartMet(StrEnum):
    SKIP = "skip"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class RestStep:
    """``path`` is the step's place in the file ("2.1.3"), the same in every pass. ``until`` holds ``for`` last."""

    path: str
    until: Condition
    abort_if: Condition
    record: Record
    window_V: Window
    label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """A constant-current step. ``word`` is the verb as written (lithiate, charge, ...)."""

    path: str
    word: str
    verb: Verb
    current_A: float
    until: Condition
    abort_if: Condition
    record: Record
    window_V: Window
    on_start_met: OnStartMet = OnStartMet.SKIP
    label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class HoldStep:
    """A voltage held. ``current_limit_A`` is a magnitude; infinite: the protocol says nothing and the channel decides.

    ``verb`` is that of the current step it follows in a ``CccvStep``, None for a hold by itself. A clause that watches
    the current does not count before ``TAPER_AFTER_S`` or ``TAPER_AFTER_SAMPLES``, whichever comes first.
    """

    path: str
    word: str
    voltage_V: float
    current_limit_A: float
    until: Condition
    abort_if: Condition
    record: Record
    verb: Verb | None = None
    label: str | None = None
    note: str | None = None


TAPER_AFTER_S = 1.0
TAPER_AFTER_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class CccvStep:
    """A current, then (if one of the alternatives ``hold_after`` of its ``until`` ended it) that voltage held.

    Two steps in the record (``current`` has path n.cc, ``hold`` n.cv), one to people: ``label``, ``% of`` and
    ``abort_if`` mean both together, with their times and charges added. The parts have no abort_if and label of their own.
    """

    path: str
    current: CurrentStep
    hold: HoldStep
    hold_after: tuple[int, ...]
    abort_if: Condition
    label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class GittStep:
    """A train of pulses, each a current and then a rest; ``pulses`` None: only ``until`` ends it.

    ``until`` is watched during pulses only: the pulse ends, its rest still runs, the train ends. Time, capacity and
    energy of ``until`` and ``abort_if`` are those of the whole train; its capacity is the sum of its pulses. In the
    record pulse k is n.kp and its rest n.kr, where ``pulse.path`` is n.p and ``rest.path`` n.r.
    """

    path: str
    pulse: CurrentStep
    rest: RestStep
    until: Condition
    pulses: int | None
    abort_if: Condition
    label: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NoteStep:
    """Text for the log; takes no time."""

    path: str
    text: str


class Retention(StrEnum):
    """What a ``stop_when`` looks at in each counted cycle."""

    CAPACITY = "capacity"
    EFFICIENCY = "coulombic efficiency"


@dataclass(frozen=True, slots=True)
class StopWhen:
    """Ends its repeat after ``cycles`` counted cycles in a row that meet it.

    ``value`` is in Ah; a fraction where ``of_cycle`` names the cycle it refers to, and for an efficiency. ``verb`` is
    the direction whose capacity counts: for an efficiency the one that gives back what the other put in.
    """

    watched: Retention
    verb: Verb
    op: Op
    value: float
    text: str
    of_cycle: int | None = None
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class RepeatStep:
    """A block run ``times`` times. ``counts``: each pass is a cycle.

    A repeat with ``for_each`` is one pass over repeats of the same path, one for each value in turn; ``values`` are
    then the names and texts of the values such a repeat runs with.
    """

    path: str
    times: int
    counts: bool
    steps: tuple[Step, ...]
    label: str | None = None
    note: str | None = None
    stop_when: StopWhen | None = None
    values: tuple[tuple[str, str], ...] = ()


Whole = CccvStep | GittStep
"""Steps that are one to people and several in the record."""
TimedStep = RestStep | CurrentStep | HoldStep
"""What the instrument does at one time: one step of the record."""
Step = TimedStep | Whole | NoteStep | RepeatStep


@dataclass(frozen=True, slots=True)
class Cell:
    """The cell as described by the user. Areas in cm2, masses in g, specific capacities in Ah/g, amounts in Ah."""

    name: str
    area_cm2: float | None = None
    electrode_mass_g: float | None = None
    active_mass_g: float | None = None
    active_material: str | None = None
    composition: tuple[tuple[str, float], ...] = ()
    theoretical_specific_capacity_Ah_per_g: float | None = None
    theoretical_capacity_Ah: float | None = None
    nominal_capacity_Ah: float | None = None
    discharge_means: Verb | None = None
    as_built: str | None = None
    working_electrode: str | None = None
    counter_electrode: str | None = None
    electrolyte: str | None = None
    temperature_degC: float | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the channel, not the protocol, decides. ``temperature_watched`` False: said by the user and recorded."""

    sample_every_s: float = 1.0
    debounce: int = 2
    """Consecutive samples a voltage cut-off needs while samples come at least once a second; slower: 1."""
    slope_window_s: float = 60.0
    temperature_watched: bool = True


@dataclass(frozen=True, slots=True)
class Program:
    """A whole protocol, checked and resolved against its cell."""

    name: str
    cell: Cell
    safety: Safety
    steps: tuple[Step, ...]
    description: str = ""
    author: str = ""
    source: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    """Names and texts of the variables as used, after overrides."""
    settings: Settings = Settings()
