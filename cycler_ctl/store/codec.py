"""Records to the columns of the run file and back: one order of columns, in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from cycler_ctl.store.info import to_json
from protocols.record import JSON, Counters, CycleSummary, EventKind, EventRecord, Mark, Mode, Row, StepSummary

SQL = str | int | float | None

_SCOPES = ("run", "cycle", "step")
_COUNTERS = ("oxidation_Ah", "reduction_Ah", "oxidation_Wh", "reduction_Wh")

ROW_COLUMNS = (
    "seq",
    "time_s",
    "utc_s",
    "voltage_V",
    "current_A",
    "temperature_degC",
    "cycle",
    "step_count",
    "step_id",
    "mode",
    "direction",
    "step_time_s",
    "mark",
    *(f"{scope}_{counter}" for scope in _SCOPES for counter in _COUNTERS),
)
EVENT_COLUMNS = ("id", "time_s", "utc_s", "kind", "data")
STEP_COLUMNS = ("id", *StepSummary.__dataclass_fields__)
MODES, MARKS = {mode.value: mode for mode in Mode}, {mark.value: mark for mark in Mark}
PLAIN = {one: one.value for one in (*Mode, *Mark)}
"""Looked up, for a call of the enumeration costs more than the rest of a row."""
CYCLE_COLUMNS = ("id", *CycleSummary.__dataclass_fields__)


def row_values(row: Row) -> tuple[SQL, ...]:
    """The values of ``ROW_COLUMNS``; written out, because this runs for every row.

    Plain values alone: of a tuple of them the garbage collector soon knows that it need not look at it.
    """
    total, cycle, step = row.run_total, row.cycle_total, row.step_total
    return (
        row.seq,
        row.time_s,
        row.utc_s,
        row.voltage_V,
        row.current_A,
        row.temperature_degC,
        row.cycle,
        row.step_count,
        row.step_id,
        PLAIN[row.mode],
        row.direction,
        row.step_time_s,
        PLAIN[row.mark],
        total.oxidation_Ah,
        total.reduction_Ah,
        total.oxidation_Wh,
        total.reduction_Wh,
        cycle.oxidation_Ah,
        cycle.reduction_Ah,
        cycle.oxidation_Wh,
        cycle.reduction_Wh,
        step.oxidation_Ah,
        step.reduction_Ah,
        step.oxidation_Wh,
        step.reduction_Wh,
    )


def row_from(values: Sequence[Any]) -> Row:
    """A row of ``ROW_COLUMNS`` as it was appended."""
    seq, time_s, utc_s, voltage_V, current_A, temperature_degC, cycle, step_count, step_id = values[:9]
    mode, direction, step_time_s, mark = values[9:13]
    return Row(
        seq,
        time_s,
        utc_s,
        voltage_V,
        current_A,
        temperature_degC,
        cycle,
        step_count,
        step_id,
        MODES[mode],
        direction,
        step_time_s,
        MARKS[mark],
        Counters(*values[13:17]),
        Counters(*values[17:21]),
        Counters(*values[21:25]),
    )


def event_values(number: int, event: EventRecord) -> tuple[SQL, ...]:
    return (number, event.time_s, event.utc_s, event.kind, to_json(_finite(event.data)))


def _finite(value: JSON) -> JSON:
    """What JSON cannot say becomes null: an event must never be the reason why rows are not stored."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return value


def event_from(values: Sequence[Any]) -> EventRecord:
    return EventRecord(values[1], values[2], EventKind(values[3]), json.loads(values[4]))


def step_values(number: int, step: StepSummary) -> tuple[SQL, ...]:
    named = {name: getattr(step, name) for name in STEP_COLUMNS[1:]}
    return (number, *(named | {"also_met": to_json(list(step.also_met))}).values())


def step_from(values: Sequence[Any]) -> StepSummary:
    named: dict[str, Any] = dict(zip(STEP_COLUMNS[1:], values[1:], strict=True))
    named["also_met"] = tuple(json.loads(named["also_met"]))
    return StepSummary(**named)


def cycle_values(number: int, cycle: CycleSummary) -> tuple[SQL, ...]:
    return (number, *(getattr(cycle, name) for name in CYCLE_COLUMNS[1:]))


def cycle_from(values: Sequence[Any]) -> CycleSummary:
    return CycleSummary(*values[1:])
