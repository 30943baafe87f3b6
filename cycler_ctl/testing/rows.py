"""Rows of an invented but consistent run, for tests of what reads records: counters are the integral of the current."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from protocols.record import Counters, Mark, Mode, Row

START_UTC_S = 1_795_342_500.0  # 2026-11-22T10:15:00Z
_NONE = Counters()


@dataclass(frozen=True, slots=True)
class Shape:
    """A half cell cycled at constant current: capacities in Ah for each cycle, voltages are straight lines."""

    current_A: float = 3.927e-4
    lithiation_Ah: tuple[float, ...] = (2.2e-3, 1.7e-3)
    delithiation_Ah: tuple[float, ...] = (1.65e-3, 1.65e-3)
    lithiation_V: tuple[float, float] = (0.5, 0.2)
    delithiation_V: tuple[float, float] = (0.6, 1.2)
    rest_s: float = 600.0
    points: int = 50
    temperature_degC: float | None = 120.3


@dataclass(frozen=True, slots=True)
class _Step:
    cycle: int
    step_id: str
    direction: int
    duration_s: float
    voltages_V: tuple[float, float]


def cycling_rows(shape: Shape | None = None) -> Iterator[Row]:
    """A rest, then lithiation and delithiation in each cycle; the first row is 1."""
    shape = shape or Shape()
    seq, began_s, run, cycle_total, cycle = count(1), 0.0, _NONE, _NONE, 0
    for number, step in enumerate(_steps(shape), start=1):
        if step.cycle != cycle:
            cycle, cycle_total = step.cycle, _NONE
        passed = _NONE
        for point in range(shape.points + 1):
            part = point / shape.points
            passed = _passed(shape, step, part)
            voltage_V = _between(step.voltages_V, part)
            time_s = began_s + part * step.duration_s
            yield Row(
                next(seq),
                time_s,
                START_UTC_S + time_s,
                voltage_V,
                shape.current_A * step.direction,
                shape.temperature_degC,
                step.cycle,
                number,
                step.step_id,
                Mode.CURRENT if step.direction else Mode.REST,
                step.direction,
                part * step.duration_s,
                _mark(point, shape.points),
                _sum(run, passed),
                _sum(cycle_total, passed),
                passed,
            )
        run, cycle_total, began_s = _sum(run, passed), _sum(cycle_total, passed), began_s + step.duration_s


def _steps(shape: Shape) -> Iterator[_Step]:
    high_V = shape.lithiation_V[0]
    yield _Step(0, "1", 0, shape.rest_s, (high_V, high_V))
    for cycle, (into_Ah, out_Ah) in enumerate(zip(shape.lithiation_Ah, shape.delithiation_Ah, strict=True), start=1):
        yield _Step(cycle, "2.1", -1, into_Ah / shape.current_A * 3600, shape.lithiation_V)
        yield _Step(cycle, "2.2", 0, shape.rest_s, (shape.lithiation_V[1], shape.delithiation_V[0]))
        yield _Step(cycle, "2.3", 1, out_Ah / shape.current_A * 3600, shape.delithiation_V)


def _passed(shape: Shape, step: _Step, part: float) -> Counters:
    """In this step so far, exactly: the voltage is a straight line in time."""
    charge_Ah = abs(step.direction) * shape.current_A * part * step.duration_s / 3600
    energy_Wh = charge_Ah * (step.voltages_V[0] + _between(step.voltages_V, part)) / 2
    if step.direction > 0:
        return Counters(oxidation_Ah=charge_Ah, oxidation_Wh=energy_Wh)
    return Counters(reduction_Ah=charge_Ah, reduction_Wh=energy_Wh)


def _between(ends: tuple[float, float], part: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * part


def _mark(point: int, last: int) -> Mark:
    return Mark.START if point == 0 else Mark.END if point == last else Mark.NONE


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(
        one.oxidation_Ah + other.oxidation_Ah,
        one.reduction_Ah + other.reduction_Ah,
        one.oxidation_Wh + other.oxidation_Wh,
        one.reduction_Wh + other.reduction_Wh,
    )
