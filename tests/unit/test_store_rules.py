"""Rules of the store that no single run shows: who opens its files, and what a disk that lied leads to."""

from __future__ import annotations

import ast
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import cycler_ctl
from cycler_ctl.errors import StoreError
from cycler_ctl.publish.cursors import Cursors, LaneKey, Stream
from cycler_ctl.running.recovery import INTERRUPTED, left_open
from cycler_ctl.store.files import WriterOptions, options_for
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.published import OUTBOX
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.record import EventKind

SOURCES = Path(cycler_ctl.__file__).parent
OPENERS = {
    "store/segment.py",  # the writer's and the readers' connections
    "store/published.py",  # outbox.sqlite, read-only
    "store/pages.py",  # a damaged file that nobody writes any more, under the run's lock
    "store/salvage.py",
    "records/repair.py",
    "store/tables.py",  # in memory
    "store/export/bundle.py",  # SQLite's own copy of a run
    "commanding/ledger.py",  # commands.sqlite, read-only
    "publish/database.py",  # outbox.sqlite and commands.sqlite, each its owner's
    "verify/ledger.py",
}
"""Closing any descriptor of a file drops all of a process's locks on it (SQLite, "How to corrupt", 2.2)."""
INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 60.0)


def connecting(source: str) -> Iterator[str]:
    """Calls of ``sqlite3.connect`` in a program's text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "connect" and ast.unparse(node.value) == "sqlite3":
            yield ast.unparse(node)


def test_only_the_store_opens_databases() -> None:
    found = {
        file.relative_to(SOURCES).as_posix()
        for file in SOURCES.rglob("*.py")
        if any(connecting(file.read_text(encoding="utf-8")))
    }
    assert found <= OPENERS
    assert "store/segment.py" in found


def test_nobody_else_opens_a_file_by_the_name_of_a_run_s() -> None:
    """A hash, a copy or a plain ``open`` of a live file would be as bad."""
    named = {"run.sqlite", "run-", ".sqlite", "-wal", "-shm", "*.sqlite"}
    found = set[str]()
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in named:
                found.add(file.relative_to(SOURCES).as_posix())
    sizes_only = {"predict.py"}  # of a run that has ended
    assert found - sizes_only <= {"store/segment.py", "store/reader.py", "store/pages.py", "records/repair.py"}
    assert found


@pytest.mark.parametrize(("acknowledged", "lied"), [(0, False), (102, False), (150, True)])
def test_rows_that_a_broker_has_and_the_file_has_not_begin_a_new_epoch_and_are_told(
    tmp_path: Path, acknowledged: int, lied: bool
) -> None:
    options = WriterOptions(commit_every_s=0.0, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(tmp_path, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    writer.append(list(cycling_rows())[:102])
    assert writer.close()
    cursors = Cursors(tmp_path / OUTBOX)
    cursors.advance(LaneKey(INFO.run, INFO.epoch, Stream.SAMPLES), acknowledged)
    cursors.close()
    (found,) = left_open(tmp_path, on_durable=lambda _: None, utc=lambda: START_UTC_S + 100.0)
    assert found.reason == INTERRUPTED
    with open_run(writer.run_dir) as reader:
        told = [str(event.data["text"]) for event in reader.events() if event.kind is EventKind.WARNING]
        assert (reader.last_seq, reader.state.state) == (102, "interrupted")
        assert [epoch.epoch == INFO.epoch for epoch in reader.epochs] == ([True, False] if lied else [True])
    assert told == (
        ["a broker has rows up to 150, the record ends at 102: the disk lost what it said it had kept"] if lied else []
    )


@pytest.mark.parametrize("outbox", [None, b"no database at all, but as long as one would be" * 100, b""])
def test_an_outbox_that_says_nothing_hinders_no_recovery(tmp_path: Path, outbox: bytes | None) -> None:
    options = WriterOptions(commit_every_s=0.0, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(tmp_path, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    assert writer.close()
    if outbox is not None:
        (tmp_path / OUTBOX).write_bytes(outbox)
    (found,) = left_open(tmp_path, on_durable=lambda _: None, utc=lambda: START_UTC_S)
    assert found.reason == INTERRUPTED


def test_a_damaged_record_is_told_with_the_command_that_looks_at_it(tmp_path: Path) -> None:
    options = WriterOptions(commit_every_s=0.0, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(tmp_path, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=options)
    writer.append(list(cycling_rows())[:102])
    assert writer.close()
    with closing(sqlite3.connect(writer.run_dir / "run.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'contexts'").fetchone()
    with (writer.run_dir / "run.sqlite").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(secrets.token_bytes(4096))
    (found,) = left_open(tmp_path, on_durable=lambda _: None, utc=lambda: START_UTC_S)
    assert f"'cycler-ctl repair {INFO.run}'" in found.reason


def test_a_run_is_refused_on_a_network_file_system_and_nothing_is_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cycler_ctl.store.place.network_file_system", lambda _: "nfs4")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*set data_dir to a folder on a local disk"):
        create_run(tmp_path, INFO, on_durable=lambda _: None)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(("channels", "every_s"), [(1, 0.25), (16, 0.25), (32, 0.5), (64, 1.0), (1000, 1.0)])
def test_up_to_64_runs_of_a_station_commit_64_times_a_second_together_and_each_commits_every_second(
    channels: int, every_s: float
) -> None:
    assert options_for(channels).commit_every_s == every_s
