"""What a run's writer has taken and its thread has not fetched yet, numbered as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cycler_ctl.store.packed import packed
from cycler_ctl.store.segment import Batch, Ending, Numbers
from protocols.record import JSON, CycleSummary, EventKind, EventRecord, Row, StepSummary


class Waiting:
    """Grows into one batch; the caller holds the writer's lock."""

    def __init__(self, following: Numbers, time_s: float) -> None:
        self.following = replace(following)
        self.time_s = time_s
        """Run time of the newest row."""
        self.any = False
        self._batch = Batch()

    @property
    def rows(self) -> int:
        return len(self._batch.rows)

    def put_rows(self, rows: Sequence[Row]) -> None:
        """All of them, or none: raises StoreError."""
        self._batch.rows += [packed(row) for row in rows]
        self.following.seq += len(rows)
        self.time_s = rows[-1].time_s

    def put_others(
        self, events: Sequence[EventRecord], steps: Sequence[StepSummary] = (), cycles: Sequence[CycleSummary] = ()
    ) -> None:
        batch, following = self._batch, self.following
        batch.events.extend(enumerate(events, following.event))
        batch.steps.extend(enumerate(steps, following.step))
        batch.cycles.extend(enumerate(cycles, following.cycle))
        following.event += len(events)
        following.step += len(steps)
        following.cycle += len(cycles)

    def note(self, utc_s: float, kind: EventKind, text: str, **more: float) -> None:
        """The store's own remark in the record."""
        data: dict[str, JSON] = {"source": "store", "text": text, **more}
        self.put_others((EventRecord(self.time_s, utc_s, kind, data),))

    def put_checkpoint(self, checkpoint: Callable[[], str]) -> None:
        """It takes the place of the one that waits: only the newest is of use."""
        self._batch.checkpoint = checkpoint

    def put_ending(self, ending: Ending) -> None:
        self._batch.ending = ending

    def take(self) -> Batch | None:
        """All of it; None if there is nothing."""
        if not self.any:
            return None
        taken, self._batch, self.any = self._batch, Batch(), False
        return taken
