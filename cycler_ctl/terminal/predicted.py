"""A prediction for people and as JSON: a simulated run's steps, with passes that are alike shown by the first and last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cycler_ctl.records.curves import CycleCapacity
from protocols.diagnostics import printable
from protocols.model import ConstantCurrent, ConstantVoltage, Program, Rest, Setpoint
from protocols.quantities import format_duration, format_number
from protocols.record import JSON, Outcome, StepSummary

SIMULATED = "a simulated cell: a model's behaviour with assumed parameters, not a measurement and no promise"
SHOWN_FIRST = 2
MOST_BLOCKS = 40
"""A protocol without a pattern is cut here; --json and -o have all of it."""
MOST_TRAINS = 6
PULSE = re.compile(r"\.(\d+)([pr])$")


@dataclass(frozen=True, slots=True)
class Predicted:
    """One executed step and what was set in it."""

    step: StepSummary
    setpoint: Setpoint

    @property
    def path(self) -> str:
        return static_path(self.step.step_id)

    @property
    def duration_s(self) -> float:
        return self.step.ended_s - self.step.started_s


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is known when it ends. ``taken``: the cell model's parameters and where each comes from."""

    program: Program
    model: str
    taken: tuple[str, ...]
    sample_every_s: float
    outcome: Outcome
    reason: str
    total_s: float
    steps: tuple[Predicted, ...]
    cycles: tuple[CycleCapacity, ...]
    repeats_ended: tuple[str, ...]
    warnings: tuple[str, ...]
    rows: int
    file_bytes: int


def static_path(step_id: str) -> str:
    """The place in the file of a step of the record: all pulses of a train share theirs."""
    return PULSE.sub(r".\2", step_id)


def render(found: Prediction, file_name: str) -> str:
    lines = [*_head(found, file_name), "", *_table(found), "", *_foot(found)]
    return "\n".join(printable(line.rstrip()) for line in lines)


def _head(found: Prediction, file_name: str) -> Iterator[str]:
    yield f'PREDICTED  {file_name}  "{found.program.name}"'
    yield f"      {SIMULATED}"
    yield f"      cell model {found.model}: {'; '.join(found.taken)}"
    yield f"      one sample every {format_duration(found.sample_every_s)}, without noise"


def _table(found: Prediction) -> Iterator[str]:
    yield _line("step", "cycle", "what", "set to", "took", "charge", "begins", "ends", "ended by")
    blocks = list(alike(found.steps))
    for number, block in enumerate(blocks):
        if MOST_BLOCKS // 2 <= number < len(blocks) - MOST_BLOCKS // 2 and len(blocks) > MOST_BLOCKS:
            if number == MOST_BLOCKS // 2:
                yield f"         ... {len(blocks) - MOST_BLOCKS} more groups of steps: see --json or -o"
            continue
        yield from _block_lines(block, found.program.cell.active_mass_g)


def _block_lines(block: Sequence[Sequence[Predicted]], mass_g: float | None) -> Iterator[str]:
    """The first passes and the last; between them only how many."""
    first, hidden = block[:SHOWN_FIRST], block[SHOWN_FIRST:-1]
    if len(hidden) < 2:
        first, hidden = block[:-1], ()
    for one_pass in first:
        yield from (_step_line(each, mass_g) for each in one_pass)
    if hidden:
        yield f"         ... {len(hidden)} more like these, {_range(hidden)}"
    yield from (_step_line(each, mass_g) for each in block[-1])


def _range(hidden: Sequence[Sequence[Predicted]]) -> str:
    first, last = hidden[0][0].step, hidden[-1][0].step
    pulses = PULSE.search(first.step_id), PULSE.search(last.step_id)
    if pulses[0] and pulses[1]:
        return f"pulses {pulses[0][1]} to {pulses[1][1]}"
    return f"cycles {first.cycle} to {last.cycle}"


Pass = tuple[Predicted, ...]


def alike(steps: Sequence[Predicted]) -> Iterator[tuple[Pass, ...]]:
    """Consecutive passes (cycles, or the pulses of a train) that do the same, together."""
    passes = [tuple(each) for _, each in groupby(steps, _pass_key)]
    for _, block in groupby(passes, lambda one: tuple((each.path, each.setpoint) for each in one)):
        yield tuple(block)


def _pass_key(each: Predicted) -> tuple[int, str]:
    pulse = PULSE.search(each.step.step_id)
    return each.step.cycle, pulse.group(1) if pulse else ""


def _line(step: str, cycle: str, what: str, set_to: str, took: str, *rest: str) -> str:
    charge, begins, ends, why = rest
    return f"{step:<8} {cycle:<7} {what:<12} {set_to:<28} {took:<9} {charge:<25} {begins:<10} {ends:<10} {why}"


def _step_line(each: Predicted, mass_g: float | None) -> str:
    step = each.step
    return _line(
        step.step_id,
        str(step.cycle),
        step.word,
        set_to(each.setpoint),
        format_duration(each.duration_s),
        "" if isinstance(each.setpoint, Rest) else _charge(step.charge_Ah, mass_g),
        _volts(step.start_voltage_V),
        _volts(step.end_voltage_V),
        " and ".join((step.end_reason, *step.also_met)),
    )


