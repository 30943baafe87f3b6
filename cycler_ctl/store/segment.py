"""One SQLite file of a run: how it is born, opened, written to in one transaction, and given up.

A new segment is built under another name and renamed when it is whole, so a file that can be seen is never half made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import CYCLE_COLUMNS, EVENT_COLUMNS, STEP_COLUMNS, cycle_values, event_values, step_values
from cycler_ctl.store.compact import COMPACT_COLUMNS, CONTEXT_COLUMNS, TOTALS_COLUMNS, RowEncoder
from cycler_ctl.store.info import INFO_COLUMNS, RunInfo, info_values
from cycler_ctl.store.place import sync_file, sync_folder
from cycler_ctl.store.tables import refuse_altered, schema
from cycler_ctl.store.verdict import SOUND, verdict
from protocols.record import CycleSummary, EventRecord, Outcome, StepSummary

APPLICATION_ID = 0x4359434C  # "CYCL", so that file(1) and we know our own
Connect = Callable[[Path], sqlite3.Connection]
BUSY_S = 5.0
"""How long a reader waits while the file changes its journal, at a run's end."""


@dataclass(slots=True)
class Numbers:
    """The next free number of each kind of record; numbers are dense from 1 within a run."""

    seq: int = 1
    event: int = 1
    step: int = 1
    cycle: int = 1


@dataclass(frozen=True, slots=True)
class Ending:
    """A new state of the run: ``ended`` (with its outcome) or ``interrupted``."""

    state: str
    outcome: Outcome | None
    reason: str
    utc_s: float | None


@dataclass(slots=True)
class Batch:
    """What is written in one transaction; grows by appending until it is taken, then never changes."""

    rows: list[bytes] = field(default_factory=list[bytes])
    """Packed."""
    events: list[tuple[int, EventRecord]] = field(default_factory=list[tuple[int, EventRecord]])
    steps: list[tuple[int, StepSummary]] = field(default_factory=list[tuple[int, StepSummary]])
    cycles: list[tuple[int, CycleSummary]] = field(default_factory=list[tuple[int, CycleSummary]])
    checkpoint: Callable[[], str] | None = None
    """The newest; called in the writer's thread."""
    ending: Ending | None = None


def after(at: Numbers, batch: Batch) -> Numbers:
    return Numbers(
        at.seq + len(batch.rows),
        at.event + len(batch.events),
        at.step + len(batch.steps),
        at.cycle + len(batch.cycles),
    )


def segment_path(run_dir: Path, number: int) -> Path:
    return run_dir / ("run.sqlite" if number == 1 else f"run-{number}.sqlite")


def segment_paths(run_dir: Path) -> list[Path]:
    """The run's files in order; there is no gap in their numbers."""
    paths: list[Path] = []
    while (path := segment_path(run_dir, len(paths) + 1)).is_file():
        paths.append(path)
    return paths


def build_segment(  # noqa: PLR0917 - all of it is the content of one file
    path: Path, info: RunInfo, number: int, first: Numbers, batches: Sequence[Batch], utc_s: float
) -> None:
    """Make a durable segment that begins with ``batches``; after an error there is no such file."""
    unfinished = path.with_suffix(".new")
    _forget(unfinished)
    try:
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            _fill(connection, info, number, first, batches, utc_s)
            # closing would do it too, but says nothing when it cannot
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        if busy:
            raise StoreError(f"{unfinished} is being read by another program")
        sync_file(unfinished)
        unfinished.replace(path)
    finally:
        _forget(unfinished)
    sync_folder(path.parent)


def _forget(unfinished: Path) -> None:
    for name in (unfinished.name, f"{unfinished.name}-wal", f"{unfinished.name}-shm"):
        unfinished.with_name(name).unlink(missing_ok=True)


def _fill(  # noqa: PLR0917
    connection: sqlite3.Connection, info: RunInfo, number: int, first: Numbers, batches: Sequence[Batch], utc_s: float
) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_mode = WAL")  # now: to change it later is a moment when a power cut shows
    apply_schema(connection)
    columns = (*INFO_COLUMNS, "segment", "first_seq", "first_event", "first_step", "first_cycle")
    values = (*info_values(info), number, first.seq, first.event, first.step, first.cycle)
    connection.execute(insert("run", columns), values)
    with closing(connection.cursor()) as cursor:  # an open one would keep a file that failed from being deleted
        write_batches(cursor, RowEncoder(), first.seq, batches, utc_s)


