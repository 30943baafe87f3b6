"""Brings a database to this program's version of the tables; several collectors may begin at once."""

from __future__ import annotations

from datetime import date
from importlib import resources

from psycopg import AsyncConnection, sql

from cycler_ctl.fleet.errors import HistorianError

# Any number that no other program locks in this database: "cycler-ctl" in telephone keys, so to say.
LOCK = 292537285


async def upgrade(connection: AsyncConnection) -> None:
    """Raises HistorianError where the tables are newer than we are."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        have = await version(connection)
        steps = _steps()
        if have > len(steps):
            raise HistorianError(
                f"the database has tables of version {have}, this program knows {len(steps)}: update it"
            )
        for number, text in enumerate(steps[have:], have + 1):
            await connection.execute(text.encode())
            await connection.execute("INSERT INTO schema_version (version) VALUES (%s)", (number,))


async def version(connection: AsyncConnection) -> int:
    cursor = await connection.execute("SELECT coalesce(max(version), 0) FROM schema_version")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def partition(connection: AsyncConnection, began: date) -> None:
    """The month's part of table sample, made if it is not there."""
    following = date(began.year + began.month // 12, began.month % 12 + 1, 1)
    name = f"sample_{began:%Y%m}"
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        cursor = await connection.execute("SELECT to_regclass(%s)", (name,))
        if await cursor.fetchone() != (None,):
            return
        await connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF sample FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(name), began, following
            )
        )
        # Rows of one time lie together, as they arrive together: a few kilobytes are an index good enough.
        await connection.execute(
            sql.SQL("CREATE INDEX ON {} USING brin (unix_time_second)").format(sql.Identifier(name))
        )


def _steps() -> list[str]:
    folder = resources.files("cycler_ctl.fleet.schema")
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [folder.joinpath(name).read_text(encoding="utf-8") for name in files]
