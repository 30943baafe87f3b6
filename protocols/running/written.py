"""What the record says: rows, summaries and events made from a state."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.charge import plus, throughput_Ah, throughput_Wh
from protocols.conditions import crossed
from protocols.events import Event, RecordEvent, Sampled
from protocols.model import (
    CurrentStep,
    HoldStep,
    Program,
    RepeatStep,
    RestStep,
    Safety,
    StopWhen,
    TimedStep,
    Verb,
)
from protocols.record import JSON, CycleSummary, EventKind, EventRecord, Mark, Mode, Row, StepSummary
from protocols.running.place import Doing, train_until
from protocols.running.state import Course, Crossing, Execution, Limit, State


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a step is over. ``number`` is the until alternative that ended it; ``moved``: it did more than begin."""

    end_reason: str
    also_met: tuple[str, ...] = ()
    number: int | None = None
    completed: bool = False
    moved: bool = True


def row(step: TimedStep, state: State, execution: Execution, sample: Sampled, mark: Mark) -> Row:
    """The newest sample with the counters of its moment, as the next row to be recorded."""
    course, live = state.course, state.live
    return Row(
        seq=1 if live.recorded is None else live.recorded.seq + 1,
        time_s=sample.at_s - course.started_s,
        utc_s=sample.utc_s,
        voltage_V=sample.voltage_V,
        current_A=sample.current_A,
        temperature_degC=sample.temperature_degC,
        cycle=course.cycle,
        step_count=course.step_count,
        step_id=step.path,
        mode=Mode.REST if mark is Mark.PAUSED else mode(step),
        direction=0 if mark is Mark.PAUSED else direction(step),
        step_time_s=execution.clock_s if mark is Mark.PAUSED else sample.at_s - execution.zero_s,
        mark=mark,
        run_total=plus(course.run_total, live.step_total),
        cycle_total=plus(course.cycle_total, live.step_total),
        step_total=live.step_total,
    )


def mode(step: TimedStep) -> Mode:
    match step:
        case RestStep():
            return Mode.REST
        case CurrentStep():
            return Mode.CURRENT
        case HoldStep():
            return Mode.VOLTAGE


def direction(step: TimedStep) -> int:
    """What the file says, not what flows: a hold follows its current, or none."""
    if isinstance(step, RestStep) or step.verb is None:
        return 0
    return 1 if step.verb is Verb.DELITHIATE else -1


def set_current_A(step: TimedStep) -> float | None:
    """None: the step sets a voltage, and the current is the cell's."""
    match step:
        case RestStep():
            return 0.0
        case CurrentStep():
            return step.current_A
        case HoldStep():
            return None


def word(step: TimedStep) -> str:
    return "rest" if isinstance(step, RestStep) else step.word


def summary(what: Doing, state: State, execution: Execution, ended_s: float, closing: Closing) -> StepSummary:
    """The step just ended; ``ended_s`` is used when it never had a sample."""
    course, live, step = state.course, state.live, what.step
    first, last = execution.first, live.seen
    began_s = execution.applied_s if first is None else first.at_s
    found = _crossed(what, state, closing)
    return StepSummary(
        step_count=course.step_count,
        step_id=step.path,
        word=word(step),
        cycle=course.cycle,
        label=step.label,
        started_s=began_s - course.started_s,
        ended_s=ended_s if last is None else last.at_s - course.started_s,
        end_reason=closing.end_reason,
        also_met=closing.also_met,
        charge_Ah=throughput_Ah(live.step_total),
        energy_Wh=throughput_Wh(live.step_total),
        start_voltage_V=None if first is None else first.voltage_V,
        end_voltage_V=None if last is None else last.voltage_V,
        crossing_s=None if found is None else execution.zero_s - course.started_s + found[1].time_s,
        crossing_charge_Ah=None if found is None else found[1].charge_Ah,
        overshoot_V=None if found is None or last is None else abs(last.voltage_V - found[0]),
    )


def _crossed(what: Doing, state: State, closing: Closing) -> tuple[float, Crossing] | None:
    """The threshold that ended the step and where it was crossed, in the step's own time and charge."""
    live, execution, together = state.live, state.step, state.course.whole
    number, train = closing.number, train_until(what)
    if number is None:
        return None
    if number >= len(train):
        found = crossed(what.step.until[len(train) :], live.until, number - len(train))
        return None if found is None else (found[0].value, found[1])
    found = crossed(train, live.train, number)
    if found is None or execution is None or together is None:
        return None
    clause, moment = found
    began_s = execution.zero_s - together.zero_s
    return clause.value, Crossing(moment.time_s - began_s, moment.charge_Ah - together.charge_Ah)


