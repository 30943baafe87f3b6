"""Rows into a run file against plain ``executemany`` in FULL commits of 250."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Cost, Line, Stopwatch, Table, compare
from benchmarks.runs import new_run, some_rows
from cycler_ctl.store.codec import ROW_COLUMNS, row_values
from protocols.record import Outcome, Row

ROWS = 20_000
COMMIT_ROWS = 250


async def by_writer(rows: list[Row]) -> Cost:
    with TemporaryDirectory() as folder:
        writer = new_run(Path(folder))
        watch = Stopwatch()
        for row in rows:
            writer.append((row,))
        writer.flush(60.0)
        cost = watch.cost(len(rows))
        writer.close()
        return cost


async def by_executemany(rows: list[Row]) -> Cost:
    columns = ("epoch", *ROW_COLUMNS)
    with TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "plain.sqlite")) as plain:
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("PRAGMA synchronous = FULL")
        plain.execute(f"CREATE TABLE samples ({', '.join(columns)}, PRIMARY KEY (epoch, seq)) WITHOUT ROWID")
        insert = f"INSERT INTO samples VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - nothing from outside
        watch = Stopwatch()
        for start in range(0, len(rows), COMMIT_ROWS):
            plain.executemany(insert, [(1, *row_values(row)) for row in rows[start : start + COMMIT_ROWS]])
            plain.commit()
        return watch.cost(len(rows))


def size_of(rows: list[Row]) -> float:
    """Bytes a row in the file of an ended run, by the growth with the number of rows."""
    with TemporaryDirectory() as empty, TemporaryDirectory() as full:
        return (_file_bytes(Path(full), rows) - _file_bytes(Path(empty), [])) / len(rows)


def _file_bytes(folder: Path, rows: list[Row]) -> int:
    writer = new_run(folder)
    writer.append(rows)
    writer.finish(Outcome.FINISHED, "")
    writer.close(60.0)
    return (writer.run_dir / "run.sqlite").stat().st_size


def _cold(rows: list[Row]) -> list[Row]:
    return [replace(row, temperature_degC=None) for row in rows]


async def bench() -> AsyncIterator[Table]:
    rows = some_rows(ROWS)
    sizes = {"B": size_of(rows), "B without a temperature": size_of(_cold(rows))}
    yield Table("a row in the run file", (Line("live file", sizes),))
    yield await compare(
        "one durable row",
        {"run writer": lambda: by_writer(rows), "executemany, 250 a commit": lambda: by_executemany(rows)},
    )
