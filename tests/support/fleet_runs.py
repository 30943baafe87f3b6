"""Run files of simulated stations, and their messages as the publisher's own payloads say them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from aiomqtt import Client, MqttError
from plain_runs import plain_info

from cycler_ctl.clock import real_sleep
from cycler_ctl.fleet.said import Delivery
from cycler_ctl.publish import payloads
from cycler_ctl.publish.digest import Digest
from cycler_ctl.publish.payloads import Value, encode
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import Shape, cycling_rows

Message = tuple[str, bytes]
HEARD_AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StationRun:
    """A run that has ended, as its file holds it."""

    station: str
    run: str
    epoch: int
    columns: tuple[str, ...]
    rows: list[list[Value]]
    stretches: tuple[tuple[int, int], ...] = ()

    def topic(self, leaf: str) -> str:
        return f"cycler/v1/lab/{self.station}/channel/a/{leaf}"

    def samples(self, batch: int) -> Iterator[Message]:
        for first in range(0, len(self.rows), batch):
            part = self.rows[first : first + batch]
            yield self.topic("samples"), payloads.samples(self.run, self.epoch, first + 1, self.columns, part)

    def manifest(self) -> Message:
        digest = Digest()
        digest.add(self.rows)
        return self.topic("manifest"), payloads.manifest(
            self.run, digest.rows, digest.hex(), self.stretches or ((self.epoch, 1),), final=True
        )

    def messages(self, batch: int) -> list[Message]:
        return [*self.samples(batch), self.manifest()]

    def canonical(self) -> list[bytes]:
        return [encode(list(row)) for row in self.rows]


def a_run(data_dir: Path, station: str, number: int, rows: int, epoch: int = 7) -> StationRun:
    """Written by the real writer and read by the publisher's reader."""
    name = f"2026{number % 12 + 1:02d}01-{number:06d}-a-{number:04d}"
    info = plain_info(name, site="lab", station=station, epoch=epoch)
    writer = create_run(data_dir, info, on_durable=lambda _: None)
    writer.append(list(islice(cycling_rows(Shape(points=rows // 7 + 1)), rows)))
    writer.close(60.0)
    files = StoredRuns(data_dir)
    file = files.open(name)
    try:
        values = [list(files.values(name, row)) for row in file.rows(0, rows)]
    finally:
        file.close()
    assert len(values) == rows
    return StationRun(station, name, epoch, files.columns, values)


def deliveries(messages: Sequence[Message]) -> list[Delivery]:
    return [Delivery(topic, payload, HEARD_AT, number) for number, (topic, payload) in enumerate(messages)]


def repeated(messages: Sequence[Message], chance: random.Random) -> list[Message]:
    """Some come twice, and all in disorder."""
    mixed = [*messages, *chance.sample(list(messages), len(messages) // 5)]
    chance.shuffle(mixed)
    return mixed


async def publish(
    messages: Sequence[Message], ports: Sequence[int], pace_s: float = 0.0, within_s: float = 3.0
) -> None:
    """As a station does it: QoS 1, a window, every broker in turn, and what was not acknowledged again."""
    waiting = dict(enumerate(messages))
    turn = 0
    while waiting:
        port = ports[turn % len(ports)]
        turn += 1
        with contextlib.suppress(MqttError, ExceptionGroup):
            async with Client("127.0.0.1", port, timeout=within_s) as client:
                client.pending_calls_threshold = 100
                await _window(client, waiting, pace_s, within_s)
        if waiting:
            await real_sleep(0.05)


async def _window(client: Client, waiting: dict[int, Message], pace_s: float, within_s: float) -> None:
    window = asyncio.Semaphore(20)

    async def one(number: int) -> None:
        async with window:
            topic, payload = waiting[number]
            await client.publish(topic, payload, qos=1, timeout=within_s)
            del waiting[number]
            if pace_s:
                await real_sleep(pace_s)

    async with asyncio.TaskGroup() as tasks:
        for number in list(waiting):
            tasks.create_task(one(number))
