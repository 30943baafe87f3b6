"""What goes out next: durable rows and events of all runs by cursor, live runs first, a bounded number on the way.

Only what the broker acknowledged moves a cursor. Belongs to one thread; no I/O but the run files and ``Cursors``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from itertools import product

from cycler_ctl.errors import StoreError
from cycler_ctl.publish.again import Again, Wanted, next_span, stretch_of
from cycler_ctl.publish.cursors import Confirmed, Cursors, LaneKey, Stream
from cycler_ctl.publish.lane import Lane
from cycler_ctl.publish.openfiles import OpenFiles
from cycler_ctl.publish.outgoing import MESSAGE_BYTES, Outgoing, listing, notice, recorded
from cycler_ctl.publish.source import RunFiles, Stretch
from cycler_ctl.publish.tracked import Tracked

__all__ = ["MESSAGE_BYTES", "WINDOW", "Outbox", "Outgoing"]

WINDOW = 20
"""Messages that may wait for their acknowledgement at the same time."""


class Outbox:
    """``gathers``: rows of runs that go on wait until a message is full, an event tells of them, or ``release``.

    A message costs the broker, and whoever reads it, the same for one row as for sixty. ``channels``: of the station.
    """

    def __init__(self, cursors: Cursors, files: RunFiles, *, gathers: bool = False, channels: int = 0) -> None:
        self._gathers = gathers
        self._cursors = cursors
        self._files = OpenFiles(files, channels)
        self._runs: dict[str, Tracked] = {}
        self._window = WINDOW
        self._turn = 0
        self._flying: set[Lane] = set()  # no other has a message on its way
        self._stirred: set[str] = set()
        """Runs to which something has happened since there was nothing of them to send: no other has anything."""
        self._again = Again()
        self._flying_again = 0
        self._list_after: str | None = None
        self.unreadable: dict[str, str] = {}
        """Runs that could not be read, and why; each is tried again when more of it is durable."""
        self.dead_letters = cursors.dead_letters()
        self.confirmed = cursors.confirmed()

    def discover(self) -> None:
        """Runs of earlier sessions that still have something to send."""
        complete = self._cursors.complete()
        for run in self._files.all.names():
            if run not in complete and run not in self._runs:
                self._refresh(run)

    def durable(self, run: str) -> None:
        """More of this run, of this session, is on disk."""
        self._refresh(run)
        if run in self._runs:
            self._runs[run].live = True

    def next(self, utc_s: float) -> Outgoing | None:
        """What to send now, counted as on its way; None while there is nothing or the window is full."""
        while self._in_flight() + self._flying_again < self._window:
            lane = self._choose()
            if lane is None:
                return self._next_again()
            outgoing = self._build(lane, utc_s)
            if outgoing is not None:
                self._lane(lane).sending(outgoing.span)
                self._flying.add(self._lane(lane))
                return outgoing
        return None

    def acknowledged(self, outgoing: Outgoing) -> None:
        """The broker has it."""
        if outgoing.again:
            self._flying_again = max(0, self._flying_again - 1)
            return
        tracked = self._runs.get(outgoing.lane.run)
        if tracked is None or outgoing.lane not in tracked.lanes:
            return
        lane = tracked.lanes[outgoing.lane]
        before = lane.acknowledged
        if outgoing.span.probe:
            self._cursors.bury(outgoing.lane, outgoing.span.first, "no broker takes it, however often it is sent")
            self.dead_letters = self._cursors.dead_letters()
        if lane.acknowledge(outgoing.span) > before:
            self._cursors.advance(outgoing.lane, lane.acknowledged)
            if outgoing.lane.stream is Stream.MANIFESTS:
                self._manifest_arrived(tracked)
        self._stirred.add(outgoing.lane.run)
        self._window = min(WINDOW, self._window + 1)
        if not tracked.busy() and (tracked.ended or not tracked.live):  # of a run that goes on ``durable`` tells more
            self._refresh(outgoing.lane.run)

    def too_large(self, outgoing: Outgoing) -> None:
        """The broker says that it never takes a message of this size."""
        if outgoing.again:
            self._flying_again = max(0, self._flying_again - 1)
        elif outgoing.lane.run in self._runs:
            self._lane(outgoing.lane).too_large(outgoing.span)
            self._stirred.add(outgoing.lane.run)

    def lost(self, *, suspicious: bool = True) -> None:
        """The connection ended: what was on its way is sent again, carefully, to find a bad message (if ``suspicious``)."""
        flying = self._in_flight()
        alone = suspicious and flying == 1 and not self._flying_again
        for tracked in self._runs.values():
            for lane in tracked.lanes.values():
                lane.lost(alone=alone)
        self._stirred.update(self._runs)
        if flying:
            self._window = 1
        self._flying_again = 0
        self._again.clear()
        self._list_after = None

    def need(self, wanted: Wanted) -> bool:
        """A reader asks for rows that a broker had already; False: there are none, or it asks too often."""
        try:
            return self._again.room_for(wanted.client) and self._ask(wanted)
        except StoreError:
            return False

    def release(self) -> None:
        """All rows that waited for others have waited long enough."""
        for tracked in self._runs.values():
            tracked.release()
        self._stirred.update(self._runs)

    def hurry(self) -> None:
        """No row waits for others any more."""
        self._gathers = False
        self._stirred.update(self._runs)

    def list_runs(self, after: str) -> None:
        """A reader asks which runs there are."""
        self._list_after = after if self._list_after is None else min(after, self._list_after)

    def confirm(self, said: Confirmed) -> None:
        """A sink says how far it keeps a run; what the disk does not take, it says again."""
        with contextlib.suppress(StoreError):
            self._cursors.confirm(said)
            self.confirmed = self._cursors.confirmed()

    def new_day(self, utc_s: float) -> bool:
        """Of runs that are not over, and over which a midnight (UTC) went, a manifest is due; True: there is more to do."""
        return sum(tracked.new_day(utc_s) for tracked in self._runs.values()) > 0

    def digest_some(self) -> bool:
        """A little work on a manifest; False if there is none to do."""
        tracked = next((tracked for tracked in self._runs.values() if tracked.undigested()), None)
        if tracked is None:
            return False
        try:
            if tracked.digest_some(self._files):
                tracked.digested()
                self._stirred.add(tracked.run)
        except StoreError as error:
            self._give_up(tracked.run, error)
        return True

    def commit(self) -> None:
        self._cursors.commit()

    def waiting(self) -> Mapping[str, int]:
        """Durable rows per run that no broker has acknowledged."""
        return {run: rows for run, tracked in self._runs.items() if (rows := tracked.rows_waiting())}

    def idle(self) -> bool:
        """Everything durable is acknowledged, and of ended runs it is said what they were."""
        return not any(tracked.busy() or tracked.undigested() for tracked in self._runs.values())

    def close(self) -> None:
        self._files.close()
        self._cursors.close()

    def _in_flight(self) -> int:
        self._flying = {lane for lane in self._flying if lane.in_flight}
        return sum(lane.in_flight for lane in self._flying)

    def _lane(self, key: LaneKey) -> Lane:
        return self._runs[key.run].lanes[key]

    def _choose(self) -> LaneKey | None:
        """Innocent before suspected, live before old, the one served longest ago first, events before samples."""
        ready = [
            (lane.suspected, not tracked.live, tracked.turn, key.stream, key.run, key)
            for tracked in map(self._runs.__getitem__, self._stirred)
            for key, lane in tracked.lanes.items()
            if lane.ready and not (self._gathers and tracked.gathering(key))
        ]
        self._stirred = {each[4] for each in ready}
        if not ready:
            return None
        key = min(ready, key=lambda each: each[:5])[5]
        self._turn += 1
        self._runs[key.run].turn = self._turn
        return key

    def _refresh(self, run: str) -> None:
        """Look how much is durable; forget the run for good once it has ended and everything is acknowledged."""
        try:
            self._look(run)
            self.unreadable.pop(run, None)
        except StoreError as error:
            self._give_up(run, error)

    def _look(self, run: str) -> None:
        file = self._files.of(run)
        ended = file.ended()  # before the counts: nothing follows an end
        tracked = self._runs.setdefault(run, Tracked(run, file.channel))
        tracked.follow(file.stretches(), self._cursors)
        tracked.ended = ended
        tracked.look(file)
        self._stirred.add(run)
        if tracked.finished():
            self._cursors.mark_complete(run)
            self._forget(run)

    def _manifest_arrived(self, tracked: Tracked) -> None:
        if tracked.manifest is not None and tracked.final:
            self._cursors.keep_manifest(tracked.run, tracked.manifest)
            self.confirmed = self._cursors.confirmed()
        tracked.manifest = None

    def _forget(self, run: str) -> None:
        if (tracked := self._runs.pop(run, None)) is not None:
            self._flying -= set(tracked.lanes.values())
        self._stirred.discard(run)
        self._files.close_one(run)

    def _give_up(self, run: str, error: StoreError) -> None:
        self.unreadable[run] = str(error)
        self._forget(run)

    def _build(self, key: LaneKey, utc_s: float) -> Outgoing | None:
        span = self._lane(key).next_span()
        if span is None:
            return None
        tracked = self._runs[key.run]
        if span.probe:
            return notice(key, tracked.channel, span, utc_s)
        if key.stream is Stream.MANIFESTS:
            payload = tracked.manifest.payload if tracked.manifest is not None else b""
            return Outgoing(key, tracked.channel, span, key.stream, payload)
        if key.stream is Stream.EVENTS:
            tracked.release()
        try:
            return recorded(self._files, key, tracked.channel, span)
        except StoreError as error:
            self._give_up(key.run, error)
            return None

    def _ask(self, wanted: Wanted) -> bool:
        stretches = self._files.of(wanted.run).stretches()
        first, last = stretch_of(stretches, wanted.lane, self._cursors.acknowledged(wanted.lane))
        final = self._cursors.manifest(wanted.run)
        end = final is not None and wanted.last > final.rows
        if end:
            self._ask_notes(wanted, stretches)
        clipped = Wanted(wanted.run, wanted.epoch, max(first, wanted.first), min(last, wanted.last), wanted.client, end)
        return self._again.ask(clipped)

    def _ask_notes(self, wanted: Wanted, stretches: Sequence[Stretch]) -> None:
        """A reader that has not heard of a run's end may have missed its events too; the manifest comes after them."""
        for stretch, stream in product(stretches, (Stream.EVENTS, Stream.SUMMARIES)):
            lane = LaneKey(wanted.run, stretch.epoch, stream)
            first, last = stretch_of(stretches, lane, self._cursors.acknowledged(lane))
            self._again.ask(Wanted(wanted.run, stretch.epoch, first, last, wanted.client, stream=stream))

    def _next_again(self) -> Outgoing | None:
        """What a reader asked for; where its file is gone meanwhile, it asks in vain."""
        if (listed := self._next_listing()) is not None:
            return listed
        while (wanted := self._again.first()) is not None:
            try:
                outgoing = self._rows_again(wanted)
            except StoreError:
                self._again.drop()
                continue
            self._again.sent(outgoing.span.last)
            self._flying_again += 1
            return outgoing
        return None

    def _next_listing(self) -> Outgoing | None:
        """Only of runs whose files are there still."""
        while self._list_after is not None:
            found = self._cursors.listed(self._list_after)
            self._list_after = found[-1].run if found else None
            names = set(self._files.all.names())
            if kept := [each for each in found if each.run in names]:
                self._flying_again += 1
                return listing(kept)
        return None

    def _rows_again(self, wanted: Wanted) -> Outgoing:
        channel = self._files.of(wanted.run).channel
        span = next_span(wanted)
        if span.first <= span.last:
            return recorded(self._files, wanted.lane, channel, span, again=True)
        final = self._cursors.manifest(wanted.run)
        payload = b"" if final is None else final.payload
        return Outgoing(wanted.lane, channel, span, Stream.MANIFESTS, payload, again=True)
