"""A file whose sync failed is never written again, also not by whoever opens the run anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_disk import FULL, IOERR_FSYNC, IOERR_WRITE, OK, Call, Disk, recorded

from cycler_ctl.running.recovery import acknowledge_run
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_paths
from cycler_ctl.store.writer import create_run, reopen_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import Outcome

QUICK = WriterOptions(
    commit_every_s=0.0, retry_every_s=0.01, close_retry_s=0.1, minimum_free_bytes=0, reserve_bytes=1 << 18
)
INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)
ROWS = list(cycling_rows(Shape(points=3)))[:20]
CHANGES = frozenset({"write", "truncate", "sync", "unlink", "create"})


def run_whose_disk_failed(data_dir: Path, disk: Disk, code: int) -> Path:
    """Ten rows are durable; the others were on no disk when the service went down."""
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: 1.8e9, options=QUICK)
    writer.append(ROWS[:10], checkpoint=lambda: "{}")
    assert writer.flush(5)
    disk.verdict = lambda call: code if call.what in {"sync", "write"} else OK
    writer.append(ROWS[10:])
    assert not writer.close(5)
    disk.verdict = lambda _: OK
    return writer.run_dir


def changes_of_the_first(disk: Disk, run_dir: Path, since: int) -> list[Call]:
    names = {str(run_dir / "run.sqlite"), str(run_dir / "run.sqlite-wal")}
    return [call for call in disk.calls[since:] if call.path in names and call.what in CHANGES]


@pytest.mark.parametrize("code", [IOERR_FSYNC, IOERR_WRITE, FULL])
def test_who_acknowledges_a_run_writes_nothing_to_its_file_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        run_dir = run_whose_disk_failed(tmp_path, disk, code)
        before = len(disk.calls)
        acknowledge_run(run_dir, "K. Abe", on_durable=lambda _: None, utc=lambda: 1.8e9 + 60.0)
        assert changes_of_the_first(disk, run_dir, before) == []
    assert [path.name for path in segment_paths(run_dir)] == ["run.sqlite", "run-2.sqlite"]
    with open_run(run_dir) as reader:
        assert reader.rows()[:10] == ROWS[:10]
        assert (reader.state.state, reader.state.outcome) == ("ended", Outcome.STOPPED)
        assert "acknowledge" in [event.data.get("action") for event in reader.events()]


@pytest.mark.parametrize("epoch", [None, 7])
def test_a_run_that_goes_on_does_so_beside_its_file_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int | None
) -> None:
    with recorded(tmp_path, monkeypatch) as disk:
        run_dir = run_whose_disk_failed(tmp_path, disk, IOERR_FSYNC)
        before = len(disk.calls)
        writer = reopen_run(run_dir, on_durable=lambda _: None, utc=lambda: 1.8e9, options=QUICK, epoch=epoch)
        durable = writer.durable_seq
        writer.append(ROWS[durable:])
        writer.finish(Outcome.FINISHED, "")
        assert writer.close()
        assert changes_of_the_first(disk, run_dir, before) == []
    with open_run(run_dir) as reader:
        assert (reader.rows(), reader.state.outcome) == (ROWS, Outcome.FINISHED)


def test_a_run_whose_file_never_failed_goes_on_in_it(tmp_path: Path) -> None:
    writer = create_run(tmp_path, INFO, on_durable=lambda _: None, utc=lambda: 1.8e9, options=QUICK)
    writer.append(ROWS[:10])
    assert writer.close()
    acknowledge_run(writer.run_dir, "K. Abe", on_durable=lambda _: None, utc=lambda: 1.8e9 + 60.0)
    assert [path.name for path in segment_paths(writer.run_dir)] == ["run.sqlite"]
