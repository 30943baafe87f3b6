"""Work that cancelling waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def to_its_end(work: Coroutine[object, object, None]) -> None:
    """Like ``await``, but cancelling waits for the work: turning off is never left half done."""
    task = asyncio.get_running_loop().create_task(work, name="turn off")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as again:
            cancelled = again
    task.result()
    if cancelled is not None:
        raise cancelled
