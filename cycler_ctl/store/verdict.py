"""What SQLite says of a run's file as a whole."""

from __future__ import annotations

import contextlib
import sqlite3

SOUND = "ok"


def verdict(connection: sqlite3.Connection) -> str:
    """``SOUND``, or the first thing that is wrong; nothing is written.

    Our view is hidden from the check: where SQLite comes across one first, it takes the check for one of a few tables
    and does not look for pages that no table reaches, as after a leaf was written in the place of its table's root.
    """
    with contextlib.suppress(sqlite3.OperationalError):  # of what nobody can write to a view cannot be hidden
        connection.execute("PRAGMA cache_spill = OFF")
        connection.execute("BEGIN")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
            connection.execute(f'DROP VIEW "{name}"')
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return str(said)
