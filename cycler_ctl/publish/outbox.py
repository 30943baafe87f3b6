"""What goes out next: durable rows and events of all runs by cursor, live runs first, a bounded number on the way.

Only what the broker acknowledged moves a cursor. Belongs to one thread; no I/O but the run files and ``Cursors``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from cycler_ctl.errors import StoreError
from cycler_ctl.publish import payloads
from cycler_ctl.publish.cursors import Cursors, LaneKey, Stream
from cycler_ctl.publish.digest import Digest
from cycler_ctl.publish.lane import BATCH_ROWS, Lane, Span
from cycler_ctl.publish.source import RunFile, RunFiles
from protocols.record import Row

WINDOW = 20
"""Messages that may wait for their acknowledgement at the same time."""
MESSAGE_BYTES = 64 * 1024
_OPEN_FILES = 32
_DIGEST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of quality of service 1. ``leaf`` is the last level of the channel's topic."""

    lane: LaneKey
    channel: str
    span: Span
    leaf: Stream
    payload: bytes

    @property
    def retain(self) -> bool:
        """Summaries stay with the broker; what must come once only does not."""
        return self.leaf is Stream.SUMMARIES


@dataclass(slots=True)
class _Tracked:
    """A run with something to send, or that may yet have. ``turn``: when it was last served, for fairness."""

    run: str
    channel: str
    lanes: dict[LaneKey, Lane] = field(default_factory=dict[LaneKey, Lane])
    ends: dict[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    """The last numbers of epochs that are over."""
    live: bool = False
    turn: int = 0
    ended: bool = False
    digest: Digest = field(default_factory=Digest)

    def lane(self, stream: Stream) -> Lane:
        """Of the newest epoch."""
        return next(lane for key, lane in reversed(self.lanes.items()) if key.stream is stream)

    def busy(self) -> bool:
        """Something is not acknowledged yet."""
        return any(lane.waiting for lane in self.lanes.values())

    def undigested(self) -> bool:
        """All rows are delivered for good; what they were must still be said."""
        manifest = self.lane(Stream.MANIFESTS)
        return self.ended and manifest.durable == 0 and not _rows_waiting(self)


class Outbox:
    def __init__(self, cursors: Cursors, files: RunFiles) -> None:
        self._cursors = cursors
        self._files = files
        self._open: OrderedDict[str, RunFile] = OrderedDict()
        self._runs: dict[str, _Tracked] = {}
        self._window = WINDOW
        self._turn = 0
        self.unreadable: dict[str, str] = {}
        """Runs that could not be read, and why; each is tried again when more of it is durable."""
        self.dead_letters = cursors.dead_letters()

    def discover(self) -> None:
        """Runs of earlier sessions that still have something to send."""
        complete = self._cursors.complete()
        for run in self._files.names():
            if run not in complete and run not in self._runs:
                self._refresh(run)

    def durable(self, run: str) -> None:
        """More of this run, of this session, is on disk."""
        self._refresh(run)
        if run in self._runs:
            self._runs[run].live = True

    def next(self, utc_s: float) -> Outgoing | None:
        """What to send now, counted as on its way; None while there is nothing or the window is full."""
        while self._in_flight() < self._window:
            lane = self._choose()
            if lane is None:
                return None
            outgoing = self._build(lane, utc_s)
            if outgoing is not None:
                self._lane(lane).sending(outgoing.span)
                return outgoing
        return None

    def acknowledged(self, outgoing: Outgoing) -> None:
        """The broker has it."""
        tracked = self._runs.get(outgoing.lane.run)
        if tracked is None or outgoing.lane not in tracked.lanes:
            return
        lane = tracked.lanes[outgoing.lane]
        before = lane.acknowledged
        if outgoing.span.probe:
            self._cursors.bury(outgoing.lane, outgoing.span.first, "the broker closed the connection on it every time")
            self.dead_letters = self._cursors.dead_letters()
        if lane.acknowledge(outgoing.span) > before:
            self._cursors.advance(outgoing.lane, lane.acknowledged)
        self._window = min(WINDOW, self._window + 1)
        if not tracked.busy():
            self._refresh(outgoing.lane.run)

    def lost(self) -> None:
        """The connection ended: whatever was on its way is sent again, carefully, so that one bad message is found."""
        flying = self._in_flight()
        for tracked in self._runs.values():
            for lane in tracked.lanes.values():
                lane.lost(alone=flying == 1)
        if flying:
            self._window = 1

    def digest_some(self) -> bool:
        """A little work on the manifest of an ended run; False if there is none to do."""
        tracked = next((tracked for tracked in self._runs.values() if tracked.undigested()), None)
        if tracked is None:
            return False
        try:
            rows = self._file(tracked.run).rows(tracked.digest.rows, _DIGEST_ROWS)
            tracked.digest.add(self._files.values(tracked.run, row) for row in rows)
        except StoreError as error:
            self._give_up(tracked.run, error)
            return True
        if not rows:
            tracked.lane(Stream.MANIFESTS).durable = 1
        return True

    def commit(self) -> None:
        self._cursors.commit()

    def waiting(self) -> Mapping[str, int]:
        """Durable rows per run that no broker has acknowledged."""
        return {run: rows for run, tracked in self._runs.items() if (rows := _rows_waiting(tracked))}

    def idle(self) -> bool:
        """Everything durable is acknowledged, and of ended runs it is said what they were."""
        return not any(tracked.busy() or tracked.undigested() for tracked in self._runs.values())

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
        self._cursors.close()

    def _in_flight(self) -> int:
        return sum(lane.in_flight for tracked in self._runs.values() for lane in tracked.lanes.values())

    def _lane(self, key: LaneKey) -> Lane:
        return self._runs[key.run].lanes[key]

    def _choose(self) -> LaneKey | None:
        """Innocent before suspected, live before old, the one served longest ago first, events before samples."""
        ready = [
            (lane.suspected, not tracked.live, tracked.turn, key.stream, key.run, key)
            for tracked in self._runs.values()
            for key, lane in tracked.lanes.items()
            if lane.next_span() is not None
        ]
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
        file = self._file(run)
        ended = file.ended()  # before the counts: nothing follows an end
        tracked = self._track(run, file)
        tracked.ended = ended
        for key, lane in tracked.lanes.items():
            if key in tracked.ends:
                # what a broker has beyond an epoch's end the disk took back: its numbers denote nothing else for ever
                lane.durable = max(tracked.ends[key], lane.acknowledged)
                continue
            lane.durable = file.last(key.stream, lane.durable)
            _check_cursor(key, lane)
        if ended and not tracked.busy() and not tracked.undigested():
            self._cursors.mark_complete(run)
            self._forget(run)

    def _track(self, run: str, file: RunFile) -> _Tracked:
        """A lane for each stream of each epoch; a run that went on has more than when it was last looked at."""
        tracked = self._runs.setdefault(run, _Tracked(run, file.channel))
        stretches = file.stretches()
        for number, (stretch, stream) in enumerate(product(stretches, Stream)):
            key = LaneKey(run, stretch.epoch, stream)
            if key not in tracked.lanes:
                acknowledged = max(self._cursors.acknowledged(key), stretch.before(stream))
                tracked.lanes[key] = Lane(acknowledged, BATCH_ROWS if stream is Stream.SAMPLES else 1)
            if number < len(Stream) * (len(stretches) - 1):
                following = stretches[number // len(Stream) + 1]
                tracked.ends[key] = 0 if stream is Stream.MANIFESTS else following.before(stream)
        return tracked

    def _file(self, run: str) -> RunFile:
        file = self._open.pop(run, None) or self._files.open(run)
        self._open[run] = file
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return file

    def _forget(self, run: str) -> None:
        self._runs.pop(run, None)
        file = self._open.pop(run, None)
        if file is not None:
            file.close()

    def _give_up(self, run: str, error: StoreError) -> None:
        self.unreadable[run] = str(error)
        self._forget(run)

    def _build(self, key: LaneKey, utc_s: float) -> Outgoing | None:
        span = self._lane(key).next_span()
        if span is None:
            return None
        channel = self._runs[key.run].channel
        try:
            return self._outgoing(key, channel, span, utc_s)
        except StoreError as error:
            self._give_up(key.run, error)
            return None

    def _outgoing(self, key: LaneKey, channel: str, span: Span, utc_s: float) -> Outgoing:
        file = self._file(key.run)
        number = span.first
        if span.probe:
            notice = payloads.dead_letter(key.run, key.epoch, key.stream, number, utc_s)
            return Outgoing(key, channel, span, Stream.EVENTS, notice)
        match key.stream:
            case Stream.SAMPLES:
                return self._samples(key, channel, file, span)
            case Stream.EVENTS:
                payload = payloads.event(key.run, key.epoch, number, file.event(number))
            case Stream.SUMMARIES:
                payload = payloads.summary(key.run, key.epoch, file.cycle(number))
            case Stream.MANIFESTS:
                digest = self._runs[key.run].digest
                payload = payloads.manifest(key.run, key.epoch, digest.rows, digest.hex())
        return Outgoing(key, channel, span, key.stream, payload)

    def _samples(self, key: LaneKey, channel: str, file: RunFile, span: Span) -> Outgoing:
        rows = file.rows(span.first - 1, span.last - span.first + 1)
        _check_dense(key.run, rows, span)
        while True:
            payload = payloads.samples(
                key.run, key.epoch, span.first, self._files.columns, (self._files.values(key.run, row) for row in rows)
            )
            if len(payload) <= MESSAGE_BYTES or len(rows) == 1:
                return Outgoing(key, channel, span, key.stream, payload)
            rows = rows[: len(rows) // 2]
            span = Span(span.first, span.first + len(rows) - 1)


def _rows_waiting(tracked: _Tracked) -> int:
    return sum(lane.waiting for key, lane in tracked.lanes.items() if key.stream is Stream.SAMPLES)


def _check_dense(run: str, rows: Sequence[Row], span: Span) -> None:
    """A message names only its first row: the others must follow without a hole."""
    if [row.seq for row in rows] != list(range(span.first, span.last + 1)):
        raise StoreError(f"{run}: rows {span.first} to {span.last} are not all in the run file")


def _check_cursor(key: LaneKey, lane: Lane) -> None:
    """A cursor beyond the end: its numbers would come to denote something else. Never published again."""
    if lane.durable < lane.acknowledged:
        raise StoreError(
            f"{key.run}: a broker has {key.stream} {lane.acknowledged}, the run file ends at {lane.durable}: "
            "an older copy was restored, or the disk lied; nothing more of this run is published"
        )
