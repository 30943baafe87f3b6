"""The output of a paused run is looked at all the same: off as it was left, or the run ends and says why (reliability F7)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from math import inf

from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout, NotAsLeft
from cycler_ctl.instrument import TellsIfOn
from cycler_ctl.running.fittings import End, Fittings

log = logging.getLogger(__name__)

EVERY_S = 10.0
LOOK_S = 5.0  # as for an output that nobody uses
FOUND_ON = "the output was on while the run was paused, though nothing here had switched it on (somebody at its panel?)"
LOST = "its instrument was lost while it was paused"


class PausedLook:
    """``lost``: why nobody can know any more what the output does; empty while it tells."""

    def __init__(self, fit: Fittings) -> None:
        self._fit = fit
        self._loop = asyncio.get_running_loop()
        self._next_s = -inf
        self._alone = len(fit.instrument.channels) == 1
        self.lost = ""

    def begins(self) -> None:
        """Off was asked for and, if it could be, read back just now."""
        self._next_s = self._loop.time() + EVERY_S

    async def found_on(self) -> bool:
        """Asked of the instrument every 10 real seconds, however often it is asked here."""
        if self._loop.time() < self._next_s:
            return False
        self.begins()
        try:
            async with asyncio.timeout(LOOK_S), self._fit.contact.patience():
                return await self._asked()
        except (InstrumentError, TimeoutError) as error:
            self.lost = f"{LOST}: {str(error) or 'no answer in time'}"
        except Exception as error:
            log.exception("a paused output")
            self.lost = f"{LOST}: error in its driver: {error!r}"
        return False

    def let_go(self) -> End:
        """Off was read back at the pause, and is again before anything else is said to the instrument: a person may go on.

        Where other outputs share the connection, it is not for this one to have it made anew.
        """
        if self._alone and not self._fit.contact.given_up:
            self._fit.let_go(self.lost)
        return End(None, self.lost, off_confirmed=True)

    async def _asked(self) -> bool:
        """An answer that did not come, or is none, is asked for once more, after a proof that the next one is its own."""
        try:
            return await self._is_on()
        except (LinkTimeout, BadReply):
            with suppress(NotAsLeft):
                await self._fit.instrument.resync()
            return await self._is_on()

    async def _is_on(self) -> bool:
        """Off in another way than it was left, or where only off can be said: it is said again and read back."""
        channel = self._fit.channel
        try:
            if isinstance(channel, TellsIfOn) and await channel.is_on():
                return True
            if self._alone:  # a proof costs a run on another output its next reading
                await self._fit.instrument.resync()
            if isinstance(channel, TellsIfOn):
                return False
        except NotAsLeft:
            log.info("%s is not as it was left, and is told off again", self._fit.name)
        await channel.turn_off()
        return False
