"""How far the broker has acknowledged each run, on disk: a cursor over the run files, never a second copy of the data.

A cursor may lag behind what the broker has (after a crash: duplicates, which readers drop by their key) but never run
ahead of it (that would be loss).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cycler_ctl.publish.database import open_database, speaking_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (
    run TEXT NOT NULL, epoch INTEGER NOT NULL, stream TEXT NOT NULL, acknowledged INTEGER NOT NULL,
    PRIMARY KEY (run, epoch, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letter (
    run TEXT NOT NULL, epoch INTEGER NOT NULL, stream TEXT NOT NULL, number INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (run, epoch, stream, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS complete (run TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifest (
    run TEXT PRIMARY KEY, epoch INTEGER NOT NULL, rows INTEGER NOT NULL, payload BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sink (
    client TEXT NOT NULL, run TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (client, run)
) WITHOUT ROWID;
"""

CONFIRMED = 32
SINKS = 16
"""Whose reports are kept; a stranger may make up any number of names."""
LISTED = 200
"""Runs a message at most."""


class Stream(StrEnum):
    """What of a run is sent by cursor; the words are the last levels of the topics."""

    EVENTS = "event"
    SAMPLES = "samples"
    SUMMARIES = "summary"
    MANIFESTS = "manifest"


@dataclass(frozen=True, slots=True)
class LaneKey:
    """One stream of one run in one epoch."""

    run: str
    epoch: int
    stream: Stream


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row or event the broker would not take, alone and again and again; it is in the run file."""

    run: str
    stream: Stream
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class FinalManifest:
    """What was said of a run at its end."""

    epoch: int
    rows: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A sink says that it keeps every row up to ``seq``; ``of``: how many the run has, None while it is not over."""

    client: str
    run: str
    epoch: int
    seq: int
    at: str
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """Up to which row a broker has had this epoch of a run; ``ended``: and everything else of the run."""

    run: str
    epoch: int
    rows: int
    ended: bool


class Cursors:
    """``outbox.sqlite``. Belongs to the thread that made it; ``commit`` makes all advances so far durable at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: dict[LaneKey, int] = {}
        # A power cut may take the last commits back, which costs duplicates, never rows.
        self._database = open_database(path, _SCHEMA, "NORMAL")

    def acknowledged(self, lane: LaneKey) -> int:
        """The last number acknowledged, committed or not; 0 if none."""
        if lane in self._pending:
            return self._pending[lane]
        with speaking_of(self._path):
            found = self._database.execute(
                "SELECT acknowledged FROM cursor WHERE run = ? AND epoch = ? AND stream = ?",
                (lane.run, lane.epoch, lane.stream),
            ).fetchone()
        return int(found[0]) if found else 0

    def advance(self, lane: LaneKey, acknowledged: int) -> None:
        self._pending[lane] = acknowledged

    def commit(self) -> None:
        if not self._pending:
            return
        rows = [(lane.run, lane.epoch, lane.stream, number) for lane, number in self._pending.items()]
        with speaking_of(self._path), self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)", rows)
        self._pending.clear()

    def bury(self, lane: LaneKey, number: int, reason: str) -> None:
        """A dead letter is durable before the cursor passes it."""
        with speaking_of(self._path):
            self._database.execute(
                "INSERT OR REPLACE INTO dead_letter VALUES (?, ?, ?, ?, ?)",
                (lane.run, lane.epoch, lane.stream, number, reason),
            )

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        question = "SELECT run, stream, number, reason FROM dead_letter ORDER BY run, number"
        with speaking_of(self._path):
            found = self._database.execute(question).fetchall()
        return tuple(DeadLetter(run, Stream(stream), number, reason) for run, stream, number, reason in found)

    def complete(self) -> frozenset[str]:
        """Ended runs of which everything was acknowledged: never to be opened again."""
        with speaking_of(self._path):
            return frozenset(str(run) for (run,) in self._database.execute("SELECT run FROM complete"))

    def mark_complete(self, run: str) -> None:
        self.commit()
        with speaking_of(self._path):
            self._database.execute("INSERT OR IGNORE INTO complete VALUES (?)", (run,))

    def keep_manifest(self, run: str, manifest: FinalManifest) -> None:
        with speaking_of(self._path):
            self._database.execute(
                "INSERT OR REPLACE INTO manifest VALUES (?, ?, ?, ?)",
                (run, manifest.epoch, manifest.rows, manifest.payload),
            )

    def manifest(self, run: str) -> FinalManifest | None:
        with speaking_of(self._path):
            found = self._database.execute("SELECT epoch, rows, payload FROM manifest WHERE run = ?", (run,)).fetchone()
        return FinalManifest(*found) if found else None

    def listed(self, after: str) -> tuple[Listed, ...]:
        """The next runs after this one, the oldest first, each with all its epochs."""
        question = (
            "SELECT run, epoch, max(CASE stream WHEN 'samples' THEN acknowledged ELSE 0 END), "
            "run IN (SELECT run FROM complete) FROM cursor WHERE run IN "
            "(SELECT DISTINCT run FROM cursor WHERE run > ? ORDER BY run LIMIT ?) GROUP BY run, epoch ORDER BY run"
        )
        with speaking_of(self._path):
            found = self._database.execute(question, (after, LISTED)).fetchall()
        return tuple(Listed(run, epoch, rows, bool(ended)) for run, epoch, rows, ended in found)

    def confirm(self, said: Confirmed) -> None:
        """The newest of each sink and run; of a sink the newest ``CONFIRMED`` runs, of sinks those heard of last."""
        with speaking_of(self._path):
            self._database.execute(
                "INSERT OR REPLACE INTO sink VALUES (?, ?, ?, ?, ?)",
                (said.client, said.run, said.epoch, said.seq, said.at),
            )
            self._database.execute(
                "DELETE FROM sink WHERE client = ?1 AND run <= "
                "(SELECT run FROM sink WHERE client = ?1 ORDER BY run DESC LIMIT 1 OFFSET ?2)",
                (said.client, CONFIRMED),
            )
            self._database.execute(
                "DELETE FROM sink WHERE client != ?1 AND client NOT IN "
                "(SELECT client FROM sink WHERE client != ?1 GROUP BY client ORDER BY max(at) DESC LIMIT ?2)",
                (said.client, SINKS - 1),
            )

    def confirmed(self) -> tuple[Confirmed, ...]:
        question = (
            "SELECT client, run, sink.epoch, seq, at, rows FROM sink LEFT JOIN manifest USING (run) "
            "ORDER BY client, run DESC"
        )
        with speaking_of(self._path):
            return tuple(Confirmed(*found) for found in self._database.execute(question))

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._database.close()
