"""Readings that were lost and asked for again, told so that the record has them all and no bad wire can fill a disk."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.record import JSON, EventKind

ONE_BY_ONE = 20
"""So many of a step are told each; after them, each time they have doubled, and their number when the step is over."""

Told = tuple[EventKind, Mapping[str, JSON]]


class Retries:
    """Counts those of the present step."""

    def __init__(self) -> None:
        self._step_count = 0
        self._count = 0
        self._told = 0

    def one_more(self, step_count: int, why: str, **more: JSON) -> tuple[Told, ...]:
        left = self.over(step_count)
        self._count += 1
        if self._count <= ONE_BY_ONE or self._count >= 2 * self._told:
            return (*left, self._tell(why, **more))
        return left

    def over(self, step_count: int) -> tuple[Told, ...]:
        """What is left to be told of the step before, where ``step_count`` is another."""
        if step_count == self._step_count:
            return ()
        left = (self._tell("the number of lost readings when the step ended"),) if self._count > self._told else ()
        self._step_count, self._count, self._told = step_count, 0, 0
        return left

    def _tell(self, why: str, **more: JSON) -> Told:
        self._told = self._count
        return EventKind.RETRY, {"step_count": self._step_count, "count": self._count, "text": why, **more}
