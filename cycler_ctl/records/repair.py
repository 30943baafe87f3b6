"""``cycler-ctl repair``: looks through a run's files, and makes damaged ones anew of what can be believed of them.

The damaged file is kept, as it was, in ``quarantine/`` in the run's folder. The new one is whole and durable under
another name before anything is moved; what a power cut leaves half moved, the next call ends.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import CYCLE_COLUMNS, EVENT_COLUMNS, ROW_COLUMNS, STEP_COLUMNS
from cycler_ctl.store.export.seal import differing_seals, seal_trouble, sealed_rows
from cycler_ctl.store.fetch import NEWEST, query
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.fragments import begun, run_values, segment_numbers
from cycler_ctl.store.pages import log_is_torn
from cycler_ctl.store.place import MINIMUM_FREE_BYTES, aside_note, locked, sync_file, sync_folder
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.salvage import CHECKPOINT_COLUMNS, RUN_COLUMNS, Tally, Target, rebuild, salvage, write_unplaced
from cycler_ctl.store.segment import APPLICATION_ID, Ending, open_for_reading, schema_version, segment_path
from cycler_ctl.store.verdict import SOUND, verdict
from cycler_ctl.store.writer import reopen_run
from cycler_ctl.terminal.progress import progress
from protocols.record import JSON, EventKind, EventRecord

FOLDER, REPAIRED, SCRATCH, UNPLACED_FILE = "quarantine", ".repaired", ".scratch", "rows_without_step.csv"
CLOSE_S = 30.0
_READ = (
    ("samples", "seq", ROW_COLUMNS),
    ("events", "id", EVENT_COLUMNS),
    ("steps", "id", STEP_COLUMNS),
    ("cycles", "id", CYCLE_COLUMNS),
    ("checkpoint", "last_seq", CHECKPOINT_COLUMNS),
)
"""What whoever reads a run asks its files for."""
_RUN = ", ".join(RUN_COLUMNS)


@dataclass(frozen=True, slots=True)
class Mended:
    """One segment: what was wrong, what the new file holds, where the old one is."""

    name: str
    why: str
    tally: Tally
    kept_as: Path


@dataclass(frozen=True, slots=True)
class Report:
    mended: tuple[Mended, ...]
    notes: tuple[str, ...]


def show_repair(run_dir: Path, *, as_json: bool = False) -> int:
    """The command. 0: whole, or made so with nothing missing; 1: something is missing."""
    with progress(wanted=not as_json) as tell:
        report = repair_run(run_dir, SystemClock().utc, tell)
    if as_json:
        sys.stdout.write(json.dumps(report_json(run_dir.name, report)) + "\n")
    else:
        _say(run_dir.name, report)
    return int(any(one.tally.rows_lost or one.tally.unplaced for one in report.mended))


def _say(run: str, report: Report) -> None:
    for note in report.notes:
        sys.stdout.write(f"{note}\n")
    for mended in report.mended:
        sys.stdout.write(f"{told(mended)}\n")
    if not report.mended:
        sys.stdout.write(f"{run}: nothing is wrong with its files\n")


def report_json(run: str, report: Report) -> dict[str, JSON]:
    mended: list[JSON] = [
        {
            "file": one.name,
            "why": one.why,
            "rows": one.tally.rows,
            "rows_lost": one.tally.rows_lost,
            "rows_without_step": len(one.tally.unplaced),
            "kept_as": str(one.kept_as),
        }
        for one in report.mended
    ]
    return {"run": run, "mended": mended, "notes": [*report.notes]}


def told(mended: Mended) -> str:
    """For a person, and for the record itself."""
    tally = mended.tally
    parts = [f"{mended.name} was damaged ({mended.why}); the new file holds {tally.rows} rows"]
    if tally.from_seals:
        parts.append(f"{tally.from_seals} of them as sealed, of which the damaged file had {tally.differing} otherwise")
    ranges = ", ".join(f"{first} to {last}" for first, last in tally.lost[:20])
    parts.append(f"{tally.rows_lost} rows are lost: {ranges}" if tally.lost else "no row is known to be missing")
    if tally.unplaced:
        parts.append(f"of {len(tally.unplaced)} of those the measured values are in {UNPLACED_FILE}")
    if not tally.run_known:
        parts.append("what the file said of its run was lost too and is taken from the run's other files and its name")
    parts.append(f"the damaged file is kept in {mended.kept_as.parent.name}/{mended.kept_as.name}")
    return "; ".join(parts)


def repair_run(run_dir: Path, utc: Callable[[], float], tell: Tell = nobody) -> Report:
    """StoreError where the run is being written, or was written by a newer program."""
    lock = locked(run_dir)
    try:
        _end_earlier(run_dir, utc())
        notes = seal_trouble(run_dir)
        mended = [_mend(run_dir, number, why, utc()) for number, why in damaged_segments(run_dir, tell).items()]
        mended += [_mend(run_dir, number, why, utc()) for number, why in differing_segments(run_dir).items()]
    finally:
        lock.release()
    if mended:
        _note(run_dir, mended, utc)
    return Report(tuple(mended), tuple(notes))


def damaged_segments(run_dir: Path, tell: Tell = nobody) -> dict[int, str]:
    numbers, found = segment_numbers(run_dir), dict[int, str]()
    for done, number in enumerate(numbers):
        tell("files", done, len(numbers))
        why = damage_of(segment_path(run_dir, number))
        if why is not None:
            found[number] = why
    return found


def damage_of(path: Path) -> str | None:
    """What is wrong with one file by itself, None if nothing is."""
    if not path.is_file():
        return "it is missing"
    if log_is_torn(path):
        return "its write-ahead log has a hole"
    try:
        with closing(open_for_reading(path)) as connection:
            said = _said_of(connection, path)
            if said != SOUND:
                return said
            (mark,) = connection.execute("PRAGMA application_id").fetchone()
            if mark != APPLICATION_ID:
                return "its head is not that of a run"
            schema_version(connection, path)
            for table, key, columns in _READ:  # SQLite looks at no text of a view
                connection.execute(query(table, key, columns), (0, 2**62, 1)).fetchall()
            if connection.execute(NEWEST).fetchall() == [(None,)]:
                return "its rows have no numbers"
            runs = connection.execute(f"SELECT {_RUN} FROM run").fetchall()  # noqa: S608 - and at no letters of any text
            return None if len(runs) == 1 else "it does not say which run it is"
    except sqlite3.Error as error:
        return str(error)


def _said_of(connection: sqlite3.Connection, path: Path) -> str:
    """The file itself is only read. Without room for a copy all is looked at but what no table reaches."""
    room = shutil.disk_usage(path.parent).free - _byte_size(path)
    try:
        return verdict(connection) if room < MINIMUM_FREE_BYTES else _verdict_of_copy(connection, path)
    except sqlite3.OperationalError:  # that the copy could not be made says nothing of the file
        return verdict(connection)


def _byte_size(path: Path) -> int:
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.is_file() else 0)


def _verdict_of_copy(connection: sqlite3.Connection, path: Path) -> str:
    scratch_path = path.with_suffix(SCRATCH)
    scratch_path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(scratch_path, isolation_level=None)) as scratch:
            scratch.execute("PRAGMA synchronous = OFF")  # other runs' commits wait for the same disk
            connection.backup(scratch)
            return verdict(scratch)
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            scratch_path.with_name(f"{scratch_path.name}{end}").unlink(missing_ok=True)


def differing_segments(run_dir: Path) -> dict[int, str]:
    """Files that are in order by themselves and hold other rows than a seal."""
    wrong = differing_seals(run_dir)
    found: dict[int, str] = {}
    for number in segment_numbers(run_dir) if wrong else ():
        first, end = run_values(run_dir, number).first_seq, _end_of(run_dir, number)
        seals = [seal.name for seal in wrong if seal.last_seq >= first and (end is None or seal.first_seq < end)]
        if seals:
            found[number] = f"it differs from the sealed {', '.join(seals)}"
    return found


def _end_of(run_dir: Path, number: int) -> int | None:
    """The first row of a later file, where one says so."""
    later = [run_values(run_dir, other) for other in segment_numbers(run_dir) if other > number]
    return min((about.first_seq for about in later if about.known), default=None)


def _mend(run_dir: Path, number: int, why: str, utc_s: float) -> Mended:
    path = segment_path(run_dir, number)
    scratch_path = path.with_suffix(SCRATCH)
    scratch_path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(scratch_path, isolation_level=None)) as scratch:
            found = salvage(path, scratch)
            about = run_values(run_dir, number, found.run)
            values = (
                about.values
                if about.known or number == 1
                else begun(about.values, scratch, segment_path(run_dir, number - 1))
            )
            target = Target(path.with_suffix(REPAIRED + ".new"), values, _end_of(run_dir, number))
            tally = rebuild(target, found, sealed_rows(run_dir))
    except sqlite3.Error as error:
        raise StoreError(f"{path} could not be made anew: {error}; it is as it was") from error
    finally:
        scratch_path.unlink(missing_ok=True)
    target.path.replace(path.with_suffix(REPAIRED))
    sync_folder(run_dir)
    kept = _swap(path, utc_s)
    if tally.unplaced:
        write_unplaced(kept / UNPLACED_FILE, tally.unplaced)
    return Mended(path.name, why, replace(tally, run_known=about.known), kept)


def _end_earlier(run_dir: Path, utc_s: float) -> None:
    for number in segment_numbers(run_dir):
        if segment_path(run_dir, number).with_suffix(REPAIRED).is_file():
            _swap(segment_path(run_dir, number), utc_s)


def _swap(path: Path, utc_s: float) -> Path:
    """Keep the damaged file and put the new one in its place; where the old one is kept."""
    kept = path.parent / FOLDER / f"{path.stem}-{datetime.fromtimestamp(utc_s, UTC):%Y%m%d-%H%M%S-%f}"
    kept.mkdir(parents=True)
    logs = (f"{path.name}-wal", f"{path.name}-journal", aside_note(path).name)  # the last is of the damaged file alone
    for name in (path.name, *logs):
        _keep(path.with_name(name), kept / name)
    for folder in (kept, kept.parent, path.parent):
        sync_folder(folder)
    for name in (*logs, f"{path.name}-shm"):  # a log is replayed into whatever file has the name
        path.with_name(name).unlink(missing_ok=True)
    sync_folder(path.parent)
    path.with_suffix(REPAIRED).replace(path)
    sync_folder(path.parent)
    return kept


def _keep(file: Path, kept: Path) -> None:
    """A second name for the same bytes; a copy where the file system has no second names."""
    if not file.is_file():
        return
    try:
        os.link(file, kept)
    except OSError:
        shutil.copy2(file, kept)
        sync_file(kept)


def _note(run_dir: Path, mended: list[Mended], utc: Callable[[], float]) -> None:
    """Into the record, in an epoch of its own: what was lost may have been published under its numbers."""
    with open_run(run_dir) as reader:
        state, (alive_s, _) = reader.state, reader.alive
    writer = reopen_run(
        run_dir,
        on_durable=lambda _: None,
        utc=utc,
        options=WriterOptions(reserve_bytes=0),
        epoch=secrets.randbits(48),
    )
    for one in mended:
        kind = EventKind.GAP if one.tally.lost else EventKind.WARNING
        said: dict[str, JSON] = {"source": "store", "text": told(one), "rows_lost": one.tally.rows_lost}
        writer.append(events=[EventRecord(alive_s, utc(), kind, said)])
    if state.state == "running":
        writer.interrupt("its file was damaged, and was repaired")
    else:
        writer.end(Ending(state.state, state.outcome, state.reason, state.ended_utc_s))
    if not writer.close(CLOSE_S):
        raise StoreError(f"{run_dir}: repaired, which could not be noted in the record: {writer.failed}")
