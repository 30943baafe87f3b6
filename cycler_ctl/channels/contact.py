"""How long an instrument has left its questions unanswered: what tells lost contact, whatever was being done meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType

from cycler_ctl.errors import AnsweredLate, InstrumentError, LinkClosed, LinkTimeout
from cycler_ctl.instrument import Link

PATIENCE_S = 1.9
"""Real seconds from the first unanswered question until contact counts as lost.

A sample period of 1 s may pass before that question, and OFF_S for one try to turn off after it: the alarm comes 4.4 s
after the last answer at the latest (reliability F1: 5 s), however long a driver's own tries would take.
"""
TICK_S = 0.01
CATCH_UP_S = 0.1
"""Patience is looked at twice, so long apart: a process that stood still takes first what has come meanwhile."""


class Contact:
    """One connection's Link, as the driver gets it. It notices only what every driver does: asking and being answered."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._asking = 0
        self._watch = _Watch(self)
        self.asked_s: float | None = None
        """When the oldest open question was asked; None: the newest was answered."""
        self._hear: list[Callable[[], None]] = []
        self.given_up = ""
        """Why this connection is to be closed, for all who share it; empty while it is in use."""

    @property
    def address(self) -> str:
        return self._link.address

    @property
    def silent_s(self) -> float:
        """How long the oldest question has been open; 0 when the newest was answered."""
        asked_s = self.asked_s  # once, for whoever shows a status asks from another thread
        return 0.0 if asked_s is None else self._loop.time() - asked_s

    @property
    def lost(self) -> str:
        """Why nothing can be expected of this connection any more; empty while it can."""
        if self.given_up or self.silent_s < PATIENCE_S:
            return self.given_up
        return f"contact lost: {self.address} has not answered for {self.silent_s:.2g} s"

    def now(self) -> float:
        return self._link.now()

    async def write(self, message: bytes) -> None:
        await self._link.write(message)

    async def clear(self) -> None:
        await self._link.clear()

    async def query(self, message: bytes) -> bytes:
        self._asking += 1
        if self.asked_s is None:
            self.asked_s = self._loop.time()
        try:
            answer = await self._link.query(message)
            self._heard()
        except AnsweredLate:  # by an instrument that is there
            self._heard()
            raise
        finally:
            self._asking -= 1
        for heard in self._hear:
            heard()
        return answer

    def _heard(self) -> None:
        self.asked_s = self._loop.time() if self._asking > 1 else None  # another channel's question waits its turn

    @contextmanager
    def heard(self, each: Callable[[], None]) -> Generator[None]:
        """Meanwhile ``each`` is called at each answer, whosever question it was: that is work done."""
        self._hear.append(each)
        try:
            yield
        finally:
            self._hear.remove(each)

    def patience(self) -> Patience:
        """What is done inside ends, by LinkTimeout, when contact is lost; LinkClosed where the connection is given up."""
        return Patience(self, self._watch)


class Patience:
    """A class and no generator, because every reading enters one."""

    __slots__ = ("_contact", "_limit", "_watch")

    def __init__(self, contact: Contact, watch: _Watch) -> None:
        self._contact, self._watch = contact, watch
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        if self._contact.given_up:
            raise LinkClosed(self._contact.given_up)
        await self._limit.__aenter__()
        self._watch.begin(self._limit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.end(self._limit)
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise LinkTimeout(self._contact.lost) from late
        if error is None:
            return
        if isinstance(error, TimeoutError) and self._limit.expired():
            raise LinkTimeout(self._contact.lost) from error
        if isinstance(error, InstrumentError) and self._contact.given_up:
            raise LinkClosed(self._contact.given_up) from error


class _Watch:
    """One timer for all who are patient, that is only put off: to arm one for each reading would cost.

    It looks again when patience may have run out at the earliest, and rests once it finds nobody waiting.
    """

    def __init__(self, contact: Contact) -> None:
        self._contact = contact
        self._loop = asyncio.get_running_loop()
        self._limits: set[asyncio.Timeout] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._doubted_s: float | None = None
        """The time of the question that was found open at the first of two looks."""

    def begin(self, limit: asyncio.Timeout) -> None:
        self._limits.add(limit)
        if self._timer is not None:
            return
        again_s = PATIENCE_S - CATCH_UP_S - self._contact.silent_s
        if again_s < 0.0:  # a question that was given up: one look is enough
            self._doubted_s = self._contact.asked_s
        self._again(again_s)

    def end(self, limit: asyncio.Timeout) -> None:
        self._limits.discard(limit)

    def _look(self) -> None:
        self._timer = None
        if not self._limits:
            return
        asked_s, left_s = self._contact.asked_s, PATIENCE_S - self._contact.silent_s
        if left_s > CATCH_UP_S:
            self._again(max(TICK_S, left_s - CATCH_UP_S))
        elif asked_s != self._doubted_s:
            self._doubted_s = asked_s
            self._again(CATCH_UP_S)
        elif left_s > 0.0:
            self._again(TICK_S)
        else:
            self._run_out()

    def _again(self, after_s: float) -> None:
        self._timer = self._loop.call_later(after_s, self._look)

    def _run_out(self) -> None:
        for limit in self._limits:
            limit.reschedule(self._loop.time())
        self._limits.clear()
