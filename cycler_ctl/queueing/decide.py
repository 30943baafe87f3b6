"""What becomes of a queue when somebody or a run does something: pure, and in doubt nothing begins.

A mark belongs to one entry. It is gone as soon as that entry is not the first any more, another run has begun, or the
queue is held; after a restart there is none.
"""

from __future__ import annotations

from dataclasses import replace

from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.queueing.model import Entry, Mark, Queue, Taken

MOST = 100
UNDER_WAY = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
LATCHED = frozenset(
    {ChannelState.TRIPPED, ChannelState.FAULTED, ChannelState.CANNOT_DEENERGISE, ChannelState.INTERRUPTED}
)
NORMAL = frozenset({ChannelState.IDLE, ChannelState.FINISHED})


def added(queue: Queue, entry: Entry) -> Queue:
    if len(queue.entries) >= MOST:
        raise RefusedError(f"channel {queue.channel}: {MOST} wait already")
    return replace(queue, entries=(*queue.entries, entry))


def removed(queue: Queue, entry: str) -> Queue:
    return _of_first(replace(queue, entries=_without(queue, entry)))


def moved(queue: Queue, entry: str, to: int) -> Queue:
    """``to``: 1 is the first place; beyond the end is the last."""
    others, place = _without(queue, entry), max(1, to) - 1
    return _of_first(replace(queue, entries=(*others[:place], _found(queue, entry), *others[place:])))


def marked(queue: Queue, entry: str, by: str, status: ChannelStatus) -> Queue:
    """While a run is under way, only where its cell is the very one that the entry is for."""
    found = _found(queue, entry)
    if queue.held is not None:
        raise RefusedError(f"channel {queue.channel} holds its queue ({queue.held}): release it first")
    if queue.first is not found:
        raise RefusedError(f"channel {queue.channel}: {entry} is not the next one: move it, or mark {_first_id(queue)}")
    if status.state in LATCHED:
        raise RefusedError(f"channel {queue.channel} is {status.state} ({status.reason}): look at the cell first")
    if status.state in UNDER_WAY and status.cell != found.cell:
        raise RefusedError(
            f"channel {queue.channel} is {status.state} with cell {status.cell}: {found.cell} cannot be in it yet; "
            "mark it when you have put it in"
        )
    return replace(queue, ready=Mark(entry, by))


def unmarked(queue: Queue, entry: str) -> Queue:
    if queue.ready is None or queue.ready.entry != entry:
        raise RefusedError(f"channel {queue.channel}: {entry} is not marked ready")
    return replace(queue, ready=None)


def held(queue: Queue, why: str) -> Queue:
    """Whatever else has happened since, the first reason stands."""
    return replace(queue, held=queue.held or why, ready=None)


def released(queue: Queue) -> Queue:
    if queue.held is None:
        raise RefusedError(f"channel {queue.channel} does not hold its queue")
    return replace(queue, held=None, ready=None)


def seen(queue: Queue, before: ChannelStatus | None, now: ChannelStatus) -> Queue:
    """The channel is as ``now`` says; ``before`` None: the service has just begun."""
    if now.state in UNDER_WAY and _is_ours(queue, now):
        return begun(queue)
    if now.state in UNDER_WAY and (before is None or before.run != now.run):
        queue = replace(queue, ready=None)  # another cell may have been put in for it
    changed = before is None or (before.state, before.since_utc_s) != (now.state, now.since_utc_s)
    if changed and queue.entries and now.state not in UNDER_WAY | NORMAL:
        return held(queue, f"{now.state}: {now.reason}" if now.reason else str(now.state))
    return queue


def waits(queue: Queue, status: ChannelStatus) -> str | None:
    """Why the first entry does not begin now; None: it does."""
    first = queue.first
    if first is None:
        return "nothing is queued"
    if queue.held is not None:
        return f"held: {queue.held}"
    if status.state in UNDER_WAY:
        return f"the channel is {status.state}"
    if status.state in LATCHED:
        return f"the channel is {status.state}: look at the cell, then acknowledge"
    if queue.taken is not None:
        return "it is just beginning"
    if queue.ready is None or queue.ready.entry != first.id:
        return "nobody has said yet that its cell is in the channel: mark it ready"
    return None


def taken(queue: Queue, run: str) -> Queue:
    """The first entry is about to become this run."""
    return replace(queue, taken=None if queue.first is None else Taken(entry=queue.first.id, run=run))


def called_off(queue: Queue) -> bool:
    """What was taken has lost its mark before it was a run."""
    return queue.taken is not None and queue.ready is None


def begun(queue: Queue) -> Queue:
    """What was taken, if anything, is a run now."""
    if queue.taken is None:
        return queue
    left = tuple(one for one in queue.entries if one.id != queue.taken.entry)
    return replace(queue, entries=left, taken=None, ready=None)


def put_off(queue: Queue) -> Queue:
    """What was taken begins a little later; whatever was said of it meanwhile stands."""
    return replace(queue, taken=None)


def not_begun(queue: Queue, why: str) -> Queue:
    return held(replace(queue, taken=None), why)


def _is_ours(queue: Queue, now: ChannelStatus) -> bool:
    return queue.taken is not None and queue.taken.run == now.run


def _found(queue: Queue, entry: str) -> Entry:
    found = next((one for one in queue.entries if one.id == entry), None)
    if found is None:
        raise RefusedError(f"channel {queue.channel}: nothing with the id {entry[:32]!r} is queued")
    if queue.taken is not None and queue.taken.entry == entry:
        raise RefusedError(f"channel {queue.channel}: {entry} is just beginning; taking its mark back calls it off")
    return found


def _without(queue: Queue, entry: str) -> tuple[Entry, ...]:
    found = _found(queue, entry)
    return tuple(one for one in queue.entries if one is not found)


def _of_first(queue: Queue) -> Queue:
    mark, first = queue.ready, queue.first
    return queue if mark is None or (first is not None and mark.entry == first.id) else replace(queue, ready=None)


def _first_id(queue: Queue) -> str:
    return "none" if queue.first is None else queue.first.id
