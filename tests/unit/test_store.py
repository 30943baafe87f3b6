"""The run file: what is said to be durable is, in order, once, and readable while it grows."""

from __future__ import annotations

import gc
import hashlib
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import StoreError
from cycler_ctl.running.recording import unrecorded
from cycler_ctl.store.files import WriterOptions, options_for, to_next_commit_s
from cycler_ctl.store.info import RunInfo, new_run_id
from cycler_ctl.store.kept import Kept
from cycler_ctl.store.packed import packed, seq_of
from cycler_ctl.store.place import check_place, network_file_system, network_mount, syncing_client
from cycler_ctl.store.reader import find_run, list_runs, open_run, unfinished_runs
from cycler_ctl.store.segment import Batch, open_for_writing, segment_paths
from cycler_ctl.store.writer import RunWriter, create_run, reopen_run
from protocols.model import Verb
from protocols.record import Counters, CycleSummary, EventKind, EventRecord, Mark, Mode, Outcome, Row, StepSummary

QUICK = WriterOptions(commit_every_s=0.01, retry_every_s=0.02, minimum_free_bytes=0)
INFO = RunInfo(
    run="20261122-101500-a1-7f3k",
    epoch=271_828_182,
    channel="a1",
    station="lab-3",
    site="kasuga",
    started_utc_s=1_795_342_500.0,
    protocol_name="Fig. S3 (a) – MgH2:AB",
    protocol_text="protocol: 1\nname: å\n",
    protocol_sha256="ab" * 32,
    cell={"name": "a", "active_mass_g": 1.4e-3, "composition": [["MgH2", 0.7], ["AB", 0.3]]},
    plan={"steps": []},
    settings={"sample_every_s": 5.0},
    instrument={"serial": "1234567"},
    versions={"cycler-ctl": "0.1.0"},
    discharge_means=Verb.LITHIATE,
    sample_every_s=5.0,
)


def row(seq: int, **changes: Any) -> Row:
    counters = Counters(0.0, seq * 1e-6 / 3, 0.0, seq * 1e-7 / 3)
    sample = Row(
        seq, 5.0 * seq, 1.7e9 + 5.0 * seq, 0.5 - seq / 3e4, -3.927e-4, None if seq % 2 else 120.1, 1, 2, "2.1",
        Mode.CURRENT, -1, 5.0 * seq, Mark.NONE, counters, counters, counters,
    )  # fmt: skip
    return replace(sample, **changes)


def rows(first: int, last: int) -> list[Row]:
    return [row(seq) for seq in range(first, last + 1)]


def event(text: str = "hello") -> EventRecord:
    return EventRecord(1.0, 1.7e9, EventKind.NOTE, {"text": text})


STEP = StepSummary(1, "2.1", "lithiate", 1, None, 0.0, 9.0, "voltage <= 0.2 V", ("20 h",), 1e-3, 5e-4, 0.5, 0.19, 8.5)
CYCLE = CycleSummary(1, 2e-3, 1.5e-3, 1e-3, 9e-4, 0.0, 99.0)


@contextmanager
def recording(
    data_dir: Path,
    options: WriterOptions = QUICK,
    on_durable: Callable[[str], None] = lambda run: None,
    utc: Callable[[], float] = lambda: 1.7e9,
) -> Generator[RunWriter]:
    writer = create_run(data_dir, INFO, on_durable=on_durable, utc=utc, options=options)
    try:
        yield writer
    finally:
        writer.close()


def test_what_was_appended_is_read_back_exactly(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 3), [event()], [STEP], [CYCLE], lambda: '{"at": 3}')
        writer.append(rows(4, 5))
        writer.finish(Outcome.FINISHED, "all steps done")
        assert writer.close()
        assert writer.failed is None
    with open_run(writer.run_dir) as reader:
        assert reader.info == INFO
        assert reader.rows() == rows(1, 5)
        assert (reader.events(), reader.steps(), reader.cycles()) == ([event()], [STEP], [CYCLE])
        assert reader.checkpoint() == '{"at": 3}'
        assert (reader.state.state, reader.state.outcome) == ("ended", Outcome.FINISHED)
        assert reader.state.ended_utc_s == 1.7e9


