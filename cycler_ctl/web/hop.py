"""From the page's thread to the station's loop: whatever may change something there is done there, and waited for here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from cycler_ctl.errors import RefusedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hop:
    """``home``: the station's loop; None: it is the one that serves.

    All of one ``do`` begins within one turn of that loop, so what it looks at first still holds when it acts. Who waits
    sees the act's own result or error; who is cancelled cancels the act, as if there were no hop between.
    """

    home: asyncio.AbstractEventLoop | None = None

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        if self.home is None:
            return await work()
        there = _of(work)
        try:
            done = asyncio.run_coroutine_threadsafe(there, self.home)
        except RuntimeError as error:  # the loop is closed
            there.close()
            raise RefusedError("the service has ended") from error
        return await asyncio.wrap_future(done)


async def _of(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
