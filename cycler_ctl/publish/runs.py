"""The run files of a data folder as the outbox reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from cycler_ctl.errors import StoreError
from cycler_ctl.publish.cursors import Stream
from cycler_ctl.publish.payloads import Efficiency, Value
from cycler_ctl.publish.source import Stretch
from cycler_ctl.records.bdf import bdf_columns, bdf_values
from cycler_ctl.records.efficiency import charge_efficiency, energy_efficiency
from cycler_ctl.store.reader import RunReader, open_run
from protocols.model import Verb
from protocols.record import CycleSummary, EventRecord, Row

_REMEMBERED = 256
_TABLES = {Stream.SAMPLES: "samples", Stream.EVENTS: "events", Stream.SUMMARIES: "cycles"}
Record = TypeVar("Record")


class StoredRun:
    """A ``RunFile``."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self.channel = reader.info.channel

    def stretches(self) -> Sequence[Stretch]:
        return [
            Stretch(each.epoch, {stream: each.first[table] for stream, table in _TABLES.items()})
            for each in self._reader.epochs
        ]

    def ended(self) -> bool:
        """An interrupted run may yet be resumed."""
        return self._reader.state.state == "ended"

    def last(self, stream: Stream, after: int) -> int:
        match stream:
            case Stream.SAMPLES:
                return self._reader.last_seq
            case Stream.EVENTS:
                return after + len(self._reader.events(after))
            case Stream.SUMMARIES:
                return after + len(self._reader.cycles(after))
            case Stream.MANIFESTS:
                return after

    def rows(self, after: int, limit: int) -> Sequence[Row]:
        return self._reader.rows(after, limit)

    def event(self, number: int) -> EventRecord:
        return _only(self._reader.events(number - 1, 1), "event", number)

    def cycle(self, number: int) -> CycleSummary:
        return _only(self._reader.cycles(number - 1)[:1], "cycle", number)

    def efficiency(self, cycle: CycleSummary) -> Efficiency:
        info = self._reader.info
        return Efficiency(charge_efficiency(info, cycle), energy_efficiency(info, cycle))

    def close(self) -> None:
        self._reader.close()


class StoredRuns:
    """``RunFiles`` of ``data_dir/runs``; belongs to one thread."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "runs"
        self._means: dict[str, Verb | None] = {}
        self.columns: tuple[str, ...] = tuple(column.machine_name for column in bdf_columns())

    def names(self) -> Sequence[str]:
        """The newest first."""
        if not self._folder.is_dir():
            return ()
        return sorted((folder.name for folder in self._folder.iterdir() if folder.is_dir()), reverse=True)

    def open(self, run: str) -> StoredRun:
        reader = open_run(self._folder / run)
        self._remember(run, reader.info.discharge_means)
        return StoredRun(reader)

    def values(self, run: str, row: Row) -> Sequence[Value]:
        if run not in self._means:
            self.open(run).close()
        return bdf_values(row, self._means[run])

    def _remember(self, run: str, means: Verb | None) -> None:
        if len(self._means) >= _REMEMBERED:
            self._means.pop(next(iter(self._means)))
        self._means[run] = means


def _only(found: Sequence[Record], what: str, number: int) -> Record:
    if not found:
        raise StoreError(f"{what} {number} is not in the run file any more")
    return found[0]
