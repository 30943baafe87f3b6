"""A broker without a network: what the publisher hands to its client library, acknowledged or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from aiomqtt import MqttError, Topic

from cycler_ctl.clock import real_sleep
from cycler_ctl.publish.backoff import Timing

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
        self.clients: list[Speaker] = []
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


class Speaker:
    """The service's connection as courier and session use it. It hears itself where it listens, as rights are proven."""

    gone: MqttError | None = None
    """This broker never says why it hangs up."""

    def __init__(self, broker: Broker, _endpoint: object, *, timing: Timing, **_options: object) -> None:
        self._broker = broker
        self._puback_s = timing.puback_s
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listens: set[str] = set()
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()

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

    async def subscribe(self, topics: str | Sequence[tuple[str, int]], qos: int = 0) -> None:
        """Nobody else speaks here."""
        if isinstance(topics, str):
            self._listens.add(topics)

    async def unsubscribe(self, topic: str) -> None:
        self._listens.discard(topic)

    @property
    async def messages(self) -> AsyncIterator[Heard]:
        while True:
            hearing = asyncio.ensure_future(self._heard.get())
            either: set[asyncio.Future[Any]] = {hearing, self._lost}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    raise MqttError("disconnected")
                yield hearing.result()
            finally:
                hearing.cancel()

    async def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        broker = self._broker
        await self._hand_over(topic, payload)
        if broker.forgetful and broker.random.random() < broker.forgetful:
            broker.hits["acknowledgement lost"] += 1
            await asyncio.wait({self._lost}, timeout=self._puback_s)
            raise MqttError("Operation timed out")

    async def mention(self, topic: str, payload: bytes) -> None:
        await self._hand_over(topic, payload)

    async def _hand_over(self, topic: str, payload: bytes) -> None:
        broker = self._broker
        if not self._lost.done():
            await real_sleep(broker.random.uniform(0.001, 0.05))
        if self._lost.done():
            raise MqttError("not connected")
        broker.take(topic, payload)
        if broker.doubling and broker.random.random() < broker.doubling:
            broker.hits["delivered twice"] += 1
            broker.take(topic, payload)
        if topic in self._listens:
            self._heard.put_nowait(Heard(Topic(topic), payload))


@dataclass(frozen=True, slots=True)
class Heard:
    topic: Topic
    payload: bytes
    retain: bool = False
