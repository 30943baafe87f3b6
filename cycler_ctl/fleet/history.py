"""Writes a batch of messages in one transaction: after ``write`` it is on the server's disk, or nothing of it is.

The same messages again, in whatever order, alone or together with another collector, change nothing. A row that comes
again with other content is refused and noted in table alarm: what is here is never overwritten.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection, AsyncCursor, sql

from cycler_ctl.fleet import tables
from cycler_ctl.fleet.incoming import UnreadableError, understand
from cycler_ctl.fleet.rows import NAMES, canonical, lines, ranges
from cycler_ctl.fleet.said import Delivery, Event, Inventory, Manifest, Samples, Series, State, Summary

log = logging.getLogger(__name__)
_DEAD_BYTES = 65536
REMEMBERED = 50_000
"""Series whose number is in memory: those of some thousand lab PCs."""
Key = tuple[str, str, str, int]
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, ("series", "began", "seq", *NAMES, "raw")))
_STAGING = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE sample) ON COMMIT DELETE ROWS")
_COPY = sql.SQL("COPY staging ({}) FROM STDIN").format(_COLUMNS)
# In one order for all: two collectors with the same rows then wait for each other and never in a circle.
_INSERT = sql.SQL(
    "INSERT INTO sample ({0}) SELECT {0} FROM staging ORDER BY series, seq ON CONFLICT DO NOTHING"
).format(_COLUMNS)
_CONTENT = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in (*NAMES, "raw"))
_HELD = sql.SQL(", ").join(sql.SQL("h.{}").format(sql.Identifier(name)) for name in (*NAMES, "raw"))
_DIFFERING = sql.SQL(
    "SELECT t.series, t.seq, {0} FROM staging t JOIN sample h USING (series, began, seq)"
    " WHERE ROW({0}) IS DISTINCT FROM ROW({1})"
).format(_CONTENT, _HELD)
_PROGRESS = """
    WITH more AS (SELECT unnest(%s::bigint[]) AS series, unnest(%s::text[])::int8multirange AS held),
         mine AS (SELECT series FROM progress WHERE series = ANY(%s) ORDER BY series FOR UPDATE)
    UPDATE progress p SET held = p.held + more.held, heard_at = greatest(p.heard_at, %s)
      FROM more JOIN mine USING (series) WHERE p.series = more.series"""
_LAYOUT = "INSERT INTO layout (series, columns) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_ALARM = "INSERT INTO alarm (series, kind, place, refused) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_EVENT = """
    INSERT INTO event (series, key, kind, unix_time_second, payload) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""
_EVENT_DIFFERS = """
    INSERT INTO alarm (series, kind, place, refused)
    SELECT series, 'event', key, %s FROM event WHERE series = %s AND key = %s AND payload <> %s ON CONFLICT DO NOTHING"""
