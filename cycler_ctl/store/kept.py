"""The newest durable records of a run, in memory in case their file fails: they are then written once more.

Each row is packed: as objects a hundred runs' rows are hundreds of megabytes, and each look of the garbage collector at
them holds all threads up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import isnan, nan
from struct import Struct

from cycler_ctl.store.codec import row_from, row_values
from cycler_ctl.store.segment import Batch, Ending
from protocols.record import CycleSummary, EventRecord, Row, StepSummary

MOST_OTHERS = 10_000
"""Of events, steps and cycles each; what is older stays in the file that failed, which is read as far as it can be."""

_NUMBERS = Struct("<q5d2qb13d")
"""Those of ``ROW_COLUMNS``, in their order; takes whatever kind a driver gives, numpy's too, for what it is. No temperature is NaN."""


class Kept:
    """The last ``most_rows`` rows and what happened beside them."""

    def __init__(self, most_rows: int) -> None:
        self._rows: deque[bytes] = deque(maxlen=most_rows)
        self._events: deque[tuple[int, EventRecord]] = deque(maxlen=MOST_OTHERS)
        self._steps: deque[tuple[int, StepSummary]] = deque(maxlen=MOST_OTHERS)
        self._cycles: deque[tuple[int, CycleSummary]] = deque(maxlen=MOST_OTHERS)
        self._checkpoint: Callable[[], str] | None = None
        self._ending: Ending | None = None

    def add(self, batch: Batch) -> None:
        self._rows.extend(map(_packed, batch.rows))
        self._events.extend(batch.events)
        self._steps.extend(batch.steps)
        self._cycles.extend(batch.cycles)
        self._checkpoint = batch.checkpoint or self._checkpoint  # only the newest is of use, and it holds a whole state
        self._ending = batch.ending or self._ending

    def batch(self) -> Batch:
        """All of it."""
        return Batch(
            [_unpacked(packed) for packed in self._rows],
            list(self._events),
            list(self._steps),
            list(self._cycles),
            self._checkpoint,
            self._ending,
        )


def _packed(row: Row) -> bytes:
    values = row_values(row)
    temperature_degC, cycle, step_count, step_id, mode, direction, step_time_s, mark = values[5:13]
    measured_degC = nan if temperature_degC is None else temperature_degC
    numbers = (*values[:5], measured_degC, cycle, step_count, direction, step_time_s, *values[13:])
    return _NUMBERS.pack(*numbers) + f"{mode} {mark} {step_id}".encode()


def _unpacked(packed: bytes) -> Row:
    numbers = _NUMBERS.unpack_from(packed)
    measured_degC, cycle, step_count, direction, step_time_s = numbers[5:10]
    mode, mark, step_id = packed[_NUMBERS.size :].decode().split(" ", 2)
    temperature_degC = None if isnan(measured_degC) else measured_degC
    facts = (temperature_degC, cycle, step_count, step_id, mode, direction, step_time_s, mark)
    return row_from((*numbers[:5], *facts, *numbers[10:]))