def apply_schema(connection: sqlite3.Connection) -> None:
    """Make a new file's tables: all numbered files in order. No file that holds rows is ever changed by a newer schema."""
    for number, script in enumerate(schema(), start=1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        connection.executescript(f"BEGIN; {script}; {marks} COMMIT;")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A commit on this connection returns only when the rows are on the disk itself."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Read-only, also where the power was cut while the file changed its journal: that change is taken back first."""
    connection = _connect(path, "ro")
    try:
        _take_back(connection, path)
        refuse_altered(connection)
    except ValueError as error:  # also of SQLite's message, which quotes what it found
        connection.close()
        raise sqlite3.DatabaseError("the texts of its tables are damaged") from error
    except sqlite3.Error:
        pass  # no database: the first question finds that out, with the file's name
    return connection


def _take_back(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            with closing(_connect(path, "rw")) as other:
                other.execute("SELECT count(*) FROM sqlite_master")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=BUSY_S, check_same_thread=False)


def write_batches(
    cursor: sqlite3.Cursor, encoder: RowEncoder, next_seq: int, batches: Sequence[Batch], utc_s: float
) -> None:
    """Write ``batches`` in one transaction; without COMMIT nothing of it exists, and ``encoder`` must be thrown away."""
    cursor.execute("BEGIN IMMEDIATE")
    encoded = encoder.encode(row for batch in batches for row in batch.rows)
    _check_dense([values[0] for values in encoded.rows], next_seq)
    for statement, values in (
        (INSERT_CONTEXT, encoded.contexts),
        (INSERT_ROW, encoded.rows),
        (INSERT_TOTALS, encoded.totals),
        (INSERT_EVENT, [event_values(*item) for batch in batches for item in batch.events]),
        (INSERT_STEP, [step_values(*item) for batch in batches for item in batch.steps]),
        (INSERT_CYCLE, [cycle_values(*item) for batch in batches for item in batch.cycles]),
    ):
        if values:
            cursor.executemany(statement, values)
    _write_newest(cursor, batches, next_seq + len(encoded.rows) - 1, utc_s)
    cursor.execute("COMMIT")


def _write_newest(cursor: sqlite3.Cursor, batches: Sequence[Batch], last_seq: int, utc_s: float) -> None:
    encode = next((batch.checkpoint for batch in reversed(batches) if batch.checkpoint is not None), None)
    if encode is not None:
        cursor.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)", (last_seq, utc_s, encode()))
    ending = next((batch.ending for batch in reversed(batches) if batch.ending is not None), None)
    if ending is not None:
        told = (ending.state, ending.outcome, ending.reason, ending.utc_s)
        cursor.execute("UPDATE run SET state = ?, outcome = ?, reason = ?, ended_utc_s = ?", told)


def _check_dense(found: Sequence[Any], next_seq: int) -> None:
    wanted = range(next_seq, next_seq + len(found))
    if found != list(wanted):
        wrong, due = next(pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1])
        raise StoreError(f"row {wrong} was appended where row {due} must follow")


def insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names are ours, values are bound


INSERT_CONTEXT = insert("contexts", CONTEXT_COLUMNS)
INSERT_ROW = insert("compact", COMPACT_COLUMNS)
INSERT_TOTALS = insert("totals", TOTALS_COLUMNS)
INSERT_EVENT = insert("events", EVENT_COLUMNS)
INSERT_STEP = insert("steps", STEP_COLUMNS)
INSERT_CYCLE = insert("cycles", CYCLE_COLUMNS)


def encoder_for(connection: sqlite3.Connection) -> RowEncoder:
    """One that goes on where this file ends."""
    (next_context,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM contexts").fetchone()
    return RowEncoder(next_context)


@dataclass(frozen=True, slots=True)
class Found:
    """Where an existing segment goes on; ``older``: it has an earlier schema, so a new segment must."""

    next: Numbers
    older: bool


def examine(path: Path, connect: Connect = open_for_writing) -> Found:
    """What a writer finds; the file is checked first, because nobody must build on a broken one."""
    connection = connect(path)
    try:
        if (said := verdict(connection)) != SOUND:
            raise StoreError(f"{path} is damaged ({said}): run 'cycler-ctl repair {path.parent.name}'")
        version = schema_version(connection, path)
        found = connection.execute(
            "SELECT coalesce((SELECT seq + 1 FROM samples WHERE epoch = run.epoch ORDER BY seq DESC LIMIT 1), first_seq),"
            " coalesce((SELECT max(id) + 1 FROM events), first_event),"
            " coalesce((SELECT max(id) + 1 FROM steps), first_step),"
            " coalesce((SELECT max(id) + 1 FROM cycles), first_cycle) FROM run"
        ).fetchone()
        return Found(Numbers(*found), version < len(schema()))
    finally:
        connection.close()


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """StoreError where a newer program wrote the file: what it says in columns that are not known here, nobody knows."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > (known := len(schema())):
        raise StoreError(f"{path} has schema {version}, this program knows {known}: use a newer cycler-ctl")
    return int(version)


def give_up(connection: sqlite3.Connection, path: Path) -> None:
    """Close a file that failed without writing to it again.

    The last connection to close folds the WAL back into the file. A read-only one closing last cannot, so the
    failed file stays as it was, for a person to look at.
    """
    witness: sqlite3.Connection | None = None
    try:
        witness = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        witness.execute("SELECT run FROM run").fetchone()
    except sqlite3.Error:
        pass  # nothing can be read any more either: then there is nothing to fold back
    connection.close()
    if witness is not None:
        witness.close()


def make_single_file(connection: sqlite3.Connection) -> None:
    """Fold the WAL into the file of an ended run, so that it can be copied alone.

    A reader in the middle of a read is waited for. One that only has the file open forbids the change of the journal,
    which does no harm: the WAL is empty by then.
    """
    connection.execute("PRAGMA busy_timeout = 5000")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA busy_timeout = 100")
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError:
        return
