"""A disk that the kernel says is full, and files that it does not let grow: the end of the run is written all the same.

Run as a program, this file writes into a small tmpfs of its own, or under RLIMIT_FSIZE.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_paths
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import EventKind, Outcome, Row

QUICK = WriterOptions(
    commit_every_s=0.0, retry_every_s=0.01, close_retry_s=1.0, minimum_free_bytes=0, reserve_bytes=1 << 18
)
INFO = RunInfo("20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)


def rows(count: int) -> list[Row]:
    return list(cycling_rows(Shape(points=count // 7 + 1)))[:count]


def fill_the_disk(data_dir: Path, reserve_bytes: int) -> None:
    """Run as a program: write rows until no more fit, end the run, say what became of it."""
    options = replace(QUICK, reserve_bytes=reserve_bytes, close_retry_s=0.3)
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: 1.8e9, options=options)
    expected = rows(100_000)
    at = 0
    while writer.failed is None and at < len(expected):
        writer.append(expected[at : at + 100])
        at += 100
        writer.flush(0.2)
    acked, failed = writer.durable_seq, str(writer.failed)
    writer.finish(Outcome.ABORTED, "no record, no current")
    closed = writer.close()
    with open_run(writer.run_dir) as reader:
        found = reader.rows()
        told = [str(event.data["text"]) for event in reader.events() if event.kind is EventKind.WARNING]
        result = {
            "appended": at,
            "acked": acked,
            "failed": failed,
            "closed": closed,
            "stored": len(found),
            "prefix": found == expected[: len(found)],
            "state": reader.state.state,
            "reason": reader.state.reason,
            "segments": len(segment_paths(writer.run_dir)),
            "told": told,
        }
    sys.stdout.write(json.dumps(result))


def in_a_small_tmpfs(folder: Path, reserve_bytes: int) -> dict[str, object]:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("a small disk is made with Linux's unshare and tmpfs")
    script = f'mount -t tmpfs -o size=1500k tmpfs "{folder}" && exec "$@"'
    command = [sys.executable, __file__, "full", str(folder), str(reserve_bytes)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=60, check=False
    )
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no mounting here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_on_a_full_disk_the_end_of_the_run_is_written_into_the_reserve(tmp_path: Path) -> None:
    found = in_a_small_tmpfs(tmp_path, 600_000)
    assert "full" in str(found["failed"])
    assert (found["closed"], found["state"], found["reason"]) == (True, "ended", "no record, no current")
    assert (found["stored"], found["prefix"]) == (found["appended"], True)


def test_without_a_reserve_the_same_disk_takes_no_end_but_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    found = in_a_small_tmpfs(tmp_path, 0)
    assert (found["closed"], found["state"], found["prefix"]) == (False, "running", True)
    assert int(str(found["stored"])) >= int(str(found["acked"])) > 1000


def limited(data_dir: Path, file_bytes: int) -> None:
    """Run as a program: no file may grow past ``file_bytes``."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    options = replace(QUICK, reserve_bytes=0, keep_rows=200)
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: 1.8e9, options=options)
    expected = rows(20_000)
    for at in range(0, len(expected), 100):
        writer.append(expected[at : at + 100])
        if not writer.flush(5):
            break
    writer.finish(Outcome.FINISHED, "")
    closed = writer.close()
    with open_run(writer.run_dir) as reader:
        result = [closed, reader.rows() == expected, len(segment_paths(writer.run_dir))]
    sys.stdout.write(json.dumps(result))


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX's")
def test_where_files_may_not_grow_the_record_goes_on_from_file_to_file(tmp_path: Path) -> None:
    command = [sys.executable, __file__, "limit", str(tmp_path), "400000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    closed, whole, segments = json.loads(done.stdout)
    assert (closed, whole) == (True, True)
    assert segments > 3


if __name__ == "__main__":
    {"full": fill_the_disk, "limit": limited}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