def test_an_ended_run_is_one_plain_file(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 3))
        writer.finish(Outcome.FINISHED, "")
    assert sorted(path.name for path in writer.run_dir.iterdir()) in (["run.sqlite"], ["run.sqlite", "writer.lock"])
    (writer.run_dir / "run.sqlite").rename(tmp_path / "run.sqlite")
    with open_run(tmp_path / "run.sqlite") as reader:
        assert reader.last_seq == 3


def test_a_reader_at_the_end_of_a_run_leaves_no_rows_outside_the_file(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 5))
        assert writer.flush(5)
        slow = sqlite3.connect(writer.run_dir / "run.sqlite", isolation_level=None, check_same_thread=False)
        slow.execute("BEGIN")
        assert slow.execute("SELECT count(*) FROM samples").fetchone() == (5,)
        writer.append(rows(6, 9))
        let_go = threading.Timer(0.3, slow.execute, ("COMMIT",))
        let_go.start()
        writer.finish(Outcome.FINISHED, "done")
        assert writer.close()
        alone = tmp_path / "copied.sqlite"
        alone.write_bytes((writer.run_dir / "run.sqlite").read_bytes())
        let_go.join()
        slow.close()
    with closing(sqlite3.connect(alone)) as copy:
        assert copy.execute("SELECT count(*) FROM samples").fetchone() == (9,)


def test_a_reader_follows_by_cursor_while_the_run_goes_on(tmp_path: Path) -> None:
    with recording(tmp_path) as writer, open_run(writer.run_dir) as reader:
        assert (reader.rows(), reader.last_seq, reader.checkpoint()) == ([], 0, None)
        cursor = 0
        for last in (10, 20, 30):
            writer.append(rows(last - 9, last), [event()])
            assert writer.flush(5)
            assert reader.rows(cursor, limit=4) == rows(cursor + 1, cursor + 4)
            assert len(reader.rows(cursor)) == 10
            cursor = reader.last_seq
        assert cursor == 30
        assert len(reader.events(after=1)) == 2
        assert reader.state.state == "running"


def test_a_reader_that_meets_what_it_cannot_read_holds_nothing(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 3), [event("one"), event("two")])
        assert writer.flush(5)
        with closing(sqlite3.connect(writer.run_dir / "run.sqlite", isolation_level=None)) as other:
            other.execute("UPDATE events SET data = CAST(x'22ff22' AS TEXT) WHERE id = 1")
            with open_run(writer.run_dir) as reader:
                with pytest.raises(StoreError, match="Could not decode"):
                    reader.events()
                writer.append(rows(4, 5))
                assert writer.flush(5)
                assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
                assert reader.last_seq == 5


def test_columns_are_arrays_with_nan_where_nothing_was_measured(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 4))
        assert writer.flush(5)
        with open_run(writer.run_dir) as reader:
            found = reader.columns(["voltage_V", "temperature_degC", "run_reduction_Ah"], after=1)
            assert found["voltage_V"].tolist() == [sample.voltage_V for sample in rows(2, 4)]
            assert [str(value) for value in found["temperature_degC"]] == ["120.1", "nan", "120.1"]
            with pytest.raises(StoreError, match="no column 'voltage'"):
                reader.columns(["voltage"])


