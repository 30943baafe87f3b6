"""The writer of one run: takes records without ever waiting, makes them durable in its own thread, says when they are.

What ``append`` took is in memory until a commit has returned; only then ``durable_seq`` moves. The first error of a
file ends its use: everything not yet durable, and the last minutes that are, go into a new segment.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

from filelock import BaseFileLock

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import StoreError
from cycler_ctl.store.files import RING_S, Position, RunFiles, WriterOptions, continued, to_next_commit_s
from cycler_ctl.store.info import RunInfo, checked_run_id
from cycler_ctl.store.place import check_place, locked, make_reserve, release_reserve, sync_folder
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import Batch, Ending, Numbers, build_segment, segment_path
from cycler_ctl.store.waiting import Waiting
from protocols.quick import quick
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome, Row, StepSummary

CLOSING_RETRY_S = 0.25


@quick(frozen=True, slots=True)
class Pending:
    """What is in memory only: how many rows, and how long (real time) the oldest record has waited."""

    rows: int
    lag_s: float
    lost: str = ""  # why rows had to be dropped


class RunWriter:
    """Owns the run's live file, its lock and one thread; made by ``create_run`` or ``reopen_run``.

    ``failed`` is why rows cannot be made durable at present, None when they can; ``moves`` counts the segments that
    had to be begun after an error.
    """

    def __init__(  # noqa: PLR0917 - built in one place only
        self,
        info: RunInfo,
        at: Position,
        lock: BaseFileLock,
        on_durable: Callable[[str], None],
        utc: Callable[[], float],
        options: WriterOptions,
    ) -> None:
        self.info = info
        self.run_dir = at.run_dir
        self.durable_seq = at.next.seq - 1
        self.failed: StoreError | None = None
        self.moves = 0
        self._on_durable = on_durable
        self._utc = utc
        self._options = options
        self._lock = lock
        self._real = SystemClock()
        self._taking = threading.Lock()  # entered at every sample: a condition's own way in takes three calls
        self._changed = threading.Condition(self._taking)
        self._waiting = Waiting(at.next, 0.0 if at.alive is None else at.alive[0])
        self._since_s: float | None = None
        self._rows = 0
        self._lost = ""  # why rows had to be dropped
        self._most_rows = max(options.ring_rows, ceil(RING_S / info.sample_every_s))
        self._began = replace(at.next)
        self._alive = at.alive
        self._hurry = False
        self._closing = False
        self._give_up_s = 0.0
        self._retrying = False
        self._files = RunFiles(info, at, utc, options)
        self._thread = threading.Thread(target=self._work, name=f"store {info.run}", daemon=True)
        self._thread.start()

    def append(
        self,
        rows: Sequence[Row] = (),
        events: Sequence[EventRecord] = (),
        steps: Sequence[StepSummary] = (),
        cycles: Sequence[CycleSummary] = (),
        checkpoint: Callable[[], str] | None = None,
    ) -> None:
        """Take records; never waits, never raises. ``checkpoint`` is called in the writer's thread, if it is the newest."""
        with self._taking:
            if rows and not self._lost:
                self._put(rows)
            if events or steps or cycles:
                self._waiting.put_others(events, steps, cycles)
            if checkpoint is not None:  # where rows were lost it is ahead of them, and such a run never goes on
                self._waiting.put_checkpoint(checkpoint)
            self._has_work()

    def finish(self, outcome: Outcome, reason: str) -> None:
        self.end(Ending("ended", outcome, reason, self._utc()))

    def interrupt(self, reason: str) -> None:
        """The run stopped without an outcome when it last gave a sign of life; from then until now there is a gap."""
        now_s = self._utc()
        with self._changed:
            alive = self._alive if self._waiting.following == self._began else None
            since_s = now_s if alive is None else min(alive[1], now_s)
            if now_s > since_s:
                self._note(EventKind.GAP, reason, gap_s=now_s - since_s)
        self.end(Ending("interrupted", None, reason, since_s))

    def hurry(self) -> None:
        """What waits is written now, not at the end of the interval; never waits."""
        with self._changed:
            self._hurry = self._waiting.any
            self._changed.notify_all()

    def pending(self) -> Pending:
        since_s = self._since_s  # asked at every sample, so without the lock
        return Pending(self._rows, 0.0 if since_s is None else self._real.now() - since_s, self._lost)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended so far is durable; False if it is not in time."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._since_s is None, timeout_s) and not self._lost

    def close(self, timeout_s: float = 10.0) -> bool:
        """Wait for the last commit and end the thread; True if everything appended is on disk, else see ``failed``.

        While the disk refuses, it is tried again for ``close_retry_s``.
        """
        with self._changed:
            if not self._closing:
                self._closing = True
                self._give_up_s = self._real.now() + min(self._options.close_retry_s, timeout_s / 2)
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.failed = StoreError(f"the disk of {self.run_dir} has not answered for {timeout_s:g} s")
            return False
        self._lock.release()
        return self._since_s is None and not self._lost

    def end(self, ending: Ending) -> None:
        """The run's new state, at once with whatever still waits."""
        with self._changed:
            self._hurry = True
            self._waiting.put_ending(ending)
            self._has_work()
            self._changed.notify_all()

    def _has_work(self) -> None:
        """Called with the lock held, as are the next two."""
        if not self._waiting.any:
            self._waiting.any = True
            if self._since_s is None:
                self._since_s = self._real.now()
            self._changed.notify_all()
        elif self._rows >= self._options.commit_rows:
            self._changed.notify_all()

    def _put(self, rows: Sequence[Row]) -> None:
        """Once a row had to be dropped every later one is: what is stored stays a prefix of what happened."""
        if self._rows + len(rows) > self._most_rows:
            self._lost = "memory for rows that wait for the disk is full"
        else:
            try:
                self._waiting.put_rows(rows)
            except StoreError as error:
                self._lost = f"{error}"
        if self._lost:
            self._note(EventKind.GAP, f"{self._lost}; lost from row {self._waiting.following.seq} on")
        else:
            self._rows += len(rows)

    def _note(self, kind: EventKind, text: str, **more: float) -> None:
        self._waiting.note(self._utc(), kind, text, **more)
        self._has_work()

    def _work(self) -> None:
        """The thread. However it ends, ``failed`` says so when something is left."""
        try:
            while self._commit(self._take()):
                pass
        finally:
            self._files.close()
            if self.failed is None and (self._since_s is not None or not self._closing):
                self.failed = StoreError(f"the writer of {self.run_dir} has ended before its run")

    def _take(self) -> Batch | None:
        """Wait for work, then for a full group or the end of the interval; what failed before is tried again."""
        options = self._options
        with self._changed:
            if not self._retrying:
                self._changed.wait_for(lambda: self._closing or self._waiting.any)
            else:
                retry_s = min(options.retry_every_s, CLOSING_RETRY_S) if self._closing else options.retry_every_s
                self._changed.wait_for(lambda: self._closing and retry_s > CLOSING_RETRY_S, retry_s)
            wait_s = to_next_commit_s(self.info.run, self._real.now(), options.commit_every_s)
            self._changed.wait_for(lambda: self._closing or self._hurry or self._rows >= options.commit_rows, wait_s)
            self._hurry = False
            return self._waiting.take()

    def _commit(self, taken: Batch | None) -> bool:
        """Make everything durable and say so; True while there is or may come more to do."""
        before, durable = self._files.segment, self._files.durable
        began_s = self._real.now()
        waited_s = began_s - (self._since_s or began_s)
        error = self._files.save(() if taken is None else (taken,), self._closing or waited_s > self._options.urgent_s)
        with self._changed:
            if error is None:
                self._settled(began_s, self._files.segment - before)
            self._retrying = error is not None
            self.failed = self._loss() if error is None else error
            more = self._waiting.any if error is None else not self._files.hopeless and began_s < self._give_up_s
            self._changed.notify_all()
            closing = self._closing
        if error is None and (taken is not None or self._files.durable != durable):
            self._on_durable(self.info.run)
        return more or not closing

    def _settled(self, began_s: float, moves: int) -> None:
        """All that was taken is durable; what has come since has waited no longer than the commit took."""
        self._rows = self._waiting.rows
        self._since_s = began_s if self._waiting.any else None
        self.durable_seq = self._files.durable.seq - 1
        self.moves += moves
        if moves:
            self._note(EventKind.WARNING, f"the record goes on in a new file: {self._files.last_error}")

    def _loss(self) -> StoreError | None:
        last = self._waiting.following.seq - 1
        return StoreError(f"rows after {last} of {self.info.run} were lost: {self._lost}") if self._lost else None


