"""Reading runs, finished or under way, from any process or thread, without ever standing in the writer's way.

Every call is one short read of committed data: a reader that is slow, or dies, holds nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import (
    CYCLE_COLUMNS,
    EVENT_COLUMNS,
    ROW_COLUMNS,
    STEP_COLUMNS,
    cycle_from,
    event_from,
    row_from,
    step_from,
)
from cycler_ctl.store.fetch import NEWEST, fetch, query, run_row
from cycler_ctl.store.info import RunInfo, info_from
from cycler_ctl.store.segment import APPLICATION_ID, open_for_reading, schema_version, segment_path, segment_paths
from protocols.record import CycleSummary, EventRecord, Outcome, Row, StepSummary

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Encoded = TypeVar("Encoded")
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RunState:
    """``state`` is running, ended or interrupted. A run whose program died without a word also reads ``running``."""

    state: str
    outcome: Outcome | None
    reason: str
    ended_utc_s: float | None


@dataclass(frozen=True, slots=True)
class RunOverview:
    """One line of the list of runs; ``info`` and ``state`` are None where the file cannot be read, ``trouble`` says why."""

    run: str
    path: Path
    info: RunInfo | None
    state: RunState | None
    rows: int
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """Rows from ``first["samples"]`` on (events, steps, cycles alike) belong to this epoch, up to where the next begins.

    Each program that goes on with a run begins an epoch: whatever the disk or a restored copy took back, no number of an
    epoch ever comes to denote something else.
    """

    epoch: int
    first: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Segment:
    connection: sqlite3.Connection
    cursor: sqlite3.Cursor
    """One for all reads: a connection remembers each that it ever gave out, and the garbage collector looks at them."""
    first: Mapping[str, int]
    epoch: int


class RunReader:
    """A read-only view of one run; use it as a context manager and from one thread at a time."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._segments: list[_Segment] = []
        self._next = segment_path(run_dir, 1)
        try:
            self._look_for_segments()
            self.info: RunInfo = _understood(info_from, run_row(self._segments[0].connection))
        except StoreError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for segment in self._segments:
            segment.cursor.close()  # first: a connection that has an open one stays open
            segment.connection.close()
        self._segments = []

    @property
    def state(self) -> RunState:
        self._look_for_segments()
        found = fetch(self._segments[-1].cursor, "SELECT state, outcome, reason, ended_utc_s FROM run", ())
        return _understood(_state_from, found[0] if found else ())

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """In order; numbers go on from one to the next."""
        self._look_for_segments()
        found: list[Epoch] = []
        for segment in self._segments:
            if not found or found[-1].epoch != segment.epoch:
                found.append(Epoch(segment.epoch, segment.first))
        return tuple(found)

    @property
    def last_seq(self) -> int:
        """The newest durable row, 0 before the first."""
        self._look_for_segments()
        newest = (fetch(segment.cursor, NEWEST, ()) for segment in self._segments)
        return max((_understood(int, found[0][0]) for found in newest if found), default=0)

    def rows(self, after_seq: int = 0, limit: int | None = None) -> list[Row]:
        """Rows with ``seq > after_seq`` in order; their seq is the cursor."""
        return _decoded(row_from, self._read("samples", "seq", ROW_COLUMNS, after_seq, limit))

    def events(self, after: int = 0, limit: int | None = None) -> list[EventRecord]:
        """Events number ``after + 1`` and on; they are numbered densely from 1."""
        return _decoded(event_from, self._read("events", "id", EVENT_COLUMNS, after, limit))

    def steps(self, after: int = 0) -> list[StepSummary]:
        return _decoded(step_from, self._read("steps", "id", STEP_COLUMNS, after, None))

    def cycles(self, after: int = 0) -> list[CycleSummary]:
        return _decoded(cycle_from, self._read("cycles", "id", CYCLE_COLUMNS, after, None))

    def checkpoint(self) -> str | None:
        """The engine's state as of the newest commit that had one."""
        self._look_for_segments()
        for segment in reversed(self._segments):
            found = fetch(segment.cursor, "SELECT state FROM checkpoint", ())
            if found:
                return str(found[0][0])
        return None

    @property
    def alive(self) -> tuple[float, float]:
        """(run time, UTC) of the last sign of life: the last row's, or that of a later commit without one."""
        self._look_for_segments()
        last = self.rows(self.last_seq - 1)
        time_s, utc_s = (last[0].time_s, last[0].utc_s) if last else (0.0, self.info.started_utc_s)
        commits = [fetch(segment.cursor, "SELECT utc_s FROM checkpoint", ()) for segment in self._segments]
        newest_s = max((_understood(float, found[0][0]) for found in commits if found), default=utc_s)
        return time_s + max(0.0, newest_s - utc_s), max(newest_s, utc_s)

    def columns(self, names: Sequence[str], after: int = 0, limit: int | None = None) -> dict[str, NDArray[float64]]:
        """Numeric columns of the rows after a seq as float arrays, NaN where nothing was measured."""
        import numpy as np

        found = self.values(names, after, limit)
        table = np.array(found, dtype=np.float64).reshape(len(found), len(names))
        return {name: table[:, place] for place, name in enumerate(names)}

    def values(self, names: Sequence[str], after: int = 0, limit: int | None = None) -> list[tuple[Any, ...]]:
        """Some columns of the rows after a seq, as they are stored."""
        unknown = [name for name in names if name not in ROW_COLUMNS]
        if unknown:
            raise StoreError(f"there is no column {unknown[0]!r}; there are {', '.join(ROW_COLUMNS)}")
        return self._read("samples", "seq", names, after, limit)

    def _read(
        self, table: str, key: str, columns: Sequence[str], after: int, limit: int | None
    ) -> list[tuple[Any, ...]]:
        """Rows of all segments in order; where two overlap, the later one is believed."""
        self._look_for_segments()
        found: list[tuple[Any, ...]] = []
        for segment, end in zip(self._segments, self._ends(table), strict=True):
            left = -1 if limit is None else limit - len(found)
            found += fetch(segment.cursor, query(table, key, columns), (after, end, left))
        return found

    def _ends(self, table: str) -> list[int]:
        """For each segment the first number that is not its own any more."""
        starts = [segment.first[table] for segment in self._segments[1:]]
        return [*(min(starts[place:]) for place in range(len(starts))), 2**62]

    def _look_for_segments(self) -> None:
        """Whether there is one more than are open; asked before every read, so it is one look at the folder."""
        while os.access(self._next, os.F_OK):
            self._segments.append(_open_segment(self._next))
            self._next = segment_path(self.run_dir, len(self._segments) + 1)
        if not self._segments:
            raise StoreError(f"{self.run_dir} holds no run.sqlite: give the folder of a run")


