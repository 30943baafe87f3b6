"""A station whose run ended, as its real publisher sees it; and the collector of a lab, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from cycler_ctl.clock import real_sleep
from cycler_ctl.config import MqttSettings
from cycler_ctl.fleet.command import gather, source_of
from cycler_ctl.fleet.rows import NAMES, canonical
from cycler_ctl.fleet.settings import BrokerSettings, CollectSettings, DatabaseSettings, conninfo, login
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.payloads import encode
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.store.info import RunInfo, new_run_id
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.model import Verb
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome, Row

WITHIN_S = 25.0
_FAST = Timing(
    heartbeat_s=2.0, first_s=0.05, most_s=0.5, puback_s=5.0, latest_s=0.5, commit_s=0.05, gather_s=0.1, pace_s=0.0
)


@dataclass(frozen=True)
class Station:
    """A view of one channel whose run is over."""

    name: str
    data_dir: Path
    site: str = "lab"

    def channels(self) -> tuple[ChannelStatus, ...]:
        return (ChannelStatus("a1", "smu1", ChannelState.FINISHED, "", START_UTC_S, energised=False),)

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return None

    def run(self, rows: int, tail: str) -> str:
        """Recorded and ended; its id."""
        writer = self.begin(rows, tail)
        self.end(writer)
        return writer.info.run

    def begin(self, rows: int, tail: str) -> RunWriter:
        """With one event already."""
        run = new_run_id("a1", START_UTC_S, tail)
        info = RunInfo(
            run,
            99,
            "a1",
            self.name,
            self.site,
            START_UTC_S,
            "p",
            "",
            "0" * 64,
            {},
            {},
            {},
            {},
            {},
            Verb.DELITHIATE,
            1.0,
        )
        writer = create_run(self.data_dir, info, on_durable=lambda _: None)
        event = EventRecord(1.0, START_UTC_S, EventKind.NOTE, {"text": "begun"})
        writer.append(rows=list(islice(cycling_rows(Shape(points=rows)), rows)), events=[event])
        assert writer.flush(WITHIN_S)
        return writer

    def end(self, writer: RunWriter) -> None:
        event = EventRecord(1.0, START_UTC_S, EventKind.RUN_ENDED, {"outcome": "finished"})
        writer.append(events=[event], cycles=[CycleSummary(1, 2e-3, 1.6e-3, 7e-4, 1.4e-3, 0.0, 9.0)])
        writer.finish(Outcome.FINISHED, "done")
        writer.close(WITHIN_S)

    def rows(self, run: str) -> list[bytes]:
        """As its file has them."""
        files = StoredRuns(self.data_dir)
        file = files.open(run)
        try:
            return [encode(list(files.values(run, row))) for row in file.rows(0, 1_000_000)]
        finally:
            file.close()

    @contextlib.asynccontextmanager
    async def publishing(self, *ports: int, settings: MqttSettings | None = None) -> AsyncIterator[Publisher]:
        publisher = Publisher(
            settings or MqttSettings(url=tuple(f"mqtt://127.0.0.1:{port}" for port in ports)),
            site=self.site,
            station=self.name,
            data_dir=self.data_dir,
            view=self,
            default_url=None,
            meta={"version": "0"},
            timing=_FAST,
        )
        publisher.start()
        try:
            yield publisher
        finally:
            await asyncio.to_thread(publisher.stop, 0.0)

    async def delivered(self, publisher: Publisher, *runs: str) -> None:
        """The broker has acknowledged all of these, and their manifests: the station is done with them."""
        async with asyncio.timeout(WITHIN_S):
            while not self._done(runs) or not publisher.status().connected:
                await real_sleep(0.05)

    def _done(self, runs: tuple[str, ...]) -> bool:
        """Not there yet is not done yet."""
        try:
            with contextlib.closing(sqlite3.connect(self.data_dir / "outbox.sqlite")) as outbox:
                return {run for (run,) in outbox.execute("SELECT run FROM complete")} >= set(runs)
        except sqlite3.Error:
            return False


@contextlib.asynccontextmanager
async def collecting(url: str, origin: str, name: str, broker: BrokerSettings | None = None) -> AsyncIterator[None]:
    settings = CollectSettings(
        name=name, check_every_s=0.2, patience_s=0.5, redeliver_s=2.0, broker=broker or BrokerSettings()
    )
    urls = tuple(origin.split(","))
    target = conninfo(url, DatabaseSettings())
    work = asyncio.create_task(gather(target, source_of(urls, settings, login(settings.broker, urls)), settings))
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait({work})


async def complete(url: str, station: str, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while number(url, "SELECT count(*) FROM run WHERE verdict = 'complete' AND station = %s", station) != count:
            await real_sleep(0.1)


def number(url: str, query: LiteralString, *values: str) -> int:
    """What other tests' stations said stays with the cluster, and comes here too: most questions are of one station."""
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute(query, values).fetchone()
    except psycopg.Error:
        return -1
    return int(row[0]) if row else 0


def rows_of(url: str, station: str, run: str) -> list[bytes]:
    names = sql.SQL(", ").join(map(sql.Identifier, (*NAMES, "raw")))
    query = sql.SQL(
        "SELECT {} FROM sample JOIN series ON id = sample.series WHERE (station, run) = (%s, %s) ORDER BY seq"
    ).format(names)
    with psycopg.connect(url) as connection:
        return [canonical(row) for row in connection.execute(query, (station, run), binary=True)]
