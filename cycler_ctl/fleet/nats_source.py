"""Messages from a NATS cluster whose MQTT gateway the stations are connected to.

The gateway acknowledges a QoS 1 message to the station once a majority of the stream ``$MQTT_msgs`` has it. That stream
keeps a message for as long as a durable consumer has not acknowledged it, so ours is one: what a station's broker took
is here until it is in the database, while no collector runs too. (A stream of our own over the mapped subjects
``cycler.v1.>`` would not do: the gateway does not wait for it, and messages are lost while it has no leader.)
All collectors of one group share one consumer, and with it the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from cycler_ctl.fleet.errors import SourceError
from cycler_ctl.fleet.said import Delivery

log = logging.getLogger(__name__)
STREAM = "$MQTT_msgs"
_PREFIX = "$MQTT.msgs."
_SUBJECT = f"{_PREFIX}cycler.v1.>"
_CONNECT_S = 5.0
_ACK = b"+ACK"
_NO_MORE = frozenset({"404", "408"})
"""No messages; and the time of the request is over."""
_AT_ONCE = 16
"""Batches that may be with collectors at a time, all of them together."""


@dataclass(frozen=True, slots=True)
class NatsPlace:
    """``replicas``: copies of each message, where the stream is not there yet.

    ``redeliver_s``: a collector that took messages and died holds them for so long; then another gets them.
    """

    servers: tuple[str, ...]
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    replicas: int = 3
    redeliver_s: float = 60.0


class NatsSource:
    """A ``Source``."""

    def __init__(self, place: NatsPlace, group: str, limit: int) -> None:
        self._place = place
        self._group = group
        self._limit = limit
        self._client: Client | None = None
        self._inbox = ""
        self._came: list[Delivery] = []
        self._answered = asyncio.Event()
        self._trouble = ""

    async def __aenter__(self) -> Self:
        try:
            self._client = await self._connect()
            await self._bind(JetStreamContext(self._client, timeout=_CONNECT_S))
            self._inbox = self._client.new_inbox()
            await self._client.subscribe(self._inbox, cb=self._on_message)  # pyright: ignore[reportUnknownMemberType]
        except BaseException as error:  # also when we are cancelled: nobody leaves what was never entered
            await self._close()
            if isinstance(error, NatsError | OSError | TimeoutError):
                raise SourceError(f"NATS {', '.join(self._place.servers)}: {_said(error)}") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def take(self, wait_s: float) -> list[Delivery]:
        """What waits there, at most ``limit``; empty after ``wait_s`` without any.

        Asked of the server directly: the library's own way to fetch makes a timer for each message.
        """
        client = self._client
        if client is None or not client.is_connected:
            raise SourceError("NATS: no connection to any server")
        self._answered.clear()
        wanted = {"batch": self._limit, "expires": round(wait_s * 1e9)}
        try:
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._group}", _json(wanted), self._inbox)
            async with asyncio.timeout(wait_s + _CONNECT_S):
                await self._answered.wait()
        except TimeoutError:
            raise SourceError("NATS: the server does not answer") from None
        except (NatsError, OSError) as error:
            raise SourceError(f"NATS: {_said(error)}") from error
        taken, self._came = self._came, []
        if not taken and self._trouble:
            raise SourceError(f"NATS: {self._trouble}")
        return taken

    async def _on_message(self, message: Msg) -> None:
        """A message of a station, or the server's word that there are no more for now."""
        if not message.subject.startswith(_PREFIX):
            status = (message.headers or {}).get("Status", "")
            self._trouble = "" if status in _NO_MORE else f"{status} {(message.headers or {}).get('Description', '')}"
            self._answered.set()
            return
        topic = message.subject.removeprefix(_PREFIX).replace(".", "/")
        self._came.append(Delivery(topic, message.data, message.metadata.timestamp, message.reply))
        if len(self._came) >= self._limit:
            self._answered.set()

    async def settle(self, taken: Sequence[Delivery]) -> None:
        """They are in the database. Should this get lost, they come again, which changes nothing."""
        if self._client is None:
            return
        try:
            for delivery in taken:
                await self._client.publish(str(delivery.receipt), _ACK)
            await self._client.flush()
        except (NatsError, OSError, TimeoutError) as error:
            raise SourceError(f"NATS: {_said(error)}") from error

    async def tell(self, topic: str, payload: bytes) -> None:
        """To whoever listens; stations do through the gateway."""
        if self._client is not None:
            with contextlib.suppress(NatsError, OSError):
                await self._client.publish(topic.replace("/", "."), payload)

    async def _connect(self) -> Client:
        place = self._place
        client = Client()
        try:
            async with asyncio.timeout(2 * _CONNECT_S * len(place.servers)):
                await client.connect(  # pyright: ignore[reportUnknownMemberType] - the library says nothing of its options
                    list(place.servers),
                    error_cb=_noted,
                    allow_reconnect=False,
                    connect_timeout=round(_CONNECT_S),
                    user=place.username,
                    password=place.password,
                    tls=place.tls,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    name=f"cycler-ctl collect {self._group}",
                )
        except BaseException:  # also when we are cancelled: the library leaves its socket open
            with contextlib.suppress(NatsError, OSError):
                await client.close()
            raise
        return client

    async def _bind(self, stream: JetStreamContext) -> None:
        await self._ensure_stream(stream)
        wanted = ConsumerConfig(
            durable_name=self._group,
            filter_subject=_SUBJECT,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._place.redeliver_s,
            max_ack_pending=_AT_ONCE * self._limit,
        )
        await stream.add_consumer(STREAM, wanted)  # pyright: ignore[reportUnknownMemberType] - the library says nothing of its options

    async def _ensure_stream(self, stream: JetStreamContext) -> None:
        """The gateway makes it for its first client; we do where we are earlier, or what comes between would be lost."""
        try:
            await stream.stream_info(STREAM)
        except NotFoundError:
            wanted = StreamConfig(
                name=STREAM,
                subjects=[f"{_PREFIX}>"],
                retention=RetentionPolicy.INTEREST,
                storage=StorageType.FILE,
                num_replicas=self._place.replicas,
            )
            with contextlib.suppress(BadRequestError):  # another was quicker
                await stream.add_stream(wanted)  # pyright: ignore[reportUnknownMemberType] - the library says nothing of its options

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    await client.close()


async def _noted(error: Exception) -> None:
    log.debug("NATS: %s", error)


def _json(value: dict[str, int]) -> bytes:
    return json.dumps(value).encode()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
