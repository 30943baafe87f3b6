"""``commands.sqlite``: which commands were carried out, never to be again, and what became of every one that came."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

from cycler_ctl.publish.database import open_database, speaking_of

KEPT_S = 24 * 3600.0
MOST_AUDITED = 100_000
MOST_RECENT = 4096
FILE = "commands.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (cmd_id TEXT PRIMARY KEY, utc_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    n INTEGER PRIMARY KEY, utc_s REAL NOT NULL, channel TEXT NOT NULL, cmd_id TEXT NOT NULL, action TEXT NOT NULL,
    actor TEXT NOT NULL, role TEXT NOT NULL, client TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    beginning TEXT NOT NULL, more_like_it INTEGER NOT NULL
);
"""
_ADD = "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Entry:
    """``beginning``: of what nobody signed, its first 256 bytes, escaped. ``more_like_it`` were not written down."""

    utc_s: float
    channel: str
    cmd_id: str
    action: str
    actor: str
    role: str
    client: str
    outcome: str
    reason: str
    beginning: str = ""
    more_like_it: int = 0


class Ledger:
    """Belongs to the thread that made it. StoreError: the disk does not take or give it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent: dict[str, None] = {}
        self._database = open_database(path, _SCHEMA, "FULL")  # taken must stay taken, also after a power cut

    def repeated(self, cmd_id: str) -> bool:
        """Whether a signed command of this id came before, whatever became of it."""
        with speaking_of(self._path):
            row = self._database.execute("SELECT 1 FROM taken WHERE cmd_id = ?", (cmd_id,)).fetchone()
        return cmd_id in self._recent or row is not None

    def seen(self, cmd_id: str) -> None:
        """In memory: that suffices for one that was refused, for its nonce does not outlive this process."""
        if len(self._recent) >= MOST_RECENT:
            self._recent.pop(next(iter(self._recent)))
        self._recent[cmd_id] = None

    def take(self, cmd_id: str, utc_s: float) -> None:
        """Durable when this returns. Kept for a day and longer: forgetting begins with the next one that is taken."""
        self.seen(cmd_id)
        with speaking_of(self._path):
            self._database.execute("INSERT INTO taken VALUES (?, ?)", (cmd_id, utc_s))
            self._database.execute("DELETE FROM taken WHERE utc_s < ?", (utc_s - KEPT_S,))

    def note(self, entry: Entry) -> None:
        with speaking_of(self._path):
            number = self._database.execute(_ADD, astuple(entry)).lastrowid or 0
            self._database.execute("DELETE FROM audit WHERE n <= ?", (number - MOST_AUDITED,))

    def close(self) -> None:
        self._database.close()


def entries(path: Path) -> list[Entry]:
    """The whole audit, the oldest first; for another program too, while the station writes."""
    if not path.exists():
        return []
    with speaking_of(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        columns = ", ".join(Entry.__dataclass_fields__)
        found = database.execute(f"SELECT {columns} FROM audit ORDER BY n")  # noqa: S608 - our own names
        return [Entry(*row) for row in found]
