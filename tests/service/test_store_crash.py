"""Power cuts: whatever the disk had not been made to keep may be gone, in pieces or garbled; what was acknowledged is not.

A run is recorded call by call, cut at any of them, and opened from what could be left. A kill would prove nothing of
this, because the kernel keeps what was not synced (test_store_kill.py). The controls, which sync less, must lose.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from power_cut import Platter
from recorded_disk import IOERR_FSYNC, OK, Call, recorded

from cycler_ctl.errors import StoreError
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import open_for_writing, segment_paths
from cycler_ctl.store.writer import create_run, reopen_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.record import EventKind, EventRecord, Outcome

RUN = "20261122-101500-a1-7f3k"
INFO = RunInfo(RUN, 5, "a1", "lab", "site", 0.0, "", "", "", {}, {}, {}, {}, {}, None, 60.0)
ROWS = list(cycling_rows(Shape(points=60)))
COMMITS = 40


@dataclass(frozen=True, slots=True)
class Story:
    """All calls of one run, with an ``ack`` where its writer said that rows were durable."""

    root: Path
    calls: list[Call]


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = open_for_writing(path)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 12")  # several in the life of a short run
    return connection


def run_s_life(root: Path, patch: pytest.MonkeyPatch, synchronous: str, fails_at: int | None = None) -> Story:
    """A run from its making to its end; at its sync number ``fails_at`` the disk reports an error, once."""
    choose = random.Random(5)
    options = WriterOptions(
        commit_every_s=0.0, minimum_free_bytes=0, reserve_bytes=0, connect=partial(connect, synchronous=synchronous)
    )
    syncs = 0
    with recorded(root, patch) as disk:

        def verdict(call: Call) -> int:
            nonlocal syncs
            syncs += call.what == "sync"
            return IOERR_FSYNC if call.what == "sync" and syncs == fails_at else OK

        disk.verdict = verdict
        writer = create_run(
            root,
            INFO,
            on_durable=lambda _: disk.calls.append(Call("ack", "", writer.durable_seq)),
            utc=lambda: 1.8e9,
            options=options,
        )
        disk.calls.append(Call("ack", "", 0))
        written = 0
        for _ in range(COMMITS):
            more = choose.randint(1, 8)
            rows, written = ROWS[written : written + more], written + more
            events = [EventRecord(0.0, 0.0, EventKind.NOTE, {"rows": written})]
            writer.append(rows, events, checkpoint=partial(json.dumps, {"last": written}))
            assert writer.flush(10)
        writer.finish(Outcome.FINISHED, "done")
        assert writer.close()
    return Story(root, disk.calls)


def harm(data_dir: Path, acked: int) -> str | None:
    """What is wrong with what is left of the run, None if nothing is."""
    run_dir = data_dir / "runs" / RUN
    if not segment_paths(run_dir):
        return None if acked < 0 else f"acknowledged {acked}, and there is no run"
    try:
        with open_run(run_dir) as reader:
            rows, events, checkpoint = reader.rows(), reader.events(), reader.checkpoint()
        if len(rows) < acked:
            return f"acknowledged {acked}, stored {len(rows)}"
        if rows != ROWS[: len(rows)]:
            return "the stored rows are not the first ones in order"
        notes = [event.data["rows"] for event in events if event.kind is EventKind.NOTE]
        last = max([0, *(int(str(found)) for found in notes)])
        if last != len(rows) or (checkpoint is not None and json.loads(checkpoint) != {"last": last}):
            return f"{len(rows)} rows, events up to {last}, checkpoint {checkpoint}"
        return damaged(run_dir)
    except (StoreError, ValueError, sqlite3.Error) as error:
        return repr(error)


def damaged(run_dir: Path) -> str | None:
    for path in segment_paths(run_dir):
        with closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            return f"{path.name}: {verdict}"
    return None


def goes_on(data_dir: Path) -> str | None:
    """None if the run can be taken up again where it is."""
    run_dir = data_dir / "runs" / RUN
    if not segment_paths(run_dir):
        return None
    writer = reopen_run(run_dir, on_durable=lambda _: None, options=WriterOptions(reserve_bytes=0))
    first = writer.durable_seq
    writer.interrupt("power cut")
    writer.append(ROWS[first : first + 3])
    kept = writer.close()
    with open_run(run_dir) as reader:
        return None if kept and reader.rows() == ROWS[: first + 3] else f"it did not go on after {first}"


def cuts(story: Story, number: int, look: Callable[[Path, int], str | None], image: Path) -> list[str]:
    """What was wrong after each of ``number`` power cuts, spread over the whole life of the run."""
    choose = random.Random(story.root.name + str(number))
    places = sorted(choose.choices(range(len(story.calls) + 1), k=number))
    platter, done, found = Platter(), 0, []
    for trial, place in enumerate(places):
        for call in story.calls[done:place]:
            platter.apply(call)
        done = place
        seed = choose.random()
        platter.cut(random.Random(seed), story.root, image)
        wrong = look(image, platter.acked)
        if wrong is not None:
            found.append(f"trial {trial}, after call {place}: {wrong}")
        shutil.rmtree(image, ignore_errors=True)
    return found


def whole(data_dir: Path, acked: int) -> str | None:
    """Every third run is also taken up again, which takes as long as all the rest."""
    return harm(data_dir, acked) or (goes_on(data_dir) if acked % 3 == 0 else None)


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> int:
    return 10_000 if request.config.getoption("--campaign") else 300


@pytest.mark.timeout(1800)
def test_a_power_cut_at_any_moment_takes_nothing_that_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    story = run_s_life(tmp_path / "data", monkeypatch, "FULL")
    assert sum(call.what == "ack" for call in story.calls) > COMMITS
    assert sum(call.what == "sync" and call.path.endswith("run.sqlite") for call in story.calls) >= 3, "checkpoints"
    assert cuts(story, trials, whole, tmp_path / "image") == []


@pytest.mark.timeout(1800)
def test_nor_does_one_around_the_change_to_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    story = run_s_life(tmp_path / "data", monkeypatch, "FULL", fails_at=30)
    assert any(call.to.endswith("run-2.sqlite") for call in story.calls)
    assert cuts(story, trials // 2, whole, tmp_path / "image") == []


@pytest.mark.parametrize(("synchronous", "at_least"), [("NORMAL", 0.2), ("OFF", 0.4)])
def test_a_store_that_syncs_less_loses_what_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str, at_least: float
) -> None:
    story = run_s_life(tmp_path / "data", monkeypatch, synchronous)
    assert len(cuts(story, 60, harm, tmp_path / "image")) > at_least * 60


def test_every_call_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no power cut the noted calls alone make the same files: nothing went past the record."""
    story = run_s_life(tmp_path / "data", monkeypatch, "FULL", fails_at=30)
    platter = Platter()
    for call in story.calls:
        platter.apply(call)
    for path, number in platter.names.items():
        content = platter.contents.get(number)
        if content is not None:
            for call in content.since:
                platter.apply(replace(call, what="sync"))
            assert Path(path).read_bytes() == bytes(content.synced), path
    others = ("-shm", ".failed")  # of this boot only: no power cut need leave them
    files = {
        str(path) for path in (tmp_path / "data").rglob("run*") if path.is_file() and not path.name.endswith(others)
    }
    assert files == {path for path, number in platter.names.items() if number >= 0}