def create_run(
    data_dir: Path,
    info: RunInfo,
    *,
    on_durable: Callable[[str], None],
    utc: Callable[[], float] | None = None,
    options: WriterOptions | None = None,
) -> RunWriter:
    """Begin the record of a new run; raises StoreError, and leaves nothing behind, where it could not be kept.

    ``on_durable`` is called from the writer's thread and must neither wait nor raise. ``utc`` labels (the clock's).
    """
    utc, options = utc or SystemClock().utc, options or WriterOptions()
    run_dir = data_dir / "runs" / checked_run_id(info.run)
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        check_place(run_dir.parent, options.minimum_free_bytes)
        run_dir.mkdir()
    except FileExistsError as error:
        raise StoreError(f"{run_dir} exists already: a run is never written over") from error
    except OSError as error:
        raise StoreError(f"cannot make {run_dir}: {error.strerror}; check the rights of data_dir") from error
    lock = locked(run_dir)
    try:
        make_reserve(run_dir, options.reserve_bytes)
        build_segment(segment_path(run_dir, 1), info, 1, Numbers(), (), utc())
        for folder in (run_dir, run_dir.parent, data_dir):
            sync_folder(folder)
    except (sqlite3.Error, OSError) as error:
        release_reserve(run_dir)
        lock.release()
        raise StoreError(f"cannot write {run_dir}: {error}; check the disk and the rights of data_dir") from error
    return RunWriter(info, Position(run_dir, 1, Numbers()), lock, on_durable, utc, options)


def reopen_run(
    run_dir: Path,
    *,
    on_durable: Callable[[str], None],
    utc: Callable[[], float] | None = None,
    options: WriterOptions | None = None,
    epoch: int | None = None,
) -> RunWriter:
    """Go on writing to a run after its last durable row, its state what it was; with a new ``epoch`` it is running again."""
    utc, options = utc or SystemClock().utc, options or WriterOptions()
    lock = locked(run_dir)
    try:
        with open_run(run_dir) as reader:
            info, alive = replace(reader.info, epoch=epoch or reader.epochs[-1].epoch), reader.alive
        with suppress(OSError):  # a run that cannot have a reserve any more must be told as interrupted all the same
            make_reserve(run_dir, options.reserve_bytes)
        at = continued(run_dir, info, utc(), new_epoch=epoch is not None)
    except (sqlite3.Error, OSError) as error:
        lock.release()
        raise StoreError(f"cannot go on in {run_dir}: {error}") from error
    except StoreError:
        lock.release()
        raise
    return RunWriter(info, replace(at, alive=alive), lock, on_durable, utc, options)
