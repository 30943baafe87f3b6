"""A small SQLite file in the data folder: how it is opened, and what is said when the disk does not take or give it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from cycler_ctl.errors import StoreError


def open_database(path: Path, schema: str, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Belongs to the thread that opens it. FULL: what was committed is there after a power cut too."""
    with speaking_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {synchronous}")
            database.executescript(schema)
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                database.close()
            raise
        return database


@contextmanager
def speaking_of(path: Path) -> Generator[None]:
    """Whatever fails is a StoreError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: {error}") from error
