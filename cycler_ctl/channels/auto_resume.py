"""Going on without a person: only where the channel says so, and where every condition of it holds (reliability I-8).

What the cell and the instrument must be like is asked of every resume, and asked here too: the same instrument by its
serial number, the same protocol, the cell where it was or where it relaxes to, 0 A first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from cycler_ctl.channels.slot import Slot
from cycler_ctl.errors import CyclerError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.going_on import Remains, read_remains
from cycler_ctl.running.recovery import INTERRUPTED, LeftOpen
from cycler_ctl.settings import ChannelSettings
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind, EventRecord
from protocols.running.state import Phase

log = logging.getLogger(__name__)

AUTO = "the service, by itself (auto_resume)"
A_DAY, DAY_S = 3, 86400.0


async def by_itself(
    slot: Slot,
    found: LeftOpen,
    run_dir: Path,
    utc: Callable[[], float],
    go_on: Callable[[Slot, str], Awaitable[None]],
) -> None:
    """Once the instrument is there; whatever stands against it is told, and the run waits for a person."""
    try:
        async with asyncio.timeout(slot.settings.auto_resume_gap_s):
            await slot.host.online()
        remains = await asyncio.to_thread(read_remains, run_dir)
        told = await asyncio.to_thread(_told, run_dir)
        refused = why_not(slot.settings, found.reason, remains, told, utc())
        if refused is None:
            await go_on(slot, AUTO)
            return
    except (CyclerError, TimeoutError) as error:
        refused = str(error) or "its instrument did not answer in time"
    log.warning("channel %s: run %s does not go on by itself: %s", slot.name, found.run, refused)
    if slot.status().state is ChannelState.INTERRUPTED:
        slot.interrupted(found.run, found.info, f"{found.reason}; not gone on with by itself: {refused}")


def _told(run_dir: Path) -> Sequence[EventRecord]:
    with open_run(run_dir) as reader:
        return reader.events()


def why_not(
    settings: ChannelSettings, reason: str, remains: Remains, told: Sequence[EventRecord], now_utc_s: float
) -> str | None:
    """Why a person must go on with this run; None if it may be tried without. ``told``: what its record tells."""
    if reason != INTERRUPTED:
        return f"it was no crash and no loss of power that interrupted it ({reason})"
    if remains.state.phase is not Phase.RUNNING:
        return "it was paused"
    gap_s = now_utc_s - remains.alive_utc_s
    if not (0.0 <= gap_s < settings.auto_resume_gap_s):
        return f"{gap_s:.0f} s have passed, and auto_resume_gap is {settings.auto_resume_gap_s:g} s"
    before = sum(now_utc_s - one.utc_s < DAY_S for one in told if _by_itself(one))
    if before >= A_DAY:
        return f"it was gone on with by itself {before} times within a day already"
    return None


def _by_itself(event: EventRecord) -> bool:
    return event.kind is EventKind.OPERATOR and (event.data.get("action"), event.data.get("by")) == ("resume", AUTO)
