"""A reader that was not there when a run was published learns of it, and gets all of it."""

import json
from pathlib import Path

from outboxes import EPOCH, MemoryRun, MemoryRuns, drain, opened, seqs

from cycler_ctl.publish.again import Wanted
from cycler_ctl.publish.cursors import LISTED, Stream

BEYOND = 2**50


def test_a_reader_that_asks_which_runs_there_are_hears_of_those_that_were_all_delivered_too(tmp_path: Path) -> None:
    runs = MemoryRuns(old=MemoryRun(rows=130, events=2, over=True), now=MemoryRun(rows=7))
    outbox = opened(tmp_path, runs)
    drain(outbox)
    outbox.commit()
    outbox.list_runs("")
    (said,) = drain(outbox)
    assert (said.channel, said.leaf, said.retain) == ("", "runs", False)
    assert json.loads(said.payload)["runs"] == [
        {"run": "now", "epoch": EPOCH, "rows": 7, "ended": False},
        {"run": "old", "epoch": EPOCH, "rows": 130, "ended": True},
    ]
    outbox.list_runs("now")
    (said,) = drain(outbox)
    assert [each["run"] for each in json.loads(said.payload)["runs"]] == ["old"]
    outbox.close()


def test_many_runs_are_listed_in_several_messages_each_once(tmp_path: Path) -> None:
    names = [f"r{number:04d}" for number in range(2 * LISTED + 1)]
    outbox = opened(tmp_path, MemoryRuns(**{name: MemoryRun(events=1, over=True) for name in names}))
    drain(outbox)
    outbox.commit()
    outbox.list_runs("")
    messages = [json.loads(each.payload)["runs"] for each in drain(outbox)]
    assert [len(each) for each in messages] == [LISTED, LISTED, 1]
    assert [each["run"] for message in messages for each in message] == names
    outbox.close()


def test_whoever_asks_beyond_the_end_gets_rows_events_summaries_and_manifest_and_nothing_of_it_is_retained(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path, MemoryRuns(old=MemoryRun(rows=130, events=2, cycles=2, over=True)))
    first = {(each.leaf, each.payload) for each in drain(outbox)}
    assert outbox.need(Wanted("old", EPOCH, 1, BEYOND, "historian"))
    again = drain(outbox)
    assert {(each.leaf, each.payload) for each in again} == first
    assert not any(each.retain for each in again)
    assert again[-1].leaf == Stream.MANIFESTS
    assert sorted(seq for each in again if each.leaf == Stream.SAMPLES for seq in seqs(each)) == list(range(1, 131))
    outbox.close()
