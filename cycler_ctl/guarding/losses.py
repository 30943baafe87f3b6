"""Readings, and those that were lost: how many are too many.

The error policy of a run: a time-out or a garbled answer costs one reading, until three of the last five are lost
(reliability F3, F5). What the instrument itself calls an overflow ends a run at once while current flows (F6).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout, NotAsLeft, Overflow
from cycler_ctl.instrument import Reading
from cycler_ctl.running.fittings import Fittings
from protocols.model import Rest, Setpoint

TOLERANT: tuple[type[InstrumentError], ...] = (LinkTimeout, BadReply)
"""These cost one reading; every other instrument error ends the run."""
TOLERATED, OF_LAST = 3, 5
RESYNC_S = 2.0  # real seconds, for an instrument that answers; see contact.PATIENCE_S for one that does not


class Losses:
    """Of the readings asked for last. ``missed`` is called for each that did not come, or could not be read."""

    def __init__(self, fit: Fittings, missed: Callable[[InstrumentError], None]) -> None:
        self._fit = fit
        self._missed = missed
        self._lost: deque[bool] = deque(maxlen=OF_LAST)

    async def read(self, setpoint: Setpoint | None, overdue: Callable[[], str]) -> Reading | str | None:
        """``None``: this one is lost; a text: why the run must end. Raises NotAsLeft, which only pauses it."""
        try:
            async with self._fit.contact.patience():
                reading = await self._fit.channel.read()
        except TOLERANT as error:
            return await self._in_step_again(error, setpoint, overdue)
        except NotAsLeft:
            raise
        except InstrumentError as error:
            return str(error)
        self._lost.append(False)
        return reading

    async def _in_step_again(
        self, error: InstrumentError, setpoint: Setpoint | None, overdue: Callable[[], str]
    ) -> str | None:
        """One reading is lost: prove that the next answer belongs to the next question. Why the run must end instead.

        Raises NotAsLeft, which only pauses it.
        """
        self._lost.append(True)
        self._missed(error)
        if isinstance(error, Overflow) and not isinstance(setpoint, Rest):
            return f"the cell cannot be seen while current flows: {error}"
        if hopeless := self._fit.contact.lost or too_many(self._lost) or overdue():
            return f"{hopeless}; last: {error}"
        try:
            async with asyncio.timeout(RESYNC_S), self._fit.contact.patience():
                await self._fit.instrument.resync()
        except (LinkTimeout, TimeoutError):
            return await self._in_step_again(error, setpoint, overdue)
        except NotAsLeft:
            raise
        except InstrumentError as fault:
            return str(fault)
        return None


def too_many(lost: Sequence[bool]) -> str:
    """Why the run does not try any longer; empty while it does."""
    if sum(lost) < TOLERATED:
        return ""
    in_a_row = all(list(lost)[-TOLERATED:])
    return f"{TOLERATED} {'readings in a row' if in_a_row else f'of the last {OF_LAST} readings'} failed"
