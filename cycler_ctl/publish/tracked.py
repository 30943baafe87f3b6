"""A run on its way out: a lane for each stream of each of its epochs, and what is still to be said of all its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from cycler_ctl.errors import StoreError
from cycler_ctl.publish import payloads
from cycler_ctl.publish.cursors import Cursors, FinalManifest, LaneKey, Stream
from cycler_ctl.publish.digest import Digest
from cycler_ctl.publish.lane import BATCH_ROWS, Lane
from cycler_ctl.publish.openfiles import OpenFiles
from cycler_ctl.publish.source import RunFile, Stretch

_DAY_S = 86_400.0
_DIGEST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Due:
    """A manifest that is to be made, of the first ``rows`` rows."""

    rows: int
    final: bool


@dataclass(slots=True)
class Tracked:
    """A run with something to send, or that may yet have. ``turn``: when it was last served, for fairness."""

    run: str
    channel: str
    stretches: Sequence[Stretch] = ()
    lanes: dict[LaneKey, Lane] = field(default_factory=dict[LaneKey, Lane])
    ends: dict[LaneKey, int] = field(default_factory=dict[LaneKey, int])
    """The last numbers of epochs that are over."""
    live: bool = False
    turn: int = 0
    ended: bool = False
    digest: Digest = field(default_factory=Digest)
    due: Due | None = None
    manifest: FinalManifest | None = None
    """Made, and not acknowledged yet."""
    final: bool = False
    """The last manifest is, or was, the one of the run's end."""
    day: int | None = None
    """Of the newest row when it was first looked at, then of the last look: nobody was here for a manifest in between."""

    def lane(self, stream: Stream) -> Lane:
        """Of the newest epoch."""
        return next(lane for key, lane in reversed(self.lanes.items()) if key.stream is stream)

    def busy(self) -> bool:
        """Something is not acknowledged yet."""
        return any(lane.waiting for lane in self.lanes.values())

    def rows_waiting(self) -> int:
        return sum(lane.waiting for key, lane in self.lanes.items() if key.stream is Stream.SAMPLES)

    def gathering(self, key: LaneKey) -> bool:
        """Rows of a run that goes on may wait for others to share a message with."""
        return key.stream is Stream.SAMPLES and self.live and not self.ended and self.lanes[key].gathering

    def release(self) -> None:
        """What is durable now waits for no other row."""
        for lane in self.lanes.values():
            lane.released = lane.durable

    def undigested(self) -> bool:
        """The rows of a manifest that is due are delivered for good; what they were must still be said."""
        if self.due is None or self.manifest is not None:
            return False
        return not self.rows_waiting() or (not self.due.final and self._delivered() >= self.due.rows)

    def finished(self) -> bool:
        return self.ended and self.final and self.due is None and not self.busy()

    def follow(self, stretches: Sequence[Stretch], cursors: Cursors) -> None:
        """Lanes for new epochs: a run that went on has more of them than when it was last looked at."""
        if len(stretches) == len(self.stretches):
            return
        self.stretches = tuple(stretches)
        # a new epoch may begin below what was looked at: the disk took it back
        self.digest, self.due, self.manifest, self.final = Digest(), None, None, False
        for stretch, stream in product(stretches, Stream):
            key = LaneKey(self.run, stretch.epoch, stream)
            if key not in self.lanes:
                acknowledged = max(cursors.acknowledged(key), stretch.before(stream))
                self.lanes[key] = Lane(acknowledged, BATCH_ROWS if stream is Stream.SAMPLES else 1)
        for (over, following), stream in product(pairwise(stretches), Stream):
            end = 0 if stream is Stream.MANIFESTS else following.before(stream)
            self.ends[LaneKey(self.run, over.epoch, stream)] = end

    def look(self, file: RunFile) -> None:
        """How much of each stream is durable."""
        for key, lane in self.lanes.items():
            if key in self.ends:
                # what a broker has beyond an epoch's end the disk took back: its numbers denote nothing else for ever
                lane.durable = max(self.ends[key], lane.acknowledged)
                continue
            lane.durable = file.last(key.stream, lane.durable)
            _check_cursor(key, lane)
        rows = self.lane(Stream.SAMPLES).durable
        if self.day is None and rows and not self.ended:
            self.day = int(file.rows(rows - 1, 1)[0].utc_s // _DAY_S)
        if self.ended and not self.final and not (self.due is not None and self.due.final):
            self.due = Due(self.lane(Stream.SAMPLES).durable, final=True)

    def new_day(self, utc_s: float) -> bool:
        """Once a UTC day a manifest of all so far is due; True: now."""
        day = int(utc_s // _DAY_S)
        before, self.day = self.day, day
        if before in {None, day} or self.ended or self.due is not None or self.manifest is not None:
            return False
        self.due = Due(self.lane(Stream.SAMPLES).durable, final=False)
        return True

    def digest_some(self, files: OpenFiles) -> bool:
        """A few rows more of the manifest that is due; True: that was the last one."""
        left = 0 if self.due is None else self.due.rows - self.digest.rows
        if left <= 0:
            return True
        rows = files.of(self.run).rows(self.digest.rows, min(left, _DIGEST_ROWS))
        if not rows:
            raise StoreError(f"{self.run}: row {self.digest.rows + 1} is not in the run file")
        self.digest.add(files.all.values(self.run, row) for row in rows)
        return len(rows) == left

    def digested(self) -> None:
        """Every row of the manifest that was due is in its fingerprint."""
        if self.due is None:
            return
        firsts = [(stretch.epoch, stretch.before(Stream.SAMPLES) + 1) for stretch in self.stretches]
        rows, final = self.digest.rows, self.due.final
        payload = payloads.manifest(self.run, rows, self.digest.hex(), firsts, final=final)
        self.manifest, self.due = FinalManifest(firsts[-1][0], rows, payload), None
        self.final = final
        lane = self.lane(Stream.MANIFESTS)
        lane.durable = lane.acknowledged + 1

    def _delivered(self) -> int:
        """Rows up to here are acknowledged, of all epochs."""
        return self.lane(Stream.SAMPLES).acknowledged if self.rows_waiting() == self.lane(Stream.SAMPLES).waiting else 0


def _check_cursor(key: LaneKey, lane: Lane) -> None:
    """A cursor beyond the end: its numbers would come to denote something else. Never published again."""
    if lane.durable < lane.acknowledged:
        raise StoreError(
            f"{key.run}: a broker has {key.stream} {lane.acknowledged}, the run file ends at {lane.durable}: "
            "an older copy was restored, or the disk lied; nothing more of this run is published"
        )
