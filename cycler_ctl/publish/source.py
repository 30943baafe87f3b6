"""What the outbox needs of run files; everything it returns is durable already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cycler_ctl.publish.cursors import Stream
from cycler_ctl.publish.payloads import Efficiency, Value
from protocols.record import CycleSummary, EventRecord, Row


@dataclass(frozen=True, slots=True)
class Stretch:
    """The numbers of one epoch of a run: of each stream from ``first`` (1 where it is not said) to where the next begins."""

    epoch: int
    first: Mapping[Stream, int]

    def before(self, stream: Stream) -> int:
        return self.first.get(stream, 1) - 1


class RunFile(Protocol):
    """One run, opened for reading. Any call may raise StoreError."""

    @property
    def channel(self) -> str: ...
    def stretches(self) -> Sequence[Stretch]:
        """In order; a run has one for each program that went on with it."""
        ...

    def ended(self) -> bool:
        """Never will there be another row or event."""
        ...

    def last(self, stream: Stream, after: int) -> int:
        """Number of the last row, event or cycle, ``after`` being known; each is dense from 1. Of others: ``after``."""
        ...

    def rows(self, after: int, limit: int) -> Sequence[Row]: ...
    def event(self, number: int) -> EventRecord: ...
    def cycle(self, number: int) -> CycleSummary: ...
    def efficiency(self, cycle: CycleSummary) -> Efficiency: ...
    def close(self) -> None: ...


class RunFiles(Protocol):
    """All runs of a data folder."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Machine names of ``values``."""
        ...

    def names(self) -> Sequence[str]: ...
    def open(self, run: str) -> RunFile: ...
    def values(self, run: str, row: Row) -> Sequence[Value]:
        """The row under the Battery Data Format's names, in that format's sign: exactly as exported."""
        ...
