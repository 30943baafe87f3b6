"""The queues of a station: what people ask of them, and the next entry begun when a person has marked its cell ready.

On the station's own loop; ``names``, ``of`` and ``told`` from any thread, for a queue is replaced as a whole. What was
decided holds in memory at once and is on disk before anyone is told that it was done; before an entry begins, disk knows
which run it becomes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cycler_ctl.errors import CyclerError, RefusedError, StoreError, TooSoonError
from cycler_ctl.live import ChannelState, ChannelStatus, QueueStatus
from cycler_ctl.queueing import decide
from cycler_ctl.queueing.model import Entry, Queue, entry_of
from cycler_ctl.queueing.shelf import read_queue, write_queue
from cycler_ctl.running.start import Order, Prepared
from cycler_ctl.store.info import new_run_id
from protocols.record import JSON

log = logging.getLogger(__name__)

CALLED_OFF = "its mark was taken back before it began"


class Channels(Protocol):
    """The station, as far as a queue needs it."""

    def channels(self) -> tuple[ChannelStatus, ...]: ...
    def changed(self, channel: str) -> None: ...
    def call_off(self, channel: str, by: str) -> None: ...
    async def look(self, channel: str, order: Order) -> Prepared: ...
    async def begin(self, channel: str, order: Order, run: str | None = None) -> str: ...


class QueueKeeper:
    """Observes the station. RefusedError: not so, or not now; StoreError: it is not on disk."""

    def __init__(self, station: Channels, data_dir: Path, utc: Callable[[], float]) -> None:
        self._station = station
        self._data_dir = data_dir
        self._utc = utc
        self._queues: dict[str, Queue] = {}
        self._unreadable: dict[str, str] = {}
        self._seen: dict[str, ChannelStatus] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def open(self) -> None:
        """Read what waits; a channel whose queue nobody can read takes nothing."""
        for status in self._station.channels():
            name = status.channel
            self._wakes[name], self._turns[name] = asyncio.Event(), asyncio.Lock()
            try:
                self._queues[name] = read_queue(self._data_dir, name)
            except StoreError as error:
                log.warning("%s", error)
                self._queues[name], self._unreadable[name] = Queue(name, held=str(error)), str(error)
        for status in self._station.channels():
            self.channel_changed(status)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._queues)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name in self._queues:
                group.create_task(self._keep(name), name=f"queue {name}")

    def durable(self, run: str) -> None:
        """Rows are nothing to a queue."""

    def channel_changed(self, status: ChannelStatus) -> None:
        name = status.channel
        queue = decide.seen(self._queues[name], self._seen.get(name), status)
        self._seen[name] = status
        self._queues[name] = queue
        self._wakes[name].set()

    def stopping(self, channel: str, by: str) -> None:
        """Before a stop: its run may end as it should in this very moment, and then nothing must follow it."""
        queue = self._queues.get(channel)
        if queue is not None and queue.ready is not None:
            self._queues[channel] = decide.held(queue, f"{ChannelState.STOPPED}: stopped by {by or 'a person'}")
            self._wakes[channel].set()

    def told(self, channel: str) -> QueueStatus | None:
        """For the channel's state."""
        return self._queues[channel].status()

    def of(self, channel: str) -> dict[str, JSON]:
        """The whole queue, for people."""
        queue, status = self._queue(channel), self._status(channel)
        return {
            "channel": channel,
            "held": queue.held,
            "ready": None if queue.ready is None else queue.ready.entry,
            "waits": decide.waits(queue, status),
            "entries": [_shown(entry) for entry in queue.entries],
        }

    async def add(self, channel: str, order: Order) -> Entry:
        """Checked and planned as for a start, with the same errors; it is once more when it begins."""
        self._queue(channel)
        prepared = await self._station.look(channel, order)
        bounded = prepared.info.plan.get("at_most_s")
        entry = entry_of(
            order,
            id=secrets.token_hex(4),
            protocol=prepared.program.name,
            cell=prepared.program.cell.name,
            at_most_s=bounded if isinstance(bounded, int | float) else None,
            utc_s=self._utc(),
        )
        await self._change(channel, lambda queue: decide.added(queue, entry))
        return entry

    async def remove(self, channel: str, entry: str) -> None:
        await self._change(channel, lambda queue: decide.removed(queue, entry))

    async def move(self, channel: str, entry: str, to: int) -> None:
        await self._change(channel, lambda queue: decide.moved(queue, entry, to))

    async def ready(self, channel: str, entry: str, by: str) -> None:
        status = self._status(channel)
        await self._change(channel, lambda queue: decide.marked(queue, entry, by, status))

    async def unready(self, channel: str, entry: str) -> None:
        await self._change(channel, lambda queue: decide.unmarked(queue, entry))

    async def hold(self, channel: str, why: str, by: str) -> None:
        await self._change(channel, lambda queue: decide.held(queue, f"{why or 'on request'}, {by or 'a person'}"))

    async def release(self, channel: str, by: str) -> None:
        log.warning("channel %s: its queue is released by %s", channel, by)
        await self._change(channel, decide.released)

    async def _change(self, channel: str, decided: Callable[[Queue], Queue]) -> None:
        """In memory at once; what is asked of a queue that nobody can read is refused."""
        if channel in self._unreadable:
            raise RefusedError(self._unreadable[channel])
        self._queues[channel] = decided(self._queue(channel))
        if decide.called_off(self._queues[channel]):
            self._station.call_off(channel, "")
        await self._save(channel)
        self._station.changed(channel)
        self._wakes[channel].set()

    async def _save(self, channel: str) -> None:
        """The newest; a queue that disk does not know takes nothing."""
        if channel in self._unreadable:
            return
        async with self._turns[channel]:
            try:
                await asyncio.to_thread(write_queue, self._data_dir, self._queues[channel])
            except StoreError as error:
                self._queues[channel] = decide.held(self._queues[channel], str(error))
                raise

    def _queue(self, channel: str) -> Queue:
        if channel not in self._queues:
            raise RefusedError(f"no channel {channel!r}: there are {', '.join(sorted(self._queues))}")
        return self._queues[channel]

    def _status(self, channel: str) -> ChannelStatus:
        self._queue(channel)
        return _named(self._station.channels(), channel)

    async def _keep(self, name: str) -> None:
        """Whatever woke it: what is new goes to disk, and what may begin begins."""
        saved = self._queues[name]
        while True:
            await self._wakes[name].wait()
            self._wakes[name].clear()
            try:
                if replace(self._queues[name], ready=None) != replace(saved, ready=None):
                    saved = self._queues[name]
                    await self._save(name)
                    self._station.changed(name)
                await self._take(name)
            except CyclerError as error:
                log.warning("queue of channel %s: %s", name, error)

    async def _take(self, name: str) -> None:
        queue = self._queues[name]
        entry, mark = queue.first, queue.ready
        if entry is None or mark is None or decide.waits(queue, self._status(name)) is not None:
            return
        run = new_run_id(name, self._utc(), secrets.token_hex(2))
        self._queues[name] = decide.taken(queue, run)
        try:
            await self._save(name)
            if decide.called_off(self._queues[name]):
                raise RefusedError(CALLED_OFF)
            by = f"{mark.by or 'a person'}, who marked its cell ready; queued by {entry.by or 'a person'}"
            await self._station.begin(name, entry.order(by), run)
        except TooSoonError as error:
            log.info("queue of channel %s: %s begins later: %s", name, entry.title, error)
            self._queues[name] = decide.put_off(self._queues[name])
            asyncio.get_running_loop().call_later(error.wait_s, self._wakes[name].set)
        except CyclerError as error:
            self._queues[name] = decide.not_begun(self._queues[name], f"{entry.title} did not begin: {error}")
        else:
            self._queues[name] = decide.begun(self._queues[name])
        await self._save(name)
        self._station.changed(name)


def _named(channels: Iterable[ChannelStatus], name: str) -> ChannelStatus:
    return next(status for status in channels if status.channel == name)


def _shown(entry: Entry) -> dict[str, JSON]:
    return {
        "id": entry.id,
        "protocol": entry.protocol,
        "cell": entry.cell,
        "file_name": entry.file_name,
        "by": entry.by,
        "added_utc_s": entry.added_utc_s,
        "at_most_s": entry.at_most_s,
    }
