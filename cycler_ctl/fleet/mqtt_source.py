"""Messages from any MQTT broker: each is acknowledged only when it is in the database.

With MQTT 5 the collectors of one group share a subscription, and the broker divides the messages among them. A broker
of 3.1.1 has no such thing: there one collector is enough, under its fixed name, and the broker keeps what comes while
it is away. How much is on the way at a time is the broker's setting (mosquitto: max_inflight_messages, 20 at first).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVarTuple
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cycler_ctl.clock import Clock
from cycler_ctl.fleet.errors import SourceError
from cycler_ctl.fleet.said import Delivery

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TOPICS = "cycler/v1/+/+/"
# Not last, which is for dashboards, and nothing with which stations are spoken to.
_LEAVES = (
    "status",
    "meta",
    "runs",
    "alarm/+",
    "instrument/+/status",
    "channel/+/state",
    "channel/+/samples",
    "channel/+/event",
    "channel/+/summary",
    "channel/+/manifest",
)
_CONNECT_S = 10.0
_KEPT_S = 0xFFFFFFFF
"""How long a broker of MQTT 5 keeps the session of a collector that is away: for ever."""
_TAKE = 2000
_QUIET_S = 0.1
"""A broker that sends nothing for so long may have sent all that it sends before we acknowledge some of it."""
Values = TypeVarTuple("Values")


@dataclass(frozen=True, slots=True)
class MqttPlace:
    url: str
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5


class MqttSource:
    """A ``Source``. The library's thread reads the socket; everything else is on the loop."""

    def __init__(self, place: MqttPlace, group: str, instance: str, clock: Clock) -> None:
        self._place = place
        self._group = group
        self._clock = clock
        self._client = self._made(f"cycler-collect-{group}-{instance}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came: asyncio.Queue[Delivery | SourceError] = asyncio.Queue()
        self._ready: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        try:
            await asyncio.to_thread(self._open)
            async with asyncio.timeout(_CONNECT_S):
                await self._ready
        except (OSError, TimeoutError, ValueError) as error:
            await self._close()
            raise SourceError(f"{self._place.url}: {error or 'no answer'}") from error
        except SourceError:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def take(self, wait_s: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        found = list[Delivery]()
        with contextlib.suppress(TimeoutError):
            while len(found) < _TAKE:
                async with asyncio.timeout_at(min(until_s, loop.time() + _QUIET_S) if found else until_s):
                    found.append(_good(await self._came.get()))
                while len(found) < _TAKE and not self._came.empty():
                    found.append(_good(self._came.get_nowait()))
        return found

    async def settle(self, taken: Sequence[Delivery]) -> None:
        for delivery in taken:
            if self._client.ack(int(delivery.receipt), 1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise SourceError(f"{self._place.url}: the connection was lost")

    async def tell(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    async def report(self, topic: str, payload: bytes) -> None:
        """As ``tell``; it stays there for those who come later."""
        self._client.publish(topic, payload, qos=1, retain=True)

    def _made(self, identifier: str) -> Client:
        old = self._place.version != MQTTProtocolVersion.MQTTv5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=identifier,
            clean_session=False if old else None,
            protocol=self._place.version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.username_pw_set(self._place.username, self._place.password)
        if self._place.tls is not None:
            client.tls_set_context(self._place.tls)  # pyright: ignore[reportUnknownMemberType] - the library says nothing of its options
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _open(self) -> None:
        parts = urlsplit(self._place.url)
        self._client.connect(
            parts.hostname or "",
            parts.port or _PORTS[parts.scheme],
            keepalive=20,
            clean_start=False,
            properties=_kept() if self._place.version == MQTTProtocolVersion.MQTTv5 else None,
        )
        self._client.loop_start()

    async def _close(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _on_connect(
        self, client: Client, _: object, __: ConnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fail(f"refused: {reason} (a broker of MQTT 3.1.1 only? then [broker] mqtt_version)")
            return
        share = f"$share/{self._group}/" if self._place.version == MQTTProtocolVersion.MQTTv5 else ""
        client.subscribe([(f"{share}{_TOPICS}{leaf}", 1) for leaf in _LEAVES])

    def _on_subscribe(
        self, _: Client, __: object, ___: int, reasons: list[ReasonCode], ____: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._fail("the broker does not let us read the stations' topics: see its access list")
        else:
            self._call(_done, self._ready)

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        heard_at = datetime.fromtimestamp(self._clock.utc(), UTC)
        self._call(self._came.put_nowait, Delivery(message.topic, bytes(message.payload), heard_at, message.mid))

    def _on_disconnect(
        self, _: Client, __: object, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        self._fail(f"the connection was lost: {reason}")

    def _fail(self, why: str) -> None:
        error = SourceError(f"{self._place.url}: {why}")
        self._call(_failed, self._ready, error)
        self._call(self._came.put_nowait, error)

    def _call(self, what: Callable[[*Values], object], *values: *Values) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *values)


def _kept() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library's
    properties.SessionExpiryInterval = _KEPT_S
    return properties


def _good(came: Delivery | SourceError) -> Delivery:
    if isinstance(came, SourceError):
        raise came
    return came


def _done(ready: asyncio.Future[None] | None) -> None:
    if ready is not None and not ready.done():
        ready.set_result(None)


def _failed(ready: asyncio.Future[None] | None, error: SourceError) -> None:
    if ready is not None and not ready.done():
        ready.set_exception(error)
