"""Rows as schema 2 stores them: what a step's rows have in common once, the rest bit for bit.

Nothing is rounded. Whatever a reader would compute is computed here first; where that is not the row's own number to
the last bit, the number itself is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite, isnan

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import SQL
from protocols.record import Counters, Mode, Row

TICKS_PER_S = 4194304.0
"""2^22: between 2004 and 2038 a double counts UTC in steps of 2^-22 s, so the distance of two is a whole number."""
LATEST_S = 1e12

CONTEXT_COLUMNS = (
    "id",
    "cycle",
    "step_count",
    "step_id",
    "mode",
    "direction",
    "utc_offset_s",
    "step_began_s",
    *(
        f"{scope}_{way}_{unit}"
        for scope in ("run", "cycle", "step")
        for unit in ("Ah", "Wh")
        for way in ("oxidation", "reduction")
    ),
)
COMPACT_COLUMNS = (
    "seq",
    "context",
    "time_s",
    "utc",
    "voltage_V",
    "current_A",
    "temperature_degC",
    "mark",
    "step_time_s",
    "oxidation_Ah",
    "reduction_Ah",
    "oxidation_Wh",
    "reduction_Wh",
)
TOTALS_COLUMNS = ("seq", *CONTEXT_COLUMNS[8:16])


@dataclass(frozen=True, slots=True)
class _Context:
    """What stands once for many rows; the counters are those the totals stood at when the step began."""

    number: int
    key: tuple[int, int, str, Mode, int]
    utc_offset_s: float
    step_began_s: float
    run: Counters
    cycle: Counters
    still: Counters
    """The step's counters that a row may leave out."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Values for the three tables, in the order of their columns."""

    contexts: list[tuple[SQL, ...]] = field(default_factory=list[tuple[SQL, ...]])
    rows: list[tuple[SQL, ...]] = field(default_factory=list[tuple[SQL, ...]])
    totals: list[tuple[SQL, ...]] = field(default_factory=list[tuple[SQL, ...]])


class RowEncoder:
    """Remembers the context of the newest row of one file; ``next_context`` is a number the file does not have yet."""

    def __init__(self, next_context: int = 1) -> None:
        self._next = next_context
        self._context: _Context | None = None
        self._before = Counters()

    def encode(self, rows: Iterable[Row]) -> Encoded:
        """To be written whole, in this order, or the encoder thrown away."""
        found = Encoded()
        for row in rows:
            key = (row.cycle, row.step_count, row.step_id, row.mode, row.direction)
            context = self._context
            if context is None or key != context.key or (row.direction and self._stands_still(row, context)):
                context = self._begin(row, key, found)
            found.rows.append(_values(row, context, found))
            self._before = row.step_total
        return found

    def _begin(self, row: Row, key: tuple[int, int, str, Mode, int], found: Encoded) -> _Context:
        passed = row.step_total
        context = _Context(
            self._next,
            key,
            row.utc_s - row.time_s,
            row.time_s - row.step_time_s,
            _without(row.run_total, passed),
            _without(row.cycle_total, passed),
            passed,
        )
        run, cycle = context.run, context.cycle
        self._context = context
        self._next += 1
        found.contexts.append(
            (context.number, *key, context.utc_offset_s, context.step_began_s, *_all(run), *_all(cycle), *_all(passed))
        )
        return context

    def _stands_still(self, row: Row, context: _Context) -> bool:
        """The direction that does not flow has moved since the context began, and not since the row before."""
        now, before, still = row.step_total, self._before, context.still
        if row.direction > 0:
            return now.reduction_Ah != still.reduction_Ah and now.reduction_Ah == before.reduction_Ah
        return now.oxidation_Ah != still.oxidation_Ah and now.oxidation_Ah == before.oxidation_Ah


def _values(row: Row, context: _Context, found: Encoded) -> tuple[SQL, ...]:
    """One row; written out, because this runs for every one."""
    time_s, utc_s, step_time_s = row.time_s, row.utc_s, row.step_time_s
    step, run, cycle, still = row.step_total, row.run_total, row.cycle_total, context.still
    oxidation_Ah, reduction_Ah = step.oxidation_Ah, step.reduction_Ah
    oxidation_Wh, reduction_Wh = step.oxidation_Wh, step.reduction_Wh
    base, base_of_cycle = context.run, context.cycle
    if not (
        base.oxidation_Ah + oxidation_Ah == run.oxidation_Ah
        and base.reduction_Ah + reduction_Ah == run.reduction_Ah
        and base.oxidation_Wh + oxidation_Wh == run.oxidation_Wh
        and base.reduction_Wh + reduction_Wh == run.reduction_Wh
        and base_of_cycle.oxidation_Ah + oxidation_Ah == cycle.oxidation_Ah
        and base_of_cycle.reduction_Ah + reduction_Ah == cycle.reduction_Ah
        and base_of_cycle.oxidation_Wh + oxidation_Wh == cycle.oxidation_Wh
        and base_of_cycle.reduction_Wh + reduction_Wh == cycle.reduction_Wh
    ):
        _refuse_nan(row, *_all(step))
        found.totals.append((row.seq, *_all(run), *_all(cycle)))
    return (
        row.seq,
        context.number,
        time_s,
        _utc(row, utc_s, time_s + context.utc_offset_s),
        row.voltage_V,
        row.current_A,
        row.temperature_degC,
        row.mark or None,
        None if time_s - context.step_began_s == step_time_s else _refuse_nan(row, step_time_s),
        None if oxidation_Ah == still.oxidation_Ah else oxidation_Ah,
        None if reduction_Ah == still.reduction_Ah else reduction_Ah,
        None if oxidation_Wh == still.oxidation_Wh else oxidation_Wh,
        None if reduction_Wh == still.reduction_Wh else reduction_Wh,
    )


def _utc(row: Row, utc_s: float, expected_s: float) -> float | int:
    if not (0.0 <= utc_s <= LATEST_S and isfinite(expected_s)):
        raise StoreError(f"row {row.seq} has the times {row.time_s} s and {utc_s} s")
    ticks = int((utc_s - expected_s) * TICKS_PER_S)
    return ticks if expected_s + ticks / TICKS_PER_S == utc_s else utc_s


def _refuse_nan(row: Row, *values: float) -> float:
    """The last of ``values``; a NaN would be stored as NULL, which has a meaning."""
    if any(isnan(value) for value in values):
        raise StoreError(f"row {row.seq} holds what is not a number")
    return values[-1]


def _without(total: Counters, passed: Counters) -> Counters:
    """What ``total`` stood at before ``passed``; never below zero, and checked by every row that uses it."""
    return Counters(
        max(0.0, total.oxidation_Ah - passed.oxidation_Ah),
        max(0.0, total.reduction_Ah - passed.reduction_Ah),
        max(0.0, total.oxidation_Wh - passed.oxidation_Wh),
        max(0.0, total.reduction_Wh - passed.reduction_Wh),
    )


def _all(counters: Counters) -> tuple[float, float, float, float]:
    return counters.oxidation_Ah, counters.reduction_Ah, counters.oxidation_Wh, counters.reduction_Wh
