"""The newest durable records of a run, in memory in case their file fails: they are then written once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from cycler_ctl.store.segment import Batch, Ending
from protocols.record import CycleSummary, EventRecord, StepSummary

MOST_OTHERS = 10_000
"""Of events, steps and cycles each; what is older stays in the file that failed, which is read as far as it can be."""


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
        self._rows.extend(batch.rows)
        self._events.extend(batch.events)
        self._steps.extend(batch.steps)
        self._cycles.extend(batch.cycles)
        self._checkpoint = batch.checkpoint or self._checkpoint  # only the newest is of use, and it holds a whole state
        self._ending = batch.ending or self._ending

    def batch(self) -> Batch:
        """All of it."""
        return Batch(
            list(self._rows),
            list(self._events),
            list(self._steps),
            list(self._cycles),
            self._checkpoint,
            self._ending,
        )