def open_run(path: Path) -> RunReader:
    """A reader of the run in this folder, or of the run this file belongs to."""
    return RunReader(path.parent if path.suffix == ".sqlite" else path)


def list_runs(data_dir: Path, beginning: str = "") -> list[RunOverview]:
    """All runs whose id has this ``beginning`` (a day, say), the newest first."""
    return [overview_of(folder) for folder in run_folders(data_dir, beginning)]


def run_folders(data_dir: Path, beginning: str = "") -> list[Path]:
    """As ``list_runs``, where they are: nothing is opened."""
    runs = data_dir / "runs"
    if not runs.is_dir():
        return []
    return sorted((folder for folder in runs.glob(f"{beginning}*") if segment_paths(folder)), reverse=True)


def unfinished_runs(data_dir: Path) -> list[RunOverview]:
    """Runs that were under way when their program ended (or still are: only the writer's lock tells)."""
    return [found for found in list_runs(data_dir) if found.state is not None and found.state.state == "running"]


def find_run(data_dir: Path, name: str) -> Path:
    """The folder of the run with this id, or the only one whose id begins with ``name``."""
    folders = [found for found in sorted((data_dir / "runs").glob("*")) if segment_paths(found)]
    matches = [folder for folder in folders if folder.name.startswith(name)]
    exact = [folder for folder in matches if folder.name == name]
    if len(matches) == 1 or exact:
        return (exact or matches)[0]
    if not matches:
        raise StoreError(f"there is no run {name!r} in {data_dir}: 'cycler-ctl runs' lists them")
    names = ", ".join(folder.name for folder in matches[:5])
    raise StoreError(f"{name!r} is the beginning of {len(matches)} runs ({names}, ...): give more of it")


def overview_of(folder: Path) -> RunOverview:
    """What there is to say of a run in one line; one that cannot be read says so."""
    try:
        with open_run(folder) as reader:
            return RunOverview(folder.name, folder, reader.info, reader.state, reader.last_seq)
    except StoreError as error:
        return RunOverview(folder.name, folder, None, None, 0, str(error))


def _open_segment(path: Path) -> _Segment:
    try:
        connection = open_for_reading(path)
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}") from error
    try:
        return _Segment(connection, connection.cursor(), *_first_numbers(connection, path))
    except StoreError:
        connection.close()
        raise


def _understood(decode: Callable[[Encoded], Record], stored: Encoded) -> Record:
    """A damaged file, or one of a newer program, is this run's trouble and never that of whoever looks at all runs."""
    try:
        return decode(stored)
    except (ValueError, TypeError, LookupError) as error:
        raise StoreError(f"the run file holds what this program does not understand: {error!r}") from error


def _decoded(decode: Callable[[Sequence[Any]], Record], found: Sequence[Sequence[Any]]) -> list[Record]:
    return _understood(lambda stored: [decode(values) for values in stored], found)


def _state_from(values: tuple[Any, ...]) -> RunState:
    state, outcome, reason, ended_utc_s = values
    return RunState(state, None if outcome is None else Outcome(outcome), reason, ended_utc_s)


def _first_numbers(connection: sqlite3.Connection, path: Path) -> tuple[dict[str, int], int]:
    if fetch(connection, "PRAGMA application_id", ()) != [(APPLICATION_ID,)]:
        raise StoreError(f"{path} was not written by cycler-ctl")
    schema_version(connection, path)
    return _understood(_first_of, run_row(connection))


def _first_of(values: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    first = {"samples": "first_seq", "events": "first_event", "steps": "first_step", "cycles": "first_cycle"}
    return {table: values[column] for table, column in first.items()}, values["epoch"]
