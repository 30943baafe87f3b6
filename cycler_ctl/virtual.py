"""A run in virtual time: the engine is fed what a channel would read, and nothing waits for a clock.

As in a real run, a guard counts each step's charge and time for itself and ends one that passes its ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from cycler_ctl.store.writer import RunWriter
from cycler_ctl.terminal.predicted import Predicted, static_path
from protocols import engine
from protocols.events import (
    Action,
    Apply,
    Event,
    Finish,
    RecordCycle,
    RecordEvent,
    RecordRow,
    RecordStep,
    Sampled,
    Started,
    Stopped,
    Tripped,
)
from protocols.model import Program, Rest, Setpoint
from protocols.planning.forecast import Ceiling, ceilings_by_path
from protocols.quantities import format_duration, format_number
from protocols.record import CycleSummary, EventKind, EventRecord, Row, StepSummary
from protocols.running.view import progress

SETTLE_S = 0.1
COMMIT_ROWS = 5_000
WRITTEN_WITHIN_S = 60.0
LOOK_EVERY = 500
LONGEST_S = 1000 * 86400.0


class VirtualChannel(Protocol):
    """What an instrument does to a cell."""

    def apply(self, setpoint: Setpoint) -> Setpoint:
        """Set it; returns what was set where the protocol left something open."""
        ...

    def read(self, after_s: float) -> tuple[float, float]:
        """Let time pass; then voltage in V and current in A."""
        ...


class Recorder:
    """Takes what the engine writes down: into the run's file, and the steps also into memory."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._rows: list[Row] = []
        self._events: list[EventRecord] = []
        self._steps: list[StepSummary] = []
        self._cycles: list[CycleSummary] = []
        self.rows = 0
        self.steps: list[Predicted] = []
        self.repeats: list[str] = []
        self.warnings: dict[str, None] = {}

    def take(self, action: Action, setpoint: Setpoint) -> None:
        match action:
            case RecordRow(row=row):
                self._rows.append(row)
                if len(self._rows) >= COMMIT_ROWS:
                    self.flush()
            case RecordStep(step=step):
                self._steps.append(step)
                self.steps.append(Predicted(step, setpoint))
            case RecordCycle(cycle=cycle):
                self._cycles.append(cycle)
            case RecordEvent(event=event):
                self._events.append(event)
                if event.kind is EventKind.WARNING:
                    self.warnings[str(event.data.get("message", event.data))] = None
                elif event.kind is EventKind.REPEAT_ENDED:
                    data = event.data
                    self.repeats.append(f"repeat {data['step_id']} ended after cycle {data['cycle']}: {data['reason']}")
            case _:
                pass

    def flush(self) -> None:
        """On to the disk, and wait for it: virtual time would fill any memory in between."""
        self.rows += len(self._rows)
        self._writer.append(self._rows, self._events, self._steps, self._cycles)
        self._writer.flush(WRITTEN_WITHIN_S)
        self._rows, self._events, self._steps, self._cycles = [], [], [], []


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a virtual run is, for whoever watches it."""

    time_s: float
    step_id: str
    cycle: int
    voltage_V: float


Watch = Callable[[Moment], str | None]
"""Looks at the run now and then; a name stops it."""


class VirtualRun:
    """One program on one channel from its start to its end."""

    def __init__(self, program: Program, channel: VirtualChannel, recorder: Recorder, temperature_C: float) -> None:
        self._program = program
        self._channel = channel
        self._recorder = recorder
        self._temperature_C = temperature_C
        self._state = engine.begin(program)
        self._setpoint: Setpoint = Rest((-inf, inf))
        self._ceilings: Mapping[str, Ceiling] = ceilings_by_path(program)
        self._allowed = (inf, inf)
        self._passed_C = self._step_s = self._due_s = 0.0
        self._end: Finish | None = None
        self.time_s = 0.0

    def run(self, utc_s: float, watch: Watch) -> Finish:
        """Until the engine ends it, ``watch`` stops it, or 1000 days are over."""
        self._handle(Started(0.0, utc_s))
        samples = 0
        while self._end is None:
            event: Event = self._sample(utc_s)
            samples += 1
            if samples % LOOK_EVERY == 0 and isinstance(event, Sampled):
                by = self._stopped_by(watch, event)
                event = event if by is None else Stopped(self.time_s, utc_s + self.time_s, by)
            self._handle(event)
        return self._end

    def _stopped_by(self, watch: Watch, sample: Sampled) -> str | None:
        if self.time_s > LONGEST_S:
            return f"the prediction, which looks at {format_duration(LONGEST_S)} at most"
        where = progress(self._program, self._state)
        return watch(Moment(self.time_s, where.step_id, where.cycle, sample.voltage_V))

    def _sample(self, utc_s: float) -> Sampled | Tripped:
        passing_s = self._due_s - self.time_s
        voltage_V, current_A = self._channel.read(passing_s)
        self.time_s = self._due_s
        self._due_s += self._program.settings.sample_every_s
        self._passed_C += abs(current_A) * passing_s
        self._step_s += passing_s
        reason = self._beyond()
        if reason is not None:
            return Tripped(self.time_s, utc_s + self.time_s, reason)
        return Sampled(self.time_s, utc_s + self.time_s, voltage_V, current_A, self._temperature_C)

    def _beyond(self) -> str | None:
        """The ceiling of the guard that the step has passed."""
        most_Ah, most_s = self._allowed
        if self._passed_C > most_Ah * 3600:
            return f"the guard's ceiling of {format_number(most_Ah * 1000)} mAh for this step"
        if self._step_s > most_s:
            return f"the guard's ceiling of {format_duration(most_s)} for this step"
        return None

    def _handle(self, event: Event) -> None:
        self._state, actions = engine.advance(self._program, self._state, event)
        for action in actions:
            match action:
                case Apply(setpoint=setpoint):
                    self._apply(setpoint)
                case Finish():
                    self._end = action
                case _:
                    self._recorder.take(action, self._setpoint)

    def _apply(self, setpoint: Setpoint) -> None:
        self._setpoint = self._channel.apply(setpoint)
        path = static_path(progress(self._program, self._state).step_id)
        most_Ah, most_s = self._ceilings.get(path, (None, None))
        self._allowed = inf if most_Ah is None else most_Ah, inf if most_s is None else most_s
        self._passed_C = self._step_s = 0.0
        self._due_s = self.time_s + min(SETTLE_S, 3 * self._program.settings.sample_every_s)
