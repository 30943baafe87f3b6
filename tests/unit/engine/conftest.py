"""Short ways to write programs, and a trial that drives one by hand and keeps all it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from protocols.engine import (
    Action,
    Event,
    Finish,
    Paused,
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
    advance,
    begin,
    from_json,
    progress,
    to_json,
)
from protocols.model import (
    Alternative,
    CccvStep,
    Cell,
    Clause,
    Condition,
    CurrentStep,
    GittStep,
    HoldStep,
    NoteStep,
    OnStartMet,
    Op,
    Program,
    Record,
    Reference,
    RepeatStep,
    RestStep,
    Retention,
    Safety,
    Settings,
    Step,
    StopWhen,
    Verb,
    Watched,
)
from protocols.record import CycleSummary, EventKind, EventRecord, Row, StepSummary

WINDOW_V = (-1.0, 3.0)
MA = 1e-3
ENDS_ONLY = Record()
UNLIMITED = Safety()
AT_ONCE = Settings(debounce=1)
NO_ACTIONS: tuple[Action, ...] = ()


def clause(
    watched: Watched, op: str, value: float, for_s: float | None = None, reference: Reference | None = None
) -> Clause:
    return Clause(watched, Op(op), value, for_s, reference)


def when(*alternatives: Clause | tuple[Clause, ...]) -> Condition:
    groups = [(each,) if isinstance(each, Clause) else each for each in alternatives]
    return tuple(Alternative(group, " and ".join(_text(each) for each in group)) for group in groups)


def _text(each: Clause) -> str:
    return f"{each.watched} {each.op} {each.value:g}" + ("" if each.for_s is None else f" for {each.for_s:g} s")


def voltage(op: str, value: float, for_s: float | None = None) -> Clause:
    return clause(Watched.VOLTAGE, op, value, for_s)


def time(value: float) -> Clause:
    return clause(Watched.TIME, ">=", value)


def lithiate(
    *until: Clause | tuple[Clause, ...],
    path: str = "1",
    abort_if: Condition = (),
    record: Record = ENDS_ONLY,
    on_start_met: OnStartMet = OnStartMet.SKIP,
    label: str | None = None,
    current_A: float = MA,
) -> CurrentStep:
    return CurrentStep(
        path, "lithiate", Verb.LITHIATE, -current_A, when(*until), abort_if, record, WINDOW_V, on_start_met, label
    )


def delithiate(
    *until: Clause | tuple[Clause, ...], path: str = "2", record: Record = ENDS_ONLY, label: str | None = None
) -> CurrentStep:
    return CurrentStep(
        path, "delithiate", Verb.DELITHIATE, MA, when(*until), (), record, WINDOW_V, OnStartMet.SKIP, label
    )


def rest(*until: Clause | tuple[Clause, ...], path: str = "9", record: Record = ENDS_ONLY) -> RestStep:
    return RestStep(path, when(*until), (), record, WINDOW_V)


def current(op: str, value: float, for_s: float | None = None) -> Clause:
    return clause(Watched.CURRENT, op, value, for_s)


def capacity(value: float, reference: Reference | None = None) -> Clause:
    return clause(Watched.CAPACITY, ">=", value, None, reference)


def hold(
    voltage_V: float,
    *until: Clause | tuple[Clause, ...],
    path: str = "6",
    abort_if: Condition = (),
    limit_A: float = MA,
    verb: Verb | None = None,
    record: Record = ENDS_ONLY,
    label: str | None = None,
) -> HoldStep:
    return HoldStep(path, "hold", voltage_V, limit_A, when(*until), abort_if, record, verb, label)


def cccv(
    first: CurrentStep,
    *then_hold_until: Clause | tuple[Clause, ...],
    path: str = "2",
    abort_if: Condition = (),
    label: str | None = None,
    hold_after: tuple[int, ...] = (0,),
) -> CccvStep:
    """The voltage that is held is that of the first of ``hold_after``."""
    held_V = first.until[hold_after[0]].clauses[0].value
    limit_A = abs(first.current_A)
    part = hold(held_V, *then_hold_until, path=f"{path}.cv", limit_A=limit_A, verb=first.verb, record=first.record)
    return CccvStep(path, replace(first, path=f"{path}.cc"), part, hold_after, abort_if, label)


def gitt(
    pulse: CurrentStep,
    relaxation: RestStep,
    *until: Clause | tuple[Clause, ...],
    pulses: int | None = None,
    path: str = "3",
    abort_if: Condition = (),
    label: str | None = None,
) -> GittStep:
    parts = replace(pulse, path=f"{path}.p"), replace(relaxation, path=f"{path}.r")
    return GittStep(path, *parts, when(*until), pulses, abort_if, label)


def repeat(
    times: int, *steps: Step, path: str = "5", counts: bool = True, stop_when: StopWhen | None = None
) -> RepeatStep:
    return RepeatStep(path, times, counts, steps, stop_when=stop_when)


def for_each(name: str, blocks: Mapping[str, tuple[Step, ...]], *, times: int = 1, path: str = "5") -> RepeatStep:
    """One pass over a repeat for each value, all of one path."""
    inner = tuple(RepeatStep(path, times, True, steps, values=((name, value),)) for value, steps in blocks.items())
    return RepeatStep(path, 1, False, inner)


def retention(
    op: str, value: float, *, verb: Verb = Verb.DELITHIATE, of_cycle: int | None = None, cycles: int = 1
) -> StopWhen:
    return StopWhen(Retention.CAPACITY, verb, Op(op), value, f"{verb} capacity {op} {value:g}", of_cycle, cycles)


def efficiency(op: str, value: float, *, verb: Verb = Verb.DELITHIATE, cycles: int = 1) -> StopWhen:
    text = f"coulombic efficiency {op} {value:.0%}"
    return StopWhen(Retention.EFFICIENCY, verb, Op(op), value, text, None, cycles)


def note(text: str, path: str = "8") -> NoteStep:
    return NoteStep(path, text)


def program(*steps: Step, safety: Safety = UNLIMITED, settings: Settings = AT_ONCE) -> Program:
    return Program("test", Cell("c1"), safety, steps, settings=settings)


@dataclass
class Trial:
    """Drives a program event by event; every state on the way goes through its JSON."""

    program: Program
    state: State = field(init=False)
    actions: list[Action] = field(default_factory=list[Action])

    def __post_init__(self) -> None:
        self.state = begin(self.program)

    def tell(self, event: Event) -> tuple[Action, ...]:
        self.state, actions = advance(self.program, self.state, event)
        assert from_json(to_json(self.state)) == self.state
        self.actions.extend(actions)
        return actions

    def start(self, at_s: float = 0.0) -> tuple[Action, ...]:
        return self.tell(Started(at_s, 1000.0 + at_s))

    def sample(
        self, at_s: float, voltage_V: float = 1.0, current_A: float | None = None, temperature_degC: float | None = None
    ) -> tuple[Action, ...]:
        """A reading; without a current the one that is set."""
        flowing = (progress(self.program, self.state).setpoint_A or 0.0) if current_A is None else current_A
        return self.tell(Sampled(at_s, 1000.0 + at_s, voltage_V, flowing, temperature_degC))

    def voltages(self, *voltages_V: float, since_s: float = 0.0) -> tuple[Action, ...]:
        """One sample a second; what the last one brought."""
        actions: tuple[Action, ...] = ()
        for second, voltage_V in enumerate(voltages_V):
            actions = self.sample(since_s + second, voltage_V)
        return actions

    def samples(self, count: int, **values: Any) -> tuple[Action, ...]:
        """So many more, one a second."""
        newest, actions = self.state.live.sample, NO_ACTIONS
        since_s = -1.0 if newest is None else newest.at_s
        for k in range(1, count + 1):
            actions = self.sample(since_s + k, **values)
        return actions

    def pause(self, at_s: float) -> tuple[Action, ...]:
        return self.tell(Paused(at_s, 1000.0 + at_s, "ann"))

    def resume(self, at_s: float) -> tuple[Action, ...]:
        return self.tell(Resumed(at_s, 1000.0 + at_s, "ann"))

    def skip(self, at_s: float) -> tuple[Action, ...]:
        return self.tell(Skipped(at_s, 1000.0 + at_s, "ann"))

    def stop(self, at_s: float) -> tuple[Action, ...]:
        return self.tell(Stopped(at_s, 1000.0 + at_s, "ann"))

    @property
    def rows(self) -> list[Row]:
        return [action.row for action in self.actions if isinstance(action, RecordRow)]

    @property
    def steps(self) -> list[StepSummary]:
        return [action.step for action in self.actions if isinstance(action, RecordStep)]

    @property
    def cycles(self) -> list[CycleSummary]:
        return [action.cycle for action in self.actions if isinstance(action, RecordCycle)]

    def events(self, kind: EventKind) -> list[EventRecord]:
        return [each.event for each in self.actions if isinstance(each, RecordEvent) and each.event.kind is kind]

    @property
    def told(self) -> list[str]:
        """How the steps ended, in the record's own names."""
        return [f"{step.step_id} {step.end_reason}" for step in self.steps]

    @property
    def finish(self) -> Finish | None:
        return next((action for action in self.actions if isinstance(action, Finish)), None)


def begun(*steps: Step, **settings: Any) -> Trial:
    """A trial of these steps, started at 0 s."""
    trial = Trial(program(*steps, **settings))
    trial.start()
    return trial
