"""A cell behind an instrument that switches at once: what a run says of its charge can be held against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis.vendor.pretty import RepresentationPrinter

from protocols.engine import (
    Action,
    Apply,
    Event,
    Paused,
    Phase,
    RecordCycle,
    RecordEvent,
    RecordRow,
    RecordStep,
    Resumed,
    Sampled,
    Skipped,
    Started,
    State,
    Stopped,
    Tripped,
    TurnOff,
    advance,
    begin,
)
from protocols.model import ConstantCurrent, ConstantVoltage, Program, Setpoint
from protocols.record import CycleSummary, EventKind, EventRecord, Row, StepSummary
from tests.unit.engine.conftest import MA

Engine = Callable[[Program, State, Event], tuple[State, tuple[Action, ...]]]
CHANNEL_A = 4 * MA


@dataclass(frozen=True)
class ToyCell:
    """An open-circuit voltage with a kink, and a resistance."""

    volts_per_mA_s: float = 0.02
    below_zero: float = 1.0
    ohm: float = 50.0

    def open_circuit_V(self, net_Ah: float) -> float:
        charge_mA_s = net_Ah * 3600 / MA
        return 1.0 + self.volts_per_mA_s * charge_mA_s * (self.below_zero if charge_mA_s < 0 else 1.0)


@dataclass(repr=False)
class Bench:
    """Between two samples the current is constant, so that the true charge is known exactly.

    A voltage is held by a new current after each sample. There the engine's straight lines cannot know the step, and
    ``slack_Ah`` is by how much they may miss it.
    """

    program: Program
    cell: ToyCell = ToyCell()
    engine: Engine = advance
    now_s: float = 0.0
    current_A: float = 0.0
    setpoint: Setpoint | None = None
    net_Ah: float = 0.0
    passed_Ah: list[float] = field(default_factory=lambda: [0.0, 0.0])
    step_A: float = 0.0
    slack_Ah: float = 0.0
    events: list[Event] = field(default_factory=list[Event])
    answers: list[tuple[Action, ...]] = field(default_factory=list[tuple[Action, ...]])
    truth: dict[float, tuple[float, float, float]] = field(default_factory=dict[float, tuple[float, float, float]])

    def __post_init__(self) -> None:
        self.state = begin(self.program)

    def __repr__(self) -> str:
        told = [each for each in self.events if not isinstance(each, Sampled)]
        return f"Bench({self.cell}, {self.program.settings}, {told}, {self.program.safety}, {self.program.steps})"[
            :9000
        ]

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis prints what failed by this."""
        printer.text(repr(self))

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        charge_Ah = self.current_A * duration_s / 3600
        self.slack_Ah += self.step_A * duration_s / 3600
        self.net_Ah += charge_Ah
        self.passed_Ah[0 if charge_Ah > 0 else 1] += abs(charge_Ah)

    def sampled(self) -> Sampled:
        voltage_V = self.cell.open_circuit_V(self.net_Ah) + self.current_A * self.cell.ohm
        self.truth[self.now_s] = (self.passed_Ah[0], self.passed_Ah[1], self.slack_Ah)
        return Sampled(self.now_s, self.now_s, voltage_V, self.current_A, None)

    def tell(self, event: Event) -> None:
        self.state, actions = self.engine(self.program, self.state, event)
        self.events.append(event)
        self.answers.append(actions)
        if isinstance(self.setpoint, ConstantVoltage):
            self._regulate(self.setpoint)
        for action in actions:
            if isinstance(action, TurnOff):
                self._apply(None)
            if isinstance(action, Apply):
                self._apply(action.setpoint)

    def _apply(self, setpoint: Setpoint | None) -> None:
        self.setpoint, self.step_A = setpoint, 0.0
        self.current_A = setpoint.current_A if isinstance(setpoint, ConstantCurrent) else 0.0
        if isinstance(setpoint, ConstantVoltage):
            self._regulate(setpoint)
            self.step_A = 2 * CHANNEL_A  # a pause before its first sample leaves the engine with the current before

    def _regulate(self, held: ConstantVoltage) -> None:
        most_A = min(held.current_limit_A, CHANNEL_A)
        wanted_A = (held.voltage_V - self.cell.open_circuit_V(self.net_Ah)) / self.cell.ohm
        before_A, self.current_A = self.current_A, max(-most_A, min(most_A, wanted_A))
        self.step_A = abs(self.current_A - before_A)

    @property
    def ended(self) -> bool:
        return self.state.phase is Phase.ENDED

    @property
    def actions(self) -> list[Action]:
        return [action for answer in self.answers for action in answer]

    @property
    def rows(self) -> list[Row]:
        return [action.row for action in self.actions if isinstance(action, RecordRow)]

    @property
    def steps(self) -> list[StepSummary]:
        return [action.step for action in self.actions if isinstance(action, RecordStep)]

    @property
    def cycles(self) -> list[CycleSummary]:
        return [action.cycle for action in self.actions if isinstance(action, RecordCycle)]

    def told(self, kind: EventKind) -> list[EventRecord]:
        return [each.event for each in self.actions if isinstance(each, RecordEvent) and each.event.kind is kind]


def interruption(name: str, now_s: float) -> Event:
    match name:
        case "pause":
            return Paused(now_s, now_s, "ann")
        case "resume":
            return Resumed(now_s, now_s, "ann")
        case "skip":
            return Skipped(now_s, now_s, "ann")
        case "stop":
            return Stopped(now_s, now_s, "ann")
        case _:
            return Tripped(now_s, now_s, "guard")


def run(bench: Bench, intervals_s: list[float], interruptions: dict[int, str]) -> Bench:
    """The whole run; a pause is ended by somebody after five samples."""
    bench.tell(Started(0.0, 0.0))
    paused = 0
    for number in range(20_000):
        if bench.ended:
            return bench
        interval_s = intervals_s[number % len(intervals_s)]
        bench.wait(interval_s / 2)
        paused = paused + 1 if bench.state.phase is Phase.PAUSED else 0
        name = "resume" if paused > 5 else interruptions.get(number)
        if name is not None:
            bench.tell(interruption(name, bench.now_s))
        bench.wait(interval_s / 2)
        if not bench.ended:
            bench.tell(bench.sampled())
    raise AssertionError("the run never ended")
