"""The times of a run's rows compared with each other: run time by the monotonic clock, and the label in UTC.

The engine says when the computer's clock was set. What the rows show and no event told is an error of the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from protocols.record import EventKind, EventRecord, Row

CLOCK_STEP_S = 1.0
"""Between two rows UTC and the monotonic clock may part by this much before it is a step."""
SLEWING = 5e-4  # by which a time server may change the speed of the wall clock (Linux: 500 ppm)
MOST_STEPS = 50


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock was set by ``by_s`` before row ``seq``, after the row at ``since_s``; run time did not notice."""

    seq: int
    time_s: float
    utc_s: float
    by_s: float
    since_s: float


@dataclass(slots=True)
class RowClocks:
    """``backwards``: rows whose run time is before that of the row above. ``drift_s``: parted by beside the steps."""

    backwards: int = 0
    steps_found: int = 0
    steps: list[ClockStep] = field(default_factory=list[ClockStep])
    drift_s: float = 0.0
    first_s: float = 0.0
    last: Row | None = None

    def see(self, row: Row) -> None:
        last, self.last = self.last, row
        if last is None:
            self.first_s = row.time_s
            return
        self.backwards += row.time_s < last.time_s
        by_s = (row.utc_s - row.time_s) - (last.utc_s - last.time_s)
        if abs(by_s) <= CLOCK_STEP_S:
            self.drift_s += by_s
            return
        self.steps_found += 1
        if len(self.steps) < MOST_STEPS:
            self.steps.append(ClockStep(row.seq, row.time_s, row.utc_s, by_s, last.time_s))

    def untold(self, events: Sequence[EventRecord]) -> list[str]:
        """What the rows show of their clocks and no event explains, a sentence each."""
        told = [(event.time_s, float(by_s)) for event, by_s in _told(events)]
        return [*self._untold_steps(told), *self._drift(), *self._falling()]

    def _untold_steps(self, told: Sequence[tuple[float, float]]) -> Iterator[str]:
        """An event has the time of the reading it was noticed at, which may lie just beside a row's."""
        for step in self.steps:
            by_s = sum(one_s for at_s, one_s in told if step.since_s < at_s <= step.time_s + CLOCK_STEP_S)
            if not abs(step.by_s - by_s) <= CLOCK_STEP_S:
                yield f"row {step.seq}: the clocks part by {step.by_s:+.1f} s and no event says that one was set"

    def _drift(self) -> Iterator[str]:
        lasted_s = 0.0 if self.last is None else abs(self.last.time_s - self.first_s)
        if not abs(self.drift_s) <= CLOCK_STEP_S + SLEWING * lasted_s:
            yield f"the clocks part by {self.drift_s:+.1f} s in {lasted_s:.0f} s, more than a time server may slew"

    def _falling(self) -> Iterator[str]:
        if self.backwards:
            yield f"run time falls at {self.backwards} of the rows"


def _told(events: Sequence[EventRecord]) -> Iterator[tuple[EventRecord, float]]:
    for event in events:
        by_s = event.data.get("clock_step_s")
        if event.kind is EventKind.WARNING and isinstance(by_s, int | float):
            yield event, by_s
