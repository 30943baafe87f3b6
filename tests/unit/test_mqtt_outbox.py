"""The outbox: what is sent, when a cursor moves, and what a crash at any point leaves behind."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from outboxes import EPOCH, MemoryRun, MemoryRuns, all_next, drain, opened, seqs, went_on

from cycler_ctl.errors import StoreError
from cycler_ctl.publish.cursors import Cursors, DeadLetter, Stream
from cycler_ctl.publish.lane import Lane
from cycler_ctl.publish.outbox import MESSAGE_BYTES, WINDOW, Outbox, Outgoing


def test_all_that_is_durable_goes_out_once_in_order_in_batches_of_sixty(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=150, events=2, cycles=1)))
    sent = drain(outbox)
    assert [seqs(each) for each in sent if each.leaf == "samples"] == [
        list(range(1, 61)),
        list(range(61, 121)),
        list(range(121, 151)),
    ]
    assert [json.loads(each.payload)["n"] for each in sent if each.leaf == "event"] == [1, 2]
    assert [(each.leaf, each.retain) for each in sent if each.leaf == "summary"] == [("summary", True)]
    assert outbox.idle()
    outbox.close()


def test_no_more_than_a_window_is_on_the_way(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=60 * 100)))
    first = all_next(outbox)
    assert len(first) == WINDOW
    outbox.acknowledged(first[7])
    assert all_next(outbox) == []
    outbox.acknowledged(first[0])
    assert len(all_next(outbox)) == 1
    outbox.close()


def test_a_cursor_follows_the_lowest_unbroken_end_of_the_acknowledgements(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=180)))
    one, two, three = all_next(outbox)
    outbox.acknowledged(two)
    outbox.acknowledged(three)
    assert outbox.waiting() == {"r": 180}
    outbox.acknowledged(one)
    assert outbox.waiting() == {}
    outbox.close()


@pytest.mark.parametrize("point", ["before the acknowledgement", "before the commit", "after the commit"])
def test_a_crash_costs_duplicates_and_never_a_row(tmp_path: Path, point: str) -> None:
    runs = MemoryRuns(r=MemoryRun(rows=90))
    outbox = opened(tmp_path, runs)
    one, _ = all_next(outbox)
    if point != "before the acknowledgement":
        outbox.acknowledged(one)
    if point == "after the commit":
        outbox.commit()
    # The process is gone here: nothing is closed, a second one opens what is on disk.
    again = opened(tmp_path, runs)
    sent = [seqs(each) for each in drain(again)]
    expected = [list(range(1, 61)), list(range(61, 91))]
    assert sent == (expected[1:] if point == "after the commit" else expected)
    again.close()
    outbox.lost()
    outbox.close()


class Hasty(Outbox):
    """Deliberately broken: its cursor moves when a message is handed over, not when it is acknowledged."""

    def next(self, utc_s: float) -> Outgoing | None:
        outgoing = super().next(utc_s)
        if outgoing is not None:
            self.acknowledged(outgoing)
            self.commit()
        return outgoing


Plan = list[tuple[list[str], bool]]
plans = st.lists(
    st.tuples(st.lists(st.sampled_from(["acknowledged", "on the way", "connection lost"]), max_size=8), st.booleans()),
    max_size=4,
)
"""Sessions, each killed at its end: the fates of its messages, and whether the cursors were committed before."""


def missing_rows(kind: type[Outbox], plan: Plan) -> int:
    """How many rows no broker ever acknowledged after these sessions and a last one in which all goes well."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.sqlite"
        runs = MemoryRuns(r=MemoryRun(rows=200), s=MemoryRun(rows=70))
        received: set[tuple[str, int]] = set()
        for fates, committed in plan:
            with closing(kind(Cursors(path), runs)) as outbox:
                outbox.discover()
                received |= play(outbox, fates)
                if not committed:
                    outbox._cursors._pending.clear()
        with closing(kind(Cursors(path), runs)) as outbox:
            outbox.discover()
            received |= play(outbox, ["acknowledged"] * 100)
    return 270 - len(received)


def play(outbox: Outbox, fates: list[str]) -> set[tuple[str, int]]:
    received: set[tuple[str, int]] = set()
    for fate in fates:
        outgoing = outbox.next(0.0)
        if fate == "connection lost":
            outbox.lost()
        elif fate == "acknowledged" and outgoing is not None:
            received |= {(outgoing.lane.run, seq) for seq in seqs(outgoing)}
            outbox.acknowledged(outgoing)
    return received


@given(plans)
@settings(max_examples=25, deadline=None)
def test_any_pattern_of_losses_and_crashes_delivers_every_row(plan: Plan) -> None:
    assert missing_rows(Outbox, plan) == 0


