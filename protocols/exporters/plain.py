"""A program in the few words that all other languages share: currents, holds, rests and repeats with plain ends.

Everything else is refused here, by name and with the step's path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.exporters.report import Ledger
from protocols.model import (
    CccvStep,
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
    RepeatStep,
    RestStep,
    Step,
    Verb,
    Watched,
)
from protocols.quantities import format_duration, format_number

MOST_PULSES = 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """A voltage that ends a step."""

    op: Op
    voltage_V: float


@dataclass(frozen=True, slots=True)
class PlainRest:
    path: str
    time_s: float | None
    voltage: Limit | None
    record: Record


@dataclass(frozen=True, slots=True)
class PlainCurrent:
    """``current_A`` is a magnitude; ``charges``: the word, by ``discharge_means``."""

    path: str
    charges: bool
    current_A: float
    time_s: float | None
    voltage: Limit | None
    record: Record


@dataclass(frozen=True, slots=True)
class PlainHold:
    path: str
    voltage_V: float
    time_s: float | None
    taper_A: float | None
    record: Record


@dataclass(frozen=True, slots=True)
class PlainRepeat:
    path: str
    times: int
    counts: bool
    steps: tuple[Plain, ...]


Single = PlainRest | PlainCurrent | PlainHold
Plain = Single | PlainRepeat


@dataclass(frozen=True, slots=True)
class Ends:
    """A condition of lone clauses; the earliest time counts, as any one of them ends the step."""

    time_s: float | None = None
    voltage: Limit | None = None
    taper_A: float | None = None


def plain(program: Program, ledger: Ledger) -> tuple[Plain, ...]:
    """The steps as far as they can be said; refusals and losses go to the ledger."""
    reader = _Reader(program, ledger)
    for fact in ("author", "description", "source"):
        if getattr(program, fact):
            ledger.lose(f"{fact} of the protocol")
    if program.variables:
        ledger.lose("the names of the variables; their values stand in the steps")
    return reader.steps(program.steps)


@dataclass(frozen=True, slots=True)
class _Reader:
    program: Program
    ledger: Ledger

    def steps(self, steps: tuple[Step, ...]) -> tuple[Plain, ...]:
        return tuple(plain for step in steps for plain in self._step(step))

    def _step(self, step: Step) -> Iterator[Plain]:
        self._words(step)
        match step:
            case NoteStep():
                self.ledger.lose(f"step {step.path}: the note {step.text!r}")
            case RepeatStep():
                yield self._repeat(step)
            case RestStep():
                yield self._rest(step)
            case CurrentStep():
                yield self._current(step)
            case HoldStep():
                yield self._hold(step)
            case CccvStep():
                yield from self._cccv(step)
            case GittStep():
                yield from self._gitt(step)

    def _words(self, step: Step) -> None:
        if isinstance(step, NoteStep):
            return
        if step.label is not None:
            self.ledger.lose(f"step {step.path}: the label {step.label!r}")
        if step.note is not None:
            self.ledger.lose(f"step {step.path}: the note {step.note!r}")
        if not isinstance(step, RepeatStep) and step.abort_if:
            self.ledger.refuse(step.path, f"abort_if ({step.abort_if[0].text})")

    def _repeat(self, step: RepeatStep) -> PlainRepeat:
        if step.stop_when is not None:
            self.ledger.refuse(step.path, f"stop_when ({step.stop_when.text})")
        return PlainRepeat(step.path, step.times, step.counts, self.steps(step.steps))

    def _rest(self, step: RestStep) -> PlainRest:
        ends = self._ends(step.path, step.until)
        return PlainRest(step.path, ends.time_s, ends.voltage, step.record)

    def _current(self, step: CurrentStep) -> PlainCurrent:
        if step.on_start_met is OnStartMet.ABORT:
            self.ledger.refuse(step.path, "'on_start_met: abort'")
        ends = self._ends(step.path, step.until)
        charges = self._charges(step.path, step.verb)
        return PlainCurrent(step.path, charges, abs(step.current_A), ends.time_s, ends.voltage, step.record)

    def _charges(self, path: str, verb: Verb) -> bool:
        means = self.program.cell.discharge_means
        if means is None:
            words = f"{verb.value} without 'discharge_means' in the cell: its words are charge and discharge"
            self.ledger.refuse(path, words)
        return verb is not means

    def _hold(self, step: HoldStep) -> PlainHold:
        limit_A = step.current_limit_A
        said = self.program.safety.current_A
        if step.verb is None and limit_A != float("inf") and limit_A != said:
            self.ledger.refuse(step.path, f"current_limit ({format_number(limit_A * 1000)} mA)")
        ends = self._ends(step.path, step.until)
        return PlainHold(step.path, step.voltage_V, ends.time_s, ends.taper_A, step.record)

    def _cccv(self, step: CccvStep) -> Iterator[Plain]:
        others = [each for index, each in enumerate(step.current.until) if index not in step.hold_after]
        if others:
            said = f"then_hold_until beside '{others[0].text}': it would hold after that as well"
            self.ledger.refuse(step.path, f"{said}; take it away, or write the hold as a step of its own")
        yield self._current(step.current)
        yield self._hold(step.hold)

    def _gitt(self, step: GittStep) -> Iterator[Plain]:
        if step.until:
            self.ledger.refuse(step.path, f"a gitt that ends by '{step.until[0].text}', only one of pulses alone")
        pulses = step.pulses or 1
        if pulses > MOST_PULSES:
            self.ledger.refuse(step.path, f"a gitt of more than {MOST_PULSES} pulses")
        for _ in range(min(pulses, MOST_PULSES)):
            yield self._current(step.pulse)
            yield self._rest(step.rest)

    def _ends(self, path: str, condition: Condition) -> Ends:
        times: list[float] = []
        voltages: list[Limit] = []
        tapers: list[float] = []
        for alternative in condition:
            if len(alternative.clauses) != 1:
                self.ledger.refuse(path, f"'{alternative.text}' (two conditions that must both hold)")
            elif not self._sayable(path, alternative.clauses[0], alternative.text):
                continue
            else:
                clause = alternative.clauses[0]
                if clause.watched is Watched.TIME:
                    times.append(clause.value)
                elif clause.watched is Watched.VOLTAGE:
                    voltages.append(Limit(clause.op, clause.value))
                else:
                    tapers.append(clause.value)
        if len(voltages) > 1:
            self.ledger.refuse(path, "more than one voltage that ends a step")
        return Ends(min(times, default=None), voltages[0] if voltages else None, max(tapers, default=None))

    def _sayable(self, path: str, clause: Clause, text: str) -> bool:
        """A lone time, voltage or falling current."""
        why = _why_not(clause)
        if why is not None:
            self.ledger.refuse(path, f"'{text}' ({why})")
        return why is None


def _why_not(clause: Clause) -> str | None:
    if clause.reference is not None:
        return "a share of another step"
    if clause.for_s is not None:
        return f"a condition that must hold for {format_duration(clause.for_s)}"
    if clause.watched not in {Watched.TIME, Watched.VOLTAGE, Watched.CURRENT}:
        return {Watched.SLOPE: "a slope"}.get(clause.watched, f"{clause.watched.value} as an end")
    if clause.watched is Watched.CURRENT and clause.op is Op.AT_LEAST:
        return "a rising current as an end"
    return None


def singles(steps: tuple[Plain, ...]) -> Iterator[Single]:
    """Every step once, in order."""
    for step in steps:
        if isinstance(step, PlainRepeat):
            yield from singles(step.steps)
        else:
            yield step


def needs_time(ledger: Ledger, step: PlainRest) -> None:
    """Rests elsewhere end by time alone."""
    if step.voltage is not None:
        ledger.refuse(step.path, "a rest that ends at a voltage")


def natural(step: PlainCurrent) -> bool:
    """Whether the voltage goes the way its word says elsewhere: up on charge, down on discharge."""
    return step.voltage is None or step.voltage.op is (Op.AT_LEAST if step.charges else Op.AT_MOST)


def lose_safety(program: Program, ledger: Ledger) -> None:
    safety = program.safety
    named = {
        "voltage": safety.voltage_V,
        "temperature": safety.temperature_degC,
        "current": safety.current_A,
        "capacity": safety.step_charge_Ah,
    }
    for name, limit in named.items():
        if limit is not None:
            ledger.lose(f"safety: the limit of the {name}; nothing watches it there")


def decimal_text(value: float) -> str:
    """Every digit of the number, without an exponent, as a reader of strings wants it."""
    text = f"{value:.15g}"
    if "e" in text or float(text) != value:
        text = repr(value)
    return text