def cycle_summary(course: Course, started_s: float, ended_s: float) -> CycleSummary:
    total = course.cycle_total
    return CycleSummary(
        cycle=course.cycle,
        lithiation_Ah=total.reduction_Ah,
        delithiation_Ah=total.oxidation_Ah,
        lithiation_Wh=total.reduction_Wh,
        delithiation_Wh=total.oxidation_Wh,
        started_s=started_s,
        ended_s=ended_s,
    )


def told(course: Course, event: Event, kind: EventKind, **data: JSON) -> RecordEvent:
    """Something for the log, at the time of the event that brought it about."""
    return RecordEvent(EventRecord(event.at_s - course.started_s, event.utc_s, kind, data))


def run_started(program: Program, course: Course, event: Event) -> RecordEvent:
    settings = program.settings
    return told(
        course,
        event,
        EventKind.RUN_STARTED,
        protocol=program.name,
        cell=program.cell.name,
        sample_every_s=settings.sample_every_s,
        debounce=settings.debounce,
        slope_window_s=settings.slope_window_s,
        temperature_watched=settings.temperature_watched,
    )


def step_started(step: TimedStep, course: Course, event: Event) -> RecordEvent:
    held: dict[str, JSON] = {"voltage_V": step.voltage_V} if isinstance(step, HoldStep) else {}
    return told(
        course,
        event,
        EventKind.STEP_STARTED,
        step_id=step.path,
        step_count=course.step_count,
        cycle=course.cycle,
        word=word(step),
        current_A=set_current_A(step),
        label=step.label,
        note=step.note,
        **held,
    )


def step_ended(step: StepSummary, course: Course, event: Event) -> RecordEvent:
    return told(
        course,
        event,
        EventKind.STEP_ENDED,
        step_id=step.step_id,
        step_count=step.step_count,
        cycle=step.cycle,
        word=step.word,
        label=step.label,
        end_reason=step.end_reason,
        also_met=list(step.also_met),
        charge_Ah=step.charge_Ah,
        energy_Wh=step.energy_Wh,
        crossing_s=step.crossing_s,
        crossing_charge_Ah=step.crossing_charge_Ah,
        overshoot_V=step.overshoot_V,
    )


def cycle_ended(cycle: CycleSummary, course: Course, event: Event) -> RecordEvent:
    return told(
        course,
        event,
        EventKind.CYCLE_ENDED,
        cycle=cycle.cycle,
        lithiation_Ah=cycle.lithiation_Ah,
        delithiation_Ah=cycle.delithiation_Ah,
        lithiation_Wh=cycle.lithiation_Wh,
        delithiation_Wh=cycle.delithiation_Wh,
        started_s=cycle.started_s,
        ended_s=cycle.ended_s,
    )


def repeat_ended(
    repeat: RepeatStep, stop: StopWhen, course: Course, event: Event, *, value: float, limit: float
) -> RecordEvent:
    """A ``stop_when`` was met; ``value`` and ``limit`` are in Ah, or are the efficiency."""
    return told(
        course,
        event,
        EventKind.REPEAT_ENDED,
        step_id=repeat.path,
        label=repeat.label,
        cycle=course.cycle,
        reason=f"stop_when: {stop.text}",
        watched=stop.watched.value,
        value=value,
        limit=limit,
    )


def trip_reason(limit: Limit, safety: Safety, sample: Sampled, charge_Ah: float) -> str:
    """One sentence for people on the safety limit that ended the run."""
    match limit:
        case Limit.VOLTAGE:
            return f"voltage {sample.voltage_V:.6g} V is outside {_window(safety.voltage_V, 'V')}"
        case Limit.TEMPERATURE if sample.temperature_degC is None:
            return f"temperature is missing and must be inside {_window(safety.temperature_degC, '°C')}"
        case Limit.TEMPERATURE:
            return f"temperature {sample.temperature_degC:.6g} °C is outside {_window(safety.temperature_degC, '°C')}"
        case Limit.CURRENT:
            return f"current {sample.current_A:.6g} A is above {safety.current_A:.6g} A"
        case Limit.CHARGE:
            return f"step charge {charge_Ah:.6g} Ah is above {safety.step_charge_Ah:.6g} Ah"


def _window(window: tuple[float, float] | None, unit: str) -> str:
    return "" if window is None else f"{window[0]:.6g} {unit} to {window[1]:.6g} {unit}"
