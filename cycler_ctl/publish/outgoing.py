"""Messages made of what is durable in a run file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cycler_ctl.errors import StoreError
from cycler_ctl.publish import payloads
from cycler_ctl.publish.cursors import LaneKey, Listed, Stream
from cycler_ctl.publish.lane import Span
from cycler_ctl.publish.openfiles import OpenFiles
from protocols.record import Row

MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of quality of service 1. ``leaf`` is the last level of the channel's topic; no channel: the station's.

    ``again``: a reader asked for it; no cursor moves by it.
    """

    lane: LaneKey
    channel: str
    span: Span
    leaf: str
    payload: bytes
    again: bool = False

    @property
    def retain(self) -> bool:
        """Summaries stay with the broker, the newest; what must come once only does not, and nothing that is old."""
        return self.leaf == Stream.SUMMARIES and not self.again


def notice(key: LaneKey, channel: str, span: Span, utc_s: float) -> Outgoing:
    """In the place of a row or event that no broker takes."""
    payload = payloads.dead_letter(key.run, key.epoch, key.stream, span.first, utc_s)
    return Outgoing(key, channel, span, Stream.EVENTS, payload)


def recorded(files: OpenFiles, key: LaneKey, channel: str, span: Span, *, again: bool = False) -> Outgoing:
    """Rows, an event or a cycle, as they stand in the run file."""
    file = files.of(key.run)
    if key.stream is Stream.SAMPLES:
        return samples(files, key, channel, span, again=again)
    if key.stream is Stream.EVENTS:
        payload = payloads.event(key.run, key.epoch, span.first, file.event(span.first))
    else:
        cycle = file.cycle(span.first)
        payload = payloads.summary(key.run, key.epoch, cycle, file.efficiency(cycle))
    return Outgoing(key, channel, span, key.stream, payload, again)


def listing(listed: Sequence[Listed]) -> Outgoing:
    """Which runs there are, for a reader that may know none of them."""
    key, span = LaneKey(listed[-1].run, listed[-1].epoch, Stream.MANIFESTS), Span(1, 0)
    return Outgoing(key, "", span, "runs", payloads.runs(listed), again=True)


def samples(files: OpenFiles, key: LaneKey, channel: str, span: Span, *, again: bool = False) -> Outgoing:
    """As many rows of ``span`` as one message may hold."""
    rows = files.of(key.run).rows(span.first - 1, span.last - span.first + 1)
    _check_dense(key.run, rows, span)
    columns = files.all.columns
    while True:
        values = (files.all.values(key.run, row) for row in rows)
        payload = payloads.samples(key.run, key.epoch, span.first, columns, values)
        if len(payload) <= MESSAGE_BYTES or len(rows) == 1:
            return Outgoing(key, channel, span, key.stream, payload, again)
        rows = rows[: len(rows) // 2]
        span = Span(span.first, span.first + len(rows) - 1)


def _check_dense(run: str, rows: Sequence[Row], span: Span) -> None:
    """A message names only its first row: the others must follow without a hole."""
    if [row.seq for row in rows] != list(range(span.first, span.last + 1)):
        raise StoreError(f"{run}: rows {span.first} to {span.last} are not all in the run file")
