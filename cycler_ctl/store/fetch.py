"""Short reads of one file of a run; whatever SQLite says of it is a StoreError."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from cycler_ctl.errors import StoreError


def run_row(connection: sqlite3.Connection) -> dict[str, Any]:
    """The one row of the table ``run`` by its columns."""
    cursor = connection.cursor()
    cursor.row_factory = _named
    try:
        row: dict[str, Any] | None = cursor.execute("SELECT * FROM run").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"cannot read the run: {_why(error)}") from error
    if row is None:
        raise StoreError("the run file does not say which run it is")
    return row


def _why(error: sqlite3.Error) -> str:
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return f"{error}; 'cycler-ctl repair' with the run's id makes a damaged file anew" if damaged else str(error)


def _named(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


NEWEST = "SELECT seq FROM samples WHERE epoch = (SELECT epoch FROM run) ORDER BY seq DESC LIMIT 1"


def query(table: str, key: str, columns: Sequence[str]) -> str:
    epoch = "epoch = (SELECT epoch FROM run) AND " if table == "samples" else ""
    names = ", ".join(columns)
    return f"SELECT {names} FROM {table} WHERE {epoch}{key} > ? AND {key} < ? ORDER BY {key} LIMIT ?"  # noqa: S608


def fetch(at: sqlite3.Connection | sqlite3.Cursor, sql: str, values: tuple[int, ...]) -> list[tuple[Any, ...]]:
    try:
        return at.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            at.execute("SELECT 1 LIMIT 0")  # or a cursor that is kept would hold the file until it is asked again
        raise StoreError(f"cannot read the run: {_why(error)}") from error
