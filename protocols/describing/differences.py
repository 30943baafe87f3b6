"""What two programs of one run differ in, as sentences: for the person who confirms an amendment, and for its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from protocols.model import (
    CccvStep,
    Condition,
    CurrentStep,
    GittStep,
    HoldStep,
    NoteStep,
    Program,
    Record,
    RepeatStep,
    RestStep,
    Step,
    TimedStep,
)
from protocols.planning.forecast import Values, merged
from protocols.quantities import format_duration, format_number

Facts = Mapping[str, str]
Key = tuple[str, Values]


def differences(was: Program, now: Program) -> tuple[str, ...]:
    """One sentence for each thing that differs; empty: both do the same."""
    before, after = dict(_steps(was.steps, ())), dict(_steps(now.steps, ()))
    found = [_added(key, after[key]) if key not in before else _changed(key, before[key], after[key]) for key in after]
    gone = [(f"step {_name(key)} ({before[key]['does']}) is taken out",) for key in before if key not in after]
    sentences = tuple(sentence for group in (*found, *gone) for sentence in group)
    if not sentences and was.steps != now.steps:
        return ("labels, notes or windows of steps differ",)
    return sentences


def _name(key: Key) -> str:
    path, values = key
    return f"{path} with {', '.join(f'{name}: {value}' for name, value in values)}" if values else path


def _added(key: Key, facts: Facts) -> tuple[str, ...]:
    ends = f", ends at {facts['ends at']}" if "ends at" in facts else ""
    return (f"step {_name(key)} is new: {facts['does']}{ends}",)


def _changed(key: Key, was: Facts, now: Facts) -> tuple[str, ...]:
    names = [name for name in (*was, *(name for name in now if name not in was)) if was.get(name) != now.get(name)]
    return tuple(f"step {_name(key)}: {name} {was.get(name, 'none')} -> {now.get(name, 'none')}" for name in names)


def _steps(steps: tuple[Step, ...], values: Values) -> Iterator[tuple[Key, Facts]]:
    for step in steps:
        match step:
            case RepeatStep():
                inner = merged(values, step.values)
                if not step.values:  # one block of a for_each has the path of all
                    yield (step.path, values), _of_repeat(step)
                yield from _steps(step.steps, inner)
            case CccvStep(current=first, hold=second):
                yield (first.path, values), _of_step(first, step.abort_if)
                yield (second.path, values), _of_step(second, step.abort_if)
            case GittStep():
                yield (step.path, values), _of_train(step)
                yield (step.pulse.path, values), _of_step(step.pulse, ())
                yield (step.rest.path, values), _of_step(step.rest, ())
            case NoteStep():
                yield (step.path, values), {"does": "note", "text": repr(step.text)}
            case _:
                yield (step.path, values), _of_step(step, step.abort_if)


def _of_repeat(step: RepeatStep) -> Facts:
    stop = {} if step.stop_when is None else {"stop_when": step.stop_when.text}
    return {"does": f"repeat{'' if step.counts else ', not counted'}", "times": str(step.times), **stop}


def _of_train(step: GittStep) -> Facts:
    pulses = "any" if step.pulses is None else str(step.pulses)
    return {
        "does": "train",
        "pulses": pulses,
        **_condition("ends at", step.until),
        **_condition("abort_if", step.abort_if),
    }


def _of_step(step: TimedStep, abort_if: Condition) -> Facts:
    return {
        "does": _does(step),
        **_condition("ends at", step.until),
        **_condition("abort_if", abort_if),
        "record": _record(step.record),
    }


def _condition(name: str, condition: Condition) -> Facts:
    return {name: " or ".join(one.text for one in condition)} if condition else {}


def _does(step: TimedStep) -> str:
    match step:
        case RestStep():
            return "rest"
        case CurrentStep():
            return f"{step.word} {format_number(abs(step.current_A) * 1e3)} mA"
        case HoldStep():
            limit = (
                f", at most {format_number(step.current_limit_A * 1e3)} mA" if isfinite(step.current_limit_A) else ""
            )
            return f"hold {format_number(step.voltage_V)} V{limit}"


def _record(record: Record) -> str:
    said = [
        None if record.time_s is None else f"every {format_duration(record.time_s)}",
        None if record.voltage_V is None else f"{format_number(record.voltage_V * 1e3)} mV",
        None if record.current_A is None else f"{format_number(record.current_A * 1e3)} mA",
        None if record.charge_Ah is None else f"{format_number(record.charge_Ah * 1e3)} mAh",
        None if record.temperature_K is None else f"{format_number(record.temperature_K)} K",
    ]
    return ", ".join(text for text in said if text is not None) or "start and end"
