"""What earlier sessions left open: each such run is consistent on disk, told as interrupted, and waits for a person."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.store.info import RUN_ID, RunInfo
from cycler_ctl.store.published import rows_beyond
from cycler_ctl.store.reader import RunOverview, list_runs, open_run
from cycler_ctl.store.segment import Ending
from cycler_ctl.store.writer import RunWriter, reopen_run
from cycler_ctl.watching import latch
from protocols.record import JSON, EventKind, EventRecord, Outcome

log = logging.getLogger(__name__)

INTERRUPTED = "the service or the PC stopped during the run"
CLOSE_S = 10.0
LATCHING = frozenset({Outcome.TRIPPED, Outcome.FAULTED})
Told = Callable[[str], None]
Utc = Callable[[], float]


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A channel and its newest run, where a person must look. ``info`` None: its record cannot be read, ``reason`` says why.

    ``run`` None: it is about the channel alone.
    """

    run: str | None
    channel: str
    info: RunInfo | None
    reason: str
    state: ChannelState = ChannelState.INTERRUPTED


def waiting(data_dir: Path, channels: Iterable[str], *, on_durable: Told, utc: Utc) -> Iterator[LeftOpen]:
    """What waits for a person on each of these channels: its run, or what happened to its output without one, or both."""
    runs = {found.channel: found for found in left_open(data_dir, on_durable=on_durable, utc=utc)}
    for channel in channels:
        found, why = runs.get(channel), latch.latched(data_dir, channel)
        if why is None:
            if found is not None:
                yield found
        elif found is None:
            yield LeftOpen(None, channel, None, why, ChannelState.FAULTED)
        else:
            yield replace(found, reason=f"{found.reason}; {why}", state=ChannelState.FAULTED)


def left_open(data_dir: Path, *, on_durable: Told, utc: Utc) -> Iterator[LeftOpen]:
    """Tells each run that never ended as interrupted; of each channel one that waits for a person, if any, is given.

    The newest such one: which run was the last of all its name does not tell where the clock was set back since.
    """
    seen: set[str] = set()
    given: set[str] = set()
    for overview in list_runs(data_dir):
        if RUN_ID.fullmatch(overview.run) is None:
            continue
        channel = overview.run[16:-5]  # YYYYMMDD-hhmmss-<channel>-<4 random>: known even where nothing can be read
        can_matter = overview.state is not None or channel not in seen
        seen.add(channel)
        reason = _reason(overview, on_durable, utc)
        found = _latched(overview) if reason is None else (ChannelState.INTERRUPTED, reason)
        if found is not None and can_matter and channel not in given:
            given.add(channel)
            yield LeftOpen(overview.run, channel, overview.info, found[1], found[0])


def _latched(overview: RunOverview) -> tuple[ChannelState, str] | None:
    """A trip or fault that nobody has acknowledged is no less true for a service that was started again."""
    state = overview.state
    if state is None or state.outcome is None or state.outcome not in LATCHING:
        return None
    try:
        with open_run(overview.path) as reader:
            seen = any(event.data.get("action") == "acknowledge" for event in reader.events())
    except StoreError as error:
        log.warning("run %s: nobody can tell whether it was acknowledged: %s", overview.run, error)
        seen = False
    return None if seen else (ChannelState(state.outcome.value), state.reason)


def _reason(overview: RunOverview, on_durable: Told, utc: Utc) -> str | None:
    """Why a run is open, None if it is not; told in its record if that was not done yet."""
    state = overview.state
    if state is None:
        return f"its record cannot be read ({overview.trouble}): look at it with 'cycler-ctl repair {overview.run}'"
    if state.state == "ended":
        return None
    if state.state == "interrupted":
        return state.reason
    try:
        writer = _reopened(overview.path, on_durable, utc)
    except StoreError as error:
        log.warning("run %s: %s", overview.run, error)
        return (
            f"{INTERRUPTED}, and its record cannot be written: {error}; 'cycler-ctl repair {overview.run}' looks at it"
        )
    writer.interrupt(INTERRUPTED)
    if not writer.close(CLOSE_S):
        log.error("run %s: %s", overview.run, writer.failed)
    return INTERRUPTED