_SUMMARY = "INSERT INTO summary (series, cycle, payload) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_SUMMARY_DIFFERS = """
    INSERT INTO alarm (series, kind, place, refused)
    SELECT series, 'summary', cycle::text, %s FROM summary WHERE series = %s AND cycle = %s AND payload <> %s
    ON CONFLICT DO NOTHING"""
_MANIFEST = """
    INSERT INTO manifest (series, first_seq, last_seq, sha256, final, stretches, heard_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""
_TOLD = """
    INSERT INTO told (site, station, run, epoch, rows, ended, heard_at) VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (site, station, run, epoch) DO UPDATE SET heard_at = greatest(told.heard_at, excluded.heard_at),
           rows = greatest(told.rows, excluded.rows), ended = told.ended OR excluded.ended"""
_STATE = """
    INSERT INTO state (site, station, topic, payload, heard_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (site, station, topic) DO UPDATE SET payload = excluded.payload, heard_at = excluded.heard_at
    WHERE state.heard_at <= excluded.heard_at"""
_DEAD = """
    INSERT INTO dead_letter (topic, reason, payload, bytes, sha256, heard_at) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (topic, sha256) DO UPDATE SET times = dead_letter.times + 1"""


@dataclass(slots=True)
class _Batch:
    """What messages say, by what is done with it."""

    heard_at: datetime
    samples: list[Samples] = field(default_factory=list[Samples])
    events: list[Event] = field(default_factory=list[Event])
    summaries: list[Summary] = field(default_factory=list[Summary])
    manifests: list[Manifest] = field(default_factory=list[Manifest])
    states: dict[tuple[str, str, str], tuple[State, datetime]] = field(
        default_factory=dict[tuple[str, str, str], tuple[State, datetime]]
    )
    inventories: list[Inventory] = field(default_factory=list[Inventory])
    dead: list[tuple[Delivery, str]] = field(default_factory=list[tuple[Delivery, str]])

    def series(self) -> set[Series]:
        parts = (self.samples, self.events, self.summaries, self.manifests)
        return {each.series for part in parts for each in part}


class History:
    """One connection's writer. After any exception the connection is to be thrown away, and this with it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._ids: dict[Key, int] = {}
        self.rows = 0
        """Written since the start, without those that were here already."""

    async def open(self) -> None:
        """The connection is one with autocommit."""
        await tables.upgrade(self._connection)
        await self._connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
        await self._connection.execute(_STAGING)

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        batch = _sorted(deliveries)
        await self._learn(batch.series())
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            if batch.samples:
                await self._samples(cursor, batch.samples, batch.heard_at)
            await self._notes(cursor, batch)
            await _many(
                cursor, _STATE, [(*key, state.payload, at) for key, (state, at) in sorted(batch.states.items())]
            )
            await _many(cursor, _TOLD, sorted(_told(batch)))
            await _many(cursor, _DEAD, [_dead(delivery, reason) for delivery, reason in batch.dead])

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """A message that the database does not take."""
        await self._connection.execute(_DEAD, _dead(delivery, reason))

    async def _learn(self, wanted: Iterable[Series]) -> None:
        """Before the transaction, each for itself: it harms nobody if no row ever follows."""
        if len(self._ids) > REMEMBERED:
            self._ids.clear()
        for series in sorted(wanted, key=lambda series: series.key):
            if series.key not in self._ids:
                self._ids[series.key] = await self._id(series)

    async def _id(self, series: Series) -> int:
        await tables.partition(self._connection, series.began)
        await self._connection.execute(
            "INSERT INTO series (site, station, channel, run, epoch, began) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (series.site, series.station, series.channel, series.run, series.epoch, series.began),
        )
        cursor = await self._connection.execute(
            "SELECT id FROM series WHERE (site, station, run, epoch) = (%s, %s, %s, %s)", series.key
        )
        row = await cursor.fetchone()
        number = int(row[0]) if row else 0
        await self._connection.execute(
            "INSERT INTO progress (series, held, heard_at) VALUES (%s, '{}', now()) ON CONFLICT DO NOTHING", (number,)
        )
        return number

    async def _samples(self, cursor: AsyncCursor, samples: Sequence[Samples], heard_at: datetime) -> None:
        spans: dict[int, list[tuple[int, int]]] = {}
        staged = 0
        async with cursor.copy(_COPY) as copy:
            for each in samples:
                number = self._ids[each.series.key]
                head = f"{number}\t{each.series.began.isoformat()}\t"
                await copy.write("".join(lines(head, each.first_seq, each.columns, each.rows)))
                spans.setdefault(number, []).append((each.first_seq, each.first_seq + len(each.rows) - 1))
                staged += len(each.rows)
        await cursor.execute(_INSERT)
        self.rows += cursor.rowcount
        if cursor.rowcount != staged:
            await _refuse(cursor)
        others = {(self._ids[each.series.key], each.columns) for each in samples if each.columns != NAMES}
        await _many(cursor, _LAYOUT, [(number, list(columns)) for number, columns in sorted(others)])
        numbers = sorted(spans)
        await cursor.execute(_PROGRESS, (numbers, [ranges(spans[number]) for number in numbers], numbers, heard_at))

    async def _notes(self, cursor: AsyncCursor, batch: _Batch) -> None:
        ids = self._ids
        by_key = sorted(batch.events, key=lambda event: (ids[event.series.key], event.key))
        events = [(ids[e.series.key], e.key, e.kind, e.unix_time_second, e.payload) for e in by_key]
        await _many(cursor, _EVENT, events)
        await _many(cursor, _EVENT_DIFFERS, [(e[4], e[0], e[1], e[4]) for e in events])
        cycles = sorted((ids[s.series.key], s.cycle, s.payload) for s in batch.summaries)
        await _many(cursor, _SUMMARY, cycles)
        await _many(cursor, _SUMMARY_DIFFERS, [(payload, number, cycle, payload) for number, cycle, payload in cycles])
        manifests = sorted(
            (ids[m.series.key], m.first, m.last, m.sha256, m.final, _stretches(m)) for m in batch.manifests
        )
        await _many(cursor, _MANIFEST, [(*manifest, batch.heard_at) for manifest in manifests])


def _stretches(manifest: Manifest) -> str:
    return json.dumps([asdict(stretch) for stretch in manifest.stretches])


def _told(batch: _Batch) -> set[tuple[object, ...]]:
    return {
        (said.site, said.station, run.run, run.epoch, run.rows, run.ended, batch.heard_at)
        for said in batch.inventories
        for run in said.runs
    }


async def _refuse(cursor: AsyncCursor) -> None:
    """Some rows were here already. Those that say something else are noted, as JSON, and not taken."""
    await cursor.execute(_DIFFERING)
    found = await cursor.fetchall()
    refused = [(row[0], "row", str(row[1]), canonical(row[2:]).decode()) for row in found]
    for series, _, seq, _ in refused:
        log.error("row %s of series %s came again with other content and was refused; see table alarm", seq, series)
    await _many(cursor, _ALARM, refused)


async def _many(cursor: AsyncCursor, statement: LiteralString, values: Sequence[Sequence[object]]) -> None:
    if values:
        await cursor.executemany(statement, values)


def _sorted(deliveries: Sequence[Delivery]) -> _Batch:
    batch = _Batch(heard_at=max(delivery.heard_at for delivery in deliveries))
    for delivery in deliveries:
        try:
            _sort(batch, delivery)
        except UnreadableError as error:
            batch.dead.append((delivery, str(error)))
    return batch


def _sort(batch: _Batch, delivery: Delivery) -> None:
    match understand(delivery):
        case Samples() as samples:
            batch.samples.append(samples)
        case Event() as event:
            batch.events.append(event)
        case Summary() as summary:
            batch.summaries.append(summary)
        case Manifest() as manifest:
            batch.manifests.append(manifest)
        case Inventory() as inventory:
            batch.inventories.append(inventory)
        case State() as state:
            batch.states[state.site, state.station, state.topic] = (state, delivery.heard_at)
        case None:
            pass


def _dead(delivery: Delivery, reason: str) -> tuple[object, ...]:
    payload = delivery.payload
    topic = delivery.topic.replace("\0", "?").encode(errors="replace").decode()
    sha256 = hashlib.sha256(payload).hexdigest()
    return topic, reason, payload[:_DEAD_BYTES], len(payload), sha256, delivery.heard_at
