"""aurora-unicycler's JSON (0.4): currents in mA with their sign, one record and one safety for all steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction

from protocols.exporters.plain import (
    Plain,
    PlainCurrent,
    PlainHold,
    PlainRepeat,
    PlainRest,
    Single,
    natural,
    needs_time,
    plain,
    singles,
)
from protocols.exporters.report import Exported, Ledger, exported
from protocols.model import Program, Record

VERSION = "0.4.6"
MILLI = 1000

Json = dict[str, "Value"]
Value = str | float | int | Json | list[Json] | None


def to_unicycler(program: Program) -> Exported:
    """Raises ``NotSayable``."""
    ledger = Ledger("aurora-unicycler")
    steps = plain(program, ledger)
    _lose_counts(steps, ledger)
    data: Json = {
        "unicycler": {"version": VERSION},
        "sample": _sample(program),
        "record": _record(steps, ledger),
        "safety": _safety(program, ledger),
        "method": list(_method(steps, ledger)),
    }
    ledger.lose(f"the name of the protocol, {program.name!r}, and of the cell all but its name and nominal capacity")
    ledger.finish()
    return exported(ledger, json.dumps(data, indent=4, ensure_ascii=False) + "\n")


def _sample(program: Program) -> Json:
    capacity = program.cell.nominal_capacity_Ah
    return {"name": program.cell.name, "capacity_mAh": None if capacity is None else milli(capacity)}


def milli(value: float) -> float:
    """Exact in the digits people write: 0.0001 becomes 0.1 and not 0.09999999999999999."""
    return float(Fraction(repr(value)) * MILLI)


def _record(steps: tuple[Plain, ...], ledger: Ledger) -> Json:
    """The one record of all steps."""
    records = {step.record: step.path for step in singles(steps)}
    first = next(iter(records), Record())
    for record, path in list(records.items())[1:]:
        if record != first:
            ledger.refuse(path, "a record of its own for one step")
    path = records.get(first, "")
    if first.charge_Ah is not None or first.temperature_K is not None:
        ledger.refuse(path, "record by charge or by temperature")
    if first.time_s is None:
        ledger.refuse(path, "a record without a time")
    current = None if first.current_A is None else milli(first.current_A)
    return {"current_mA": current, "voltage_V": first.voltage_V, "time_s": first.time_s}


def _safety(program: Program, ledger: Ledger) -> Json:
    safety = program.safety
    if safety.temperature_degC is not None:
        low, high = safety.temperature_degC
        ledger.refuse("", f"the safety limits of the temperature ({low:g} °C to {high:g} °C)")
    low_V, high_V = safety.voltage_V or (None, None)
    current = None if safety.current_A is None else milli(safety.current_A)
    return {
        "max_voltage_V": high_V,
        "min_voltage_V": low_V,
        "max_current_mA": current,
        "min_current_mA": None if current is None else -current,
        "max_capacity_mAh": None if safety.step_charge_Ah is None else milli(safety.step_charge_Ah),
        "delay_s": safety.for_s or None,
    }


def _lose_counts(steps: tuple[Plain, ...], ledger: Ledger) -> None:
    for step in steps:
        if isinstance(step, PlainRepeat):
            if step.counts is any(isinstance(each, PlainRepeat) for each in step.steps):
                ledger.lose(f"step {step.path}: count_cycles; there are no cycle numbers there")
            _lose_counts(step.steps, ledger)


def _method(steps: tuple[Plain, ...], ledger: Ledger) -> Iterator[Json]:
    tags: dict[str, int] = {}
    yield from _steps(steps, ledger, tags)


def _steps(steps: tuple[Plain, ...], ledger: Ledger, tags: dict[str, int]) -> Iterator[Json]:
    for step in steps:
        if isinstance(step, PlainRepeat):
            yield from _loop(step, ledger, tags)
        else:
            yield _single(step, ledger)


def _loop(repeat: PlainRepeat, ledger: Ledger, tags: dict[str, int]) -> Iterator[Json]:
    """The repeats of a for_each have one path: numbered from the second on."""
    tags[repeat.path] = tags.get(repeat.path, 0) + 1
    number = tags[repeat.path]
    tag = f"repeat {repeat.path}" if number == 1 else f"repeat {repeat.path} ({number})"
    yield {"step": "tag", "tag": tag}
    yield from _steps(repeat.steps, ledger, tags)
    yield {"step": "loop", "loop_to": tag, "cycle_count": repeat.times}


def _single(step: Single, ledger: Ledger) -> Json:
    match step:
        case PlainRest():
            needs_time(ledger, step)
            return {"step": "open_circuit_voltage", "until_time_s": step.time_s}
        case PlainCurrent():
            return _current(step, ledger)
        case PlainHold():
            taper = None if step.taper_A is None else milli(step.taper_A)
            ends: Json = {"until_time_s": step.time_s, "until_rate_C": None, "until_current_mA": taper}
            return {"step": "constant_voltage", "voltage_V": step.voltage_V, **ends}


def _current(step: PlainCurrent, ledger: Ledger) -> Json:
    voltage_V = None if step.voltage is None else step.voltage.voltage_V
    if voltage_V == 0:
        ledger.refuse(step.path, "an end at 0 V: zero means 'not set' there")
    if not natural(step):
        ledger.refuse(step.path, "a charge that ends at a falling voltage, or a discharge that ends at a rising one")
    current = milli(step.current_A) * (1 if step.charges else -1)
    ends: Json = {"until_time_s": step.time_s, "until_voltage_V": voltage_V}
    return {"step": "constant_current", "rate_C": None, "current_mA": current, **ends}
