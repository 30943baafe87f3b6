"""A thread and a loop of its own for what serves people, so that no request takes a turn of the control loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager

log = logging.getLogger(__name__)

END_S = 5.0  # longer than the last answers may take; a thread that hangs is left behind
Serving = Callable[[], AbstractAsyncContextManager[str]]


@contextlib.asynccontextmanager
async def in_a_thread(serving: Serving) -> AsyncGenerator[str]:
    """Yield what ``serving`` yields, or raise what it raises before; it is entered and left in the thread ``page``.

    Neither a thread that is busy nor one that died holds up whoever entered.
    """
    address, ending = Future[str](), Future[None]()
    for each in (address, ending):
        each.set_running_or_notify_cancel()  # from now on, who gives up waiting for it takes it from nobody else
    thread = threading.Thread(target=_serve, args=(serving, address, ending), name="page", daemon=True)
    thread.start()
    try:
        yield await asyncio.wrap_future(address)
    finally:
        ending.set_result(None)
        await asyncio.to_thread(thread.join, END_S)
        if thread.is_alive():
            log.error("the page has not ended within %g s and is left behind", END_S)


def _serve(serving: Serving, address: Future[str], ending: Future[None]) -> None:
    try:
        with asyncio.Runner() as runner:
            runner.run(_until(serving, address, ending))
    except BaseException as error:  # whatever it is, somebody must hear of it: a thread has no caller
        if not address.done():
            address.set_exception(error)
        else:
            log.exception("the page and the HTTP API have ended by an error; the cells go on")


async def _until(serving: Serving, address: Future[str], ending: Future[None]) -> None:
    async with serving() as found:
        address.set_result(found)
        await asyncio.wrap_future(ending)
