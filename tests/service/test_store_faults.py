"""Disks that are full, fail, are slow or can only be read: nothing acknowledged is lost, and the run's end is written.

The refusals come from a layer under SQLite (recorded_disk.py); those of a real kernel are in test_store_full_disk.py.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_disk import CANTOPEN, FULL, IOERR_FSYNC, IOERR_WRITE, OK, READONLY, Call, Disk, recorded

from cycler_ctl.errors import StoreError
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_paths
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Outcome, Row

QUICK = WriterOptions(
    commit_every_s=0.0, retry_every_s=0.01, close_retry_s=1.0, minimum_free_bytes=0, reserve_bytes=1 << 18
)
INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)


def rows(count: int) -> list[Row]:
    return list(cycling_rows(Shape(points=count // 7 + 1)))[:count]


@contextmanager
def recording(data_dir: Path, options: WriterOptions = QUICK) -> Generator[RunWriter]:
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: 1.8e9, options=options)
    try:
        yield writer
    finally:
        writer.close()


def refuse(what: str, code: int, first: int, last: int) -> Callable[[Call], int]:
    """Calls of one kind number ``first`` to ``last`` end with ``code``."""
    seen = 0

    def verdict(call: Call) -> int:
        nonlocal seen
        seen += call.what == what
        return code if call.what == what and first <= seen <= last else OK

    return verdict


def noting(disk: Disk, verdict: Callable[[Call], int], refused: list[int]) -> Callable[[Call], int]:
    """``refused``: how many calls had been made when one was refused."""

    def noted(call: Call) -> int:
        code = verdict(call)
        if code != OK:
            refused.append(len(disk.calls))
        return code

    return noted


def written_after_failing(disk: Disk, path: Path, refused: int) -> list[Call]:
    """Calls that changed the given-up file from the refusal on, its closing among them."""
    names = [str(path), f"{path}-wal"]
    changes = {"write", "truncate", "sync", "unlink", "create"}
    return [call for call in disk.calls[refused:] if call.path in names and call.what in changes]


@pytest.mark.parametrize(("what", "code"), [("sync", IOERR_FSYNC), ("write", IOERR_WRITE), ("write", FULL)])
@pytest.mark.parametrize("nth", range(1, 9))
def test_after_its_first_error_a_file_is_left_alone_and_every_row_is_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: int, nth: int
) -> None:
    expected = rows(40)
    with recorded(tmp_path, monkeypatch) as disk:
        with recording(tmp_path) as writer:
            refused: list[int] = []
            disk.verdict = noting(disk, refuse(what, code, nth, nth), refused)
            for at in range(0, 40, 5):
                writer.append(expected[at : at + 5], checkpoint=lambda: "{}")
                assert writer.flush(5)
                assert writer.durable_seq == at + 5
            moved = writer.moves
            writer.finish(Outcome.FINISHED, "")
            assert writer.close()
        if moved:
            assert written_after_failing(disk, writer.run_dir / "run.sqlite", refused[0]) == []
    with open_run(writer.run_dir) as reader:
        assert (reader.rows(), reader.state.outcome) == (expected, Outcome.FINISHED)
    if moved:  # what was durable before it failed stands in the next file too: nobody need believe the one that did
        with closing(sqlite3.connect(writer.run_dir / "run-2.sqlite")) as alone:
            assert alone.execute("SELECT min(seq), count(*) FROM samples").fetchone() == (1, 40)


def test_two_failed_files_and_a_third_that_overlap_are_one_run_with_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, failing = rows(80), {"run.sqlite-wal": 4, "run-2.sqlite-wal": 3}
    seen = dict.fromkeys(failing, 0)

    def verdict(call: Call) -> int:
        name = Path(call.path).name
        if call.what == "sync" and name in seen:
            seen[name] += 1
            return IOERR_FSYNC if seen[name] == failing[name] else OK
        return OK

    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path, replace(QUICK, keep_rows=10)) as writer:
        disk.verdict = verdict
        for at in range(0, 80, 5):
            writer.append(expected[at : at + 5])
            assert writer.flush(5)
        assert writer.moves == 2
    assert [path.name for path in segment_paths(writer.run_dir)] == ["run.sqlite", "run-2.sqlite", "run-3.sqlite"]
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == expected
        assert reader.rows(after_seq=3, limit=40) == expected[3:43]


def refuse_folding(name: str, code: int) -> Callable[[Call], int]:
    """Once, where a new file's write-ahead log is folded into it: SQLite says nothing of it when that is on closing."""
    refused = False

    def verdict(call: Call) -> int:
        nonlocal refused
        if refused or call.what != "write" or not call.path.endswith(name):
            return OK
        refused = Path(f"{call.path}-wal").exists() and Path(f"{call.path}-wal").stat().st_size > 0
        return code if refused else OK

    return verdict


