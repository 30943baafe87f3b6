"""What one collector of all does beside writing: checks manifests, asks for what is missing, reports how far it is."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg

from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.fleet import completeness, tables
from cycler_ctl.fleet.gaps import Gap, Gaps, need
from cycler_ctl.fleet.tables import LOCK
from cycler_ctl.publish.backoff import Backoff, Timing
from cycler_ctl.publish.payloads import iso

log = logging.getLogger(__name__)
# A second lock beside the one for the tables: who has it does this work, until the connection ends.
_LEAD = LOCK + 1
_GAPS = """
    SELECT site, station, run, epoch, from_seq, to_seq FROM gap
     WHERE (site, station, run) IN (
           SELECT s.site, s.station, s.run FROM series s JOIN progress p ON p.series = s.id
            WHERE p.heard_at > now() - interval '7 days')
     ORDER BY run, from_seq LIMIT 1000"""
_REACHED = """
    SELECT s.site, s.station, s.run, s.epoch, upper((SELECT r FROM unnest(p.held) AS r LIMIT 1)) - 1, p.heard_at
      FROM series s JOIN progress p ON p.series = s.id
     WHERE p.heard_at > %s::timestamptz - interval '5 minutes' AND NOT isempty(p.held) ORDER BY p.heard_at, s.id LIMIT 1000"""
Tell = Callable[[str, bytes], Awaitable[None]]
"""Publishes to a topic."""
Report = Callable[[str, bytes], Awaitable[None]]
"""Publishes to a topic and leaves it there for those who come later."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How it speaks to stations, and under which name."""

    client: str
    tell: Tell
    report: Report


class Housekeeper:
    """Belongs to one connection, which is one with autocommit."""

    def __init__(self, connection: psycopg.AsyncConnection, voice: Voice, clock: Clock) -> None:
        self._connection = connection
        self._voice = voice
        self._clock = clock
        self._gaps = Gaps()
        self._told: dict[tuple[str, str, str, int], int] = {}
        self._since = "-infinity"

    async def leads(self) -> bool:
        """Is it this one? It stays so until the connection ends."""
        cursor = await self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEAD,))
        return await cursor.fetchone() == (True,)

    async def round(self) -> None:
        while await completeness.check(self._connection):
            pass
        await self._ask()
        await self._report()

    async def _ask(self) -> None:
        cursor = await self._connection.execute(_GAPS)
        found = [Gap(str(r[0]), str(r[1]), str(r[2]), int(r[3]), int(r[4]), int(r[5])) for r in await cursor.fetchall()]
        for gap in self._gaps.due(found, self._clock.now()):
            log.info("asked %s/%s for rows %s to %s of %s", gap.site, gap.station, gap.first, gap.last, gap.run)
            await self._voice.tell(*need(gap, self._voice.client))

    async def _report(self) -> None:
        """Up to where each epoch is here without a hole since its first row; only what changed."""
        cursor = await self._connection.execute(_REACHED, (self._since,))
        for site, station, run, epoch, seq, heard_at in await cursor.fetchall():
            self._since = heard_at.isoformat()
            if self._told.get((site, station, run, epoch)) != seq:
                self._told[site, station, run, epoch] = seq
                said = {"v": 1, "client": self._voice.client, "run": run, "epoch": epoch, "seq": seq}
                said["at"] = iso(self._clock.utc())
                topic = f"cycler/v1/{site}/{station}/sink/{self._voice.client}"
                await self._voice.report(topic, json.dumps(said, separators=(",", ":")).encode())


async def keep_house(conninfo: str, voice: Voice, clock: Clock, every_s: float) -> None:
    """For ever; while another collector does it, or the database is away, it waits."""
    backoff = Backoff(Timing(first_s=1.0, most_s=30.0), random.random)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                await tables.upgrade(connection)
                await _in_turn(Housekeeper(connection, voice, clock), every_s)
        except (psycopg.Error, OSError) as error:
            log.info("housekeeping waits for PostgreSQL: %s", " ".join(str(error).split()))
            await real_sleep(backoff.next_s())


async def _in_turn(keeper: Housekeeper, every_s: float) -> None:
    leading = False
    while True:
        leading = leading or await keeper.leads()
        if leading:
            await keeper.round()
        await real_sleep(every_s)
