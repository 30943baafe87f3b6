"""Rows from the run file to a broker's acknowledgement against a bare client that sends the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from aiomqtt import Client

from benchmarks.measure import Cost, Stopwatch, Table, compare
from benchmarks.runs import RUN, new_run, some_rows
from cycler_ctl.broker import Broker
from cycler_ctl.publish.cursors import Cursors
from cycler_ctl.publish.outbox import Outbox
from cycler_ctl.publish.runs import StoredRuns

ROWS = 50_000


def outbox_of(data_dir: Path, name: str) -> Outbox:
    outbox = Outbox(Cursors(data_dir / name), StoredRuns(data_dir))
    outbox.durable(RUN)
    return outbox


async def by_outbox(data_dir: Path, client: Client, name: str) -> Cost:
    """As the publisher does it, one message after the other and without its pauses; cursors and all."""
    outbox = outbox_of(data_dir, name)
    watch = Stopwatch()
    while (outgoing := outbox.next(0.0)) is not None:
        await client.publish("bench/rows", outgoing.payload, qos=1)
        outbox.acknowledged(outgoing)
    outbox.commit()
    cost = watch.cost(ROWS)
    outbox.close()
    return cost


async def by_client(payloads: list[bytes], client: Client) -> Cost:
    watch = Stopwatch()
    for payload in payloads:
        await client.publish("bench/rows", payload, qos=1)
    return watch.cost(ROWS)


def payloads_of(data_dir: Path) -> list[bytes]:
    outbox, payloads = outbox_of(data_dir, "first.sqlite"), list[bytes]()
    while (outgoing := outbox.next(0.0)) is not None:
        payloads.append(outgoing.payload)
        outbox.acknowledged(outgoing)
    outbox.close()
    return payloads


async def against(data_dir: Path, url: str) -> Table:
    writer = new_run(data_dir)
    writer.append(some_rows(ROWS))
    writer.close(60.0)
    payloads = payloads_of(data_dir)
    place = urlsplit(url)
    names = (f"cursors-{number}.sqlite" for number in range(100))
    async with Client(place.hostname or "", place.port or 1883) as client:
        return await compare(
            f"one row by MQTT, QoS 1, {ROWS / len(payloads):.0f} rows a message",
            {
                "outbox, from the run file": lambda: by_outbox(data_dir, client, next(names)),
                "bare client, the same bytes": lambda: by_client(payloads, client),
            },
            rate="rows/s",
        )


async def bench() -> AsyncIterator[Table]:
    """With the broker that comes along."""
    with TemporaryDirectory() as folder:
        data_dir = Path(folder)
        broker = Broker(data_dir)
        await asyncio.to_thread(broker.start)
        try:
            yield await against(data_dir, broker.url)
        finally:
            await asyncio.to_thread(broker.stop)
