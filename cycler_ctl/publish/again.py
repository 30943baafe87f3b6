"""Rows that a reader asked for again: few at a time, after everything that is new, and never more than is acknowledged.

A reader that asks too often, or for what is not there, gets nothing; one whose answer was lost asks again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cycler_ctl.publish.cursors import LaneKey, Stream
from cycler_ctl.publish.lane import BATCH_ROWS, Span
from cycler_ctl.publish.source import Stretch

WAITING_OF_ONE = 16
WAITING = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows ``first`` to ``last`` of the run's ``epoch``; ``end``: and what was said of the run at its end.

    With another ``stream``: events or cycles of these numbers.
    """

    run: str
    epoch: int
    first: int
    last: int
    client: str
    end: bool = False
    stream: Stream = Stream.SAMPLES

    @property
    def lane(self) -> LaneKey:
        return LaneKey(self.run, self.epoch, self.stream)


class Again:
    """A bounded queue, the same question once."""

    def __init__(self) -> None:
        self._asked: deque[Wanted] = deque()

    def room_for(self, client: str) -> bool:
        """Of each reader and of all together only so much waits."""
        of = Counter(wanted.client for wanted in self._asked)
        return len(self._asked) < WAITING and of[client] < WAITING_OF_ONE

    def ask(self, wanted: Wanted) -> bool:
        """False: there is nothing to send."""
        if wanted.first > wanted.last and not wanted.end:
            return False
        if wanted not in self._asked:
            self._asked.append(wanted)
        return True

    def first(self) -> Wanted | None:
        """Whose turn it is."""
        return self._asked[0] if self._asked else None

    def sent(self, last: int) -> None:
        """Rows up to ``last`` went out; what is left waits behind the others."""
        wanted = self._asked.popleft()
        if last < wanted.last or (wanted.end and wanted.first <= wanted.last):
            self._asked.append(replace(wanted, first=last + 1))

    def drop(self) -> None:
        self._asked.popleft()

    def clear(self) -> None:
        """The connection ended."""
        self._asked.clear()


def next_span(wanted: Wanted) -> Span:
    size = BATCH_ROWS if wanted.stream is Stream.SAMPLES else 1
    return Span(wanted.first, min(wanted.first + size - 1, wanted.last))


def stretch_of(stretches: Sequence[Stretch], lane: LaneKey, acknowledged: int) -> tuple[int, int]:
    """Of this lane what a broker has had; (1, 0) if there is nothing."""
    for number, stretch in enumerate(stretches):
        if stretch.epoch == lane.epoch:
            end = [following.before(lane.stream) for following in stretches[number + 1 :]]
            return stretch.before(lane.stream) + 1, min([acknowledged, *end])
    return 1, 0
