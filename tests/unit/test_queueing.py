"""What becomes of a queue: a mark is of one entry, and in doubt nothing begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.errors import RefusedError, StoreError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.queueing import decide
from cycler_ctl.queueing.model import Entry, Mark, Queue
from cycler_ctl.queueing.shelf import path_of, read_queue, write_queue

RUN = "20261122-101500-a1-7f3k"
IDLE = ChannelStatus("a1", "smu1", ChannelState.IDLE, "", 1.0, energised=False)


def entry(name: str, cell: str = "GN-7") -> Entry:
    return Entry(
        id=name,
        protocol=f"protocol {name}",
        cell=cell,
        at_most_s=3600.0,
        file_name="p.yaml",
        protocol_text="protocol: 1",
        cell_name=None,
        cell_text=None,
        overrides={},
        included={"cell.yaml": "name: GN-7"},
        by="K. Abe",
        added_utc_s=1.8e9,
    )


THREE = Queue("a1", (entry("a"), entry("b"), entry("c")))


def status(state: ChannelState, **changes: object) -> ChannelStatus:
    return replace(IDLE, state=state, **changes)  # type: ignore[arg-type]


def ids(queue: Queue) -> str:
    return "".join(one.id for one in queue.entries)


def marked(queue: Queue = THREE) -> Queue:
    return decide.marked(queue, "a", "K. Abe", IDLE)


def test_the_first_one_begins_when_its_cell_was_marked_ready_and_not_before() -> None:
    assert "nobody has said yet" in str(decide.waits(THREE, IDLE))
    assert decide.waits(marked(), IDLE) is None
    assert decide.waits(marked(), status(ChannelState.FINISHED)) is None


@pytest.mark.parametrize("state", sorted(decide.UNDER_WAY | decide.LATCHED))
def test_nothing_begins_on_a_channel_that_runs_or_that_nobody_has_looked_at(state: ChannelState) -> None:
    assert state.value in str(decide.waits(marked(), status(state)))


def test_a_mark_is_of_the_next_entry_only() -> None:
    with pytest.raises(RefusedError, match="b is not the next one"):
        decide.marked(THREE, "b", "K. Abe", IDLE)
    with pytest.raises(RefusedError, match="nothing with the id 'x'"):
        decide.marked(THREE, "x", "K. Abe", IDLE)


def test_a_mark_is_gone_when_another_entry_comes_first_and_does_not_come_back_with_its_own() -> None:
    away = decide.moved(marked(), "c", 1)
    assert (ids(away), away.ready) == ("cab", None)
    assert decide.moved(away, "c", 3).ready is None
    assert decide.removed(marked(), "a").ready is None
    assert decide.removed(marked(), "b").ready == Mark("a", "K. Abe")


def test_a_mark_is_gone_when_somebody_else_s_run_begins() -> None:
    running = status(ChannelState.RUNNING, run=RUN)
    assert decide.seen(marked(), IDLE, running).ready is None


def test_what_was_taken_is_gone_from_the_queue_in_the_moment_in_which_its_run_begins() -> None:
    queue = decide.seen(decide.taken(marked(), RUN), IDLE, status(ChannelState.RUNNING, run=RUN))
    assert (ids(queue), queue.taken, queue.ready) == ("bc", None, None)
    again = decide.marked(queue, "b", "K. Abe", status(ChannelState.RUNNING, run=RUN, cell="GN-7"))
    assert decide.begun(again) is again


def test_while_a_run_is_under_way_only_its_own_cell_can_be_ready_for_what_follows() -> None:
    assert decide.marked(THREE, "a", "K. Abe", status(ChannelState.RUNNING, cell="GN-7")).ready is not None
    with pytest.raises(RefusedError, match="GN-7 cannot be in it yet"):
        decide.marked(THREE, "a", "K. Abe", status(ChannelState.RUNNING, cell="GN-8"))


@pytest.mark.parametrize("state", sorted(set(ChannelState) - decide.UNDER_WAY - decide.NORMAL))
def test_anything_but_a_normal_end_holds_the_queue_and_takes_its_mark(state: ChannelState) -> None:
    before = status(ChannelState.RUNNING, run=RUN)
    ended = decide.seen(marked(), before, status(state, run=RUN, reason="why", since_utc_s=2.0))
    assert (ended.held, ended.ready) == (f"{state.value}: why", None)
    assert decide.released(ended).held is None


def test_a_normal_end_holds_nothing_and_neither_does_an_empty_queue() -> None:
    before, finished = status(ChannelState.RUNNING, run=RUN), status(ChannelState.FINISHED, run=RUN)
    assert decide.seen(marked(), before, finished) == marked()
    assert decide.seen(Queue("a1"), before, status(ChannelState.STOPPED)).held is None


def test_a_released_queue_is_not_held_again_by_what_was_seen_already() -> None:
    stopped = status(ChannelState.STOPPED, since_utc_s=2.0)
    queue = decide.released(decide.seen(THREE, IDLE, stopped))
    assert decide.seen(queue, stopped, replace(stopped, rows_waiting=3)).held is None


def test_a_held_queue_takes_no_mark_and_keeps_the_first_reason() -> None:
    queue = decide.held(decide.held(marked(), "first"), "second")
    assert (queue.held, queue.ready) == ("first", None)
    with pytest.raises(RefusedError, match="release it first"):
        decide.marked(queue, "a", "K. Abe", IDLE)
    with pytest.raises(RefusedError, match="does not hold"):
        decide.released(THREE)


def test_what_is_just_beginning_is_left_alone() -> None:
    queue = decide.taken(marked(), RUN)
    with pytest.raises(RefusedError, match="is just beginning"):
        decide.removed(queue, "a")
    with pytest.raises(RefusedError, match="is just beginning"):
        decide.moved(queue, "a", 2)
    assert decide.waits(queue, IDLE) == "it is just beginning"
    assert ids(decide.begun(decide.removed(queue, "b"))) == "c"


def test_a_queue_has_an_end() -> None:
    full = Queue("a1", tuple(entry(str(number)) for number in range(decide.MOST)))
    with pytest.raises(RefusedError, match="100 wait already"):
        decide.added(full, entry("more"))


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("mark"), st.sampled_from("abc")),
        st.tuples(st.just("move"), st.sampled_from("abc"), st.integers(1, 4)),
        st.tuples(st.just("remove"), st.sampled_from("abc")),
        st.tuples(st.just("state"), st.sampled_from(sorted(ChannelState)), st.sampled_from(["x", "y"])),
        st.tuples(st.just("release")),
    ),
    max_size=12,
)


@given(ACTS)
def test_whatever_is_done_nothing_begins_but_what_the_last_mark_was_put_on_with_nothing_in_between(
    acts: list[tuple[str, ...]],
) -> None:
    queue, now, meant = THREE, IDLE, ""
    for number, (what, *more) in enumerate(acts):
        before = queue
        try:
            queue, now = done(queue, now, number, what, *more)
        except RefusedError:
            assert queue is before
            continue
        if what == "mark":
            meant = more[0]
        elif what == "state" and now.state not in decide.NORMAL:
            meant = meant if now.state in decide.UNDER_WAY and queue.ready else ""
        elif queue.first is None or queue.first.id != meant:
            meant = ""
        if decide.waits(queue, now) is None:
            assert queue.first is not None
            assert queue.first.id == meant
            assert queue.held is None


def done(queue: Queue, now: ChannelStatus, number: int, what: str, *more: str) -> tuple[Queue, ChannelStatus]:
    match what:
        case "mark":
            return decide.marked(queue, more[0], "K. Abe", now), now
        case "move":
            return decide.moved(queue, more[0], int(more[1])), now
        case "remove":
            return decide.removed(queue, more[0]), now
        case "release":
            return decide.released(queue), now
        case _:
            coming = replace(now, state=ChannelState(more[0]), run=more[1], since_utc_s=float(number))
            return decide.seen(queue, now, coming), coming


def test_a_queue_comes_back_from_disk_whole_and_without_its_mark(tmp_path: Path) -> None:
    write_queue(tmp_path, marked())
    assert read_queue(tmp_path, "a1") == THREE
    write_queue(tmp_path, decide.held(marked(), "why"))
    assert read_queue(tmp_path, "a1") == replace(THREE, held="why")
    assert read_queue(tmp_path, "a2") == Queue("a2")


def test_what_was_to_begin_when_the_service_died_waits_for_a_person_unless_its_run_is_there(tmp_path: Path) -> None:
    write_queue(tmp_path, decide.taken(marked(), RUN))
    queue = read_queue(tmp_path, "a1")
    assert (ids(queue), queue.taken) == ("abc", None)
    assert "was about to begin" in str(queue.held)
    (tmp_path / "runs" / RUN).mkdir(parents=True)
    assert ids(read_queue(tmp_path, "a1")) == "bc"


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"v": 1, "channel": "a1", "entries": [{}]})])
def test_a_queue_nobody_can_read_is_an_error_and_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = path_of(tmp_path, "a1")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        read_queue(tmp_path, "a1")
    assert path.read_text() == text