def test_durable_seq_moves_only_after_the_commit_has_returned(tmp_path: Path) -> None:
    may_commit, in_commit = threading.Event(), threading.Event()

    class Held(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return HeldCursor(self)

    class HeldCursor(sqlite3.Cursor):
        def execute(self, sql: str, /, *values: Any) -> Self:
            if sql == "COMMIT":
                in_commit.set()
                assert may_commit.wait(10)
            return super().execute(sql, *values)

    told: list[int] = []
    options = replace(QUICK, connect=lambda path: open_with(path, Held))
    with recording(tmp_path, options, lambda run: told.append(writer.durable_seq)) as writer:
        writer.append(rows(1, 7))
        assert in_commit.wait(10)
        assert (writer.durable_seq, told, writer.pending().rows) == (0, [], 7)
        writer.append(rows(8, 9))
        assert writer.pending().rows == 9
        assert writer.pending().lag_s > 0
        may_commit.set()
        assert writer.flush(5)
        assert (writer.durable_seq, told[0], told[-1]) == (9, 7, 9)
        assert writer.pending().rows == 0


def open_with(path: Path, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=factory)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def test_a_lone_row_is_durable_within_a_second_and_a_full_group_at_once(tmp_path: Path) -> None:
    durable = threading.Event()
    real = SystemClock()
    options = WriterOptions(minimum_free_bytes=0)
    with recording(tmp_path, options, lambda run: durable.set()) as writer:
        began_s = real.now()
        writer.append(rows(1, 1))
        assert durable.wait(10)
        assert 0.2 < real.now() - began_s < 1.0
    slow = replace(options, commit_every_s=3600.0)
    durable.clear()
    with recording(tmp_path / "second", slow, lambda run: durable.set()) as writer:
        writer.append(rows(1, 256))
        assert durable.wait(10)


def test_what_must_be_found_so_whatever_dies_now_is_durable_at_once(tmp_path: Path) -> None:
    durable = threading.Event()
    slow = replace(QUICK, commit_every_s=3600.0)
    with recording(tmp_path, slow, lambda run: durable.set()) as writer:
        writer.hurry()  # with nothing to write: the next row does not go alone because of that
        writer.append(rows(1, 1))
        assert not durable.wait(0.3)
        writer.hurry()
        assert durable.wait(10)
        assert writer.durable_seq == 1


def test_the_newest_checkpoint_is_encoded_once_per_commit_and_in_the_writers_thread(tmp_path: Path) -> None:
    encoded: list[tuple[int, str]] = []

    def state(number: int) -> Callable[[], str]:
        def encode() -> str:
            encoded.append((number, threading.current_thread().name))
            return f'{{"number": {number}}}'

        return encode

    slow = replace(QUICK, commit_every_s=3600.0)
    with recording(tmp_path, slow) as writer:
        for number in range(100):
            writer.append(checkpoint=state(number))
        assert writer.flush(5)
        with open_run(writer.run_dir) as reader:
            assert reader.checkpoint() == '{"number": 99}'
    assert len(encoded) <= 2  # the first append may have been taken alone
    assert {name for _, name in encoded} == {f"store {INFO.run}"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 9.91e37])
def test_what_is_not_a_measurement_never_becomes_a_row(tmp_path: Path, bad: float) -> None:
    with recording(tmp_path) as writer:
        writer.append([row(1)])
        assert writer.flush(5)
        writer.append([row(2, voltage_V=bad)])
        assert not writer.close()
        assert writer.failed is not None
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == [row(1)]


