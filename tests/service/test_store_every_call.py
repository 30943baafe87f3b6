"""A kill, a write cut short by one, an error, a full disk and a sync that does not return, at each call of a run's life.

A life is begun, written to with several checkpoints of the log, left, told as interrupted, sealed, gone on with, ended
and sealed again. Run as a program, this file lives such lives, each in a fork of its own, and looks at what they left.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from recorded_disk import FULL, IOERR_FSYNC, OK, Call, recorded

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.seal import DAY_S, check_seals, read_manifest, seal_days
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import open_for_writing, segment_paths
from cycler_ctl.store.writer import RunWriter, create_run, reopen_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import EventKind, EventRecord, Outcome

RUN = "20261122-101500-a1-7f3k"
INFO = RunInfo(RUN, 5, "a1", "lab", "site", START_UTC_S, "", "", "", {}, {}, {}, {}, {}, None, 60.0)
ROWS = list(cycling_rows(Shape(points=40)))[:160]
GROUP, HALF = 8, 80
KINDS = ("kill", "torn", "error", "full", "stuck")
KILLS = frozenset({"kill", "torn"})

WAIT_S = 60.0
Result = TypeVar("Result")


@dataclass(slots=True)
class Trouble:
    """What happens at the call number ``at``: nothing, if that is never reached."""

    kind: str
    at: int
    calls: int = 0
    hit: str = ""
    appended: threading.Event = field(default_factory=threading.Event)
    """Rows were handed over while the sync did not return."""
    begun: bool = False

    def verdict(self, call: Call) -> int:
        if self.kind == "stuck" and (call.what != "sync" or not self.begun):
            return OK
        if self.kind == "torn" and call.what != "write":
            return OK
        self.calls += 1
        if self.calls != self.at:
            return OK
        self.hit = f"{call.what} {Path(call.path).name}"
        if self.kind == "torn":
            tear(call)
        if self.kind in KILLS:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "stuck":
            self.appended.wait(WAIT_S)
            self.hit = self.hit if self.appended.is_set() else "waited for"
            return OK
        return FULL if self.kind == "full" else IOERR_FSYNC


def tear(call: Call) -> None:
    """The first half of a write is in the file; the process lives no longer than this."""
    descriptor = os.open(call.path, os.O_WRONLY)
    os.pwrite(descriptor, call.data[: len(call.data) // 2], call.at)


def connect(path: Path) -> sqlite3.Connection:
    connection = open_for_writing(path)
    connection.execute("PRAGMA wal_autocheckpoint = 12")
    return connection


OPTIONS = WriterOptions(
    commit_every_s=0.0, retry_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0, connect=connect, keep_rows=40
)


@dataclass(slots=True)
class Life:
    data_dir: Path
    trouble: Trouble
    acked: int
    """The descriptor where what is durable is said."""

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "runs" / RUN

    def live(self) -> None:
        writer = create_run(self.data_dir, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=OPTIONS)
        self.trouble.begun = True
        self._write(writer, 0, HALF)
        assert writer.close(), writer.failed
        interrupted = self._again(partial(self._reopen, None))
        interrupted.interrupt("the service stopped")
        assert interrupted.close(), interrupted.failed
        self._again(partial(seal_days, self.run_dir, START_UTC_S + DAY_S))
        writer = self._again(partial(self._reopen, 6))
        self._write(writer, HALF, len(ROWS))
        writer.finish(Outcome.FINISHED, "done")
        assert writer.close(), writer.failed
        self._again(partial(seal_days, self.run_dir, START_UTC_S + DAY_S))

    def _reopen(self, epoch: int | None) -> RunWriter:
        return reopen_run(
            self.run_dir, on_durable=lambda _: None, utc=lambda: START_UTC_S + 1.0, options=OPTIONS, epoch=epoch
        )

    def _again(self, act: Callable[[], Result]) -> Result:
        """As the service does at its next start, or at the next turn of its sealing."""
        try:
            return act()
        except (StoreError, OSError):
            return act()

    def _write(self, writer: RunWriter, first: int, end: int) -> None:
        self.trouble.appended.clear()
        for at in range(first, end, GROUP):
            note = EventRecord(0.0, START_UTC_S, EventKind.NOTE, {"rows": at + GROUP})
            writer.append(ROWS[at : at + GROUP], [note], checkpoint=partial(json.dumps, {"last": at + GROUP}))
            if self.trouble.kind != "stuck":
                assert writer.flush(WAIT_S), writer.failed
                os.write(self.acked, b"%d\n" % writer.durable_seq)
        self.trouble.appended.set()


def lived(data_dir: Path, trouble: Trouble, acked: int) -> str:
    """One life, in this process; what the trouble was, empty if it never came."""
    data_dir.mkdir()
    with pytest.MonkeyPatch.context() as patch, recorded(data_dir, patch) as disk:
        disk.verdict = trouble.verdict
        try:
            Life(data_dir, trouble, acked).live()
        except (StoreError, OSError) as error:
            if trouble.begun:
                return f"stopped by: {error!r}"
    return trouble.hit


def harm(data_dir: Path, acked: int, kind: str) -> str | None:
    """What is wrong with what a life has left, None if nothing is."""
    run_dir = data_dir / "runs" / RUN
    if not segment_paths(run_dir):
        return f"acknowledged {acked}, and there is no run" if acked else None
    with open_run(run_dir) as reader:
        rows, checkpoint, events, state = reader.rows(), reader.checkpoint(), reader.events(), reader.state
    if len(rows) < acked or rows != ROWS[: len(rows)]:
        return f"acknowledged {acked}, stored {[row.seq for row in rows]}"
    notes = [event.data["rows"] for event in events if event.kind is EventKind.NOTE]
    if notes != list(range(GROUP, len(rows) + 1, GROUP)):
        return f"{len(rows)} rows, the events are {notes}"
    if rows and (checkpoint is None or json.loads(checkpoint) != {"last": len(rows)}):
        return f"{len(rows)} rows, the checkpoint is {checkpoint}"
    if kind not in KILLS and rows and (len(rows) != len(ROWS) or state.outcome is not Outcome.FINISHED):
        return f"{len(rows)} rows and {state} after a trouble that passed"
    return damaged(run_dir) or goes_on(run_dir)


def damaged(run_dir: Path) -> str | None:
    for path in segment_paths(run_dir):
        with closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            return f"{path.name}: {verdict}"
    return None


def goes_on(run_dir: Path) -> str | None:
    """None if the run can be told as ended and sealed, and its seals are its rows."""
    writer = reopen_run(run_dir, on_durable=lambda _: None, options=OPTIONS)
    count = writer.durable_seq
    writer.finish(Outcome.STOPPED, "looked at")
    if not writer.close():
        return f"it could not be ended: {writer.failed}"
    seal_days(run_dir, START_UTC_S + DAY_S)
    sealed = sum(seal.last_seq - seal.first_seq + 1 for seal in read_manifest(run_dir))
    return None if sealed == count and check_seals(run_dir) == [] else f"{count} rows, {sealed} sealed"


def in_a_fork(act: Callable[[int], str]) -> tuple[int, str]:
    """Exit status and all that was written into the pipe, the result last."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(into, f"={act(into)}".encode())
        except BaseException as error:
            os.write(into, f"={error!r}".encode())
            raise
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        said = file.read()
    return os.waitpid(child, 0)[1], said


