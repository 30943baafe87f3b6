"""Run files without files, and an outbox over them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.publish.cursors import Cursors, Stream
from cycler_ctl.publish.outbox import Outbox, Outgoing
from cycler_ctl.publish.payloads import Efficiency, Value
from cycler_ctl.publish.source import Stretch
from protocols.record import Counters, CycleSummary, EventKind, EventRecord, Mark, Mode, Row

NOTHING = Counters()
EPOCH = 42


def row(seq: int) -> Row:
    mode, mark = Mode.REST, Mark.NONE
    return Row(seq, 1.0 * seq, 1e9 + seq, 3.7, 0.0, None, 0, 1, "1", mode, 0, 0.0, mark, NOTHING, NOTHING, NOTHING)


class MemoryRun:
    """A run file without a file."""

    def __init__(self, rows: int = 0, events: int = 0, cycles: int = 0, *, over: bool = False) -> None:
        self.channel = "a1"
        self.epochs = [Stretch(EPOCH, {})]
        self.counts = {Stream.SAMPLES: rows, Stream.EVENTS: events, Stream.SUMMARIES: cycles}
        self.over = over
        self.holes: set[int] = set()

    def stretches(self) -> Sequence[Stretch]:
        return self.epochs

    def ended(self) -> bool:
        return self.over

    def last(self, stream: Stream, after: int) -> int:
        return self.counts.get(stream, after)

    def rows(self, after: int, limit: int) -> list[Row]:
        last = min(after + limit, self.counts[Stream.SAMPLES])
        return [row(seq) for seq in range(after + 1, last + 1) if seq not in self.holes]

    def event(self, number: int) -> EventRecord:
        return EventRecord(1.0, 1e9, EventKind.NOTE, {"text": f"event {number}"})

    def cycle(self, number: int) -> CycleSummary:
        return CycleSummary(number, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0)

    def efficiency(self, cycle: CycleSummary) -> Efficiency:
        return Efficiency(1.0, None)

    def close(self) -> None:
        pass


class MemoryRuns:
    columns = ("seq", "padding")

    def __init__(self, **runs: MemoryRun) -> None:
        self.runs = runs
        self.padding = ""

    def names(self) -> Sequence[str]:
        return list(self.runs)

    def open(self, run: str) -> MemoryRun:
        if run not in self.runs:
            raise StoreError(f"no {run}")
        return self.runs[run]

    def values(self, run: str, row: Row) -> Sequence[Value]:
        return (row.seq, self.padding)


def opened(folder: Path, runs: MemoryRuns) -> Outbox:
    outbox = Outbox(Cursors(folder / "outbox.sqlite"), runs)
    outbox.discover()
    return outbox


def all_next(outbox: Outbox) -> list[Outgoing]:
    found: list[Outgoing] = []
    while (outgoing := outbox.next(0.0)) is not None:
        found.append(outgoing)
    return found


def seqs(outgoing: Outgoing) -> list[int]:
    said: dict[str, Any] = json.loads(outgoing.payload)
    return [values[0] for values in said["rows"]]


def drain(outbox: Outbox) -> list[Outgoing]:
    sent: list[Outgoing] = []
    while (outgoing := outbox.next(0.0)) is not None or outbox.digest_some():
        if outgoing is not None:
            sent.append(outgoing)
            outbox.acknowledged(outgoing)
    return sent


def went_on(epoch: int, first: int) -> Stretch:
    return Stretch(epoch, {Stream.SAMPLES: first, Stream.EVENTS: first, Stream.SUMMARIES: first})