def _reopened(run_dir: Path, on_durable: Told, utc: Utc) -> RunWriter:
    """In an epoch of its own where the disk took back what it had kept, so that no number comes to denote another row."""
    with open_run(run_dir) as reader:
        published, last, (alive_s, _) = rows_beyond(run_dir.parent.parent, reader), reader.last_seq, reader.alive
    if not published:
        return reopen_run(run_dir, on_durable=on_durable, utc=utc)
    text = f"a broker has rows up to {published}, the record ends at {last}: the disk lost what it said it had kept"
    log.error("run %s: %s; look at the disk", run_dir.name, text)
    writer = reopen_run(run_dir, on_durable=on_durable, utc=utc, epoch=secrets.randbits(48))
    writer.append(events=[EventRecord(alive_s, utc(), EventKind.WARNING, {"source": "store", "text": text})])
    return writer


def acknowledged(data_dir: Path, channel: str, run: str | None, by: str, *, on_durable: Told, utc: Utc) -> None:
    """Who looked, and when, wherever it was kept that somebody must. What cannot be written waits for a person again."""
    try:
        if latch.latched(data_dir, channel) is not None:
            latch.acknowledge(data_dir, by, utc(), channel)
    except StoreError as error:
        log.warning("channel %s: that %s has acknowledged it is not on disk: %s", channel, by, error)
    if run is not None:
        acknowledge_run(data_dir / "runs" / run, by, on_durable=on_durable, utc=utc)


def acknowledge_run(run_dir: Path, by: str, *, on_durable: Told, utc: Utc) -> None:
    """Who looked, and when, into the run's own record if that can be written; an interrupted run is over with that."""
    try:
        _acknowledge(run_dir, by, on_durable, utc)
    except StoreError as error:
        log.warning("run %s: that %s has acknowledged it is not in its record: %s", run_dir.name, by, error)


async def keep_fault(data_dir: Path, utc: Utc, channel: str, why: str) -> None:
    """A fault that the run's own record cannot tell of, beside it: the next station must not take it for a crash.

    As far as the disk lets us, and no longer than a record is waited for.
    """
    try:
        async with asyncio.timeout(CLOSE_S):
            await asyncio.to_thread(latch.hold_back, data_dir, why, utc(), channel)
    except (StoreError, TimeoutError) as error:
        log.warning("channel %s: that %s is not on disk: %s", channel, why, str(error) or "the disk does not answer")


def tell_left_on(data_dir: Path, before: ChannelStatus, why: str, *, on_durable: Told, utc: Utc) -> None:
    """An output was on without a run: its channel waits for a person, over every restart.

    An interrupted run does so anyway: its record tells what its output did after it, and a person may go on with it.
    """
    try:
        if before.state is ChannelState.INTERRUPTED and before.run is not None:
            _tell_left_on(data_dir / "runs" / before.run, why, on_durable, utc)
        else:
            latch.hold_back(data_dir, why, utc(), before.channel)
    except StoreError as error:
        log.warning("channel %s: that %s is not on disk: %s", before.channel, why, error)


def _acknowledge(run_dir: Path, by: str, on_durable: Told, utc: Utc) -> None:
    with open_run(run_dir) as reader:
        state, alive = reader.state, reader.alive
    said: dict[str, JSON] = {
        "action": "acknowledge", "by": by, "of": state.outcome or "interrupted", "reason": state.reason
    }  # fmt: skip
    if state.state == "ended":
        ending = Ending("ended", state.outcome, state.reason, state.ended_utc_s)
    else:
        reason = f"interrupted ({state.reason or INTERRUPTED}), not gone on with: acknowledged by {by or 'a person'}"
        ending = Ending("ended", Outcome.STOPPED, reason, state.ended_utc_s or alive[1])
    event = EventRecord(*_now(alive, utc), EventKind.OPERATOR, said)
    _add(reopen_run(run_dir, on_durable=on_durable, utc=utc), event, ending)


def _tell_left_on(run_dir: Path, why: str, on_durable: Told, utc: Utc) -> None:
    with open_run(run_dir) as reader:
        state, alive = reader.state, reader.alive
    ending = Ending("interrupted", None, f"{state.reason or INTERRUPTED}; {why}", state.ended_utc_s)
    event = EventRecord(*_now(alive, utc), EventKind.FAULT, {"reason": why})
    _add(reopen_run(run_dir, on_durable=on_durable, utc=utc), event, ending)


def _now(alive: tuple[float, float], utc: Utc) -> tuple[float, float]:
    """Run time and UTC, counted on from the last sign of life."""
    now_s = utc()
    return alive[0] + max(0.0, now_s - alive[1]), now_s


def _add(writer: RunWriter, event: EventRecord, ending: Ending) -> None:
    """The event, and what the run is after it."""
    writer.append(events=[event])
    writer.end(ending)
    if not writer.close(CLOSE_S):
        raise StoreError(f"{writer.run_dir}: {writer.failed}")