def test_a_gap_in_the_numbers_is_refused(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append([row(1), row(3)])
        assert not writer.close()
        assert "row 3 was appended where row 2 must follow" in str(writer.failed)


def test_an_event_with_a_nan_is_kept_with_null_in_its_place(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(events=[EventRecord(0.0, 0.0, EventKind.WARNING, {"x": [float("nan"), 1.0]})])
        assert writer.flush(5)
        with open_run(writer.run_dir) as reader:
            assert reader.events()[0].data == {"x": [None, 1.0]}


class FailingAt(sqlite3.Connection):
    """The disk says no at the COMMIT number ``fails_at``, and at every one after it."""

    fails_at = 3
    commits = 0

    def cursor(self, factory: Any = None) -> Any:
        return FailingCursor(self)


class FailingCursor(sqlite3.Cursor):
    def __init__(self, at: FailingAt) -> None:
        super().__init__(at)
        self._at = at

    def execute(self, sql: str, /, *values: Any) -> Self:
        if sql == "COMMIT":
            self._at.commits += 1
            if self._at.commits >= self._at.fails_at:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


def digests(path: Path) -> list[str]:
    files = [path, path.with_name(path.name + "-wal")]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_after_an_error_the_file_is_never_written_again_and_nothing_is_lost(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def connect(path: Path) -> sqlite3.Connection:
        return open_with(path, FailingAt) if path.name == "run.sqlite" else open_for_writing(path)

    with recording(tmp_path, replace(QUICK, connect=connect)) as writer, open_run(writer.run_dir) as early:
        for last in (10, 20, 30, 40):
            writer.append(rows(last - 9, last), [event(str(last))], checkpoint=lambda: "{}")
            assert writer.flush(5)
            seen.append(digests(writer.run_dir / "run.sqlite"))
        assert writer.failed is None
        assert writer.moves == 1
        assert early.rows() == rows(1, 40)
        writer.finish(Outcome.FINISHED, "")
        assert writer.close()
        assert early.state.outcome == Outcome.FINISHED
    assert [path.name for path in segment_paths(writer.run_dir)] == ["run.sqlite", "run-2.sqlite"]
    assert digests(writer.run_dir / "run.sqlite") == seen[1] == seen[3]
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows(1, 40)
        texts = [found.data["text"] for found in reader.events()]
        assert texts[:3] == ["10", "20", "30"]
        assert any("goes on in a new file" in str(text) and "disk I/O error" in str(text) for text in texts)


@pytest.mark.parametrize("number", [np.float64, type("Volts", (float,), {})])
def test_rows_of_a_driver_whose_numbers_are_a_kind_of_float_go_on_in_a_new_file_too(
    tmp_path: Path, number: type[float]
) -> None:
    def connect(path: Path) -> sqlite3.Connection:
        return open_with(path, FailingAt) if path.name == "run.sqlite" else open_for_writing(path)

    read = [row(seq, voltage_V=number(3.7)) for seq in range(1, 41)]
    with recording(tmp_path, replace(QUICK, connect=connect, close_retry_s=0.1)) as writer:
        for last in (10, 20, 30, 40):
            writer.append(read[last - 10 : last])
            assert writer.flush(5), writer.failed
        assert writer.moves == 1
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == read


def test_a_full_disk_keeps_the_rows_in_memory_and_says_so_until_there_is_room(tmp_path: Path) -> None:

    def connect(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        connection.execute("PRAGMA max_page_count = 40" if path.name == "run.sqlite" else "PRAGMA cache_size = 100")
        return connection

    told = threading.Event()
    with recording(tmp_path, replace(QUICK, connect=connect), lambda run: told.set()) as writer:
        writer.append(rows(1, 10))
        assert writer.flush(5)
        (writer.run_dir / "run-2.new").mkdir()  # nor can a new segment be made
        writer.append(rows(11, 5000))
        tick = threading.Event()
        while writer.failed is None:
            tick.wait(0.005)
        assert writer.durable_seq == 10
        assert writer.pending().rows == 4990
        writer.append(rows(5001, 5002))
        told.clear()
        (writer.run_dir / "run-2.new").rmdir()
        assert writer.flush(10)
        assert (str(writer.failed), writer.durable_seq) == ("None", 5002)
        assert told.wait(5), "whoever follows the record was not told"
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows(1, 5002)


@pytest.mark.parametrize(
    "changes",
    [
        {"voltage_V": None},
        {"current_A": "0.1"},
        {"seq": 2**80},
        {"cycle": 10**5000},
        {"mode": "cx"},
        {"mark": None},
        {"step_id": None},
        {"run_total": None},
    ],
)
def test_after_a_row_that_cannot_be_stored_no_current_may_flow_and_nobody_is_told_that_all_is_kept(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    told = threading.Event()
    with recording(tmp_path, on_durable=lambda run: told.set()) as writer:
        writer.append(rows(1, 2))
        assert unrecorded(writer) is None
        writer.append([row(3), row(**{"seq": 4} | changes)], checkpoint=partial(str, 4))
        why = str(unrecorded(writer))
        assert why.startswith("no record, no current: a row that cannot be stored: ")
        assert why.endswith("stop this run and start another")
        writer.append([row(5)])
        assert not writer.flush(5)
        assert told.wait(5)
        assert "rows after 2 of" in str(writer.failed)
        assert not writer.close()
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows(1, 2)
        assert reader.checkpoint() == "4"  # ahead of its rows: such a run never goes on
        (gap,) = reader.events()
        assert gap.kind is EventKind.GAP
        assert str(gap.data["text"]).endswith("lost from row 3 on")
    assert [path.name for path in segment_paths(writer.run_dir)] == ["run.sqlite"]  # no file is at fault


def test_when_memory_is_full_the_stored_rows_stay_a_prefix_and_the_loss_is_told(tmp_path: Path) -> None:
    may_commit = threading.Event()

    def connect(path: Path) -> sqlite3.Connection:
        assert may_commit.wait(10)
        return open_for_writing(path)

    with recording(tmp_path, replace(QUICK, ring_rows=300, connect=connect)) as writer:
        for seq in range(1, 401):
            writer.append([row(seq)])
        may_commit.set()
        assert not writer.flush(5)
        writer.append([row(401)])
        assert not writer.flush(5)
        assert "rows after 300" in str(writer.failed)
        assert "memory for rows" in str(unrecorded(writer))  # nor when the disk is there again
        with open_run(writer.run_dir) as reader:
            assert reader.rows() == rows(1, 300)
            assert [found.kind for found in reader.events()] == [EventKind.GAP]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_died_of_a_mistake_says_that_nothing_is_stored_any_more(tmp_path: Path) -> None:
    def mistaken(run: str) -> None:
        raise RuntimeError(run)

    with recording(tmp_path, on_durable=mistaken) as writer:
        writer.append(rows(1, 1))
        assert writer.flush(5)
        tick = threading.Event()
        while writer.failed is None:
            tick.wait(0.005)
        writer.append(rows(2, 2))
        assert not writer.close()
        assert "ended before its run" in str(writer.failed)


def test_an_interrupted_run_goes_on_after_its_last_row(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 5), [event("one")], checkpoint=lambda: '{"at": 5}')
    assert [found.run for found in unfinished_runs(tmp_path)] == [INFO.run]
    again = reopen_run(writer.run_dir, on_durable=lambda run: None, options=QUICK)
    try:
        assert again.durable_seq == 5
        with pytest.raises(StoreError, match="another process is writing"):
            reopen_run(writer.run_dir, on_durable=lambda run: None)
        again.interrupt("power cut")
        again.append(events=[event("two")])
        assert again.flush(5)
        assert unfinished_runs(tmp_path) == []
        again.append(rows(6, 8))
        again.finish(Outcome.STOPPED, "by hand")
        assert again.close()
    finally:
        again.close()
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows(1, 8)
        assert [found.data["text"] for found in reader.events()] == ["one", "power cut", "two"]
        assert (reader.state.outcome, reader.checkpoint()) == (Outcome.STOPPED, '{"at": 5}')


def test_an_interruption_is_told_with_when_it_began_and_how_long_nobody_watched(tmp_path: Path) -> None:
    last = row(5)
    with recording(tmp_path, utc=lambda: last.utc_s + 12.0) as writer:
        writer.append(rows(1, 5), checkpoint=lambda: "{}")
    next_day_s = last.utc_s + 86_412.0
    again = reopen_run(writer.run_dir, on_durable=lambda run: None, utc=lambda: next_day_s, options=QUICK)
    again.interrupt("power cut")
    assert again.close()
    assert sorted(path.suffix for path in writer.run_dir.glob("run*")) == [".sqlite"]
    with open_run(writer.run_dir) as reader:
        (gap,) = reader.events()
        assert (gap.kind, gap.time_s, gap.utc_s) == (EventKind.GAP, last.time_s + 12.0, next_day_s)
        assert gap.data == {"source": "store", "text": "power cut", "gap_s": 86_400.0}
        assert (reader.state.state, reader.state.ended_utc_s) == ("interrupted", last.utc_s + 12.0)


def test_a_run_goes_on_in_a_new_epoch_and_a_new_file_with_its_numbers_and_checkpoint(tmp_path: Path) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 5), [event("one")], checkpoint=lambda: '{"at": 5}')
    again = reopen_run(writer.run_dir, on_durable=lambda run: None, options=QUICK)
    again.interrupt("power cut")
    assert again.close()
    assert again.info.epoch == INFO.epoch
    third = reopen_run(writer.run_dir, on_durable=lambda run: None, options=QUICK, epoch=99)
    with open_run(writer.run_dir) as reader:
        assert (reader.state.state, reader.checkpoint()) == ("running", '{"at": 5}')
    third.append(rows(6, 7), [event("two")])
    third.finish(Outcome.STOPPED, "by hand")
    assert third.close()
    fourth = reopen_run(writer.run_dir, on_durable=lambda run: None, options=QUICK)
    assert (fourth.info.epoch, fourth.durable_seq) == (99, 7)
    assert fourth.close()
    with open_run(writer.run_dir) as reader:
        assert reader.rows() == rows(1, 7)
        assert [found.data["text"] for found in reader.events()] == ["one", "power cut", "two"]
        first = {"samples": 6, "events": 3, "steps": 1, "cycles": 1}
        assert [(each.epoch, each.first["samples"]) for each in reader.epochs] == [(INFO.epoch, 1), (99, 6)]
        assert reader.epochs[1].first == first
    with closing(sqlite3.connect(writer.run_dir / "run.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM samples").fetchone() == (5,)


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    with recording(tmp_path):
        pass
    with pytest.raises(StoreError, match="exists already"), recording(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="rights of folders are POSIX's here")
def test_where_nothing_can_be_written_the_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreError, match="check the rights of data_dir"), recording(blocked):
        pass
    with pytest.raises(StoreError, match="GB free"), recording(tmp_path, replace(QUICK, minimum_free_bytes=10**18)):
        pass
    assert list_runs(tmp_path) == []


def test_a_network_file_system_is_recognised_and_a_local_one_is_not() -> None:
    mounts = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:50 / /mnt/my\\040data rw shared:7 - nfs4 server:/x rw\n"
        "41 40 8:2 / /mnt/my\\040data/local rw shared:8 - xfs /dev/sdb1 rw\n"
        "42 22 0:51 / /home/sync rw - fuse.sshfs me@there:/ rw\n"
    )
    assert network_mount(Path("/data"), mounts) is None
    assert network_mount(Path("/mnt/my data/runs"), mounts) == "nfs4"
    assert network_mount(Path("/mnt/my data/local/runs"), mounts) is None
    assert network_mount(Path("/mnt/my"), mounts) is None
    assert network_mount(Path("/home/sync"), mounts) == "fuse.sshfs"


@pytest.mark.parametrize(
    ("folder", "client"),
    [
        ("/home/ann/Dropbox (Lab)/data", "Dropbox"),
        ("/home/ann/onedrive - University/cycler", "OneDrive"),
        ("/srv/cycler/data", None),
        ("/home/ann/my dropbox/data", None),
    ],
)
def test_a_folder_that_a_cloud_client_copies_is_recognised(folder: str, client: str | None) -> None:
    assert syncing_client(Path(folder)) == client


def test_the_temporary_folder_counts_as_local(tmp_path: Path) -> None:
    assert network_file_system(tmp_path) is None
    check_place(tmp_path, 0)


def test_runs_are_listed_newest_first_and_found_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    names = ("20260101-000000-a1-aaaa", "20260102-000000-a1-bbbb", "20260102-000000-b2-cccc")
    for name in names:
        info = replace(INFO, run=name)
        create_run(tmp_path, info, on_durable=lambda run: None, options=QUICK).close()
    (tmp_path / "runs" / "20260103-000000-a1-dddd").mkdir()
    (tmp_path / "runs" / names[0] / "run.sqlite").write_bytes(b"not a database" * 100)
    listed = list_runs(tmp_path)
    assert [found.run for found in listed] == sorted(names, reverse=True)
    assert [found.trouble is None for found in listed] == [True, True, False]
    assert find_run(tmp_path, "20260102-000000-b").name == names[2]
    with pytest.raises(StoreError, match="beginning of 2 runs"):
        find_run(tmp_path, "20260102")
    with pytest.raises(StoreError, match="no run 'x'"):
        find_run(tmp_path, "x")


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE run SET cell = '{'",
        "UPDATE run SET outcome = 'exploded'",
        "UPDATE run SET started_utc_s = 'yesterday'",
        "ALTER TABLE run RENAME COLUMN first_seq TO begins",
        "DELETE FROM run",
    ],
)
def test_a_file_that_cannot_be_understood_is_listed_as_such_and_hides_no_other_run(tmp_path: Path, harm: str) -> None:
    with recording(tmp_path) as writer:
        writer.append(rows(1, 3))
    create_run(tmp_path, replace(INFO, run=f"{INFO.run[:-1]}z"), on_durable=lambda run: None, options=QUICK).close()
    with closing(sqlite3.connect(writer.run_dir / "run.sqlite", isolation_level=None)) as broken:
        broken.execute("PRAGMA ignore_check_constraints = ON")
        broken.execute(harm)
    assert [found.trouble is None for found in list_runs(tmp_path)] == [True, False]


