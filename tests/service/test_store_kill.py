"""What the store has acknowledged survives kill -9 at any moment; run as a program, this file is the one killed.

A kill does not lose what the kernel has (only a power cut does), so the order of the system calls is checked as well.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run, unfinished_runs
from cycler_ctl.store.writer import create_run, reopen_run
from protocols.record import Counters, Mark, Mode, Row

OPTIONS = WriterOptions(commit_every_s=0.003, minimum_free_bytes=0)
RUN = "20261122-101500-a1-7f3k"
INFO = RunInfo(RUN, 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 1.0)
SYNCED = re.compile(r"f(data)?sync\(.*-wal>\) |<... f(data)?sync resumed>")
ACK = re.compile(r'write\(1<.*"\d+\\n"')


def row(seq: int) -> Row:
    counters = Counters(seq / 7, seq / 11, seq / 13, seq / 17)
    return Row(
        seq, seq / 10, 1.7e9 + seq / 10, seq / 3e6, -seq / 1e9, None, 1, 1, "1",
        Mode.CURRENT, -1, seq / 10, Mark.NONE, counters, counters, counters,
    )  # fmt: skip


def write_until_killed(data_dir: Path, mode: str) -> None:
    """Append as fast as the disk takes it and write every acknowledged seq to stdout; ``short`` ends by itself."""
    acks = count(1)

    def acknowledge(_: str) -> None:
        if mode != "early":
            os.write(1, b"%d\n" % writer.durable_seq)
        if mode == "short" and next(acks) == 20:
            os._exit(0)

    pause = threading.Event()
    choose = random.Random(os.getpid())
    options = replace(OPTIONS, commit_every_s=60.0) if mode == "early" else OPTIONS  # on a busy computer a kill is late
    writer = create_run(data_dir, INFO, on_durable=acknowledge, options=options)
    next_seq = 1
    for _ in count():
        rows = [row(seq) for seq in range(next_seq, next_seq + choose.randint(1, 20))]
        next_seq += len(rows)
        writer.append(rows, checkpoint=partial(json.dumps, {"last": next_seq - 1}))
        if mode == "early":
            os.write(1, b"%d\n" % (next_seq - 1))
        while writer.pending().rows > 60:
            pause.wait(0.0005)


def kill_after(data_dir: Path, acks: int, delay_s: float, mode: str) -> int:
    """Kill the writer some time after its ``acks``-th acknowledgement; the last seq it acknowledged."""
    command = [sys.executable, __file__, str(data_dir), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        seen = b"".join(child.stdout.readline() for _ in range(acks))
        threading.Event().wait(delay_s)
        child.kill()
        seen += child.stdout.read()
    return int(seen[: seen.rindex(b"\n")].split(b"\n")[-1])


def lost(data_dir: Path, acked: int) -> str | None:
    """What is wrong with the run after the kill, None if nothing is."""
    run_dir = data_dir / "runs" / RUN
    with open_run(run_dir) as reader:
        rows, last_seq, checkpoint = reader.rows(), reader.last_seq, reader.checkpoint()
    if last_seq < acked:
        return f"acknowledged {acked}, stored {last_seq}"
    if rows != [row(seq) for seq in range(1, last_seq + 1)]:
        return "the stored rows are not the first rows in order"
    if checkpoint is None or json.loads(checkpoint) != {"last": last_seq}:
        return f"the checkpoint is {checkpoint}, the last row {last_seq}"
    connection = sqlite3.connect(run_dir / "run.sqlite")
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return None if verdict == "ok" else str(verdict)


@pytest.mark.timeout(1800)
def test_no_acknowledged_row_is_lost_whenever_the_writer_is_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    choose = random.Random(1)
    for trial in range(1000 if request.config.getoption("--campaign") else 20):
        data_dir = tmp_path / str(trial)
        data_dir.mkdir()
        acked = kill_after(data_dir, choose.randint(1, 40), choose.random() * 0.02, "honest")
        assert lost(data_dir, acked) is None, f"trial {trial}"


def test_the_harness_catches_a_writer_that_acknowledges_before_its_commit(tmp_path: Path) -> None:
    acked = kill_after(tmp_path, 1, 0.0, "early")
    assert (lost(tmp_path, acked) or "").startswith("acknowledged")


def test_a_killed_run_is_seen_as_unfinished_and_can_go_on(tmp_path: Path) -> None:
    kill_after(tmp_path, 5, 0.0, "honest")
    (found,) = unfinished_runs(tmp_path)
    writer = reopen_run(found.path, on_durable=lambda run: None, options=OPTIONS)
    first = writer.durable_seq + 1
    writer.append([row(first), row(first + 1)], checkpoint=lambda: json.dumps({"last": first + 1}))
    writer.interrupt("killed")
    assert writer.close()
    assert lost(tmp_path, first + 1) is None
    assert unfinished_runs(tmp_path) == []


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace shows the order of system calls; it is not installed"
)
def test_an_acknowledgement_follows_the_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=pwrite64,fdatasync,fsync,write"]
    child = [sys.executable, __file__, str(tmp_path), "short"]
    done = subprocess.run([*command, *child], capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.skip(f"strace is not allowed to trace here: {done.stderr.decode()}")
    acks, writes, unsynced = 0, 0, False
    for line in trace.read_text(errors="replace").splitlines():
        call = line.split(maxsplit=1)[1]
        if call.startswith("pwrite64") and "-wal>" in call:
            writes, unsynced = writes + 1, True
        elif SYNCED.match(call):
            unsynced = not call.endswith("= 0")
        elif ACK.match(call):
            acks += 1
            assert not unsynced, call
    assert acks == 20
    assert writes >= 20


if __name__ == "__main__":
    write_until_killed(Path(sys.argv[1]), sys.argv[2])
