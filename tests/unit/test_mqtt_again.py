"""What readers ask of a station, and what they tell it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outboxes import EPOCH, MemoryRun, MemoryRuns, all_next, drain, opened, seqs, went_on

from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.publish.again import WAITING_OF_ONE, Wanted
from cycler_ctl.publish.alarming import AlarmTopics
from cycler_ctl.publish.backoff import Allowance
from cycler_ctl.publish.cursors import CONFIRMED, SINKS, Confirmed, Stream
from cycler_ctl.publish.hearing import OwnAlarm, heard
from cycler_ctl.publish.topics import Topics

TOPICS = Topics("kasuga", "lab-3")
RUN = "20261122-101500-a1-0000"
NEED = {"v": 1, "run": RUN, "epoch": 42, "from_seq": 5, "to_seq": 9, "client": "historian"}
SINK = {"v": 1, "client": "historian", "run": RUN, "epoch": 42, "seq": 7, "at": "2026-11-22T10:15:00.000Z"}
DAY_S = 86_400.0
FIRST_DAY = int(1e9 // DAY_S)
"""Of the rows here."""


def wanted(first: int, last: int, client: str = "c", epoch: int = EPOCH) -> Wanted:
    return Wanted("r", epoch, first, last, client)


def test_rows_asked_for_come_again_after_everything_new_and_no_cursor_moves(tmp_path: Path) -> None:
    run = MemoryRun(rows=200)
    with closing(opened(tmp_path, MemoryRuns(r=run))) as outbox:
        drain(outbox)
        assert outbox.need(wanted(50, 130))
        run.counts[Stream.SAMPLES] = 201
        outbox.durable("r")
        sent = drain(outbox)
        assert [seqs(each) for each in sent] == [[201], list(range(50, 110)), list(range(110, 131))]
        assert outbox.idle()


def test_rows_nobody_was_sent_yet_are_not_to_be_had_by_asking(tmp_path: Path) -> None:
    run = MemoryRun(rows=10)
    with closing(opened(tmp_path, MemoryRuns(r=run))) as outbox:
        assert not outbox.need(wanted(1, 10))
        drain(outbox)
        assert not outbox.need(wanted(11, 20))
        assert not outbox.need(wanted(1, 10, epoch=7))
        assert not outbox.need(Wanted("no-such-run", EPOCH, 1, 5, "c"))
        assert drain(outbox) == []


def test_only_rows_of_the_epoch_that_is_asked_for_are_sent_under_it(tmp_path: Path) -> None:
    run = MemoryRun(rows=5, events=5, cycles=5)
    with closing(opened(tmp_path, MemoryRuns(r=run))) as outbox:
        drain(outbox)
        run.epochs.append(went_on(43, 6))
        run.counts = dict.fromkeys(run.counts, 9)
        outbox.durable("r")
        drain(outbox)
        for epoch in (EPOCH, 43):
            assert outbox.need(wanted(1, 9, epoch=epoch))
        assert [(each.lane.epoch, seqs(each)) for each in drain(outbox)] == [
            (EPOCH, [1, 2, 3, 4, 5]),
            (43, [6, 7, 8, 9]),
        ]


def test_who_asks_beyond_the_end_of_an_ended_run_gets_its_manifest_again(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=70, over=True)))) as outbox:
        manifest = drain(outbox)[-1]
        assert outbox.need(wanted(65, 71))
        rows, again = drain(outbox)
        assert seqs(rows) == [65, 66, 67, 68, 69, 70]
        assert (again.leaf, again.payload) == (Stream.MANIFESTS, manifest.payload)
        assert outbox.need(wanted(71, 2**40))
        assert [each.payload for each in drain(outbox)] == [manifest.payload]


def test_a_reader_that_asks_and_asks_waits_and_leaves_room_for_others(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=200)))) as outbox:
        drain(outbox)
        taken = [outbox.need(wanted(number, number, "mad")) for number in range(1, 100)]
        assert sum(taken) == WAITING_OF_ONE
        assert outbox.need(wanted(1, 1, "other"))


def test_rows_sent_again_are_within_the_window_and_forgotten_with_the_connection(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=6000)))) as outbox:
        drain(outbox)
        outbox.need(wanted(1, 6000))
        assert len(all_next(outbox)) == 20
        outbox.lost()
        assert all_next(outbox) == []


def test_a_message_the_broker_calls_too_large_is_halved_and_a_single_row_becomes_a_dead_letter(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=60)))) as outbox:
        taken: list[list[int]] = []
        notices: list[Any] = []
        while (outgoing := outbox.next(0.0)) is not None:
            if outgoing.leaf == "samples" and 37 in seqs(outgoing):
                outbox.too_large(outgoing)
                continue
            outbox.acknowledged(outgoing)
            (taken if outgoing.leaf == "samples" else notices).append(
                seqs(outgoing) if outgoing.leaf == "samples" else json.loads(outgoing.payload)
            )
        assert sorted({seq for batch in taken for seq in batch}) == [seq for seq in range(1, 61) if seq != 37]
        assert [letter.number for letter in outbox.dead_letters] == [37]
        assert [notice["data"]["number"] for notice in notices] == [37]
        assert outbox.waiting() == {}


def test_a_connection_lost_for_want_of_rights_puts_no_row_under_suspicion(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=1)))) as outbox:
        for _ in range(20):
            only = outbox.next(0.0)
            assert only is not None
            assert not only.span.probe
            outbox.lost(suspicious=False)


def test_a_run_that_goes_on_over_midnight_says_each_day_which_rows_it_has(tmp_path: Path) -> None:
    run = MemoryRun(rows=100)
    with closing(opened(tmp_path, MemoryRuns(r=run))) as outbox:
        outbox.durable("r")
        said: list[Any] = []
        for day in range(4):
            said.append([])
            for hour in (1, 12, 23):
                outbox.new_day(DAY_S * (FIRST_DAY + day) + 3600 * hour)
                said[-1] += [json.loads(each.payload) for each in drain(outbox) if each.leaf == "manifest"]
                run.counts[Stream.SAMPLES] += 10
                outbox.durable("r")
        counts = [[(each["count"], each["final"]) for each in day] for day in said]
        assert counts == [[], [(130, False)], [(160, False)], [(190, False)]]
        run.over = True
        outbox.durable("r")
        (final,) = [json.loads(each.payload) for each in drain(outbox) if each.leaf == "manifest"]
        assert (final["count"], final["final"]) == (220, True)
        assert outbox.idle()


def test_the_manifest_that_fell_due_while_the_station_was_down_is_sent_at_its_start(tmp_path: Path) -> None:
    runs = MemoryRuns(r=MemoryRun(rows=100))
    with closing(opened(tmp_path, runs)) as outbox:
        outbox.durable("r")
        assert not outbox.new_day(DAY_S * FIRST_DAY + 3600)
        drain(outbox)
    for hours, counts in ((2, []), (27, [100])):
        with closing(opened(tmp_path, runs)) as outbox:
            outbox.new_day(DAY_S * FIRST_DAY + 3600 * hours)
            manifests = [json.loads(each.payload) for each in drain(outbox) if each.leaf == "manifest"]
            assert [(each["count"], each["final"]) for each in manifests] == [(count, False) for count in counts]


def test_sinks_of_any_number_of_names_fill_no_disk_and_the_last_ones_heard_of_stay(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=9)))) as outbox:
        for number in range(3 * SINKS):
            outbox.confirm(Confirmed(f"sink-{number:03d}", "r", EPOCH, 5, f"2026-11-22T10:00:{number:02d}.000Z"))
        assert [each.client for each in outbox.confirmed] == [f"sink-{n:03d}" for n in range(2 * SINKS, 3 * SINKS)]


def test_a_disk_that_does_not_take_a_sink_s_report_ends_no_connection(tmp_path: Path) -> None:
    with closing(opened(tmp_path, MemoryRuns(r=MemoryRun(rows=9)))) as outbox:
        outbox._cursors._database.execute("PRAGMA query_only = 1")
        outbox.confirm(Confirmed("h", "r", EPOCH, 5, "now"))
        assert outbox.confirmed == ()
        outbox._cursors._database.execute("PRAGMA query_only = 0")


def test_how_far_a_sink_has_a_run_is_kept_and_compared_with_how_many_rows_it_had_in_the_end(tmp_path: Path) -> None:
    runs = MemoryRuns(r=MemoryRun(rows=9, over=True))
    with closing(opened(tmp_path, runs)) as outbox:
        outbox.confirm(Confirmed("h", "r", EPOCH, 5, "now"))
        assert outbox.confirmed == (Confirmed("h", "r", EPOCH, 5, "now", of=None),)
        drain(outbox)
        assert outbox.confirmed == (Confirmed("h", "r", EPOCH, 5, "now", of=9),)
    with closing(opened(tmp_path, runs)) as outbox:
        assert [each.seq for each in outbox.confirmed] == [5]
        for number in range(100):
            outbox.confirm(Confirmed("h", f"s{number:03d}", 1, 1, "now"))
        assert [each.run for each in outbox.confirmed] == [f"s{number:03d}" for number in range(99, 99 - CONFIRMED, -1)]


def test_a_need_and_a_report_of_the_published_shape_are_heard() -> None:
    assert heard(TOPICS, TOPICS.need, json.dumps(NEED).encode(), retain=False) == Wanted(RUN, 42, 5, 9, "historian")
    said = heard(TOPICS, TOPICS.sink("historian"), json.dumps(SINK).encode(), retain=True)
    assert said == Confirmed("historian", RUN, 42, 7, "2026-11-22T10:15:00.000Z")


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"run": "../../etc"},
        {"run": ""},
        {"from_seq": 0},
        {"from_seq": "5"},
        {"to_seq": 2**63},
        {"client": "a/b"},
        {"client": "x" * 65},
        {"more": 1},
        {"epoch": 1.5},
        {"client": None},
    ],
)
def test_a_need_of_another_shape_is_not_heard(change: dict[str, object]) -> None:
    assert heard(TOPICS, TOPICS.need, json.dumps(NEED | change).encode(), retain=False) is None


def test_a_kept_need_a_huge_one_and_a_report_in_another_s_name_are_not_heard() -> None:
    assert heard(TOPICS, TOPICS.need, json.dumps(NEED).encode(), retain=True) is None
    assert heard(TOPICS, TOPICS.need, json.dumps(NEED).encode() + b" " * 5000, retain=False) is None
    assert heard(TOPICS, TOPICS.sink("other"), json.dumps(SINK).encode(), retain=True) is None


@given(st.sampled_from([TOPICS.need, TOPICS.sink("a"), TOPICS.alarm("a"), "x"]), st.binary(max_size=200))
def test_whatever_a_stranger_says_is_heard_or_not_and_never_an_error(topic: str, payload: bytes) -> None:
    heard(TOPICS, topic, payload, retain=False)


def alarm(name: str, what: str = "it happened") -> Alarm:
    return Alarm(name, Severity.ALARM, "tripped", what, "look", 1.0)


def test_an_alarm_is_told_when_it_begins_or_changes_and_cleared_once_when_it_is_over() -> None:
    topics = AlarmTopics(TOPICS)
    a = TOPICS.alarm("a")
    assert topics.news([alarm("a")]) == {a: alarm("a")}
    assert topics.news([alarm("a")]) == {}
    assert topics.news([alarm("a", "more")]) == {a: alarm("a", "more")}
    assert topics.news([]) == {a: None}
    assert topics.news([]) == {}


def test_an_alarm_of_an_earlier_life_is_cleared_and_one_that_is_still_active_is_told() -> None:
    topics = AlarmTopics(TOPICS)
    for name in ("a", "b"):
        found = heard(TOPICS, TOPICS.alarm(name), b"{}", retain=True)
        assert isinstance(found, OwnAlarm)
        topics.heard(found.topic)
    assert topics.news([alarm("a")]) == {TOPICS.alarm("a"): alarm("a"), TOPICS.alarm("b"): None}


def test_an_allowance_lets_a_burst_through_and_then_one_at_a_time() -> None:
    allowance = Allowance(0.5, 3)
    assert [allowance.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [allowance.take(10.5), allowance.take(10.6), allowance.take(1000.0)] == [True, False, True]
