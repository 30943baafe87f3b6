"""The tables of a run's file, as the numbered texts in ``schema`` make them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib import resources

_TEXTS = "SELECT CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(coalesce(sql, '') AS BLOB) FROM sqlite_master"


@cache
def schema() -> list[str]:
    files = (file for file in resources.files("cycler_ctl.store.schema").iterdir() if file.name.endswith(".sql"))
    return [file.read_text(encoding="utf-8") for file in sorted(files, key=lambda file: file.name)]


@cache
def _texts_of(version: int) -> frozenset[tuple[bytes, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in schema()[:version]:
            connection.executescript(script)
        return frozenset(connection.execute(_TEXTS).fetchall())


def refuse_altered(connection: sqlite3.Connection) -> None:
    """One letter of a view's text makes other numbers of the same pages, and SQLite finds nothing wrong with it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = connection.execute(_TEXTS).fetchall()
    for texts in found:
        b"".join(texts).decode()  # whatever quotes one later, a column's name or a message, is text that Python decodes
    if 0 < version <= len(schema()) and not _texts_of(version) <= set(found):
        raise ValueError("a text is not that of its schema")
