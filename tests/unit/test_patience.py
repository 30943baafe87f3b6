"""How long an instrument may leave its questions unanswered before contact counts as lost, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from virtual_loop import VirtualLoop, leap

from cycler_ctl.channels.contact import CATCH_UP_S, PATIENCE_S, TICK_S, Contact
from cycler_ctl.errors import LinkTimeout

SOON_S, LATEST_S = PATIENCE_S - 1e-6, PATIENCE_S + 2 * TICK_S


class Wire:
    """A Link that answers after ``takes_s``; None: never."""

    address = "the test"

    def __init__(self) -> None:
        self.takes_s: float | None = 0.0
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    async def write(self, message: bytes) -> None:
        """Nobody listens."""

    async def clear(self) -> None:
        """Nothing is under way."""

    async def query(self, message: bytes) -> bytes:
        answered: asyncio.Future[bytes] = self._loop.create_future()
        if self.takes_s is not None:
            self._loop.call_later(self.takes_s, answered.set_result, message)
        return await answered


async def patient(contact: Contact) -> None:
    async with contact.patience():
        await contact.query(b"A?")


async def lost_after_s(contact: Contact) -> float:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(LinkTimeout, match="contact lost"):
        await patient(contact)
    return loop.time() - began_s


def pause(duration_s: float) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(duration_s, over.set_result, None)
    return over


def test_silence_ends_what_is_done_whenever_the_one_before_was_answered() -> None:
    async def story() -> None:
        for pause_s in (0.0, 0.5, 1.0, PATIENCE_S - CATCH_UP_S, PATIENCE_S, 10.0):
            wire = Wire()
            contact = Contact(wire)
            await patient(contact)
            await pause(pause_s)
            wire.takes_s = None
            assert SOON_S <= await lost_after_s(contact) <= LATEST_S

    leap(story())


def test_a_thousand_readings_arm_a_handful_of_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> int:
        loop, armed, wire = asyncio.get_running_loop(), [0], Wire()
        contact, arm = Contact(wire), loop.call_later

        def counted(delay_s: float, act: Callable[..., object], *given: object) -> asyncio.TimerHandle:
            armed[0] += given == ()
            return arm(delay_s, act, *given)

        monkeypatch.setattr(loop, "call_later", counted)
        for _ in range(1000):
            await patient(contact)
            await pause(0.01)
        return armed[0]

    assert 1 <= leap(story()) <= 10


def test_all_who_share_a_connection_are_told_at_once() -> None:
    async def story() -> None:
        wire = Wire()
        contact, wire.takes_s = Contact(wire), None
        first = asyncio.ensure_future(lost_after_s(contact))
        await pause(1.0)
        second = asyncio.ensure_future(lost_after_s(contact))
        assert SOON_S <= await first <= LATEST_S
        assert SOON_S - 1.0 <= await second <= LATEST_S - 1.0

    leap(story())


def test_who_asks_of_a_connection_that_was_found_lost_is_told_at_once() -> None:
    async def story() -> None:
        wire = Wire()
        contact, wire.takes_s = Contact(wire), None
        await lost_after_s(contact)
        assert await lost_after_s(contact) <= TICK_S
        wire.takes_s = 0.0
        await contact.query(b"A?")
        await patient(contact)

    leap(story())


def test_a_question_that_was_never_looked_at_before_is_looked_at_twice() -> None:
    """The question before it was, and was answered; then the process stood still."""

    async def story() -> None:
        loop, wire = asyncio.get_running_loop(), Wire()
        assert isinstance(loop, VirtualLoop)
        contact, wire.takes_s = Contact(wire), PATIENCE_S - CATCH_UP_S / 2
        async with contact.patience():
            await contact.query(b"A?")
            wire.takes_s = CATCH_UP_S
            loop.call_soon(stand_still, loop)
            await contact.query(b"B?")

    leap(story())


def stand_still(loop: VirtualLoop) -> None:
    loop.leaping.at_s += 2 * PATIENCE_S
