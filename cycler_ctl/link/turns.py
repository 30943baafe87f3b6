"""Who speaks next on a wire."""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum

STALL_S = 1.0
"""A process may stand still so long without any harm (reliability F12): so much past its time-out an answer is believed.

When it came nobody knows, so what is read of it may be stamped that much, and the time-out, after it was measured.
"""


class Rank(IntEnum):
    """A write goes ahead of queries that wait: OFF is a write, and must not queue behind readings."""

    WRITE = 0
    QUERY = 1


class Turns:
    """One speaker at a time; who waits goes by rank, then by arrival."""

    def __init__(self) -> None:
        self._taken = False
        self._arrivals = 0
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []

    async def take(self, rank: Rank) -> None:
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (rank, self._arrivals, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # the turn was handed over in the moment of the cancellation
            raise

    def give(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False
