"""A computer that stood still: an answer that lay there meanwhile is believed if it was short, and no number if it was not.

It is handed over before the time-out is seen to be past, and read as if it had just come. Virtual time, real sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from virtual_loop import VirtualLoop, leap

from cycler_ctl.channels.contact import PATIENCE_S, Contact
from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import AnsweredLate, LinkTimeout
from cycler_ctl.instrument import Link, LinkDefaults
from cycler_ctl.link.opening import open_link

WIRE = LinkDefaults(timeout_s=1.0)
SHORT_S, LONG_S = 1.0, 2.5
BACKENDS = pytest.mark.parametrize("backend", [None, "visa"])


def stand_still(duration_s: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.leaping.at_s += duration_s


@asynccontextmanager
async def asleep_while_it_answers(stall_s: float, backend: str | None) -> AsyncGenerator[Link]:
    """A link to who answers ``A?`` at once; this process sees nothing of it for so long. Other answers are seen at once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"re:" + line)
            stand_still(stall_s if line == b"A?\n" else 0.0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
    async with server, open_link(address, WIRE, SystemClock(), backend=backend) as link:
        yield link


@BACKENDS
def test_an_answer_that_lay_in_the_computer_for_a_second_is_believed(backend: str | None) -> None:
    async def story() -> None:
        async with asleep_while_it_answers(SHORT_S, backend) as link:
            assert await link.query(b"A?") == b"re:A?"
            assert await link.query(b"B?") == b"re:B?"

    leap(story())


@BACKENDS
def test_an_answer_that_lay_in_the_computer_for_long_is_no_answer(backend: str | None) -> None:
    async def story() -> None:
        async with asleep_while_it_answers(LONG_S, backend) as link:
            with pytest.raises(AnsweredLate, match=r"asked 2\.5 s before its answer was seen"):
                await link.query(b"A?")
            with pytest.raises(LinkTimeout, match="out of step"):
                await link.query(b"B?")
            await link.clear()
            assert await link.query(b"B?") == b"re:B?"

    leap(story())


@BACKENDS
def test_contact_is_not_lost_where_it_was_the_computer_that_stood_still(backend: str | None) -> None:
    async def story() -> None:
        async with asleep_while_it_answers(LONG_S, backend) as link:
            contact = Contact(link)
            with pytest.raises(AnsweredLate):
                async with contact.patience():
                    await contact.query(b"A?")
            assert contact.lost == ""

    leap(story())


@BACKENDS
def test_patience_that_ran_out_in_a_computers_sleep_ends_nothing_that_goes_on(backend: str | None) -> None:
    async def story() -> None:
        async with asleep_while_it_answers(PATIENCE_S + 0.05, backend) as link:
            contact = Contact(link)
            async with contact.patience():
                assert await contact.query(b"A?") == b"re:A?"
                assert await contact.query(b"B?") == b"re:B?"

    leap(story())