def test_a_cursor_that_moves_before_the_acknowledgement_is_caught() -> None:
    """The negative control of the test above."""
    found = find(plans, lambda plan: missing_rows(Hasty, plan) > 0, settings=settings(deadline=None))
    assert found != []


def test_after_a_loss_one_message_at_a_time_until_it_is_known_that_all_is_well(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=6000)))
    all_next(outbox)
    outbox.lost()
    (only,) = all_next(outbox)
    assert only.span.first == 1
    outbox.acknowledged(only)
    assert len(all_next(outbox)) == 2
    outbox.close()


class Picky:
    """A broker that closes the connection on one row, and on notices too if ``ill``."""

    def __init__(self, bad: int, *, ill: bool = False) -> None:
        self.bad, self.ill = bad, ill
        self.rows: list[int] = []
        self.notices: list[Any] = []

    def takes(self, outgoing: Outgoing) -> bool:
        if outgoing.leaf == "event":
            self.notices += [] if self.ill else [json.loads(outgoing.payload)]
            return not self.ill
        if self.bad in seqs(outgoing):
            return False
        self.rows += seqs(outgoing)
        return True


def serve(outbox: Outbox, broker: Picky, connections: int) -> None:
    for _ in range(connections):
        while (outgoing := outbox.next(0.0)) is not None:
            if broker.takes(outgoing):
                outbox.acknowledged(outgoing)
            else:
                outbox.lost()
                break


def test_a_row_no_broker_takes_becomes_a_visible_dead_letter_and_blocks_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=100)))
    broker = Picky(bad=37)
    serve(outbox, broker, connections=15)
    assert sorted(set(broker.rows)) == [seq for seq in range(1, 101) if seq != 37]
    assert [(each["kind"], each["data"]["number"]) for each in broker.notices] == [("gap", 37)]
    assert [(each.run, each.stream, each.number) for each in outbox.dead_letters] == [("r", Stream.SAMPLES, 37)]
    assert outbox.idle()
    outbox.close()
    again = Cursors(tmp_path / "outbox.sqlite")
    assert isinstance(again.dead_letters()[0], DeadLetter)
    again.close()


def test_a_broker_that_takes_nothing_makes_no_dead_letters(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(r=MemoryRun(rows=1)))
    serve(outbox, Picky(bad=1, ill=True), connections=60)
    assert outbox.dead_letters == ()
    assert outbox.waiting() == {"r": 1}
    outbox.close()


def test_a_suspected_run_does_not_hold_up_the_others(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(bad=MemoryRun(rows=1), good=MemoryRun(rows=1)))
    first = outbox.next(0.0)
    assert first is not None
    assert first.lane.run == "bad"
    outbox.lost()
    second = outbox.next(0.0)
    assert second is not None
    assert second.lane.run == "good"
    outbox.close()


def test_live_runs_go_first(tmp_path: Path) -> None:
    runs = MemoryRuns(old=MemoryRun(rows=600))
    outbox = opened(tmp_path, runs)
    runs.runs["live"] = MemoryRun(rows=10)
    outbox.durable("live")
    sent = outbox.next(0.0)
    assert sent is not None
    assert sent.lane.run == "live"
    outbox.close()


def test_runs_take_turns(tmp_path: Path) -> None:
    outbox = opened(tmp_path, MemoryRuns(a=MemoryRun(rows=600), b=MemoryRun(rows=600)))
    assert [each.lane.run for each in all_next(outbox)][:4] == ["a", "b", "a", "b"]
    outbox.close()


def test_an_ended_run_that_was_all_delivered_is_never_opened_again(tmp_path: Path) -> None:
    runs = MemoryRuns(r=MemoryRun(rows=5, over=True), going=MemoryRun(rows=5))
    outbox = opened(tmp_path, runs)
    drain(outbox)
    outbox.close()
    cursors = Cursors(tmp_path / "outbox.sqlite")
    assert cursors.complete() == {"r"}
    cursors.close()
    again = opened(tmp_path, runs)
    assert drain(again) == []
    again.close()