@pytest.mark.parametrize("code", [IOERR_WRITE, FULL])
def test_a_run_whose_first_file_cannot_be_made_whole_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        disk.verdict = refuse_folding("run.new", code)
        with pytest.raises(StoreError, match="check the disk"), recording(tmp_path):
            pytest.fail("it has begun")
    assert [path.name for path in tmp_path.rglob("run*") if path.is_file()] == []


@pytest.mark.parametrize("code", [IOERR_WRITE, FULL])
def test_a_next_file_that_could_not_be_made_whole_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    expected = rows(60)
    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path) as writer:
        writer.append(expected[:20])
        assert writer.flush(5)
        first, folding = refuse("sync", IOERR_FSYNC, 1, 1), refuse_folding("run-2.new", code)
        refused: list[int] = []

        def verdict(call: Call) -> int:
            refused.append(first(call) or folding(call))
            return refused[-1]

        disk.verdict = verdict
        writer.append(expected[20:])
        assert writer.flush(5)
        assert [found for found in refused if found != OK] == [IOERR_FSYNC, code]
        writer.finish(Outcome.FINISHED, "")
        assert writer.close()
    with open_run(writer.run_dir) as reader:
        assert (reader.rows(), reader.state.outcome) == (expected, Outcome.FINISHED)


def test_every_kind_of_refusal_did_move_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path) as writer:
        disk.verdict = refuse("sync", IOERR_FSYNC, 3, 3)
        for row in rows(10):
            writer.append([row])
            assert writer.flush(5)
        assert writer.moves == 1
        assert len(segment_paths(writer.run_dir)) == 2


def read_only(call: Call) -> int:
    """As a file system that was remounted so after an error of the disk."""
    return CANTOPEN if call.what == "create" else READONLY


@pytest.mark.parametrize("healed_before_the_end", [True, False])
def test_while_the_disk_is_read_only_rows_wait_and_are_all_written_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healed_before_the_end: bool
) -> None:
    expected = rows(60)
    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path) as writer:
        writer.append(expected[:20])
        assert writer.flush(5)
        disk.verdict = read_only
        writer.append(expected[20:])
        wait_until(lambda: writer.failed is not None)
        assert (writer.durable_seq, writer.pending().rows) == (20, 40)
        if healed_before_the_end:
            disk.verdict = lambda call: OK
            assert writer.flush(5)
        writer.finish(Outcome.ABORTED, "no record, no current")
        healing = threading.Timer(0.3, setattr, (disk, "verdict", lambda call: OK))
        healing.start()
        assert writer.close()
        healing.join()
        assert writer.failed is None
    with open_run(writer.run_dir) as reader:
        assert (reader.rows(), reader.state.outcome) == (expected, Outcome.ABORTED)


def test_a_disk_that_stays_read_only_is_told_and_what_was_durable_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path, replace(QUICK, close_retry_s=0.1)) as writer:
        writer.append(rows(20))
        assert writer.flush(5)
        disk.verdict = read_only
        writer.finish(Outcome.FINISHED, "")
        assert not writer.close()
        assert "readonly" in str(writer.failed) or "unable to open" in str(writer.failed)
    with open_run(writer.run_dir) as reader:
        assert (reader.rows(), reader.state.state) == (rows(20), "running")


def test_a_sync_that_takes_seconds_delays_no_append_and_shows_as_lag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_sync, go_on = threading.Event(), threading.Event()

    def slow(call: Call) -> int:
        if call.what == "sync":
            in_sync.set()
            assert go_on.wait(20)
        return OK

    with recorded(tmp_path, monkeypatch) as disk, recording(tmp_path) as writer:
        disk.verdict = slow
        writer.append(rows(1))
        assert in_sync.wait(5)
        for row in rows(500)[1:]:
            writer.append([row])
        assert (writer.durable_seq, writer.pending().rows, writer.failed) == (0, 500, None)
        wait_until(lambda: writer.pending().lag_s > 0.05)
        go_on.set()
        assert writer.flush(10)
        assert (writer.durable_seq, writer.pending().rows) == (500, 0)


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if true():
            return
        pause.wait(0.005)
    pytest.fail("it never came")
