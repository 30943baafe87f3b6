"""One SQLite file of a run: how it is born, opened, written to in one transaction, and given up.

A new segment is built under another name and renamed when it is whole, so a file that can be seen is never half made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import (
    CYCLE_COLUMNS,
    EVENT_COLUMNS,
    ROW_COLUMNS,
    SQL,
    STEP_COLUMNS,
    cycle_values,
    event_values,
    row_values,
    step_values,
)
from cycler_ctl.store.info import INFO_COLUMNS, RunInfo, info_values
from cycler_ctl.store.place import sync_file, sync_folder
from protocols.record import CycleSummary, EventRecord, Outcome, Row, StepSummary

APPLICATION_ID = 0x4359434C  # "CYCL", so that file(1) and we know our own
Connect = Callable[[Path], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The next free number of each kind of record; numbers are dense from 1 within a run."""

    seq: int = 1
    event: int = 1
    step: int = 1
    cycle: int = 1


def after(at: Numbers, rows: int, events: int, steps: int, cycles: int) -> Numbers:
    return Numbers(at.seq + rows, at.event + events, at.step + steps, at.cycle + cycles)


@dataclass(frozen=True, slots=True)
class Ending:
    """A new state of the run: ``ended`` (with its outcome) or ``interrupted``."""

    state: str
    outcome: Outcome | None
    reason: str
    utc_s: float | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append brought, numbered."""

    rows: tuple[Row, ...] = ()
    events: tuple[tuple[int, EventRecord], ...] = ()
    steps: tuple[tuple[int, StepSummary], ...] = ()
    cycles: tuple[tuple[int, CycleSummary], ...] = ()
    checkpoint: Callable[[], str] | None = None
    ending: Ending | None = None


def renewed(batch: Batch, checkpoint: Callable[[], str] | None) -> Batch:
    """Most samples bring a newer checkpoint and no record: it takes the place of the one that waits."""
    if checkpoint is None:
        return batch
    return Batch(batch.rows, batch.events, batch.steps, batch.cycles, checkpoint, batch.ending)


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
    unfinished.unlink(missing_ok=True)
    try:
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            _fill(connection, info, number, first, batches, utc_s)
        finally:
            connection.close()
        sync_file(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def _fill(  # noqa: PLR0917
    connection: sqlite3.Connection, info: RunInfo, number: int, first: Numbers, batches: Sequence[Batch], utc_s: float
) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    apply_schema(connection)
    columns = (*INFO_COLUMNS, "segment", "first_seq", "first_event", "first_step", "first_cycle")
    values = (*info_values(info), number, first.seq, first.event, first.step, first.cycle)
    connection.execute(_insert("run", columns), values)
    write_batches(connection, info.epoch, first.seq, batches, utc_s)


def apply_schema(connection: sqlite3.Connection) -> None:
    """Apply the numbered files this database has not seen; a database from a newer program is refused."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    files = sorted(
        (file for file in resources.files("cycler_ctl.store.schema").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    if version > len(files):
        raise StoreError(f"the run file has schema {version}, this program knows {len(files)}: use a newer cycler-ctl")
    for number, file in enumerate(files[version:], start=version + 1):
        script = file.read_text(encoding="utf-8")
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


def write_batches(
    connection: sqlite3.Connection, epoch: int, next_seq: int, batches: Sequence[Batch], utc_s: float
) -> int:
    """Write ``batches`` in one transaction and return the next seq; without COMMIT nothing of it exists."""
    connection.execute("BEGIN IMMEDIATE")
    rows = [row for batch in batches for row in batch.rows]
    _check_dense(rows, next_seq)
    connection.executemany(_insert("samples", ("epoch", *ROW_COLUMNS)), [row_values(epoch, row) for row in rows])
    _insert_all(
        connection, "events", EVENT_COLUMNS, (event_values(*item) for batch in batches for item in batch.events)
    )
    _insert_all(connection, "steps", STEP_COLUMNS, (step_values(*item) for batch in batches for item in batch.steps))
    _insert_all(
        connection, "cycles", CYCLE_COLUMNS, (cycle_values(*item) for batch in batches for item in batch.cycles)
    )
    next_seq += len(rows)
    _write_newest(connection, batches, next_seq - 1, utc_s)
    connection.execute("COMMIT")
    return next_seq


def _write_newest(connection: sqlite3.Connection, batches: Sequence[Batch], last_seq: int, utc_s: float) -> None:
    encode = next((batch.checkpoint for batch in reversed(batches) if batch.checkpoint is not None), None)
    if encode is not None:
        connection.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)", (last_seq, utc_s, encode()))
    ending = next((batch.ending for batch in reversed(batches) if batch.ending is not None), None)
    if ending is not None:
        connection.execute(
            "UPDATE run SET state = ?, outcome = ?, reason = ?, ended_utc_s = ?",
            (ending.state, ending.outcome, ending.reason, ending.utc_s),
        )


def _check_dense(rows: Iterable[Row], next_seq: int) -> None:
    for seq, row in enumerate(rows, start=next_seq):
        if row.seq != seq:
            raise StoreError(f"row {row.seq} was appended where row {seq} must follow")


def _insert_all(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], values: Iterable[tuple[SQL, ...]]
) -> None:
    connection.executemany(_insert(table, columns), values)


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names are ours, values are bound


def next_numbers(path: Path) -> Numbers:
    """Where an existing segment goes on; the file is checked first, because a writer must not build on a broken one."""
    connection = open_for_writing(path)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"{path} is damaged ({verdict}): keep it, copy it and run sqlite3's .recover on the copy")
        apply_schema(connection)
        found = connection.execute(
            "SELECT coalesce((SELECT max(seq) + 1 FROM samples WHERE epoch = run.epoch), first_seq),"
            " coalesce((SELECT max(id) + 1 FROM events), first_event),"
            " coalesce((SELECT max(id) + 1 FROM steps), first_step),"
            " coalesce((SELECT max(id) + 1 FROM cycles), first_cycle) FROM run"
        ).fetchone()
        return Numbers(*found)
    finally:
        connection.close()


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