def test_a_run_id_is_a_safe_folder_and_topic_name() -> None:
    assert new_run_id("a1", 1_795_342_500.9, "7f3k") == "20261122-101500-a1-7f3k"
    for channel, random4 in (("A1", "7f3k"), ("../a", "7f3k"), ("a1", "7F3K"), ("a1", "7f3"), ("a#", "7f3k")):
        with pytest.raises(StoreError):
            new_run_id(channel, 0.0, random4)


@pytest.mark.parametrize("written", [True, False])
def test_thousands_of_rows_that_wait_or_are_kept_are_nothing_to_the_garbage_collector(
    tmp_path: Path, written: bool
) -> None:
    """A look at all of them held up every channel for 0.3 s."""
    info = replace(INFO, sample_every_s=0.1)
    options = QUICK if written else replace(QUICK, commit_every_s=60.0, commit_rows=10_000)
    with closing(create_run(tmp_path, info, on_durable=lambda run: None, options=options)) as writer:
        writer.append([row(1)])
        assert writer.flush(10.0)
        gc.collect()
        before = len(gc.get_objects())
        for seq in range(2, 2002):
            writer.append([row(seq)], checkpoint=partial(str, seq))
        assert not written or writer.flush(10.0)
        gc.collect()
        more = len(gc.get_objects()) - before
    assert more < 1000  # unpacked each row is four