def set_to(setpoint: Setpoint) -> str:
    match setpoint:
        case ConstantCurrent(current_A=current_A):
            return f"{'+' if current_A > 0 else ''}{format_number(current_A * 1000)} mA"
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return f"{format_number(voltage_V)} V, at most {format_number(limit_A * 1000)} mA"
        case Rest():
            return "0 A"


def _charge(charge_Ah: float, mass_g: float | None) -> str:
    specific = f" ({_amount(charge_Ah * 1000 / mass_g)} mAh/g)" if mass_g else ""
    return f"{format_number(charge_Ah * 1000)} mAh{specific}"


def _volts(voltage_V: float | None) -> str:
    return "" if voltage_V is None else f"{voltage_V:.4f} V"


def _foot(found: Prediction) -> Iterator[str]:
    for one in found.cycles[:1] + found.cycles[1:][-1:]:
        unit = "mAh/g" if one.per_gram else "mAh"
        efficiency = "" if one.efficiency is None else f", efficiency {one.efficiency * 100:.1f} %"
        lithiated, delithiated = (f"{_amount(each)} {unit}" for each in (one.lithiation_mAh, one.delithiation_mAh))
        yield f"cycle {one.cycle}: {lithiated} lithiated, {delithiated} delithiated{efficiency}"
    yield from _train_lines(found)
    yield from found.repeats_ended
    yield ended(found)
    yield (
        f"steps: {len(found.steps)}, whole cycles: {len(found.cycles)}, rows: {found.rows}; "
        f"the run file has {found.file_bytes / 1e6:.2f} MB"
    )
    if found.warnings:
        yield "warnings:"
        yield from (f"  {warning}" for warning in found.warnings)


@dataclass(frozen=True, slots=True)
class TrainSum:
    """A train of pulses so far; ``path`` is that of the whole."""

    path: str
    cycle: int
    pulses: int
    charge_Ah: float


def trains(steps: Sequence[Predicted]) -> list[TrainSum]:
    """What the pulses of each train passed together."""
    found: list[TrainSum] = []
    for each in steps:
        pulse = PULSE.search(each.step.step_id)
        if pulse is None or pulse[2] != "p":
            continue
        path, before_Ah = each.step.step_id[: pulse.start()], 0.0
        if pulse[1] != "1" and found and found[-1].path == path:
            before_Ah = found.pop().charge_Ah
        found.append(TrainSum(path, each.step.cycle, int(pulse[1]), before_Ah + each.step.charge_Ah))
    return found


def _train_lines(found: Prediction) -> Iterator[str]:
    sums = trains(found.steps)
    for one in sums[:MOST_TRAINS]:
        plural = "s" if one.pulses > 1 else ""
        charge = _charge(one.charge_Ah, found.program.cell.active_mass_g)
        yield f"train {one.path} (cycle {one.cycle}): {one.pulses} pulse{plural}, {charge}"
    if len(sums) > MOST_TRAINS:
        yield f"... and {len(sums) - MOST_TRAINS} more trains"


def _amount(capacity_mAh: float) -> str:
    """Three digits: a model's numbers deserve no more."""
    return f"{capacity_mAh:.0f}" if capacity_mAh >= 100 else format_number(capacity_mAh, 3)


def ended(found: Prediction) -> str:
    """How, when, where and why it ended."""
    took = f"{found.outcome.value} after {format_duration(found.total_s)} of the cell's time"
    if found.outcome is Outcome.FINISHED or not found.steps:
        return took
    last = found.steps[-1].step
    return f"{took}, in step {last.step_id} ({last.word}, cycle {last.cycle}): {found.reason}"


def prediction_json(found: Prediction) -> dict[str, JSON]:
    """Every step; charges in mAh, + in ``current_mA`` oxidises."""
    return {
        "protocol": found.program.name,
        "cell": found.program.cell.name,
        "simulated": SIMULATED,
        "cell_model": found.model,
        "taken": list(found.taken),
        "sample_every_s": found.sample_every_s,
        "outcome": found.outcome.value,
        "reason": found.reason,
        "total_s": found.total_s,
        "rows": found.rows,
        "file_bytes": found.file_bytes,
        "repeats_ended": list(found.repeats_ended),
        "warnings": list(found.warnings),
        "cycles": [_cycle_json(one) for one in found.cycles],
        "steps": [_step_json(each) for each in found.steps],
    }


def _cycle_json(one: CycleCapacity) -> dict[str, JSON]:
    unit = "mAh_per_g" if one.per_gram else "mAh"
    return {
        "cycle": one.cycle,
        f"lithiation_{unit}": one.lithiation_mAh,
        f"delithiation_{unit}": one.delithiation_mAh,
        "efficiency": one.efficiency,
    }


def _step_json(each: Predicted) -> dict[str, JSON]:
    step, setpoint = each.step, each.setpoint
    return {
        "step": step.step_id,
        "what": step.word,
        "cycle": step.cycle,
        "current_mA": setpoint.current_A * 1000 if isinstance(setpoint, ConstantCurrent) else None,
        "voltage_V": setpoint.voltage_V if isinstance(setpoint, ConstantVoltage) else None,
        "started_s": step.started_s,
        "duration_s": each.duration_s,
        "charge_mAh": step.charge_Ah * 1000,
        "energy_mWh": step.energy_Wh * 1000,
        "start_V": step.start_voltage_V,
        "end_V": step.end_voltage_V,
        "ended_by": step.end_reason,
        "also_met": list(step.also_met),
    }
