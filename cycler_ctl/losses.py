"""Readings that were lost and outputs that were switched: how many are too many.

The error policy of a run: a time-out or a garbled answer costs one reading, until three of the last five are lost
(reliability F3, F5). What the instrument itself calls an overflow ends a run at once while current flows (F6). An output
goes on six times a minute at most (F46).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf

from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout, NotAsLeft, Overflow, RefusedError
from cycler_ctl.fittings import Fittings
from protocols.model import Rest, Setpoint
from protocols.record import JSON, EventKind

TOLERANT: tuple[type[InstrumentError], ...] = (LinkTimeout, BadReply)
"""These cost one reading; every other instrument error ends the run."""
TOLERATED, OF_LAST = 3, 5
RESYNC_S = 2.0  # real seconds, for an instrument that answers; see contact.PATIENCE_S for one that does not
REWIRED = "the output was off for a moment: another range or regulation"
SWITCHES, WITHIN_S = 6, 60.0


class Losses:
    """Of the readings asked for last. ``missed`` is called for each that did not come, or could not be read."""

    def __init__(self, fit: Fittings, missed: Callable[[InstrumentError], None]) -> None:
        self._fit = fit
        self._missed = missed
        self._lost: deque[bool] = deque(maxlen=OF_LAST)

    def came(self) -> None:
        self._lost.append(False)

    async def in_step_again(
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
            return await self.in_step_again(error, setpoint, overdue)
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


class Switches:
    """When the output was switched on; ``reclosed`` is how often the relay opened and closed between two settings."""

    def __init__(self) -> None:
        self._on_s: deque[float] = deque(maxlen=SWITCHES)
        self._reclosed_s: deque[float] = deque(maxlen=SWITCHES + 1)
        self._told_s = -inf

    def on(self, now_s: float) -> None:
        """Count one more; RefusedError where that were too many."""
        if len(self._on_s) == SWITCHES and now_s - self._on_s[0] < WITHIN_S:
            raise RefusedError(f"the output was switched on {SWITCHES} times within a minute; its relay wears: wait")
        self._on_s.append(now_s)

    def reclosed(self, now_s: float, took_s: float) -> Iterator[tuple[EventKind, Mapping[str, JSON]]]:
        """Count one more; what to tell of it, and once a minute that they are many."""
        yield EventKind.NOTE, {"text": REWIRED, "took_s": round(took_s, 3)}
        self._reclosed_s.append(now_s)
        often = len(self._reclosed_s) > SWITCHES and now_s - self._reclosed_s[0] < WITHIN_S
        if often and now_s - self._told_s >= WITHIN_S:
            self._told_s = now_s
            yield (
                EventKind.WARNING,
                {"text": f"the relay switched more than {SWITCHES} times within a minute; it wears"},
            )