def test_a_manifest_follows_once_all_rows_of_an_ended_run_are_acknowledged(tmp_path: Path) -> None:
    run = MemoryRun(rows=1201)
    outbox = opened(tmp_path, MemoryRuns(r=run))
    assert "manifest" not in {each.leaf for each in drain(outbox)}
    run.over = True
    outbox.durable("r")
    assert not outbox.idle()
    (manifest,) = drain(outbox)
    said = json.loads(manifest.payload)
    text = "".join(f'[{seq},""]\n' for seq in range(1, 1202))
    assert (said["first"], said["last"], said["count"]) == (1, 1201, 1201)
    assert said["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert outbox.idle()
    outbox.close()


def test_a_run_file_older_than_what_the_broker_has_is_said_and_not_published(tmp_path: Path) -> None:
    run = MemoryRun(rows=50)
    outbox = opened(tmp_path, MemoryRuns(r=run))
    drain(outbox)
    run.counts[Stream.SAMPLES] = 40
    outbox.durable("r")
    assert "restored" in outbox.unreadable["r"]
    assert outbox.next(0.0) is None
    outbox.close()


def test_more_rows_on_disk_wait_until_they_are_acknowledged(tmp_path: Path) -> None:
    run = MemoryRun()
    outbox = opened(tmp_path, MemoryRuns(r=run))
    assert outbox.next(0.0) is None
    run.counts[Stream.SAMPLES] = 3
    assert outbox.next(0.0) is None
    outbox.durable("r")
    assert outbox.waiting() == {"r": 3}
    drain(outbox)
    assert outbox.waiting() == {}
    outbox.close()


def test_a_large_batch_is_cut_to_the_size_of_a_message(tmp_path: Path) -> None:
    runs = MemoryRuns(r=MemoryRun(rows=60))
    runs.padding = "x" * 5000
    outbox = opened(tmp_path, runs)
    sent = drain(outbox)
    assert all(len(each.payload) <= MESSAGE_BYTES for each in sent)
    assert [seq for each in sent for seq in seqs(each)] == list(range(1, 61))
    outbox.close()


def test_a_run_file_with_a_hole_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    runs = MemoryRuns(hole=MemoryRun(rows=9), whole=MemoryRun(rows=9))
    runs.runs["hole"].holes = {4}
    outbox = opened(tmp_path, runs)
    assert {each.lane.run for each in drain(outbox)} == {"whole"}
    assert "hole" in outbox.unreadable
    outbox.durable("gone")
    assert "gone" in outbox.unreadable
    outbox.close()


def test_an_acknowledgement_from_a_lost_connection_counts_for_nothing() -> None:
    lane = Lane(0)
    lane.durable = 60
    span = lane.next_span()
    assert span is not None
    lane.sending(span)
    lane.lost(alone=False)
    assert lane.acknowledge(span) == 0
    assert lane.next_span() == span


def test_cursors_that_cannot_be_written_are_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_text("not a database, and long enough to be read as one" * 30)
    with pytest.raises(StoreError, match=r"outbox\.sqlite"):
        Cursors(tmp_path / "outbox.sqlite")


def sent_rows(sent: Sequence[Outgoing]) -> list[tuple[int, int]]:
    return [(each.lane.epoch, seq) for each in sent if each.leaf == "samples" for seq in seqs(each)]


def test_a_run_that_goes_on_is_sent_under_its_new_epoch_from_there_on(tmp_path: Path) -> None:
    run = MemoryRun(rows=3, events=3, cycles=3)
    outbox = opened(tmp_path, MemoryRuns(r=run))
    first = outbox.next(0.0)
    assert first is not None
    run.epochs.append(went_on(43, 4))
    run.counts = dict.fromkeys(run.counts, 5)
    run.over = True
    outbox.durable("r")
    outbox.acknowledged(first)
    sent = [first, *drain(outbox)]
    assert sent_rows(sent) == [(EPOCH, 1), (EPOCH, 2), (EPOCH, 3), (43, 4), (43, 5)]
    (manifest,) = [json.loads(each.payload) for each in sent if each.leaf == "manifest"]
    assert (manifest["epoch"], manifest["count"]) == (43, 5)
    assert outbox.idle()
    outbox.close()


def test_numbers_that_a_disk_took_back_denote_nothing_else_once_the_run_goes_on(tmp_path: Path) -> None:
    """The broker has rows 1 to 9; the disk lied, the file ends at 5, and the run goes on there as another epoch."""
    run = MemoryRun(rows=9)
    runs = MemoryRuns(r=run)
    outbox = opened(tmp_path, runs)
    drain(outbox)
    outbox.close()
    run.counts = dict.fromkeys(run.counts, 5)
    lied = opened(tmp_path, runs)
    assert drain(lied) == []
    assert "an older copy was restored, or the disk lied" in lied.unreadable["r"]
    run.epochs.append(went_on(43, 6))
    run.counts[Stream.SAMPLES] = 7
    lied.durable("r")
    assert sent_rows(drain(lied)) == [(43, 6), (43, 7)]
    lied.close()
