"""Rows of a run that goes on share messages: each message costs a broker and a historian the same, however full."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from outboxes import MemoryRun, MemoryRuns, all_next, seqs

from cycler_ctl.publish.cursors import Cursors, Stream
from cycler_ctl.publish.lane import BATCH_ROWS
from cycler_ctl.publish.outbox import Outbox


def gathering(folder: Path, run: MemoryRun) -> Outbox:
    outbox = Outbox(Cursors(folder / "outbox.sqlite"), MemoryRuns(r=run), gathers=True)
    outbox.durable("r")
    return outbox


def test_few_rows_wait_and_a_full_message_does_not(tmp_path: Path) -> None:
    run = MemoryRun(rows=BATCH_ROWS - 1)
    with closing(gathering(tmp_path, run)) as outbox:
        assert all_next(outbox) == []
        run.counts[Stream.SAMPLES] = BATCH_ROWS
        outbox.durable("r")
        assert [len(seqs(each)) for each in all_next(outbox)] == [BATCH_ROWS]


def test_rows_that_have_waited_long_enough_go_out_and_later_ones_wait_anew(tmp_path: Path) -> None:
    run = MemoryRun(rows=3)
    with closing(gathering(tmp_path, run)) as outbox:
        outbox.release()
        assert [seqs(each) for each in all_next(outbox)] == [[1, 2, 3]]
        run.counts[Stream.SAMPLES] = 5
        outbox.durable("r")
        assert all_next(outbox) == []
        outbox.release()
        assert [seqs(each) for each in all_next(outbox)] == [[4, 5]]


def test_an_event_takes_the_rows_before_it_along(tmp_path: Path) -> None:
    run = MemoryRun(rows=3)
    with closing(gathering(tmp_path, run)) as outbox:
        run.counts[Stream.EVENTS] = 1
        outbox.durable("r")
        assert [each.leaf for each in all_next(outbox)] == ["event", "samples"]


def test_nothing_waits_once_the_run_has_ended(tmp_path: Path) -> None:
    run = MemoryRun(rows=3)
    with closing(gathering(tmp_path, run)) as outbox:
        run.over = True
        outbox.durable("r")
        assert [seqs(each) for each in all_next(outbox)] == [[1, 2, 3]]


def test_nothing_waits_when_the_service_ends(tmp_path: Path) -> None:
    with closing(gathering(tmp_path, MemoryRun(rows=3))) as outbox:
        outbox.hurry()
        assert [seqs(each) for each in all_next(outbox)] == [[1, 2, 3]]


def test_a_backlog_of_an_earlier_session_waits_for_nobody(tmp_path: Path) -> None:
    with closing(Outbox(Cursors(tmp_path / "outbox.sqlite"), MemoryRuns(r=MemoryRun(rows=3)), gathers=True)) as outbox:
        outbox.discover()
        assert [seqs(each) for each in all_next(outbox)] == [[1, 2, 3]]
