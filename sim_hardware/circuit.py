"""An output stage and the load on its terminals, solved exactly enough that the length of a time step does not matter.

Two-quadrant on purpose: a voltage source whose current limit the load exceeds sinks that limit, and a current source
whose voltage limit lies below the cell becomes a voltage source and lets the cell dump (2400 manual p. 3-22 to 3-24).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sim_hardware.loads import InSeries, Load, open_lead, short

DUMP_A = 0.105  # what a voltage limit sinks from a cell above it; no figure for the 2400, the 2600B gives 102 mA
LONGEST_STEP_S = 30.0
SHORTEST_STEP_S = 0.02
NEGLIGIBLE_A = 1e-9
CURRENT_CHANGE = 0.01  # largest relative change of current within one step


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The relay is open."""


@dataclass(frozen=True, slots=True)
class VoltageSource:
    """``sink_A`` bounds the current out of the load where that is another limit than the one into it."""

    voltage_V: float
    limit_A: float
    sink_A: float | None = None


@dataclass(frozen=True, slots=True)
class CurrentSource:
    """``limit_V`` bounds the terminals on both sides of zero."""

    current_A: float
    limit_V: float


Source = Disconnected | VoltageSource | CurrentSource


class Operating(NamedTuple):
    """Where source and load meet; ``limited`` when the source's limit decides. A tuple, as one is made at each step."""

    current_A: float
    voltage_V: float
    limited: bool


def operate(load: Load, source: Source, hint_A: float = 0.0) -> Operating:
    """The operating point now. ``hint_A``, the last current, only says which limit to try first."""
    if isinstance(source, VoltageSource):
        return _voltage_sourced(load, source, hint_A)
    if isinstance(source, CurrentSource):
        return _current_sourced(load, source)
    return Operating(0.0, load.voltage(0.0), limited=False)


def _voltage_sourced(load: Load, source: VoltageSource, hint_A: float) -> Operating:
    sink_A = source.limit_A if source.sink_A is None else source.sink_A
    for is_sinking in (True, False) if hint_A < 0.0 else (False, True):
        current_A = 0.0 - sink_A if is_sinking else source.limit_A
        voltage_V = load.voltage(current_A)
        if (voltage_V >= source.voltage_V) if is_sinking else (voltage_V <= source.voltage_V):
            return Operating(current_A, voltage_V, limited=True)
    return Operating(load.current_for(source.voltage_V, max(source.limit_A, sink_A)), source.voltage_V, limited=False)


def _current_sourced(load: Load, source: CurrentSource) -> Operating:
    voltage_V = load.voltage(source.current_A)
    if -source.limit_V <= voltage_V <= source.limit_V:
        return Operating(source.current_A, voltage_V, limited=False)
    clamp_V = source.limit_V if voltage_V > 0.0 else -source.limit_V
    current_A = load.current_for(clamp_V, DUMP_A)
    return Operating(current_A, load.voltage(current_A), limited=True)


def advance(load: Load, source: Source, dt_s: float, start: Operating) -> tuple[Operating, float]:
    """Let ``dt_s`` pass and return the new operating point and the charge that flowed, in C.

    Constant current takes long steps; where the current changes, steps shrink until it changes little within one,
    and the step is done again with the mean current.
    """
    if isinstance(source, Disconnected):
        load.advance(dt_s, 0.0)
        return operate(load, source), 0.0
    point, charge_C, left_s, step_s = start, 0.0, dt_s, LONGEST_STEP_S
    while left_s > 1e-9:
        step_s = min(step_s, left_s)
        moved = _step(load, source, step_s, point)
        if moved is None:
            step_s *= 0.5
            continue
        end, mean_A = moved
        charge_C += mean_A * step_s
        left_s -= step_s
        step_s = min(2.0 * step_s, LONGEST_STEP_S)
        point = end
    return point, charge_C


def _step(load: Load, source: Source, step_s: float, start: Operating) -> tuple[Operating, float] | None:
    """One step with its mean current, or None (and nothing changed) if the current would change too much in it."""
    before = load.save()
    load.advance(step_s, start.current_A)
    end = operate(load, source, start.current_A)
    change_A = abs(end.current_A - start.current_A)
    if change_A == 0.0:
        return end, start.current_A
    load.restore(before)
    largest_A = max(abs(start.current_A), abs(end.current_A))
    if step_s > SHORTEST_STEP_S and change_A > CURRENT_CHANGE * largest_A + NEGLIGIBLE_A:
        return None
    mean_A = 0.5 * (start.current_A + end.current_A)
    load.advance(step_s, mean_A)
    return operate(load, source, mean_A), mean_A


class Terminals:
    """The load behind the leads. ``lead`` is "good", "open" or "short"; a short also shorts the cell."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.lead = "good"
        self.cell_charge_C = 0.0
        self._source: Source = Disconnected()
        self._point: Operating | None = None

    @property
    def source(self) -> Source:
        return self._source

    def drive(self, source: Source) -> None:
        self._source = source
        self._point = None

    def set_lead(self, lead: str) -> None:
        self.lead = lead
        self._point = None

    def set_contact(self, resistance_ohm: float) -> None:
        """A bad contact between the leads and the cell; 0 mends it."""
        cell = self.load.load if isinstance(self.load, InSeries) else self.load
        self.load = InSeries(cell, resistance_ohm) if resistance_ohm else cell
        self._point = None

    def operating(self) -> Operating:
        """What the instrument sees at its jacks."""
        if self._point is None:
            self._point = operate(self._seen(), self._source)
        return self._point

    def cell_operating(self) -> Operating:
        """What the cell really carries."""
        if self.lead == "good":
            return self.operating()
        return operate(self.load, self._cell_source())

    def advance(self, dt_s: float) -> None:
        if self.lead == "good":
            self._point, charge_C = advance(self.load, self._source, dt_s, self.operating())
        else:
            _, charge_C = advance(self.load, self._cell_source(), dt_s, self.cell_operating())
        self.cell_charge_C += charge_C

    def set_temperature(self, temperature_K: float) -> None:
        self.load.set_temperature(temperature_K)
        self._point = None

    @contextmanager
    def ahead(self, dt_s: float) -> Generator[None]:
        """While entered, ``dt_s`` more have passed; afterwards nothing has: looking does not change history."""
        kept = self.load.save(), self.cell_charge_C, self._point
        if dt_s > 0.0:
            self.advance(dt_s)
        try:
            yield
        finally:
            state, self.cell_charge_C, self._point = kept
            self.load.restore(state)

    def _seen(self) -> Load:
        return {"good": self.load, "open": open_lead(), "short": short()}[self.lead]

    def _cell_source(self) -> Source:
        return VoltageSource(0.0, 10.0) if self.lead == "short" else Disconnected()
