"""The files of one run as the writer's thread sees them: write here, and if that fails, in a new segment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from zlib import crc32

from cycler_ctl.errors import StoreError
from cycler_ctl.store.compact import RowEncoder
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.kept import Kept
from cycler_ctl.store.packed import seq_of
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


def to_next_commit_s(run: str, now_s: float, every_s: float) -> float:
    """Runs that wait for company each have their own moment of the interval, by their name.

    Counted from the end of the commit before, they drift together: those that wait for each other end one after the other,
    and 128 of them kept a core busy for a third of each second.
    """
    if every_s <= WriterOptions().commit_every_s:
        return every_s
    return every_s - (now_s - every_s * crc32(run.encode()) / 2**32) % every_s


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a run's files a writer begins; ``alive``: (run time, UTC) of the last sign of life before that."""

    run_dir: Path
    segment: int
    next: Numbers
    alive: tuple[float, float] | None = None


class RunFiles:
    """The files as the writer's thread sees them; nobody else touches it."""

    def __init__(self, info: RunInfo, at: Position, utc: Callable[[], float], options: WriterOptions) -> None:
        self.segment = at.segment
        self.durable = at.next
        self.unwritten: list[Batch] = []
        self.last_error: StoreError | None = None
        self.hopeless = False
        """The last error is of the records themselves: no disk would take them."""
        self._info = info
        self._run_dir = at.run_dir
        self._utc = utc
        self._options = options
        self._kept = Kept(min(options.keep_rows, ceil(RING_S / info.sample_every_s)))
        self._usable = True
        self._ended = False
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
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
        self._let_go_of_cursor()
        if self._ended and self._usable:
            make_single_file(self._connection)
        self._connection.close()
        self._connection = None

    def _let_go_of_cursor(self) -> None:
        """Before the connection: one that has an open cursor is closed by name only, and later, by whoever then holds it."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

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
            self._let_go_of_cursor()
            give_up(self._connection, path)
            self._connection = None

    def _write_here(self) -> None:
        if self._connection is None or self._cursor is None:
            self._connection = self._options.connect(segment_path(self._run_dir, self.segment))
            self._cursor = self._connection.cursor()
            self._encoder = encoder_for(self._connection)
        write_batches(self._cursor, self._encoder, self.durable.seq, self.unwritten, self._utc())

    def _write_new_segment(self) -> None:
        number = self.segment + 1
        batches = [self._kept.batch(), *self.unwritten]
        first = _first(batches, self.durable)
        build_segment(segment_path(self._run_dir, number), self._info, number, first, batches, self._utc())
        self.segment = number
        self._usable = True

    def _settle(self) -> None:
        """What was written is durable now; keep the newest of it in memory."""
        for batch in self.unwritten:
            self.durable = after(self.durable, batch)
            self._ended = self._ended or batch.ending is not None
            self._kept.add(batch)
        self.unwritten = []


def _first(batches: Sequence[Batch], durable: Numbers) -> Numbers:
    """The lowest numbers in ``batches``, where there is none the next free ones."""
    return Numbers(
        next((seq_of(batch.rows[0]) for batch in batches if batch.rows), durable.seq),
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
