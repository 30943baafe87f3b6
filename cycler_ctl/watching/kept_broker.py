"""The bundled broker under its guardian: brought back a few times when it dies; control never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from cycler_ctl.errors import CyclerError

TRIES, EVERY_S = 3, 5.0


class OwnedBroker(Protocol):
    """The bundled broker; its calls may block and raise CyclerError."""

    @property
    def url(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def alive(self) -> bool: ...


class KeptBroker:
    """A broker, or none, that can only ever be complained about."""

    def __init__(self, broker: OwnedBroker | None, say: Callable[[str], None]) -> None:
        self._broker = broker
        self._say = say

    def url(self) -> str | None:
        """Where it is, while it lives."""
        return self._broker.url if self._broker is not None and self._broker.alive() else None

    async def start(self) -> None:
        if self._broker is not None:
            await self._told("start", self._broker.start)

    async def stop(self) -> None:
        if self._broker is not None:
            await self._told("stop", self._broker.stop)

    async def _told(self, what: str, do: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(do)
        except (CyclerError, OSError) as error:
            self._say(f"the broker did not {what}: {error}")

    async def keep(self, over: asyncio.Event) -> None:
        left = TRIES
        while self._broker is not None and left and not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EVERY_S)
            if not over.is_set() and not self._broker.alive():
                left -= 1
                self._say("the broker is gone: starting it again")
                await self.start()
