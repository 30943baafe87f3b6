"""The queues beside a station: opened after it, closed before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from cycler_ctl.clock import Clock
from cycler_ctl.queueing.keeper import QueueKeeper
from cycler_ctl.station import Station


@asynccontextmanager
async def open_queueing(station: Station, clock: Clock, *, wanted: bool = True) -> AsyncGenerator[QueueKeeper | None]:
    """Not ``wanted``: a run in the foreground has its channel for itself, and nothing follows it."""
    if not wanted:
        yield None
        return
    keeper = QueueKeeper(station, station.config.station.data_dir, clock.utc)
    keeper.open()
    station.tell_queue(keeper.told, keeper.stopping)
    station.observe(keeper)
    keeping = asyncio.create_task(keeper.run(), name="queues")
    try:
        yield keeper
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
