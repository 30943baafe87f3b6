"""A broker without a network: what the publisher hands to its client library, acknowledged or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, Self

from aiomqtt import MqttError

from cycler_ctl.clock import real_sleep

Row = tuple[Any, ...]


class Broker:
    """``away`` and ``forgetful`` (acknowledgements get lost) are its faults. It keeps every row it was ever given."""

    def __init__(self, random: Random, durable: dict[tuple[str, int], int], broke: Callable[[str, str], None]) -> None:
        self.random = random
        self.away = False
        self.forgetful = 0.0
        self.doubling = 0.0
        self.hits = {"broker away": 0, "broker flaps": 0, "acknowledgement lost": 0, "delivered twice": 0}
        self.rows: dict[tuple[str, int, int], str] = {}
        self.clients: list[Client] = []
        self._durable = durable
        self._broke = broke

    def drop_all(self) -> None:
        for client in self.clients:
            client.dropped()
        self.clients.clear()

    def take(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/samples"):
            return
        said = json.loads(payload)
        run, epoch = said["run"], said["epoch"]
        for seq, row in enumerate(said["rows"], start=said["first_seq"]):
            self._take_row((run, epoch, seq), json.dumps(row))

    def _take_row(self, key: tuple[str, int, int], row: str) -> None:
        run, epoch, seq = key
        if seq > self._durable.get((run, epoch), 0):
            self._broke("e", f"row {seq} of {run} was published before it was durable")
        if self.rows.setdefault(key, row) != row:
            self._broke("f", f"row {seq} of {run} was published with two contents")


class Client:
    """``aiomqtt.Client`` as the publisher uses it."""

    def __init__(self, broker: Broker, host: str, port: int = 1883, **options: object) -> None:
        del host, port, options
        self._broker = broker
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pending_calls_threshold = 0

    async def __aenter__(self) -> Self:
        await real_sleep(0.01)
        if self._broker.away:
            self._broker.hits["broker away"] += 1
            raise MqttError("connection refused")
        self._broker.clients.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self in self._broker.clients:
            self._broker.clients.remove(self)

    def dropped(self) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    @property
    async def messages(self) -> AsyncIterator[object]:
        await asyncio.shield(self._lost)
        raise MqttError("disconnected")
        yield

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        timeout: float | None = None,
    ) -> None:
        del retain
        broker = self._broker
        if not self._lost.done():
            await real_sleep(broker.random.uniform(0.001, 0.05))
        if self._lost.done():
            raise MqttError("not connected")
        broker.take(topic, payload)
        if broker.doubling and broker.random.random() < broker.doubling:
            broker.hits["delivered twice"] += 1
            broker.take(topic, payload)
        if qos and broker.forgetful and broker.random.random() < broker.forgetful:
            broker.hits["acknowledgement lost"] += 1
            await asyncio.wait({self._lost}, timeout=timeout)
            raise MqttError("Operation timed out")