def trial(data_dir: Path, kind: str, at: int) -> tuple[str, str]:
    """What the trouble at call ``at`` was (empty: none), and what is wrong after it (empty: nothing)."""
    status, said = in_a_fork(lambda into: lived(data_dir, Trouble(kind, at), into))
    acks, _, hit = said.partition("=")
    hit = "killed" if os.WIFSIGNALED(status) else hit
    acked = int(acks.split()[-1]) if acks.split() else 0
    _, wrong = in_a_fork(lambda _: harm(data_dir, acked, kind) or "")
    wrong = wrong.removeprefix("=")
    return hit, f"{hit}: {hit}" if hit.startswith(("stopped by", "waited for")) else wrong


def trials(root: Path, kind: str, every: int) -> Iterator[tuple[int, str, str]]:
    """At every so many-th call until one is beyond the life's end."""
    at = 1
    while True:
        hit, wrong = trial(root / f"{kind}-{at}", kind, at)
        yield at, hit, wrong
        if not hit:
            return
        at += every


def lives(root: Path, kind: str, every: int) -> list[tuple[int, str, str]]:
    if sys.platform == "win32":
        pytest.skip("forks")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent / "support")}
    command = [sys.executable, __file__, str(root), kind, str(every)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1700, check=False)
    assert done.returncode == 0, done.stderr
    return [(at, hit, wrong) for at, hit, wrong in map(json.loads, done.stdout.splitlines())]


def wrong_of(found: Iterable[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    return [one for one in found if one[2]]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_no_call_of_a_run_s_life_is_one_at_which_trouble_costs_a_row(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    every = 1 if request.config.getoption("--campaign") else 29
    found = lives(tmp_path, kind, every)
    assert wrong_of(found) == []
    *hits, beyond = found
    assert all(hit for _, hit, _ in hits)
    assert not beyond[1], "the last one lies behind the end of the life: every call before it was reached"
    calls = beyond[0]
    sys.stdout.write(f"{kind}: {len(hits)} of about {calls - 1} calls\n")  # pytest -s shows it
    assert calls > (20 if kind == "stuck" else 150)


def test_the_harness_notices_a_row_that_is_missing_and_a_trouble_that_never_comes(tmp_path: Path) -> None:
    """The negative controls: with them the test above must fail."""
    if sys.platform == "win32":
        pytest.skip("as above")
    trouble = Trouble("error", 10**6)
    with (tmp_path / "acked").open("wb") as acked:
        assert lived(tmp_path / "data", trouble, acked.fileno()) == ""
    assert trouble.calls > 200
    assert harm(tmp_path / "data", len(ROWS), "error") is None
    assert str(harm(tmp_path / "data", len(ROWS) + 1, "error")).startswith("acknowledged")


if __name__ == "__main__":
    for result in trials(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])):
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
