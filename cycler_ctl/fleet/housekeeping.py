"""What one collector of all does beside writing: checks manifests, asks for what is missing, reports how far it is."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.fleet import completeness, tables
from cycler_ctl.fleet.gaps import A_DAY_S, PATIENCE_S, Asking, Gap, need, need_runs
from cycler_ctl.fleet.tables import LOCK
from cycler_ctl.publish.backoff import Backoff, Timing
from cycler_ctl.publish.payloads import iso
from protocols.record import JSON

log = logging.getLogger(__name__)
# A second lock beside the one for the tables: who has it does this work, until the connection ends.
_LEAD = LOCK + 1
# The newest first: an old run may lie in no file any more, and is asked for all the same.
_GAPS = """
    SELECT site, station, run, epoch, from_seq, to_seq FROM gap
     WHERE (site, station, run) IN (
           SELECT s.site, s.station, s.run FROM series s JOIN progress p ON p.series = s.id
            WHERE p.heard_at > now() - interval '7 days')
    UNION
    SELECT site, station, run, epoch, from_seq, to_seq FROM untold
     ORDER BY run DESC, from_seq LIMIT 1000"""
_ONLINE = """
    SELECT site, station FROM state WHERE topic = 'status' AND payload LIKE '%"online"%'
       AND heard_at > now() - interval '2 minutes'"""
# Those that others wrote meanwhile may be older than the newest by so much.
_REACHED = """
    SELECT s.id, s.site, s.station, s.run, s.epoch, upper((SELECT r FROM unnest(p.held) AS r LIMIT 1)) - 1, p.heard_at
      FROM series s JOIN progress p ON p.series = s.id
     WHERE p.heard_at > %s::timestamptz - interval '5 minutes' AND s.id > %s AND NOT isempty(p.held)
     ORDER BY s.id LIMIT 1000"""
REPORT_S = 60.0
"""No run is reported more often: it is for people."""
# What is refused is with the station still: the newest tell what is wrong now, the first alarms what began it.
_TIDY = (
    """DELETE FROM dead_letter WHERE id <= (SELECT id FROM dead_letter ORDER BY id DESC OFFSET 2000 LIMIT 1)""",
    """DELETE FROM alarm WHERE id >= (SELECT id FROM alarm ORDER BY id OFFSET 100000 LIMIT 1)""",
)
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
    patience_s: float = PATIENCE_S


class Housekeeper:
    """Belongs to one connection, which is one with autocommit."""

    def __init__(self, connection: psycopg.AsyncConnection, voice: Voice, clock: Clock) -> None:
        self._connection = connection
        self._voice = voice
        self._clock = clock
        patience_s = voice.patience_s
        self._gaps = Asking[Gap](patience_s, 2 * patience_s)
        self._stations = Asking[tuple[str, str]](0.0, 2 * patience_s, A_DAY_S)
        self._told: dict[int, tuple[int, float]] = {}
        self._since = datetime(1970, 1, 2, tzinfo=UTC)

    async def leads(self) -> bool:
        """Is it this one? It stays so until the connection ends."""
        cursor = await self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEAD,))
        return await cursor.fetchone() == (True,)

    async def round(self) -> None:
        while await completeness.check(self._connection):
            pass
        for statement in _TIDY:
            await self._connection.execute(statement)
        await self._ask_runs()
        await self._ask()
        await self._report()

    async def _ask_runs(self) -> None:
        """Of what was published while nobody kept it there is no gap to be seen."""
        cursor = await self._connection.execute(_ONLINE)
        online = [(str(site), str(station)) for site, station in await cursor.fetchall()]
        for site, station in self._stations.due(online, self._clock.now()):
            await self._voice.tell(*need_runs(site, station, self._voice.client))

    async def _ask(self) -> None:
        cursor = await self._connection.execute(_GAPS)
        found = [Gap(str(r[0]), str(r[1]), str(r[2]), int(r[3]), int(r[4]), int(r[5])) for r in await cursor.fetchall()]
        for gap in self._gaps.due(found, self._clock.now()):
            log.info("asked %s/%s for rows %s to %s of %s", gap.site, gap.station, gap.first, gap.last, gap.run)
            await self._voice.tell(*need(gap, self._voice.client))

    async def _report(self) -> None:
        """Up to where each epoch is here without a hole since its first row; only what changed lately, and is remembered."""
        told, since, last = dict[int, tuple[int, float]](), self._since, 0
        while found := await self._reached(last):
            for number, site, station, run, epoch, seq, heard_at in found:
                told[number] = self._told.get(number, (-1, -REPORT_S))
                if told[number][0] != seq and told[number][1] + REPORT_S <= self._clock.now():
                    told[number] = (seq, self._clock.now())
                    await self._say(site, station, {"run": run, "epoch": epoch, "seq": seq})
                since, last = max(since, heard_at), number
        self._told, self._since = told, since

    async def _reached(self, after: int) -> list[tuple[int, str, str, str, int, int, datetime]]:
        cursor = await self._connection.execute(_REACHED, (self._since, after))
        return [(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in await cursor.fetchall()]

    async def _say(self, site: str, station: str, reached: dict[str, JSON]) -> None:
        said = {"v": 1, "client": self._voice.client, **reached, "at": iso(self._clock.utc())}
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
