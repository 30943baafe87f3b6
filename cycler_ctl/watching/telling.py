"""A message to people from the guardian: by a process of its own, once, and killed when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from cycler_ctl.watching.child import kill_child, start_child

WITHIN_S, KILLED_S = 60.0, 2.0


@asynccontextmanager
async def telling(command: Sequence[str], *words: str) -> AsyncGenerator[None]:
    """While this lasts it is told, or not; whatever goes wrong with it is nobody's matter here."""
    task = asyncio.create_task(_tell([*command, *words]), name="telling") if command else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.wait({task})


async def _tell(command: Sequence[str]) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        child = await start_child(command, os.environ)
        try:
            async with asyncio.timeout(WITHIN_S):
                await child.wait()
        finally:
            kill_child(child)
            async with asyncio.timeout(KILLED_S):
                await child.wait()
