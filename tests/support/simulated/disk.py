"""The disk under the store: real SQLite files in memory, and what a sync on a bad disk does. It knows what is durable."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self

from simulated.loop import pause_thread

Key = tuple[str, int]


class Disk:
    """``full``, ``broken`` and ``slow_s`` are its faults; ``durable`` the last row of each (run, epoch) that is safe."""

    def __init__(self, committed: Callable[[str, int, int], None], broke: Callable[[str, str], None]) -> None:
        self.full = False
        self.broken = False
        self.slow_s = 0.0
        self.hits = {"disk full": 0, "disk error": 0, "disk slow": 0}
        self.durable: dict[Key, int] = {}
        self.unnamed: dict[Path, list[tuple[str, int, int]]] = {}
        self.given_up: set[Path] = set()
        self.connections: list[SimConnection] = []
        self._committed = committed
        self.broke = broke

    def sync(self) -> None:
        """Anything that must be on the disk comes through here; raises OSError."""
        if self.slow_s:
            self.hits["disk slow"] += 1
            pause_thread(self.slow_s)
        if self.full:
            self.hits["disk full"] += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.broken:
            self.hits["disk error"] += 1
            raise OSError(errno.EIO, "Input/output error")

    def is_durable(self, run: str, epoch: int, seq: int) -> None:
        if seq > self.durable.get((run, epoch), 0):
            self.durable[run, epoch] = seq
        self._committed(run, epoch, seq)

    def named(self, folder: Path) -> None:
        """The folder was synced: files that were renamed in it are there for good."""
        for path in [path for path in self.unnamed if path.parent == folder and not path.exists()]:
            for key in self.unnamed.pop(path):
                self.is_durable(*key)

    def close_all(self) -> None:
        """The process is dead: what it had not committed was never there."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()


class SimConnection(sqlite3.Connection):
    """One writer's connection; whatever is said to it is said to a ``SimCursor``."""

    def __init__(self, database: Any, *arguments: Any, disk: Disk, path: Path, **more: Any) -> None:
        super().__init__(database, *arguments, **more)
        self.disk = disk
        self.path = path
        self.last_seq = 0

    def cursor(self, factory: Any = None) -> Any:
        return SimCursor(self)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return SimCursor(self).executemany(sql, parameters)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return SimCursor(self).execute(sql, parameters)


class SimCursor(sqlite3.Cursor):
    """The time and the errors of a sync are where COMMIT is."""

    def __init__(self, at: SimConnection) -> None:
        super().__init__(at)
        self._at, self._disk, self._path = at, at.disk, at.path

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        if sql.startswith("INSERT INTO compact "):
            rows = list(parameters)
            self._at.last_seq = max([self._at.last_seq, *(row[0] for row in rows)])
            return super().executemany(sql, rows)
        return super().executemany(sql, parameters)

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        if sql != "COMMIT":
            return super().execute(sql, parameters)
        if self._path in self._disk.given_up:
            self._disk.broke("D5", f"{self._path.name} was written again after its sync had failed")
        try:
            self._disk.sync()
        except OSError as error:
            self._disk.given_up.add(self._path)
            super().execute("ROLLBACK")
            full = error.errno == errno.ENOSPC
            raise sqlite3.OperationalError("database or disk is full" if full else "disk I/O error") from error
        super().execute(sql)
        self._note()
        return self

    def _note(self) -> None:
        if not (last_seq := self._at.last_seq):
            return
        run, epoch = super().execute("SELECT run, epoch FROM run").fetchone()
        if self._path.suffix == ".new":
            self._disk.unnamed.setdefault(self._path, []).append((run, epoch, last_seq))
        else:
            self._disk.is_durable(run, epoch, last_seq)


class Sqlite:
    """The module ``sqlite3`` as the store sees it on this disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> object:
        return getattr(sqlite3, name)

    def connect(self, database: Any, **more: Any) -> sqlite3.Connection:
        text = str(database)
        if "mode=ro" in text:
            plain: sqlite3.Connection = sqlite3.connect(database, **more)
            return plain
        path = Path(text.removeprefix("file://").partition("?")[0])
        self._disk.unnamed.pop(path, None)
        if path.suffix == ".new":
            self._disk.given_up.discard(path)  # made afresh
        elif path in self._disk.given_up:
            self._disk.broke("D5", f"{path.name} was taken up again after its sync had failed")
        made: Any = partial(SimConnection, disk=self._disk, path=path)
        more["check_same_thread"] = False
        connection: sqlite3.Connection = sqlite3.connect(database, factory=made, **more)
        assert isinstance(connection, SimConnection)
        self._disk.connections.append(connection)
        return connection