def test_the_runs_of_a_large_station_commit_at_moments_of_their_own_spread_over_the_second_and_keep_them() -> None:
    every_s = options_for(128).commit_every_s
    names = [f"20261122-101500-c{number}-7f3k" for number in range(128)]
    waits_s = [to_next_commit_s(name, 1000.0, every_s) for name in names]
    assert all(0.0 < wait_s <= every_s for wait_s in waits_s)
    tenths = Counter(int(10 * wait_s / every_s) for wait_s in waits_s)
    assert max(tenths.values()) < 30  # one tenth of the second; counted from the commit before they came to be in three
    for name, wait_s in zip(names, waits_s, strict=True):
        took_s = 0.3  # behind the others: what comes after it is not put off
        assert to_next_commit_s(name, 1000.0 + wait_s + took_s, every_s) == pytest.approx(every_s - took_s, abs=1e-6)


def test_up_to_sixteen_channels_a_row_waits_a_quarter_of_a_second() -> None:
    assert {to_next_commit_s("a", now_s, options_for(16).commit_every_s) for now_s in (0.0, 0.1, 7.3)} == {0.25}


def test_of_what_is_kept_the_newest_stays() -> None:
    kept = Kept(3)
    for seq in range(1, 6):
        kept.add(Batch(list(map(packed, rows(seq, seq))), [(seq, event("told"))], checkpoint=partial(str, seq)))
    batch = kept.batch()
    assert [seq_of(each) for each in batch.rows] == [3, 4, 5]
    assert [number for number, _ in batch.events] == [1, 2, 3, 4, 5]
    assert batch.checkpoint is not None
    assert batch.checkpoint() == "5"
