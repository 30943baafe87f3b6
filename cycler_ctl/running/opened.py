"""A record that is being opened for a run which may not come: whoever asked may go away before there is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from cycler_ctl.store.writer import RunWriter
from cycler_ctl.to_its_end import to_its_end
from protocols.record import Outcome

BROKEN_OFF = "the request was broken off"


@asynccontextmanager
async def opened(
    opening: Callable[[], RunWriter], leave: Callable[[RunWriter, str], None]
) -> AsyncGenerator[RunWriter]:
    """The writer is the run's if nothing is raised inside; else, and when cancelled at any moment, it is left and closed."""
    made: list[RunWriter] = []

    async def open_it() -> None:
        made.append(await asyncio.to_thread(opening))

    try:
        await to_its_end(open_it())  # a thread cannot be called back: wait for what it opens
        yield made[0]
    except BaseException as error:
        for writer in made:
            leave(writer, str(error) or BROKEN_OFF)
            await to_its_end(_close(writer))
        raise


async def _close(writer: RunWriter) -> None:
    await asyncio.to_thread(writer.close)


def never_begun(writer: RunWriter, why: str) -> None:
    writer.finish(Outcome.STOPPED, f"never begun: {why}")


def not_gone_on(writer: RunWriter, why: str) -> None:
    writer.interrupt(f"not gone on with: {why}")
