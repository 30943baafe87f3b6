"""Which rows a run should have, and whether those of the database are them: by the station's own manifest."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator

from psycopg import AsyncConnection, sql

from cycler_ctl.fleet.rows import NAMES, canonical

_AT_ONCE = 2000
# Those of which every row is here, each in its epoch.
_READY = """
    SELECT m.series, m.first_seq, m.last_seq, m.sha256, m.final FROM manifest m
     WHERE m.verdict = 'open' AND NOT EXISTS (
           SELECT FROM series s CROSS JOIN LATERAL
                  jsonb_to_recordset(m.stretches) AS part (epoch bigint, first bigint, last bigint)
             LEFT JOIN series o ON (o.site, o.station, o.run, o.epoch) = (s.site, s.station, s.run, part.epoch)
             LEFT JOIN progress p ON p.series = o.id
            WHERE s.id = m.series AND NOT coalesce(p.held, '{}') @> int8range(part.first, part.last + 1))
     ORDER BY m.heard_at LIMIT 20"""
_STRETCHES = """
    SELECT o.id, part.first, part.last FROM manifest m JOIN series s ON s.id = m.series CROSS JOIN LATERAL
           jsonb_to_recordset(m.stretches) AS part (epoch bigint, first bigint, last bigint)
      JOIN series o ON (o.site, o.station, o.run, o.epoch) = (s.site, s.station, s.run, part.epoch)
     WHERE (m.series, m.first_seq, m.last_seq, m.sha256, m.final) = (%s, %s, %s, %s, %s) ORDER BY part.first"""
_ROWS = sql.SQL("SELECT {} FROM sample WHERE series = {} AND seq BETWEEN {} AND {} ORDER BY seq")
_VERDICT = """
    UPDATE manifest SET verdict = %s, checked_at = now()
     WHERE (series, first_seq, last_seq, sha256, final) = (%s, %s, %s, %s, %s)"""


Key = tuple[int, int, int, str, bool]


async def check(connection: AsyncConnection) -> int:
    """Compare what can be compared; how many manifests that were. The connection is one with autocommit."""
    cursor = await connection.execute(_READY)
    ready = [(int(r[0]), int(r[1]), int(r[2]), str(r[3]), bool(r[4])) for r in await cursor.fetchall()]
    for manifest in ready:
        _, first, last, sha256, _ = manifest
        same = await fingerprint(connection, manifest) == (last - first + 1, sha256)
        await connection.execute(_VERDICT, ("complete" if same else "differs", *manifest))
    return len(ready)


async def fingerprint(connection: AsyncConnection, manifest: Key) -> tuple[int, str]:
    """How many rows, and the SHA-256 over them as a manifest has it."""
    cursor = await connection.execute(_STRETCHES, manifest)
    digest, count = hashlib.sha256(), 0
    for stretch in await cursor.fetchall():
        async for row in _rows(connection, (int(stretch[0]), int(stretch[1]), int(stretch[2]))):
            digest.update(row + b"\n")
            count += 1
    return count, digest.hexdigest()


async def _rows(connection: AsyncConnection, stretch: tuple[int, int, int]) -> AsyncGenerator[bytes]:
    """A run may be long: never more than some rows of it at a time."""
    wanted = sql.SQL(", ").join(map(sql.Identifier, (*NAMES, "raw")))
    query = _ROWS.format(wanted, *map(sql.Literal, stretch))
    async with connection.transaction(), connection.cursor("rows", binary=True) as cursor:
        await cursor.execute(query)
        while rows := await cursor.fetchmany(_AT_ONCE):
            for row in rows:
                yield canonical(row)
