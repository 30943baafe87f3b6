"""The files of one run as the writer's thread sees them: write here, and if that fails, in a new segment."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import SQL, row_from, row_values
from cycler_ctl.store.compact import RowEncoder
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.place import MINIMUM_FREE_BYTES, is_set_aside, release_reserve, set_aside
from cycler_ctl.store.segment import (
    Batch,
    Connect,
    Numbers,
    after,
    build_segment,
    encoder_for,
    examine,
    give_up,
    make_single_file,
    open_for_reading,
    open_for_writing,
    segment_path,
    segment_paths,
    write_batches,
)

RESERVE_BYTES = 8 << 20
"""Held back on the disk by each live run, so that its end can be written when nothing else can: 100 000 rows."""
COMMITS_PER_S = 64
"""Of all runs together, as long as each comes to its turn within ``LONGEST_S``; each costs 0.3 ms of processor time and a sync."""
LONGEST_S = 1.0
RING_S = 600.0
"""A disk may be away this long before anything is lost (reserve for F16 to F18)."""


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """How often, and how much memory stands in for a disk that does not answer. Times are of the real machine."""

    commit_every_s: float = 0.25
    commit_rows: int = 256
    retry_every_s: float = 5.0
    close_retry_s: float = 5.0
    """How long closing goes on trying to write what no disk took."""
    urgent_s: float = 75.0
    """Records that have waited this long may use the reserve: the run was paused for want of a disk by then."""
    ring_rows: int = 100_000
    """Rows that may wait; more where 10 min of samples are more."""
    keep_rows: int = 5_000
    """Durable rows kept to be written once more into a new segment; fewer where 10 min of samples are fewer."""
    minimum_free_bytes: int = MINIMUM_FREE_BYTES
    reserve_bytes: int = RESERVE_BYTES
    connect: Connect = open_for_writing


def options_for(channels: int) -> WriterOptions:
    """Of a station: its runs share one disk, so they wait longer for company the more there may be, at most a second."""
    every_s = max(WriterOptions().commit_every_s, channels / COMMITS_PER_S)
    return WriterOptions(commit_every_s=min(every_s, LONGEST_S))


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a run's files a writer begins; ``alive``: (run time, UTC) of the last sign of life before that."""

    run_dir: Path
    segment: int
    next: Numbers
    alive: tuple[float, float] | None = None


class RunFiles:
    """The files as the writer's thread sees them; nobody else touches it but to read ``overflowed``."""

    def __init__(self, info: RunInfo, at: Position, utc: Callable[[], float], options: WriterOptions) -> None:
        self.segment = at.segment
        self.durable = at.next
        self.unwritten: list[Batch] = []
        self.overflowed = False
        self.last_error: StoreError | None = None
        self.hopeless = False
        """The last error is of the records themselves: no disk would take them."""
        self._info = info
        self._run_dir = at.run_dir
        self._utc = utc
        self._options = options
        self._kept: deque[Kept] = deque()
        self._kept_rows = 0
        self._usable = True
        self._ended = False
        self._connection: sqlite3.Connection | None = None
        self._encoder = RowEncoder()

    def save(self, batches: Sequence[Batch], urgent: bool = False) -> StoreError | None:  # noqa: FBT001, FBT002
        """Make ``batches`` and all that failed before durable, in a new segment if the present one fails.

        If that fails too, the reserve is given up for what must not be missing: the end of the run, or where
        ``urgent`` everything that has waited long enough for the run to have been ended for want of a disk.
        """
        self.unwritten.extend(batches)
        if not self.unwritten:
            return None
        error = self._attempt(self._write_here) if self._usable else self.last_error
        if error is not None:
            error = self._attempt(self._write_new_segment)
        ending = any(batch.ending is not None for batch in self.unwritten)
        if error is not None and (urgent or ending) and release_reserve(self._run_dir):
            error = self._attempt(self._write_new_segment)
        if error is None:
            self._settle()
        return error

    def close(self) -> None:
        release_reserve(self._run_dir)
        if self._connection is None:
            return
        if self._ended and self._usable:
            make_single_file(self._connection)
        self._connection.close()
        self._connection = None

    def _attempt(self, write: Callable[[], None]) -> StoreError | None:
        try:
            write()
        except (sqlite3.Error, OSError, StoreError, ValueError, TypeError) as error:
            self._abandon(f"{error}")
            self.hopeless = not isinstance(error, sqlite3.OperationalError | OSError)
            self.last_error = StoreError(f"{self._run_dir}: {error}")
            return self.last_error
        return None

    def _abandon(self, why: str) -> None:
        path = segment_path(self._run_dir, self.segment)
        if self._usable:
            set_aside(path, why)
        self._usable = False
        if self._connection is not None:
            give_up(self._connection, path)
            self._connection = None

    def _write_here(self) -> None:
        if self._connection is None:
            self._connection = self._options.connect(segment_path(self._run_dir, self.segment))
            self._encoder = encoder_for(self._connection)
        write_batches(self._connection, self._encoder, self.durable.seq, self.unwritten, self._utc())

    def _write_new_segment(self) -> None:
        number = self.segment + 1
        batches = [*(kept.batch() for kept in self._kept), *self.unwritten]
        first = _first(batches, self.durable)
        build_segment(segment_path(self._run_dir, number), self._info, number, first, batches, self._utc())
        self.segment = number
        self._usable = True

    def _settle(self) -> None:
        """What was written is durable now; keep the newest of it in memory."""
        for batch in self.unwritten:
            self.durable = after(self.durable, batch)
            self._ended = self._ended or batch.ending is not None
            if batch.checkpoint is not None and self._kept:
                self._kept[-1].others.checkpoint = None  # only the newest is of use, and it holds a whole state
            self._kept.append(Kept.of(batch))
            self._kept_rows += len(batch.rows)
        self.unwritten = []
        most = min(self._options.keep_rows, ceil(RING_S / self._info.sample_every_s))
        while self._kept and (self._kept_rows > most or len(self._kept) > 2 * most + 100):
            self._kept_rows -= len(self._kept.popleft().rows)


@dataclass(frozen=True, slots=True)
class Kept:
    """A durable batch, its rows packed: of thousands of objects the garbage collector would make a stall."""

    others: Batch
    rows: tuple[tuple[SQL, ...], ...]

    @staticmethod
    def of(batch: Batch) -> Kept:
        return Kept(replace(batch, rows=[]), tuple(row_values(row) for row in batch.rows))

    def batch(self) -> Batch:
        return replace(self.others, rows=[row_from(values) for values in self.rows])


def _first(batches: Sequence[Batch], durable: Numbers) -> Numbers:
    """The lowest numbers in ``batches``, where there is none the next free ones."""
    return Numbers(
        next((batch.rows[0].seq for batch in batches if batch.rows), durable.seq),
        next((batch.events[0][0] for batch in batches if batch.events), durable.event),
        next((batch.steps[0][0] for batch in batches if batch.steps), durable.step),
        next((batch.cycles[0][0] for batch in batches if batch.cycles), durable.cycle),
    )


def continued(run_dir: Path, info: RunInfo, utc_s: float, *, new_epoch: bool) -> Position:
    """In the last segment, or in a new one after one that failed, or is of an older program or epoch: it stays as it is."""
    paths = segment_paths(run_dir)
    number, failed = len(paths), is_set_aside(paths[-1])
    found = examine(paths[-1], open_for_reading if failed else open_for_writing)
    if failed or found.older or new_epoch:
        number += 1
        build_segment(segment_path(run_dir, number), info, number, found.next, (), utc_s)
    return Position(run_dir, number, found.next)
