"""Rows as schema 2 stores them: what a step's rows have in common once, the rest bit for bit.

Nothing is rounded. Whatever a reader would compute is computed here first; where that is not the row's own number to
the last bit, the number itself is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import SQL
from cycler_ctl.store.packed import CONTEXT_AT, NUMBERS, WORDS, step_id_of

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


Totals = tuple[float, float, float, float]
"""Oxidation and reduction in Ah, the same in Wh."""


@dataclass(frozen=True, slots=True)
class _Context:
    """What stands once for many rows; the totals are what they stood at when the step began."""

    number: int
    common: bytes
    """The end of a packed row."""
    utc_offset_s: float
    step_began_s: float
    run: Totals
    cycle: Totals
    still: Totals
    """The step's that a row may leave out."""


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
        self._before: Totals = (0.0, 0.0, 0.0, 0.0)

    def encode(self, rows: Iterable[bytes]) -> Encoded:
        """Packed rows. To be written whole, in this order, or the encoder thrown away."""
        found = Encoded()
        for row in rows:
            found.rows.append(self._values(row, found))
        return found

    def forget(self) -> None:
        """The context is not in the file after all: the next row begins another."""
        self._context = None

    def _values(self, row: bytes, found: Encoded) -> tuple[SQL, ...]:
        """One row; written out, because this runs for every one."""
        numbers = NUMBERS.unpack_from(row)
        seq, time_s, utc_s, voltage_V, current_A, temperature_degC, step_time_s = numbers[:7]
        step = oxidation_Ah, reduction_Ah, oxidation_Wh, reduction_Wh = numbers[15:19]
        context = self._context
        if (
            context is None
            or row[CONTEXT_AT:] != context.common
            or self._stands_still(numbers[23], step, context.still)
        ):
            context = self._begin(row, numbers, found)
        self._before = step
        run, cycle, still = context.run, context.cycle, context.still
        if numbers[7:15] != (
            run[0] + oxidation_Ah,
            run[1] + reduction_Ah,
            run[2] + oxidation_Wh,
            run[3] + reduction_Wh,
            cycle[0] + oxidation_Ah,
            cycle[1] + reduction_Ah,
            cycle[2] + oxidation_Wh,
            cycle[3] + reduction_Wh,
        ):
            _refuse_nan(seq, *step)
            found.totals.append((seq, *numbers[7:15]))
        return (
            seq,
            context.number,
            time_s,
            _utc(seq, time_s, utc_s, time_s + context.utc_offset_s),
            voltage_V,
            current_A,
            None if isnan(temperature_degC) else temperature_degC,
            WORDS[numbers[19]] or None,
            None if time_s - context.step_began_s == step_time_s else _refuse_nan(seq, step_time_s),
            None if oxidation_Ah == still[0] else oxidation_Ah,
            None if reduction_Ah == still[1] else reduction_Ah,
            None if oxidation_Wh == still[2] else oxidation_Wh,
            None if reduction_Wh == still[3] else reduction_Wh,
        )

    def _begin(self, row: bytes, numbers: tuple[Any, ...], found: Encoded) -> _Context:
        time_s, utc_s, step_time_s = numbers[1], numbers[2], numbers[6]
        run, cycle, step = numbers[7:11], numbers[11:15], numbers[15:19]
        of_run, of_cycle = _without(run, step), _without(cycle, step)
        context = _Context(self._next, row[CONTEXT_AT:], utc_s - time_s, time_s - step_time_s, of_run, of_cycle, step)
        self._context = context
        self._next += 1
        of_cycle_number, step_count, mode, direction = numbers[20:]
        common = of_cycle_number, step_count, step_id_of(row), WORDS[mode], direction
        times = context.utc_offset_s, context.step_began_s
        found.contexts.append((context.number, *common, *times, *of_run, *of_cycle, *step))
        return context

    def _stands_still(self, direction: int, now: Totals, still: Totals) -> bool:
        """The direction that does not flow has moved since the context began, and not since the row before."""
        if direction == 0:
            return False
        other = 1 if direction > 0 else 0
        return now[other] != still[other] and now[other] == self._before[other]


def _utc(seq: int, time_s: float, utc_s: float, expected_s: float) -> float | int:
    if not (0.0 <= utc_s <= LATEST_S and isfinite(expected_s)):
        raise StoreError(f"row {seq} has the times {time_s} s and {utc_s} s")
    ticks = int((utc_s - expected_s) * TICKS_PER_S)
    return ticks if expected_s + ticks / TICKS_PER_S == utc_s else utc_s


def _refuse_nan(seq: int, *values: float) -> float:
    """The last of ``values``; a NaN would be stored as NULL, which has a meaning."""
    if any(isnan(value) for value in values):
        raise StoreError(f"row {seq} holds what is not a number")
    return values[-1]


def _without(total: Totals, passed: Totals) -> Totals:
    """What ``total`` stood at before ``passed``; never below zero, and checked by every row that uses it."""
    return (
        max(0.0, total[0] - passed[0]),
        max(0.0, total[1] - passed[1]),
        max(0.0, total[2] - passed[2]),
        max(0.0, total[3] - passed[3]),
    )
