"""Takes a batch from the broker, writes it, and only then acknowledges it: nothing is lost whatever dies when.

A broker or database that is away is waited for, ever longer; no more than one batch is in memory meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import psycopg

from cycler_ctl.clock import real_sleep
from cycler_ctl.fleet.errors import SourceError
from cycler_ctl.fleet.history import History
from cycler_ctl.fleet.said import Delivery
from cycler_ctl.publish.backoff import Backoff, Timing

log = logging.getLogger(__name__)
TAKE_S = 1.0
"""A commit costs the same for one message as for a thousand: so long at most one waits for others to share it with."""
WRITE_S = 120.0
"""A database that has not taken a batch by then is taken for gone, and the batch written anew."""
# Classes of SQLSTATE that say that it is the values' fault: data exception, integrity, program limit exceeded.
_FAULTS_OF_THE_MESSAGE = ("22", "23", "54")


class Source(Protocol):
    async def take(self, wait_s: float) -> list[Delivery]:
        """What comes within ``wait_s``, or less and earlier where a batch is full or the broker waits for us."""
        ...

    async def settle(self, taken: Sequence[Delivery]) -> None: ...
    async def tell(self, topic: str, payload: bytes) -> None: ...


Connect = Callable[[], AbstractAsyncContextManager[Source]]


class Database:
    """Keeps a connection to PostgreSQL for as long as it works, and makes another when it does not."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection | None = None
        self._history: History | None = None

    async def history(self) -> History:
        if self._history is None:
            connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
            self._connection = connection
            history = History(connection)
            await history.open()
            self._history = history
        return self._history

    async def close(self) -> None:
        connection, self._connection, self._history = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()


@contextlib.asynccontextmanager
async def database(conninfo: str) -> AsyncGenerator[Database]:
    kept = Database(conninfo)
    try:
        yield kept
    finally:
        await kept.close()


class Collector:
    """``counted`` is told after each batch how many messages it held."""

    def __init__(self, kept: Database, counted: Callable[[int], None] = lambda _: None) -> None:
        self._database = kept
        self._counted = counted
        self._backoff = Backoff(Timing(first_s=0.5, most_s=30.0), random.random)

    async def run(self, connect: Connect) -> None:
        """For ever."""
        while True:
            loop = asyncio.get_running_loop()
            started_s = loop.time()
            try:
                async with connect() as source:
                    log.info("connected to the broker")
                    await self.follow(source)
            except SourceError as error:
                log.warning("%s", error)
            self._backoff.was_up(loop.time() - started_s)
            await real_sleep(self._backoff.next_s())

    async def follow(self, source: Source) -> None:
        """Until the source fails."""
        while True:
            taken = await source.take(TAKE_S)
            if taken:
                await self.write(taken)
                await source.settle(taken)
                self._counted(len(taken))

    async def write(self, taken: Sequence[Delivery]) -> None:
        """Returns when all of it is in the database, as long as that may take."""
        backoff = Backoff(Timing(first_s=0.2, most_s=30.0), random.random)
        troubled = False
        while True:
            try:
                await self._write(taken)
            except (psycopg.Error, TimeoutError, OSError) as error:
                await self._database.close()
                if _fault_of_the_message(error):
                    await self._one_by_one(taken, error)
                    return
                if not troubled:
                    log.warning("PostgreSQL: %s; trying until it works", _said(error))
                troubled = True
                await real_sleep(backoff.next_s())
            else:
                if troubled:
                    log.info("PostgreSQL is back")
                return

    async def _write(self, taken: Sequence[Delivery]) -> None:
        async with asyncio.timeout(WRITE_S):
            history = await self._database.history()
            await history.write(taken)

    async def _one_by_one(self, taken: Sequence[Delivery], error: BaseException) -> None:
        """One of them cannot be stored: find it, and keep it as a dead letter."""
        if len(taken) > 1:
            for delivery in taken:
                await self.write([delivery])
            return
        log.error("a message on %s is refused by the database: %s; see table dead_letter", taken[0].topic, _said(error))
        await self._bury(taken[0], _said(error))

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        backoff = Backoff(Timing(first_s=0.2, most_s=30.0), random.random)
        while True:
            try:
                history = await self._database.history()
                await history.bury(delivery, reason)
            except (psycopg.Error, OSError) as error:
                await self._database.close()
                log.warning("PostgreSQL: %s", _said(error))
                await real_sleep(backoff.next_s())
            else:
                return


def _fault_of_the_message(error: BaseException) -> bool:
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_FAULTS_OF_THE_MESSAGE)


def _said(error: BaseException) -> str:
    """One line; the database's words hold no password."""
    return " ".join(str(error).split()) or type(error).__name__
