"""What can be believed of a damaged segment, merged with the run's sealed days, as a new file. The old one is only read.

A sealed row counts before the file's own: its checksum was right. A number that stands twice with different content
counts for nothing. What is missing is said, range by range, and never filled in.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import CYCLE_COLUMNS, EVENT_COLUMNS, ROW_COLUMNS, SQL, STEP_COLUMNS, row_from, row_values
from cycler_ctl.store.compact import COMPACT_COLUMNS, CONTEXT_COLUMNS, TOTALS_COLUMNS, Encoded, RowEncoder
from cycler_ctl.store.info import INFO_COLUMNS
from cycler_ctl.store.packed import packed
from cycler_ctl.store.pages import TABLE_LEAF, Record, records
from cycler_ctl.store.place import sync_file
from cycler_ctl.store.segment import INSERT_CONTEXT, INSERT_ROW, INSERT_TOTALS, apply_schema, insert
from protocols.record import Row

Values = tuple[SQL, ...]
PAGE = 5_000
RUN_COLUMNS = (
    "one", *INFO_COLUMNS, "state", "outcome", "reason", "ended_utc_s", "segment",
    "first_seq", "first_event", "first_step", "first_cycle",
)  # fmt: skip
CHECKPOINT_COLUMNS = ("one", "last_seq", "utc_s", "state")
_MANY = {
    "compact": COMPACT_COLUMNS,
    "contexts": CONTEXT_COLUMNS,
    "totals": TOTALS_COLUMNS,
    "events": EVENT_COLUMNS,
    "steps": STEP_COLUMNS,
    "cycles": CYCLE_COLUMNS,
}
_ONE = {"run": RUN_COLUMNS, "checkpoint": CHECKPOINT_COLUMNS}
_TABLE_OF = {len(columns): table for table, columns in (_MANY | _ONE).items()}
"""No two tables have as many columns; only the schema's own has as many as the events."""
_STATES = ("running", "interrupted", "ended")
_SENSELESS = (StoreError, ValueError, TypeError, LookupError)
UNPLACED = ("seq", "time_s", "voltage_V", "current_A", "temperature_degC")


@dataclass(slots=True)
class Found:
    """What was salvaged, in a scratch file; of ``run`` and ``checkpoint``, of which a file has one, all there is."""

    scratch: sqlite3.Connection
    run: list[Values] = field(default_factory=list[Values])
    checkpoint: list[Values] = field(default_factory=list[Values])
    doubted: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])


@dataclass(slots=True)
class Tally:
    """Of one segment. ``unplaced``: rows whose step is not known any more, measured values only."""

    rows: int = 0
    from_seals: int = 0
    differing: int = 0
    """Rows that the file had, with other numbers than their seal."""
    last_seq: int = 0
    newest_seq: int = 0
    """As ``last_seq``, unplaced rows counted."""
    lost: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    unplaced: list[Values] = field(default_factory=list[Values])
    run_known: bool = True

    @property
    def rows_lost(self) -> int:
        return sum(last - first + 1 for first, last in self.lost)


def salvage(path: Path, scratch: sqlite3.Connection) -> Found:
    """Everything believable in ``path`` and its write-ahead log, into the empty ``scratch``."""
    scratch.execute("PRAGMA synchronous = OFF")
    scratch.execute("PRAGMA journal_mode = OFF")
    apply_schema(scratch)
    found = Found(scratch)
    old = RowEncoder()
    scratch.execute("BEGIN")
    for record in records(path):
        if record.kind != TABLE_LEAF:
            _keep_old_row(found, record, old)
        elif (table := _TABLE_OF.get(len(record.values))) is not None:
            _keep(found, table, (record.rowid, *record.values[1:]), record)
    for table, number in found.doubted:
        scratch.execute(f"DELETE FROM {table} WHERE {_MANY[table][0]} = ?", (number,))  # noqa: S608 - names are ours
    scratch.execute("COMMIT")
    return found


def _keep(found: Found, table: str, values: Values, record: Record) -> None:
    if record.values[0] is not None:  # the number is not stored twice; what has a value here is another table's
        return
    if table == "run":
        found.run.append(values)
    elif table == "checkpoint":
        found.checkpoint.append(values)
    else:
        _keep_one(found, table, values)


def _keep_one(found: Found, table: str, values: Values) -> bool:
    """One that the schema does not allow was no record; one that stands there with other content is doubted."""
    columns = _MANY[table]
    if found.scratch.execute(_or_ignore(table, columns), values).rowcount:
        return True
    question = f"SELECT {', '.join(columns)} FROM {table} WHERE {columns[0]} = ?"  # noqa: S608 - names are ours
    there = found.scratch.execute(question, values[:1]).fetchone()
    if there is not None and there != values:
        found.doubted.add((table, int(values[0] or 0)))
    return False


def _or_ignore(table: str, columns: Sequence[str]) -> str:
    return insert(table, columns).replace("INSERT", "INSERT OR IGNORE", 1)


def _keep_old_row(found: Found, record: Record, encoder: RowEncoder) -> None:
    """A row of schema 1, which stands in an index with its epoch before it."""
    if len(record.values) != len(ROW_COLUMNS) + 1:
        return
    try:
        encoded = encoder.encode([packed(row_from(record.values[1:]))])
    except _SENSELESS:
        encoder.forget()
        return
    for table, many in (("contexts", encoded.contexts), ("compact", encoded.rows), ("totals", encoded.totals)):
        for values in many:
            if not _keep_one(found, table, values) and table == "contexts":
                encoder.forget()


def best_run(found: Iterable[Values], run: str) -> Values | None:
    """The newest state of the file's row about its run: states only ever go on."""
    place = RUN_COLUMNS.index("state")
    own = [values for values in found if values[1] == run and values[place] in _STATES]
    return max(own, key=lambda values: _STATES.index(str(values[place])), default=None)


@dataclass(frozen=True, slots=True)
class Target:
    """``run``: the new file's row about its run; ``end_seq``: the first number of the next segment, None of the last."""

    path: Path
    run: Values
    end_seq: int | None

    @property
    def first_seq(self) -> int:
        return int(self.run[RUN_COLUMNS.index("first_seq")] or 1)


def rebuild(target: Target, found: Found, sealed: Iterator[Row]) -> Tally:
    """Write the new file, durably; what is in it and what is not."""
    tally = Tally(last_seq=target.first_seq - 1)
    target.path.unlink(missing_ok=True)
    with closing(sqlite3.connect(target.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # nobody has heard of this file yet; it is synced when whole
        apply_schema(connection)
        connection.execute("BEGIN")
        connection.execute(insert("run", RUN_COLUMNS), target.run)
        _write_rows(connection, _merged(target, found, sealed, tally))
        for table in ("events", "steps", "cycles"):
            columns = _MANY[table]
            question = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - names are ours
            connection.executemany(insert(table, columns), found.scratch.execute(question))
        newest = _newest_checkpoint(connection, found)
        connection.execute("COMMIT")
    sync_file(target.path)
    end = target.end_seq or max(newest, tally.newest_seq, tally.last_seq) + 1
    _note_gap(tally, end)
    return tally


def _newest_checkpoint(connection: sqlite3.Connection, found: Found) -> int:
    """Write it; the last row it knows of, 0 if there is none."""
    scratch = found.scratch
    scratch.execute("CREATE TABLE candidates (one, last_seq, utc_s, state)")
    scratch.executemany(insert("candidates", CHECKPOINT_COLUMNS), found.checkpoint)
    newest = scratch.execute(
        "SELECT * FROM candidates WHERE json_valid(state) AND typeof(last_seq) = 'integer'"
        " ORDER BY last_seq DESC, utc_s DESC LIMIT 1"
    ).fetchone()
    if newest is None:
        return 0
    connection.execute(_or_ignore("checkpoint", CHECKPOINT_COLUMNS), newest)
    return int(newest[1])


def _merged(target: Target, found: Found, sealed: Iterator[Row], tally: Tally) -> Iterator[Row]:
    """Rows of the segment's own numbers in order; the tally counts them as they pass."""
    seals = _within(sealed, target)
    seal = next(seals, None)
    for values in _stored(found.scratch, target):
        while seal is not None and seal.seq < values[0]:
            yield _counted(seal, tally, sealed=True)
            seal = next(seals, None)
        if seal is not None and seal.seq == values[0]:
            tally.differing += values[9] is not None and values != row_values(seal)
            yield _counted(seal, tally, sealed=True)
            seal = next(seals, None)
        elif (row := _placed(values)) is None:
            tally.newest_seq = values[0]
            tally.unplaced.append(tuple(values[ROW_COLUMNS.index(name)] for name in UNPLACED))
        else:
            yield _counted(row, tally, sealed=False)
    while seal is not None:
        yield _counted(seal, tally, sealed=True)
        seal = next(seals, None)


def _placed(values: Values) -> Row | None:
    """None: its step is not known any more, or what is said of it makes no sense."""
    try:
        row = row_from(values)
        RowEncoder().encode([packed(row)])
    except _SENSELESS:
        return None
    return row


def _counted(row: Row, tally: Tally, *, sealed: bool) -> Row:
    _note_gap(tally, row.seq)
    tally.last_seq = row.seq
    tally.rows += 1
    tally.from_seals += sealed
    return row


def _note_gap(tally: Tally, seq: int) -> None:
    if seq > tally.last_seq + 1:
        tally.lost.append((tally.last_seq + 1, seq - 1))


def _within(sealed: Iterator[Row], target: Target) -> Iterator[Row]:
    end = target.end_seq
    return (row for row in sealed if row.seq >= target.first_seq and (end is None or row.seq < end))


def _stored(scratch: sqlite3.Connection, target: Target) -> Iterator[tuple[Any, ...]]:
    question = f"SELECT {', '.join(ROW_COLUMNS)} FROM samples WHERE seq > ? AND seq < ? ORDER BY seq LIMIT {PAGE}"  # noqa: S608
    after, end = target.first_seq - 1, target.end_seq or 2**62
    while page := scratch.execute(question, (after, end)).fetchall():
        yield from page
        after = page[-1][0]


def _write_rows(connection: sqlite3.Connection, rows: Iterator[Row]) -> None:
    encoder = RowEncoder()
    chunk: list[bytes] = []
    for row in rows:
        chunk.append(packed(row))
        if len(chunk) == PAGE:
            _write_encoded(connection.executemany, encoder.encode(chunk))
            chunk = []
    _write_encoded(connection.executemany, encoder.encode(chunk))


def _write_encoded(many: Callable[[str, Iterable[Values]], object], encoded: Encoded) -> None:
    many(INSERT_CONTEXT, encoded.contexts)
    many(INSERT_ROW, encoded.rows)
    many(INSERT_TOTALS, encoded.totals)


def write_unplaced(path: Path, rows: Sequence[Values]) -> None:
    """Measurements of rows whose step is not known, for a person."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(UNPLACED)
        writer.writerows(rows)
    sync_file(path)
